//! `list_append` once more, slowly and obviously, to compare with.

use std::collections::{BTreeMap, BTreeSet};

use crate::txn::core::cycles::Class;
use crate::txn::core::graph::Rel;
use crate::txn::oracle::{Plain, classes};
use fuzz_dist_history::op::{Kind, Value};

/// The longest read of each key; `None` where two reads are no prefixes of each other.
pub(super) fn orders(txns: &[Plain]) -> Option<BTreeMap<Value, Vec<Value>>> {
    let mut orders: BTreeMap<Value, Vec<Value>> = BTreeMap::new();
    let ok = |t: &&Plain| t.kind == Kind::Ok;
    for (_, k, v) in txns.iter().filter(ok).flat_map(|t| &t.ops).filter(|o| !o.0) {
        let list = v.as_list().unwrap().to_vec();
        let order = orders.entry(k.clone()).or_default();
        if !list.starts_with(order) && !order.starts_with(&list) {
            return None;
        }
        if list.len() > order.len() {
            *order = list;
        }
    }
    Some(orders)
}

/// All classes of cycles, from all pairs of transactions.
pub(super) fn cycles(txns: &[Plain], orders: &BTreeMap<Value, Vec<Value>>) -> BTreeSet<Class> {
    let mut edges = BTreeSet::new();
    for (i, a) in txns.iter().enumerate().filter(|(_, t)| t.kind != Kind::Fail) {
        for (j, b) in txns.iter().enumerate().filter(|(j, t)| *j != i && t.kind != Kind::Fail) {
            if a.before(b) {
                edges.insert((i, Rel::Realtime, j));
                if a.process == b.process {
                    edges.insert((i, Rel::Process, j));
                }
            }
            for (k, v) in b.writes() {
                let order = orders.get(k).cloned().unwrap_or_default();
                let committed: Vec<&Value> =
                    order.iter().filter(|v| written_by(txns, k, v)).collect();
                let place = committed.iter().position(|x| *x == v);
                let shows = |(k, v): (&Value, &Value)| orders.get(k).is_some_and(|o| o.contains(v));
                let unseen = place.is_none() && (b.kind == Kind::Ok || b.writes().any(shows));
                // The version before b's, or all versions where nobody saw b's.
                let before = if unseen { committed.len() } else { place.unwrap_or(0) };
                let former = committed[..before].last();
                if former.is_some_and(|f| a.writes().any(|w| w == (k, *f))) {
                    edges.insert((i, Rel::Ww, j));
                }
                for (_, read) in a.found().into_iter().filter(|f| f.0 == k) {
                    let list = read.as_list().unwrap();
                    let shown = list.iter().filter(|v| written_by(txns, k, v)).count();
                    if (unseen || place.is_some()) && shown == before {
                        edges.insert((i, Rel::Rw, j));
                    }
                }
            }
            for (_, k, read) in b.ops.iter().filter(|o| !o.0) {
                let last = read.as_list().unwrap().last();
                if last.is_some_and(|v| a.writes().any(|w| w == (k, v))) {
                    edges.insert((i, Rel::Wr, j));
                }
            }
        }
    }
    classes(txns.len(), &edges)
}

fn written_by(txns: &[Plain], k: &Value, v: &Value) -> bool {
    txns.iter().any(|t| t.kind != Kind::Fail && t.writes().any(|w| w == (k, v)))
}
