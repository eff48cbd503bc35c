//! The operations under way, each in a slot that is a bit in every configuration, and what is
//! known of them that saves the search from trying.

use super::super::super::dense::NONE;
use super::super::Model;
use super::super::decoded::Operation;
use fuzz_dist_history::hash::FastMap;
use fuzz_dist_history::op::Value;

/// The most operations that can be pending at a time, those of unknown outcome included.
pub(super) const SLOTS: usize = 128;

/// What each kind of operation reads of a register and writes to it, by numbers of values.
///
/// Nothing is known where the object is not one register, or where that is not sure.
pub(super) struct Accesses(Vec<Access>);

#[derive(Clone, Copy)]
struct Access {
    read: u32,
    write: u32,
}

impl Accesses {
    pub(super) fn of<M: Model>(model: &M, ops: &[M::Op]) -> Accesses {
        let nothing = Access { read: NONE, write: NONE };
        let Some(known) = ops.iter().map(|op| model.access(op)).collect::<Option<Vec<_>>>() else {
            return Accesses(vec![nothing; ops.len()]);
        };
        if known.windows(2).any(|two| two[0].key != two[1].key) {
            return Accesses(vec![nothing; ops.len()]);
        }
        let mut numbers: FastMap<Value, u32> = FastMap::default();
        let mut number = |value: Option<Value>| {
            let next = numbers.len() as u32;
            value.map_or(NONE, |value| *numbers.entry(value).or_insert(next))
        };
        let known = known.into_iter();
        Accesses(known.map(|a| Access { read: number(a.read), write: number(a.write) }).collect())
    }
}

/// One operation under way.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    /// Which kind of operation it is.
    pub(super) op: u32,
    invoked: u32,
    /// `u32::MAX` where its outcome is unknown.
    completed: u32,
    /// Equal operations that complete earlier: they can always take effect earlier, too.
    first: u128,
    /// Operations that need the value that it writes.
    readers: u128,
    /// Does it write a register whatever was there?
    overwrites: bool,
}

pub(super) struct Pending {
    accesses: Accesses,
    slots: Vec<Slot>,
    pub(super) all: u128,
    pub(super) pure: u128,
    pub(super) open: u128,
}

impl Pending {
    pub(super) fn new(accesses: Accesses) -> Pending {
        let empty =
            Slot { op: NONE, invoked: 0, completed: NONE, first: 0, readers: 0, overwrites: false };
        Pending { accesses, slots: vec![empty; SLOTS], all: 0, pure: 0, open: 0 }
    }

    pub(super) fn slot(&self, slot: u32) -> &Slot {
        &self.slots[slot as usize]
    }

    /// The slot of an operation that begins, or `None` where all are taken.
    pub(super) fn begin(&mut self, operation: &Operation) -> Option<u32> {
        let at = (!self.all).trailing_zeros();
        if at as usize >= SLOTS {
            return None;
        }
        let bit = 1u128 << at;
        let Access { read, write } = self.accesses.0[operation.op as usize];
        let mut new = Slot {
            op: operation.op,
            invoked: operation.invoked as u32,
            completed: operation.completed.map_or(NONE, |c| c as u32),
            first: 0,
            readers: 0,
            overwrites: write != NONE && read == NONE,
        };
        for other in bits(self.all) {
            let of_other = self.accesses.0[self.slots[other as usize].op as usize];
            let slot = &mut self.slots[other as usize];
            // The bit was another operation's.
            slot.first &= !bit;
            slot.readers &= !bit;
            if slot.op == new.op && slot.completed <= new.completed {
                new.first |= 1u128 << other;
            } else if slot.op == new.op {
                slot.first |= bit;
            }
            if of_other.write != NONE && of_other.write == read {
                slot.readers |= bit;
            }
            if write != NONE && write == of_other.read {
                new.readers |= 1u128 << other;
            }
        }
        self.slots[at as usize] = new;
        self.all |= bit;
        self.pure |= if operation.pure { bit } else { 0 };
        self.open |= if operation.completed.is_none() { bit } else { 0 };
        Some(at)
    }

    pub(super) fn end(&mut self, slot: u32) {
        self.all &= !(1u128 << slot);
        self.pure &= self.all;
    }

    /// May the operation have taken effect right before a write that took effect at `overwritten`,
    /// so that nobody saw it?
    pub(super) fn was_overwritten(&self, slot: u32, overwritten: u32) -> bool {
        let Slot { overwrites, invoked, completed, .. } = *self.slot(slot);
        overwrites && completed != NONE && invoked < overwritten
    }

    /// Is the operation a write, and does nobody among those that have not taken effect need it?
    pub(super) fn is_unread(&self, slot: u32, done: u128) -> bool {
        let Slot { overwrites, readers, .. } = *self.slot(slot);
        overwrites && readers & self.all & !done == 0
    }

    /// Must an equal operation take effect first?
    pub(super) fn is_too_early(&self, slot: u32, done: u128, overwritten: u32) -> bool {
        let first = self.slot(slot).first & self.all & !done;
        bits(first).any(|other| !self.was_overwritten(other, overwritten))
    }

    pub(super) fn overwrites(&self, slot: u32) -> bool {
        self.slot(slot).overwrites
    }
}

pub(super) fn bits(mut mask: u128) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        (mask != 0).then(|| {
            let bit = mask.trailing_zeros();
            mask &= mask - 1;
            bit
        })
    })
}
