//! One attempt on threads of its own, watched from outside of its runtime: user code that blocks a thread
//! keeps neither limits nor interrupts from ending it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};

use crate::env::threads;
use crate::error::{Error, ErrorKind};
use crate::run::options::Effective;
use crate::run::{Blocked, Finished, Outcome, Session, TrialSpec, cancel};

/// Tasks and threads that are still busy when a trial is over get so long.
const RUNTIME_LIMIT: Duration = Duration::from_secs(5);

/// Threads of an attempt beside its runtime's: of the test function, and of a forced end.
const OWN_THREADS: usize = 2;

/// How often the supervisor looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A call that takes so long without yielding is reported, since it keeps others from running.
const REPORT_AFTER: Duration = Duration::from_secs(5);

/// How much longer than its limit a call may block: a busy machine must not end a trial.
const OVERDUE: Duration = Duration::from_secs(5);

/// How long a trial that was asked to end may take to hear of it before what blocks is looked for.
const HEAR_LIMIT: Duration = Duration::from_secs(5);

/// How long it may take without anything that is known to block.
const HEAR_LIMIT_MAX: Duration = Duration::from_secs(30);

/// How long healing and judging may take after something blocked; both have smaller limits where they
/// can run at all.
const FORCED_END_LIMIT: Duration = Duration::from_secs(60);

/// A runtime that does not run an empty task within this time has no thread left.
const RESPONSE_LIMIT: Duration = Duration::from_secs(5);

/// How long the ordinary end may take: healing, judging and collecting have limits that are smaller.
const END_LIMIT: Duration = Duration::from_secs(600);

/// What the threads of an attempt share.
#[derive(Clone)]
struct Attempt {
    spec: TrialSpec,
    session: Arc<Session>,
    effective: Effective,
    handle: Handle,
    /// Whether somebody ends the attempt: whoever set it first.
    ending: Arc<AtomicBool>,
    done: Sender<Result<Finished, Error>>,
}

/// Runs one attempt to its end, whatever user code does; `again` where it is not the first.
pub(super) fn attempt(
    spec: &TrialSpec,
    session: Arc<Session>,
    effective: &Effective,
    again: bool,
) -> Result<Finished, Error> {
    // The runtime panics where it is refused a thread. It has one for each core, and one that blocks.
    if let Some(why) = threads::refused("a trial", threads::cores() + 1 + OWN_THREADS) {
        return Err(Error::environment(why));
    }
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.enable_all().thread_keep_alive(END_LIMIT).build()?;
    // What blocks is queued for the threads that there are where another one is refused, and waits for
    // ever where there is none: this one stays.
    drop(runtime.spawn_blocking(|| ()));
    let (done, results) = channel();
    let attempt = Attempt {
        spec: spec.clone(),
        session: session.clone(),
        effective: effective.clone(),
        handle: runtime.handle().clone(),
        ending: Arc::default(),
        done,
    };
    let body = attempt.clone();
    attempt.thread("", move || body.body(again))?;
    let (finished, left_behind) = attempt.supervise(&results);
    let (lease, hosts) = (session.take_lease(), session.hosts());
    match left_behind {
        false => {
            // What user values do when they are dropped may need the runtime.
            let in_runtime = runtime.enter();
            let _ = catch_unwind(AssertUnwindSafe(|| drop((attempt, session))));
            drop(in_runtime);
            // A task that blocks its thread holds them as well.
            hosts.inspect(|hosts| hosts.end());
            runtime.shutdown_timeout(RUNTIME_LIMIT);
        }
        // The blocked threads hold the session, and with it the hosts, for as long as they like.
        true => {
            hosts.inspect(|hosts| hosts.end());
            runtime.shutdown_background();
        }
    }
    drop(lease);
    Ok(finished)
}

impl Attempt {
    fn thread(&self, purpose: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let handle = self.handle.clone();
        let builder = std::thread::Builder::new().name(format!("{purpose}{}", self.spec.name));
        let spawned = builder.stack_size(8 << 20).spawn(move || {
            let _in_runtime = handle.enter();
            run();
        });
        spawned.map(drop).map_err(Error::environment)
    }

    /// The user's function and, unless somebody else does it, the end of the attempt.
    fn body(self, again: bool) {
        let outcome = self.with_snapshots(again, || self.outcome(again));
        if !self.ending.swap(true, Ordering::SeqCst) {
            self.end(outcome);
        }
    }

    /// A cell of a matrix has snapshots of its own, the same whether cells share a process or not.
    /// Every attempt has the same ones: insta counts assertions of the same name otherwise.
    #[cfg(feature = "insta")]
    fn with_snapshots<R>(&self, again: bool, run: impl FnOnce() -> R) -> R {
        let mut settings = crate::insta::Settings::clone_current();
        if let Some(cell) = &self.spec.cell {
            settings.set_snapshot_suffix(cell);
        }
        settings.bind(|| match again {
            true => crate::insta::allow_duplicates! { run() },
            false => run(),
        })
    }

    #[cfg(not(feature = "insta"))]
    fn with_snapshots<R>(&self, again: bool, run: impl FnOnce() -> R) -> R {
        // Cells and attempts matter to snapshots alone.
        let _ = (&self.spec.cell, again);
        run()
    }

    /// The user's function, until it ends, panics, is interrupted, or the total limit passes.
    fn outcome(&self, again: bool) -> Outcome {
        let session = &self.session;
        let body = async {
            let test = session.test();
            let function = (self.spec.body)(test);
            let name = format!("the test function `{}`", self.spec.name);
            tokio::select! {
                outcome = session.calls().watch(name, Duration::MAX, function) => outcome,
                why = cancel::cancelled() => {
                    Err(Error::cancelled().context(format!("{why} while {}", session.stage())).into())
                }
                limit = self.total_limit() => Err(Error::deadline(format!(
                    "the total limit of {limit:?} passed while {}; raise `total_limit`",
                    session.stage()
                )).into()),
            }
        };
        match catch_unwind(AssertUnwindSafe(|| self.handle.block_on(body))) {
            Ok(outcome) => outcome,
            Err(panic) => {
                let text = message(&*panic);
                // Attempts after the first have no counter for snapshots of the same name.
                let advice = match again && text.contains("in allow-duplicates block") {
                    true => {
                        "; where a test has several attempts and several snapshots, each snapshot needs \
                         a name: `assert_snapshot!(\"name\", …)`"
                    }
                    false => "",
                };
                Err(Error::new(ErrorKind::Test, format!("the test panicked: {text}{advice}"))
                    .into())
            }
        }
    }

    /// Completes when the attempt has taken too long in total, with the limit.
    async fn total_limit(&self) -> Duration {
        let started = Instant::now();
        loop {
            match self.over(started) {
                Ok(left) => tokio::time::sleep(left.min(Duration::from_secs(1))).await,
                Err(limit) => return limit,
            }
        }
    }

    /// How much is left of the total limit; where nothing is, the limit.
    fn over(&self, started: Instant) -> Result<Duration, Duration> {
        // Asked again and again: the user's function may give the test more time, and the time in the
        // queue is not this attempt's.
        let limit = self.session.total_limit(&self.effective);
        let spent = started.elapsed().saturating_sub(self.session.queued());
        let left = limit.saturating_sub(spent);
        if left.is_zero() { Err(limit) } else { Ok(left) }
    }

    /// Heals, judges, collects; the result goes to the supervisor.
    fn end(self, outcome: Outcome) {
        let Attempt { session, handle, done, .. } = self;
        let ended = catch_unwind(AssertUnwindSafe(|| handle.block_on(session.finish(outcome))));
        // Before the result is sent: afterwards the supervisor is to be the last who has it.
        drop(session);
        // The supervisor may have given up.
        let _ = done.send(ended.map_err(|panic| {
            let text = format!("the end of the test panicked: {}", message(&*panic));
            Error::new(ErrorKind::Test, text)
        }));
    }

    /// Waits for the end, and brings it about where the threads of the attempt cannot; did it leave
    /// blocked ones behind?
    fn supervise(&self, results: &Receiver<Result<Finished, Error>>) -> (Finished, bool) {
        let started = Instant::now();
        let (mut asked, mut ending): (Option<Instant>, Option<Instant>) = (None, None);
        let mut reported = None;
        let mut blocked = None;
        let mut response = None;
        loop {
            match results.recv_timeout(LOOK_EVERY) {
                Ok(Ok(finished)) => return (finished, blocked.is_some()),
                Ok(Err(error)) => return (self.session.abandon(error), true),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            self.session.pace().look();
            self.report(&mut reported);
            if cancel::requested().is_some() || self.over(started).is_err() {
                asked.get_or_insert_with(Instant::now);
            }
            if !self.ending.load(Ordering::SeqCst) {
                let Some(error) = self.must_end(asked) else { continue };
                if !self.ending.swap(true, Ordering::SeqCst) {
                    let end = self.clone();
                    let outcome = Err(error.clone().into());
                    if self.thread("end of ", move || end.end(outcome)).is_err() {
                        return (self.session.abandon(error), true);
                    }
                    blocked = Some(error);
                    response = Some(self.probe());
                }
                continue;
            }
            let since = *ending.get_or_insert_with(Instant::now);
            let silent = response.as_ref().is_some_and(|r| !r.load(Ordering::SeqCst));
            let given_up = match &blocked {
                Some(error) if silent && since.elapsed() > RESPONSE_LIMIT => Some(error.clone()),
                Some(error) if since.elapsed() > FORCED_END_LIMIT => Some(error.clone()),
                Some(_) => None,
                None => {
                    self.session.calls().overdue(OVERDUE).map(|call| self.blocks(&call)).or_else(
                        || {
                            let text =
                                format!("{} took longer than {END_LIMIT:?}", self.session.stage());
                            (since.elapsed() > END_LIMIT).then(|| Error::deadline(text))
                        },
                    )
                }
            };
            if let Some(error) = given_up {
                return (self.session.abandon(error), true);
            }
        }
    }

    /// Why the attempt has to be ended from outside, where it has to.
    fn must_end(&self, asked: Option<Instant>) -> Option<Error> {
        let calls = self.session.calls();
        if let Some(call) = calls.overdue(OVERDUE) {
            return Some(self.blocks(&call));
        }
        let asked = asked?.elapsed();
        let call = (asked > HEAR_LIMIT).then(|| calls.blocked(HEAR_LIMIT)).flatten();
        match call {
            Some(call) => Some(self.blocks(&call)),
            None if asked > HEAR_LIMIT_MAX => Some(Error::deadline(format!(
                "the test did not end within {HEAR_LIMIT_MAX:?} after it had to, while {}",
                self.session.stage()
            ))),
            None => None,
        }
    }

    fn blocks(&self, call: &Blocked) -> Error {
        let why = match cancel::requested() {
            Some(why) => format!("{why}, but "),
            None => String::new(),
        };
        Error::new(
            ErrorKind::Test,
            format!(
                "{why}{} has blocked its thread for {} s while {}; code that blocks keeps limits and \
                 interrupts from working: use `tokio::time::sleep` instead of `std::thread::sleep`, \
                 and `tokio::task::spawn_blocking` for calls that block or compute for long",
                call.what,
                call.lasted.as_secs(),
                self.session.stage(),
            ),
        )
    }

    /// Says once that a call does not yield: until its limit passes, nobody would know.
    fn report(&self, reported: &mut Option<String>) {
        let Some(call) = self.session.calls().blocked(REPORT_AFTER) else { return };
        if reported.as_ref() != Some(&call.what) {
            fuzz_dist_sys::say!("fuzz_dist: {}: {}", self.spec.name, self.blocks(&call));
            *reported = Some(call.what);
        }
    }

    /// Becomes true once the runtime runs a task.
    fn probe(&self) -> Arc<AtomicBool> {
        let response = Arc::new(AtomicBool::new(false));
        let set = response.clone();
        self.handle.spawn(async move { set.store(true, Ordering::SeqCst) });
        response
    }
}

/// What a panic said.
fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".into())
}
