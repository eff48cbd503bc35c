//! The matrix of links: what a link that is cut carries is dropped.

use crate::link::{Link, LinkSet};
use crate::pipeline::{Decision, Packet, Rule};
use crate::recorder::Reason;
use fuzz_dist_env::LinkMatrix;

#[derive(Debug)]
pub(crate) struct Cuts(LinkSet);

impl Cuts {
    pub(crate) fn new(links: &LinkMatrix) -> Cuts {
        Cuts(links.cuts().collect())
    }
}

impl Rule for Cuts {
    fn links(&self) -> LinkSet {
        self.0.clone()
    }

    fn decide(&self, _: &Packet<'_>) -> Decision {
        Decision::Drop(Reason::Link)
    }

    fn cut(&self, link: Link) -> Option<Reason> {
        self.0.contains(link).then_some(Reason::Link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fuzz_dist_env::HostId;
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
            let rule = Cuts::new(&links);
            for (from, to) in (0..20).flat_map(|from| (0..20).map(move |to| (from, to))) {
                let link = (HostId::new(from), HostId::new(to));
                let cut = from != to && cuts.contains(&(from, to));
                prop_assert_eq!(rule.links().contains(link), cut);
                prop_assert_eq!(rule.cut(link).is_some(), cut);
            }
        }
    }
}
