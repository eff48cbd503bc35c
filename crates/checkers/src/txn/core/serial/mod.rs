//! An order of whole transactions, as a guess of the order of versions.
//!
//! Databases that keep what was asked for mostly keep more: an order of transactions in real time in
//! which each read finds what it found, or, for snapshots, one of their begins and commits. It is looked
//! for in depth, as linearizations are (Wing and Gong, *Testing and Verifying Concurrent Objects*, 1993),
//! states that led nowhere are kept (Lowe, *Testing for Linearizability*, 2017), and a write is
//! placed only where nothing that must precede a reader of it has still to write the same key (`ahead`).
//! What is found is a guess, and judged as any other one.

mod ahead;
mod moments;
mod placed;

use std::collections::HashSet;

use super::decide::Open;
use super::graph::Edges;
use super::txns::Transactions;
use moments::Moments;
use placed::{Frame, Placed};

/// What kind of order is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// Does a transaction read at one moment and write at a later one, without a write of another
    /// one to the same keys between both? Otherwise it does all at once.
    pub(super) snapshots: bool,
    /// Does it do so between its invocation and its completion?
    pub(super) realtime: bool,
    /// Of several that could come next, which one is tried first?
    pub(super) first: First,
}

/// The moment that is tried first, by the time between which events it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// The one whose middle is first.
    Middle,
    /// The one that has to be over first.
    Latest,
    /// The one that could begin first.
    Earliest,
}

/// So many ready moments are looked at for the next one.
const LOOKED_MAX: usize = 256;

/// The place of each transaction's writes in an order that respects these edges, if one is found in so
/// many steps.
pub(super) fn order(
    txns: &Transactions,
    known: &Edges,
    open: &[Open],
    form: Form,
    steps_max: u64,
) -> Option<Vec<u32>> {
    let moments = Moments::new(txns, known, open, form)?;
    let placed = Placed::new(&moments);
    let search = Search { placed, frames: Vec::new(), dead: HashSet::new(), left: steps_max };
    let frames = search.run()?;
    let mut place = vec![0; txns.len()];
    (0..).zip(&frames).for_each(|(at, f)| place[moments.txn(f.moment) as usize] = at);
    Some(place)
}

struct Search<'a> {
    placed: Placed<'a>,
    /// Those placed, in their order.
    frames: Vec<Frame>,
    /// Sets of placed moments that led nowhere. What the keys hold follows from the set, as far
    /// as somebody has still to read it.
    dead: HashSet<u64>,
    left: u64,
}

impl Search<'_> {
    fn run(mut self) -> Option<Vec<Frame>> {
        let mut choice = Vec::new();
        while self.frames.len() < self.placed.moments.len() {
            choice.clear();
            if self.dead.is_empty() || !self.dead.contains(&self.placed.hash) {
                self.candidates(&mut choice)?;
            }
            // The next one to try is the last.
            loop {
                let Some(moment) = choice.pop() else {
                    self.dead.insert(self.placed.hash);
                    let frame = self.frames.pop()?;
                    self.placed.undo(&frame);
                    choice = frame.others;
                    continue;
                };
                let others = if choice.is_empty() { Vec::new() } else { choice.clone() };
                let frame = self.placed.put(moment, others);
                if self.placed.leads_on(moment, &mut self.left)? {
                    self.frames.push(frame);
                    break;
                }
                self.placed.undo(&frame);
                choice = frame.others;
            }
        }
        Some(self.frames)
    }

    /// Who may come next, best last; `None` where the steps are used up.
    fn candidates(&mut self, all: &mut Vec<u32>) -> Option<()> {
        let placed = &self.placed;
        let deadline = placed.deadline();
        for (_, m) in placed.ready.iter().take(LOOKED_MAX) {
            self.left = self.left.checked_sub(1)?;
            if placed.moments.earliest[*m as usize] > deadline || !placed.fits(*m) {
                continue;
            }
            // Whatever nobody has to read stands in nobody's way; and once a snapshot is taken, its
            // keys are closed for others until its transaction commits.
            if !placed.binds(*m) || placed.moments.is_commit(*m) {
                all.clear();
                all.push(*m);
                return Some(());
            }
            all.push(*m);
        }
        all.reverse();
        Some(())
    }
}
