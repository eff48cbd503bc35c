//! The oracle: what is called certain at a prefix makes every longer history invalid, and what makes a
//! prefix invalid is found at that prefix.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::super::histories::{Object, Recorder, Run};
use super::super::set_full_random_history;
use super::super::txn::generate::{Load, Store};
use super::super::txn::{Shape, bank, session_guarantees};
use super::super::{
    AnyChecker, Checker, any_checker, compose, distinct_register, independent, offset_log,
    set_full, total_queue, unique_ids,
};
use fuzz_dist_history::op::{Kind, Value};
use fuzz_dist_history::{COMPLETED, History};
use fuzz_dist_random::{Seed, Stream};

/// Where the first anomaly is certain, and the first prefix that the checker calls invalid.
fn first(
    checker: &dyn Checker,
    history: &History,
    undone: &[&str],
) -> (Option<usize>, Option<usize>) {
    let mut prefix = History::new(history.nodes().iter().cloned());
    // It goes on: nothing may be claimed of its end.
    prefix.set_meta(COMPLETED, false);
    let mut online = checker.online(&prefix).expect("it judges online");
    let (mut certain, mut invalid) = (None, None);
    for (i, event) in history.events().enumerate() {
        if let Some(found) = online.observe(i, &event) {
            let proved = found.events.is_sorted() && found.events.last() <= Some(&i);
            assert!(proved, "{found:?} at {i}");
            certain = certain.or(Some((i, found)));
        }
        prefix.push(event).unwrap();
        // Once something is certain, of those that follow the first few are judged, then a few, and the last.
        let judged = match &certain {
            None => history.kind(i) != Kind::Invoke,
            Some((at, _)) => i < at + 4 || i % 5 == 0 || i + 1 == history.len(),
        };
        if !judged {
            continue;
        }
        let verdict = checker.check(&prefix);
        if invalid.is_none() {
            let stays = verdict.parts.iter().chain([&verdict]);
            let stays = stays.flat_map(|v| &v.anomalies).any(|a| !undone.contains(&&*a.kind));
            invalid = (verdict.is_invalid() && stays).then_some(i);
        }
        if let Some((at, found)) = &certain {
            assert!(verdict.is_invalid(), "{found:?} at {at} is undone at {i}: {verdict:?}");
        }
    }
    (certain.map(|(i, _)| i), invalid)
}

/// Gives how many histories had an anomaly and how many had none.
#[track_caller]
fn agree(checker: impl Checker + 'static, histories: impl Iterator<Item = History>) -> [usize; 2] {
    let (checker, mut seen): (AnyChecker, _) = (any_checker(checker), [0; 2]);
    for (n, history) in histories.enumerate() {
        let (certain, invalid) = first(&*checker, &history, &[]);
        assert_eq!(certain, invalid, "history {n}: {:#?}", history.events().collect::<Vec<_>>());
        seen[usize::from(certain.is_some())] += 1;
    }
    seen
}

/// Simulated runs, with each planted anomaly and with none.
fn runs(object: Object, checker: &str) -> impl Iterator<Item = History> {
    let plants = object.plants().iter().find(|(name, _)| *name == checker).unwrap().1;
    let kinds = plants.iter().map(|kind| Some(*kind)).chain([None]);
    kinds.flat_map(move |kind| {
        (0..4).map(move |seed| {
            let run = Run::new(object).operations(40).outcomes(0.1, 0.1);
            kind.map_or(run.clone(), |kind| run.plant(kind)).history(Seed(seed))
        })
    })
}

/// Events of a few clients at random: whoever is idle invokes what `begin` gives, whoever is not
/// completes with what `end` gives, for the function and the argument.
fn random(
    seed: u64,
    mut begin: impl FnMut(&mut Stream) -> (&'static str, Value),
    mut end: impl FnMut(&mut Stream, &str, &Value) -> Value,
) -> History {
    let mut s = Seed(seed).stream("online");
    let mut r = Recorder::new(["n1", "n2"]);
    let mut open: [Option<(&str, Value)>; 3] = [const { None }; 3];
    let mut process = [0, 1, 2];
    for _ in 0..s.index(40) {
        let c = s.index(3);
        match open[c].take() {
            None => {
                let (f, value) = begin(&mut s);
                r.invoke(process[c], f, value.clone());
                open[c] = Some((f, value));
            }
            Some(_) if s.chance(0.15) => drop(r.fail(process[c])),
            Some(_) if s.chance(0.1) => {
                r.info(process[c]);
                process[c] += 6;
            }
            Some((f, value)) => drop(r.ok(process[c], end(&mut s, f, &value))),
        }
    }
    r.history()
}

fn enough(seen: [usize; 2], least: usize) {
    assert!(seen.iter().all(|n| *n >= least), "{seen:?}");
}

#[test]
fn sets() {
    enough(agree(set_full(), runs(Object::Set, "set_full")), 4);
    enough(agree(set_full(), (0..250).map(|n| set_full_random_history(Seed(n)))), 25);
    let sessions = || set_full().sessions(true);
    enough(agree(sessions(), runs(Object::Set, "set_full")), 4);
    enough(agree(sessions(), (0..250).map(|n| set_full_random_history(Seed(n)))), 25);
}

/// An element whose add failed is added again.
#[test]
fn sets_with_adds_that_are_tried_again() {
    let histories = (0..500).map(|seed| {
        let mut added = std::collections::BTreeSet::new();
        let mut r = Recorder::new(["n1", "n2"]);
        let mut s = Seed(seed).stream("again");
        let mut open: [Option<i64>; 3] = [None; 3];
        for _ in 0..s.index(30) {
            let c = s.index(3);
            let n = s.index(3) as i64;
            match open[c].take() {
                None if s.chance(0.6) && added.insert(n) => {
                    r.invoke(c as u32, "add", n);
                    open[c] = Some(n);
                }
                None => {
                    r.invoke(c as u32, "read", Value::Nil);
                    open[c] = Some(-1);
                }
                Some(-1) => drop(r.ok(c as u32, Value::set((0..3).filter(|_| s.chance(0.3))))),
                Some(n) if s.chance(0.5) => {
                    added.remove(&n);
                    r.fail(c as u32);
                }
                Some(_) => drop(r.done(c as u32)),
            }
        }
        r.history()
    });
    enough(agree(set_full(), histories), 50);
}

#[test]
fn identifiers() {
    enough(agree(unique_ids(), runs(Object::Ids, "unique_ids")), 4);
    let given = |s: &mut Stream, _: &str, _: &Value| Value::from(s.below(40) as i64);
    let histories = (0..1000).map(|n| random(n, |_| ("generate", Value::Nil), given));
    enough(agree(unique_ids(), histories), 150);
}

#[test]
fn queues() {
    enough(agree(total_queue(), runs(Object::Queue, "total_queue")), 4);
    for redelivery in [false, true] {
        let begin = |s: &mut Stream| match s.index(5) {
            0 | 1 => ("enqueue", Value::from(s.below(4) as i64)),
            2 | 3 => ("dequeue", Value::Nil),
            _ => ("drain", Value::Nil),
        };
        let end = |s: &mut Stream, f: &str, value: &Value| match f {
            "enqueue" => value.clone(),
            "dequeue" if s.chance(0.5) => Value::Nil,
            "dequeue" => Value::from(s.below(4) as i64),
            _ => Value::list((0..4).filter(|_| s.chance(0.1))),
        };
        let histories = (0..1500).map(|n| random(n, begin, end));
        enough(agree(total_queue().redelivery(redelivery), histories), 150);
    }
}

#[test]
fn logs() {
    enough(agree(offset_log(), runs(Object::Log, "offset_log")), 4);
    let histories = (0..2000).map(|n| {
        let mut next = 0;
        let begin = move |s: &mut Stream| match s.chance(0.6) {
            true => {
                next += 1;
                ("send", Value::from(next))
            }
            false => ("poll", Value::Nil),
        };
        // Mostly the offset that goes with the value.
        let end = |s: &mut Stream, f: &str, value: &Value| match f {
            "send" if s.chance(0.1) => Value::Nil,
            "send" if s.chance(0.05) => Value::from(s.below(6) as i64),
            "send" => Value::from(value.as_int().unwrap() * 2),
            _ => {
                let records = (1..7).filter(|_| s.chance(0.4)).collect::<Vec<i64>>();
                Value::list(records.into_iter().map(|v| Value::list([v * 2, v])))
            }
        };
        random(n, begin, end)
    });
    enough(agree(offset_log(), histories), 150);
}

#[test]
fn accounts() {
    enough(agree(bank(0..5, 100), runs(Object::Bank, "bank")), 4);
}

#[test]
fn registers() {
    enough(agree(distinct_register(), runs(Object::Register, "distinct_register")), 4);
    let histories = (0..3000).map(|n| {
        let mut next = 0;
        let begin = move |s: &mut Stream| match s.chance(0.4) {
            true => {
                next += 1;
                ("write", Value::from(next))
            }
            false => ("read", Value::Nil),
        };
        let mut now = Value::Nil;
        let end = move |s: &mut Stream, f: &str, value: &Value| match f {
            "write" => {
                now = value.clone();
                now.clone()
            }
            _ if s.chance(0.05) => Value::Nil,
            _ if s.chance(0.05) => Value::from(s.below(8) as i64),
            _ => now.clone(),
        };
        random(n, begin, end)
    });
    enough(agree(distinct_register(), histories), 150);
}

#[test]
fn keys_and_compositions() {
    let run = |seed, plant: Option<&str>| {
        let run = Run::new(Object::Queue).operations(40).keys(3);
        plant.map_or(run.clone(), |p| run.plant(p)).history(Seed(seed))
    };
    let histories = || (0..20).flat_map(|seed| [run(seed, None), run(seed, Some("duplicate"))]);
    let checker = independent(total_queue());
    enough(agree(checker, histories()), 10);
    let composed =
        compose().with("queue", independent(total_queue())).with("stats", super::super::stats());
    let (certain, invalid) = first(&composed, &run(1, Some("duplicate")), &[]);
    assert!(certain.is_some() && certain == invalid);
    assert!(independent(super::super::stats()).online(&History::new(["n1"])).is_none());
}

/// What a transaction failed to write is written again by the next one that writes the key.
fn written_again(history: &History) -> History {
    let mut again = History::new(history.nodes().iter().cloned());
    let mut failed: Vec<(Value, Value)> = Vec::new();
    let mut renamed: BTreeMap<Value, Value> = BTreeMap::new();
    for mut event in history.events() {
        let ops: Vec<[Value; 3]> = event
            .value
            .as_list()
            .unwrap()
            .iter()
            .map(|op| {
                let [f, key, value] = op.as_list().unwrap() else { panic!("{op}") };
                [f.clone(), key.clone(), value.clone()]
            })
            .collect();
        let name = |renamed: &BTreeMap<Value, Value>, value: &Value| {
            renamed.get(value).unwrap_or(value).clone()
        };
        for [f, key, value] in &ops {
            match (event.kind, f.as_text()) {
                (Kind::Invoke, Some("w")) => {
                    if let Some(at) = failed.iter().position(|(k, _)| k == key) {
                        renamed.insert(value.clone(), failed.swap_remove(at).1);
                    }
                }
                (Kind::Fail, Some("w")) => failed.push((key.clone(), name(&renamed, value))),
                _ => {}
            }
        }
        event.value = Value::list(ops.into_iter().map(|[f, key, value]| {
            let value = name(&renamed, &value);
            Value::list([f, key, value])
        }));
        again.push(event).unwrap();
    }
    again
}

/// Reads of what nobody has written so far are left out: somebody may write it. So are those of what
/// failed: somebody may write it again.
#[test]
fn session_guarantees_of_transactions() {
    let mut seen = [0; 2];
    let mut judge = |history: &History| {
        let (certain, invalid) = first(&session_guarantees(), history, &["thin-air", "G1a"]);
        assert_eq!(certain, invalid, "{:#?}", history.events().collect::<Vec<_>>());
        seen[usize::from(certain.is_some())] += 1;
    };
    for seed in 0..1200 {
        let written: [RefCell<Vec<i64>>; 2] = Default::default();
        let next = Cell::new(0);
        let mut begin = |s: &mut Stream| {
            let ops = (0..1 + s.index(2)).map(|_| {
                let k = s.index(2);
                let key = Value::from(["x", "y"][k]);
                next.set(next.get() + 1);
                match s.chance(0.5) {
                    true => {
                        written[k].borrow_mut().push(next.get());
                        Value::list(["w".into(), key, Value::from(next.get())])
                    }
                    false => Value::list(["r".into(), key, Value::Nil]),
                }
            });
            ("txn", Value::list(ops.collect::<Vec<_>>()))
        };
        let end = |s: &mut Stream, _: &str, ops: &Value| {
            let mut read = |key: &Value| match seed % 4 {
                // What somebody has begun to write, what may be written later, and anything.
                0 | 1 => {
                    let of_key = written[usize::from(key.as_text() == Some("y"))].borrow();
                    of_key.get(s.index(of_key.len() + 1)).copied().map_or(Value::Nil, Value::Int)
                }
                2 => Value::from(1 + s.below(6) as i64),
                _ if s.chance(0.2) => Value::Nil,
                _ => Value::from(1 + s.below(next.get() as u64) as i64),
            };
            let ops = ops.as_list().unwrap().iter().map(|op| match op.as_list().unwrap() {
                [f, key, value] if value.is_nil() => {
                    Value::list([f.clone(), key.clone(), read(key)])
                }
                _ => op.clone(),
            });
            Value::list(ops.collect::<Vec<_>>())
        };
        let history = random(seed, &mut begin, end);
        judge(&history);
        judge(&written_again(&history));
    }
    let load = Load::new(25).sessions(3).keys(2).outcomes(0.1, 0.1);
    for seed in 0..20 {
        judge(&load.clone().seed(seed).history(Shape::Registers, Store::StrictSerializable));
    }
    assert!(seen.iter().all(|n| *n > 60), "{seen:?}");
}

/// Whoever reads what failed may have read what is written again later.
#[test]
fn a_read_of_what_failed_is_not_certain() {
    let txn = |f: &str, value: Value| Value::list([Value::list([f.into(), "x".into(), value])]);
    let mut r = Recorder::new(["n1"]);
    r.invoke(0, "txn", txn("w", 1.into()));
    r.fail(0);
    r.invoke(1, "txn", txn("r", Value::Nil));
    r.ok(1, txn("r", 1.into()));
    r.invoke(2, "txn", txn("w", 1.into()));
    r.ok(2, txn("w", 1.into()));
    let history = r.history();
    let verdict = session_guarantees().check(&history);
    assert!(verdict.is_valid(), "{:?}", verdict.reasons);
    assert_eq!(first(&session_guarantees(), &history, &["G1a"]), (None, None));
}

/// What makes a guarantee fail becomes known with the last event: what a session saw without reading
/// the key itself, and what was read by a transaction that others had read from already.
#[test]
fn session_guarantees_that_fail_by_what_was_seen_indirectly() {
    let ops = |text: &str| {
        let ops = text.split(", ").map(|op| {
            let [f, key, value] = op.split(' ').collect::<Vec<_>>()[..] else { panic!("{op}") };
            let value = value.parse::<i64>().map_or(Value::Nil, Value::Int);
            Value::list([f.into(), key.into(), value])
        });
        Value::list(ops.collect::<Vec<_>>())
    };
    let history = |events: &[(u32, &str)]| {
        let mut r = Recorder::new(["n1"]);
        let mut running = std::collections::BTreeSet::new();
        for (client, text) in events {
            match running.insert(*client) {
                true => drop(r.invoke(*client, "txn", ops(text))),
                false => {
                    running.remove(client);
                    r.ok(*client, ops(text));
                }
            }
        }
        r.history()
    };
    let seen = [
        (0, "w x 1"),
        (0, "w x 1"),
        (0, "w x 2"),
        (0, "w x 2"),
        (1, "w x 3, w y 5"),
        (1, "w x 3, w y 5"),
        (2, "r x nil"),
        (2, "r x 2"),
        (2, "r y nil"),
        (2, "r y 5"),
        (2, "r x nil"),
        (2, "r x 1"),
    ];
    let late = [
        (0, "w x 1"),
        (0, "w x 1"),
        (0, "w x 2, w y 7"),
        (0, "w x 2, w y 7"),
        (1, "r y nil, w z 1"),
        (2, "r z nil, r x nil"),
        (2, "r z 1, r x 1"),
        (1, "r y 7, w z 1"),
    ];
    for events in [&seen[..], &late] {
        let last = Some(events.len() - 1);
        let found = first(&session_guarantees(), &history(events), &["thin-air", "G1a"]);
        assert_eq!(found, (last, last));
    }
}
