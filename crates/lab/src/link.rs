//! Directed links between hosts, and sets of them.

use super::packet::HOSTS_MAX;
use fuzz_dist_env::HostId;

/// A direction between two hosts.
pub(super) type Link = (HostId, HostId);

/// One direction of a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flow {
    pub(super) link: Link,
    pub(super) ports: (u16, u16),
}

/// A set of directed links: a row of bits for every sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LinkSet(Box<[u128; HOSTS_MAX]>);

impl Default for LinkSet {
    fn default() -> Self {
        LinkSet(Box::new([0; HOSTS_MAX]))
    }
}

impl LinkSet {
    /// Every link that a lab can have.
    pub(super) fn all() -> Self {
        LinkSet(Box::new([u128::MAX; HOSTS_MAX]))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|row| *row == 0)
    }

    #[inline]
    pub(super) fn contains(&self, (from, to): Link) -> bool {
        self.0[from.index()] >> to.index() & 1 == 1
    }

    /// Adds the links of another set.
    pub(super) fn add(&mut self, other: &LinkSet) {
        self.0.iter_mut().zip(&*other.0).for_each(|(row, other)| *row |= other);
    }
}

impl FromIterator<Link> for LinkSet {
    fn from_iter<I: IntoIterator<Item = Link>>(links: I) -> Self {
        let mut set = LinkSet::default();
        for (from, to) in links {
            if from.index() < HOSTS_MAX && to.index() < HOSTS_MAX {
                set.0[from.index()] |= 1 << to.index();
            }
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_set_has_exactly_the_links_that_were_added(
            one in prop::collection::btree_set((0..20_u16, 0..20_u16), 0..60),
            other in prop::collection::btree_set((0..20_u16, 0..20_u16), 0..60),
        ) {
            let link = |(from, to): &(u16, u16)| (HostId::new(*from), HostId::new(*to));
            let mut set: LinkSet = one.iter().map(link).collect();
            set.add(&other.iter().map(link).collect());
            prop_assert_eq!(set.is_empty(), one.is_empty() && other.is_empty());
            let both: BTreeSet<_> = one.union(&other).copied().collect();
            for pair in (0..20).flat_map(|from| (0..20).map(move |to| (from, to))) {
                prop_assert_eq!(set.contains(link(&pair)), both.contains(&pair));
                prop_assert!(LinkSet::all().contains(link(&pair)));
            }
        }
    }

    #[test]
    fn hosts_that_no_lab_has_are_in_no_set() {
        let (first, none) = (HostId::new(0), HostId::new(HOSTS_MAX as u16));
        assert!([(first, none), (none, first)].into_iter().collect::<LinkSet>().is_empty());
        let last = HostId::new(HOSTS_MAX as u16 - 1);
        assert!([(last, first)].into_iter().collect::<LinkSet>().contains((last, first)));
    }
}
