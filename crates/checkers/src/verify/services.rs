//! Witnesses about names, liveness and jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Facts, Held, that};
use crate::Anomaly;
use crate::jobs::executed;
use crate::names::pairs;
use fuzz_dist_history::op::{Kind, Value};

/// Who an event shows under a name; `None` where it shows nobody.
fn shown(facts: &Facts<'_>, event: usize, name: &Value) -> Option<Value> {
    let h = facts.history;
    let found = if facts.is_ok(event, "lookup") && h.value(facts.invoked(event)) == *name {
        Some(h.value(event))
    } else if facts.is_ok(event, "names") {
        let all = pairs(h, event)?;
        all.into_iter().find(|(n, _)| n == name).map(|(_, process)| process)
    } else {
        None
    };
    found.filter(|process| !process.is_nil())
}

pub(crate) fn names(facts: &Facts<'_>, a: &Anomaly) -> Held {
    let finals =
        || a.events.iter().copied().filter(|e| facts.is_final(*e) && facts.is_ok(*e, "names"));
    match &*a.kind {
        "duplicate" | "duplicate_stays" => {
            let mut spans: BTreeMap<Value, (usize, usize, bool)> = BTreeMap::new();
            for event in &a.events {
                let process = shown(facts, *event, &a.subject).ok_or("an event shows nobody")?;
                let span = spans.entry(process).or_insert((*event, 0, false));
                span.0 = span.0.min(*event);
                span.1 = span.1.max(facts.invoked(*event));
                span.2 |= facts.is_final(*event);
            }
            let spans: Vec<_> = spans.into_values().collect();
            let [first, second] = spans[..] else { return Err("it is not about two".into()) };
            that(first.0 < second.1 && second.0 < first.1, "they were there at the same time")?;
            that(&*a.kind == "duplicate" || first.2 && second.2, "final reads show both")
        }
        "unknown_to" => {
            let (has, lacks): (Vec<usize>, Vec<usize>) =
                finals().partition(|e| shown(facts, *e, &a.subject).is_some());
            let own = lacks.iter().any(|e| facts.history.node(*e) == a.node);
            that(!has.is_empty() && own, "one final read knows it and this one does not")
        }
        "nobody" => {
            let there = a.events.iter().any(|e| {
                let registered = facts.is_ok(*e, "register")
                    && facts.history.value(facts.invoked(*e)) == a.subject;
                registered || shown(facts, *e, &a.subject).is_some()
            });
            that(there, "it was there once")?;
            that(facts.possible(&["unregister"], &a.subject).is_empty(), "nobody gave it up")?;
            let nobody = finals().all(|e| shown(facts, e, &a.subject).is_none());
            that(finals().next().is_some() && nobody, "no final read knows it")
        }
        other => Err(format!("no rule verifies `{other}`")),
    }
}

pub(crate) fn liveness(facts: &Facts<'_>, a: &Anomaly, within: Duration) -> Held {
    let h = facts.history;
    let (from, to) = a.within.ok_or("it says nothing of the heal")?;
    that(to == from + within, "it is about the time after the heal")?;
    let quiet = h.faults().iter().all(|f| {
        f.status == fuzz_dist_history::FaultStatus::Ineffective
            || f.felt_until().is_some_and(|end| end <= from)
            || f.start > to
    });
    that(quiet, "no fault acted then")?;
    let f = a.subject.as_text().ok_or("it names no function")?;
    let here = |i: usize| h.node(i) == a.node && &**h.function(i) == f;
    let meanwhile = |i: usize| from <= h.time(i) && h.time(i) <= to;
    let answered =
        |i: usize| h.kind(i) == Kind::Ok || h.kind(i) == Kind::Fail && h.error(i).is_none();
    let tried = a.events.iter().all(|i| {
        h.kind(*i) == Kind::Invoke
            && here(*i)
            && meanwhile(*i)
            && !h.completion(*i).is_some_and(answered)
    });
    that(tried, "each of its operations was tried then and did not work")?;
    let worked =
        (0..h.len()).any(|i| h.process(i).is_client() && here(i) && meanwhile(i) && answered(i));
    that(!worked, "none worked")
}

pub(crate) fn jobs(facts: &Facts<'_>, a: &Anomaly) -> Held {
    let h = facts.history;
    let submits = facts.calls(&["submit"], &a.subject);
    let possible = facts.possible(&["submit"], &a.subject);
    let reads: Vec<usize> = match &*a.kind {
        "lost" => facts.all_ok("executed").collect(),
        _ => a.events.iter().copied().filter(|e| facts.is_ok(*e, "executed")).collect(),
    };
    // Executions that have a name count once, others as often as one read of their node shows.
    let (mut named, mut most) = (BTreeSet::new(), BTreeMap::new());
    for read in &reads {
        let all = executed(&h.value(*read)).ok_or("a read shows no list")?;
        let own = all.into_iter().filter(|(job, _)| *job == a.subject);
        let (with, without): (Vec<_>, Vec<_>) = own.partition(|(_, name)| name.is_some());
        named.extend(with.into_iter().map(|(_, name)| name));
        let here = most.entry(h.node(*read)).or_insert(0);
        *here = without.len().max(*here);
    }
    let executions = named.len() + most.values().sum::<usize>();
    match &*a.kind {
        "lost" => {
            let sure = submits.iter().filter(|c| c.acknowledged().is_some()).count();
            let ended = a.events.iter().any(|e| facts.is_final(*e));
            that(ended && executions < sure, "it was executed less often than acknowledged")
        }
        "duplicate" => {
            that(executions > possible.len(), "it was executed more often than submitted")
        }
        "unexpected" => that(submits.is_empty() && executions > 0, "no client submitted it"),
        "resurrected" => {
            that(!submits.is_empty() && possible.is_empty() && executions > 0, "its submits failed")
        }
        "early" => {
            let first = possible.iter().map(|c| c.invoked).min();
            let shown = reads.iter().filter(|r| {
                executed(&h.value(**r))
                    .is_some_and(|all| all.iter().any(|(job, _)| *job == a.subject))
            });
            that(first > shown.min().copied() && executions > 0, "it was executed before")
        }
        other => Err(format!("no rule verifies `{other}`")),
    }
}

pub(crate) fn unordered_queue(facts: &Facts<'_>, a: &Anomaly) -> Held {
    let h = facts.history;
    let puts = facts.possible(&["enqueue"], &a.subject);
    let taken: Vec<usize> = facts.all_ok("dequeue").filter(|i| h.value(*i) == a.subject).collect();
    match &*a.kind {
        "unexpected" => that(puts.is_empty() && !taken.is_empty(), "no client put it in"),
        "duplicate" => that(taken.len() > puts.len(), "it came out more often than it went in"),
        "early" => {
            let first = puts.iter().map(|c| c.invoked).min();
            that(first.is_some_and(|put| taken.iter().any(|t| *t < put)), "it came out before")
        }
        "not_empty" => {
            let done = facts.last(a, "dequeue")?;
            that(h.value(done).is_nil(), "it found nothing")?;
            let out: BTreeMap<Value, usize> =
                facts.all_ok("dequeue").map(|i| (h.value(i), facts.invoked(i))).collect();
            let sure: Vec<(usize, Option<usize>)> = facts
                .all_ok("enqueue")
                .map(|i| (i, out.get(&h.value(facts.invoked(i))).copied()))
                .collect();
            let unknown = |i: &usize| {
                let end = h.completion(*i).map(|end| h.kind(end));
                h.kind(*i) == Kind::Invoke
                    && h.process(*i).is_client()
                    && &**h.function(*i) == "dequeue"
                    && !matches!(end, Some(Kind::Ok | Kind::Fail))
            };
            let takers: Vec<usize> = (0..done).filter(unknown).collect();
            // In each gap between two events of the dequeue's time something is left.
            let left = |gap: usize| {
                let inside = sure.iter().filter(|(put, _)| *put <= gap);
                let (mut sure_of_one, mut stayed) = (false, 0);
                for (_, taken) in inside {
                    match taken {
                        Some(taken) => sure_of_one |= *taken > gap,
                        None => stayed += 1,
                    }
                }
                sure_of_one || stayed > takers.iter().filter(|taker| **taker <= gap).count()
            };
            that((facts.invoked(done)..done).all(left), "some element was in at every moment")
        }
        other => Err(format!("no rule verifies `{other}`")),
    }
}
