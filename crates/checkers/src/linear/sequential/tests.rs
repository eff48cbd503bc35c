//! Sequential consistency on vectors, and the search against the independent check.

use super::super::super::histories::{Object, Recorder, Run};
use super::super::super::txn::causal;
use super::super::tests::shown;
use super::super::{CasRegister, Fifo, Registers, linearizable};
use super::*;
use fuzz_dist_random::{Seed, Stream};

/// One operation on a line: `0: write x 1`, `1?: cas x 1 2`, `1: read x nil`; each ends before
/// the next one begins.
fn parse(text: &str) -> History {
    let mut r = Recorder::new(["n1", "n2"]);
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let (client, op) = line.split_once(": ").expect("a client");
        let process: u32 = client.trim_end_matches(['?', '!']).parse().expect("a number");
        let words: Vec<&str> = op.split(' ').collect();
        let value = |w: &str| w.parse::<i64>().map_or(Value::Nil, Value::Int);
        let key = Value::from(words[1]);
        let argument = match words[..] {
            [_, _, old, new] => Value::list([value(old), value(new)]),
            ["read", ..] => Value::Nil,
            _ => value(words[2]),
        };
        r.invoke(process, words[0], Value::list([key.clone(), argument.clone()]));
        match client.chars().last() {
            Some('?') => r.info(process),
            Some('!') => r.fail(process),
            _ if words[0] == "read" => r.ok(process, Value::list([key, value(words[2])])),
            _ => r.ok(process, Value::list([key, argument])),
        };
    }
    r.history()
}

fn says(text: &str) -> Verdict {
    sequential(Registers).check(&parse(text))
}

#[test]
fn real_time_does_not_count_and_the_order_of_a_client_does() {
    assert!(says("0: write x 1\n1: read x nil\n1: read x 1").is_valid());
    assert!(says("0: write x 1\n0: read x nil").is_invalid());
    assert!(says("0: write x 1\n1: read x 1\n1: read x nil").is_invalid());
    // Dekker: neither sees the other's write.
    assert!(says("0: write x 1\n0: read y nil\n1: write y 1\n1: read x nil").is_invalid());
    // Two readers see two writes in different orders.
    let fork = "0: write x 1\n1: write y 1\n2: read x 1\n2: read y nil\n3: read y 1\n3: read x nil";
    assert!(says(fork).is_invalid());
}

#[test]
fn outcomes_are_what_they_say() {
    assert!(says("0!: write x 1\n1: read x 1").is_invalid());
    assert!(says("0?: write x 1\n1: read x 1").is_valid());
    assert!(says("0?: write x 1\n1: read x nil").is_valid());
    // It cannot have happened before what its own process did before.
    assert!(says("0: write x 1\n0?: write y 1\n1: read y 1\n1: read x nil").is_invalid());
    assert!(says("0: cas x 1 2").is_invalid());
    assert!(says("0: write x 1\n1: cas x 1 2\n2: read x 2").is_valid());
}

#[test]
fn what_cannot_be_judged_is_unknown() {
    for text in ["", "0!: write x 1", "0?: write x 1", "0: frob x 1"] {
        assert_eq!(says(text).validity, Validity::Unknown, "{text}");
    }
    let mut r = Recorder::new(["n1"]);
    for client in 0..20 {
        r.invoke(client, "enqueue", i64::from(client % 2));
        r.done(client);
    }
    r.invoke(0, "dequeue", Value::Nil);
    r.ok(0, 7);
    let verdict = sequential(Fifo).steps_max(50).check(&r.history());
    assert_eq!(verdict.validity, Validity::Unknown);
    assert!(verdict.reasons[0].starts_with("budget: "), "{:?}", verdict.reasons);
}

#[test]
fn the_witness_has_only_what_the_contradiction_needs() {
    let mut text = String::new();
    for i in 0..30 {
        text += &format!("{}: write z {i}\n{}: read z {i}\n", i % 3, (i + 1) % 3);
    }
    text += "0: write x 1\n0: read y nil\n1: write y 1\n1: read x nil\n";
    text += "4: write z 100\n4: read z 100\n";
    let verdict = says(&text);
    let anomaly = &verdict.anomalies[0];
    assert_eq!(anomaly.events, (120..128).collect::<Vec<_>>(), "{}", anomaly.explanation);
    assert_eq!(verdict.results["witness_checked"], true);
    assert_eq!(
        anomaly.explanation,
        "no order of these operations is possible that keeps the order of each client:\n\
         client 0 on n1: write [\"x\" 1], read [\"y\" nil]\n\
         client 1 on n2: write [\"y\" 1], read [\"x\" nil]\n\
         an independent check of all their orders agrees"
    );
}

#[test]
fn registers_with_distinct_values_need_no_search() {
    for seed in 0..8 {
        let keys = 1 + seed as usize % 4;
        let run = Run::new(Object::Registers).operations(2_000).clients(3 + seed as u32).keys(keys);
        let planted = run.clone().plant("not_sequential").history(Seed(seed));
        let verdict = sequential(Registers).steps_max(0).check(&planted);
        assert!(verdict.is_invalid(), "{seed}: {:?}", verdict.reasons);
        assert_eq!(verdict.anomalies[0].events.len(), 8, "{}", verdict.anomalies[0].explanation);
        // What is known narrows the search: next to nothing is tried in vain.
        let valid = sequential(Registers).check(&run.history(Seed(seed)));
        assert!(valid.is_valid(), "{seed}: {:?}", valid.reasons);
        let (steps, operations) = (&valid.results["steps"], &valid.results["operation_count"]);
        assert!(steps.as_u64() < operations.as_u64().map(|n| 20 * n), "{steps} of {operations}");
    }
}

/// Each unknown outcome ends a session: there are hundreds of these, which fill few lanes.
#[test]
fn many_unknown_outcomes_are_derived_within_little_space() {
    for seed in 0..4 {
        let run = Run::new(Object::Registers).operations(3_000).clients(8).keys(4);
        let run = run.outcomes(0.2, 0.02);
        let checker = sequential(Registers).bytes_max(16 << 20);
        let planted = run.clone().plant("not_sequential").history(Seed(seed));
        let verdict = checker.clone().steps_max(0).check(&planted);
        assert!(verdict.results["session_count"].as_u64() > Some(500), "{verdict:?}");
        assert!(verdict.is_invalid(), "{seed}: {:?}", verdict.reasons);
        assert_eq!(verdict.anomalies[0].events.len(), 8, "{}", verdict.anomalies[0].explanation);
        let valid = checker.check(&run.history(Seed(seed)));
        assert!(valid.is_valid(), "{seed}: {:?}", valid.reasons);
        // Where the space is not enough, the search is left to itself, and does not go wrong.
        let cramped = checker.bytes_max(100_000);
        assert!(!cramped.check(&run.history(Seed(seed))).is_invalid());
        let verdict = cramped.steps_max(1_000).check(&planted);
        assert_eq!(verdict.validity, Validity::Unknown);
    }
}

/// The witness of what is known without a search has all that it needs, and keeps only that.
#[test]
fn a_contradiction_that_follows_over_several_rounds_is_witnessed() {
    // The reads of 2 and 3 order the writes of x, these those of y, and these those of z.
    let text = "0: write x 1\n0: write z 1\n1: write x 2\n1: write y 2\n2: read x 1\n2: read x 2\n\
                2: write y 3\n3: read y 3\n3: read y 2\n3: write z 4\n\
                4: read z 4\n4: read z 1\n4: read x 1";
    for (text, valid) in [(text, false), (text.rsplit_once('\n').expect("lines").0, true)] {
        let verdict = sequential(Registers).steps_max(0).check(&parse(text));
        let searched = sequential(Registers).check(&parse(text));
        assert_eq!(verdict.is_invalid(), !valid, "{:?}", verdict.reasons);
        assert_eq!(searched.is_valid(), valid, "{:?}", searched.reasons);
    }
}

/// Is something assumed at first, and in vain?
fn assumed(work: &[Work<<Registers as Model>::Op>]) -> [bool; 2] {
    let reads = reads::Reads::new(work, &reads::Accesses::new(&Registers, work));
    let times = times::times(work, &reads);
    let lanes = lanes::Lanes::new(work, &reads, &times, 0);
    let known = known::derive(&lanes, &reads, &times, 1 << 20);
    [lanes.assume(), known.is_err_and(|contradiction| contradiction.assumed.is_some())]
}

/// A session that begins late reads what was there early, so that it does not come behind others.
#[test]
fn what_was_assumed_in_vain_is_assumed_no_more() {
    // By the time at which they seem to take effect, 3 comes long after 1, and 4 after 2. What the
    // others read says otherwise.
    let text = "1: write x 1\n1: write y 1\n9: write z 7\n9: write z 8\n9: write z 9\n\
                3: write x 2\n3: write y 2\n5: read x 2\n5: read x 1\n5: read y 2\n5: read y 1";
    let checker = sequential(Registers).steps_max(1_000);
    let history = parse(text);
    assert_eq!(assumed(&checker.work(&history).expect("registers")), [true, true]);
    assert!(checker.check(&history).is_valid());
    // Whatever is assumed: this is impossible.
    let verdict = checker.check(&parse(&format!("{text}\n5: read x 2")));
    assert!(verdict.is_invalid(), "{:?}", verdict.reasons);
}

#[test]
fn a_weaker_checker_refutes_without_a_search() {
    let checker = sequential(Registers).refuted_by(causal()).steps_max(0);
    let verdict = checker.check(&parse("0: write x 1\n0: read x nil"));
    assert!(verdict.is_invalid() && &*verdict.checker == NAME);
    assert_eq!(&*verdict.anomalies[0].kind, "stale-initial-read");
    assert_eq!(verdict.reasons[0], "not even causal");
}

/// Clients of registers that take effect in some order, mostly; some reads are disturbed. What is given
/// up takes effect before that, later than what its client and others do next, or never.
fn random(seed: Seed, unknown: f64) -> History {
    let mut s = seed.stream("sequential");
    let mut r = Recorder::new(["n1", "n2"]);
    let clients = 1 + s.index(3);
    let mut scripts: Vec<Vec<(&str, i64, Value, bool)>> = vec![Vec::new(); clients];
    let mut held = [Value::Nil, Value::Nil];
    let mut given_up: Vec<(usize, Value)> = Vec::new();
    for n in 0..s.index(9) {
        for (key, value) in given_up.extract_if(.., |_| s.chance(0.3)) {
            held[key] = value;
        }
        let (key, client) = (s.index(2), s.index(clients));
        let value = Value::Int(if s.chance(0.5) { n as i64 } else { s.below(2) as i64 });
        let gives_up = s.chance(unknown / 2.0);
        let (f, key, value) = match s.below(5) {
            0..2 if gives_up && s.chance(0.7) => {
                if s.chance(0.6) {
                    given_up.push((key, value.clone()));
                }
                ("write", key as i64, value)
            }
            0..2 => {
                held[key] = value.clone();
                ("write", key as i64, value)
            }
            2 if !held[key].is_nil() => {
                let old = std::mem::replace(&mut held[key], value.clone());
                ("cas", key as i64, Value::list([old, value]))
            }
            _ if s.chance(0.12) => ("read", key as i64, value),
            _ if s.chance(0.1) => ("read", key as i64, Value::Nil),
            _ => ("read", key as i64, held[key].clone()),
        };
        scripts[client].push((f, key, value, gives_up));
    }
    // In the history they run at other times, which does not matter.
    let mut left: Vec<std::collections::VecDeque<_>> =
        scripts.into_iter().map(Into::into).collect();
    let mut process: Vec<u32> = (0..clients as u32).collect();
    while left.iter().any(|l| !l.is_empty()) {
        let c = s.index(clients);
        let Some((f, key, value, gives_up)) = left[c].pop_front() else { continue };
        let (op, unknown) = ((f, key, value), if gives_up { 1.0 } else { unknown / 2.0 });
        step(&mut r, &mut s, &mut process[c], clients as u32, op, unknown);
    }
    r.history()
}

fn step(
    r: &mut Recorder,
    s: &mut Stream,
    process: &mut u32,
    clients: u32,
    (f, key, value): (&str, i64, Value),
    unknown: f64,
) {
    let argument = if f == "read" { Value::Nil } else { value.clone() };
    r.invoke(*process, f, Value::list([key.into(), argument]));
    if s.chance(unknown) {
        r.info(*process);
        // A process that goes on is no process of ours, but other histories have some.
        *process += if s.chance(0.2) { 0 } else { clients };
    } else if s.chance(0.03) {
        r.fail(*process);
    } else {
        r.ok(*process, Value::list([key.into(), value]));
    }
}

#[test]
fn the_search_agrees_with_the_independent_check() {
    let (mut seen, mut tries) = ([0usize; 3], [0usize; 2]);
    for seed in 0..6_000 {
        // In every other one, most outcomes are unknown.
        let history = random(Seed(seed), if seed % 2 == 0 { 0.07 } else { 0.5 });
        let checker = sequential(Registers);
        let work = checker.work(&history).expect("registers");
        let verdict = checker.check(&history);
        let expected = match witness::explains(&Registers, &work) {
            _ if work.iter().all(|w| w.completed.is_none()) => Validity::Unknown,
            Some(true) => Validity::Valid,
            _ => Validity::Invalid,
        };
        let events = || shown(&history);
        assert_eq!(
            verdict.validity,
            expected,
            "seed {seed}: {:#?} {:?}",
            events(),
            verdict.reasons
        );
        // Without the attempt, what is derived has to do it.
        let limits = Limits { patience: 0, steps: 100_000, bytes: 1 << 20 };
        let end = decide(&Registers, &work, limits, &mut 0);
        let derived =
            expected == Validity::Unknown || (expected == Validity::Valid) == (end == End::Order);
        assert!(
            derived && !matches!(end, End::Budget { .. }),
            "seed {seed}: {:#?} {end:?}",
            events()
        );
        // What real time allows, an order without it does, too; and what is not causal has none.
        let linear = linearizable(Registers).check(&history);
        assert!(!linear.is_valid() || verdict.is_valid(), "seed {seed}: {:#?}", events());
        let refuted = sequential(Registers).refuted_by(causal()).check(&history);
        assert_eq!(refuted.validity, expected, "seed {seed}: {:#?}", events());
        seen[expected as usize] += 1;
        tries.iter_mut().zip(assumed(&work)).for_each(|(n, is)| *n += usize::from(is));
    }
    assert!(seen[0] > 750 && seen[2] > 750, "{seen:?}");
    assert!(tries[0] > 750 && tries[1] > 18, "{tries:?}");
}

#[test]
fn any_model_will_do() {
    let mut r = Recorder::new(["n1"]);
    for (client, f, value) in [(0, "enqueue", 1), (1, "enqueue", 2), (2, "dequeue", 2)] {
        r.invoke(client, f, if f == "dequeue" { Value::Nil } else { Value::Int(value) });
        r.ok(client, value);
    }
    let history = r.history();
    assert!(sequential(Fifo).check(&history).is_valid());
    assert!(linearizable(Fifo).check(&history).is_invalid());
    assert_eq!(sequential(CasRegister).check(&history).validity, Validity::Unknown);
}
