//! Linearizability on vectors, and the search and the zones against the independent check.

use std::collections::BTreeSet;

use super::super::calls::{Outcome, calls};
use super::super::histories::Recorder;
use super::super::{Checker, Validity};
use super::*;
use fuzz_dist_history::History;
use fuzz_dist_history::op::Value;
use fuzz_dist_random::Seed;

/// Every operation of a history as the independent check wants it.
fn steps<M: Model>(model: &M, h: &History) -> Vec<Step<M::Op>> {
    let names: Vec<&str> = h.functions().iter().map(|f| &**f).collect();
    calls(h, &names)
        .filter(|c| c.outcome != Outcome::Failed)
        .map(|c| {
            let result = c.acknowledged().map(|i| h.value(i));
            let op = model.decode(h.function(c.invoked), &h.value(c.invoked), result.as_ref());
            Step { op: op.unwrap(), invoked: c.invoked, completed: c.acknowledged() }
        })
        .collect()
}

fn expected<M: Model>(model: &M, h: &History) -> Validity {
    let steps = steps(model, h);
    if steps.iter().all(|s| s.completed.is_none()) {
        return Validity::Unknown;
    }
    match explains(model, &[model.initial()], &steps) {
        Some(true) => Validity::Valid,
        Some(false) => Validity::Invalid,
        None => panic!("too long for the independent check"),
    }
}

/// Random operations on an object that mostly behaves; `op` gives function and argument, `act`
/// the result of one on the true state.
fn random(
    seed: Seed,
    op: impl Fn(&mut fuzz_dist_random::Stream, usize) -> (&'static str, Value),
    act: impl FnMut(&mut fuzz_dist_random::Stream, &str, &Value) -> Option<Value>,
) -> History {
    crowded(seed, (5, 30), op, act)
}

/// The same with up to so many clients and moments. What is given up takes effect before, afterwards,
/// at any later time, or never.
fn crowded(
    seed: Seed,
    (clients, events): (usize, usize),
    op: impl Fn(&mut fuzz_dist_random::Stream, usize) -> (&'static str, Value),
    mut act: impl FnMut(&mut fuzz_dist_random::Stream, &str, &Value) -> Option<Value>,
) -> History {
    let mut s = seed.stream("linear");
    let mut r = Recorder::new(["n1", "n2"]);
    let clients = 1 + s.index(clients);
    let mut process: Vec<u32> = (0..clients as u32).collect();
    type Open = Option<(&'static str, Value, Option<Option<Value>>)>;
    let mut open: Vec<Open> = vec![None; clients];
    let mut given_up: Vec<(&'static str, Value)> = Vec::new();
    for n in 0..s.index(events) {
        let late: Vec<_> = given_up.extract_if(.., |_| s.chance(0.08)).collect();
        for (f, value) in late {
            act(&mut s, f, &value);
        }
        let c = s.index(clients);
        match open[c].take() {
            None => {
                let (f, value) = op(&mut s, n);
                r.invoke(process[c], f, value.clone());
                open[c] = Some((f, value, None));
            }
            Some((f, value, None)) if s.chance(0.08) => {
                given_up.push((f, value));
                r.info(process[c]);
                process[c] += clients as u32;
            }
            Some((f, value, None)) => {
                let result = act(&mut s, f, &value);
                open[c] = Some((f, value, Some(result)));
            }
            Some((_, value, Some(Some(result)))) if s.chance(0.9) => {
                let result = if result.is_nil() && !value.is_nil() { value } else { result };
                r.ok(process[c], result);
            }
            Some((_, _, Some(None))) => drop(r.fail(process[c])),
            Some(_) => {
                r.info(process[c]);
                process[c] += clients as u32;
            }
        }
    }
    r.history()
}

fn cas_history(seed: Seed) -> History {
    crowded_cas_history(seed, (5, 30))
}

fn crowded_cas_history(seed: Seed, size: (usize, usize)) -> History {
    let mut state = Value::Nil;
    let op = |s: &mut fuzz_dist_random::Stream, _| match s.below(3) {
        0 => ("read", Value::Nil),
        1 => ("write", Value::Int(s.below(3) as i64)),
        _ => ("cas", Value::list([s.below(3) as i64, s.below(3) as i64])),
    };
    crowded(seed, size, op, move |s, f, value| match f {
        "read" => Some(if s.chance(0.07) { Value::Int(s.below(3) as i64) } else { state.clone() }),
        "write" => {
            if !s.chance(0.04) {
                state = value.clone();
            }
            Some(value.clone())
        }
        _ => {
            let [old, new] = value.as_list()? else { return None };
            let hit = *old == state || s.chance(0.03);
            hit.then(|| {
                state = new.clone();
                value.clone()
            })
        }
    })
}

/// The events of a history, for messages.
pub(super) fn shown(history: &History) -> Vec<String> {
    let event = |e: fuzz_dist_history::op::Event| {
        format!("{} {} {} {}", e.process, e.kind.as_str(), e.f, e.value)
    };
    history.events().map(event).collect()
}

fn agree<M: Model + Copy>(model: M, history: impl Fn(Seed) -> History, least: usize) {
    let mut seen = [0usize; 3];
    for seed in 0..4_000 {
        let h = history(Seed(seed));
        let verdict = linearizable(model).check(&h);
        let expected = expected(&model, &h);
        assert_eq!(verdict.validity, expected, "seed {seed}: {:?}", verdict.reasons);
        if verdict.is_invalid() {
            assert_eq!(verdict.results["witness_checked"], true, "seed {seed}");
        }
        seen[expected as usize] += 1;
    }
    assert!(seen[0] > least && seen[2] > least, "{seen:?}");
}

#[test]
fn cas_registers_agree_with_the_independent_check() {
    agree(CasRegister, cas_history, 200);
    // Many writes at a time: what the search leaves out matters there.
    agree(CasRegister, |seed| crowded_cas_history(seed, (10, 60)), 200);
}

#[test]
fn locks_agree_with_the_independent_check() {
    let history = |seed| {
        let mut held = false;
        let op = |s: &mut fuzz_dist_random::Stream, _| {
            (if s.chance(0.5) { "acquire" } else { "release" }, Value::Nil)
        };
        random(seed, op, move |s, f, _| {
            let can = (f == "release") == held || s.chance(0.05);
            can.then(|| {
                held = f == "acquire";
                Value::Nil
            })
        })
    };
    agree(Mutex, history, 80);
}

fn queue_history(seed: Seed) -> History {
    let mut queue = std::collections::VecDeque::new();
    let op = |s: &mut fuzz_dist_random::Stream, n: usize| match s.chance(0.5) {
        true => ("enqueue", Value::Int(n as i64)),
        false => ("dequeue", Value::Nil),
    };
    random(seed, op, move |s, f, value| {
        if f == "enqueue" {
            queue.push_back(value.clone());
            return Some(value.clone());
        }
        if s.chance(0.3) && queue.len() > 1 {
            queue.swap(0, 1);
        }
        if s.chance(0.05) {
            return Some(Value::Nil);
        }
        Some(queue.pop_front().unwrap_or(Value::Nil))
    })
}

#[test]
fn queues_agree_with_the_independent_check() {
    agree(Fifo, queue_history, 40);
}

#[test]
fn queues_of_distinct_elements_agree_without_a_search() {
    let mut seen = [0usize; 3];
    let mut open = [0usize; 3];
    for seed in 0..8_000 {
        let h = queue_history(Seed(seed));
        let verdict = fifo().check(&h);
        let expected = expected(&Fifo, &h);
        if calls(&h, &["dequeue"]).any(|c| c.outcome == Outcome::Open) {
            open[expected as usize] += 1;
        }
        let events = || shown(&h);
        assert_eq!(verdict.validity, expected, "seed {seed}: {:#?} {verdict:#?}", events());
        seen[expected as usize] += 1;
    }
    assert!(seen[0] > 200 && seen[2] > 40, "{seen:?}");
    assert!(open[0] > 80 && open[2] > 40, "{open:?}");
}

#[test]
fn sets_agree_with_the_independent_check() {
    let history = |seed| {
        let mut set = std::collections::BTreeSet::new();
        let op = |s: &mut fuzz_dist_random::Stream, _| match s.below(3) {
            0 => ("read", Value::Nil),
            1 => ("add", Value::Int(s.below(4) as i64)),
            _ => ("remove", Value::Int(s.below(4) as i64)),
        };
        random(seed, op, move |s, f, value| {
            match (f, value.as_int()) {
                ("add", Some(n)) => drop(set.insert(n)),
                ("remove", Some(n)) if !s.chance(0.4) => drop(set.remove(&n)),
                ("read", _) => return Some(Value::set(set.iter().copied())),
                _ => {}
            }
            Some(value.clone())
        })
    };
    agree(SetModel, history, 20);
}

#[test]
fn zones_agree_with_the_independent_check() {
    let history = |seed| {
        let mut former = (Value::Nil, Value::Nil);
        let op = |s: &mut fuzz_dist_random::Stream, n: usize| match s.chance(0.5) {
            true => ("read", Value::Nil),
            false => ("write", Value::Int(n as i64)),
        };
        random(seed, op, move |s, f, value| {
            if f == "write" {
                former = (value.clone(), former.0.clone());
                return Some(value.clone());
            }
            if s.chance(0.03) {
                return Some(Value::Int(s.below(20) as i64));
            }
            Some(if s.chance(0.1) { former.1.clone() } else { former.0.clone() })
        })
    };
    let (mut seen, mut named) = ([0usize; 3], [0usize; 2]);
    for seed in 0..4_000 {
        let h = history(Seed(seed));
        let verdict = distinct_register().check(&h);
        let expected = expected(&CasRegister, &h);
        let events = || shown(&h);
        assert_eq!(
            verdict.validity,
            expected,
            "seed {seed}: {:#?} {:?}",
            events(),
            verdict.anomalies
        );
        let thin: BTreeSet<(&str, Value)> = thin_air(&h).collect();
        let found: BTreeSet<(&str, Value)> =
            verdict.anomalies.iter().map(|a| (&*a.kind, a.subject.clone())).collect();
        match thin.is_empty() {
            true => assert!(found.iter().all(|(kind, _)| *kind == "not_linearizable"), "{found:?}"),
            false => assert_eq!(found, thin, "seed {seed}: {:#?}", events()),
        }
        named[usize::from(thin.is_empty())] += found.len();
        seen[expected as usize] += 1;
    }
    assert!(seen[0] > 200 && seen[2] > 200, "{seen:?}");
    assert!(named.iter().all(|n| *n > 80), "{named:?}");
}

/// What was read though nobody had begun to write it by then.
fn thin_air(h: &History) -> impl Iterator<Item = (&'static str, Value)> + '_ {
    let reads = calls(h, &["read"]).filter_map(|c| c.acknowledged());
    reads.filter(|done| !h.value(*done).is_nil()).filter_map(|done| {
        let mut writes = calls(h, &["write"])
            .filter(|c| c.outcome != Outcome::Failed && h.value(c.invoked) == h.value(done));
        match writes.next() {
            None => Some(("thin_air", h.value(done))),
            Some(write) => (write.invoked > done).then(|| ("early", h.value(done))),
        }
    })
}

#[test]
fn a_witness_is_short_and_names_the_operation() {
    let mut r = Recorder::new(["n1"]);
    for n in 0..50 {
        r.invoke(0, "write", n);
        r.done(0);
        r.invoke(1, "read", Value::Nil);
        r.ok(1, if n == 49 { 48 } else { n });
    }
    let verdict = linearizable(CasRegister).check(&r.history());
    let anomaly = &verdict.anomalies[0];
    assert_eq!(anomaly.events, [198, 199], "the read alone, from the state before it");
    assert!(anomaly.explanation.contains("the state can only be Int(49)"), "{anomaly:?}");
}

#[test]
fn a_budget_that_is_used_up_is_unknown_and_reports_how_far_it_came() {
    let mut r = Recorder::new(["n1"]);
    for client in 0..20 {
        r.invoke(client, "enqueue", i64::from(client));
    }
    for client in 0..20 {
        r.done(client);
    }
    let verdict = linearizable(Fifo).steps_max(1000).check(&r.history());
    assert_eq!(verdict.validity, Validity::Unknown);
    assert!(verdict.reasons[0].starts_with("budget: "), "{:?}", verdict.reasons);
    assert_eq!(verdict.results["explained_events"], 20);
}

#[test]
fn more_pending_operations_than_slots_are_a_matter_of_budget() {
    let mut r = Recorder::new(["n1"]);
    for client in 0..200 {
        r.invoke(client, "write", 1);
        r.info(client);
    }
    r.invoke(500, "read", Value::Nil);
    r.ok(500, 1);
    let verdict = linearizable(CasRegister).check(&r.history());
    assert_eq!(verdict.validity, Validity::Unknown);
}

#[test]
fn what_the_model_does_not_know_is_unknown() {
    let mut r = Recorder::new(["n1"]);
    r.invoke(0, "frobnicate", 1);
    r.done(0);
    assert_eq!(linearizable(CasRegister).check(&r.history()).validity, Validity::Unknown);
    assert_eq!(distinct_register().check(&History::new(["n1"])).validity, Validity::Unknown);
}
