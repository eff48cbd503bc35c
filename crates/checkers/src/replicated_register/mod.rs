//! `replicated_register`: a register that converges, keeping one value or all concurrent ones.
//!
//! Every value is written once. What must not be, whichever write wins where writes are
//! concurrent:
//!
//! - *unexpected*, *early*, *resurrected*: a read gives a value that no client wrote, or had
//!   written yet, or whose write failed;
//! - *overwritten*: a node's final read gives a value although its writer, after that was
//!   acknowledged, wrote another one that was acknowledged, too: the later one knew the
//!   earlier one and replaced it (Shapiro et al., INRIA RR-7506, 2011, section 3.2);
//! - *lost*: a node's final read gives nothing although a write was acknowledged.

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

use super::Arguments;
use std::collections::{BTreeSet, HashMap};

use super::calls::{Call, Outcome, calls};
use super::evidence::{Faults, count, node_of};
use super::finals::Finals;
use super::verify::{self, verified};
use super::{Anomaly, Checker, Verdict, within};
use crate::registration::{Judges, Needs, Registration, built};
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Kind, Value};

/// Judges replicated registers; see [`replicated_register`].
#[derive(Clone, Copy, Debug)]
pub struct ReplicatedRegister;

/// Judges a register under `write v` (whole numbers, each at most once) and `read`, which gives
/// a number or nothing, or a set of numbers where concurrent writes are all kept.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, replicated_register, histories::Recorder};
/// # use fuzz_dist_history::op::{Phase, Value};
/// let mut r = Recorder::new(["n1"]);
/// for value in [1, 2] {
///     r.invoke(0, "write", value);
///     r.done(0);
/// }
/// r.phase = Phase::Final;
/// r.invoke(0, "read", Value::Nil);
/// r.ok(0, 1);
/// let verdict = replicated_register().check(&r.history());
/// assert_eq!(&*verdict.anomalies[0].kind, "overwritten");
/// ```
pub fn replicated_register() -> ReplicatedRegister {
    ReplicatedRegister
}

/// The writes of a history by their value.
struct Writes {
    of_value: HashMap<i64, Call>,
    /// Per client, the invocations of its acknowledged writes, in their order.
    of_client: HashMap<u32, Vec<usize>>,
    acknowledged: usize,
}

impl Writes {
    fn of(history: &History) -> Result<Writes, String> {
        let (of_value, of_client) = Default::default();
        let mut writes = Writes { of_value, of_client, acknowledged: 0 };
        for call in calls(history, &["write"]) {
            let i = call.invoked;
            let Some(value) = history.int(i) else {
                let value = history.value(i);
                return Err(format!(
                    "the write at event {i} has {value}, which is no whole number"
                ));
            };
            let former = writes.of_value.insert(value, call);
            if former.is_some_and(|former| former.outcome != Outcome::Failed) {
                return Err(format!("{value} is written twice"));
            }
            if call.outcome == Outcome::Acknowledged {
                writes.acknowledged += 1;
                writes.of_client.entry(call.process.0).or_default().push(i);
            }
        }
        Ok(writes)
    }

    /// What is wrong with a value that was read at event `i`, whatever node and phase.
    fn wrong(&self, value: i64, i: usize) -> Option<&'static str> {
        match self.of_value.get(&value) {
            None => Some("unexpected"),
            Some(write) if write.invoked > i => Some("early"),
            Some(write) if write.outcome == Outcome::Failed => Some("resurrected"),
            Some(_) => None,
        }
    }

    /// The last acknowledged write by the same client that certainly replaced this value and was
    /// invoked before event `until`.
    fn successor(&self, value: i64, until: usize) -> Option<usize> {
        let write = self.of_value.get(&value)?;
        let acknowledged = write.acknowledged()?;
        let own = self.of_client.get(&write.process.0)?;
        let before = own.partition_point(|invoked| *invoked < until);
        own[..before].last().copied().filter(|invoked| *invoked > acknowledged)
    }
}

/// The values of a read; `None` where they are no numbers.
fn values(history: &History, i: usize) -> Option<Vec<i64>> {
    match history.value(i) {
        Value::Nil => Some(Vec::new()),
        Value::Int(n) => Some(vec![n]),
        Value::Set(set) => Some(set.as_slice().to_vec()),
        _ => None,
    }
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "replicated_register",
    about: "a replicated register or multi-value register, by its final reads",
    judges: Judges::Only(&["write", "read"]),
    needs: Needs::Order,
    options: &[],
    build: |_| built(replicated_register()),
};

impl Checker for ReplicatedRegister {
    fn check(&self, history: &History) -> Verdict {
        let name = "replicated_register";
        let writes = match Writes::of(history) {
            Ok(writes) => writes,
            Err(reason) => return Verdict::unknown(name, reason),
        };
        let mut anomalies: Vec<Anomaly> = Vec::new();
        let mut known = BTreeSet::new();
        let mut reads = 0;
        for i in 0..history.len() {
            let is_read = &**history.function(i) == "read"
                && history.kind(i) == Kind::Ok
                && history.process(i).is_client();
            if !is_read {
                continue;
            }
            reads += 1;
            let Some(values) = values(history, i) else {
                return Verdict::unknown(name, format!("the read at event {i} gave no numbers"));
            };
            for value in values {
                let wrong = writes.wrong(value, i).filter(|kind| known.insert((*kind, value)));
                anomalies.extend(wrong.map(|kind| anomaly(history, kind, value, &[i])));
            }
        }
        let finals = Finals::of(history, "read");
        for (_, i) in &finals.reads {
            let (values, invoked) = (values(history, *i), history.invocation(*i));
            let (values, invoked) = (values.unwrap_or_default(), invoked.unwrap_or(*i));
            if values.is_empty() && writes.acknowledged > 0 {
                anomalies.push(anomaly(history, "lost", Value::Nil, &[*i]));
            }
            for value in values {
                if let Some(later) = writes.successor(value, invoked) {
                    anomalies.push(anomaly(history, "overwritten", value, &[later, *i]));
                }
            }
        }
        let found = anomalies.len();
        let mut verdict = match (found, reads) {
            (0, 0) => Verdict::unknown(name, "nothing was read"),
            (0, _) => Verdict::valid(name),
            (n, _) => Verdict::invalid(name, format!("{} no write explains", count(n, "read"))),
        };
        verdict.sample(anomalies);
        within::narrow(
            history,
            &mut verdict,
            "read",
            &["lost", "overwritten"],
            |a, value| match &*a.kind {
                "lost" => *value != Value::Nil && *value != Value::set([]),
                _ => within::has(value, &history.value(a.events[0])),
            },
        );
        finals.apply(&mut verdict);
        let verdict = verdict.with("write_count", writes.of_value.len()).with("read_count", reads);
        let verdict = verified(history, verdict, verify::replicated_register);
        Faults::of(history).state(history, verdict)
    }

    fn arguments(&self) -> Option<Arguments> {
        Some(Arguments::of("replicated_register"))
    }
}

fn anomaly(
    history: &History,
    kind: &'static str,
    value: impl Into<Value>,
    events: &[usize],
) -> Anomaly {
    let value = value.into();
    let read = events[events.len() - 1];
    let (node, at) = (node_of(history, read), history.time(read));
    let because = match kind {
        "unexpected" => "which no client wrote".to_string(),
        "early" => "which no client had written yet".to_string(),
        "resurrected" => "whose write failed".to_string(),
        "lost" => "although writes were acknowledged".to_string(),
        _ => {
            let later = history.value(events[0]);
            let when = history.time(events[0]);
            format!("which its own writer had replaced by {later}, invoked at {when}")
        }
    };
    Anomaly::new(kind, value.clone())
        .explained(format!("a read on {node} gave {value} at {at}, {because}"))
        .proved_by(events.iter().copied())
        .on(history.node(read))
        .at(at)
}
