//! Which elements dequeues of unknown outcome can have taken, so that the rest fits in an order.
//!
//! A dequeue of unknown outcome takes one element at most, from its invocation on, at any time. An
//! element that never came out is excused by one that was invoked before the element must have been
//! gone: before an element that came later was out, and before a dequeue found nothing. Deadlines
//! and takers can be matched exactly if, up to each moment, no more elements must be gone than takers
//! have begun (Hall's theorem). A *moment* is named by the event before it.

/// How many comparisons the moments of all dequeues that found nothing may cost together.
const STEPS_MAX: u64 = 100_000_000;

pub(super) struct Takers {
    /// The invocations of dequeues of unknown outcome, ascending.
    begun: Vec<u32>,
    /// When the elements that never came out were in, ascending.
    entered: Vec<u32>,
    /// The last moment at which an element can be in still, and when it was in: of those that never
    /// came out and that others overtook, by that moment.
    overtaken: Vec<(u32, u32)>,
    steps: u64,
}

/// Can it be that nothing was in at a moment?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Empty {
    Possible,
    Impossible,
    /// Too much would have to be compared.
    Unknown,
}

impl Takers {
    pub(super) fn new(
        begun: Vec<u32>,
        mut entered: Vec<u32>,
        mut overtaken: Vec<(u32, u32)>,
    ) -> Takers {
        entered.sort_unstable();
        overtaken.sort_unstable();
        Takers { begun, entered, overtaken, steps: 0 }
    }

    /// How many takers have begun by a moment.
    pub(super) fn begun_by(&self, moment: u32) -> usize {
        self.begun.partition_point(|q| *q <= moment)
    }

    /// The first moment by which more elements were overtaken than takers have begun.
    pub(super) fn too_few_at(&self) -> Option<u32> {
        let all = self.overtaken.iter().enumerate();
        let mut short = all.filter(|(i, (moment, _))| *i >= self.begun_by(*moment));
        short.next().map(|(_, (moment, _))| *moment)
    }

    /// Can nothing have been in at this moment, but for elements that came out?
    fn at(&mut self, moment: u32) -> bool {
        let gone = self.entered.partition_point(|e| *e <= moment);
        if gone > self.begun_by(moment) {
            return false;
        }
        // Takers that are used up by then are missing for those that are overtaken later.
        let mut later = 0;
        for (deadline, _) in self.overtaken.iter().filter(|(d, e)| *d >= moment && *e > moment) {
            self.steps += 1;
            later += 1;
            if gone + later > self.begun_by(*deadline) {
                return false;
            }
        }
        self.steps += 1 + self.overtaken.len() as u64;
        true
    }

    /// Can nothing have been in at some moment from the first to the last one?
    pub(super) fn empty_between(&mut self, first: u32, last: u32) -> Empty {
        // Between two invocations of takers, the earliest moment demands least.
        let from = self.begun_by(first);
        let to = self.begun_by(last);
        for moment in std::iter::once(first).chain(self.begun[from..to].to_vec()) {
            if self.steps > STEPS_MAX {
                return Empty::Unknown;
            }
            if self.at(moment) {
                return Empty::Possible;
            }
        }
        Empty::Impossible
    }
}
