//! Dependencies between transactions over registers.

use super::versions::{Order, Touches};
use crate::txn::core::decide::Open;
use crate::txn::core::graph::{Edges, Rel};
use crate::txn::core::txns::NONE;
use crate::txn::core::{Status, Transactions};

/// Per key, up to so many pairs of a read of the initial value and a write get an edge each.
const INITIAL_PAIRS_MAX: usize = 1 << 16;

/// All edges of the data that the order of versions gives, and those of processes.
pub(super) fn edges(txns: &Transactions, touches: &Touches, order: &Order) -> Edges {
    let mut edges = Edges::with_capacity(touches.all.len() + txns.len());
    let mut last = vec![NONE; txns.processes.len()];
    for t in (0..txns.len() as u32).filter(|t| txns.status[*t as usize] != Status::Fail) {
        let last = &mut last[txns.session[t as usize] as usize];
        if *last != NONE {
            edges.push(Rel::Process, *last, t);
        }
        if txns.is_ok(t) {
            *last = t;
            read_again(txns, t, &mut edges);
        }
    }
    let mut of_version: Vec<(u32, u32)> = Vec::new();
    for key in 0..txns.key_count() as u32 {
        of_version.clear();
        let initial = txns.versions.len() as u32 + key;
        for touch in touches.of(key) {
            let Some(found) = touch.found else { continue };
            of_version.push((found, touch.txn));
            if found != initial {
                let writer = committed(txns, found);
                if writer != NONE {
                    edges.push(Rel::Wr, writer, touch.txn);
                }
            }
        }
        of_version.sort_unstable();
        initial_reads(&of_version, touches, key, initial, &mut edges);
        for version in touches.of(key).iter().filter_map(|t| t.wrote) {
            successors(txns, order, &of_version, version, &mut edges);
        }
    }
    edges
}

/// A second read of a key that gives another version depends on who wrote that, as the first one does.
fn read_again(txns: &Transactions, t: u32, edges: &mut Edges) {
    let ops = txns.ops_of(t);
    for (i, op) in ops.iter().enumerate().filter(|(_, o)| o.is_read() && o.arg != NONE) {
        let former = ops[..i].iter().rev().find(|o| o.key() == op.key());
        if former.is_some_and(|former| former.arg != op.arg) {
            let writer = committed(txns, op.arg);
            if writer != NONE {
                edges.push(Rel::Wr, writer, t);
            }
        }
    }
}

/// The writes of each key, in the order in which they were invoked, with who read them.
pub(super) fn open(txns: &Transactions, touches: &Touches) -> Vec<Open> {
    let mut all = Vec::new();
    for key in 0..txns.key_count() as u32 {
        let initial = txns.versions.len() as u32 + key;
        let mut open = Open { key, ..Open::default() };
        let mut versions: Vec<(u32, usize)> = Vec::new();
        for touch in touches.of(key) {
            if let Some(version) = touch.wrote {
                versions.push((version, open.writers.len()));
                open.writers.push(touch.txn);
            }
        }
        if open.writers.is_empty() {
            continue;
        }
        versions.sort_unstable();
        open.readers = vec![Vec::new(); open.writers.len()];
        for touch in touches.of(key) {
            let Some(found) = touch.found else { continue };
            if found == initial {
                open.early.push(touch.txn);
            } else if let Ok(at) = versions.binary_search_by_key(&found, |v| v.0) {
                open.readers[versions[at].1].push(touch.txn);
            }
        }
        all.push(open);
    }
    all
}

/// Whoever read the initial value did so before any write.
fn initial_reads(
    of_version: &[(u32, u32)],
    touches: &Touches,
    key: u32,
    initial: u32,
    edges: &mut Edges,
) {
    let from = of_version.partition_point(|(v, _)| *v < initial);
    let readers = &of_version[from..];
    if readers.is_empty() {
        return;
    }
    let writers = || touches.of(key).iter().filter(|t| t.wrote.is_some());
    // Where there are too many pairs, the writes that were invoked first stand for all: they
    // are the ones that a late read should have shown.
    let some = (INITIAL_PAIRS_MAX / readers.len()).max(4);
    for (_, reader) in readers {
        writers().take(some).for_each(|w| edges.push(Rel::Rw, *reader, w.txn));
    }
}

/// Edges from the writer and the readers of a version to the writers of those known to follow.
fn successors(
    txns: &Transactions,
    order: &Order,
    of_version: &[(u32, u32)],
    version: u32,
    edges: &mut Edges,
) {
    let from = of_version.partition_point(|(v, _)| *v < version);
    let readers = || of_version[from..].iter().take_while(|(v, _)| *v == version);
    let writer = committed(txns, version);
    for (_, next) in order.graph.successors(version) {
        if next as usize >= txns.versions.len() || order.is_cyclic(version) && order.is_cyclic(next)
        {
            continue;
        }
        let follower = committed(txns, next);
        if follower == NONE {
            continue;
        }
        edges.push(Rel::Ww, writer, follower);
        readers().for_each(|(_, reader)| edges.push(Rel::Rw, *reader, follower));
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
