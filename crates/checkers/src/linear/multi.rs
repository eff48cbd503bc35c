//! Several registers that each operation reads and writes at one moment: the model of Jepsen's and
//! Knossos's multi-register histories.

use super::super::Arguments;
use std::sync::Arc;

use super::Model;
use fuzz_dist_history::op::Value;

/// Registers under transactions of reads and writes. An operation, whose function is `txn`, `read` or
/// `write`, has a list of micro-operations `[:r key nil]` and `[:w key value]` (or `:read` and
/// `:write`), which gives the same list with what was read. A `read` may also have a list of keys, or
/// nothing, and give a map of what it read; a `write` may have a map of what it writes; `cas` has a
/// list of two maps, the values that it expects and those that it writes.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, MultiRegister, linearizable, histories::Recorder};
/// # use fuzz_dist_history::op::Value;
/// let mut r = Recorder::new(["n1"]);
/// r.invoke(0, "write", Value::map([("x", 1.into()), ("y", 1.into())]));
/// r.done(0);
/// r.invoke(1, "read", Value::Nil);
/// r.ok(1, Value::map([("x", 1.into()), ("y", Value::Nil)]));
/// assert!(linearizable(MultiRegister::default()).check(&r.history()).is_invalid());
/// ```
#[derive(Clone, Debug, Default)]
pub struct MultiRegister {
    initial: Value,
}

impl MultiRegister {
    /// Registers that each begin with this value; without it they begin as nil.
    pub fn starting_at(initial: impl Into<Value>) -> MultiRegister {
        MultiRegister { initial: initial.into() }
    }
}

/// What an operation reads and writes, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MultiOp {
    steps: Arc<[Step]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Step {
    key: Value,
    /// What it found, or wrote.
    value: Value,
    write: bool,
}

impl Model for MultiRegister {
    /// The registers that do not have their initial value, by ascending keys.
    type State = Vec<(Value, Value)>;
    type Op = MultiOp;

    fn initial(&self) -> Self::State {
        Vec::new()
    }

    fn decode(&self, f: &str, argument: &Value, result: Option<&Value>) -> Option<MultiOp> {
        let steps = match (f, argument) {
            ("cas", Value::List(maps)) => match &maps[..] {
                [Value::Map(old), Value::Map(new)] => {
                    let found = entries(old).map(|(key, value)| Step { key, value, write: false });
                    let written = entries(new).map(|(key, value)| Step { key, value, write: true });
                    found.chain(written).collect()
                }
                _ => return None,
            },
            ("write", Value::Map(new)) => {
                entries(new).map(|(key, value)| Step { key, value, write: true }).collect()
            }
            ("txn" | "read" | "write", Value::List(ops)) if ops.iter().all(is_micro) => {
                micro_operations(ops, result)?
            }
            ("read", Value::Nil | Value::List(_) | Value::Map(_)) => match result {
                None => Vec::new(),
                Some(Value::Map(seen)) => {
                    entries(seen).map(|(key, value)| Step { key, value, write: false }).collect()
                }
                Some(_) => return None,
            },
            _ => return None,
        };
        Some(MultiOp { steps: steps.into() })
    }

    fn step(&self, state: &Self::State, op: &MultiOp) -> Option<Self::State> {
        let mut next = state.clone();
        for Step { key, value, write } in op.steps.iter() {
            let at = next.binary_search_by(|(k, _)| k.cmp(key));
            if !write {
                let held = at.map_or(&self.initial, |i| &next[i].1);
                if held != value {
                    return None;
                }
                continue;
            }
            match (at, *value == self.initial) {
                (Ok(i), true) => drop(next.remove(i)),
                (Ok(i), false) => next[i].1 = value.clone(),
                (Err(_), true) => {}
                (Err(i), false) => next.insert(i, (key.clone(), value.clone())),
            }
        }
        Some(next)
    }

    fn is_pure(&self, op: &MultiOp) -> bool {
        op.steps.iter().all(|step| !step.write)
    }

    fn bytes(&self, state: &Self::State) -> usize {
        size_of_val(state) + state.len() * size_of::<(Value, Value)>()
    }

    fn arguments(&self, asked: Arguments) -> Option<Arguments> {
        let asked = asked.option("model", "multi-register", "");
        match &self.initial {
            Value::Nil => Some(asked),
            Value::Int(n) => Some(asked.option("initial", n, "")),
            Value::Text(t) if !t.is_empty() && t.parse::<i64>().is_err() => {
                Some(asked.option("initial", t, ""))
            }
            _ => None,
        }
    }
}

/// The entries of a map. In JSON its keys are text, and elsewhere they are numbers.
fn entries(map: &[(Value, Value)]) -> impl Iterator<Item = (Value, Value)> + '_ {
    map.iter().map(|(k, v)| (key(k), v.clone()))
}

fn key(key: &Value) -> Value {
    let number = key.as_text().and_then(|text| text.parse::<i64>().ok());
    number.map_or_else(|| key.clone(), Value::Int)
}

fn is_micro(op: &Value) -> bool {
    let f = op.as_list().filter(|op| op.len() == 3).and_then(|op| op[0].as_text());
    matches!(f, Some("r" | "read" | "w" | "write"))
}

/// The steps of a transaction; what it read is left out where nobody knows it.
fn micro_operations(asked: &[Value], result: Option<&Value>) -> Option<Vec<Step>> {
    let answered = match result {
        None => None,
        Some(result) => Some(result.as_list().filter(|r| r.len() == asked.len())?),
    };
    let mut steps = Vec::with_capacity(asked.len());
    for (n, op) in asked.iter().enumerate() {
        let [f, k, value] = op.as_list()? else { return None };
        let write = matches!(f.as_text(), Some("w" | "write"));
        let answer = match answered.map(|all| &all[n]) {
            None => None,
            Some(answer) => match answer.as_list()? {
                [g, l, value] if g == f && key(l) == key(k) => Some(value),
                _ => return None,
            },
        };
        let value = if write { Some(value) } else { answer };
        steps.extend(value.map(|v| Step { key: key(k), value: v.clone(), write }));
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::super::histories::Recorder;
    use super::super::super::{Checker, Validity};
    use super::super::linearizable;
    use super::*;
    use fuzz_dist_history::History;
    use fuzz_dist_random::{Seed, Stream};

    /// Read and written registers, in order; a read of -1 is one of nil.
    type Steps = Vec<(bool, &'static str, i64)>;

    #[derive(Debug)]
    struct Done {
        steps: Steps,
        from: usize,
        /// Nothing where it may take effect at any time, or never.
        to: Option<usize>,
        known: bool,
    }

    fn registers(value: i64) -> Value {
        if value < 0 { Value::Nil } else { value.into() }
    }

    /// Is there an order of all operations that have to be there, and of some of the others?
    fn can_be(done: &[Done], used: u32, state: &BTreeMap<&'static str, i64>) -> bool {
        let left = |i: &usize| used >> i & 1 == 0;
        let must = (0..done.len()).filter(left).filter_map(|i| done[i].to).min();
        let Some(must) = must else { return true };
        (0..done.len()).filter(left).filter(|i| done[*i].from < must).any(|i| {
            let mut next = state.clone();
            let fits = done[i].steps.iter().all(|(write, key, value)| match write {
                true => {
                    next.insert(key, *value);
                    true
                }
                false => !done[i].known || *next.get(key).unwrap_or(&-1) == *value,
            });
            fits && can_be(done, used | 1 << i, &next)
        })
    }

    /// A few overlapping operations on registers that mostly behave, in any of the notations.
    fn random(s: &mut Stream) -> (History, Vec<Done>) {
        let mut r = Recorder::new(["n1"]);
        let mut state: BTreeMap<&'static str, i64> = BTreeMap::new();
        let mut done: Vec<Done> = Vec::new();
        let mut open: Vec<Option<(u32, usize, bool)>> = vec![None; 3];
        let mut events = 0;
        for _ in 0..s.index(14) {
            let c = s.index(3);
            let Some((process, n, maps)) = open[c].take() else {
                let process = (c + 3 * done.len()) as u32;
                let (write_only, maps) = (s.chance(0.4), s.chance(0.4));
                let keys = ["x", "y"].into_iter().filter(|_| s.chance(0.7)).collect::<Vec<_>>();
                let mut steps = Steps::new();
                for key in keys {
                    let write = write_only || !maps && s.chance(0.3);
                    steps.push((write, key, if write { s.index(3) as i64 } else { -1 }));
                }
                let (f, argument) = match (maps, write_only) {
                    (true, true) => ("write", map(&steps)),
                    (true, false) => ("read", Value::Nil),
                    (false, _) => ("txn", list(&steps, false)),
                };
                r.invoke(process, f, argument);
                // It takes effect at once, or when it completes, or is read as it never was.
                apply(&mut steps, &mut state);
                open[c] = Some((process, done.len(), maps));
                done.push(Done { steps, from: events, to: None, known: false });
                events += 1;
                continue;
            };
            if s.chance(0.15) {
                r.info(process);
                events += 1;
                continue;
            }
            if s.chance(0.3) {
                apply(&mut done[n].steps, &mut state);
            }
            if s.chance(0.1)
                && let Some(read) = done[n].steps.iter_mut().find(|(write, ..)| !write)
            {
                read.2 = s.index(3) as i64;
            }
            let steps = &done[n].steps;
            let write_only = !steps.is_empty() && steps.iter().all(|(write, ..)| *write);
            match (maps, write_only) {
                (true, true) => drop(r.done(process)),
                (true, false) => drop(r.ok(process, map(steps))),
                (false, _) => drop(r.ok(process, list(steps, true))),
            }
            (done[n].to, done[n].known) = (Some(events), true);
            events += 1;
        }
        (r.history(), done)
    }

    fn apply(steps: &mut Steps, state: &mut BTreeMap<&'static str, i64>) {
        for (write, key, value) in steps {
            match write {
                true => drop(state.insert(key, *value)),
                false => *value = *state.get(key).unwrap_or(&-1),
            }
        }
    }

    fn map(steps: &Steps) -> Value {
        Value::map(steps.iter().map(|(_, key, value)| (*key, registers(*value))))
    }

    fn list(steps: &Steps, known: bool) -> Value {
        Value::list(steps.iter().map(|(write, key, value)| {
            let f = if *write { "w" } else { "r" };
            let value = if *write || known { registers(*value) } else { Value::Nil };
            Value::list([f.into(), (*key).into(), value])
        }))
    }

    #[test]
    fn the_search_agrees_with_all_orders() {
        let mut counts = [0; 2];
        for seed in 0..6_000 {
            let (history, done) = random(&mut Seed(seed).stream("multi"));
            let verdict = linearizable(MultiRegister::default()).check(&history);
            if done.iter().all(|d| d.to.is_none()) {
                continue;
            }
            let expected = can_be(&done, 0, &BTreeMap::new());
            counts[usize::from(expected)] += 1;
            let right = if expected { Validity::Valid } else { Validity::Invalid };
            assert_eq!(verdict.validity, right, "seed {seed}: {done:?}\n{verdict:?}");
        }
        assert!(counts.iter().all(|n| *n > 250), "{counts:?}");
    }

    #[test]
    fn operations_are_decoded_in_every_notation() {
        let model = MultiRegister::starting_at(0);
        let entry = |k: &str, v: i64| Value::map([(k, v.into())]);
        let cas = Value::list([entry("x", 0), entry("x", 1)]);
        let op = model.decode("cas", &cas, Some(&cas)).expect("a cas");
        let state = model.step(&model.initial(), &op).expect("x is 0");
        assert!(model.step(&state, &op).is_none());
        let read = |value: Value| model.decode("read", &Value::list(["x"]), Some(&value));
        assert!(model.step(&state, &read(entry("x", 1)).expect("a read")).is_some());
        assert!(model.step(&state, &read(entry("x", 0)).expect("a read")).is_none());
        assert!(read(Value::Int(1)).is_none());
        assert!(model.decode("write", &Value::Int(1), None).is_none());
        assert!(model.decode("cas", &entry("x", 0), None).is_none());
        let txn = Value::list([Value::list(["r".into(), "x".into(), Value::Nil])]);
        let other = Value::list([Value::list(["r".into(), "y".into(), Value::Nil])]);
        assert!(model.decode("txn", &txn, Some(&other)).is_none());
        assert!(model.decode("txn", &txn, Some(&Value::list([1]))).is_none());
    }
}
