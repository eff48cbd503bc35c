//! `fifo`: a linearizable first-in-first-out queue of distinct elements, without a search.
//!
//! Henzinger, Sezgin and Vafeiadis, "Aspect-oriented linearizability proofs", 2013, theorem 1: a
//! history of a queue with distinct elements is linearizable exactly if
//! - nothing is dequeued that was not enqueued before the dequeue completed (*fresh*),
//! - nothing is dequeued twice (*repeat*),
//! - no two elements leave in the opposite order of that in which they came (*order*), and
//! - no dequeue finds the queue empty while it never was (*empty*).
//!
//! Sorting costs O(n log n), whatever the number of clients.

use std::collections::HashMap;

use super::super::calls::{Call, Outcome, calls};
use super::super::evidence::{count, node_of};
use super::super::recheck::{self, rechecked};
use super::super::{ANOMALIES_MAX, Anomaly, Checker, Verdict};
use crate::history::History;
use crate::op::Value;

/// Judges queues of distinct elements; see [`fifo`].
#[derive(Clone, Copy, Debug, Default)]
pub struct FifoQueue {
    per_producer: bool,
}

/// Judges whether a queue under `enqueue v` (each element once) and `dequeue` (nil where it is
/// empty) is linearizable. A dequeue without a known outcome may have taken an element: then
/// one that never came out proves nothing.
///
/// ```
/// # use fuzz_dist::checker::{Checker, fifo, histories::Recorder};
/// # use fuzz_dist::op::Value;
/// let mut r = Recorder::new(["n1"]);
/// for (f, n) in [("enqueue", 1), ("enqueue", 2), ("dequeue", 2), ("dequeue", 1)] {
///     r.invoke(0, f, if f == "dequeue" { Value::Nil } else { Value::Int(n) });
///     r.ok(0, n);
/// }
/// let verdict = fifo().check(&r.history());
/// assert_eq!(&*verdict.anomalies[0].kind, "reordered");
/// ```
pub fn fifo() -> FifoQueue {
    FifoQueue::default()
}

impl FifoQueue {
    /// Only the order of each producer's own elements counts, and that nothing is invented or
    /// delivered twice.
    #[must_use]
    pub fn per_producer(mut self, only: bool) -> FifoQueue {
        self.per_producer = only;
        self
    }
}

/// An element's way through the queue, as events; `usize::MAX` for never.
#[derive(Clone, Debug)]
struct Item {
    value: Value,
    producer: u32,
    came: usize,
    in_by: usize,
    taken: usize,
    out_by: usize,
    out_at: Option<usize>,
}

impl Checker for FifoQueue {
    fn check(&self, history: &History) -> Verdict {
        let mut found = Vec::new();
        let (items, empties, open) = match gather(history, &mut found) {
            Ok(gathered) => gathered,
            Err(why) => return Verdict::unknown("fifo", why),
        };
        let operations = items.len() + empties.len();
        if found.is_empty() {
            self.reordered(history, &items, open, &mut found);
        }
        if found.is_empty() && !self.per_producer && !open {
            empty(history, &items, &empties, &mut found);
        }
        let total = found.len();
        found.truncate(ANOMALIES_MAX);
        let mut verdict = match (total, operations) {
            (0, 0) => Verdict::unknown("fifo", "no operation succeeded"),
            (0, _) => Verdict::valid("fifo"),
            (n, _) => {
                Verdict::invalid("fifo", format!("{} of the queue's order", count(n, "breach")))
            }
        };
        verdict.anomalies = found;
        let verdict = verdict.with("element_count", items.len());
        let verdict = verdict.with("empty_count", empties.len());
        rechecked(history, verdict, recheck::fifo)
    }
}

type Gathered = (Vec<Item>, Vec<Call>, bool);

/// All elements, dequeues that found nothing, and whether some dequeue's outcome is unknown.
fn gather(history: &History, found: &mut Vec<Anomaly>) -> Result<Gathered, String> {
    let mut ids: HashMap<Value, usize> = HashMap::new();
    let mut items: Vec<Item> = Vec::new();
    for call in calls(history, &["enqueue"]).filter(|c| c.outcome != Outcome::Failed) {
        let value = history.value(call.invoked);
        if ids.insert(value.clone(), items.len()).is_some() {
            return Err(format!("{value} is enqueued twice, so its way cannot be followed"));
        }
        items.push(Item {
            value,
            producer: call.process.0,
            came: call.invoked,
            in_by: call.end(),
            taken: usize::MAX,
            out_by: usize::MAX,
            out_at: None,
        });
    }
    let (mut empties, mut open) = (Vec::new(), false);
    for call in calls(history, &["dequeue"]) {
        open |= call.outcome == Outcome::Open;
        let Some(done) = call.acknowledged() else { continue };
        let value = history.value(done);
        if value.is_nil() {
            empties.push(call);
            continue;
        }
        let at = format!("on {} at {}", node_of(history, done), history.time(done));
        let mut strange = |kind, why: String, events: Vec<usize>| {
            let text = format!("{value} was dequeued {at}, but {why}");
            let anomaly = Anomaly::new(kind, value.clone()).explained(text).proved_by(events);
            found.push(anomaly.on(history.node(done)).at(history.time(done)));
        };
        let Some(item) = ids.get(&value).map(|id| &mut items[*id]) else {
            strange("unexpected", "nobody enqueued it".into(), vec![done]);
            continue;
        };
        if let Some(former) = item.out_at {
            let why = format!("so it was at {} already", history.time(former));
            strange("duplicate", why, vec![former, done]);
        } else if item.came > done {
            let why = format!("its enqueue was invoked only at {}", history.time(item.came));
            strange("early", why, vec![done, item.came]);
        }
        (item.taken, item.out_by, item.out_at) = (call.invoked, done, Some(done));
    }
    // An enqueue of unknown outcome whose element came out had taken effect by then; one whose
    // element never did need not have happened.
    items.retain(|i| i.in_by != usize::MAX || i.out_at.is_some());
    Ok((items, empties, open))
}

impl FifoQueue {
    /// An element that was in before another came, and was not yet being taken when that was
    /// out.
    fn reordered(&self, history: &History, items: &[Item], open: bool, found: &mut Vec<Anomaly>) {
        let mut groups: HashMap<u32, Vec<&Item>> = HashMap::new();
        // Where a dequeue's outcome is unknown, what never came out may have been taken by it.
        for item in items.iter().filter(|i| !open || i.out_at.is_some()) {
            groups.entry(if self.per_producer { item.producer } else { 0 }).or_default().push(item);
        }
        let mut groups: Vec<(u32, Vec<&Item>)> = groups.into_iter().collect();
        groups.sort_unstable_by_key(|(producer, _)| *producer);
        for (_, mut later) in groups {
            let mut earlier = later.clone();
            earlier.sort_unstable_by_key(|i| i.in_by);
            later.sort_unstable_by_key(|i| i.came);
            let mut begun = earlier.into_iter().peekable();
            // Of all that were in before, the one that was taken last.
            let mut last: Option<&Item> = None;
            for item in later {
                while let Some(former) = begun.next_if(|f| f.in_by < item.came) {
                    if last.is_none_or(|l| l.taken < former.taken) {
                        last = Some(former);
                    }
                }
                if let Some(former) = last.filter(|l| l.taken > item.out_by) {
                    found.push(swapped(history, former, item));
                }
            }
        }
    }
}

fn swapped(history: &History, a: &Item, b: &Item) -> Anomaly {
    let time = |event: usize| history.time(event.min(history.len() - 1));
    let fate = match a.out_at {
        Some(_) => format!("the dequeue of {} began only at {}", a.value, time(a.taken)),
        None => format!("{} never came out", a.value),
    };
    let text = format!(
        "{} was in the queue by {}, {} came after that, at {}, and was out by {}; but {fate}",
        a.value,
        time(a.in_by),
        b.value,
        time(b.came),
        time(b.out_by)
    );
    let mut events = vec![a.in_by, b.came, b.out_by, a.taken];
    events.retain(|e| *e < history.len());
    events.sort_unstable();
    let kind = if a.out_at.is_some() { "reordered" } else { "lost" };
    Anomaly::new(kind, a.value.clone()).explained(text).at(time(b.out_by)).proved_by(events)
}

/// Dequeues that found nothing though at every moment some element was in for certain.
fn empty(history: &History, items: &[Item], empties: &[Call], found: &mut Vec<Anomaly>) {
    let mut sure: Vec<(usize, usize)> =
        items.iter().filter(|i| i.in_by < i.taken).map(|i| (i.in_by, i.taken)).collect();
    sure.sort_unstable();
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for (from, to) in sure {
        // Between two events nothing happens, so what touches at an event leaves a gap there
        // only if the one ends before the other begins.
        match spans.last_mut() {
            Some(last) if from < last.1 => last.1 = last.1.max(to),
            _ => spans.push((from, to)),
        }
    }
    for call in empties {
        let Some(done) = call.acknowledged() else { continue };
        let span = spans[..spans.partition_point(|s| s.0 < call.invoked)].last();
        if let Some((from, _)) = span.filter(|s| s.1 > done) {
            let text = format!(
                "a dequeue by client {} found the queue empty on {} at {}, but from {} on it never was",
                call.process,
                node_of(history, done),
                history.time(done),
                history.time(*from)
            );
            found.push(
                Anomaly::new("not_empty", Value::Nil)
                    .explained(text)
                    .on(history.node(done))
                    .at(history.time(done))
                    .proved_by([*from, call.invoked, done]),
            );
        }
    }
}
