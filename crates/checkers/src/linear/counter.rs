//! `counter`: a linearizable counter. Where no order is found that explains all reads, bounds
//! show which ones are impossible, and the search which ones contradict each other; where it is not
//! finished, bounds for two reads at a time do.

use super::super::Arguments;
use super::super::calls::{Outcome, calls};
use super::super::evidence::{Faults, node_of};
use super::super::sums::Ranges;
use super::super::verify::{self, verified};
use super::super::{ANOMALIES_MAX, Anomaly, Checker, Verdict};
use super::model::CounterOp;
use super::pairs;
use super::search::{STEPS_MAX, Stuck};
use super::sums::{End, Ended, explained};
use super::{CounterModel, Linearizable, Model as _, Step, linearizable};
use crate::registration::{BUDGET, Judges, Needs, Registration, built};
use fuzz_dist_history::History;
use fuzz_dist_history::op::Kind;

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
/// # use fuzz_dist_checkers::{Checker, counter, histories::Recorder};
/// # use fuzz_dist_history::op::Value;
/// let mut r = Recorder::new(["n1"]);
/// for (f, value, result) in [("add", 5, 5), ("read", 0, 5), ("read", 0, 0)] {
///     r.invoke(0, f, value);
///     r.ok(0, result);
/// }
/// assert!(counter().check(&r.history()).is_invalid());
/// ```
pub fn counter() -> Counter {
    Counter { search: linearizable(CounterModel), steps_max: STEPS_MAX }
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

pub(crate) const REGISTRATION: Registration = Registration {
    name: "counter",
    about: "a linearizable counter",
    judges: Judges::Only(&["add", "increment", "inc", "decrement", "dec", "read"]),
    needs: Needs::Order,
    options: &[BUDGET],
    build: |o| built(o.set("budget", counter(), |c, steps| c.steps_max(steps))?),
};

impl Checker for Counter {
    fn check(&self, history: &History) -> Verdict {
        let Ended { end, operations, steps, peak } = explained(history, self.steps_max);
        let searched = |verdict: Verdict| {
            let verdict = verdict
                .with("operation_count", operations)
                .with("steps", steps)
                .with("peak_configurations", peak);
            Faults::of(history).state(history, verdict)
        };
        if end == End::Explained {
            return searched(Verdict::valid("counter")).with("impossible_value_count", 0);
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
        } else if let End::Stuck { invoked, completed, sums, quiet: (from, initial) } = end {
            let wide = |sums: Vec<i64>| sums.into_iter().map(i128::from).collect();
            let (initial, possible) = (wide(initial), wide(sums));
            let stuck = Stuck { model: &CounterModel, invoked, completed, from, initial, possible };
            searched(stuck.verdict(history, steps_of(history)))
        } else if let Some(pair) = pairs::contradiction(history) {
            let why = "a read contradicts an earlier one";
            let mut verdict = searched(Verdict::invalid("counter", why));
            verdict.anomalies.push(pair.explained(history));
            verdict
        } else {
            self.search.check(history)
        };
        let verdict = Verdict { checker: "counter".into(), ..verdict };
        let verdict = verdict.with("impossible_value_count", impossible);
        let verdict = verdict.counted("impossible_value", impossible);
        verified(history, verdict, verify::counter)
    }

    fn arguments(&self) -> Option<Arguments> {
        Some(Arguments::of("counter").option("budget", self.steps_max, STEPS_MAX))
    }
}

/// All operations that may have taken effect.
fn steps_of(history: &History) -> impl Iterator<Item = Step<CounterOp>> + '_ {
    let all = calls(history, &["add", "increment", "inc", "decrement", "dec", "read"]);
    all.filter(|c| c.outcome != Outcome::Failed).filter_map(|c| {
        let result = c.acknowledged().map(|i| history.value(i));
        let (f, v) = (history.function(c.invoked), history.value(c.invoked));
        let op = CounterModel.decode(f, &v, result.as_ref())?;
        Some(Step { op, invoked: c.invoked, completed: c.acknowledged() })
    })
}

/// Reports every read that is out of bounds; gives the event whose value is no number.
fn bounds(history: &History, mut report: impl FnMut(usize, i64, &Ranges)) -> Result<(), usize> {
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
                        report(i, value, &possible);
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
    use super::super::explains;
    use super::super::sums::Search;
    use super::*;
    use fuzz_dist_history::op::Value;
    use fuzz_dist_random::Seed;

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

    /// The verification keeps fewer sums apart than the judge: what it cannot exclude is no mistake of
    /// the judge.
    #[test]
    fn a_value_among_more_sums_than_the_verification_keeps_is_impossible() {
        let mut r = Recorder::new(["n1"]);
        r.invoke(0, "add", 0);
        r.ok(0, 0);
        for (client, n) in (1..).zip((0..19).map(|k| 4i64 << k).chain([1 << 40])) {
            r.invoke(client, "add", n);
            r.info(client);
        }
        r.invoke(0, "read", Value::Nil);
        r.ok(0, 500_000_000);
        let verdict = counter().check(&r.history());
        assert!(verdict.is_invalid(), "{:?}", verdict.reasons);
        assert_eq!(&*verdict.anomalies[0].kind, "impossible_value");
    }

    #[test]
    fn the_oracle_agrees_on_random_histories() {
        let any: Vec<i64> = (-3..6).collect();
        let seen = agreed((0..5_000).map(|seed| random_history(Seed(seed), 4, &any, 24)));
        assert!(seen.iter().all(|n| *n > 25), "{seen:?}");
    }

    /// What is interchangeable is exchanged, and what only grows does.
    #[test]
    fn the_oracle_agrees_where_many_equal_increments_are_pending() {
        let sizes: [&[i64]; 4] = [&[1], &[1, 2], &[2, 3, 5], &[2, -1]];
        let history = |seed| random_history(Seed(seed), 9, sizes[seed as usize % 4], 30);
        let seen = agreed((0..8_000).map(history));
        assert!(seen[0] > 1_600 && seen[2] > 800, "{seen:?}");
    }

    /// Each of two reads is possible by itself, and one goes back behind the other: among so many
    /// clients that a search which does not know what is interchangeable ends nowhere.
    #[test]
    fn a_contradiction_among_many_clients_is_reported() {
        let mut s = Seed(1).stream("many");
        let mut r = Recorder::new(["n1"]);
        let (mut sum, mut planted) = (0, false);
        let mut open: Vec<Option<(i64, bool)>> = vec![None; 30];
        for step in 0..9_000 {
            let c = s.index(open.len());
            let process = c as u32;
            match open[c] {
                None if s.chance(0.5) => {
                    r.invoke(process, "read", Value::Nil);
                    open[c] = Some((0, false));
                }
                None => {
                    let n = 1 + s.below(5) as i64;
                    r.invoke(process, "add", n);
                    open[c] = Some((n, false));
                }
                Some((n, false)) => {
                    sum += n;
                    open[c] = Some((if n == 0 { -sum } else { n }, true));
                }
                Some((n, true)) => {
                    r.ok(process, n.abs());
                    open[c] = None;
                }
            }
            let ahead = open.iter().flatten().find(|(n, applied)| *n > 0 && !applied);
            if let Some((n, _)) = ahead.filter(|_| step > 6_000 && !planted) {
                planted = true;
                for value in [sum + n, sum] {
                    r.invoke(99, "read", Value::Nil);
                    r.ok(99, value);
                }
            }
        }
        let history = r.history();
        let verdict = counter().check(&history);
        assert!(planted && verdict.is_invalid(), "{:?}", verdict.reasons);
        let anomaly = &verdict.anomalies[0];
        assert_eq!(&*anomaly.kind, "not_linearizable");
        assert!(anomaly.events.iter().any(|i| history.process(*i).0 == 99), "{anomaly:?}");
    }

    /// Whole numbers have no end, whatever a word holds.
    #[test]
    fn a_sum_beyond_64_bits_is_no_contradiction() {
        for (sign, last) in [("add", i64::MAX), ("dec", i64::MAX), ("add", i64::MIN)] {
            let history = |read: bool| {
                let mut r = Recorder::new(["n1"]);
                for n in [last, last, 1] {
                    r.invoke(0, sign, n);
                    r.done(0);
                }
                if read {
                    r.invoke(0, "read", Value::Nil);
                    r.ok(0, 7);
                }
                r.history()
            };
            let verdict = counter().check(&history(false));
            assert!(!verdict.is_invalid(), "{sign} {last}: {:?}", verdict.reasons);
            let verdict = linearizable(CounterModel).check(&history(false));
            assert!(!verdict.is_invalid(), "{sign} {last}: {:?}", verdict.reasons);
            assert!(counter().check(&history(true)).is_invalid(), "it was never 7");
        }
    }

    /// How many are valid, unknown, invalid, by the search and by the oracle.
    fn agreed(histories: impl Iterator<Item = History>) -> [usize; 3] {
        let mut seen = [0; 3];
        for (seed, history) in histories.enumerate() {
            let steps: Vec<Step<CounterOp>> = steps_of(&history).collect();
            let verdict = counter().check(&history);
            let expected = match explains(&CounterModel, &[0], &steps) {
                _ if steps.iter().all(|s| s.completed.is_none()) => Validity::Unknown,
                Some(true) => Validity::Valid,
                _ => Validity::Invalid,
            };
            assert_eq!(verdict.validity, expected, "seed {seed}: {:?}", verdict.reasons);
            let end = explained(&history, 1_000_000).end;
            assert_eq!(end == End::Explained, expected == Validity::Valid, "seed {seed}");
            let stuck = matches!(end, End::Stuck { .. });
            assert_eq!(stuck, expected == Validity::Invalid, "seed {seed}");
            // What is excluded because nothing shrinks has no explanation by then, either.
            if let Ok(End::Stuck { completed, .. }) = Search::new(true).run(&history, 1_000_000) {
                let by_then = steps.iter().filter(|s| s.invoked < completed).map(|s| Step {
                    completed: s.completed.filter(|c| *c <= completed),
                    ..s.clone()
                });
                let by_then: Vec<Step<CounterOp>> = by_then.collect();
                assert_eq!(explains(&CounterModel, &[0], &by_then), Some(false), "seed {seed}");
                assert_eq!(expected, Validity::Invalid, "seed {seed}");
            }
            seen[expected as usize] += 1;
        }
        seen
    }

    fn random_history(seed: Seed, clients: usize, sizes: &[i64], events: usize) -> History {
        let mut s = seed.stream("counter");
        let mut r = Recorder::new(["n1"]);
        let clients = 1 + s.index(clients);
        let mut process: Vec<u32> = (0..clients as u32).collect();
        let mut open: Vec<Option<Option<i64>>> = vec![None; clients];
        let mut sum = 0;
        // What was given up and has not taken effect: at any later time, or never.
        let mut given_up: Vec<i64> = Vec::new();
        for _ in 0..s.index(events) {
            sum += given_up.extract_if(.., |_| s.chance(0.1)).sum::<i64>();
            let c = s.index(clients);
            match open[c].take() {
                None => {
                    let n = s.chance(0.5).then(|| sizes[s.index(sizes.len())]);
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
                    if roll < 0.78 || (roll >= 0.9 && s.chance(0.4)) {
                        sum += n;
                    } else if roll >= 0.9 {
                        given_up.push(n);
                    }
                }
            }
        }
        r.history()
    }
}
