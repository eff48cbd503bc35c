//! `total_queue`: every acknowledged element is dequeued exactly once, in any order.

use super::Arguments;
use super::calls::call;
use super::dense::NONE;
use super::evidence::{count, listed, node_of};
use super::finals::{heed_the_end, unsettled};
use super::online::OnlineQueue;
use super::verify::{self, verified};
use super::{ANOMALIES_MAX, Anomaly, Checker, Online, Verdict};
use crate::registration::{Judges, Needs, Opt, Registration, built};
use fuzz_dist_history::History;
use fuzz_dist_history::op::Value;

mod drained;
mod elements;
#[cfg(test)]
mod tests;

use drained::{Drained, Gone};
use elements::Elements;

/// Judges queues; see [`total_queue`].
#[derive(Clone, Debug, Default)]
pub struct TotalQueue {
    redelivery: bool,
}

/// Judges a queue that is drained in the end (after Jepsen's jepsen.checker/total-queue):
/// every acknowledged `enqueue` is dequeued, nothing is dequeued that was not enqueued, nor more
/// often than it was by then. `dequeue` gives an element, or nil where there is none; `drain` gives a
/// list of them.
///
/// An acknowledged element is *lost* where the queue was drained afterwards and did not give it: by
/// a `drain` that succeeded, or by dequeues the last of which found nothing. A dequeue of unknown
/// outcome that was invoked before the draining ended may have taken one element, and such a `drain`
/// any number. What did not come out and is not lost for certain makes the verdict *unknown*.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, total_queue, histories::Recorder};
/// # use fuzz_dist_history::op::Value;
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

pub(crate) const REGISTRATION: Registration = Registration {
    name: "total_queue",
    about: "every acknowledged element is dequeued, and none twice",
    judges: Judges::Only(&["enqueue", "dequeue", "drain"]),
    needs: Needs::Order,
    options: &[Opt::flag("redelivery", "an element may come out several times")],
    build: |o| built(total_queue().redelivery(o.flag("redelivery")?)),
};

impl Checker for TotalQueue {
    fn check(&self, history: &History) -> Verdict {
        let mut elements = Elements::of(history);
        let dequeues = std::mem::take(&mut elements.dequeues);
        let mut drained = Drained::default();
        let mut count = 0usize;
        for invoked in &dequeues {
            let call = call(history, *invoked as usize);
            drained.add(history, &call, elements.drains(&call));
            let Some(done) = call.acknowledged() else { continue };
            elements.taken(&call, done, |elements, id| {
                count += 1;
                let tally = elements.tally(id);
                tally.dequeued += 1;
                tally.first_dequeue = tally.first_dequeue.min(done as u32);
            });
        }
        elements.dequeues = dequeues;
        let mut verdict = self.verdict(&mut elements, &drained, unsettled(history).is_none());
        heed_the_end(history, &mut verdict);
        let open = drained.dequeues.len() + drained.drains.len();
        let verdict = verdict.with("dequeue_count", count).with("unknown_dequeue_count", open);
        verified(history, verdict, verify::total_queue)
    }

    fn online(&self, _: &History) -> Option<Box<dyn Online>> {
        Some(Box::new(OnlineQueue::new(self.redelivery)))
    }

    fn arguments(&self) -> Option<Arguments> {
        Some(Arguments::of("total_queue").flag("redelivery", self.redelivery))
    }
}

impl TotalQueue {
    fn verdict(&self, elements: &mut Elements<'_>, drained: &Drained, settled: bool) -> Verdict {
        let Gone { all: gone, lost, undrained } = drained.judge(elements);
        // What is still in the queue when a run ends early is not lost.
        let (lost, by, taken) = lost.filter(|_| settled).unwrap_or_default();
        let (mut unexpected, mut duplicate, mut early) = (vec![], elements.overtaken(), vec![]);
        let (mut recovered, mut attempts, mut acknowledged) = (0, 0, 0);
        let mut any_dequeued = false;
        for (id, t) in elements.tallies.iter().enumerate() {
            let id = id as u32;
            attempts += (t.attempts + t.failed) as usize;
            acknowledged += t.acknowledged as usize;
            any_dequeued |= t.dequeued > 0;
            recovered += t.dequeued.min(t.attempts).saturating_sub(t.acknowledged) as usize;
            if t.attempts == 0 && t.dequeued > 0 {
                unexpected.push(id);
            } else if t.dequeued > t.attempts {
                duplicate.push(id);
            }
            if t.dequeued > 0 && t.attempts > 0 && t.first_dequeue < t.first_attempt {
                early.push(id);
            }
        }
        let counts = [lost.len(), unexpected.len(), duplicate.len(), early.len()];
        if self.redelivery {
            duplicate.clear();
        }
        let mut reasons = Vec::new();
        let (mut anomalies, mut all) = (Vec::new(), Vec::new());
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
            all.push((kind, found.len()));
            let shown = found.into_iter().take(ANOMALIES_MAX);
            anomalies.extend(shown.map(|(value, id)| (kind, value, id, what)));
        }
        let mut verdict = match reasons.split_first() {
            Some((first, rest)) => {
                rest.iter().fold(Verdict::invalid("total_queue", first), |v, r| v.because(r))
            }
            None if !gone.is_empty() => {
                Verdict::unknown("total_queue", unsure(&gone, undrained, drained))
            }
            None if !any_dequeued => Verdict::unknown("total_queue", "nothing was dequeued"),
            None => Verdict::valid("total_queue"),
        };
        let [lost, unexpected, duplicate, early] = counts;
        if lost > 0 && taken > 0 {
            verdict = verdict.because(format!(
                "indeterminate (`info`) dequeues can have taken {taken} of those that are lost at most"
            ));
        }
        verdict.anomalies = explain(elements, &anomalies, by);
        all.into_iter().for_each(|(kind, n)| verdict.count_of(kind, n));
        verdict
            .with("attempt_count", attempts)
            .with("acknowledged_count", acknowledged)
            .with("lost_count", lost)
            .with("missing_count", gone.len())
            .with("undrained_count", undrained)
            .with("possibly_taken_count", if lost == 0 { gone.len() - undrained } else { taken })
            .with("unexpected_count", unexpected)
            .with("duplicate_count", duplicate)
            .with("early_count", early)
            .with("recovered_count", recovered)
    }
}

/// Why nobody knows whether what did not come out is lost.
fn unsure(gone: &[(usize, u32)], undrained: usize, drained: &Drained) -> String {
    let mut why = format!("{} did not come out", count(gone.len(), "acknowledged element"));
    let open = [(drained.dequeues.len(), "dequeue"), (drained.drains.len(), "drain")];
    let open: Vec<String> = (open.iter().filter(|(n, _)| *n > 0))
        .map(|(n, f)| count(*n, &format!("indeterminate (`info`) {f}")))
        .collect();
    if undrained > 0 {
        why.push_str(&format!("; the queue was not drained after {undrained} of them"));
    }
    if !open.is_empty() {
        why.push_str(&format!("; {} may have taken them", open.join(" and ")));
    }
    why
}

/// Explains what was found: kind, element, its number, and what happened to it. What is lost the
/// operation lacks that ended with event `by`.
fn explain(
    elements: &mut Elements<'_>,
    found: &[(&str, Value, u32, &str)],
    by: usize,
) -> Vec<Anomaly> {
    if found.is_empty() {
        return Vec::new();
    }
    let history = elements.history;
    let ids: Vec<u32> = found.iter().map(|(_, _, id, _)| *id).collect();
    let lives = elements.lives(&ids);
    let at = |i: &usize| format!("{} at {}", node_of(history, *i), history.time(*i));
    let list = |events: &[usize]| events.iter().take(4).map(at).collect::<Vec<_>>().join(", ");
    let explain = |(kind, value, id, what): &(&str, Value, u32, &str)| {
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
        if *kind == "lost" {
            text.push_str(&format!("; the queue was drained on {}", at(&by)));
            events.push(by);
        }
        events.extend((tally.first_attempt != NONE).then_some(tally.first_attempt as usize));
        events.sort_unstable();
        events.dedup();
        Anomaly::new(*kind, value.clone()).explained(text).proved_by(events)
    };
    found.iter().map(explain).collect()
}
