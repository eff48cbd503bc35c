//! Witnesses in words: transactions, cycles, and why each edge of a cycle holds.

use crate::{Anomaly, Verdict};
use fuzz_dist_history::History;
use fuzz_dist_history::op::Value;

use super::cycles::{Class, Step};
use super::graph::Rel;
use super::txns::{NONE, STRAY, Shape, Transactions};

/// More items of a list than these are not shown.
const ITEMS_SHOWN: usize = 8;
const OPS_SHOWN: usize = 12;

impl Transactions {
    /// A transaction on one line: who ran it, where it stands, and what it did.
    pub(crate) fn line(&self, t: u32) -> String {
        let process = self.processes[self.session[t as usize] as usize];
        let invoke = self.invoke[t as usize];
        let place = match self.complete[t as usize] {
            NONE => format!("event {invoke}, never completed"),
            complete => format!("events {invoke} and {complete}"),
        };
        let fate = match self.status[t as usize] {
            super::Status::Ok => "",
            super::Status::Info => ", outcome unknown",
            super::Status::Fail => ", failed",
        };
        format!("client {process}, {place}{fate}: {}", self.ops_text(t))
    }

    fn ops_text(&self, t: u32) -> String {
        let ops = self.ops_of(t);
        let mut parts: Vec<String> = ops
            .iter()
            .take(OPS_SHOWN)
            .map(|op| {
                let key = self.key(op.key());
                match (op.is_read(), self.shape) {
                    (true, Shape::Lists) => {
                        format!("r {key} {}", self.list_text(self.list_of(*op)))
                    }
                    (true, Shape::Registers) => format!("r {key} {}", self.value(op.arg)),
                    (false, Shape::Lists) => format!("append {key} {}", self.value(op.arg)),
                    (false, Shape::Registers) => format!("w {key} {}", self.value(op.arg)),
                }
            })
            .collect();
        if ops.len() > OPS_SHOWN {
            parts.push(format!("… {} more", ops.len() - OPS_SHOWN));
        }
        parts.join(", ")
    }

    /// A list by its last items.
    pub(crate) fn list_text(&self, versions: &[u32]) -> String {
        let from = versions.len().saturating_sub(ITEMS_SHOWN);
        let mut items: Vec<String> =
            versions[from..].iter().map(|v| self.value(*v).to_string()).collect();
        if from > 0 {
            items.insert(0, "…".into());
        }
        format!("[{}]", items.join(" "))
    }

    /// The events of some transactions, in order.
    pub(crate) fn events_of(&self, txns: &[u32]) -> Vec<usize> {
        let mut events: Vec<usize> = txns
            .iter()
            .flat_map(|t| [self.invoke[*t as usize], self.complete[*t as usize]])
            .filter(|e| *e != NONE)
            .map(|e| e as usize)
            .collect();
        events.sort_unstable();
        events.dedup();
        events
    }

    /// Lines that introduce transactions as T1, T2, ….
    pub(crate) fn cast(&self, txns: &[u32]) -> String {
        (1..).zip(txns).map(|(i, t)| format!("T{i}: {}\n", self.line(*t))).collect()
    }

    /// Why a process or real time orders two transactions, where it does.
    pub(crate) fn order_reason(&self, step: Step) -> Option<String> {
        let Step { from, rel, to } = step;
        if !self.before(from, to) {
            return None;
        }
        let (end, begin) = (self.complete[from as usize], self.invoke[to as usize]);
        match rel {
            Rel::Process if self.session[from as usize] == self.session[to as usize] => {
                Some(format!(
                    "client {} ran the one before the other",
                    self.processes[self.session[from as usize] as usize]
                ))
            }
            Rel::Realtime => {
                Some(format!("the first ended at event {end}, before the other began at {begin}"))
            }
            _ => None,
        }
    }
}

/// Verifies a cycle from the transactions alone and explains it: `None` where some edge does not
/// hold, the cycle does not close, or its class is not the one it was found as.
///
/// `reason` must not use what the search used: it says from the micro-operations of both ends
/// why an edge of the data holds.
pub(crate) fn cycle(
    txns: &Transactions,
    class: Class,
    steps: &[Step],
    reason: impl Fn(Step) -> Option<String>,
) -> Option<Anomaly> {
    let closed = (0..steps.len()).all(|i| steps[i].to == steps[(i + 1) % steps.len()].from);
    let members: Vec<u32> = steps.iter().map(|s| s.from).collect();
    let mut distinct = members.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if steps.len() < 2 || !closed || distinct.len() != steps.len() || Class::of(steps) != class {
        return None;
    }
    let mut text = txns.cast(&members);
    for (i, step) in steps.iter().enumerate() {
        if !members.iter().all(|t| txns.is_possible(*t)) {
            return None;
        }
        let why = match step.rel {
            Rel::Process | Rel::Realtime => txns.order_reason(*step)?,
            _ => reason(*step)?,
        };
        let next = (i + 1) % steps.len() + 1;
        text.push_str(&format!("T{} before T{next} ({}): {why}\n", i + 1, step.rel.as_str()));
    }
    text.push_str("so each of them would have to come before itself");
    let subject = Value::list(members.iter().map(|t| i64::from(txns.invoke[*t as usize])));
    Some(Anomaly::new(class.name(), subject).explained(text).proved_by(txns.events_of(&members)))
}

/// Sets node and time of anomalies from the last event that proves them.
pub(crate) fn locate(verdict: &mut Verdict, history: &History) {
    for anomaly in &mut verdict.anomalies {
        if let Some(last) = anomaly.events.last().copied().filter(|e| *e < history.len()) {
            anomaly.time = Some(history.time(last));
            anomaly.node = history.node(last);
        }
    }
}

/// Is this argument of a read of a list a stray?
pub(crate) fn is_stray(arg: u32) -> bool {
    arg & STRAY != 0
}
