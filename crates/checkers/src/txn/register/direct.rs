//! Phenomena over registers that one read, or two, prove without a cycle.

use crate::Anomaly;
use crate::txn::core::Transactions;
use crate::txn::core::txns::{NONE, Op};
use crate::txn::report::Report;
use crate::txn::weak::base::BadRead;
use fuzz_dist_history::op::Value;

pub(super) fn find(txns: &Transactions, report: &mut Report<'_>) {
    let mut updates = vec![NONE; txns.versions.len() + txns.key_count()];
    for t in (0..txns.len() as u32).filter(|t| txns.is_ok(*t)) {
        let ops = txns.ops_of(t);
        for (i, op) in ops.iter().enumerate().filter(|(_, o)| o.is_read()) {
            let mut bad = Vec::new();
            let former = ops[..i].iter().rev().find(|o| o.key() == op.key());
            let own = ops[..i].iter().rev().find(|o| o.is_write() && o.key() == op.key());
            match former {
                Some(former) if former.arg == op.arg => continue,
                Some(_) if own.is_some_and(|own| own.arg != op.arg) => {
                    bad.push(BadRead::internal(t, *op));
                }
                Some(_) => bad.push(BadRead::fuzzy(t, *op)),
                None if ops[i..].iter().any(|o| o.is_write() && o.key() == op.key()) => {
                    lost_update(txns, t, *op, &mut updates, report);
                }
                None => {}
            }
            // What another transaction wrote is judged as such, also where it is read the second time.
            if !ops[..i].iter().any(|o| o.is_write() && o.key() == op.key() && o.arg == op.arg) {
                bad.extend(BadRead::of_other(txns, t, *op));
            }
            for bad in bad {
                report.add(bad.kind(), || bad.explain(txns));
            }
        }
    }
}

/// Two transactions that read the same version of a key and both overwrite it.
fn lost_update(txns: &Transactions, t: u32, op: Op, updates: &mut [u32], report: &mut Report<'_>) {
    let slot = &mut updates[super::versions::node_of(txns, op.key(), op.arg) as usize];
    if *slot == NONE {
        *slot = t;
        return;
    }
    let other = *slot;
    report.add("lost-update", || {
        let k = txns.key(op.key());
        Anomaly::new("lost-update", Value::list([k.clone()]))
            .explained(format!(
                "{}both read {k} as {} and overwrote it: one of them did not see the other",
                txns.cast(&[other, t]),
                txns.value(op.arg)
            ))
            .proved_by(txns.events_of(&[other, t]))
    });
}
