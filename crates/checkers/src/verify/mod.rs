//! Verifies every witness from the events that it names and the history alone.
//!
//! A checker that says `invalid` says why; this module verifies that, always, by code
//! that shares nothing with the checkers but the history (and, for registers and queues, the
//! models). A witness that does not hold is a mistake of the checker, and the verdict says so
//! instead of accusing the database.

mod numbers;
mod predicates;
mod queues;
mod registers;
mod services;
mod sets;
mod sums;
#[cfg(test)]
mod tests;

pub(super) use numbers::{bank, counter, pn_counter};
pub(super) use predicates::g2;
pub(super) use queues::{fifo, offset_log, total_queue};
pub(super) use registers::{distinct_register, lease, replicated_register, unique_ids};
pub(super) use services::{jobs, liveness, names, unordered_queue};
pub(super) use sets::{atomic, convergence, or_set, set, set_full};
pub(super) use sums::Sums;

use std::collections::HashMap;

use super::calls::{Call, Outcome, call};
use super::{Anomaly, Verdict};
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Kind, NodeId, Phase, Process, Value};

/// Why a witness does not hold.
pub(super) type Held = Result<(), String>;

/// The history, and the operations on what the anomalies are about.
pub(super) struct Facts<'a> {
    pub(super) history: &'a History,
    of_subject: HashMap<Value, Vec<(&'a str, Call)>>,
}

/// The verdict, with the witnesses that hold; where one does not, also that the checker is wrong, and
/// where none does, this alone.
pub(super) fn verified(
    history: &History,
    mut verdict: Verdict,
    holds: impl Fn(&Facts<'_>, &Anomaly) -> Held,
) -> Verdict {
    if !verdict.is_invalid() {
        return verdict;
    }
    let facts = Facts::of(history, verdict.anomalies.iter().map(|a| a.subject.clone()));
    let mut wrong = match verdict.anomalies.is_empty() {
        true => Some("the verdict was invalid, without a witness".to_string()),
        false => None,
    };
    verdict.anomalies.retain(|anomaly| {
        let held = match &*anomaly.kind {
            "no_final_read" => facts.no_final_read(anomaly),
            _ if anomaly.events.is_empty() => Err("it names no event".into()),
            _ if anomaly.events.iter().any(|e| *e >= history.len()) => {
                Err("it names an event that is not there".into())
            }
            _ => holds(&facts, anomaly),
        };
        let Err(why) = held else { return true };
        wrong.get_or_insert_with(|| {
            format!("the witness of `{} {}` does not hold: {why}", anomaly.kind, anomaly.subject)
        });
        false
    });
    let Some(wrong) = wrong else { return verdict };
    let why = format!(
        "internal error: {wrong}; this is a mistake of the checker and says nothing about the system; please report it with the history"
    );
    if !verdict.anomalies.is_empty() {
        let held = &verdict.anomalies;
        verdict.counts.retain(|kind, _| held.iter().any(|a| a.kind == *kind));
        verdict.reasons.push(why);
        return verdict;
    }
    Verdict { results: verdict.results, ..Verdict::unknown(verdict.checker, why) }
}

/// Turns a condition into an opinion.
pub(super) fn that(holds: bool, what: &str) -> Held {
    if holds { Ok(()) } else { Err(format!("this is not true: {what}")) }
}

impl<'a> Facts<'a> {
    fn of(history: &'a History, subjects: impl Iterator<Item = Value>) -> Facts<'a> {
        let mut of_subject: HashMap<Value, Vec<(&str, Call)>> =
            subjects.map(|s| (s, Vec::new())).collect();
        for i in 0..history.len() {
            if history.kind(i) == Kind::Invoke
                && history.process(i).is_client()
                && let Some(calls) = of_subject.get_mut(&history.value(i))
            {
                calls.push((history.function(i), call(history, i)));
            }
        }
        Facts { history, of_subject }
    }

    /// The operations with one of these functions and this argument, which must be a subject.
    pub(super) fn calls(&self, functions: &[&str], value: &Value) -> Vec<Call> {
        let all = self.of_subject.get(value).into_iter().flatten();
        all.filter(|(f, _)| functions.contains(f)).map(|(_, call)| *call).collect()
    }

    /// Those that may have happened.
    pub(super) fn possible(&self, functions: &[&str], value: &Value) -> Vec<Call> {
        let mut calls = self.calls(functions, value);
        calls.retain(|c| c.outcome != Outcome::Failed);
        calls
    }

    /// Is it an operation of a client that succeeded?
    pub(super) fn is_ok(&self, event: usize, f: &str) -> bool {
        let h = self.history;
        h.kind(event) == Kind::Ok && h.process(event).is_client() && &**h.function(event) == f
    }

    pub(super) fn invoked(&self, event: usize) -> usize {
        self.history.invocation(event).unwrap_or(event)
    }

    pub(super) fn is_final(&self, event: usize) -> bool {
        self.history.phase(self.invoked(event)) == Phase::Final
    }

    /// How often a value stands in what an event gave; in lists and sets.
    pub(super) fn count(&self, event: usize, value: &Value) -> usize {
        match self.history.value(event) {
            Value::Set(set) => set.as_slice().iter().filter(|n| Value::Int(**n) == *value).count(),
            Value::List(items) => items.iter().filter(|v| *v == value).count(),
            _ => 0,
        }
    }

    /// The last event of an anomaly that succeeded with this function.
    pub(super) fn last(&self, anomaly: &Anomaly, f: &str) -> Result<usize, String> {
        let last = anomaly.events.iter().rev().find(|e| self.is_ok(**e, f));
        last.copied().ok_or_else(|| format!("no `{f}` that succeeded is among its events"))
    }

    /// All operations that succeeded with this function, as completions.
    pub(super) fn all_ok(&self, f: &'a str) -> impl Iterator<Item = usize> + '_ {
        let id = self.history.find_function(f);
        (0..self.history.len()).filter(move |i| {
            Some(self.history.function_index(*i)) == id
                && self.history.kind(*i) == Kind::Ok
                && self.history.process(*i).is_client()
        })
    }

    /// The node answered no final read, though healed and alive, and another one did.
    fn no_final_read(&self, anomaly: &Anomaly) -> Held {
        let h = self.history;
        let node = anomaly.node.ok_or("it names no node")?;
        let answered = |i: usize, on: NodeId| {
            h.kind(i) == Kind::Ok
                && h.process(i).is_client()
                && self.is_final(i)
                && h.node(i) == Some(on)
        };
        that(!(0..h.len()).any(|i| answered(i, node)), "the node gave no final read")?;
        that(anomaly.events.iter().any(|i| self.is_final(*i)), "another node gave one")?;
        that(h.heal_proved() == Some(true), "the network was proved healed")?;
        let status = (0..h.len()).rev().find(|i| {
            h.process(*i) == Process::RUNTIME
                && h.node(*i) == Some(node)
                && &**h.function(*i) == "status"
        });
        let status = status.map(|i| h.value(i));
        let says = |what| status.as_ref().and_then(|s| s.get(what).cloned());
        let alive = says("host") == Some(true.into()) && says("process") == Some(true.into());
        that(alive, "its host and its process were alive")
    }
}
