//! Witnesses about rows that a predicate guards.

use super::{Facts, Held, that};
use crate::Anomaly;
use crate::txn::predicate_row;
use fuzz_dist_history::op::{Kind, Value};

pub(crate) fn g2(facts: &Facts<'_>, a: &Anomaly) -> Held {
    let h = facts.history;
    let rows = |event: usize| predicate_row(&h.value(event)).ok_or("an event is about no row");
    let is_insert = |event: usize| &**h.function(event) == "insert";
    let inserted: Vec<usize> =
        a.events.iter().copied().filter(|e| is_insert(*e) && h.kind(*e) == Kind::Invoke).collect();
    let reads = || a.events.iter().copied().filter(|e| facts.is_ok(*e, "read"));
    if &*a.kind == "G2" {
        let mut ids = Vec::new();
        for event in &inserted {
            let (key, id) = rows(*event)?;
            that(key == a.subject, "all inserts are of its key")?;
            let acknowledged = h.completion(*event).is_some_and(|c| h.kind(c) == Kind::Ok);
            let mut shown = false;
            for read in reads() {
                let (key, all) = rows(read)?;
                shown |= key == a.subject && id.iter().all(|id| all.contains(id));
            }
            that(acknowledged || shown, "each insert was acknowledged or read")?;
            ids.extend(id);
        }
        ids.sort_unstable();
        ids.dedup();
        return that(ids.len() >= 2, "two rows were inserted");
    }
    let Value::List(row) = &a.subject else { return Err("it is about no row".into()) };
    let mut shown = false;
    for read in reads() {
        let (key, ids) = rows(read)?;
        shown |= key == row[0] && ids.contains(&row[1]);
    }
    that(shown, "a read shows the row")?;
    let mut possible = false;
    for i in (0..h.len()).filter(|i| is_insert(*i) && h.kind(*i) == Kind::Invoke) {
        let (key, ids) = rows(i)?;
        let failed = h.completion(i).is_some_and(|c| h.kind(c) == Kind::Fail);
        possible |= key == row[0] && ids.contains(&row[1]) && !failed;
    }
    that(!possible, "no insert of it can have committed")
}
