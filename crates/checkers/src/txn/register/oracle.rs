//! `rw_register` once more, slowly and obviously, to compare with.

use std::collections::BTreeSet;

use super::Infer;
use crate::txn::core::cycles::Class;
use crate::txn::core::graph::Rel;
use crate::txn::oracle::{Plain, classes};
use fuzz_dist_history::op::{Kind, Value};

type Version = (Value, Value);

fn left(t: &Plain, key: &Value) -> Option<Value> {
    let wrote = t.writes().rfind(|w| w.0 == key).map(|w| w.1.clone());
    wrote.or_else(|| found(t, key))
}

fn found(t: &Plain, key: &Value) -> Option<Value> {
    t.found().into_iter().find(|f| f.0 == key).map(|f| f.1.clone())
}

/// All pairs of versions of which the first is known to precede the second; `None` where that
/// is cyclic.
pub(super) fn versions(txns: &[Plain], infer: Infer) -> Option<BTreeSet<(Version, Version)>> {
    let happened: Vec<&Plain> = txns.iter().filter(|t| happened(txns, t)).collect();
    let keys: BTreeSet<&Value> = txns.iter().flat_map(|t| &t.ops).map(|o| &o.1).collect();
    let mut pairs = BTreeSet::new();
    for k in keys {
        let mut add = |a: &Value, b: &Value| {
            if a != b {
                pairs.insert(((k.clone(), a.clone()), (k.clone(), b.clone())));
            }
        };
        for x in &happened {
            let last = x.writes().rfind(|w| w.0 == k).map(|w| w.1);
            if let Some(last) = last {
                add(&Value::Nil, last);
            }
            if let (true, Some(found), Some(last)) = (infer.wfr_keys, found(x, k), last) {
                add(&found, last);
            }
            for y in &happened {
                let known =
                    infer.linearizable_keys || infer.sequential_keys && x.process == y.process;
                if let (true, Some(a)) = (known && x.before(y), left(x, k)) {
                    let wrote = y.writes().rfind(|w| w.0 == k).map(|w| w.1.clone());
                    found(y, k).into_iter().chain(wrote).for_each(|b| add(&a, &b));
                }
            }
        }
    }
    let all: BTreeSet<Version> = pairs.iter().flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
    for m in &all {
        for a in &all {
            for b in &all {
                if pairs.contains(&(a.clone(), m.clone()))
                    && pairs.contains(&(m.clone(), b.clone()))
                {
                    pairs.insert((a.clone(), b.clone()));
                }
            }
        }
    }
    all.iter().all(|v| !pairs.contains(&(v.clone(), v.clone()))).then_some(pairs)
}

fn happened(txns: &[Plain], t: &Plain) -> bool {
    let read = |w: (&Value, &Value)| {
        let ok = txns.iter().filter(|r| r.kind == Kind::Ok);
        ok.flat_map(|r| &r.ops).any(|o| !o.0 && (&o.1, &o.2) == w)
    };
    t.kind == Kind::Ok || t.kind == Kind::Info && t.writes().any(read)
}

pub(super) fn cycles(txns: &[Plain], versions: &BTreeSet<(Version, Version)>) -> BTreeSet<Class> {
    let mut edges = BTreeSet::new();
    for (i, a) in txns.iter().enumerate().filter(|(_, t)| t.kind != Kind::Fail) {
        for (j, b) in txns.iter().enumerate().filter(|(j, t)| *j != i && t.kind != Kind::Fail) {
            if a.before(b) {
                edges.insert((i, Rel::Realtime, j));
                if a.process == b.process {
                    edges.insert((i, Rel::Process, j));
                }
            }
            let before = |x: (&Value, &Value), y: (&Value, &Value)| {
                let own = |v: (&Value, &Value)| (v.0.clone(), v.1.clone());
                versions.contains(&(own(x), own(y)))
            };
            for y in b.writes() {
                if a.writes().any(|x| before(x, y)) {
                    edges.insert((i, Rel::Ww, j));
                }
                if a.found().into_iter().any(|x| before(x, y)) {
                    edges.insert((i, Rel::Rw, j));
                }
            }
            if b.found().into_iter().any(|r| a.writes().any(|w| w == r)) {
                edges.insert((i, Rel::Wr, j));
            }
        }
    }
    classes(txns.len(), &edges)
}
