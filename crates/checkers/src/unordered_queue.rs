//! `unordered_queue`: a linearizable queue whose elements may come out in any order.

use super::Arguments;
use std::collections::BTreeMap;

use super::calls::{Call, Outcome, calls};
use super::evidence::{Faults, count, listed, node_of};
use super::verify::{self, verified};
use super::{Anomaly, Checker, Verdict};
use crate::registration::{Judges, Needs, Registration, built};
use fuzz_dist_history::History;
use fuzz_dist_history::op::Value;

#[cfg(test)]
mod tests;

/// Judges queues without an order; see [`unordered_queue`].
#[derive(Clone, Copy, Debug)]
pub struct UnorderedQueue(());

/// Judges whether a queue under `enqueue v` (each element once) and `dequeue` (nil where it finds
/// nothing) is linearizable where elements may come out in any order: a pool, or a queue with
/// several consumers.
///
/// What comes out was put in before (`unexpected`, `early`) and comes out once (`duplicate`); a
/// dequeue finds nothing only at a moment at which the queue may be empty (`not_empty`). Elements are
/// independent of one another, so that this is exact and costs no search. An indeterminate dequeue
/// may have taken one element that never came out, from its invocation on: the verdict is unknown
/// where only that explains why a dequeue found nothing. An element that is never dequeued is not lost, since no client
/// may have tried; see [`total_queue`](super::total_queue()).
///
/// ```
/// # use fuzz_dist_checkers::{Checker, unordered_queue, histories::Recorder};
/// # use fuzz_dist_history::op::Value;
/// let mut r = Recorder::new(["n1"]);
/// for (f, n) in [("enqueue", 1), ("enqueue", 2), ("dequeue", 2), ("dequeue", 1)] {
///     r.invoke(0, f, if f == "dequeue" { Value::Nil } else { Value::Int(n) });
///     r.ok(0, n);
/// }
/// assert!(unordered_queue().check(&r.history()).is_valid());
/// ```
pub fn unordered_queue() -> UnorderedQueue {
    UnorderedQueue(())
}

/// An element's time in the queue, as events.
#[derive(Default)]
struct Item {
    /// The invocation and the outcome of each enqueue.
    puts: Vec<Call>,
    /// The dequeues that gave it.
    taken: Vec<Call>,
}

impl Item {
    /// The enqueue that may have happened.
    fn put(&self) -> Option<&Call> {
        self.puts.iter().find(|call| call.outcome != Outcome::Failed)
    }

    /// From when and until when it certainly was in: after its enqueue, before its dequeue.
    fn sure(&self) -> Option<(usize, usize)> {
        let from = self.put()?.acknowledged()?;
        let until = self.taken.first().map_or(usize::MAX, |call| call.invoked);
        (from < until).then_some((from, until))
    }
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "unordered_queue",
    about: "a linearizable queue of distinct elements in any order",
    judges: Judges::Only(&["enqueue", "dequeue"]),
    needs: Needs::Order,
    options: &[],
    build: |_| built(unordered_queue()),
};

impl Checker for UnorderedQueue {
    fn check(&self, history: &History) -> Verdict {
        let mut items: BTreeMap<Value, Item> = BTreeMap::new();
        let (mut empties, mut open) = (Vec::new(), Vec::new());
        for call in calls(history, &["enqueue", "dequeue"]) {
            if &**history.function(call.invoked) == "enqueue" {
                let item = items.entry(history.value(call.invoked)).or_default();
                if let (Some(former), true) = (item.put(), call.outcome != Outcome::Failed) {
                    let why = format!(
                        "{} is enqueued twice, at events {} and {}, so its place is unknown",
                        history.value(call.invoked),
                        former.invoked,
                        call.invoked
                    );
                    return Verdict::unknown("unordered_queue", why);
                }
                item.puts.push(call);
                continue;
            }
            match (call.acknowledged().map(|done| history.value(done)), call.outcome) {
                (Some(Value::Nil), _) => empties.push(call),
                (Some(value), _) => items.entry(value).or_default().taken.push(call),
                (None, Outcome::Open) => open.push(call.invoked),
                (None, _) => {}
            }
        }
        let mut found: Vec<Anomaly> =
            items.iter().filter_map(|(value, item)| wrong(history, value, item)).collect();
        let mut excused = 0;
        if found.is_empty() {
            let cover = Cover::of(&items, &open);
            for call in &empties {
                match cover.judge(call) {
                    Empty::Possible => {}
                    Empty::Excused => excused += 1,
                    Empty::Never(since) => found.push(not_empty(history, call, since)),
                }
            }
        }
        let elements: Vec<&Value> = found.iter().map(|a| &a.subject).take(9).collect();
        let worked = items.values().any(|i| !i.taken.is_empty()) || !empties.is_empty();
        let mut verdict = match (found.is_empty(), excused, worked) {
            (false, ..) => Verdict::invalid(
                "unordered_queue",
                format!(
                    "{} of the queue: {}",
                    count(found.len(), "contradiction"),
                    listed(&elements)
                ),
            ),
            (true, 0, false) => Verdict::unknown("unordered_queue", "nothing was dequeued"),
            (true, 0, true) => Verdict::valid("unordered_queue"),
            (true, n, _) => Verdict::unknown(
                "unordered_queue",
                format!(
                    "{} found nothing though elements were in, unless indeterminate (`info`) dequeues took them",
                    count(n, "dequeue")
                ),
            ),
        };
        verdict.sample(found);
        let verdict = verdict
            .with("element_count", items.len())
            .with("empty_count", empties.len())
            .with("indeterminate_dequeue_count", open.len());
        let verdict = verified(history, verdict, verify::unordered_queue);
        Faults::of(history).state(history, verdict)
    }

    fn arguments(&self) -> Option<Arguments> {
        Some(Arguments::of("unordered_queue"))
    }
}

/// What is wrong with one element by itself.
fn wrong(history: &History, value: &Value, item: &Item) -> Option<Anomaly> {
    let first = item.taken.iter().filter_map(Call::acknowledged).min()?;
    let at = |i: usize| format!("{} at {}", node_of(history, i), history.time(i));
    let (kind, text) = match item.put() {
        None if item.puts.is_empty() => (
            "unexpected",
            format!("{value} was dequeued on {}, but no client had enqueued it", at(first)),
        ),
        None => (
            "unexpected",
            format!("{value} was dequeued on {}, but its enqueue had failed", at(first)),
        ),
        Some(put) if first < put.invoked => {
            let put = at(put.invoked);
            (
                "early",
                format!("{value} was dequeued on {}, before it was enqueued on {put}", at(first)),
            )
        }
        Some(_) if item.taken.len() > 1 => {
            let all: Vec<String> =
                item.taken.iter().filter_map(Call::acknowledged).take(4).map(at).collect();
            (
                "duplicate",
                format!("{value} was dequeued {} times: on {}", item.taken.len(), all.join(", ")),
            )
        }
        Some(_) => return None,
    };
    let ends = item.puts.iter().chain(&item.taken).flat_map(|c| [Some(c.invoked), c.completed]);
    let mut events: Vec<usize> = ends.flatten().collect();
    events.sort_unstable();
    Some(
        Anomaly::new(kind, value.clone())
            .explained(text)
            .on(history.node(first))
            .at(history.time(first))
            .proved_by(events),
    )
}

fn not_empty(history: &History, call: &Call, since: usize) -> Anomaly {
    let done = call.completed.unwrap_or(call.invoked);
    let text = format!(
        "the dequeue by client {} on {} found nothing at {}, but from {} on some element always was in",
        call.process,
        node_of(history, done),
        history.time(done),
        history.time(since)
    );
    let mut events = vec![since, call.invoked, done];
    events.dedup();
    Anomaly::new("not_empty", Value::Nil)
        .explained(text)
        .on(history.node(done))
        .at(history.time(done))
        .proved_by(events)
}

/// Can a dequeue have found nothing?
enum Empty {
    Possible,
    /// Only where indeterminate dequeues took what was in.
    Excused,
    /// Since this event some element certainly was in.
    Never(usize),
}

/// When some element certainly was in. A moment is named by the event that it follows: between two
/// events nothing happens.
struct Cover<'a> {
    /// Of elements that came out.
    out: Vec<(usize, usize)>,
    /// Of all elements.
    all: Vec<(usize, usize)>,
    /// From when on those were in that never came out, ascending.
    stayed: Vec<usize>,
    open: &'a [usize],
}

impl Cover<'_> {
    fn of<'a>(items: &BTreeMap<Value, Item>, open: &'a [usize]) -> Cover<'a> {
        let mut sure: Vec<(usize, usize)> = items.values().filter_map(Item::sure).collect();
        sure.sort_unstable();
        let came_out = |s: &&(usize, usize)| s.1 != usize::MAX;
        Cover {
            out: merged(sure.iter().filter(came_out)),
            all: merged(sure.iter()),
            stayed: sure.iter().filter(|s| !came_out(s)).map(|s| s.0).collect(),
            open,
        }
    }

    fn judge(&self, call: &Call) -> Empty {
        let done = call.completed.unwrap_or(call.invoked);
        let mut moment = call.invoked;
        let mut excused = false;
        while moment < done {
            let next = self.out.partition_point(|span| span.0 <= moment);
            if let Some((_, until)) = next.checked_sub(1).map(|i| self.out[i])
                && until > moment
            {
                moment = until;
                continue;
            }
            // Each indeterminate dequeue took one at most of those that never came out.
            let stayed = self.stayed.partition_point(|from| *from <= moment);
            let takers = self.open.partition_point(|taker| *taker <= moment);
            if stayed == 0 {
                return Empty::Possible;
            }
            excused |= stayed <= takers;
            // Until then it can only become worse.
            let taker = self.open.get(takers).copied().unwrap_or(done);
            moment = self.out.get(next).map_or(taker, |span| taker.min(span.0));
        }
        if excused { Empty::Excused } else { Empty::Never(self.since(call.invoked, done)) }
    }

    /// From when on some element was in, of a dequeue that certainly did not find nothing.
    fn since(&self, invoked: usize, done: usize) -> usize {
        let takers = self.open.partition_point(|taker| *taker < done);
        let spans = if takers == 0 { &self.all } else { &self.out };
        let span = spans[..spans.partition_point(|span| span.0 < invoked)].last();
        let stayed = self.stayed.get(takers).copied().filter(|from| *from < invoked);
        span.filter(|span| span.1 > done).map(|span| span.0).or(stayed).unwrap_or(invoked)
    }
}

/// Spans that overlap as one. Between two events nothing happens, so that one that begins where
/// another ends leaves a gap.
fn merged<'a>(spans: impl Iterator<Item = &'a (usize, usize)>) -> Vec<(usize, usize)> {
    let mut merged: Vec<(usize, usize)> = Vec::new();
    for (from, to) in spans {
        match merged.last_mut() {
            Some(last) if *from < last.1 => last.1 = last.1.max(*to),
            _ => merged.push((*from, *to)),
        }
    }
    merged
}
