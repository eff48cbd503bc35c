//! Re-derives, from the micro-operations of two transactions, why one precedes the other.

use crate::txn::core::Transactions;
use crate::txn::core::cycles::Step;
use crate::txn::core::explain::is_stray;
use crate::txn::core::graph::Rel;
use crate::txn::core::txns::Op;

/// The reason for an edge in words, or `None` where the operations give none.
pub(super) fn reason(txns: &Transactions, step: Step) -> Option<String> {
    let (a, b) = (step.from, step.to);
    match step.rel {
        Rel::Ww => pairs(txns, writes(txns, a), writes(txns, b)).find_map(|(x, y)| {
            let order = txns.order_of(x.key());
            let first = order.iter().position(|v| *v == x.arg)?;
            let key = txns.key(x.key());
            let (one, other) = (txns.value(x.arg), txns.value(y.arg));
            match order.iter().position(|v| *v == y.arg) {
                Some(second) if first < second => {
                    Some(format!("it appended {one} to {key}, and the other appended {other} behind it"))
                }
                None if happened(txns, b) && !in_stray(txns, y) => Some(format!(
                    "it appended {one} to {key}, which reads show, and none shows {other}, which the other appended"
                )),
                _ => None,
            }
        }),
        Rel::Wr => pairs(txns, writes(txns, a), reads(txns, b)).find_map(|(x, y)| {
            let (key, value) = (txns.key(x.key()), txns.value(x.arg));
            let list = txns.list_of(y);
            list.contains(&x.arg)
                .then(|| format!("it appended {value} to {key}, and the other read {}", txns.list_text(list)))
        }),
        Rel::Rw => pairs(txns, found(txns, a), writes(txns, b)).find_map(|(x, y)| {
            let (key, value) = (txns.key(x.key()), txns.value(y.arg));
            let place = txns.order_of(x.key()).iter().position(|v| *v == y.arg);
            let behind = match place {
                Some(place) => place >= txns.list_of(x).len(),
                None => happened(txns, b) && !in_stray(txns, y),
            };
            (behind && !is_stray(x.arg)).then(|| {
                let list = txns.list_text(txns.list_of(x));
                format!("it read {key} as {list}, before the other appended {value}")
            })
        }),
        Rel::Process | Rel::Realtime => None,
    }
}

fn writes(txns: &Transactions, t: u32) -> Vec<Op> {
    txns.ops_of(t).iter().copied().filter(|o| o.is_write()).collect()
}

fn reads(txns: &Transactions, t: u32) -> Vec<Op> {
    txns.ops_of(t).iter().copied().filter(|o| o.is_read()).collect()
}

/// What a transaction found: its reads of keys that it had not touched before.
fn found(txns: &Transactions, t: u32) -> Vec<Op> {
    let ops = txns.ops_of(t);
    let first = |i: usize| !ops[..i].iter().any(|o| o.key() == ops[i].key());
    (0..ops.len()).filter(|i| ops[*i].is_read() && first(*i)).map(|i| ops[i]).collect()
}

/// Did it commit, by its own word or because reads show what it appended?
fn happened(txns: &Transactions, t: u32) -> bool {
    let shows = |o: &Op| txns.order_of(o.key()).contains(&o.arg);
    txns.is_ok(t) || txns.is_possible(t) && writes(txns, t).iter().any(shows)
}

fn in_stray(txns: &Transactions, op: Op) -> bool {
    txns.strays.iter().any(|s| s.contains(&op.arg))
}

fn pairs(_: &Transactions, a: Vec<Op>, b: Vec<Op>) -> impl Iterator<Item = (Op, Op)> {
    a.into_iter().flat_map(move |x| {
        b.clone().into_iter().filter(move |y| x.key() == y.key()).map(move |y| (x, y))
    })
}
