//! `total_queue`: what goes into a queue comes out, once, in whatever order.

use super::calls::{Call, Outcome, call, invoked};
use super::dense::{Dense, NONE};
use super::evidence::{count, listed, node_of};
use super::finals::{heed_the_end, unsettled};
use super::recheck::{self, rechecked};
use super::{ANOMALIES_MAX, Anomaly, Checker, Verdict};
use crate::history::hash::FastMap;
use crate::history::{History, View};
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

/// What is known about one element.
#[derive(Clone, Copy)]
struct Tally {
    /// Enqueues that may have happened, those of them that were acknowledged, and those that failed.
    attempts: u32,
    acknowledged: u32,
    failed: u32,
    dequeued: u32,
    /// Events; [`NONE`] where there is none.
    first_attempt: u32,
    first_dequeue: u32,
}

const UNKNOWN: Tally = Tally {
    attempts: 0,
    acknowledged: 0,
    failed: 0,
    dequeued: 0,
    first_attempt: NONE,
    first_dequeue: NONE,
};

/// The elements of a history by their numbers.
struct Elements<'a> {
    history: &'a History,
    numbers: Dense<'a>,
    tallies: Vec<Tally>,
    /// By their invocations.
    enqueues: Vec<u32>,
    dequeues: Vec<u32>,
}

impl Checker for TotalQueue {
    fn check(&self, history: &History) -> Verdict {
        let mut elements = Elements::of(history);
        let dequeues = std::mem::take(&mut elements.dequeues);
        let (mut open, mut count) = (0usize, 0usize);
        let mut drain_open = false;
        for invoked in &dequeues {
            let call = call(history, *invoked as usize);
            let Some(done) = call.acknowledged() else {
                let unknown = call.outcome == Outcome::Open;
                open += usize::from(unknown);
                drain_open |= unknown && elements.drains(&call);
                continue;
            };
            elements.taken(&call, done, |elements, id| {
                count += 1;
                let tally = elements.tally(id);
                tally.dequeued += 1;
                tally.first_dequeue = tally.first_dequeue.min(done as u32);
            });
        }
        elements.dequeues = dequeues;
        let excused = if drain_open { usize::MAX } else { open };
        let mut verdict = self.verdict(&mut elements, excused, unsettled(history).is_none());
        heed_the_end(history, &mut verdict);
        let verdict = verdict.with("dequeue_count", count).with("unknown_dequeue_count", open);
        rechecked(history, verdict, recheck::total_queue)
    }
}

impl<'a> Elements<'a> {
    /// Counts the enqueues, and gathers the dequeues.
    fn of(history: &'a History) -> Elements<'a> {
        let [enqueues, dequeues] = invoked(history, [&["enqueue"], &["dequeue", "drain"]]);
        let numbers = Dense::of_events(history, &enqueues);
        let tallies = Vec::with_capacity(enqueues.len());
        let mut elements = Elements { history, numbers, tallies, enqueues: Vec::new(), dequeues };
        for invoked in &enqueues {
            let call = call(history, *invoked as usize);
            let id = elements.numbers.event(call.invoked);
            let tally = elements.tally(id);
            if call.outcome == Outcome::Failed {
                tally.failed += 1;
                continue;
            }
            tally.attempts += 1;
            tally.first_attempt = tally.first_attempt.min(call.invoked as u32);
            tally.acknowledged += u32::from(call.outcome == Outcome::Acknowledged);
        }
        elements.enqueues = enqueues;
        elements
    }

    fn tally(&mut self, id: u32) -> &mut Tally {
        if self.tallies.len() <= id as usize {
            self.tallies.resize(id as usize + 1, UNKNOWN);
        }
        &mut self.tallies[id as usize]
    }

    fn drains(&self, call: &Call) -> bool {
        &**self.history.function(call.invoked) == "drain"
    }

    /// Tells every element that a dequeue took.
    fn taken(&mut self, call: &Call, done: usize, mut tell: impl FnMut(&mut Self, u32)) {
        let history = self.history;
        match history.view(done) {
            Some(View::Nil) => {}
            Some(View::List(items)) if self.drains(call) => {
                for word in items.words() {
                    let id = self.numbers.word(*word);
                    tell(self, id);
                }
            }
            None if self.drains(call) => {
                let Value::Set(set) = history.value(done) else { return };
                for n in set.as_slice() {
                    let id = self.numbers.int(*n);
                    tell(self, id);
                }
            }
            _ => {
                let id = self.numbers.event(done);
                tell(self, id);
            }
        }
    }

    /// For each of a few elements the events that acknowledged and that dequeued it.
    fn lives(&mut self, ids: &[u32]) -> FastMap<u32, Life> {
        let mut lives: FastMap<u32, Life> = ids.iter().map(|id| (*id, Life::default())).collect();
        for invoked in std::mem::take(&mut self.enqueues) {
            let call = call(self.history, invoked as usize);
            let id = self.numbers.event(call.invoked);
            if let Some(life) = lives.get_mut(&id) {
                life.acknowledged.extend(call.acknowledged());
            }
        }
        for invoked in std::mem::take(&mut self.dequeues) {
            let call = call(self.history, invoked as usize);
            let Some(done) = call.acknowledged() else { continue };
            self.taken(&call, done, |_, id| {
                if let Some(life) = lives.get_mut(&id) {
                    life.dequeued.push(done);
                }
            });
        }
        lives
    }
}

#[derive(Default)]
struct Life {
    acknowledged: Vec<usize>,
    dequeued: Vec<usize>,
}

impl TotalQueue {
    fn verdict(&self, elements: &mut Elements<'_>, excused: usize, settled: bool) -> Verdict {
        let (mut lost, mut unexpected, mut duplicate, mut early) = (vec![], vec![], vec![], vec![]);
        let (mut gone, mut recovered, mut attempts, mut acknowledged) = (0, 0, 0, 0);
        let mut any_dequeued = false;
        for (id, t) in elements.tallies.iter().enumerate() {
            let id = id as u32;
            attempts += (t.attempts + t.failed) as usize;
            acknowledged += t.acknowledged as usize;
            any_dequeued |= t.dequeued > 0;
            let missing = t.acknowledged.saturating_sub(t.dequeued);
            gone += missing as usize;
            recovered += t.dequeued.min(t.attempts).saturating_sub(t.acknowledged) as usize;
            if missing > 0 {
                lost.push(id);
            }
            if t.attempts == 0 && t.dequeued > 0 {
                unexpected.push(id);
            } else if t.dequeued > t.attempts {
                duplicate.push(id);
            }
            if t.dequeued > 0 && t.attempts > 0 && t.first_dequeue < t.first_attempt {
                early.push(id);
            }
        }
        // Unknown dequeues may have taken what is missing.
        let possibly = gone.min(excused);
        if gone <= excused || !settled {
            // What is still in the queue when a run ends early is not lost, either.
            lost.clear();
        }
        let counts = [lost.len(), unexpected.len(), duplicate.len(), early.len()];
        if self.redelivery {
            duplicate.clear();
        }
        let mut reasons = Vec::new();
        let mut anomalies = Vec::new();
        for (kind, found, what) in [
            ("lost", lost, "lost"),
            ("unexpected", unexpected, "dequeued without having been enqueued"),
            ("duplicate", duplicate, "dequeued more often than enqueued"),
            ("early", early, "dequeued before it was enqueued"),
        ] {
            if found.is_empty() {
                continue;
            }
            let mut found: Vec<(Value, u32)> =
                found.into_iter().map(|id| (elements.numbers.value(id), id)).collect();
            found.sort_unstable();
            let names: Vec<&Value> = found.iter().map(|(v, _)| v).collect();
            reasons.push(format!("{} {what}: {}", count(found.len(), "element"), listed(&names)));
            let shown = found.into_iter().take(ANOMALIES_MAX);
            anomalies.extend(shown.map(|(value, id)| (kind, value, id, what)));
        }
        let mut verdict = match reasons.split_first() {
            Some((first, rest)) => {
                rest.iter().fold(Verdict::invalid("total_queue", first), |v, r| v.because(r))
            }
            None if !any_dequeued => Verdict::unknown("total_queue", "nothing was dequeued"),
            None => Verdict::valid("total_queue"),
        };
        let [lost, unexpected, duplicate, early] = counts;
        let lost = if lost == 0 { 0 } else { gone };
        if lost > 0 && possibly > 0 {
            verdict = verdict.because(format!(
                "{gone} elements did not come out, and dequeues of unknown outcome can have taken {possibly} of them at most"
            ));
        }
        verdict.anomalies = explain(elements, &anomalies);
        verdict
            .with("attempt_count", attempts)
            .with("acknowledged_count", acknowledged)
            .with("lost_count", lost)
            .with("possibly_taken_count", possibly)
            .with("unexpected_count", unexpected)
            .with("duplicate_count", duplicate)
            .with("early_count", early)
            .with("recovered_count", recovered)
    }
}

/// Tells what was found: kind, element, its number, and what happened to it.
fn explain(elements: &mut Elements<'_>, found: &[(&str, Value, u32, &str)]) -> Vec<Anomaly> {
    if found.is_empty() {
        return Vec::new();
    }
    let history = elements.history;
    let ids: Vec<u32> = found.iter().map(|(_, _, id, _)| *id).collect();
    let lives = elements.lives(&ids);
    let at = |i: &usize| format!("{} at {}", node_of(history, *i), history.time(*i));
    let list = |events: &[usize]| events.iter().take(4).map(at).collect::<Vec<_>>().join(", ");
    let tell = |(kind, value, id, what): &(&str, Value, u32, &str)| {
        let (life, tally) = (&lives[id], elements.tallies[*id as usize]);
        let mut text = format!("{value} was {what}");
        if !life.acknowledged.is_empty() {
            let by = list(&life.acknowledged);
            text.push_str(&format!("; its enqueue was acknowledged by {by}"));
        } else if tally.failed > 0 {
            text.push_str("; its enqueue had failed");
        }
        if !life.dequeued.is_empty() {
            text.push_str(&format!("; dequeued on {}", list(&life.dequeued)));
        }
        let mut events: Vec<usize> =
            life.acknowledged.iter().chain(&life.dequeued).copied().collect();
        events.extend((tally.first_attempt != NONE).then_some(tally.first_attempt as usize));
        events.sort_unstable();
        Anomaly::new(*kind, value.clone()).explained(text).proved_by(events)
    };
    found.iter().map(tell).collect()
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
