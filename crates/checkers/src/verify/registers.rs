//! Witnesses about registers, locks and identifiers.

use super::{Facts, Held, that};
use crate::Anomaly;
use crate::calls::{Call, Outcome, call, calls};
use crate::linear::{CasRegister, Model as _, Step, explains};
use fuzz_dist_history::op::{Kind, Value};
use fuzz_dist_history::time::Time;

pub(crate) fn unique_ids(facts: &Facts<'_>, a: &Anomaly, generate: &str) -> Held {
    let given = |e: &usize| facts.is_ok(*e, generate) && facts.history.value(*e) == a.subject;
    that(a.events.len() > 1 && a.events.iter().all(given), "each of its events gave it")?;
    that(a.events.windows(2).all(|w| w[0] < w[1]), "its events are different ones")
}

pub(crate) fn lease(facts: &Facts<'_>, a: &Anomaly, ttl_ms: Option<u64>) -> Held {
    let h = facts.history;
    let [first, second] = a.events[..] else { return Err("it does not name two events".into()) };
    let of = |e: usize| facts.is_ok(e, "acquire") && h.value(facts.invoked(e)) == a.subject;
    that(of(first) && of(second), "both acquired it")?;
    that(h.process(first) != h.process(second), "two clients did")?;
    // At the moment at which the second one had it, both had.
    let lasts = |e: usize| {
        let asked = h.time(facts.invoked(e)).0;
        ttl_ms.is_none_or(|ttl| {
            h.time(second) < Time(asked.saturating_add(ttl.saturating_mul(1_000_000)))
        })
    };
    that(first < second && lasts(first) && lasts(second), "neither had run out")?;
    let released = facts
        .calls(&["release"], &a.subject)
        .iter()
        .any(|c| c.process == h.process(first) && c.invoked > first && c.invoked < second);
    that(!released, "the first one had not released it")
}

pub(crate) fn replicated_register(facts: &Facts<'_>, a: &Anomaly) -> Held {
    let h = facts.history;
    let at = facts.last(a, "read")?;
    let has = h.value(at) == a.subject || facts.count(at, &a.subject) > 0;
    that(has || &*a.kind == "lost", "the read gave it")?;
    let writes = facts.calls(&["write"], &a.subject);
    match &*a.kind {
        "unexpected" => that(writes.is_empty(), "no client wrote it"),
        "early" => {
            // A write that failed may be tried again; what counts is the last one.
            let last = writes.iter().all(|w| w.invoked > at || w.outcome == Outcome::Failed);
            that(last && !writes.is_empty(), "no write of it had begun")
        }
        "resurrected" => {
            let failed = writes.iter().all(|w| w.outcome == Outcome::Failed);
            that(failed && !writes.is_empty(), "its write had failed")
        }
        "lost" => {
            let empty = match h.value(at) {
                Value::Nil => true,
                Value::Set(set) => set.as_slice().is_empty(),
                _ => false,
            };
            that(empty && facts.is_final(at), "a final read gave nothing")?;
            that(facts.all_ok("write").next().is_some(), "a write was acknowledged")
        }
        "overwritten" => {
            let later = a.events.first().copied().filter(|e| h.kind(*e) == Kind::Invoke);
            let later = call(h, later.ok_or("it does not name the later write")?);
            let done = writes.iter().filter(|w| w.process == later.process);
            let before = done.filter_map(Call::acknowledged).any(|d| d < later.invoked);
            let written = &**h.function(later.invoked) == "write" && later.acknowledged().is_some();
            that(
                facts.is_final(at) && later.invoked < facts.invoked(at),
                "a final read came later",
            )?;
            that(before && written, "its own writer had replaced it")
        }
        other => Err(format!("no rule verifies `{other}`")),
    }
}

/// What an order of all operations explains, it explains for those with a few of the values: so
/// there must be none for the values that the witness is about.
pub(crate) fn distinct_register(facts: &Facts<'_>, a: &Anomaly) -> Held {
    let h = facts.history;
    let value = |i: usize| match (h.completion(i), &**h.function(i)) {
        (Some(c), "read") if h.kind(c) == Kind::Ok => h.value(c),
        _ => h.value(i),
    };
    let of_events = |e: &usize| value(h.invocation(*e).unwrap_or(*e));
    let values: Vec<Value> = a.events.iter().map(of_events).collect();
    that(values.contains(&a.subject), "its events are about it")?;
    let mut steps = Vec::new();
    for c in calls(h, &["read", "write"]).filter(|c| c.outcome != Outcome::Failed) {
        let is_write = &**h.function(c.invoked) == "write";
        let named = [Some(c.invoked), c.completed].iter().flatten().any(|e| a.events.contains(e));
        // All writes of the values; of the reads those that the witness names.
        if !(is_write || named) || !values.contains(&value(c.invoked)) {
            continue;
        }
        let result = c.acknowledged().map(|i| h.value(i));
        let op = CasRegister.decode(h.function(c.invoked), &h.value(c.invoked), result.as_ref());
        let op = op.ok_or("an operation of it is none of a register")?;
        steps.push(Step { op, invoked: c.invoked, completed: c.acknowledged() });
    }
    let excluded = explains(&CasRegister, &[Value::Nil], &steps) == Some(false);
    that(excluded, "no order explains the operations with these values")
}
