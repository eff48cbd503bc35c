//! The axioms once more, as they are written: over all orders of commits of a small history.

use std::collections::BTreeSet;

use super::Level;
use crate::txn::oracle::Plain;
use fuzz_dist_history::op::{Kind, Value};

/// A read of what another transaction wrote: (reader, place, key, writer or the initial one).
type Source = (usize, usize, Value, Option<usize>);

pub(super) struct Oracle<'a> {
    txns: Vec<&'a Plain>,
    so: BTreeSet<(usize, usize)>,
    sources: Vec<Source>,
    happens_before: BTreeSet<(usize, usize)>,
}

impl<'a> Oracle<'a> {
    /// `None` where some read is wrong whatever the level.
    pub(super) fn new(all: &'a [Plain]) -> Option<Oracle<'a>> {
        let txns: Vec<&Plain> = all.iter().filter(|t| t.kind != Kind::Fail).collect();
        let mut so = BTreeSet::new();
        for i in 0..txns.len() {
            for j in i + 1..txns.len() {
                let known = (i..j)
                    .filter(|m| txns[*m].process == txns[i].process)
                    .all(|m| txns[m].kind == Kind::Ok);
                if txns[i].process == txns[j].process && known {
                    so.insert((i, j));
                }
            }
        }
        let mut sources = Vec::new();
        for (i, t) in txns.iter().enumerate() {
            for (at, (write, key, value)) in t.ops.iter().enumerate() {
                if *write {
                    continue;
                }
                let own = t.ops[..at].iter().rfind(|o| o.0 && o.1 == *key);
                if let Some(own) = own {
                    if own.2 != *value {
                        return None;
                    }
                    continue;
                }
                if value.is_nil() {
                    sources.push((i, at, key.clone(), None));
                    continue;
                }
                let last = |t: &Plain| t.writes().rfind(|w| w.0 == key).map(|w| w.1.clone());
                let writer =
                    (0..txns.len()).find(|w| *w != i && last(txns[*w]).as_ref() == Some(value));
                sources.push((i, at, key.clone(), Some(writer?)));
            }
        }
        let mut happens_before = so.clone();
        happens_before.extend(sources.iter().filter_map(|s| Some((s.3?, s.0))));
        for m in 0..txns.len() {
            for i in 0..txns.len() {
                for j in 0..txns.len() {
                    if happens_before.contains(&(i, m)) && happens_before.contains(&(m, j)) {
                        happens_before.insert((i, j));
                    }
                }
            }
        }
        Some(Oracle { txns, so, sources, happens_before })
    }

    pub(super) fn holds(&self, level: Level) -> bool {
        match level {
            Level::WeakCausal => return self.weak_causal(),
            Level::CausalMemory => return self.causal_memory(),
            _ => {}
        }
        let mut order: Vec<usize> = Vec::new();
        self.some_order(level, &mut order)
    }

    fn some_order(&self, level: Level, order: &mut Vec<usize>) -> bool {
        let n = self.txns.len();
        if order.len() == n {
            return self.fits(level, order);
        }
        for next in 0..n {
            if !order.contains(&next) {
                order.push(next);
                if self.some_order(level, order) {
                    return true;
                }
                order.pop();
            }
        }
        false
    }

    fn fits(&self, level: Level, order: &[usize]) -> bool {
        let place = |t: usize| order.iter().position(|o| *o == t).unwrap();
        self.so.iter().all(|(a, b)| place(*a) < place(*b))
            && self.sources.iter().all(|s| s.3.is_none_or(|w| place(w) < place(s.0)))
            && self.sources.iter().all(|s| {
                (0..self.txns.len()).all(|t2| {
                    let conflicts = Some(t2) != s.3 && t2 != s.0 && self.writes(t2, &s.2);
                    !conflicts
                        || !self.visible(level, t2, s)
                        || s.3.is_some_and(|t1| place(t2) < place(t1))
                })
            })
    }

    fn visible(&self, level: Level, t2: usize, (t3, at, ..): &Source) -> bool {
        let reads = |r: usize, w: usize| self.sources.iter().any(|s| s.0 == r && s.3 == Some(w));
        let so = |a: usize, b: usize| self.so.contains(&(a, b));
        let all = 0..self.txns.len();
        match level {
            Level::AxiomaticReadCommitted => {
                self.sources.iter().any(|s| s.0 == *t3 && s.3 == Some(t2) && s.1 < *at)
            }
            Level::ReadAtomic => so(t2, *t3) || reads(*t3, t2),
            Level::Causal | Level::WeakCausal | Level::CausalMemory => {
                self.happens_before.contains(&(t2, *t3))
            }
            Level::ReadYourWrites => so(t2, *t3),
            Level::MonotonicReads => all.clone().any(|m| so(m, *t3) && reads(m, t2)),
            Level::MonotonicWrites => {
                reads(*t3, t2) || all.clone().any(|m| so(t2, m) && reads(*t3, m))
            }
            Level::WritesFollowReads => all.clone().any(|seen| {
                reads(*t3, seen) && all.clone().any(|m| (m == seen || so(m, seen)) && reads(m, t2))
            }),
        }
    }

    fn writes(&self, t: usize, key: &Value) -> bool {
        self.txns[t].writes().any(|w| w.0 == key)
    }

    fn weak_causal(&self) -> bool {
        let before = |a: usize, b: usize| self.happens_before.contains(&(a, b));
        let n = self.txns.len();
        (0..n).all(|t| !before(t, t))
            && self.sources.iter().all(|(t3, _, key, t1)| {
                !(0..n).any(|t2| {
                    t2 != *t3
                        && Some(t2) != *t1
                        && self.writes(t2, key)
                        && before(t2, *t3)
                        && t1.is_none_or(|t1| before(t1, t2))
                })
            })
    }

    /// For every transaction there is an order of all that happens before it in which the reads
    /// of its session up to it give what was written last.
    fn causal_memory(&self) -> bool {
        let n = self.txns.len();
        let cyclic = (0..n).any(|t| self.happens_before.contains(&(t, t)));
        !cyclic
            && (0..n).all(|last| {
                let past: Vec<usize> = (0..n)
                    .filter(|t| *t == last || self.happens_before.contains(&(*t, last)))
                    .collect();
                self.some_view(last, &past, &mut Vec::new())
            })
    }

    fn some_view(&self, last: usize, past: &[usize], order: &mut Vec<usize>) -> bool {
        if order.len() == past.len() {
            return true;
        }
        let before = |a: usize, b: usize| self.happens_before.contains(&(a, b));
        for t in past.iter().copied().filter(|t| !order.contains(t)).collect::<Vec<_>>() {
            if past.iter().any(|p| !order.contains(p) && before(*p, t)) {
                continue;
            }
            let own = t == last || self.so.contains(&(t, last));
            let fits =
                self.sources.iter().filter(|s| own && s.0 == t).all(|(_, _, key, writer)| {
                    order.iter().rev().find(|w| self.writes(**w, key)).copied() == *writer
                });
            if fits {
                order.push(t);
                if self.some_view(last, past, order) {
                    return true;
                }
                order.pop();
            }
        }
        false
    }
}
