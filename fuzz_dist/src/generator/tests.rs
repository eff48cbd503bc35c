//! Each combinator against the idealised client.

use std::time::Duration;

use super::*;
use crate::history::History;
use crate::op::{Kind, NodeId, OpError, Value};
use crate::random::Seed;
use crate::time::{millis, secs};

fn op(f: &str) -> Invocation {
    Invocation::new(f, Value::Nil)
}

fn ops_of(fs: &str) -> impl Generator + use<> {
    ops(fs.split_whitespace().map(op).collect::<Vec<_>>())
}

fn counting(f: &'static str) -> impl Generator {
    let mut n = 0;
    from_fn(move || {
        n += 1;
        Some(Invocation::new(f, n))
    })
}

/// The operations of a history, each as `time_ns:process f value`, nil left out.
fn invocations(history: &History) -> Vec<String> {
    let invoked = history.events().filter(|e| e.kind == Kind::Invoke);
    invoked
        .map(|e| {
            let value = if e.value.is_nil() { String::new() } else { format!(" {}", e.value) };
            format!("{}:{} {}{value}", e.time.0, e.process, e.f)
        })
        .collect()
}

/// Runs a generator on two threads, each operation taking 10 ns.
fn check(generator: impl Generator, expected: &[&str]) {
    check_with(Simulator::new(2), generator, expected);
}

fn check_with(simulator: Simulator, generator: impl Generator, expected: &[&str]) {
    let run = simulator.run(generator);
    assert_eq!(invocations(&run.history), expected);
    assert_eq!(run.end, SimulationEnd::Exhausted);
}

/// Operations per function.
fn count(history: &History, f: &str) -> usize {
    history.events().filter(|e| e.kind == Kind::Invoke && &*e.f == f).count()
}

#[test]
fn one_operation_and_several_and_none() {
    check(once(op("a")), &["0:0 a"]);
    check(ops_of("a b c"), &["0:0 a", "0:1 b", "10:0 c"]);
    check(nothing(), &[]);
}

#[test]
fn repeat_and_limit() {
    check(repeat(op("a")).limit(3), &["0:0 a", "0:1 a", "10:0 a"]);
    check(repeat(op("a")).limit(0), &[]);
}

#[test]
fn sequences_go_on_at_once_and_phases_wait_for_all_threads() {
    check(ops_of("a").then(ops_of("b c")), &["0:0 a", "0:1 b", "10:0 c"]);
    check(phases([ops_of("a").boxed(), ops_of("b").boxed()]), &["0:0 a", "10:1 b"]);
    let slow_first = Simulator::new(2).answer(|planned| {
        let time = if &*planned.op.f == "slow" { 100 } else { 10 };
        (Duration::from_nanos(time), Completion::Ok(Value::Nil))
    });
    check_with(
        slow_first,
        ops_of("slow a").then(once(op("b")).synchronize()),
        &["0:0 slow", "0:1 a", "100:0 b"],
    );
}

#[test]
fn cycles_make_new_rounds_and_end_with_an_empty_one() {
    let rounds = cycle(|round| {
        let n = if round < 3 { 1 } else { 0 };
        repeat(Invocation::new("a", round as i64)).limit(n)
    });
    check(rounds, &["0:0 a 0", "0:1 a 1", "10:0 a 2"]);
}

#[test]
fn mixes_keep_their_weights_and_finish_all_parts() {
    let stream = Seed(3).stream("mix");
    let forever = mix(stream.clone(), [(3, counting("a").boxed()), (1, counting("b").boxed())]);
    let history = Simulator::new(2).run(forever.limit(4000)).history;
    let share = count(&history, "a");
    assert!((2850..3150).contains(&share), "{share} of 4000 are not about 3 of 4");
    let finite =
        mix(stream, [(1, counting("a").limit(5).boxed()), (9, counting("b").limit(7).boxed())]);
    let history = Simulator::new(2).run(finite).history;
    assert_eq!((count(&history, "a"), count(&history, "b")), (5, 7));
}

#[test]
fn a_mix_does_not_wait_for_the_part_that_cannot() {
    let stream = Seed(1).stream("mix");
    let parts = [(1, counting("a").on_threads([Thread(0)]).boxed()), (1, counting("b").boxed())];
    let run = Simulator::new(2).run(mix(stream, parts).limit(50));
    assert_eq!((run.end, run.history.len()), (SimulationEnd::Exhausted, 100));
}

#[test]
fn filters_and_maps_change_what_comes_through() {
    check(
        counting("a").filter(|op| op.value.as_int().unwrap() % 3 == 0).limit(2),
        &["0:0 a 3", "0:1 a 6"],
    );
    let double = |op: Invocation| Invocation::new(op.f, op.value.as_int().unwrap() * 2);
    check(counting("a").map(double).limit(2), &["0:0 a 2", "0:1 a 4"]);
    check(ops_of("a b").f_map([("a", "x")]), &["0:0 x", "0:1 b"]);
}

#[test]
fn a_filter_that_lets_nothing_through_hangs_nobody() {
    let nothing = counting("a").filter(|_| false).time_limit(secs(1));
    let run = Simulator::new(1).run(any([nothing.boxed(), once(op("b")).boxed()]).limit(1));
    assert_eq!(invocations(&run.history), ["0:0 b"]);
}

#[test]
fn time_limits_count_from_the_first_operation() {
    let late = sleep(Duration::from_nanos(100)).then(repeat(op("a")));
    check_with(
        Simulator::new(1),
        late.time_limit(Duration::from_nanos(25)),
        &["100:0 a", "110:0 a", "120:0 a"],
    );
    // Whatever the inner one waits for, the end comes.
    let silent = once(op("a")).then(sleep(secs(1000)));
    let run = Simulator::new(1).run(silent.time_limit(millis(5)).then(once(op("b"))));
    assert_eq!(invocations(&run.history), ["0:0 a", "5000000:0 b"]);
}

#[test]
fn stagger_keeps_the_total_rate_whatever_the_concurrency() {
    for concurrency in [1, 7] {
        let stream = Seed(5).stream("stagger");
        let main = repeat(op("a")).stagger(millis(1), stream).time_limit(secs(10));
        let history = Simulator::new(concurrency).run(main).history;
        let n = count(&history, "a");
        assert!((9_700..10_300).contains(&n), "{n} operations in 10 s, at 1000 per second");
    }
}

#[test]
fn staggered_times_are_irregular_within_twice_the_mean() {
    let stream = Seed(5).stream("stagger");
    let history =
        Simulator::new(4).run(repeat(op("a")).stagger(millis(1), stream).limit(1000)).history;
    let times: Vec<u64> =
        history.events().filter(|e| e.kind == Kind::Invoke).map(|e| e.time.0).collect();
    let gaps: Vec<u64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(gaps.iter().all(|gap| *gap < 2_000_000));
    assert!(gaps.iter().any(|gap| *gap < 300_000) && gaps.iter().any(|gap| *gap > 1_700_000));
}

#[test]
fn delays_are_exact() {
    check(
        repeat(op("a")).delay(Duration::from_nanos(7)).limit(4),
        &["0:0 a", "7:1 a", "14:0 a", "21:1 a"],
    );
}

#[test]
fn a_late_schedule_catches_up_but_an_outage_brings_no_burst() {
    // The first operation takes a second: a hundred others were due in that time.
    let mut first = true;
    let outage = Simulator::new(1).answer(move |_| {
        let time = if std::mem::take(&mut first) { secs(1) } else { Duration::from_nanos(10) };
        (time, Completion::Ok(Value::Nil))
    });
    let run = outage.run(repeat(op("a")).delay(millis(10)).time_limit(millis(2000)));
    let n = count(&run.history, "a");
    assert!((100..=108).contains(&n), "{n} operations in the second that was left");
    // Late by less than the gap is made up for: the rate stays true.
    let slow = Simulator::new(1).answer(|_| (millis(9), Completion::Ok(Value::Nil)));
    let run = slow.run(repeat(op("a")).delay(millis(10)).limit(100));
    assert_eq!(run.history.time(198), Time::from_millis(990));
}

#[test]
fn sleeps_and_messages_need_no_thread() {
    let talk = once(op("a"))
        .then(log("between"))
        .then(sleep(Duration::from_nanos(50)))
        .then(log("after"))
        .then(once(op("b")));
    let run = Simulator::new(1).run(talk);
    assert_eq!(invocations(&run.history), ["0:0 a", "50:0 b"]);
    assert_eq!(run.log, [(Time(0), "between".into()), (Time(50), "after".into())]);
}

#[test]
fn until_ok_ends_with_the_first_success_of_its_own() {
    let mut n = 0;
    let third = Simulator::new(1).answer(move |_| {
        n += 1;
        let done = match n {
            3 => Completion::Ok(Value::Nil),
            _ => Completion::Fail(OpError::new("no", "")),
        };
        (Duration::from_nanos(10), done)
    });
    check_with(third, repeat(op("a")).until_ok(), &["0:0 a", "10:0 a", "20:0 a"]);
    // Another generator's success does not count.
    let by_f = Simulator::new(2).answer(|planned| {
        let done = match &*planned.op.f {
            "good" => Completion::Ok(Value::Nil),
            _ => Completion::Fail(OpError::new("no", "")),
        };
        (Duration::from_nanos(10), done)
    });
    let both = any([repeat(op("bad")).until_ok().boxed(), repeat(op("good")).limit(3).boxed()]);
    let run = by_f.ops_max(50).run(both);
    assert_eq!(run.end, SimulationEnd::OpsMax, "`bad` never succeeds");
    assert_eq!(count(&run.history, "good"), 3);
}

#[test]
fn flip_flop_alternates_until_one_has_no_more() {
    check(
        flip_flop(counting("a"), ops_of("b b")),
        &["0:0 a 1", "0:1 b", "10:0 a 2", "10:1 b", "20:0 a 3"],
    );
}

#[test]
fn cycle_times_take_turns_by_the_clock_and_keep_their_state() {
    let turns = cycle_times([
        (Duration::from_nanos(20), counting("a").boxed()),
        (Duration::from_nanos(10), counting("b").boxed()),
    ]);
    check_with(
        Simulator::new(1),
        turns.limit(6),
        &["0:0 a 1", "10:0 a 2", "20:0 b 1", "30:0 a 3", "40:0 a 4", "50:0 b 2"],
    );
    let ending = cycle_times([
        (Duration::from_nanos(20), ops_of("a").boxed()),
        (Duration::from_nanos(20), ops_of("b").boxed()),
    ]);
    check_with(Simulator::new(1), ending, &["0:0 a", "20:0 b"]);
}

#[test]
fn each_thread_and_each_node_have_their_own() {
    check_with(
        Simulator::new(3),
        each_thread(|thread| ops([op("a"), Invocation::new("b", i64::from(thread.0))])),
        &["0:0 a", "0:1 a", "0:2 a", "10:0 b 0", "10:1 b 1", "10:2 b 2"],
    );
    let reads = each_node([NodeId(0), NodeId(1)], |node| {
        repeat(Invocation::new("r", i64::from(node.0))).limit(2)
    });
    let history = Simulator::new(4).nodes(2).run(reads).history;
    assert_eq!(history.len(), 8);
    for e in history.events() {
        assert_eq!(e.value, i64::from(e.node.unwrap().0).into());
    }
}

#[test]
fn each_process_begins_anew_where_a_thread_does() {
    let one_per_process = each_process(|_| once(op("a"))).limit(6);
    check_with(
        Simulator::new(2).with_infos(),
        one_per_process,
        &["0:0 a", "0:1 a", "10:2 a", "10:3 a", "20:4 a", "20:5 a"],
    );
    check(each_process(|_| once(op("a"))), &["0:0 a", "0:1 a"]);
}

#[test]
fn reserve_keeps_ranges_apart() {
    let parts = [(1, counting("a").boxed()), (2, counting("b").boxed())];
    let history = Simulator::new(6).run(reserve(parts, counting("c")).limit(300)).history;
    for e in history.events() {
        let expected = match e.process.0 {
            0 => "a",
            1 | 2 => "b",
            _ => "c",
        };
        assert_eq!(&*e.f, expected);
    }
    assert_eq!((count(&history, "a"), count(&history, "b"), count(&history, "c")), (50, 100, 150));
}

#[test]
fn a_range_without_threads_is_no_obstacle() {
    let parts = [(2, counting("a").limit(4).boxed()), (5, repeat(op("b")).boxed())];
    let run = Simulator::new(2).run(reserve(parts, repeat(op("c"))));
    assert_eq!((run.end, run.history.len()), (SimulationEnd::Exhausted, 8));
}

#[test]
fn threads_that_are_named_are_the_only_ones() {
    check_with(
        Simulator::new(3),
        repeat(op("a")).on_threads([Thread(2)]).limit(2),
        &["0:2 a", "10:2 a"],
    );
}

#[test]
fn any_gives_the_soonest_and_lets_equals_take_turns() {
    let late = sleep(Duration::from_nanos(15)).then(ops_of("late"));
    check_with(
        Simulator::new(1),
        any([late.boxed(), ops_of("a b").boxed()]),
        &["0:0 a", "10:0 b", "20:0 late"],
    );
    let history =
        Simulator::new(1).run(any([counting("a").boxed(), counting("b").boxed()]).limit(100));
    assert_eq!(count(&history.history, "a"), 50);
}

#[test]
fn process_limits_count_everybody_who_could_have_taken_part() {
    let run = Simulator::new(3).with_infos().run(repeat(op("a")).process_limit(8));
    let processes: std::collections::BTreeSet<Process> =
        run.history.events().map(|e| e.process).collect();
    assert_eq!(run.end, SimulationEnd::Exhausted);
    assert!((6..=8).contains(&processes.len()), "{processes:?}");
    check(repeat(op("a")).process_limit(1), &[]);
}

#[test]
fn concurrency_limits_hold() {
    check_with(
        Simulator::new(5),
        repeat(op("a")).concurrency_limit(2).limit(4),
        &["0:0 a", "0:1 a", "10:2 a", "10:3 a"],
    );
}

#[test]
fn keys_one_after_the_other() {
    check(
        sequential_keys(["x", "y"], |_| counting("a").limit(2)),
        &[r#"0:0 a ["x" 1]"#, r#"0:1 a ["x" 2]"#, r#"10:0 a ["y" 1]"#, r#"10:1 a ["y" 2]"#],
    );
}

#[test]
fn keys_in_groups_of_threads() {
    let history =
        Simulator::new(5).run(concurrent_keys(2, 0..7, |_| counting("a").limit(10))).history;
    let mut threads: std::collections::BTreeMap<Value, ThreadSet> = Default::default();
    for e in history.events().filter(|e| e.kind == Kind::Invoke) {
        let key = e.value.as_list().unwrap()[0].clone();
        threads.entry(key).or_insert(ThreadSet::empty()).insert(Thread(e.process.0 as u16));
    }
    assert_eq!((threads.len(), history.len()), (7, 7 * 10 * 2));
    let (first, last) = (ThreadSet::range(0, 2), ThreadSet::range(2, 5));
    assert!(threads.values().all(|t| *t == first || *t == last), "{threads:?}");
}

#[test]
fn what_happens_to_a_key_reaches_its_generator_alone() {
    // `until_ok` sees its own value without the key, and ends each key at its first success.
    let keys = concurrent_keys(1, 0..4, |_| repeat(op("a")).until_ok());
    let history = Simulator::new(2).run(keys).history;
    assert_eq!(history.len(), 8);
}

#[test]
fn popular_keys_follow_zipf() {
    let keys = Keys::zipfian(10, 1.0).unwrap();
    let mut stream = Seed(1).stream("keys");
    let mut counts = [0u32; 10];
    for _ in 0..100_000 {
        counts[keys.draw(&mut stream) as usize] += 1;
    }
    let harmonic: f64 = (1..=10).map(|i| 1.0 / f64::from(i)).sum();
    for (i, n) in counts.iter().enumerate() {
        let expected = 100_000.0 / (i as f64 + 1.0) / harmonic;
        assert!((f64::from(*n) - expected).abs() < 5.0 * expected.sqrt(), "{i}: {n}, {expected}");
    }
    let alike = Keys::uniform(3).unwrap();
    let drawn: std::collections::BTreeSet<u64> =
        (0..100).map(|_| alike.draw(&mut stream)).collect();
    assert_eq!(drawn, [0, 1, 2].into());
    assert!(Keys::uniform(0).is_err() && Keys::zipfian(0, 1.0).is_err());
    assert!(Keys::zipfian(9, f64::NAN).is_err() && Keys::zipfian(1 << 30, 1.0).is_err());
}

#[test]
fn the_simulator_knows_unknown_outcomes_and_what_waits_for_nothing() {
    let run = Simulator::new(2).with_everything().run(repeat(op("a")).limit(6));
    let kinds: Vec<Kind> =
        run.history.events().map(|e| e.kind).filter(|k| *k != Kind::Invoke).collect();
    assert_eq!(kinds, [Kind::Ok, Kind::Ok, Kind::Info, Kind::Info, Kind::Fail, Kind::Fail]);
    let stuck = Simulator::new(1).run(once(op("a")).on_threads([Thread(7)]));
    assert_eq!(stuck.end, SimulationEnd::Stuck);
    let endless = Simulator::new(1).ops_max(10).run(repeat(op("a")));
    assert_eq!((endless.end, endless.history.len()), (SimulationEnd::OpsMax, 20));
}

/// Everything at once, with several seeds.
fn everything(seed: Seed) -> Boxed {
    let keys = Keys::zipfian(5, 1.0).unwrap();
    let mut stream = seed.stream("keys");
    let reads = from_fn(move || Some(Invocation::new("r", keys.draw(&mut stream) as i64)));
    let main = mix(seed.stream("mix"), [(2, counting("w").boxed()), (1, reads.boxed())])
        .stagger(Duration::from_nanos(9), seed.stream("stagger"))
        .time_limit(Duration::from_nanos(4000));
    let turns = cycle_times([
        (Duration::from_nanos(70), counting("x").concurrency_limit(2).boxed()),
        (Duration::from_nanos(30), flip_flop(counting("y"), counting("z")).boxed()),
    ])
    .delay(Duration::from_nanos(11))
    .time_limit(Duration::from_nanos(3000));
    phases([
        reserve([(2, main.boxed())], turns).boxed(),
        each_thread(|_| repeat(op("final")).until_ok()).boxed(),
        concurrent_keys(2, 0..4, |_| counting("k").limit(5)).boxed(),
    ])
    .boxed()
}

#[test]
fn the_seed_and_the_contexts_decide_everything() {
    let run = |seed| {
        let latencies = (Duration::from_nanos(5), Duration::from_nanos(90));
        let simulator =
            Simulator::new(6).with_latencies(latencies.0, latencies.1, Seed(9).stream("l"));
        invocations(&simulator.run(everything(seed)).history)
    };
    assert_eq!(run(Seed(1)), run(Seed(1)));
    assert_ne!(run(Seed(1)), run(Seed(2)));
    assert!(run(Seed(1)).len() > 300);
}

/// Asks its inner generator three times for each answer that is used.
struct Nosy(Boxed);

impl Generator for Nosy {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        let first = self.0.next(ctx);
        // Nobody is free: nothing can be offered, and nothing may be lost.
        let busy = self.0.next(&ctx.with_free(ThreadSet::empty()));
        assert!(!matches!(busy, Next::Op(_)), "an operation for nobody: {busy:?}");
        let again = self.0.next(ctx);
        assert_eq!(first, again, "asking changed the answer");
        again
    }
    fn take(&mut self, ctx: &Context<'_>) {
        self.0.take(ctx);
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        self.0.update(ctx, update);
    }
}

#[test]
fn asking_loses_nothing() {
    let simulate =
        |generator: Boxed| invocations(&Simulator::new(6).with_everything().run(generator).history);
    for seed in (0..20).map(Seed) {
        let once = simulate(everything(seed));
        assert_eq!(simulate(Nosy(everything(seed)).boxed()), once);
    }
}

#[test]
fn threads_take_turns_and_know_their_nodes() {
    let set = ThreadSet::from_iter([Thread(3), Thread(64), Thread(1000)]);
    assert_eq!(set.next_from(Thread(4)), Some(Thread(64)));
    assert_eq!(set.next_from(Thread(1001)), Some(Thread(3)));
    assert_eq!(set.next_from(Thread(1024)), Some(Thread(3)));
    assert_eq!(ThreadSet::one(Thread(5)).next_from(Thread(6)), Some(Thread(5)));
    assert_eq!(ThreadSet::empty().next_from(Thread(6)), None);
    assert_eq!(set.iter().map(|t| t.0).collect::<Vec<_>>(), [3, 64, 1000]);
    let processes = [Process(0), Process(1), Process(2)];
    let ctx = Context::new(Time::ZERO, &processes, 2);
    assert_eq!((ctx.node(Thread(2)), ctx.concurrency()), (NodeId(0), 3));
}
