//! Witnesses about queues and logs.

use std::collections::HashMap;

use super::{Facts, Held, that};
use crate::checker::Anomaly;
use crate::checker::calls::{Call, Outcome, calls};
use crate::checker::linear::{Fifo, FifoOp, Step, explains};
use crate::op::Value;

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

pub(in crate::checker) fn total_queue(facts: &Facts<'_>, a: &Anomaly) -> Held {
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
            // Dequeues of unknown outcome can have taken one element each, drains all of them.
            let mut left: HashMap<Value, i64> = HashMap::new();
            for c in calls(h, &["enqueue"]).filter(|c| c.acknowledged().is_some()) {
                *left.entry(h.value(c.invoked)).or_default() += 1;
            }
            for value in came.iter().flat_map(|i| taken(facts, *i)) {
                *left.entry(value).or_default() -= 1;
            }
            let gone: i64 = left.values().map(|n| (*n).max(0)).sum();
            let open = |f| calls(h, &[f]).filter(|c| c.outcome == Outcome::Open).count();
            that(
                open("drain") == 0 && gone > open("dequeue") as i64,
                "nobody else can have taken it",
            )
        }
        "unexpected" => that(puts.is_empty() && !times.is_empty(), "nobody put it in"),
        "duplicate" => that(times.len() > puts.len(), "it came out more often than it went in"),
        "early" => {
            let first = puts.iter().map(|c| c.invoked).min();
            let out = times.iter().min();
            that(first.zip(out).is_some_and(|(i, o)| *o < i), "it came out before it went in")
        }
        other => Err(format!("nothing is known of `{other}`")),
    }
}

/// What an order of all operations explains, it explains for those on a few of the elements.
pub(in crate::checker) fn fifo(facts: &Facts<'_>, a: &Anomaly) -> Held {
    if &*a.kind == "not_empty" {
        return not_empty(facts, a);
    }
    let h = facts.history;
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

/// At every moment of the dequeue some element was in for certain.
fn not_empty(facts: &Facts<'_>, a: &Anomaly) -> Held {
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
    // From gap to gap: who covers this moment, and until when?
    let mut at = facts.invoked(done);
    while at <= done {
        let until = spans.values().filter(|s| s.0 <= at && s.1 > at).map(|s| s.1).max();
        at = until.ok_or("at some moment of it nothing need have been in the queue")?;
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

pub(in crate::checker) fn offset_log(facts: &Facts<'_>, a: &Anomaly) -> Held {
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
            that(polled && !sent.iter().any(|c| c.invoked < at), "nobody had sent it")
        }
        "lost" => {
            let sent = facts.possible(&["send"], &a.subject);
            let acked = sent.iter().filter_map(Call::acknowledged).find(|e| a.events.contains(e));
            let offset = acked.map(&said).and_then(|r| Some(r.first()?.0));
            let beyond = all.iter().any(|r| offset.is_some_and(|o| r.0 > o));
            that(beyond, "a later offset was polled")?;
            let polled = facts.all_ok("poll").any(|i| said(i).iter().any(|r| r.1 == a.subject));
            that(!polled, "nobody polled it")
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
        other => Err(format!("nothing is known of `{other}`")),
    }
}
