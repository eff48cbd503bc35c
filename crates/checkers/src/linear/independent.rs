//! `independent`: one checker for each key, in parallel.

use super::super::Arguments;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::super::evidence::{count, listed};
use super::super::online::Keyed;
use super::super::{Checker, LISTED_MAX, Online, Validity, Verdict};
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Event, Process, Value};

/// Judges every key by itself; see [`independent`].
#[derive(Clone, Debug)]
pub struct Independent<C> {
    checker: Arc<C>,
}

/// Judges the operations of each key by itself, in parallel. The value of an operation is a list
/// of two, the key and the value proper, as in Jepsen's jepsen.independent; a completion may
/// leave the key out. Events of the nemesis and of nodes belong to every key.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, independent, set, histories::Recorder};
/// # use fuzz_dist_history::op::Value;
/// let mut r = Recorder::new(["n1"]);
/// for key in ["x", "y"] {
///     r.invoke(0, "add", Value::list([Value::from(key), Value::Int(1)]));
///     r.done(0);
///     r.invoke(0, "read", Value::list([Value::from(key), Value::Nil]));
///     let read = if key == "x" { Value::set([1]) } else { Value::set([]) };
///     r.ok(0, Value::list([Value::from(key), read]));
/// }
/// let verdict = independent(set()).check(&r.history());
/// assert_eq!(verdict.reasons, ["1 key is invalid: \"y\""]);
/// ```
pub fn independent<C: Checker>(checker: C) -> Independent<C> {
    Independent { checker: Arc::new(checker) }
}

impl<C: Checker + 'static> Checker for Independent<C> {
    fn check(&self, history: &History) -> Verdict {
        let (keys, histories, events) = match split(history) {
            Ok(split) => split,
            Err(i) => {
                let why =
                    format!("{} at event {i} is no pair of a key and a value", history.value(i));
                return Verdict::unknown("independent", why);
            }
        };
        if keys.is_empty() {
            return Verdict::unknown("independent", "no operation has a key");
        }
        let mut verdicts = self.all(&histories);
        for (verdict, events) in verdicts.iter_mut().zip(&events) {
            // Anomalies speak of events of the key's history; give them those of the whole.
            for anomaly in &mut verdict.anomalies {
                anomaly.events.iter_mut().for_each(|e| *e = events[*e]);
            }
        }
        compose(&keys, verdicts)
    }

    fn online(&self, history: &History) -> Option<Box<dyn Online>> {
        Some(Box::new(Keyed::new(&self.checker, history)?))
    }

    fn arguments(&self) -> Option<Arguments> {
        self.checker.arguments().map(|asked| asked.flag("independent", true))
    }
}

impl<C: Checker> Independent<C> {
    fn all(&self, histories: &[History]) -> Vec<Verdict> {
        let next = AtomicUsize::new(0);
        let done: Mutex<Vec<Option<Verdict>>> = Mutex::new(vec![None; histories.len()]);
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
        std::thread::scope(|scope| {
            for _ in 0..threads.min(histories.len()) {
                scope.spawn(|| {
                    while let Some((i, history)) = {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        histories.get(i).map(|h| (i, h))
                    } {
                        let check = || self.checker.check(history);
                        let verdict = catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|_| {
                            Verdict::unknown("independent", "the checker of this key panicked")
                        });
                        done.lock().unwrap_or_else(PoisonError::into_inner)[i] = Some(verdict);
                    }
                });
            }
        });
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.into_iter().flatten().collect()
    }
}

fn compose(keys: &[Value], verdicts: Vec<Verdict>) -> Verdict {
    let worst = verdicts.iter().map(|v| v.validity).max().unwrap_or(Validity::Unknown);
    let with = |validity| {
        (keys.iter().zip(&verdicts))
            .filter(move |(_, v)| v.validity == validity)
            .map(|(k, _)| k)
            .collect::<Vec<&Value>>()
    };
    let worst_keys = with(worst);
    let are = if worst_keys.len() == 1 { "is" } else { "are" };
    let why = format!("{} {are} {worst}: {}", count(worst_keys.len(), "key"), listed(&worst_keys));
    let mut verdict = match worst {
        Validity::Valid => Verdict::valid("independent"),
        Validity::Unknown => Verdict::unknown("independent", why),
        Validity::Invalid => Verdict::invalid("independent", why),
    };
    verdict = verdict
        .with("key_count", keys.len())
        .with("invalid_key_count", with(Validity::Invalid).len())
        .with("unknown_key_count", with(Validity::Unknown).len());
    for (key, mut part) in keys.iter().zip(verdicts) {
        // Parts of keys that are as they should be would only hide the others.
        if part.validity == worst && worst != Validity::Valid && verdict.parts.len() < LISTED_MAX {
            verdict.anomalies.extend(part.anomalies.iter().cloned().map(|mut a| {
                a.explanation = format!("key {key}: {}", a.explanation);
                a
            }));
            part = part.with("key", key.to_string());
            verdict.parts.push(part);
        }
    }
    verdict
}

/// The keys, the history of each, and where its events stand in the whole.
type Split = (Vec<Value>, Vec<History>, Vec<Vec<usize>>);

fn split(history: &History) -> Result<Split, usize> {
    let mut ids: HashMap<Value, usize> = HashMap::new();
    let mut keys: Vec<Value> = Vec::new();
    let mut of_event: Vec<Option<usize>> = vec![None; history.len()];
    for i in 0..history.len() {
        if !history.process(i).is_client() {
            continue;
        }
        let id = match history.invocation(i) {
            Some(invoked) => of_event[invoked],
            None => {
                let (key, _) = pair(history, i).ok_or(i)?;
                Some(*ids.entry(key).or_insert_with_key(|key| {
                    keys.push(key.clone());
                    keys.len() - 1
                }))
            }
        };
        of_event[i] = id;
    }
    let mut histories: Vec<History> = Vec::with_capacity(keys.len());
    for _ in &keys {
        let mut part = History::new(history.nodes().iter().cloned());
        for (name, value) in history.all_meta() {
            part.set_meta(name.clone(), value.clone());
        }
        histories.push(part);
    }
    let mut events: Vec<Vec<usize>> = vec![Vec::new(); keys.len()];
    for (i, id) in of_event.iter().enumerate() {
        let mut event = history.event(i);
        match id {
            Some(id) => {
                event.value = strip(&keys[*id], event.value);
                push(&mut histories[*id], event);
                events[*id].push(i);
            }
            None if is_fault(event.process) => {
                for (part, events) in histories.iter_mut().zip(&mut events) {
                    push(part, event.clone());
                    events.push(i);
                }
            }
            None => {}
        }
    }
    Ok((keys, histories, events))
}

fn is_fault(process: Process) -> bool {
    !process.is_client()
}

fn pair(history: &History, i: usize) -> Option<(Value, Value)> {
    let [key, value] = history.view(i)?.as_array()?;
    Some((key.to_value(), value.to_value()))
}

fn strip(key: &Value, value: Value) -> Value {
    match value.as_list() {
        Some([k, v]) if k == key => v.clone(),
        _ => value,
    }
}

fn push(part: &mut History, event: Event) {
    let pushed = part.push(event);
    debug_assert!(pushed.is_ok(), "a part of a history that can be can be");
}
