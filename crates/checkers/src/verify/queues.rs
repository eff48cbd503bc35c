//! Witnesses about queues and logs.

use std::collections::HashMap;

use super::{Facts, Held, that};
use crate::Anomaly;
use crate::calls::{Call, Outcome, calls};
use crate::linear::{Fifo, FifoOp, Step, explains};
use fuzz_dist_history::op::Value;

/// The elements that a dequeue or a drain gave.
fn taken(facts: &Facts<'_>, event: usize) -> Vec<Value> {
    let drains = &**facts.history.function(event) == "drain";
    match facts.history.value(event) {
        Value::Nil => Vec::new(),
        Value::List(items) if drains => items.to_vec(),
        Value::Set(items) if drains => items.as_slice().iter().map(|n| Value::Int(*n)).collect(),
        item => vec![item],
    }
}

pub(crate) fn total_queue(facts: &Facts<'_>, a: &Anomaly) -> Held {
    let h = facts.history;
    let came: Vec<usize> = facts.all_ok("dequeue").chain(facts.all_ok("drain")).collect();
    let times: Vec<usize> = (came.iter())
        .flat_map(|i| taken(facts, *i).into_iter().filter(|v| *v == a.subject).map(|_| *i))
        .collect();
    let puts = facts.possible(&["enqueue"], &a.subject);
    let own = puts.iter().filter_map(Call::acknowledged).chain(times.iter().copied());
    that(own.clone().all(|e| a.events.contains(&e)), "its events are all that became of it")?;
    let sure = puts.iter().filter(|c| c.acknowledged().is_some()).count();
    match &*a.kind {
        "lost" => {
            that(sure > times.len(), "it was put in more often than it came out")?;
            // Its events that drained the queue, or found nothing with nothing after it.
            let drains = |e: usize| facts.is_ok(e, "drain");
            let gives = |e: &usize| facts.is_ok(*e, "dequeue") && !h.value(*e).is_nil();
            let last = facts.all_ok("dequeue").filter(gives).map(|e| facts.invoked(e)).max();
            let nothing = |e: usize| {
                facts.is_ok(e, "dequeue")
                    && h.value(e).is_nil()
                    && last.is_none_or(|l| l < facts.invoked(e))
            };
            let points = a.events.iter().copied().filter(|e| drains(*e) || nothing(*e));
            let held: Vec<Held> = points.map(|by| without(facts, a, &came, by)).collect();
            let one = held.iter().find(|held| held.is_ok()).or(held.first()).cloned();
            one.unwrap_or_else(|| Err("the queue was not drained".into()))
        }
        "unexpected" => that(puts.is_empty() && !times.is_empty(), "no client put it in"),
        "duplicate" => {
            let (mut ins, mut outs): (Vec<usize>, _) =
                (puts.iter().map(|c| c.invoked).collect(), times.clone());
            ins.sort_unstable();
            outs.sort_unstable();
            let late = |(n, out): (usize, &usize)| ins.get(n).is_none_or(|i| i > out);
            let late = outs.iter().enumerate().skip(1).any(late);
            that(late, "it came out more often than it had gone in by then")
        }
        "early" => {
            let first = puts.iter().map(|c| c.invoked).min();
            let out = times.iter().min();
            that(first.zip(out).is_some_and(|(i, o)| *o < i), "it came out before it went in")
        }
        other => Err(format!("no rule verifies `{other}`")),
    }
}

/// An operation that drained the queue lacks more than all others together can have taken.
fn without(facts: &Facts<'_>, a: &Anomaly, came: &[usize], by: usize) -> Held {
    let h = facts.history;
    // How often each element was in by then for certain, and did not come out.
    let mut left: HashMap<Value, i64> = HashMap::new();
    for c in calls(h, &["enqueue"]) {
        if c.acknowledged().is_some_and(|done| done < facts.invoked(by)) {
            *left.entry(h.value(c.invoked)).or_default() += 1;
        }
    }
    for value in came.iter().flat_map(|i| taken(facts, *i)) {
        *left.entry(value).or_default() -= 1;
    }
    that(left.get(&a.subject).is_some_and(|n| *n > 0), "it was in before the draining")?;
    let gone: i64 = left.values().map(|n| (*n).max(0)).sum();
    let open = |f| {
        let open = calls(h, &[f]).filter(|c| c.outcome == Outcome::Open && c.invoked < by);
        open.count() as i64
    };
    that(open("drain") == 0 && gone > open("dequeue"), "no other client can have taken it")
}

/// What an order of all operations explains, it explains for those on a few of the elements.
pub(crate) fn fifo(facts: &Facts<'_>, a: &Anomaly) -> Held {
    let h = facts.history;
    let open: Vec<usize> = (calls(h, &["dequeue"]))
        .filter(|c| c.outcome == Outcome::Open)
        .map(|c| c.invoked)
        .collect();
    if &*a.kind == "not_empty" {
        return not_empty(facts, a, &open);
    }
    if &*a.kind == "lost" && !open.is_empty() {
        let stayed = Stayed::of(facts);
        let about = stayed.0.iter().any(|s| s.value == a.subject && s.deadline != usize::MAX);
        that(about, "it never came out, and one that came later did")?;
        // Of one producer fewer count; then more is overtaken here, and nothing is proved.
        return that(!stayed.can_be_taken(&open, None), "no dequeue can have taken it");
    }
    let mut values = vec![a.subject.clone()];
    for event in &a.events {
        values.push(h.value(*event));
        values.extend(h.completion(*event).map(|c| h.value(c)));
    }
    values.retain(|v| !v.is_nil());
    that(values[1..].contains(&a.subject), "its events are about it")?;
    let mut steps = Vec::new();
    for c in calls(h, &["enqueue", "dequeue"]).filter(|c| c.outcome != Outcome::Failed) {
        let (puts, result) = (&**h.function(c.invoked) == "enqueue", c.acknowledged());
        let op = match (puts, result.map(|i| h.value(i))) {
            (true, _) => FifoOp::Enqueue(h.value(c.invoked)),
            (false, Some(value)) => FifoOp::Dequeue(Some(value)),
            (false, None) => continue,
        };
        let (FifoOp::Enqueue(value) | FifoOp::Dequeue(Some(value))) = &op else { continue };
        if values.contains(value) {
            steps.push(Step { op, invoked: c.invoked, completed: result });
        }
    }
    let excluded = explains(&Fifo, &[Default::default()], &steps) == Some(false);
    that(excluded, "no order explains the operations on these elements")
}

/// An acknowledged element that never came out.
struct Staying {
    value: Value,
    entered: usize,
    /// The first event at which one that came later was out.
    deadline: usize,
}

struct Stayed(Vec<Staying>);

impl Stayed {
    fn of(facts: &Facts<'_>) -> Stayed {
        let h = facts.history;
        let out: HashMap<Value, usize> = facts.all_ok("dequeue").map(|i| (h.value(i), i)).collect();
        let puts: Vec<Call> =
            calls(h, &["enqueue"]).filter(|c| c.outcome != Outcome::Failed).collect();
        // From the last one on: the first that is out of those that came later.
        let mut first_out = vec![usize::MAX; puts.len() + 1];
        for (i, put) in puts.iter().enumerate().rev() {
            let own = out.get(&h.value(put.invoked)).copied().unwrap_or(usize::MAX);
            first_out[i] = first_out[i + 1].min(own);
        }
        let stays = puts.iter().filter_map(|put| {
            let (value, entered) = (h.value(put.invoked), put.acknowledged()?);
            let later = puts.partition_point(|other| other.invoked <= entered);
            (!out.contains_key(&value)).then(|| Staying {
                value,
                entered,
                deadline: first_out[later],
            })
        });
        Stayed(stays.collect())
    }

    /// Can each that must be gone be taken by a dequeue of its own, the most urgent ones first?
    /// With a moment: all that were in by that event must have begun to be taken by then, too.
    fn can_be_taken(&self, open: &[usize], empty_after: Option<usize>) -> bool {
        let mut deadlines: Vec<usize> = self
            .0
            .iter()
            .map(|s| match empty_after {
                Some(moment) if s.entered <= moment => s.deadline.min(moment + 1),
                _ => s.deadline,
            })
            .filter(|d| *d != usize::MAX)
            .collect();
        deadlines.sort_unstable();
        deadlines.iter().enumerate().all(|(i, deadline)| open.get(i).is_some_and(|q| q < deadline))
    }
}

/// At every moment of the dequeue some element was in for certain.
fn not_empty(facts: &Facts<'_>, a: &Anomaly, open: &[usize]) -> Held {
    let h = facts.history;
    let done = facts.last(a, "dequeue")?;
    that(h.value(done).is_nil(), "it found nothing")?;
    let mut spans: HashMap<Value, (usize, usize)> = HashMap::new();
    for c in calls(h, &["enqueue"]).filter(|c| c.outcome != Outcome::Failed) {
        spans.insert(h.value(c.invoked), (c.end(), usize::MAX));
    }
    for i in facts.all_ok("dequeue") {
        if let Some(span) = spans.get_mut(&h.value(i)) {
            span.1 = facts.invoked(i);
        }
    }
    // What never came out may have been taken by somebody who does not know.
    let stayed = Stayed::of(facts);
    if !open.is_empty() {
        stayed.0.iter().for_each(|s| _ = spans.remove(&s.value));
    }
    // From gap to gap: who covers this moment, and until when?
    let mut at = facts.invoked(done);
    while at < done {
        if let Some(until) = spans.values().filter(|s| s.0 <= at && s.1 > at).map(|s| s.1).max() {
            at = until;
        } else if open.is_empty() || stayed.can_be_taken(open, Some(at)) {
            return Err("at some moment of it nothing need have been in the queue".into());
        } else {
            at += 1;
        }
    }
    Ok(())
}

/// What a poll gave: offsets and values.
fn records(value: &Value) -> Vec<(i64, Value)> {
    let pairs = value.as_list().unwrap_or_default().iter();
    let pair = |p: &Value| match p.as_list()? {
        [Value::Int(offset), value] => Some((*offset, value.clone())),
        _ => None,
    };
    pairs.filter_map(pair).collect()
}

pub(crate) fn offset_log(facts: &Facts<'_>, a: &Anomaly, from_start: bool) -> Held {
    let h = facts.history;
    // What an operation says of the log.
    let said = |event: usize| match &**h.function(event) {
        "send" => match h.value(event) {
            Value::Int(offset) => vec![(offset, h.value(facts.invoked(event)))],
            _ => Vec::new(),
        },
        _ => records(&h.value(event)),
    };
    let all: Vec<(i64, Value)> = a.events.iter().flat_map(|e| said(*e)).collect();
    let at = *a.events.last().ok_or("it names no event")?;
    match &*a.kind {
        "inconsistent" => {
            let here: Vec<&Value> =
                all.iter().filter(|r| Value::Int(r.0) == a.subject).map(|r| &r.1).collect();
            that(here.iter().any(|v| *v != here[0]), "two values stand at the offset")
        }
        "duplicate" => {
            let places: Vec<i64> = all.iter().filter(|r| r.1 == a.subject).map(|r| r.0).collect();
            that(places.iter().any(|o| *o != places[0]), "it stands at two offsets")
        }
        "unexpected" => {
            let polled = facts.is_ok(at, "poll") && all.iter().any(|r| r.1 == a.subject);
            let sent = facts.possible(&["send"], &a.subject);
            that(polled && !sent.iter().any(|c| c.invoked < at), "no client had sent it")
        }
        "lost" => {
            let sent = facts.possible(&["send"], &a.subject);
            let acked = sent.iter().filter_map(Call::acknowledged).find(|e| a.events.contains(e));
            let offset = acked.map(&said).and_then(|r| Some(r.first()?.0));
            let beyond = all.iter().any(|r| offset.is_some_and(|o| r.0 > o));
            that(beyond, "a later offset was polled")?;
            let polled = facts.all_ok("poll").any(|i| said(i).iter().any(|r| r.1 == a.subject));
            that(!polled, "no client polled it")?;
            let offset = offset.unwrap_or_default();
            let of = |process| {
                let own = facts.all_ok("poll").filter(move |i| h.process(*i) == process);
                own.flat_map(&said).map(|r| r.0).collect::<Vec<i64>>()
            };
            let open = calls(h, &["poll"]).filter(|c| c.outcome == Outcome::Open);
            for poll in open {
                let before = facts.all_ok("poll").filter(|i| h.process(*i) == poll.process);
                let before = before.filter(|i| *i < poll.invoked).flat_map(&said).last();
                let behind = before.is_none_or(|r| r.0 < offset);
                that(!behind, "no poll of unknown outcome can have returned it")?;
            }
            let over = facts.all_ok("poll").any(|i| {
                let own = of(h.process(i));
                let first = own.first().is_some_and(|first| from_start && *first > offset);
                first || own.windows(2).any(|w| w[0] < offset && offset < w[1])
            });
            that(over, "some client passed over it")
        }
        "non_monotonic" | "skipped" => {
            let process = h.process(at);
            let own = facts.all_ok("poll").filter(|i| h.process(*i) == process && *i <= at);
            let own: Vec<(i64, Value)> = own.flat_map(&said).collect();
            if &*a.kind == "non_monotonic" {
                let back = own.windows(2).any(|w| w[1].1 == a.subject && w[1].0 <= w[0].0);
                return that(back, "the client's polls went back to it");
            }
            let sends = facts.all_ok("send").chain(facts.all_ok("poll")).flat_map(&said);
            let places: Vec<i64> = sends.filter(|r| r.1 == a.subject).map(|r| r.0).collect();
            let over = own.windows(2).any(|w| places.iter().any(|o| w[0].0 < *o && *o < w[1].0));
            that(over, "the client's polls passed over it")
        }
        other => Err(format!("no rule verifies `{other}`")),
    }
}
