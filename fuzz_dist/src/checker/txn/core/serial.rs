//! A serial order in real time, as a guess of the order of versions.
//!
//! Databases that keep what was asked for mostly keep more: an order of whole transactions in which
//! each read finds what it found. It is looked for in depth, as linearizations are (Wing and Gong,
//! *Testing and Verifying Concurrent Objects*, 1993), and states that led nowhere are kept (Lowe,
//! *Testing for Linearizability*, 2017). What is found is a guess, and judged as any other one.

use std::collections::{BTreeSet, HashSet};

use super::decide::{Open, State};
use super::graph::Graph;
use super::txns::{NONE, Transactions};

/// So many ready transactions are looked at for the next one.
const LOOKED_MAX: usize = 64;

struct Serial<'a> {
    graph: &'a Graph,
    txns: &'a Transactions,
    middle: &'a [u32],
    state: State,
    /// How many predecessors are not placed.
    missing: Vec<u32>,
    /// Those without such ones, by about when they took effect.
    ready: BTreeSet<(u32, u32)>,
    /// Those not placed, by when they ended.
    ends: BTreeSet<(u32, u32)>,
    /// Per key the writers that are not placed, by when they ended.
    unwritten: Vec<BTreeSet<(u32, u32)>>,
    /// Per transaction the keys whose version of its own was read, with when the last reader began.
    read_until: Vec<Vec<(usize, u32)>>,
    /// A hash of who is placed and of what the keys hold.
    hash: u64,
    dead: HashSet<u64>,
}

/// One placed transaction, and those that could have been placed instead.
struct Frame {
    txn: u32,
    /// The state before it.
    hash: u64,
    others: Vec<u32>,
    overwritten: Vec<(usize, u32)>,
}

/// The place of each transaction in an order that respects these edges and real time, if one is
/// found in so many steps.
pub(super) fn order(
    graph: &Graph,
    txns: &Transactions,
    open: &[Open],
    middle: &[u32],
    state: State,
    steps_max: u64,
) -> Option<Vec<u32>> {
    let n = txns.len();
    let mut missing = vec![0u32; n];
    for t in 0..n as u32 {
        graph.successors(t).for_each(|(_, to)| missing[to as usize] += 1);
    }
    let ready = (0..n as u32).filter(|t| missing[*t as usize] == 0);
    let ready = ready.map(|t| (middle[t as usize], t)).collect();
    let ends = (0..n as u32).map(|t| (end(txns, t), t)).collect();
    let (mut unwritten, mut read_until) = (Vec::new(), vec![Vec::new(); n]);
    for (key, open) in open.iter().enumerate() {
        unwritten.push(open.writers.iter().map(|w| (end(txns, *w), *w)).collect());
        for (writer, readers) in open.writers.iter().zip(&open.readers) {
            let last = readers.iter().map(|r| txns.invoke[*r as usize]).max();
            read_until[*writer as usize].extend(last.map(|last| (key, last)));
        }
    }
    let dead = HashSet::new();
    let mut serial = Serial {
        graph,
        txns,
        middle,
        state,
        missing,
        ready,
        ends,
        unwritten,
        read_until,
        hash: 0,
        dead,
    };
    serial.run(steps_max)
}

/// By when it took effect for certain.
fn end(txns: &Transactions, t: u32) -> u32 {
    if txns.is_ok(t) { txns.complete[t as usize] } else { NONE }
}

/// Mixes a fact into a number (the finaliser of SplitMix64).
fn mixed(a: u64, b: u64) -> u64 {
    let mut x = ((a << 32) ^ b).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Serial<'_> {
    fn run(&mut self, steps_max: u64) -> Option<Vec<u32>> {
        let n = self.txns.len();
        let mut frames: Vec<Frame> = Vec::with_capacity(n);
        let mut left = steps_max;
        while frames.len() < n {
            let mut choice = match self.dead.contains(&self.hash) {
                true => Vec::new(),
                false => self.candidates(&mut left)?,
            };
            // The next one to try is the last.
            while choice.is_empty() {
                self.dead.insert(self.hash);
                let frame = frames.pop()?;
                self.undo(&frame);
                choice = frame.others;
            }
            let Some(txn) = choice.pop() else { continue };
            frames.push(self.put(txn, choice));
        }
        let mut place = vec![0; n];
        (0..).zip(&frames).for_each(|(at, frame)| place[frame.txn as usize] = at);
        Some(place)
    }

    /// Who may come next, best last; `None` where the steps are used up.
    fn candidates(&self, left: &mut u64) -> Option<Vec<u32>> {
        let deadline = self.ends.first().map_or(NONE, |(end, _)| *end);
        let mut all = Vec::new();
        for (_, t) in self.ready.iter().take(LOOKED_MAX) {
            *left = left.checked_sub(1)?;
            let begun = self.txns.invoke[*t as usize] < deadline;
            if !begun || !self.state.fits(*t) || !self.comes_last(*t) {
                continue;
            }
            // Whoever changes nothing stands in nobody's way.
            if !self.state.writes(*t) {
                return Some(vec![*t]);
            }
            all.push(*t);
        }
        all.reverse();
        Some(all)
    }

    /// Is no other write of its keys left that ended before a reader of its own version began? That
    /// reader would have found the other one.
    fn comes_last(&self, t: u32) -> bool {
        self.read_until[t as usize].iter().all(|(key, last)| {
            let other = self.unwritten[*key].iter().take(2).find(|(_, w)| *w != t);
            other.is_none_or(|(end, _)| end >= last)
        })
    }

    fn put(&mut self, txn: u32, others: Vec<u32>) -> Frame {
        let hash = self.hash;
        let overwritten = self.state.put(txn);
        self.hash ^= mixed(u64::from(NONE), u64::from(txn));
        for (key, was) in &overwritten {
            self.hash ^= mixed(*key as u64, u64::from(*was)) ^ mixed(*key as u64, txn.into());
            self.unwritten[*key].remove(&(end(self.txns, txn), txn));
        }
        self.ready.remove(&(self.middle[txn as usize], txn));
        self.ends.remove(&(end(self.txns, txn), txn));
        for (_, to) in self.graph.successors(txn) {
            self.missing[to as usize] -= 1;
            if self.missing[to as usize] == 0 {
                self.ready.insert((self.middle[to as usize], to));
            }
        }
        Frame { txn, hash, others, overwritten }
    }

    fn undo(&mut self, frame: &Frame) {
        let txn = frame.txn;
        for (_, to) in self.graph.successors(txn) {
            if self.missing[to as usize] == 0 {
                self.ready.remove(&(self.middle[to as usize], to));
            }
            self.missing[to as usize] += 1;
        }
        self.ready.insert((self.middle[txn as usize], txn));
        self.ends.insert((end(self.txns, txn), txn));
        for (key, _) in &frame.overwritten {
            self.unwritten[*key].insert((end(self.txns, txn), txn));
        }
        self.state.undo(txn, &frame.overwritten);
        self.hash = frame.hash;
    }
}
