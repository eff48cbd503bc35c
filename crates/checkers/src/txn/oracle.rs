//! What the oracles of the tests share: transactions as plain structs, serial orders, cycles.

use std::collections::{BTreeMap, BTreeSet};

use super::core::cycles::{Class, Step};
use super::core::graph::Rel;
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Kind, Value};
use fuzz_dist_random::Stream;

/// A transaction, as obvious as can be: operations are (writes?, key, value).
#[derive(Clone, Debug)]
pub(super) struct Plain {
    pub(super) process: u32,
    pub(super) invoke: usize,
    pub(super) complete: usize,
    pub(super) kind: Kind,
    pub(super) ops: Vec<(bool, Value, Value)>,
}

impl Plain {
    pub(super) fn before(&self, other: &Plain) -> bool {
        self.kind == Kind::Ok && self.complete < other.invoke
    }
    pub(super) fn writes(&self) -> impl DoubleEndedIterator<Item = (&Value, &Value)> {
        self.ops.iter().filter(|o| o.0).map(|(_, k, v)| (k, v))
    }
    /// Reads of keys that the transaction did not touch before.
    pub(super) fn found(&self) -> Vec<(&Value, &Value)> {
        let first = |i: usize| !self.ops[..i].iter().any(|o| o.1 == self.ops[i].1);
        (0..self.ops.len())
            .filter(|i| !self.ops[*i].0 && first(*i))
            .map(|i| (&self.ops[i].1, &self.ops[i].2))
            .collect()
    }
}

pub(super) fn plain(history: &History) -> Vec<Plain> {
    (0..history.len())
        .filter(|i| history.kind(*i) == Kind::Invoke)
        .map(|i| {
            let complete = history.completion(i).unwrap();
            let kind = history.kind(complete);
            let event = if kind == Kind::Ok { complete } else { i };
            let ops = history.value(event).as_list().unwrap().iter().map(op).collect();
            let ops: Vec<_> = ops;
            let ops = ops.into_iter().filter(|o| o.0 || kind == Kind::Ok).collect();
            Plain { process: history.process(i).0, invoke: i, complete, kind, ops }
        })
        .collect()
}

fn op(op: &Value) -> (bool, Value, Value) {
    let [f, k, v] = op.as_list().unwrap() else { panic!("{op}") };
    (f.as_text() != Some("r"), k.clone(), v.clone())
}

/// Is there an order of the committed transactions, and of some of unknown outcome, in which
/// every read gives what the writes before it left?
pub(super) fn serial_order_exists(
    txns: &[Plain],
    must_precede: &impl Fn(&Plain, &Plain) -> bool,
    write: &impl Fn(&Value, &Value) -> Value,
) -> bool {
    fn go(
        txns: &[Plain],
        done: &mut Vec<usize>,
        state: &BTreeMap<Value, Value>,
        must_precede: &impl Fn(&Plain, &Plain) -> bool,
        write: &impl Fn(&Value, &Value) -> Value,
    ) -> bool {
        if (0..txns.len()).all(|i| txns[i].kind != Kind::Ok || done.contains(&i)) {
            return true;
        }
        for i in (0..txns.len()).filter(|i| txns[*i].kind != Kind::Fail) {
            let blocked = |j: usize| {
                j != i
                    && !done.contains(&j)
                    && txns[j].kind == Kind::Ok
                    && must_precede(&txns[j], &txns[i])
            };
            if done.contains(&i) || (0..txns.len()).any(blocked) {
                continue;
            }
            let mut next = state.clone();
            let fits = txns[i].ops.iter().all(|(is_write, k, v)| {
                let held = next.get(k).cloned().unwrap_or_default();
                if *is_write {
                    next.insert(k.clone(), write(&held, v));
                    return true;
                }
                held == *v || held.is_nil() && v.as_list() == Some(&[])
            });
            if fits {
                done.push(i);
                if go(txns, done, &next, must_precede, write) {
                    return true;
                }
                done.pop();
            }
        }
        false
    }
    go(txns, &mut Vec::new(), &BTreeMap::new(), must_precede, write)
}

/// The classes of all simple cycles.
pub(super) fn classes(n: usize, edges: &BTreeSet<(usize, Rel, usize)>) -> BTreeSet<Class> {
    fn go(
        start: usize,
        path: &mut Vec<Step>,
        edges: &BTreeSet<(usize, Rel, usize)>,
        found: &mut BTreeSet<Class>,
    ) {
        let here = path.last().map_or(start, |s| s.to as usize);
        for (_, rel, to) in edges.range((here, Rel::Ww, 0)..).take_while(|e| e.0 == here) {
            let step = Step { from: here as u32, rel: *rel, to: *to as u32 };
            let visited = path.iter().any(|s| s.from as usize == *to);
            if *to == start {
                path.push(step);
                found.insert(Class::of(path));
                path.pop();
            } else if *to > start && !visited {
                path.push(step);
                go(start, path, edges, found);
                path.pop();
            }
        }
    }
    let mut found = BTreeSet::new();
    (0..n).for_each(|start| go(start, &mut Vec::new(), edges, &mut found));
    found
}

/// Changes what some reads gave: to a value that `other` makes.
pub(super) fn disturb(
    history: &History,
    rng: &mut Stream,
    mut other: impl FnMut(&mut Stream, &Value, &Value) -> Value,
) -> History {
    let mut changed = History::new(history.nodes().iter().cloned());
    for mut event in history.events() {
        if event.kind == Kind::Ok && rng.chance(0.4) {
            let ops = event.value.as_list().unwrap().iter().map(|op| {
                let [f, k, v] = op.as_list().unwrap() else { panic!("{op}") };
                let v = match f.as_text() {
                    Some("r") if rng.chance(0.5) => other(rng, k, v),
                    _ => v.clone(),
                };
                Value::list([f.clone(), k.clone(), v])
            });
            event.value = Value::list(ops.collect::<Vec<_>>());
        }
        changed.push(event).unwrap();
    }
    changed
}

/// Every class that the oracle found is reported, as it is or by a stronger one, and nothing else.
pub(super) fn assert_same_classes(
    oracle: &BTreeSet<Class>,
    ours: &BTreeSet<Class>,
    what: impl Fn() -> String,
) {
    for class in ours {
        assert!(oracle.contains(class), "{class:?} reported, but there is none\n{}", what());
    }
    for class in oracle {
        let said = ours.iter().any(|c| c.base <= class.base && c.level <= class.level);
        assert!(said, "{class:?} not reported, only {ours:?}\n{}", what());
    }
}

pub(super) fn show(txns: &[Plain]) -> String {
    txns.iter()
        .map(|t| format!("{} {:?} {}..{} {:?}\n", t.process, t.kind, t.invoke, t.complete, t.ops))
        .collect()
}
