//! The concurrency model, against clients that answer, hang, fail, break and panic.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;
use crate::client::{Client, Error, Opener};
use crate::generator::{each_node, from_fn, once, repeat};
use crate::op::{Completion, Kind, NodeId, OpError, Value};
use crate::random::Seed;
use crate::time::{millis, secs};

/// What clients were asked to do, over all threads.
#[derive(Default)]
struct Trace {
    opened: Vec<(Thread, NodeId)>,
    reopened: Vec<Thread>,
    refuse_open: bool,
    refuse_reopen: bool,
    reusable: bool,
}

/// Does what the function says.
struct Odd {
    thread: Thread,
    trace: Arc<Mutex<Trace>>,
}

impl Client for Odd {
    async fn invoke(&mut self, op: &Invocation) -> Completion {
        match &*op.f {
            "hang" | "read_hang" => std::future::pending().await,
            "panic" => panic!("what a day"),
            "slow" => tokio::time::sleep(millis(20)).await,
            "fail" => return Completion::Fail(OpError::new("aborted", "no")),
            "info" => return Completion::Info(OpError::new("unknown", "who knows")),
            "broken" => return Completion::Fail(OpError::new("disconnected", "reset")),
            _ => {}
        }
        Completion::Ok(op.value.clone())
    }
    async fn reopen(&mut self) -> Result<(), Error> {
        let mut trace = self.trace.lock().unwrap();
        trace.reopened.push(self.thread);
        if trace.refuse_reopen { Err(Error::new("n", "refused")) } else { Ok(()) }
    }
    fn is_reusable(&self) -> bool {
        self.trace.lock().unwrap().reusable
    }
}

struct OddOpener(Arc<Mutex<Trace>>);

impl Opener for OddOpener {
    type Client = Odd;
    async fn open(&self, thread: Thread, node: NodeId) -> Result<Odd, Error> {
        let mut trace = self.0.lock().unwrap();
        trace.opened.push((thread, node));
        if trace.refuse_open {
            return Err(Error::new("n1:8087", "connection refused"));
        }
        Ok(Odd { thread, trace: Arc::clone(&self.0) })
    }
}

struct Bench {
    runtime: tokio::runtime::Runtime,
    interpreter: Interpreter,
    recorder: Recorder,
    trace: Arc<Mutex<Trace>>,
}

impl Bench {
    /// `concurrency` threads on 2 nodes, with short time-outs; `read…` functions are pure.
    fn new(concurrency: u16) -> Bench {
        let recorder = Recorder::in_memory(["n1", "n2"]);
        let options = Options {
            concurrency,
            op_timeout: millis(30),
            open_timeout: millis(30),
            drain_timeout: secs(20),
            pure_functions: vec!["read".into(), "read_hang".into()],
            ..Options::for_nodes(2)
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Bench {
            runtime,
            interpreter: Interpreter::new(Clock::system(), recorder.clone(), options).unwrap(),
            recorder,
            trace: Arc::default(),
        }
    }

    fn run(&mut self, mut generator: impl Generator) -> Outcome {
        let (_cancel, mut cancelled) = watch::channel(false);
        let opener = OddOpener(Arc::clone(&self.trace));
        self.runtime.block_on(self.interpreter.run(
            Phase::Main,
            &mut generator,
            &opener,
            secs(60),
            &mut cancelled,
        ))
    }

    /// `process kind f` of each event, and the error's kind.
    fn events(&self) -> Vec<String> {
        self.recorder.with(|h| {
            h.events()
                .map(|e| {
                    let error = e.error.map_or(String::new(), |e| format!(" {}", e.kind));
                    format!("{} {} {}{error}", e.process, e.kind.as_str(), e.f)
                })
                .collect()
        })
    }
}

fn op(f: &str) -> Invocation {
    Invocation::new(f, Value::Nil)
}

/// Runs one operation after another, and compares the history.
fn check(fs: &[&str], expected: &[&str]) -> Bench {
    let mut bench = Bench::new(2);
    let ops: Vec<Invocation> = fs.iter().map(|f| op(f)).collect();
    let one_thread = crate::generator::ops(ops).on_threads([Thread(0)]);
    let outcome = bench.run(one_thread);
    assert_eq!(outcome.ended, Ended::Exhausted);
    assert_eq!(bench.events(), expected);
    bench
}

#[test]
fn ok_and_fail_keep_the_process_and_its_client() {
    let bench = check(
        &["write", "fail", "write"],
        &[
            "0 invoke write",
            "0 ok write",
            "0 invoke fail",
            "0 fail fail aborted",
            "0 invoke write",
            "0 ok write",
        ],
    );
    let trace = bench.trace.lock().unwrap();
    assert_eq!(trace.opened, [(Thread(0), NodeId(0)), (Thread(1), NodeId(1))]);
    assert!(trace.reopened.is_empty());
}

#[test]
fn an_unknown_outcome_ends_the_process_and_its_session() {
    let bench = check(
        &["info", "write"],
        &["0 invoke info", "0 info info unknown", "2 invoke write", "2 ok write"],
    );
    let trace = bench.trace.lock().unwrap();
    assert_eq!(trace.opened.iter().filter(|(t, _)| t.0 == 0).count(), 2, "a client of its own");
    assert!(trace.reopened.is_empty(), "the old session is not carried on");
}

#[test]
fn an_operation_that_hangs_is_unknown_after_its_time_out() {
    check(
        &["hang", "write"],
        &["0 invoke hang", "0 info hang timeout", "2 invoke write", "2 ok write"],
    );
}

#[test]
fn a_pure_function_that_hangs_has_failed_but_its_client_is_reopened() {
    let bench = check(
        &["read_hang", "write"],
        &["0 invoke read_hang", "0 fail read_hang timeout", "0 invoke write", "0 ok write"],
    );
    assert_eq!(bench.trace.lock().unwrap().reopened, [Thread(0)], "with the same session");
}

#[test]
fn a_broken_connection_is_reopened_where_the_process_is_kept_too() {
    let bench = check(
        &["broken", "write"],
        &["0 invoke broken", "0 fail broken disconnected", "0 invoke write", "0 ok write"],
    );
    assert_eq!(bench.trace.lock().unwrap().reopened, [Thread(0)]);
}

#[test]
fn a_client_that_panics_costs_its_process_and_the_run_goes_on() {
    let bench = check(
        &["panic", "write"],
        &["0 invoke panic", "0 info panic panicked", "2 invoke write", "2 ok write"],
    );
    let text = bench.recorder.with(|h| h.error(1).unwrap().text.clone());
    assert_eq!(&*text, "what a day");
}

#[test]
fn a_reusable_client_is_kept_after_an_unknown_outcome() {
    let mut bench = Bench::new(2);
    bench.trace.lock().unwrap().reusable = true;
    bench.run(crate::generator::ops([op("info"), op("write")]).on_threads([Thread(0)]));
    assert_eq!(
        bench.events(),
        ["0 invoke info", "0 info info unknown", "2 invoke write", "2 ok write"]
    );
    let trace = bench.trace.lock().unwrap();
    assert_eq!((trace.opened.len(), trace.reopened.len()), (2, 0));
}

#[test]
fn operations_without_a_client_have_failed_for_certain_and_do_not_spin() {
    let mut bench = Bench::new(2);
    bench.trace.lock().unwrap().refuse_open = true;
    let outcome = bench.run(repeat(op("write")).limit(6));
    assert_eq!((outcome.counts.fail, outcome.counts.info), (6, 0));
    assert!(bench.events().iter().filter(|e| e.contains("fail")).all(|e| e.contains("no_client")));
    let opened = bench.trace.lock().unwrap().opened.len();
    assert!(opened <= 16, "{opened} attempts to connect for 6 operations");
}

#[test]
fn a_client_that_cannot_be_reopened_keeps_its_session_and_is_tried_again() {
    let mut bench = Bench::new(2);
    bench.trace.lock().unwrap().refuse_reopen = true;
    let trace = Arc::clone(&bench.trace);
    let mut n = 0;
    let ops = from_fn(move || {
        n += 1;
        if n == 3 {
            trace.lock().unwrap().refuse_reopen = false;
        }
        (n <= 3).then(|| op(if n == 1 { "broken" } else { "write" }))
    });
    bench.run(ops.concurrency_limit(1).on_threads([Thread(0)]));
    assert_eq!(
        bench.events(),
        [
            "0 invoke broken",
            "0 fail broken disconnected",
            "0 invoke write",
            "0 fail write no_client",
            "0 invoke write",
            "0 ok write"
        ]
    );
    assert_eq!(bench.trace.lock().unwrap().opened.len(), 2, "no session was given up");
}

#[test]
fn threads_are_bound_to_nodes_and_take_turns() {
    let mut bench = Bench::new(4);
    bench.run(repeat(op("write")).limit(40));
    let mut per_thread: BTreeMap<u32, usize> = BTreeMap::new();
    bench.recorder.with(|h| {
        for i in 0..h.len() {
            assert_eq!(h.node(i), Some(NodeId((h.process(i).0 % 2) as u16)));
            *per_thread.entry(h.process(i).0).or_default() += 1;
        }
    });
    assert_eq!(per_thread.len(), 4);
    assert!(per_thread.values().all(|n| *n >= 10), "{per_thread:?}");
}

#[test]
fn a_node_that_joins_gets_threads_and_one_that_left_gets_no_more_operations() {
    let mut bench = Bench::new(4);
    let members = |ids: &[u16]| ids.iter().copied().map(NodeId).collect::<Arc<[NodeId]>>();
    let (change, following) = watch::channel(members(&[0, 1]));
    bench.interpreter = bench.interpreter.following(following, Flights::default());
    let mut asked = 0;
    let changing = from_fn(move || {
        asked += 1;
        match asked {
            20 => drop(change.send_replace(members(&[0, 1, 2]))),
            40 => drop(change.send_replace(members(&[0, 2]))),
            _ => {}
        }
        Some(Invocation::new("slow", asked))
    });
    bench.run(changing.limit(80));
    bench.run(each_node([NodeId(0), NodeId(1), NodeId(2)], |_| repeat(op("last")).limit(3)));
    let mut nodes: BTreeMap<&str, BTreeMap<u16, usize>> = BTreeMap::new();
    let mut of_process: BTreeMap<u32, NodeId> = BTreeMap::new();
    let mut after_the_leave = Vec::new();
    bench.recorder.with(|h| {
        for i in (0..h.len()).filter(|i| h.kind(*i) == Kind::Invoke) {
            let node = h.node(i).unwrap();
            assert_eq!(*of_process.entry(h.process(i).0).or_insert(node), node, "a session moved");
            let nth = h.value(i).as_int();
            let part = match nth {
                Some(..20) => "two",
                Some(20..40) => "three",
                Some(40..) => "without n2",
                None => "last",
            };
            *nodes.entry(part).or_default().entry(node.0).or_default() += 1;
            after_the_leave.extend(nth.filter(|n| *n > 41 && node == NodeId(1)));
        }
    });
    assert_eq!(nodes["two"].keys().collect::<Vec<_>>(), [&0, &1]);
    assert!(nodes["three"].len() == 3, "{nodes:?}");
    // What the generator was asked for as it changed was planned for a thread of that moment.
    assert!(after_the_leave.is_empty(), "{after_the_leave:?}");
    assert_eq!(nodes["last"], BTreeMap::from([(0, 3), (2, 3)]));
}

/// Between the moment when a node gets no more operations and the one when its threads hear of it, none is sent to
/// it. Those in flight on it are awaited; one that hangs is, until its time-out.
#[test]
fn a_node_that_is_about_to_leave_is_let_go_when_its_operations_have_ended() {
    for f in ["slow", "hang"] {
        let mut bench = Bench::new(4);
        let members = |ids: &[u16]| ids.iter().copied().map(NodeId).collect::<Arc<[NodeId]>>();
        let (change, following) = watch::channel(members(&[0, 1]));
        let flights = Flights::default();
        bench.interpreter = bench.interpreter.following(following, flights.clone());
        let (recorder, leaving) = (bench.recorder.clone(), NodeId(1));
        let on_leaving = move |kind: Kind| -> usize {
            recorder.with(|h| {
                let of_node = |i: &usize| h.node(*i) == Some(leaving) && h.kind(*i) == kind;
                (0..h.len()).filter(of_node).count()
            })
        };
        let (started, mut asked) = (Arc::new(tokio::sync::Notify::new()), 0);
        let leave = {
            let (started, on_leaving) = (started.clone(), on_leaving.clone());
            async move {
                started.notified().await;
                flights.close(leaving);
                tokio::time::sleep(millis(5)).await;
                change.send_replace(members(&[0]));
                flights.ended(leaving).await;
                let done = [Kind::Ok, Kind::Info].into_iter().map(&on_leaving).sum::<usize>();
                let invoked = on_leaving(Kind::Invoke);
                assert!(invoked > 0 && invoked == done, "{f}: {invoked} and {done}");
                (invoked, change)
            }
        };
        let leave = bench.runtime.spawn(leave);
        let operations = from_fn(move || {
            asked += 1;
            if asked == 12 {
                started.notify_one();
            }
            Some(Invocation::new(f, asked))
        });
        bench.run(operations.limit(40));
        // As long as the run goes on somebody may change the members.
        let (invoked, _change) = bench.runtime.block_on(leave).unwrap();
        assert_eq!(on_leaving(Kind::Invoke), invoked, "no later one either");
    }
}

#[test]
fn what_still_runs_at_the_end_is_unknown_and_the_next_phase_goes_on() {
    let mut bench = Bench::new(2);
    bench.interpreter.executor.options.op_timeout = secs(600);
    bench.interpreter.executor.options.drain_timeout = millis(20);
    let outcome = bench.run(once(op("hang")).on_threads([Thread(1)]));
    assert_eq!((outcome.ended, outcome.abandoned), (Ended::Exhausted, 1));
    bench.run(once(op("write")).on_threads([Thread(1)]));
    assert_eq!(
        bench.events(),
        ["1 invoke hang", "1 info hang abandoned", "3 invoke write", "3 ok write"]
    );
}

#[test]
fn completions_in_flight_at_the_end_are_awaited() {
    let mut bench = Bench::new(2);
    let outcome = bench.run(repeat(op("slow")).limit(2));
    assert_eq!((outcome.counts.ok, outcome.abandoned), (2, 0));
}

#[test]
fn a_phase_ends_when_it_is_cancelled_or_its_time_is_up() {
    let mut bench = Bench::new(2);
    let opener = OddOpener(Arc::clone(&bench.trace));
    let (cancel, mut cancelled) = watch::channel(false);
    let mut forever = repeat(op("slow"));
    let outcome = bench.runtime.block_on(bench.interpreter.run(
        Phase::Main,
        &mut forever,
        &opener,
        millis(50),
        &mut cancelled,
    ));
    assert_eq!(outcome.ended, Ended::TimeLimit);
    let mut silent = crate::generator::sleep(secs(600));
    let (outcome, ()) = bench.runtime.block_on(async {
        tokio::join!(
            bench.interpreter.run(Phase::Main, &mut silent, &opener, secs(600), &mut cancelled),
            async {
                tokio::task::yield_now().await;
                cancel.send(true).unwrap();
            }
        )
    });
    assert_eq!(outcome.ended, Ended::Cancelled);
}

#[test]
fn whoever_could_cancel_may_leave() {
    let mut bench = Bench::new(2);
    let opener = OddOpener(Arc::clone(&bench.trace));
    let mut cancelled = watch::channel(false).1;
    let mut generator = repeat(op("slow")).limit(4);
    let outcome = bench.runtime.block_on(bench.interpreter.run(
        Phase::Main,
        &mut generator,
        &opener,
        secs(60),
        &mut cancelled,
    ));
    assert_eq!((outcome.ended, outcome.counts.ok), (Ended::Exhausted, 4));
}

#[test]
fn a_generator_that_waits_for_nothing_is_named_and_hangs_nobody() {
    struct Never;
    impl Generator for Never {
        fn next(&mut self, _: &crate::generator::Context<'_>) -> crate::generator::Next {
            crate::generator::Next::Pending(None)
        }
        fn take(&mut self, _: &crate::generator::Context<'_>) {}
    }
    assert_eq!(Bench::new(2).run(Never).ended, Ended::Stuck);
}

#[test]
fn observers_see_each_operation_between_its_record_and_its_sending() {
    #[derive(Default)]
    struct Seen(Mutex<Vec<String>>);
    impl Observer for Seen {
        fn about_to_invoke(&self, sent: &Sent<'_>) {
            self.0.lock().unwrap().push(format!("{} {}", sent.index, sent.op.f));
        }
        fn completed(&self, sent: &Sent<'_>, completion: &Completion) {
            let text = format!("{} {}", sent.index, completion.kind().as_str());
            self.0.lock().unwrap().push(text);
        }
        fn log(&self, _: crate::time::Time, text: &str) {
            self.0.lock().unwrap().push(text.into());
        }
    }
    let mut bench = Bench::new(2);
    let seen = Arc::new(Seen::default());
    bench.interpreter.executor.observers = vec![Arc::clone(&seen) as Arc<dyn Observer>];
    bench.run(once(op("write")).then(crate::generator::log("done").synchronize()));
    assert_eq!(*seen.0.lock().unwrap(), ["0 write", "1 ok", "done"]);
}

#[test]
fn times_never_run_backwards_and_counts_add_up() {
    let mut bench = Bench::new(4);
    let main = repeat(op("write"))
        .stagger(std::time::Duration::from_micros(50), Seed(1).stream("stagger"))
        .limit(500);
    let outcome = bench.run(main);
    assert_eq!((outcome.counts.invoked, outcome.counts.ok), (500, 500));
    assert_eq!(bench.interpreter.counters().now(), outcome.counts);
    bench.recorder.with(|h| {
        assert_eq!(h.len(), 1000);
        for i in 0..h.len() {
            assert!(i == 0 || h.time(i) >= h.time(i - 1));
            if let (Kind::Invoke, Some(end)) = (h.kind(i), h.completion(i)) {
                assert!(h.time(i) <= h.time(end));
            }
        }
    });
}

#[test]
fn options_that_make_no_sense_are_refused() {
    for (concurrency, nodes, expected) in [
        (2, 0, "at least one node"),
        (2, 3, "less than one client for each of 3 nodes"),
        (2000, 3, "above the limit"),
    ] {
        let options = Options { concurrency, ..Options::for_nodes(nodes) };
        let recorder = Recorder::in_memory(["n1"]);
        let error = Interpreter::new(Clock::system(), recorder, options).err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
