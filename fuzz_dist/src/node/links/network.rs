//! The state of the network: the partitions that act, and the order in which it changed.

use crate::env::{HostId, LinkMatrix};
use crate::grudge::Grudge;

use super::Link;

/// What acts on the network. Each change of what is cut begins a new epoch.
#[derive(Debug)]
pub(super) struct Network {
    /// Nodes that there ever were.
    n: usize,
    /// A partition that was added twice acts until it was removed twice.
    partitions: Vec<Grudge>,
    /// What triggers on the wire cut, as it was seen last, and the number of its last change.
    triggers: (Grudge, u64),
    /// All of it together.
    cut: Grudge,
    epoch: u64,
    /// The last epoch whose matrix the environment has taken.
    installed: u64,
    /// When each directed link was cut or opened, at `from * n + to`.
    changed: Vec<u64>,
}

impl Network {
    pub(super) fn new(n: usize) -> Network {
        Network {
            n,
            partitions: Vec::new(),
            triggers: (Grudge::none(n), 0),
            cut: Grudge::none(n),
            epoch: 0,
            installed: 0,
            changed: vec![0; n * n],
        }
    }

    /// There are so many nodes now; the links of new ones are open.
    pub(super) fn grow(&mut self, n: usize) {
        let former = self.n;
        if n <= former {
            return;
        }
        let mut changed = vec![0; n * n];
        for (from, to) in links(former) {
            changed[from * n + to] = self.changed[from * former + to];
        }
        (self.n, self.changed) = (n, changed);
        self.cut = Grudge::none(n).union(&self.cut);
    }

    pub(super) fn add(&mut self, partition: &Grudge) {
        self.partitions.push(partition.clone());
        self.recount();
    }

    pub(super) fn remove(&mut self, partition: &Grudge) {
        if let Some(at) = self.partitions.iter().position(|p| p == partition) {
            self.partitions.swap_remove(at);
            self.recount();
        }
    }

    pub(super) fn clear(&mut self) {
        self.partitions.clear();
        self.recount();
    }

    /// Takes up what triggers cut now; `changes` counts how often that has changed.
    pub(super) fn observe(&mut self, triggers: impl FnOnce() -> Grudge, changes: u64) {
        let missed = changes.saturating_sub(self.triggers.1);
        if missed == 0 {
            return;
        }
        let installed = self.is_installed();
        self.triggers = (triggers(), changes);
        self.recount();
        if missed > 1 {
            // A link may have been cut and opened again between two looks; nobody knows which.
            self.epoch += 1;
            self.changed.fill(self.epoch);
        }
        if installed {
            self.installed = self.epoch;
        }
    }

    fn recount(&mut self) {
        let n = self.n;
        let cut = Grudge::none(n).union(&self.triggers.0);
        let cut = self.partitions.iter().fold(cut, Grudge::union);
        if cut == self.cut {
            return;
        }
        self.epoch += 1;
        for (from, to) in links(n) {
            if cut.drops(to, from) != self.cut.drops(to, from) {
                self.changed[from * n + to] = self.epoch;
            }
        }
        self.cut = cut;
    }

    /// Is what acts in force?
    pub(super) fn is_installed(&self) -> bool {
        self.installed == self.epoch
    }

    /// What the environment has to install, and the epoch that this belongs to.
    pub(super) fn wanted(&self, host: impl Fn(usize) -> HostId) -> (LinkMatrix, u64) {
        let mut matrix = LinkMatrix::default();
        let none = Grudge::none(self.n);
        let partitions = self.partitions.iter().fold(none, Grudge::union);
        partitions.cuts().for_each(|(from, to)| matrix.cut(host(from), host(to)));
        (matrix, self.epoch)
    }

    pub(super) fn has_installed(&mut self, epoch: u64) {
        self.installed = self.installed.max(epoch);
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn installed(&self) -> u64 {
        self.installed
    }

    pub(super) fn cut(&self) -> &Grudge {
        &self.cut
    }

    /// The epoch in which this link was cut or opened.
    pub(super) fn changed(&self, (from, to): Link) -> u64 {
        self.changed[from * self.n + to]
    }
}

/// All directed links among `n` nodes.
pub(super) fn links(n: usize) -> impl Iterator<Item = Link> {
    (0..n).flat_map(move |from| (0..n).map(move |to| (from, to))).filter(|(from, to)| from != to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(network: &mut Network) {
        let epoch = network.epoch();
        network.has_installed(epoch);
    }

    #[test]
    fn overlapping_partitions_change_only_what_no_other_cuts() {
        let mut network = Network::new(3);
        let (one, both) = (Grudge::none(3).cut(0, 1), Grudge::none(3).cut_both(0, 1));
        network.add(&one);
        network.add(&both);
        assert_eq!((network.epoch(), network.changed((0, 1)), network.changed((1, 0))), (2, 1, 2));
        network.remove(&both);
        assert_eq!(network.cut(), &one);
        assert_eq!((network.changed((0, 1)), network.changed((1, 0))), (1, 3));
        network.remove(&both);
        assert_eq!(network.epoch(), 3, "one that does not act is none to end");
    }

    #[test]
    fn a_change_is_installed_once_its_own_epoch_is() {
        let mut network = Network::new(2);
        let grudge = Grudge::none(2).cut(0, 1);
        network.add(&grudge);
        let (_, former) = network.wanted(|i| HostId::new(i as u16));
        network.remove(&grudge);
        network.has_installed(former);
        assert!(!network.is_installed(), "what was installed is the former matrix");
        install(&mut network);
        assert!(network.is_installed());
    }

    #[test]
    fn links_of_nodes_that_join_are_open_and_others_stay_as_they_were() {
        let mut network = Network::new(2);
        let old = Grudge::none(2).cut_both(0, 1);
        network.add(&old);
        network.grow(3);
        assert_eq!((network.epoch(), network.changed((0, 1)), network.changed((0, 2))), (1, 1, 0));
        assert_eq!(network.cut(), &Grudge::none(3).cut_both(0, 1));
        network.add(&Grudge::none(3).cut(2, 0));
        assert_eq!((network.changed((1, 0)), network.changed((2, 0))), (1, 2));
        network.remove(&old);
        assert_eq!(network.cut().cuts().collect::<Vec<_>>(), [(2, 0)]);
    }

    #[test]
    fn what_triggers_cut_is_no_part_of_the_matrix() {
        let mut network = Network::new(2);
        network.observe(|| Grudge::none(2).cut(1, 0), 1);
        let (matrix, _) = network.wanted(|i| HostId::new(i as u16));
        assert!(matrix.is_open() && network.cut().drops(0, 1) && network.is_installed());
        assert_eq!((network.changed((1, 0)), network.changed((0, 1))), (1, 0));
        network.observe(|| panic!("looked at although nothing has changed"), 1);
        // Cut and opened between two looks: whatever was seen meanwhile is void.
        network.observe(|| Grudge::none(2).cut(1, 0), 3);
        assert_eq!(network.changed((0, 1)), network.epoch());
    }
}
