//! `total_queue`: what goes into a queue comes out, once, in whatever order.

use std::collections::HashMap;

use super::calls::{Outcome, calls};
use super::evidence::{count, listed, node_of};
use super::recheck::{self, rechecked};
use super::{ANOMALIES_MAX, Anomaly, Checker, Verdict};
use crate::history::History;
use crate::op::Value;

/// Judges queues; see [`total_queue`].
#[derive(Clone, Debug, Default)]
pub struct TotalQueue {
    redelivery: bool,
}

/// Judges a queue that is drained in the end (after Jepsen's jepsen.checker/total-queue):
/// every acknowledged `enqueue` is dequeued, nothing is dequeued that was not enqueued, nor more
/// often than it was. `dequeue` gives an element, or nil where there is none; `drain` gives a
/// list of them.
///
/// A dequeue without a known outcome may have taken an element: up to as many elements as there
/// are such dequeues are not lost, but *possibly taken*.
///
/// ```
/// # use fuzz_dist::checker::{Checker, total_queue, histories::Recorder};
/// # use fuzz_dist::op::Value;
/// let mut r = Recorder::new(["n1"]);
/// r.invoke(0, "enqueue", 7);
/// r.done(0);
/// r.invoke(0, "drain", Value::Nil);
/// r.ok(0, Value::list([8]));
/// let verdict = total_queue().check(&r.history());
/// let kinds: Vec<&str> = verdict.anomalies.iter().map(|a| &*a.kind).collect();
/// assert_eq!(kinds, ["lost", "unexpected"]);
/// ```
pub fn total_queue() -> TotalQueue {
    TotalQueue::default()
}

impl TotalQueue {
    /// May an element be delivered more than once (at least once)? Then that is counted only.
    #[must_use]
    pub fn redelivery(mut self, allowed: bool) -> TotalQueue {
        self.redelivery = allowed;
        self
    }
}

#[derive(Default)]
struct Tally {
    attempts: usize,
    failed: usize,
    acknowledged: Vec<usize>,
    dequeued: Vec<usize>,
    first_attempt: Option<usize>,
}

impl Checker for TotalQueue {
    fn check(&self, history: &History) -> Verdict {
        let mut all: HashMap<Value, Tally> = HashMap::new();
        for call in calls(history, &["enqueue"]) {
            let tally = all.entry(history.value(call.invoked)).or_default();
            match call.outcome {
                Outcome::Failed => tally.failed += 1,
                outcome => {
                    tally.attempts += 1;
                    tally.first_attempt = tally.first_attempt.or(Some(call.invoked));
                    if outcome == Outcome::Acknowledged {
                        tally.acknowledged.extend(call.completed);
                    }
                }
            }
        }
        let (mut open, mut dequeues) = (0usize, 0usize);
        let mut drain_open = false;
        for call in calls(history, &["dequeue", "drain"]) {
            let drains = &**history.function(call.invoked) == "drain";
            let Some(done) = call.acknowledged() else {
                open += usize::from(call.outcome == Outcome::Open);
                drain_open |= drains && call.outcome == Outcome::Open;
                continue;
            };
            let items = match history.value(done) {
                Value::Nil => Vec::new(),
                Value::List(items) if drains => items.to_vec(),
                Value::Set(items) if drains => {
                    items.as_slice().iter().map(|n| Value::Int(*n)).collect()
                }
                item => vec![item],
            };
            for item in items {
                dequeues += 1;
                all.entry(item).or_default().dequeued.push(done);
            }
        }
        let mut all: Vec<(Value, Tally)> = all.into_iter().collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let excused = if drain_open { usize::MAX } else { open };
        let verdict = self.verdict(history, &all, excused);
        let verdict = verdict.with("dequeue_count", dequeues).with("unknown_dequeue_count", open);
        rechecked(history, verdict, recheck::total_queue)
    }
}

impl TotalQueue {
    fn verdict(&self, history: &History, all: &[(Value, Tally)], excused: usize) -> Verdict {
        let (mut lost, mut unexpected, mut duplicate, mut early) = (vec![], vec![], vec![], vec![]);
        let (mut gone, mut recovered, mut attempts, mut acknowledged) = (0, 0, 0, 0);
        for (value, t) in all {
            attempts += t.attempts + t.failed;
            acknowledged += t.acknowledged.len();
            let missing = t.acknowledged.len().saturating_sub(t.dequeued.len());
            gone += missing;
            recovered += t.dequeued.len().min(t.attempts).saturating_sub(t.acknowledged.len());
            if missing > 0 {
                lost.push((value, t));
            }
            if t.attempts == 0 && !t.dequeued.is_empty() {
                unexpected.push((value, t));
            } else if t.dequeued.len() > t.attempts {
                duplicate.push((value, t));
            }
            if t.first_attempt.is_some_and(|a| t.dequeued.first().is_some_and(|d| *d < a)) {
                early.push((value, t));
            }
        }
        // Unknown dequeues may have taken what is missing.
        let possibly = gone.min(excused);
        if gone <= excused {
            lost.clear();
        }
        let mut verdict = Verdict::valid("total_queue");
        let mut reasons = Vec::new();
        let duplicate_count = duplicate.len();
        if self.redelivery {
            duplicate.clear();
        }
        for (kind, found, what) in [
            ("lost", &lost, "lost"),
            ("unexpected", &unexpected, "dequeued without having been enqueued"),
            ("duplicate", &duplicate, "dequeued more often than enqueued"),
            ("early", &early, "dequeued before it was enqueued"),
        ] {
            if found.is_empty() {
                continue;
            }
            let names: Vec<&Value> = found.iter().map(|(v, _)| *v).collect();
            reasons.push(format!("{} {what}: {}", count(found.len(), "element"), listed(&names)));
            let shown = found.iter().take(ANOMALIES_MAX);
            verdict.anomalies.extend(shown.map(|(v, t)| explain(history, kind, v, t, what)));
        }
        let mut verdict = match reasons.split_first() {
            Some((first, rest)) => {
                let v = Verdict::invalid("total_queue", first);
                Verdict { anomalies: verdict.anomalies, ..rest.iter().fold(v, |v, r| v.because(r)) }
            }
            None if all.iter().all(|(_, t)| t.dequeued.is_empty()) => {
                Verdict::unknown("total_queue", "nothing was dequeued")
            }
            None => verdict,
        };
        let lost_count = if lost.is_empty() { 0 } else { gone };
        if lost_count > 0 && possibly > 0 {
            verdict = verdict.because(format!(
                "{gone} elements did not come out, and dequeues of unknown outcome can have taken {possibly} of them at most"
            ));
        }
        verdict
            .with("attempt_count", attempts)
            .with("acknowledged_count", acknowledged)
            .with("lost_count", lost_count)
            .with("possibly_taken_count", possibly)
            .with("unexpected_count", unexpected.len())
            .with("duplicate_count", duplicate_count)
            .with("early_count", early.len())
            .with("recovered_count", recovered)
    }
}

fn explain(history: &History, kind: &str, value: &Value, t: &Tally, what: &str) -> Anomaly {
    let at = |i: &usize| format!("{} at {}", node_of(history, *i), history.time(*i));
    let list = |events: &[usize]| events.iter().take(4).map(at).collect::<Vec<_>>().join(", ");
    let mut text = format!("{value} was {what}");
    if !t.acknowledged.is_empty() {
        text.push_str(&format!("; its enqueue was acknowledged by {}", list(&t.acknowledged)));
    } else if t.failed > 0 {
        text.push_str("; its enqueue had failed");
    }
    if !t.dequeued.is_empty() {
        text.push_str(&format!("; dequeued on {}", list(&t.dequeued)));
    }
    let mut events: Vec<usize> = t.acknowledged.iter().chain(&t.dequeued).copied().collect();
    events.extend(t.first_attempt);
    events.sort_unstable();
    Anomaly::new(kind, value.clone()).explained(text).proved_by(events)
}

#[cfg(test)]
mod tests {
    use super::super::Validity;
    use super::super::histories::Recorder;
    use super::*;
    use crate::random::Seed;

    fn run(enqueued: &[(i64, char)], dequeued: &[Option<i64>]) -> History {
        let mut r = Recorder::new(["n1"]);
        for (i, (value, outcome)) in enqueued.iter().enumerate() {
            r.invoke(i as u32, "enqueue", *value);
            match outcome {
                'o' => r.done(i as u32),
                'f' => r.fail(i as u32),
                _ => r.info(i as u32),
            };
        }
        for (i, value) in dequeued.iter().enumerate() {
            r.invoke(1000 + i as u32, "dequeue", Value::Nil);
            match value {
                Some(value) => r.ok(1000 + i as u32, *value),
                None => r.info(1000 + i as u32),
            };
        }
        r.history()
    }

    #[test]
    fn an_element_that_an_unknown_dequeue_may_have_taken_is_not_lost() {
        let verdict = total_queue().check(&run(&[(1, 'o'), (2, 'o')], &[Some(1), None]));
        assert!(verdict.is_valid());
        assert_eq!(verdict.results["possibly_taken_count"], 1);
        let verdict = total_queue().check(&run(&[(1, 'o'), (2, 'o'), (3, 'o')], &[Some(1), None]));
        assert!(verdict.is_invalid(), "one dequeue cannot have taken two");
    }

    #[test]
    fn redelivery_may_be_allowed() {
        let history = run(&[(1, 'o')], &[Some(1), Some(1)]);
        assert!(total_queue().check(&history).is_invalid());
        let verdict = total_queue().redelivery(true).check(&history);
        assert!(verdict.is_valid() && verdict.results["duplicate_count"] == 1);
    }

    #[test]
    fn the_twin_agrees_on_random_histories() {
        let mut seen = [0; 3];
        for seed in 0..10_000 {
            let mut s = Seed(seed).stream("total_queue");
            let enqueued: Vec<(i64, char)> = (0..s.index(6))
                .map(|_| (s.below(5) as i64, ['o', 'o', 'o', 'f', 'i'][s.index(5)]))
                .collect();
            let mut dequeued: Vec<Option<i64>> = Vec::new();
            for (value, outcome) in &enqueued {
                if *outcome != 'f' && s.chance(0.9) {
                    dequeued.push((!s.chance(0.1)).then_some(*value));
                }
                if s.chance(0.05) {
                    dequeued.push(Some(s.below(6) as i64));
                }
            }
            let verdict = total_queue().check(&run(&enqueued, &dequeued));
            // All ways in which unknown enqueues happened and unknown dequeues took something.
            let taken = dequeued.iter().filter(|d| d.is_none()).count();
            let outs = |v: i64| dequeued.iter().filter(|d| **d == Some(v)).count();
            let ins = |v: i64, o: &str| {
                enqueued.iter().filter(|(w, x)| *w == v && o.contains(*x)).count()
            };
            let excess = (0..6).any(|v| outs(v) > ins(v, "oi"));
            let gone: usize = (0..6).map(|v| ins(v, "o").saturating_sub(outs(v))).sum();
            let expected = if excess || gone > taken {
                Validity::Invalid
            } else if dequeued.iter().all(Option::is_none) {
                Validity::Unknown
            } else {
                Validity::Valid
            };
            assert_eq!(verdict.validity, expected, "{enqueued:?} {dequeued:?}");
            seen[expected as usize] += 1;
        }
        assert!(seen.iter().all(|n| *n > 100), "{seen:?}");
    }
}
