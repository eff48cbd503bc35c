//! Columns that take no more memory than what they hold needs.

use super::hash::FastMap;
use crate::op::{Kind, Phase};

/// Numbers, as `N` until the first one that does not fit, and as `W` from then on.
#[derive(Clone, Debug)]
pub enum Column<N, W> {
    /// All numbers so far fit.
    Narrow(Vec<N>),
    /// Some number does not.
    Wide(Vec<W>),
}

impl<N, W> Default for Column<N, W> {
    fn default() -> Column<N, W> {
        Column::Narrow(Vec::new())
    }
}

impl<N: Copy + Default + Into<W>, W: Copy + Default + TryInto<N>> Column<N, W> {
    /// So many zeros; those that are never touched take no memory.
    pub fn zeros(len: usize) -> Column<N, W> {
        Column::Narrow(vec![N::default(); len])
    }

    #[allow(clippy::len_without_is_empty, reason = "a history asks for its own length")]
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        match self {
            Column::Narrow(all) => all.len(),
            Column::Wide(all) => all.len(),
        }
    }

    /// Makes it longer, by zeros.
    pub fn reach(&mut self, len: usize) {
        match self {
            Column::Narrow(all) if all.len() < len => all.resize(len, N::default()),
            Column::Wide(all) if all.len() < len => all.resize(len, W::default()),
            _ => {}
        }
    }

    /// The number at a place.
    #[inline]
    pub fn get(&self, i: usize) -> W {
        match self {
            Column::Narrow(all) => all[i].into(),
            Column::Wide(all) => all[i],
        }
    }

    /// Appends a number.
    #[inline]
    pub fn push(&mut self, number: W) {
        match (&mut *self, number.try_into()) {
            (Column::Narrow(all), Ok(narrow)) => all.push(narrow),
            (Column::Wide(all), _) => all.push(number),
            (Column::Narrow(_), Err(_)) => self.widen().push(number),
        }
    }

    /// Replaces the number at a place.
    #[inline]
    pub fn set(&mut self, i: usize, number: W) {
        match (&mut *self, number.try_into()) {
            (Column::Narrow(all), Ok(narrow)) => all[i] = narrow,
            (Column::Wide(all), _) => all[i] = number,
            (Column::Narrow(_), Err(_)) => self.widen()[i] = number,
        }
    }

    /// Takes memory for so many more numbers.
    pub fn reserve(&mut self, more: usize) {
        match self {
            Column::Narrow(all) => all.reserve(more),
            Column::Wide(all) => all.reserve(more),
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn widen(&mut self) -> &mut Vec<W> {
        if let Column::Narrow(all) = self {
            let mut wide = Vec::with_capacity(all.capacity());
            wide.extend(all.iter().map(|n| (*n).into()));
            *self = Column::Wide(wide);
        }
        match self {
            Column::Wide(all) => all,
            Column::Narrow(_) => unreachable!("it was made wide"),
        }
    }
}

/// Times, each as its distance to the first one of its block.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    first: Vec<u64>,
    since: Vec<u32>,
    /// Those that lie before the first one of their block, or too far behind it.
    far: FastMap<u32, u64>,
}

/// So many times follow one that is stored whole: about as many as fit into 4.2 s of most runs.
const BLOCK: usize = 64;
/// Instead of this distance and greater ones; in tests some are that far.
const FAR: u32 = if cfg!(any(test, feature = "testing")) { 20_000_000 } else { u32::MAX };

impl Times {
    #[inline]
    pub(super) fn get(&self, i: usize) -> u64 {
        match self.since[i] {
            FAR => self.far[&(i as u32)],
            since => self.first[i / BLOCK] + u64::from(since),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, time: u64) {
        let i = self.since.len();
        if i.is_multiple_of(BLOCK) {
            self.first.push(time);
        }
        match u32::try_from(time.wrapping_sub(self.first[i / BLOCK])) {
            Ok(since) if since < FAR => self.since.push(since),
            _ => {
                self.since.push(FAR);
                self.far.insert(i as u32, time);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.since.len()
    }

    pub(super) fn reserve(&mut self, more: usize) {
        self.first.reserve(more.div_ceil(BLOCK));
        self.since.reserve(more);
    }
}

/// The other half of each operation, as the distance to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Partners {
    /// 0 where there is none.
    distance: Vec<u16>,
    far: FastMap<u32, u32>,
}

/// Instead of this distance and greater ones; in tests some are that far.
const FAR_PARTNER: u16 = if cfg!(any(test, feature = "testing")) { 9 } else { u16::MAX };

impl Partners {
    /// How far the invocation of event `i` stands before it, or its completion behind it.
    #[inline]
    pub(super) fn distance(&self, i: usize) -> Option<usize> {
        match self.distance[i] {
            0 => None,
            FAR_PARTNER => Some(self.far[&(i as u32)] as usize),
            distance => Some(usize::from(distance)),
        }
    }

    /// One more event, which has no other half, or completes an operation.
    #[inline]
    pub(super) fn push(&mut self, invocation: Option<u32>) {
        let i = self.distance.len();
        self.distance.push(0);
        if let Some(invocation) = invocation {
            let distance = i as u32 - invocation;
            let short = distance.min(u32::from(FAR_PARTNER)) as u16;
            (self.distance[i], self.distance[invocation as usize]) = (short, short);
            if short == FAR_PARTNER {
                self.far.extend([(i as u32, distance), (invocation, distance)]);
            }
        }
    }

    pub(super) fn reserve(&mut self, more: usize) {
        self.distance.reserve(more);
    }
}

/// The kind and the phase of an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tag(u8);

impl Tag {
    #[inline]
    pub(super) fn new(kind: Kind, phase: Phase) -> Tag {
        Tag(phase as u8 * 4 + kind as u8)
    }

    #[inline]
    pub(super) fn kind(self) -> Kind {
        match self.0 % 4 {
            0 => Kind::Invoke,
            1 => Kind::Ok,
            2 => Kind::Fail,
            _ => Kind::Info,
        }
    }

    #[inline]
    pub(super) fn phase(self) -> Phase {
        Phase::ALL[usize::from(self.0 / 4)]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn columns_hold_what_was_put_into_them(
            numbers in prop::collection::vec(
                prop_oneof![20 => 0u32..70_000, 1 => any::<u32>()], 0..50),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>()), 0..5),
        ) {
            let (mut column, mut all) = (Column::<u16, u32>::zeros(1), vec![0]);
            all.extend(numbers);
            all[1..].iter().for_each(|n| column.push(*n));
            for (at, number) in changes {
                let at = at.index(all.len());
                all[at] = number;
                column.set(at, number);
            }
            all.push(0);
            column.reach(all.len());
            column.reach(1);
            prop_assert_eq!(column.len(), all.len());
            prop_assert_eq!((0..all.len()).map(|i| column.get(i)).collect::<Vec<_>>(), all);
        }

        #[test]
        fn times_are_what_they_were(
            steps in prop::collection::vec(prop_oneof![
                20 => 0u64..1_000_000,
                1 => (u64::from(FAR) - 3)..(u64::from(FAR) + 3),
                1 => (u64::from(u32::MAX) - 3)..(u64::from(u32::MAX) + 3),
                1 => any::<u64>(),
            ], 0..300),
        ) {
            let (mut times, mut all, mut now) = (Times::default(), Vec::new(), 0u64);
            for step in steps {
                now = now.wrapping_add(step);
                times.push(now);
                all.push(now);
            }
            prop_assert_eq!(times.len(), all.len());
            prop_assert_eq!((0..all.len()).map(|i| times.get(i)).collect::<Vec<_>>(), all);
        }
    }

    #[test]
    fn partners_are_found_near_and_far() {
        let near = u32::from(FAR_PARTNER);
        let mut partners = Partners::default();
        // Distances just below, at and above what fits.
        (0..near + 1).for_each(|_| partners.push(None));
        for invocation in [2, 1, 0] {
            partners.push(Some(invocation));
        }
        partners.push(None);
        assert_eq!([3, near, near + 4].map(|i| partners.distance(i as usize)), [None; 3]);
        for (invocation, completion) in [(2, near + 1), (1, near + 2), (0, near + 3)] {
            let distance = Some((completion - invocation) as usize);
            let both = [invocation, completion].map(|i| partners.distance(i as usize));
            assert_eq!(both, [distance; 2]);
        }
    }

    #[test]
    fn tags_are_a_kind_and_a_phase() {
        for kind in [Kind::Invoke, Kind::Ok, Kind::Fail, Kind::Info] {
            for phase in Phase::ALL {
                let tag = Tag::new(kind, phase);
                assert_eq!((tag.kind(), tag.phase()), (kind, phase));
            }
        }
    }
}
