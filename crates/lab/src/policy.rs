//! What the switch does with a packet: one value that is replaced as a whole.
//!
//! A decision is a pure function of the policy, the link and the packet's number on that link, so
//! that the same traffic meets the same fate. Rules that draw lots (loss, corruption) will draw
//! them from (seed, link, number) and never from a generator that links share.

use super::packet::HOSTS_MAX;
use fuzz_dist_env::{HostId, LinkMatrix};

/// A set of directed links: a row of bits for every sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LinkSet(Box<[u128; HOSTS_MAX]>);

impl Default for LinkSet {
    fn default() -> Self {
        LinkSet(Box::new([0; HOSTS_MAX]))
    }
}

impl LinkSet {
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|row| *row == 0)
    }

    pub(super) fn contains(&self, from: usize, to: usize) -> bool {
        self.0[from] >> to & 1 == 1
    }
}

impl FromIterator<(HostId, HostId)> for LinkSet {
    fn from_iter<I: IntoIterator<Item = (HostId, HostId)>>(links: I) -> Self {
        let mut set = LinkSet::default();
        for (from, to) in links {
            if from.index() < HOSTS_MAX && to.index() < HOSTS_MAX {
                set.0[from.index()] |= 1 << to.index();
            }
        }
        set
    }
}

/// The fate of one packet on one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Deliver,
    Drop,
    /// The watcher decides.
    Show,
}

/// The rules in force on all links.
#[derive(Clone, Debug, Default)]
pub(super) struct Policy {
    cut: LinkSet,
    watched: LinkSet,
}

impl Policy {
    pub(super) fn new(links: &LinkMatrix, watched: &LinkSet) -> Self {
        Policy { cut: links.cuts().collect(), watched: watched.clone() }
    }

    pub(super) fn decide(&self, from: usize, to: usize) -> Decision {
        if self.cut.contains(from, to) {
            Decision::Drop
        } else if self.watched.contains(from, to) {
            Decision::Show
        } else {
            Decision::Deliver
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn exactly_the_links_of_the_matrix_are_cut(
            cuts in prop::collection::btree_set((0..20_u16, 0..20_u16), 0..60),
        ) {
            let mut links = LinkMatrix::default();
            for (from, to) in &cuts {
                links.cut(HostId::new(*from), HostId::new(*to));
            }
            let policy = Policy::new(&links, &LinkSet::default());
            for from in 0..20 {
                for to in 0..20 {
                    let cut = from != to && cuts.contains(&(from, to));
                    let decision = policy.decide(from.into(), to.into());
                    prop_assert_eq!(decision == Decision::Drop, cut);
                }
            }
        }
    }

    #[test]
    fn a_cut_goes_before_a_watcher() {
        let (a, b) = (HostId::new(0), HostId::new(127));
        let mut links = LinkMatrix::default();
        links.cut(a, b);
        let watched = [(a, b), (b, a)].into_iter().collect();
        let policy = Policy::new(&links, &watched);
        assert_eq!(policy.decide(0, 127), Decision::Drop);
        assert_eq!(policy.decide(127, 0), Decision::Show);
    }
}
