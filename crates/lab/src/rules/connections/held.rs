//! What of a stream is held: from which place on, and for whom.

use crate::pipeline::Hold;
use std::ops::Range;

/// A part of a stream that waits, and all that it waits for.
pub(super) type Part = (Range<i64>, Vec<Hold>);

/// The part of a stream that waits.
#[derive(Debug)]
pub(super) struct Held {
    /// Where each hold begins.
    holds: Vec<(i64, Hold)>,
    /// The place after what was kept.
    kept_to: i64,
}

impl Default for Held {
    fn default() -> Self {
        Held { holds: Vec::new(), kept_to: i64::MIN }
    }
}

impl Held {
    /// Nothing is held, and nothing will be.
    pub(super) fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    /// Does this hold hold something here?
    pub(super) fn has(&self, hold: Hold) -> bool {
        self.holds.iter().any(|(_, one)| *one == hold)
    }

    /// From this place on everything waits.
    pub(super) fn limit(&self) -> i64 {
        self.holds.iter().map(|(place, _)| *place).min().unwrap_or(i64::MAX)
    }

    /// The place after what was kept: what lies before it is a retransmission.
    pub(super) fn next(&self) -> i64 {
        self.kept_to
    }

    /// From this place on everything waits for this, too. What was kept before does not: the message
    /// that it is about ends later.
    pub(super) fn hold(&mut self, place: i64, hold: Hold) {
        self.holds.push((place.max(self.kept_to), hold));
    }

    /// Keeps what lies between two places, the first of which is not before the limit: gives the parts
    /// that do not wait for the same holds.
    pub(super) fn keep(&mut self, kept: Range<i64>) -> Vec<Part> {
        self.kept_to = kept.end;
        let within = self.holds.iter().map(|(place, _)| *place).filter(|p| kept.contains(p));
        let mut places: Vec<i64> = within.chain([kept.start, kept.end]).collect();
        places.sort_unstable();
        places.dedup();
        let holds_at = |at: i64| {
            let begun = self.holds.iter().filter(move |(place, _)| *place <= at);
            begun.map(|(_, hold)| *hold).collect()
        };
        places.windows(2).map(|ends| (ends[0]..ends[1], holds_at(ends[0]))).collect()
    }

    /// The hold that begins first.
    pub(super) fn first(&self) -> Option<Hold> {
        self.holds.iter().min().map(|(_, hold)| *hold)
    }

    /// A hold has ended.
    pub(super) fn release(&mut self, hold: Hold) {
        self.holds.retain(|(_, one)| *one != hold);
        if self.holds.is_empty() {
            *self = Held::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Hold = Hold(1);
    const B: Hold = Hold(2);

    #[test]
    fn parts_wait_for_what_began_before_them() {
        let mut held = Held::default();
        held.hold(20, B);
        held.hold(10, A);
        assert_eq!((held.limit(), held.first()), (10, Some(A)));
        assert_eq!(held.keep(10..30), [(10..20, vec![A]), (20..30, vec![B, A])]);
        assert_eq!((held.next(), held.keep(30..31)), (30, vec![(30..31, vec![B, A])]));
        held.release(A);
        assert_eq!((held.limit(), held.next(), held.has(A), held.has(B)), (20, 31, false, true));
        held.release(B);
        assert_eq!((held.limit(), held.next(), held.is_empty()), (i64::MAX, i64::MIN, true));
    }

    #[test]
    fn what_was_kept_does_not_wait_for_a_later_hold() {
        let mut held = Held::default();
        held.hold(10, A);
        assert_eq!(held.keep(10..20), [(10..20, vec![A])]);
        held.hold(15, B);
        assert_eq!(held.keep(20..25), [(20..25, vec![A, B])]);
        held.release(A);
        assert_eq!(held.limit(), 20);
    }
}
