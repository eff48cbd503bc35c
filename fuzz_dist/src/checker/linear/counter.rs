//! `counter`: a linearizable counter. Where no order is found that explains all reads, bounds
//! tell which ones are impossible, and the search which ones contradict each other.

use super::super::calls::{Outcome, calls};
use super::super::evidence::{Faults, node_of};
use super::super::pn_counter::ranges::Ranges;
use super::super::recheck::{self, rechecked};
use super::super::{ANOMALIES_MAX, Anomaly, Checker, Verdict};
use super::model::CounterOp;
use super::sums::{Explained, explained};
use super::{CounterModel, Linearizable, Model as _, linearizable};
use crate::history::History;
use crate::op::Kind;

/// Judges linearizable counters; see [`counter`].
#[derive(Clone, Debug)]
pub struct Counter {
    search: Linearizable<CounterModel>,
    steps_max: u64,
}

/// Judges a linearizable counter under `add n` (`increment`, `inc`; `decrement`, `dec`) and
/// `read`.
///
/// A read gives the sum of what was acknowledged before it began, and of some of what was under
/// way or has no known outcome. (Jepsen's jepsen.checker/counter keeps only the least and the
/// greatest such sum, so that it accepts 3 from adds of 5 and 5.) Where every read is such a sum
/// by itself, one order must explain them all.
///
/// ```
/// # use fuzz_dist::checker::{Checker, counter, histories::Recorder};
/// # use fuzz_dist::op::Value;
/// let mut r = Recorder::new(["n1"]);
/// for (f, value, result) in [("add", 5, 5), ("read", 0, 5), ("read", 0, 0)] {
///     r.invoke(0, f, value);
///     r.ok(0, result);
/// }
/// assert!(counter().check(&r.history()).is_invalid());
/// ```
pub fn counter() -> Counter {
    Counter { search: linearizable(CounterModel), steps_max: 50_000_000 }
}

impl Counter {
    /// How many steps the search may take.
    #[must_use]
    pub fn steps_max(mut self, steps: u64) -> Counter {
        self.search = self.search.steps_max(steps);
        self.steps_max = steps;
        self
    }
}

/// The adds under way, and sums.
struct Bounds {
    /// What was acknowledged.
    sum: i128,
    /// Adds without a known outcome that have begun.
    open: Ranges,
    /// Adds under way whose outcome is known, by their invocation.
    running: Vec<(usize, i64)>,
    /// Adds that were acknowledged while some read was under way: completion and size.
    settled: Vec<(usize, i64)>,
    /// Reads under way.
    reads: usize,
}

impl Checker for Counter {
    fn check(&self, history: &History) -> Verdict {
        if let Some(Explained { operations, steps, peak }) = explained(history, self.steps_max) {
            let verdict = Verdict::valid("counter")
                .with("operation_count", operations)
                .with("steps", steps)
                .with("peak_configurations", peak)
                .with("impossible_value_count", 0);
            return Faults::of(history).state(history, verdict);
        }
        let mut found = Vec::new();
        let mut impossible = 0usize;
        let result = bounds(history, |event, value, possible| {
            impossible += 1;
            if found.len() < ANOMALIES_MAX {
                let text = format!(
                    "client {} read {value} on {} at {}; what was acknowledged before and under way meanwhile can only give {possible}",
                    history.process(event),
                    node_of(history, event),
                    history.time(event)
                );
                let began = history.invocation(event).unwrap_or(event);
                found.push(
                    Anomaly::new("impossible_value", value)
                        .explained(text)
                        .on(history.node(event))
                        .at(history.time(event))
                        .proved_by([began, event]),
                );
            }
        });
        if let Err(event) = result {
            let why = format!("{} at event {event} is no whole number", history.value(event));
            return Verdict::unknown("counter", why);
        }
        let verdict = if impossible > 0 {
            let why = format!("{impossible} reads gave a value that no adds explain");
            Verdict { anomalies: found, ..Verdict::invalid("counter", why) }
        } else {
            let mut verdict = self.search.check(history);
            verdict.checker = "counter".into();
            verdict
        };
        let verdict = verdict.with("impossible_value_count", impossible);
        rechecked(history, verdict, recheck::counter)
    }
}

/// Tells every read that is out of bounds; gives the event whose value is no number.
fn bounds(history: &History, mut tell: impl FnMut(usize, i64, &Ranges)) -> Result<(), usize> {
    let decode = |i: usize| CounterModel.decode(history.function(i), &history.value(i), None);
    let mut adds: Vec<(usize, Option<usize>, Outcome, i64)> = Vec::new();
    let names = ["add", "increment", "inc", "decrement", "dec"];
    for call in calls(history, &names) {
        let Some(CounterOp::Add(n)) = decode(call.invoked) else { return Err(call.invoked) };
        adds.push((call.invoked, call.completed, call.outcome, n));
    }
    let read = history.find_function("read");
    let mut b =
        Bounds { sum: 0, open: Ranges::zero(), running: Vec::new(), settled: Vec::new(), reads: 0 };
    let mut next = 0;
    for i in 0..history.len() {
        if !history.process(i).is_client() {
            continue;
        }
        let is_read = Some(history.function_index(i)) == read;
        match (is_read, history.kind(i)) {
            (true, Kind::Invoke) => b.reads += 1,
            (true, kind) => {
                b.reads -= 1;
                if kind == Kind::Ok {
                    let value = history.int(i).ok_or(i)?;
                    let began = history.invocation(i).unwrap_or(i);
                    if let Some(possible) = b.excludes(value, began) {
                        tell(i, value, &possible);
                    }
                }
                if b.reads == 0 {
                    b.settled.clear();
                }
            }
            (false, Kind::Invoke) => {
                if let Some((invoked, _, outcome, n)) = adds.get(next).copied()
                    && invoked == i
                {
                    next += 1;
                    match outcome {
                        Outcome::Failed => {}
                        Outcome::Open => b.open.may_add(n),
                        Outcome::Acknowledged => b.running.push((i, n)),
                    }
                }
            }
            (false, Kind::Ok) => {
                let began = history.invocation(i).unwrap_or(i);
                if let Some(at) = b.running.iter().position(|(r, _)| *r == began) {
                    let (_, n) = b.running.swap_remove(at);
                    b.sum += i128::from(n);
                    if b.reads > 0 {
                        b.settled.push((i, n));
                    }
                }
            }
            (false, _) => {}
        }
    }
    Ok(())
}

impl Bounds {
    /// The possible values, where `value` is none for a read that began at event `began`.
    fn excludes(&self, value: i64, began: usize) -> Option<Ranges> {
        // What was acknowledged since the read began may come after it.
        let since = self.settled.iter().filter(|(completed, _)| *completed > began);
        let certain = self.sum - since.clone().map(|(_, n)| i128::from(*n)).sum::<i128>();
        let mut possible = self.open.clone();
        for (_, n) in since.chain(&self.running) {
            possible.may_add(*n);
        }
        (!possible.contains(i128::from(value) - certain)).then(|| possible.shifted(certain))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Validity;
    use super::super::super::histories::Recorder;
    use super::super::{Step, explains};
    use super::*;
    use crate::op::Value;
    use crate::random::Seed;

    #[test]
    fn subsets_and_order_matter() {
        let check = |ops: &[(&str, i64)]| {
            let mut r = Recorder::new(["n1"]);
            for (f, n) in ops {
                r.invoke(0, f, if *f == "read" { Value::Nil } else { Value::Int(*n) });
                r.ok(0, *n);
            }
            counter().check(&r.history()).validity
        };
        assert_eq!(check(&[("add", 5), ("read", 5), ("dec", 2), ("read", 3)]), Validity::Valid);
        assert_eq!(check(&[("add", 5), ("add", 5), ("read", 3)]), Validity::Invalid);
        assert_eq!(check(&[("add", 5), ("read", 5), ("read", 0)]), Validity::Invalid);
        assert_eq!(check(&[]), Validity::Unknown);
    }

    #[test]
    fn the_twin_agrees_on_random_histories() {
        let mut seen = [0; 3];
        for seed in 0..10_000 {
            let history = random_history(Seed(seed));
            let steps: Vec<Step<CounterOp>> = calls(&history, &["add", "read"])
                .filter(|c| c.outcome != Outcome::Failed)
                .map(|c| {
                    let result = c.acknowledged().map(|i| history.value(i));
                    let (f, v) = (history.function(c.invoked), history.value(c.invoked));
                    let op = CounterModel.decode(f, &v, result.as_ref()).unwrap();
                    Step { op, invoked: c.invoked, completed: c.acknowledged() }
                })
                .collect();
            let verdict = counter().check(&history);
            let expected = match explains(&CounterModel, &[0], &steps) {
                _ if steps.iter().all(|s| s.completed.is_none()) => Validity::Unknown,
                Some(true) => Validity::Valid,
                _ => Validity::Invalid,
            };
            assert_eq!(verdict.validity, expected, "seed {seed}: {:?}", verdict.reasons);
            let found = explained(&history, 1_000_000).is_some();
            assert_eq!(found, expected == Validity::Valid, "seed {seed}");
            seen[expected as usize] += 1;
        }
        assert!(seen.iter().all(|n| *n > 50), "{seen:?}");
    }

    fn random_history(seed: Seed) -> History {
        let mut s = seed.stream("counter");
        let mut r = Recorder::new(["n1"]);
        let clients = 1 + s.index(4);
        let mut process: Vec<u32> = (0..clients as u32).collect();
        let mut open: Vec<Option<Option<i64>>> = vec![None; clients];
        let mut sum = 0;
        for _ in 0..s.index(24) {
            let c = s.index(clients);
            match open[c].take() {
                None => {
                    let n = s.chance(0.5).then(|| s.below(9) as i64 - 3);
                    let f = if n.is_some() { "add" } else { "read" };
                    r.invoke(process[c], f, n.map_or(Value::Nil, Value::Int));
                    open[c] = Some(n);
                }
                Some(None) => drop(r.ok(process[c], sum + i64::from(s.chance(0.05)))),
                Some(Some(n)) => {
                    let roll = s.unit();
                    if roll < 0.8 {
                        r.done(process[c]);
                    } else if roll < 0.9 {
                        r.fail(process[c]);
                    } else {
                        r.info(process[c]);
                        process[c] += clients as u32;
                    }
                    if roll < 0.78 || (roll > 0.9 && s.chance(0.5)) {
                        sum += n;
                    }
                }
            }
        }
        r.history()
    }
}
