//! Segments of one direction of a TCP connection put in order.

use std::collections::BTreeMap;

/// What may wait behind a gap. A window of TCP is a few megabytes at most.
const WAITING_MAX: usize = 8 << 20;

/// So many segments at most, since small ones weigh more than their bytes.
const WAITING_SEGMENTS_MAX: usize = 1 << 14;

/// Puts segments in order. Places are counted from the first byte that was followed.
#[derive(Clone, Debug)]
pub(super) struct Segments {
    /// The sequence number at the place `next`.
    sequence: u32,
    /// Everything before was given out.
    next: i64,
    waiting: BTreeMap<i64, Vec<u8>>,
    waiting_bytes: usize,
}

/// More waits behind a gap than can be kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooFarAhead;

impl Segments {
    /// `sequence` is the number of the first byte.
    pub(super) fn new(sequence: u32) -> Segments {
        Segments { sequence, next: 0, waiting: BTreeMap::new(), waiting_bytes: 0 }
    }

    /// The place of a sequence number: of the 2³² possible ones that which is nearest.
    pub(super) fn place(&self, sequence: u32) -> i64 {
        self.next + i64::from(sequence.wrapping_sub(self.sequence) as i32)
    }

    /// Everything before this place was given out.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// Takes a segment, and gives out what is new and in order, piece by piece.
    pub(super) fn push(
        &mut self,
        sequence: u32,
        bytes: &[u8],
        mut give: impl FnMut(i64, &[u8]),
    ) -> Result<(), TooFarAhead> {
        let place = self.place(sequence);
        if place > self.next {
            return self.keep(place, bytes);
        }
        self.give(place, bytes, &mut give);
        while let Some(entry) = self.waiting.first_entry() {
            if *entry.key() > self.next {
                break;
            }
            let (place, kept) = entry.remove_entry();
            self.waiting_bytes -= kept.len();
            self.give(place, &kept, &mut give);
        }
        Ok(())
    }

    fn give(&mut self, place: i64, bytes: &[u8], give: &mut impl FnMut(i64, &[u8])) {
        let known = usize::try_from(self.next - place).unwrap_or(0);
        let Some(fresh) = bytes.get(known..).filter(|fresh| !fresh.is_empty()) else { return };
        let place = self.next;
        self.next += fresh.len() as i64;
        self.sequence = self.sequence.wrapping_add(fresh.len() as u32);
        give(place, fresh);
    }

    fn keep(&mut self, place: i64, bytes: &[u8]) -> Result<(), TooFarAhead> {
        let kept = self.waiting.get(&place).map_or(0, Vec::len);
        if bytes.len() <= kept {
            return Ok(());
        }
        self.waiting_bytes += bytes.len() - kept;
        if self.waiting_bytes > WAITING_MAX || self.waiting.len() >= WAITING_SEGMENTS_MAX {
            return Err(TooFarAhead);
        }
        self.waiting.insert(place, bytes.to_vec());
        Ok(())
    }
}
