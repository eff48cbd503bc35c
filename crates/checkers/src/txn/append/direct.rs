//! Phenomena over lists that one read, or two, prove without a cycle.

use crate::Anomaly;
use crate::txn::core::Transactions;
use crate::txn::core::explain::is_stray;
use crate::txn::core::intern::FastMap;
use crate::txn::core::txns::{NONE, Op};
use crate::txn::report::Report;
use fuzz_dist_history::op::Value;

use super::depend::Places;

pub(super) fn find(txns: &Transactions, places: &Places, report: &mut Report<'_>) {
    orders(txns, places, report);
    let mut updates = vec![NONE; txns.order.len() + txns.key_count()];
    for t in 0..txns.len() as u32 {
        let ops = txns.ops_of(t);
        for (i, op) in ops.iter().enumerate() {
            if op.is_write() {
                own_order(txns, places, t, i, report);
                continue;
            }
            let former = ops[..i].iter().rev().find(|o| o.key() == op.key());
            let before = former.is_some();
            let writes = ops[i..].iter().any(|o| o.is_write() && o.key() == op.key());
            if before || writes {
                internal(txns, t, i, report);
            }
            if !former.is_some_and(|o| o.is_read() && o.arg == op.arg) {
                intermediate(txns, t, *op, report);
            }
            if !before && writes && !is_stray(op.arg) {
                lost_update(txns, t, *op, &mut updates, report);
            }
        }
    }
}

/// What is wrong with the elements that reads show: judged once per key, not once per read.
fn orders(txns: &Transactions, places: &Places, report: &mut Report<'_>) {
    for key in 0..txns.key_count() as u32 {
        let order = txns.order_of(key);
        let mut failed: Option<u32> = None;
        for (i, version) in order.iter().enumerate() {
            if places.of(*version).is_some_and(|p| (p as usize) < i) {
                duplicate(txns, key, *version, report);
            }
            element(txns, key, *version, report);
            match txns.writer[*version as usize] {
                NONE => {}
                t if !txns.is_possible(t) => failed = failed.or(Some(*version)),
                t => {
                    if let Some(dirty) = failed.take() {
                        dirty_update(txns, key, dirty, *version, t, report);
                    }
                }
            }
        }
    }
    if txns.strays.is_empty() {
        return;
    }
    for t in (0..txns.len() as u32).filter(|t| txns.is_ok(*t)) {
        for op in txns.ops_of(t).iter().filter(|o| o.is_read() && is_stray(o.arg)) {
            stray(txns, t, *op, report);
        }
    }
}

fn stray(txns: &Transactions, t: u32, op: Op, report: &mut Report<'_>) {
    let list = txns.list_of(op);
    let mut seen: FastMap<u32, ()> = FastMap::default();
    for version in list {
        if seen.insert(*version, ()).is_some() {
            duplicate(txns, op.key(), *version, report);
        }
        element(txns, op.key(), *version, report);
    }
    let key = txns.key(op.key());
    let longest = reader(txns, |o| {
        o.key() == op.key() && !is_stray(o.arg) && o.arg as usize == txns.order_of(op.key()).len()
    });
    let at = list.iter().zip(txns.order_of(op.key())).take_while(|(a, b)| a == b).count();
    report.add("incompatible-order", || {
        let cast: Vec<u32> = [t].into_iter().chain(longest).collect();
        Anomaly::new("incompatible-order", Value::list([key.clone()]))
            .explained(format!(
                "{}T1 read {key} as {}, which is no prefix of {}: they differ at place {at}",
                txns.cast(&cast),
                txns.list_text(list),
                txns.list_text(txns.order_of(op.key()))
            ))
            .proved_by(txns.events_of(&cast))
    });
}

/// An element that no client wrote, or that a failed transaction wrote.
fn element(txns: &Transactions, key: u32, version: u32, report: &mut Report<'_>) {
    let writer = txns.writer[version as usize];
    if writer != NONE && txns.is_possible(writer) {
        return;
    }
    let kind = if writer == NONE { "thin-air" } else { "G1a" };
    report.add(kind, || {
        let reader = reader(txns, |o| o.key() == key && txns.list_of(*o).contains(&version));
        let mut cast: Vec<u32> = reader.into_iter().collect();
        let (k, v) = (txns.key(key), txns.value(version));
        let text = if writer == NONE {
            format!("T1 read {v} in {k}, which no transaction appended")
        } else {
            cast.push(writer);
            format!("T1 read {v} in {k}, which T2 appended, and T2 failed")
        };
        Anomaly::new(kind, Value::list([k.clone(), v]))
            .explained(format!("{}{text}", txns.cast(&cast)))
            .proved_by(txns.events_of(&cast))
    });
}

fn duplicate(txns: &Transactions, key: u32, version: u32, report: &mut Report<'_>) {
    report.add("duplicate-elements", || {
        let twice = |o: &Op| txns.list_of(*o).iter().filter(|v| **v == version).count() > 1;
        let cast: Vec<u32> = reader(txns, |o| o.key() == key && twice(o)).into_iter().collect();
        let (k, v) = (txns.key(key), txns.value(version));
        Anomaly::new("duplicate-elements", Value::list([k.clone(), v.clone()]))
            .explained(format!("{}T1 read {v} in {k} more than once", txns.cast(&cast)))
            .proved_by(txns.events_of(&cast))
    });
}

fn dirty_update(
    txns: &Transactions,
    key: u32,
    dirty: u32,
    version: u32,
    t: u32,
    report: &mut Report<'_>,
) {
    report.add("dirty-update", || {
        let cast = [txns.writer[dirty as usize], t];
        let (k, v) = (txns.key(key), txns.value(dirty));
        Anomaly::new("dirty-update", Value::list([k.clone(), v.clone()]))
            .explained(format!(
                "{}T1 failed, but {v}, which it appended to {k}, stands before {}, which T2 appended",
                txns.cast(&cast),
                txns.value(version)
            ))
            .proved_by(txns.events_of(&cast))
    });
}

/// G1b: the last element is one that its transaction was not done with.
fn intermediate(txns: &Transactions, t: u32, op: Op, report: &mut Report<'_>) {
    let Some(version) = txns.list_of(op).last() else { return };
    let writer = txns.writer[*version as usize];
    if writer == NONE || writer == t || txns.last_write[*version as usize] {
        return;
    }
    report.add("G1b", || {
        let (k, v) = (txns.key(op.key()), txns.value(*version));
        Anomaly::new("G1b", Value::list([k.clone(), v.clone()]))
            .explained(format!(
                "{}T1 read {k} as {}, but T2 appended more to {k} after {v}",
                txns.cast(&[t, writer]),
                txns.list_text(txns.list_of(op))
            ))
            .proved_by(txns.events_of(&[t, writer]))
    });
}

/// A read of a key that the transaction touched before must give what it found or wrote then,
/// and no read may show what its own transaction appends later.
fn internal(txns: &Transactions, t: u32, at: usize, report: &mut Report<'_>) {
    let ops = txns.ops_of(t);
    let op = ops[at];
    let list = txns.list_of(op);
    let former = ops[..at].iter().rposition(|o| o.is_read() && o.key() == op.key());
    let own: Vec<u32> = ops[former.map_or(0, |f| f + 1)..at]
        .iter()
        .filter(|o| o.is_write() && o.key() == op.key())
        .map(|o| o.arg)
        .collect();
    let fits = match former {
        Some(f) => {
            let before = txns.list_of(ops[f]);
            list.len() == before.len() + own.len()
                && list.starts_with(before)
                && list.ends_with(&own)
        }
        None => list.ends_with(&own),
    };
    // What the transaction appends later must not be there yet.
    let future =
        ops[at..].iter().any(|o| o.is_write() && o.key() == op.key() && list.contains(&o.arg));
    if fits && !future {
        return;
    }
    let written = ops[..at].iter().rev().find(|o| o.is_write() && o.key() == op.key());
    let kind = match (future, former, written) {
        (true, ..) => "future-read",
        // It shows what the transaction wrote last, and yet another list than the former read.
        (_, Some(_), written) if written.is_none_or(|w| list.last() == Some(&w.arg)) => {
            "fuzzy-read"
        }
        _ => "internal",
    };
    report.add(kind, || {
        let k = txns.key(op.key());
        let expected = match former {
            _ if future => "a list without what it appended only later".into(),
            Some(f) => txns.list_text(&[txns.list_of(ops[f]), &own].concat()),
            None => format!("a list that ends with {}", txns.list_text(&own)),
        };
        Anomaly::new(kind, Value::list([k.clone()]))
            .explained(format!(
                "{}T1 read {k} as {}; that had to be {expected}",
                txns.cast(&[t]),
                txns.list_text(list)
            ))
            .proved_by(txns.events_of(&[t]))
    });
}

/// Where an append shows, what its transaction appended to the key before must stand before it.
fn own_order(txns: &Transactions, places: &Places, t: u32, at: usize, report: &mut Report<'_>) {
    let ops = txns.ops_of(t);
    let Some(former) = ops[..at].iter().rev().find(|o| o.is_write() && o.key() == ops[at].key())
    else {
        return;
    };
    let Some(place) = places.of(ops[at].arg) else { return };
    if places.of(former.arg).is_some_and(|p| p < place) {
        return;
    }
    report.add("incompatible-order", || {
        let k = txns.key(former.key());
        Anomaly::new("incompatible-order", Value::list([k.clone()]))
            .explained(format!(
                "{}T1 appended {} to {k} before {}, but reads show {}",
                txns.cast(&[t]),
                txns.value(former.arg),
                txns.value(ops[at].arg),
                txns.list_text(&txns.order_of(former.key())[..=place as usize])
            ))
            .proved_by(txns.events_of(&[t]))
    });
}

/// Two transactions that read the same version of a key and both append to it.
fn lost_update(txns: &Transactions, t: u32, op: Op, updates: &mut [u32], report: &mut Report<'_>) {
    let slot = &mut updates[(txns.order_start[op.key() as usize] + op.key() + op.arg) as usize];
    if *slot == NONE {
        *slot = t;
        return;
    }
    let other = *slot;
    report.add("lost-update", || {
        let k = txns.key(op.key());
        Anomaly::new("lost-update", Value::list([k.clone()]))
            .explained(format!(
                "{}both read {k} as {} and appended to it: one of them did not see the other",
                txns.cast(&[other, t]),
                txns.list_text(txns.list_of(op))
            ))
            .proved_by(txns.events_of(&[other, t]))
    });
}

/// The first committed transaction with a read like this.
fn reader(txns: &Transactions, fits: impl Fn(&Op) -> bool) -> Option<u32> {
    (0..txns.len() as u32)
        .filter(|t| txns.is_ok(*t))
        .find(|t| txns.ops_of(*t).iter().any(|o| o.is_read() && fits(o)))
}
