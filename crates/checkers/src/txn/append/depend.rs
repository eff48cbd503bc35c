//! Dependencies between transactions over lists.

use std::ops::Range;

use crate::txn::core::decide::Open;
use crate::txn::core::explain::is_stray;
use crate::txn::core::graph::{Edges, Rel};
use crate::txn::core::txns::{NONE, Op};
use crate::txn::core::{Status, Transactions};
use fuzz_dist_history::in_parts;

/// A version that only a stray read shows: it has no place, but it was seen.
const SEEN: u32 = NONE - 1;

/// Of the appends that nobody saw, so many per key get edges in any case: those that ended first,
/// since they are the ones that a later read should have shown.
const UNSEEN_MIN: usize = 4;

/// Fewer transactions are not worth a thread.
const PART_MIN: usize = if cfg!(test) { 20 } else { 1 << 15 };

/// Where each version stands in the order of its key.
pub(super) struct Places {
    place: Vec<u32>,
    /// (key, transaction) of appends that certainly happened and that no read shows: all of a key, or
    /// [`UNSEEN_MIN`] where they would need too many edges.
    unseen: Vec<(u32, u32)>,
    /// Are those all of each key?
    pub(super) whole: bool,
    /// The same without a limit, for keys with several of them.
    all_unseen: Vec<(u32, u32)>,
}

impl Places {
    pub(super) fn new(txns: &Transactions) -> Places {
        let mut place = vec![NONE; txns.versions.len()];
        for list in &txns.strays {
            list.iter().for_each(|v| place[*v as usize] = SEEN);
        }
        for key in 0..txns.key_count() as u32 {
            for (i, version) in txns.order_of(key).iter().enumerate().rev() {
                place[*version as usize] = i as u32;
            }
        }
        let of_part = |part| unseen_of(txns, &place, part);
        let mut unseen = in_parts(txns.len(), PART_MIN, of_part).concat();
        unseen.sort_unstable();
        unseen.dedup();
        let several = unseen.chunk_by(|a, b| a.0 == b.0).filter(|of_key| of_key.len() > 1);
        let all_unseen = several.flatten().map(|(key, _, t)| (*key, *t)).collect();
        let (unseen, whole) = with_edges(txns, &unseen);
        Places { place, unseen, whole, all_unseen }
    }

    /// The place of a version that a prefix of its key's order shows.
    pub(super) fn of(&self, version: u32) -> Option<u32> {
        Some(self.place[version as usize]).filter(|p| *p < SEEN)
    }

    pub(super) fn bytes(&self) -> usize {
        self.place.capacity() * 4 + self.unseen.capacity() * 8
    }

    fn unseen(&self, key: u32) -> &[(u32, u32)] {
        let from = self.unseen.partition_point(|(k, _)| *k < key);
        let len = self.unseen[from..].iter().take_while(|(k, _)| *k == key).count();
        &self.unseen[from..from + len]
    }
}

/// The appends that no read shows, (key, end, transaction), of transactions that certainly happened.
fn unseen_of(txns: &Transactions, place: &[u32], part: Range<usize>) -> Vec<(u32, u32, u32)> {
    let mut unseen = Vec::new();
    for t in part.start as u32..part.end as u32 {
        let mut writes = txns.ops_of(t).iter().filter(|o| o.is_write());
        // A transaction of unknown outcome committed if any of its appends shows.
        let happened = match txns.status[t as usize] {
            Status::Ok => true,
            Status::Info => writes.clone().any(|o| place[o.arg as usize] < SEEN),
            Status::Fail => false,
        };
        for op in writes.by_ref().filter(|_| happened) {
            if place[op.arg as usize] == NONE {
                unseen.push((op.key(), txns.complete[t as usize], t));
            }
        }
    }
    unseen
}

/// Those of the appends that no read shows, (key, end, transaction), that get edges, and whether these
/// are all: as many edges as there are micro-operations are taken for what is not the minimum.
fn with_edges(txns: &Transactions, unseen: &[(u32, u32, u32)]) -> (Vec<(u32, u32)>, bool) {
    let of_keys = || unseen.chunk_by(|a, b| a.0 == b.0);
    let mut last_reads = Vec::new();
    if of_keys().any(|of_key| of_key.len() > UNSEEN_MIN) {
        last_reads = vec![0usize; txns.key_count()];
        let ok = (0..txns.len() as u32).filter(|t| txns.is_ok(*t));
        let reads = ok.flat_map(|t| txns.ops_of(t)).filter(|o| o.is_read() && !is_stray(o.arg));
        reads.filter(|o| is_last(txns, o)).for_each(|o| last_reads[o.key() as usize] += 1);
    }
    let (mut left, mut whole) = (txns.ops.len(), true);
    let mut kept: Vec<(u32, u32)> = Vec::with_capacity(unseen.len());
    for of_key in of_keys() {
        let mut count = of_key.len();
        if count > UNSEEN_MIN {
            let edges = count * (1 + last_reads[of_key[0].0 as usize]);
            match left.checked_sub(edges) {
                Some(rest) => left = rest,
                None => (count, whole) = (UNSEEN_MIN, false),
            }
        }
        kept.extend(of_key[..count].iter().map(|(key, _, t)| (*key, *t)));
    }
    (kept, whole)
}

/// Does a read, which is no stray one, show everything that any read of its key shows?
fn is_last(txns: &Transactions, read: &Op) -> bool {
    let rest = &txns.order_of(read.key())[read.arg as usize..];
    rest.iter().all(|v| committed(txns, *v) == NONE)
}

/// The appends that no read shows, of keys with several of them: they come behind all others, in
/// some order.
pub(super) fn open(txns: &Transactions, places: &Places) -> Vec<Open> {
    let mut all: Vec<Open> = Vec::new();
    for of_key in places.all_unseen.chunk_by(|a, b| a.0 == b.0) {
        let key = of_key[0].0;
        let order = txns.order_of(key);
        let before = order.iter().rev().map(|v| committed(txns, *v)).find(|w| *w != NONE);
        let writers: Vec<u32> = of_key.iter().map(|(_, t)| *t).collect();
        let readers = vec![Vec::new(); writers.len()];
        all.push(Open { key, writers, readers, before, early: Vec::new() });
    }
    if all.is_empty() {
        return all;
    }
    // Whoever read everything that was there by then.
    for t in (0..txns.len() as u32).filter(|t| txns.is_ok(*t)) {
        let ops = txns.ops_of(t);
        for (i, op) in ops.iter().enumerate() {
            if op.is_write() || is_stray(op.arg) || ops[..i].iter().any(|o| o.key() == op.key()) {
                continue;
            }
            if is_last(txns, op)
                && let Ok(at) = all.binary_search_by_key(&op.key(), |open| open.key)
            {
                all[at].early.push(t);
            }
        }
    }
    all
}

/// Adds the edges of one order of these appends, by the middle between the invocation and the end of
/// each.
pub(super) fn guess(txns: &Transactions, open: &[Open], edges: &mut Edges) {
    let end = |t: u32| if txns.is_ok(t) { txns.complete[t as usize] } else { txns.events as u32 };
    for open in open {
        let mut writers = open.writers.clone();
        writers.sort_by_key(|t| (end(*t) / 2 + txns.invoke[*t as usize] / 2, *t));
        if let Some(first) = writers.first() {
            open.before.iter().for_each(|w| edges.push(Rel::Ww, *w, *first));
            open.early.iter().for_each(|r| edges.push(Rel::Rw, *r, *first));
        }
        writers.windows(2).for_each(|pair| edges.push(Rel::Ww, pair[0], pair[1]));
    }
}

/// All edges of the data, and those of processes.
pub(super) fn edges(txns: &Transactions, places: &Places) -> Edges {
    let mut edges = Edges::with_capacity(txns.order.len() + txns.ops.len() + txns.len());
    for key in 0..txns.key_count() as u32 {
        let mut former = NONE;
        for version in txns.order_of(key) {
            let writer = committed(txns, *version);
            if writer == NONE {
                continue;
            }
            if former != NONE {
                edges.push(Rel::Ww, former, writer);
            }
            former = writer;
        }
        if former != NONE && !places.unseen.is_empty() {
            for (_, t) in places.unseen(key) {
                edges.push(Rel::Ww, former, *t);
            }
        }
    }
    let mut last = vec![NONE; txns.processes.len()];
    for t in (0..txns.len() as u32).filter(|t| txns.status[*t as usize] != Status::Fail) {
        let last = &mut last[txns.session[t as usize] as usize];
        if *last != NONE {
            edges.push(Rel::Process, *last, t);
        }
        if txns.is_ok(t) {
            *last = t;
            reads(txns, places, t, &mut edges);
        }
    }
    edges
}

fn reads(txns: &Transactions, places: &Places, t: u32, edges: &mut Edges) {
    let ops = txns.ops_of(t);
    for (i, op) in ops.iter().enumerate() {
        let former = ops[..i].iter().rev().find(|o| o.key() == op.key());
        if op.is_write() || former.is_some_and(|o| o.is_read() && o.arg == op.arg) {
            continue;
        }
        if let Some(version) = txns.list_of(*op).last() {
            let writer = committed(txns, *version);
            if writer != NONE {
                edges.push(Rel::Wr, writer, t);
            }
        }
        // Only the first operation on a key says what the transaction found there.
        if former.is_some() || is_stray(op.arg) {
            continue;
        }
        let rest = &txns.order_of(op.key())[op.arg as usize..];
        match rest.iter().map(|v| committed(txns, *v)).find(|w| *w != NONE) {
            Some(writer) => edges.push(Rel::Rw, t, writer),
            None if places.unseen.is_empty() => {}
            None => {
                for (_, writer) in places.unseen(op.key()) {
                    edges.push(Rel::Rw, t, *writer);
                }
            }
        }
    }
}

/// Who wrote a version, unless nobody did or the transaction failed.
fn committed(txns: &Transactions, version: u32) -> u32 {
    match txns.writer[version as usize] {
        NONE => NONE,
        t if txns.is_possible(t) => t,
        _ => NONE,
    }
}
