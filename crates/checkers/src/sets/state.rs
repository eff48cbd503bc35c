//! The set as of the last read of a stream that is being built, in two bytes an element.

use super::streams::{Keep, Sink};
use fuzz_dist_history::Column;

#[derive(Default)]
pub(super) struct State {
    /// How often each element is there.
    pub(super) count: Column<u8, u32>,
    /// The stamp of the whole read that had the element last.
    pub(super) seen: Vec<u8>,
    stamp: u8,
    /// Everything with a count, and perhaps some that vanished since the last whole read.
    pub(super) present: Present,
    pub(super) spare: Present,
    pub(super) fingerprint: u64,
    pub(super) acknowledged: u32,
}

/// Elements that are there. Few of them are a list; of many only the greatest is kept, since walking all
/// up to that one costs no more than walking a list then.
#[derive(Default)]
pub(super) struct Present {
    list: Vec<u32>,
    is_full: bool,
    /// One more than the greatest.
    end: u32,
}

/// A list is at most as long as one in so many elements.
const LISTED: usize = 16;

impl Present {
    /// One more, of so many.
    #[inline]
    pub(super) fn push(&mut self, id: u32, elements: usize) {
        self.end = self.end.max(id + 1);
        if !self.is_full {
            self.list.push(id);
            self.is_full = self.list.len() > elements / LISTED;
        }
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
        (self.is_full, self.end) = (false, 0);
    }

    /// All of them, and others where they are many.
    pub(super) fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        let (list, end) = if self.is_full { (&[][..], self.end) } else { (&self.list[..], 0) };
        list.iter().copied().chain(0..end)
    }
}

impl State {
    /// Makes it the empty set.
    pub(super) fn reset(&mut self) {
        for id in self.present.ids() {
            self.count.set(id as usize, 0);
        }
        self.present.clear();
        (self.fingerprint, self.acknowledged) = (0, 0);
    }

    /// A stamp that nothing has.
    pub(super) fn next_stamp(&mut self) -> u8 {
        if self.stamp == u8::MAX {
            self.seen.fill(0);
            self.stamp = 0;
        }
        self.stamp += 1;
        self.stamp
    }

    #[inline]
    pub(super) fn reach(&mut self, len: usize) {
        if self.seen.is_empty() {
            // Zeros of which most are never touched take no memory.
            (self.count, self.seen) = (Column::zeros(len), vec![0; len]);
        } else if self.seen.len() < len {
            self.count.reach(len);
            self.seen.resize(len, 0);
        }
    }

    pub(super) fn set(
        &mut self,
        id: u32,
        count: u32,
        counted: &[bool],
        sink: &mut Sink<'_, impl Keep>,
    ) {
        let former = self.count.get(id as usize);
        self.count.set(id as usize, count);
        let step = i64::from(count) - i64::from(former);
        self.fingerprint = self.fingerprint.wrapping_add(scramble(id).wrapping_mul(step as u64));
        if (former == 0) != (count == 0) {
            sink.changes.keep(id, sink.place, count > 0);
            if counted.get(id as usize) == Some(&true) {
                let n = i64::from(self.acknowledged) + if count > 0 { 1 } else { -1 };
                self.acknowledged = n as u32;
            }
        }
        if count > 1 {
            sink.duplicate(id, count);
        }
    }
}

/// The finaliser of MurmurHash3: spreads a small number over 64 bits.
fn scramble(id: u32) -> u64 {
    let mut z = (u64::from(id) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    z = (z ^ (z >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    z ^ (z >> 33)
}
