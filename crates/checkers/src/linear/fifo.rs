//! `fifo`: a linearizable first-in-first-out queue of distinct elements, without a search.
//!
//! Henzinger, Sezgin and Vafeiadis, "Aspect-oriented linearizability proofs", 2013, theorem 1: a
//! history of a queue with distinct elements is linearizable exactly if
//! - nothing is dequeued that was not enqueued before the dequeue completed (*fresh*),
//! - nothing is dequeued twice (*repeat*),
//! - no two elements leave in the opposite order of that in which they came (*order*), and
//! - no dequeue finds the queue empty while it never was (*empty*).
//!
//! This costs O(n), whatever the number of clients. Dequeues of unknown outcome may have taken
//! elements that never came out; `fifo_open.rs` matches them exactly.

use super::super::Arguments;
use super::super::calls::{Call, Outcome, call, invoked};
use super::super::dense::{Dense, NONE};
use super::super::evidence::{count, node_of};
use super::super::verify::{self, verified};
use super::super::{Anomaly, Checker, Verdict};
use super::fifo_open::{Empty, Takers};
use crate::registration::{Judges, Needs, Opt, Registration, built};
use fuzz_dist_history::hash::FastMap;
use fuzz_dist_history::op::Value;
use fuzz_dist_history::{History, Word};

/// Judges queues of distinct elements; see [`fifo`].
#[derive(Clone, Copy, Debug, Default)]
pub struct FifoQueue {
    per_producer: bool,
}

/// Judges whether a queue under `enqueue v` (each element once) and `dequeue` (nil where it is
/// empty) is linearizable. A dequeue without a known outcome may have taken one element that never
/// came out, from its invocation on.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, fifo, histories::Recorder};
/// # use fuzz_dist_history::op::Value;
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

/// An element's way through the queue, as events; [`NONE`] for never.
#[derive(Clone, Copy, Debug)]
struct Item {
    producer: u32,
    came: u32,
    in_by: u32,
    taken: u32,
    out_by: u32,
}

impl Item {
    /// An enqueue of unknown outcome whose element came out had taken effect by then; one whose
    /// element never did need not have happened.
    fn exists(&self) -> bool {
        self.in_by != NONE || self.came_out()
    }

    fn came_out(&self) -> bool {
        self.out_by != NONE
    }
}

/// What a history says about its queue.
struct Way<'a> {
    history: &'a History,
    values: Dense<'a>,
    /// By the number of the element, and so in the order in which they came.
    items: Vec<Item>,
    /// The elements that were certainly in the queue at some event, by that event.
    by_entry: Vec<u32>,
    /// Dequeues that found nothing.
    empties: Vec<Call>,
    /// The invocations of dequeues of unknown outcome, ascending.
    open: Vec<u32>,
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "fifo",
    about: "a linearizable queue of distinct elements",
    judges: Judges::Only(&["enqueue", "dequeue"]),
    needs: Needs::Order,
    options: &[
        Opt::flag("per-producer", "only the order of each producer's elements counts").of_clients()
    ],
    build: |o| built(fifo().per_producer(o.flag("per-producer")?)),
};

impl Checker for FifoQueue {
    fn check(&self, history: &History) -> Verdict {
        let mut found = Vec::new();
        let way = match Way::of(history, &mut found) {
            Ok(way) => way,
            Err(why) => return Verdict::unknown("fifo", why),
        };
        let elements = way.items.iter().filter(|i| i.exists()).count();
        let mut gave_up = false;
        if found.is_empty() {
            way.reordered(self.per_producer, &mut found);
            let mut takers = way.overtaken(self.per_producer, &mut found);
            if found.is_empty() && !self.per_producer {
                gave_up = way.empty(&mut takers, &mut found);
            }
        }
        let total = found.len();
        let mut verdict = match (total, elements + way.empties.len()) {
            (0, 0) => Verdict::unknown("fifo", "no operation succeeded"),
            (0, _) if gave_up => Verdict::unknown(
                "fifo",
                "budget: what indeterminate (`info`) dequeues can have taken before others found nothing takes too many steps to find out",
            ),
            (0, _) => Verdict::valid("fifo"),
            (n, _) => {
                Verdict::invalid("fifo", format!("{} of the queue's order", count(n, "breach")))
            }
        };
        verdict.sample(found);
        let verdict = verdict.with("element_count", elements);
        let verdict = verdict
            .with("empty_count", way.empties.len())
            .with("unknown_dequeue_count", way.open.len());
        verified(history, verdict, verify::fifo)
    }

    fn arguments(&self) -> Option<Arguments> {
        Some(Arguments::of("fifo").flag("per-producer", self.per_producer))
    }
}

impl<'a> Way<'a> {
    fn of(history: &'a History, found: &mut Vec<Anomaly>) -> Result<Way<'a>, String> {
        let [enqueues, dequeues] = invoked(history, [&["enqueue"], &["dequeue"]]);
        let mut way = Way {
            history,
            values: Dense::of_events(history, &enqueues),
            items: Vec::with_capacity(enqueues.len()),
            by_entry: Vec::new(),
            empties: Vec::new(),
            open: Vec::new(),
        };
        for invoked in enqueues {
            let call = call(history, invoked as usize);
            if call.outcome == Outcome::Failed {
                continue;
            }
            let id = way.values.event(call.invoked) as usize;
            if id != way.items.len() {
                let value = history.value(call.invoked);
                return Err(format!("{value} is enqueued twice, so it cannot be tracked"));
            }
            let in_by = call.acknowledged().map_or(NONE, |c| c as u32);
            let (producer, came) = (call.process.0, invoked);
            way.items.push(Item { producer, came, in_by, taken: NONE, out_by: NONE });
        }
        for invoked in dequeues {
            let call = call(history, invoked as usize);
            way.dequeue(call, found);
        }
        way.by_entry = in_order(history.len(), way.items.iter().map(|i| i.in_by));
        Ok(way)
    }

    fn dequeue(&mut self, call: Call, found: &mut Vec<Anomaly>) {
        if call.outcome == Outcome::Open {
            self.open.push(call.invoked as u32);
        }
        let Some(done) = call.acknowledged() else { return };
        let history = self.history;
        if history.word(done) == Word::NIL {
            self.empties.push(call);
            return;
        }
        let strange = |kind, why: String, events: Vec<usize>| {
            let (value, node, time) =
                (history.value(done), node_of(history, done), history.time(done));
            let text = format!("{value} was dequeued on {node} at {time}, but {why}");
            let anomaly = Anomaly::new(kind, value).explained(text).proved_by(events);
            anomaly.on(history.node(done)).at(time)
        };
        let id = self.values.event(done) as usize;
        let Some(item) = self.items.get_mut(id) else {
            found.push(strange("unexpected", "no client enqueued it".into(), vec![done]));
            return;
        };
        let (came, former) = (item.came as usize, item.out_by as usize);
        if item.came_out() {
            let why = format!("so it was at {} already", history.time(former));
            found.push(strange("duplicate", why, vec![former, done]));
        } else if came > done {
            let why = format!("its enqueue was invoked only at {}", history.time(came));
            found.push(strange("early", why, vec![done, came]));
        }
        (item.taken, item.out_by) = (call.invoked as u32, done as u32);
    }

    /// An element that was in before another came, and was not yet being taken when that was
    /// out.
    fn reordered(&self, per_producer: bool, found: &mut Vec<Anomaly>) {
        let mut producers: FastMap<u32, u32> = FastMap::default();
        let mut number = |item: &Item| {
            if !per_producer {
                return 0;
            }
            let new = producers.len() as u32;
            *producers.entry(item.producer).or_insert(new) as usize
        };
        let counts = Item::came_out;
        let mut begun = self.by_entry.iter().map(|id| (*id, self.items[*id as usize]));
        let mut next = begun.next();
        // Per producer: of all that were in before, the one that was taken last.
        let mut last: Vec<Option<u32>> = vec![None];
        for (id, item) in self.items.iter().enumerate().filter(|(_, item)| counts(item)) {
            while let Some((id, former)) = next.filter(|(_, f)| f.in_by < item.came) {
                next = begun.next();
                if !counts(&former) {
                    continue;
                }
                let producer = number(&former);
                if last.len() <= producer {
                    last.resize(producer + 1, None);
                }
                let latest = &mut last[producer];
                if latest.is_none_or(|l| self.items[l as usize].taken < former.taken) {
                    *latest = Some(id);
                }
            }
            let former = last.get(number(item)).copied().flatten();
            if let Some(former) = former.filter(|f| self.items[*f as usize].taken > item.out_by) {
                found.push(self.swapped(former, id as u32));
            }
        }
    }

    /// Elements that never came out though one that came later did, as far as dequeues of unknown
    /// outcome cannot have taken them.
    fn overtaken(&self, per_producer: bool, found: &mut Vec<Anomaly>) -> Takers {
        let stayed: Vec<u32> = self
            .by_entry
            .iter()
            .copied()
            .filter(|id| !self.items[*id as usize].came_out())
            .collect();
        let entered = stayed.iter().map(|id| self.items[*id as usize].in_by).collect();
        // From the last one that came to the first: of those that came later, which was out first?
        let mut first_out: FastMap<u32, u32> = FastMap::default();
        let group = |item: &Item| if per_producer { item.producer } else { 0 };
        let mut later = self.items.iter().enumerate().rev().peekable();
        let mut pairs: Vec<(u32, u32, u32)> = Vec::new();
        for id in stayed.iter().rev() {
            let item = &self.items[*id as usize];
            while let Some((other, next)) = later.next_if(|(_, next)| next.came > item.in_by) {
                if next.came_out() {
                    let first = first_out.entry(group(next)).or_insert(other as u32);
                    if self.items[*first as usize].out_by > next.out_by {
                        *first = other as u32;
                    }
                }
            }
            if let Some(by) = first_out.get(&group(item)) {
                pairs.push((self.items[*by as usize].out_by - 1, *id, *by));
            }
        }
        pairs.sort_unstable();
        let moments = pairs.iter().map(|(moment, id, _)| (*moment, self.items[*id as usize].in_by));
        let takers = Takers::new(self.open.clone(), entered, moments.collect());
        if let Some(moment) = takers.too_few_at() {
            let until = if self.open.is_empty() { u32::MAX } else { moment };
            let excused = takers.begun_by(moment);
            for (_, id, by) in pairs.into_iter().filter(|(moment, ..)| *moment <= until) {
                let mut anomaly = self.swapped(id, by);
                if excused > 0 {
                    anomaly.explanation.push_str(&format!(
                        "; indeterminate (`info`) dequeues can have taken {excused} of those at most"
                    ));
                }
                found.push(anomaly);
            }
        }
        takers
    }

    fn swapped(&self, a: u32, b: u32) -> Anomaly {
        let (first, second) = (self.items[a as usize], self.items[b as usize]);
        let (a, b) = (self.values.value(a), self.values.value(b));
        let history = self.history;
        let time = |event: u32| history.time((event as usize).min(history.len() - 1));
        let fate = match first.came_out() {
            true => format!("the dequeue of {a} began only at {}", time(first.taken)),
            false => format!("{a} never came out"),
        };
        let text = format!(
            "{a} was in the queue by {}, {b} came after that, at {}, and was out by {}; but {fate}",
            time(first.in_by),
            time(second.came),
            time(second.out_by)
        );
        let mut events: Vec<usize> = [first.in_by, second.came, second.out_by, first.taken]
            .into_iter()
            .filter(|e| *e != NONE)
            .map(|e| e as usize)
            .collect();
        events.sort_unstable();
        let kind = if first.came_out() { "reordered" } else { "lost" };
        Anomaly::new(kind, a).explained(text).at(time(second.out_by)).proved_by(events)
    }

    /// Dequeues that found nothing though at every moment some element was in for certain. Was
    /// something left out?
    fn empty(&self, takers: &mut Takers, found: &mut Vec<Anomaly>) -> bool {
        let sure = self.by_entry.iter().map(|id| &self.items[*id as usize]);
        // When some element was in that came out, as moments. Between two events nothing happens.
        let mut spans: Vec<(u32, u32)> = Vec::new();
        for item in sure.filter(|i| i.came_out() && i.in_by < i.taken) {
            let (from, to) = (item.in_by, item.taken);
            match spans.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => spans.push((from, to)),
            }
        }
        let first_in = self.by_entry.first().map_or(NONE, |id| self.items[*id as usize].in_by);
        let history = self.history;
        let mut gave_up = false;
        for call in &self.empties {
            let Some(done) = call.acknowledged() else { continue };
            let (invoked, last) = (call.invoked as u32, done as u32 - 1);
            // The gaps between the spans.
            let mut at = spans.partition_point(|s| s.1 <= invoked);
            let mut moment = invoked;
            let possible = loop {
                let end = match spans.get(at) {
                    Some(span) if span.0 <= moment => {
                        moment = span.1;
                        at += 1;
                        if moment > last {
                            break Empty::Impossible;
                        }
                        continue;
                    }
                    Some(span) => (span.0 - 1).min(last),
                    None => last,
                };
                match takers.empty_between(moment, end) {
                    Empty::Impossible if end < last => moment = end + 1,
                    end => break end,
                }
            };
            gave_up |= possible == Empty::Unknown;
            if possible == Empty::Impossible {
                let before = self.by_entry.iter().map(|id| self.items[*id as usize]);
                let from = before.take_while(|i| i.in_by <= invoked);
                let from = from.filter(|i| i.taken > invoked).map(|i| i.in_by).next();
                let from = from.unwrap_or(first_in) as usize;
                let open = takers.begun_by(last);
                let text = format!(
                    "a dequeue by client {} found the queue empty on {} at {}, but from {} on it never was{}",
                    call.process,
                    node_of(history, done),
                    history.time(done),
                    history.time(from),
                    if open == 0 {
                        String::new()
                    } else {
                        format!(", whatever the {open} indeterminate (`info`) dequeues before took")
                    }
                );
                let mut events = [from, call.invoked, done];
                events.sort_unstable();
                found.push(
                    Anomaly::new("not_empty", Value::Nil)
                        .explained(text)
                        .on(history.node(done))
                        .at(history.time(done))
                        .proved_by(events),
                );
            }
        }
        gave_up
    }
}

/// The places of those that have an event, in the order of their events.
fn in_order(events: usize, all: impl Iterator<Item = u32>) -> Vec<u32> {
    // Each event is that of one at most, so that no comparison is needed.
    let mut at = vec![NONE; events];
    for (id, event) in all.enumerate() {
        if event != NONE {
            at[event as usize] = id as u32;
        }
    }
    at.retain(|id| *id != NONE);
    at
}
