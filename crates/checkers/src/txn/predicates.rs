//! `g2`: inserts of which a predicate allows one, in the notation of Jepsen's `adya` workload.

use std::collections::BTreeMap;

use crate::calls::{Call, Outcome, calls};
use crate::evidence::{count, node_of};
use crate::registration::{Judges, Needs, Registration, built};
use crate::verify::{self, verified};
use crate::{Anomaly, Arguments, Checker, Verdict};
use fuzz_dist_history::History;
use fuzz_dist_history::op::Value;

#[cfg(test)]
mod tests;

const NAME: &str = "g2";

/// Judges inserts that depend on a predicate; see [`g2`].
#[derive(Clone, Debug)]
pub struct G2(());

/// Transactions `insert [key [a b]]`, of which one of `a` and `b` is nil and the other one an identifier.
/// Each reads by a predicate what there is under the key, in all tables, and inserts its row only where
/// it finds nothing; otherwise it fails. `read`, where a history has it, gives `[key identifiers]`.
///
/// Under serializability at most one insert of a key succeeds. Two of them are Adya's `G2` (*Weak
/// Consistency*, 1999, section 4.2.2): neither predicate found the other one's row, so that each transaction
/// would have to come before the other. Repeatable read (PL-2.99) and snapshot isolation allow it. A read
/// can also show `G1a`, a row whose insert failed, and `thin-air`, a row that no client inserted.
///
/// ```
/// use fuzz_dist_checkers::{Checker, histories::Recorder, txn::g2};
/// use fuzz_dist_history::op::Value;
///
/// let mut r = Recorder::new(["n1", "n2"]);
/// let row = |a: Value, b: Value| Value::list([Value::Int(7), Value::list([a, b])]);
/// r.invoke(0, "insert", row(1.into(), Value::Nil));
/// r.invoke(1, "insert", row(Value::Nil, 2.into()));
/// r.done(0);
/// r.done(1);
/// let verdict = g2().check(&r.history());
/// assert_eq!(&*verdict.anomalies[0].kind, "G2");
/// ```
pub fn g2() -> G2 {
    G2(())
}

/// The key and the identifiers of an operation's value, without those that are nil.
pub(crate) fn row(value: &Value) -> Option<(Value, Vec<Value>)> {
    let [key, ids] = value.as_list()? else { return None };
    let ids: Vec<Value> = match ids {
        Value::List(ids) => ids.to_vec(),
        Value::Set(ids) => ids.as_slice().iter().map(|id| Value::Int(*id)).collect(),
        _ => return None,
    };
    Some((key.clone(), ids.into_iter().filter(|id| !id.is_nil()).collect()))
}

/// An insert, and the event that proves that it committed.
struct Insert {
    call: Call,
    committed: Option<usize>,
}

/// The inserts of each key by their identifiers.
type Inserts = BTreeMap<Value, BTreeMap<Value, Insert>>;

fn inserts(history: &History) -> Result<Inserts, String> {
    let mut inserts = Inserts::new();
    for call in calls(history, &["insert"]) {
        let (i, value) = (call.invoked, history.value(call.invoked));
        let Some((key, ids)) = row(&value).filter(|(_, ids)| ids.len() == 1) else {
            return Err(format!(
                "the insert at event {i} has {value}; expected [key [a b]], of which one of a and b is nil"
            ));
        };
        let insert = Insert { call, committed: call.acknowledged() };
        if inserts.entry(key).or_default().insert(ids[0].clone(), insert).is_some() {
            return Err(format!("the row of event {i}, {value}, is inserted twice"));
        }
    }
    Ok(inserts)
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "g2",
    about: "inserts of which a predicate allows one for each key",
    judges: Judges::Only(&["insert", "read"]),
    needs: Needs::Nothing,
    options: &[],
    build: |_| built(g2()),
};

impl Checker for G2 {
    fn check(&self, history: &History) -> Verdict {
        let other = history
            .invocations()
            .find(|i| !["insert", "read"].contains(&&**history.function(i.event)));
        if let Some(i) = other {
            let (i, f) = (i.event, history.function(i.event));
            let why = format!("event {i} has the function `{f}`; expected `insert` or `read`");
            return Verdict::unknown(NAME, why);
        }
        let mut inserts = match inserts(history) {
            Ok(inserts) => inserts,
            Err(why) => return Verdict::unknown(NAME, why),
        };
        let mut found = Vec::new();
        for call in calls(history, &["read"]) {
            let Some(read) = call.acknowledged() else { continue };
            let value = history.value(read);
            let Some((key, ids)) = row(&value) else {
                let why = format!("the read at event {read} gave {value}, not [key identifiers]");
                return Verdict::unknown(NAME, why);
            };
            for id in ids {
                let insert = inserts.get_mut(&key).and_then(|rows| rows.get_mut(&id));
                let (kind, why) = match &insert {
                    None => ("thin-air", "which no client inserted"),
                    Some(i) if i.call.outcome == Outcome::Failed => {
                        ("G1a", "whose insert had failed")
                    }
                    Some(_) => ("", ""),
                };
                if let Some(insert) = insert.filter(|_| kind.is_empty()) {
                    insert.committed.get_or_insert(read);
                    continue;
                }
                let text = format!(
                    "the read on {} at {} shows {id} under key {key}, {why}",
                    node_of(history, read),
                    history.time(read)
                );
                let row = Value::list([key.clone(), id]);
                found.push(anomaly(history, kind, row, text, vec![call.invoked, read]));
            }
        }
        let mut committed = 0;
        for (key, rows) in &inserts {
            let both: Vec<(&Value, &Insert)> =
                rows.iter().filter(|(_, insert)| insert.committed.is_some()).collect();
            committed += both.len();
            if let [(a, first), (b, second), rest @ ..] = &both[..] {
                let text = explain(history, key, &[(a, first), (b, second)], rest.len());
                let events = [first, second].into_iter();
                let events = events.flat_map(|i| [Some(i.call.invoked), i.committed]).flatten();
                found.push(anomaly(history, "G2", key.clone(), text, events.collect()));
            }
        }
        let (keys, total) = (inserts.len(), found.len());
        let mut verdict = match (total, committed) {
            (0, 0) => Verdict::unknown(NAME, "no insert succeeded"),
            (0, _) => Verdict::valid(NAME),
            _ => {
                let kinds = ["G2", "G1a", "thin-air"].map(|kind| {
                    (kind, found.iter().filter(|a: &&Anomaly| &*a.kind == kind).count())
                });
                let kinds = kinds.iter().filter(|(_, n)| *n > 0);
                let kinds: Vec<String> = kinds.map(|(kind, n)| format!("{n} × {kind}")).collect();
                let of = count(keys, "key");
                Verdict::invalid(NAME, format!("not serializable: {} in {of}", kinds.join(", ")))
            }
        };
        verdict.sample(found);
        let verdict = verdict.with("keys", keys).with("committed", committed);
        verified(history, verdict, verify::g2)
    }

    fn arguments(&self) -> Option<Arguments> {
        Some(Arguments::of(NAME))
    }
}

fn anomaly(
    history: &History,
    kind: &'static str,
    subject: Value,
    text: String,
    mut events: Vec<usize>,
) -> Anomaly {
    events.sort_unstable();
    events.dedup();
    let last = events[events.len() - 1];
    Anomaly::new(kind, subject)
        .explained(text)
        .on(history.node(last))
        .at(history.time(last))
        .proved_by(events)
}

fn explain(history: &History, key: &Value, both: &[(&&Value, &&Insert)], more: usize) -> String {
    let each = both.iter().map(|(id, insert)| {
        let by = insert.committed.unwrap_or(insert.call.invoked);
        let how = match insert.call.acknowledged() {
            Some(_) => "was acknowledged by",
            None => "of unknown outcome, was shown by",
        };
        let client = insert.call.process;
        format!(
            "the insert of {id} by client {client} {how} {} at {}",
            node_of(history, by),
            history.time(by)
        )
    });
    let each: Vec<String> = each.collect();
    let more = if more > 0 { format!(" ({more} more committed)") } else { String::new() };
    format!(
        "key {key}: {}{more}; each inserts only where its predicate finds no row of the key, so each would have to come before the other",
        each.join(", and ")
    )
}
