//! Is there one choice of snapshots that explains all reads together?
//!
//! The judge looks at each read by itself, and so misses reads that exclude one another. In a
//! history that is small enough, all choices are tried: transactions are put into an order of
//! arbitration, one after the other, each with a snapshot of those before it. As snapshots are
//! causally closed, one is so many transactions of each session, and there are few of them.

use std::collections::{HashMap, HashSet};

use super::parse::{Micro, Parsed};
use super::{Act, Crdt, evaluate};
use crate::txn::core::txns::NONE;
use crate::txn::weak::base::Base;
use crate::txn::weak::causal::Clocks;
use fuzz_dist_history::op::Value;

/// Larger histories are not tried.
const NODES_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All reads are explained.
    Explained,
    /// No choice explains them.
    Impossible,
    /// Too large, or out of budget.
    Unknown,
}

/// How many transactions of each session are seen.
type Seen = Box<[u32]>;

struct Search<'a> {
    base: &'a Base<'a>,
    clocks: &'a Clocks,
    parsed: &'a Parsed,
    /// Per node: the reads that have to be explained, as (place, key, value).
    reads: Vec<Vec<(usize, u32, &'a Value)>>,
    /// Per key: its updates, as (node, place, act), in no order.
    updates: Vec<Vec<(u32, usize, &'a Act)>>,
    /// Does the order of transactions that do not know of each other matter?
    ordered: bool,
    /// Nodes in the order of arbitration, and the place of each.
    order: Vec<u32>,
    place: Vec<usize>,
    seen: Vec<Option<Seen>>,
    known: HashSet<(Vec<Option<Seen>>, Vec<u32>)>,
    left: u64,
}

/// Tries to explain these reads, given as (node, place), or all of them.
pub(super) fn search(
    base: &Base<'_>,
    clocks: &Clocks,
    parsed: &Parsed,
    only: Option<&[(u32, usize)]>,
    budget: u64,
) -> End {
    if base.len() > NODES_MAX {
        return End::Unknown;
    }
    let mut reads = vec![Vec::new(); base.len()];
    let mut updates: Vec<Vec<_>> = vec![Vec::new(); parsed.keys.len()];
    for (t, ops) in parsed.txns.iter().enumerate().filter(|(t, _)| base.node[*t] != NONE) {
        let node = base.node[t];
        for (place, op) in ops.iter().enumerate() {
            match op {
                Micro::Update { key, act } => updates[*key as usize].push((node, place, act)),
                Micro::Read { key, value } => {
                    if only.is_none_or(|o| o.contains(&(node, place))) {
                        reads[node as usize].push((place, *key, value));
                    }
                }
            }
        }
    }
    let ordered = parsed.kinds.contains(&Crdt::LwwRegister);
    let mut search = Search {
        base,
        clocks,
        parsed,
        reads,
        updates,
        ordered,
        order: Vec::new(),
        place: vec![usize::MAX; base.len()],
        seen: vec![None; base.len()],
        known: HashSet::new(),
        left: budget,
    };
    match search.go() {
        Some(true) => End::Explained,
        Some(false) => End::Impossible,
        None => End::Unknown,
    }
}

impl Search<'_> {
    /// Puts one more transaction; `None` where the budget is used up.
    fn go(&mut self) -> Option<bool> {
        if self.order.len() == self.base.len() {
            return Some(true);
        }
        let order = if self.ordered { self.order.clone() } else { Vec::new() };
        if !self.known.insert((self.seen.clone(), order)) {
            return Some(false);
        }
        for session in 0..self.base.sessions() {
            let node = self.base.first[session] + self.done(session);
            if node == self.base.first[session + 1] {
                continue;
            }
            for seen in self.snapshots(node)? {
                self.left = self.left.checked_sub(1)?;
                self.place[node as usize] = self.order.len();
                self.order.push(node);
                self.seen[node as usize] = Some(seen);
                if self.fits(node) && self.go()? {
                    return Some(true);
                }
                self.seen[node as usize] = None;
                self.order.pop();
                self.place[node as usize] = usize::MAX;
            }
        }
        Some(false)
    }

    /// How many transactions of a session have been put.
    fn done(&self, session: usize) -> u32 {
        let own = self.base.first[session]..self.base.first[session + 1];
        own.take_while(|n| self.seen[*n as usize].is_some()).count() as u32
    }

    /// The snapshots that a node may have, of what was put before it; none where something that
    /// it must see was not.
    fn snapshots(&mut self, node: u32) -> Option<Vec<Seen>> {
        let base = self.base;
        let visible = |s| self.clocks.end(base, node, s) - base.first[s];
        let mut least: Seen = (0..base.sessions()).map(visible).collect();
        let put: Vec<u32> = (0..base.sessions()).map(|s| self.done(s)).collect();
        if least.iter().zip(&put).any(|(l, p)| l > p) {
            return Some(Vec::new());
        }
        for s in 0..base.sessions() {
            for n in base.first[s]..base.first[s] + least[s] {
                self.join(&mut least, n);
            }
        }
        let mut all = vec![least.clone()];
        let mut known: HashSet<Seen> = HashSet::from([least]);
        let mut at = 0;
        while at < all.len() {
            for s in 0..base.sessions() {
                let next = base.first[s] + all[at][s];
                if all[at][s] >= put[s] || next == node || !self.may_see(node, next) {
                    continue;
                }
                let mut more = all[at].clone();
                more[s] += 1;
                self.join(&mut more, next);
                if known.insert(more.clone()) {
                    all.push(more);
                }
            }
            at += 1;
            self.left = self.left.checked_sub(1)?;
        }
        // What a joined snapshot brings along may be too late for this reader.
        all.retain(|seen| {
            (0..base.sessions()).all(|s| {
                (base.first[s]..base.first[s] + seen[s]).all(|n| n != node && self.may_see(node, n))
            })
        });
        Some(all)
    }

    fn join(&self, seen: &mut Seen, node: u32) {
        if let Some(more) = &self.seen[node as usize] {
            seen.iter_mut().zip(more).for_each(|(a, b)| *a = (*a).max(*b));
        }
    }

    /// What began after a transaction had ended was not seen by it.
    fn may_see(&self, node: u32, other: u32) -> bool {
        let txns = self.base.txns;
        let (t, o) = (self.base.txn[node as usize], self.base.txn[other as usize]);
        txns.end(t) > txns.invoke[o as usize]
    }

    fn sees(&self, node: u32, other: u32) -> bool {
        let session = self.base.session[other as usize] as usize;
        let of = &self.seen[node as usize];
        of.as_ref().is_some_and(|s| other - self.base.first[session] < s[session])
    }

    /// Does the node read what its snapshot gives?
    fn fits(&self, node: u32) -> bool {
        if !self.base.txns.is_ok(self.base.txn[node as usize]) {
            return true;
        }
        self.reads[node as usize].iter().all(|(at, key, value)| {
            let of_key = self.updates[*key as usize].iter();
            let mut visible: Vec<&(u32, usize, &Act)> = of_key
                .filter(|(n, place, _)| if *n == node { place < at } else { self.sees(node, *n) })
                .collect();
            visible.sort_unstable_by_key(|(n, place, _)| (self.place[*n as usize], *place));
            let acts: Vec<&Act> = visible.iter().map(|u| u.2).collect();
            let given = evaluate(self.parsed.kinds[*key as usize], &acts, |a, b| {
                let ((ta, pa, _), (tb, pb, _)) = (visible[a], visible[b]);
                if ta == tb { pb < pa } else { self.sees(*ta, *tb) }
            });
            same(&given, value)
        })
    }
}

/// Lists of elements are the same in any order.
fn same(given: &Value, read: &Value) -> bool {
    match (given, read) {
        (Value::List(a), Value::List(b)) => {
            let count = |items: &[Value]| {
                let mut counts: HashMap<Value, usize> = HashMap::new();
                items.iter().for_each(|i| *counts.entry(i.clone()).or_default() += 1);
                counts
            };
            a.len() == b.len() && count(a) == count(b)
        }
        _ => given == read,
    }
}

/// The reads that no choice explains, without those that the contradiction does not need.
pub(super) fn contradiction(
    base: &Base<'_>,
    clocks: &Clocks,
    parsed: &Parsed,
    budget: u64,
) -> Vec<(u32, usize)> {
    let mut reads: Vec<(u32, usize)> = Vec::new();
    for (t, ops) in parsed.txns.iter().enumerate() {
        if base.node[t] != NONE && base.txns.is_ok(t as u32) {
            let places = (0..ops.len()).filter(|p| matches!(ops[*p], Micro::Read { .. }));
            reads.extend(places.map(|p| (base.node[t], p)));
        }
    }
    let mut at = 0;
    while at < reads.len() {
        let left_out = reads.remove(at);
        if search(base, clocks, parsed, Some(&reads), budget) != End::Impossible {
            reads.insert(at, left_out);
            at += 1;
        }
    }
    reads
}
