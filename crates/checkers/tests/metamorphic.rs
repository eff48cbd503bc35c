//! What must not matter to any checker does not: names of values, keys, processes and nodes,
//! failed operations, a clock that began at another time, the order of events that are concurrent
//! anyway; and a history with fewer reads proves no more.

mod cases;

use std::collections::{BTreeSet, HashMap};

use cases::Case;
use fuzz_dist_checkers::Verdict;
use fuzz_dist_checkers::histories::Object;
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Event, Kind, Name, OpError, Phase, Process, Value};
use fuzz_dist_history::time::Time;
use fuzz_dist_random::{Seed, Stream};

/// The same events, changed one by one.
fn mapped(history: &History, mut change: impl FnMut(Event) -> Event) -> History {
    let mut changed = History::new(history.nodes().iter().cloned());
    for (name, value) in history.all_meta() {
        changed.set_meta(name.clone(), value.clone());
    }
    for event in history.events() {
        changed.push(change(event)).expect("a history as before");
    }
    changed
}

fn kinds(verdict: &Verdict) -> BTreeSet<&str> {
    verdict.anomalies.iter().map(|a| &*a.kind).collect()
}

fn events(history: &History) -> String {
    let lines = history
        .events()
        .map(|e| format!("{} {} {} {} {:?}\n", e.process, e.kind.as_str(), e.f, e.value, e.phase));
    lines.collect()
}

/// Checks every case, and what becomes of it.
#[track_caller]
fn unchanged(what: &str, mut change: impl FnMut(&Case, &mut Stream) -> Option<History>) {
    let mut tried = BTreeSet::new();
    for seed in 0..SEEDS {
        let mut random = Seed(seed).stream(what);
        for case in cases::all(SIZES[seed as usize % SIZES.len()], seed) {
            let Some(changed) = change(&case, &mut random) else { continue };
            tried.insert(case.checker);
            let checker = case.build();
            let (before, after) = (checker.check(&case.history), checker.check(&changed));
            let same = before.validity == after.validity && kinds(&before) == kinds(&after);
            assert!(
                same,
                "{what}, seed {seed}: {}\n{:?} {:?}\n{:?} {:?}\n{}\n{}",
                case.name(),
                before.validity,
                kinds(&before),
                after.validity,
                kinds(&after),
                events(&case.history),
                events(&changed)
            );
            // What is planted is there, and short histories may prove nothing.
            let planted = case.anomaly.is_some();
            assert_eq!(before.is_invalid(), planted, "{}: {:?}", case.name(), before.reasons);
        }
    }
    assert!(tried.len() > 12, "{what} was tried with {tried:?} only");
}

const SEEDS: u64 = 4;
const SIZES: [usize; 4] = [8, 15, 25, 40];

#[test]
fn processes_are_only_names() {
    unchanged("processes", |case, random| {
        let mut numbers: Vec<u32> = (0..10_000).collect();
        random.shuffle(&mut numbers);
        let mut names: HashMap<u32, u32> = HashMap::new();
        Some(mapped(&case.history, |mut event| {
            if event.process.is_client() {
                let next = numbers[names.len()];
                event.process = Process(*names.entry(event.process.0).or_insert(next));
            }
            event
        }))
    });
}

#[test]
fn nodes_are_only_names() {
    unchanged("nodes", |case, _| {
        let names = case.history.nodes().iter().map(|n| format!("host-{n}"));
        let mut renamed = History::new(names);
        for event in case.history.events() {
            renamed.push(event).expect("as before");
        }
        Some(renamed)
    });
}

#[test]
fn time_has_no_beginning_and_no_unit() {
    unchanged("time", |case, random| {
        let (late, slow) = (random.below(1 << 40), 1 + random.below(9));
        Some(mapped(&case.history, |mut event| {
            event.time = Time(event.time.0 * slow + late);
            event
        }))
    });
}

/// Another number for each number, and another text for each text.
fn renamed(value: &Value, salt: i64) -> Value {
    let other = |n: i64| if n < 0 { n } else { n.wrapping_mul(2) + salt };
    match value {
        Value::Int(n) => Value::Int(other(*n)),
        Value::Set(set) => Value::set(set.as_slice().iter().map(|n| other(*n))),
        Value::List(items) => Value::list(items.iter().map(|v| renamed(v, salt))),
        other => other.clone(),
    }
}

#[test]
fn values_are_only_names() {
    unchanged("values", |case, random| {
        let salt = random.below(1000) as i64;
        let numbers = [Object::Counter, Object::Bank, Object::Log];
        // What those do with their values is more than to distinguish them.
        if case.object.is_some_and(|o| numbers.contains(&o))
            || ["monotonic", "crdt_causal"].contains(&case.checker)
        {
            return None;
        }
        Some(mapped(&case.history, |mut event| {
            if event.process.is_client() {
                event.value = match case.object {
                    Some(Object::Registers) => keyed(&event.value, |v| renamed(v, salt)),
                    Some(_) => renamed(&event.value, salt),
                    None => micro(&event.value, Clone::clone, |v| renamed(v, salt)),
                };
            }
            event
        }))
    });
}

/// A pair of a key and a value, with another value.
fn keyed(value: &Value, change: impl Fn(&Value) -> Value) -> Value {
    match value.as_list() {
        Some([key, value]) => Value::list([key.clone(), change(value)]),
        _ => value.clone(),
    }
}

/// A transaction with other keys and values.
fn micro(value: &Value, key: impl Fn(&Value) -> Value, change: impl Fn(&Value) -> Value) -> Value {
    let ops = value.as_list().expect("a transaction");
    Value::list(ops.iter().map(|op| match op.as_list() {
        Some([f, k, v]) => Value::list([f.clone(), key(k), change(v)]),
        _ => op.clone(),
    }))
}

#[test]
fn keys_are_only_names() {
    let mut tried = BTreeSet::new();
    for seed in 0..SEEDS {
        for case in cases::all(30, seed) {
            let other = |k: &Value| Value::list(["key".into(), k.clone()]);
            let change = |value: &Value| match (case.object, value.as_list()) {
                (None, _) => micro(value, other, Clone::clone),
                (_, Some([key, value])) => Value::list([other(key), value.clone()]),
                _ => value.clone(),
            };
            if !matches!(case.object, None | Some(Object::Registers)) {
                continue;
            }
            let changed = mapped(&case.history, |mut event| {
                if event.process.is_client() {
                    event.value = change(&event.value);
                }
                event
            });
            let (before, after) = (case.build().check(&case.history), case.build().check(&changed));
            assert_eq!(before.validity, after.validity, "{}: {after:#?}", case.name());
            assert_eq!(kinds(&before), kinds(&after), "{}", case.name());
            tried.insert(case.checker);
        }
    }
    assert!(tried.len() > 8, "{tried:?}");
}

#[test]
fn failed_operations_prove_nothing() {
    unchanged("failures", |case, random| {
        let mut longer = mapped(&case.history, |event| event);
        let last = (0..longer.len()).map(|i| longer.process(i)).filter(|p| p.is_client()).max();
        let first = last.map_or(0, |p| p.0) + 1;
        let asked: Vec<(Name, Value)> = (case.history.events())
            .filter(|e| e.kind == Kind::Invoke && e.phase == Phase::Main)
            .map(|e| (e.f, e.value))
            .collect();
        for next in (first..).take(1 + random.index(4)) {
            let (f, value) = random.choose(&asked)?.clone();
            // What writes needs a value of its own, where values are distinguished.
            let value = match (&case.object, &value) {
                (None, value) => micro(
                    value,
                    |k| Value::list([k.clone(), i64::from(next).into()]),
                    |v| match v {
                        Value::Int(_) => Value::Int(7_000_000 + i64::from(next)),
                        other => other.clone(),
                    },
                ),
                (Some(Object::Registers), value) => keyed(value, |v| match v {
                    Value::Int(_) => Value::Int(7_000_000 + i64::from(next)),
                    other => other.clone(),
                }),
                (Some(Object::Counter), value) => value.clone(),
                (_, Value::Int(_)) => Value::Int(7_000_000 + i64::from(next)),
                (_, Value::Set(_)) => Value::set([7_000_000 + i64::from(next)]),
                (_, other) => other.clone(),
            };
            let time = longer.time(longer.len() - 1);
            let mut event = Event {
                time,
                process: Process(next),
                node: None,
                kind: Kind::Invoke,
                f,
                value,
                error: None,
                phase: Phase::Main,
            };
            longer.push(event.clone()).expect("a fresh process");
            (event.kind, event.error) = (Kind::Fail, Some(OpError::new("refused", "refused")));
            longer.push(event).expect("it completes");
        }
        Some(longer)
    });
}

#[test]
fn the_order_of_concurrent_events_does_not_matter() {
    unchanged("order", |case, random| {
        // Sets are followed by the places of reads, which is finer than what is concurrent.
        let by_place =
            ["set_full", "set", "or_set", "convergence", "offset_log", "lease", "atomic"];
        if by_place.contains(&case.checker) {
            return None;
        }
        let mut events: Vec<Event> = case.history.events().collect();
        for _ in 0..2 * events.len() {
            let i = random.index(events.len() - 1);
            let (a, b) = (&events[i], &events[i + 1]);
            let alike = (a.kind == Kind::Invoke) == (b.kind == Kind::Invoke);
            let clients = a.process.is_client() && b.process.is_client();
            if alike && clients && a.process != b.process {
                let (at, bt) = (a.time, b.time);
                events.swap(i, i + 1);
                (events[i].time, events[i + 1].time) = (at, bt);
            }
        }
        let mut swapped = History::new(case.history.nodes().iter().cloned());
        for event in events {
            swapped.push(event).expect("each process as before");
        }
        Some(swapped)
    });
}

/// Is it a read that changes nothing? A transaction of reads only is one, too.
fn is_pure(event: &Event) -> bool {
    match &*event.f {
        "read" => true,
        "txn" => {
            let ops = event.value.as_list().unwrap_or_default();
            let read = |op: &Value| op.as_list().is_some_and(|o| o[0].as_text() == Some("r"));
            ops.iter().all(read)
        }
        _ => false,
    }
}

#[test]
fn fewer_reads_prove_no_more() {
    let mut weaker = 0;
    for seed in 0..2 * SEEDS {
        let mut random = Seed(seed).stream("reads");
        for case in cases::all(SIZES[seed as usize % SIZES.len()], seed) {
            let share = random.unit();
            let mut dropped = vec![false; case.history.len()];
            for i in 0..case.history.len() {
                let event = case.history.event(i);
                if event.kind == Kind::Invoke
                    && event.process.is_client()
                    && event.phase == Phase::Main
                    && is_pure(&event)
                    && random.chance(share)
                {
                    dropped[i] = true;
                    case.history.completion(i).into_iter().for_each(|c| dropped[c] = true);
                }
            }
            let mut fewer = History::new(case.history.nodes().iter().cloned());
            for (event, _) in case.history.events().zip(&dropped).filter(|(_, d)| !**d) {
                fewer.push(event).expect("whole operations are gone");
            }
            let (before, after) = (case.build().check(&case.history), case.build().check(&fewer));
            let stronger = after.is_invalid() && !before.is_invalid();
            assert!(!stronger, "seed {seed} {}: {after:#?}\n{}", case.name(), events(&fewer));
            weaker += u32::from(before.is_invalid() && !after.is_invalid());
        }
    }
    assert!(weaker > 50, "reads are what most anomalies are seen by: {weaker}");
}
