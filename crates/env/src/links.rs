//! The desired state of all directed links between hosts, and what they carried.

use super::HostId;
use std::collections::{BTreeMap, BTreeSet};

/// The state that all links shall have: declarative, so that healing is setting an empty matrix.
///
/// Links are directed and named by host, never by address. Rules that shape a link (delay, loss,
/// corruption) will stand beside the cuts.
///
/// ```
/// use fuzz_dist_env::{HostId, LinkMatrix};
///
/// let (a, b) = (HostId::new(0), HostId::new(1));
/// let mut links = LinkMatrix::default();
/// links.cut(a, b);
/// assert!(links.is_cut(a, b) && !links.is_cut(b, a));
/// links.clear();
/// assert!(links.is_open());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkMatrix {
    cut: BTreeSet<(HostId, HostId)>,
}

impl LinkMatrix {
    /// Cuts one direction: what `from` sends does not reach `to`. A host's link to itself is its
    /// loopback and cannot be cut: it is ignored.
    pub fn cut(&mut self, from: HostId, to: HostId) {
        if from != to {
            self.cut.insert((from, to));
        }
    }

    /// Cuts both directions.
    pub fn cut_both(&mut self, one: HostId, other: HostId) {
        self.cut(one, other);
        self.cut(other, one);
    }

    /// Opens one direction.
    pub fn open(&mut self, from: HostId, to: HostId) {
        self.cut.remove(&(from, to));
    }

    /// Opens everything.
    pub fn clear(&mut self) {
        self.cut.clear();
    }

    /// Whether this direction is cut.
    pub fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.cut.contains(&(from, to))
    }

    /// Whether nothing is cut.
    pub fn is_open(&self) -> bool {
        self.cut.is_empty()
    }

    /// The directions that are cut, in order.
    pub fn cuts(&self) -> impl Iterator<Item = (HostId, HostId)> + '_ {
        self.cut.iter().copied()
    }
}

/// How TCP goes on when a link is open again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Heal {
    /// As on any network: with the sender's next retransmission, which comes up to the cut's
    /// length later.
    #[default]
    Natural,
    /// At once: the segments that the cut dropped are sent again when their link is open again, each once, and no
    /// sender has to wait for its retransmission. Watchers and triggers see them as any others.
    Prompt,
}

impl Heal {
    /// The word for it: `natural`, `prompt`.
    pub fn as_str(self) -> &'static str {
        match self {
            Heal::Natural => "natural",
            Heal::Prompt => "prompt",
        }
    }
}

/// What one directed link carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCount {
    /// Packets given to the receiver. A segment of up to 64 KB that was passed on as a whole
    /// counts once.
    pub delivered_packets: u64,
    /// Bytes of these packets, with IP headers.
    pub delivered_bytes: u64,
    /// Packets dropped by a cut or by a watcher.
    pub dropped_packets: u64,
    /// Packets that the receiver's system refused or that found no receiver.
    pub failed_packets: u64,
}

/// A snapshot of what every directed link carried since its hosts were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    counts: BTreeMap<(HostId, HostId), LinkCount>,
}

impl LinkCounters {
    /// What one link carried; zeros for a link that carried nothing.
    pub fn get(&self, from: HostId, to: HostId) -> LinkCount {
        self.counts.get(&(from, to)).copied().unwrap_or_default()
    }

    /// All links that carried or dropped something, in order.
    pub fn iter(&self) -> impl Iterator<Item = ((HostId, HostId), LinkCount)> + '_ {
        self.counts.iter().map(|(link, count)| (*link, *count))
    }

    /// What happened between an earlier snapshot and this one.
    #[must_use]
    pub fn since(&self, earlier: &LinkCounters) -> LinkCounters {
        self.iter()
            .map(|((from, to), now)| {
                let then = earlier.get(from, to);
                let count = LinkCount {
                    delivered_packets: now.delivered_packets - then.delivered_packets,
                    delivered_bytes: now.delivered_bytes - then.delivered_bytes,
                    dropped_packets: now.dropped_packets - then.dropped_packets,
                    failed_packets: now.failed_packets - then.failed_packets,
                };
                ((from, to), count)
            })
            .collect()
    }
}

impl FromIterator<((HostId, HostId), LinkCount)> for LinkCounters {
    fn from_iter<I: IntoIterator<Item = ((HostId, HostId), LinkCount)>>(counts: I) -> Self {
        let zero = LinkCount::default();
        LinkCounters { counts: counts.into_iter().filter(|(_, count)| *count != zero).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: HostId = HostId::new(0);
    const B: HostId = HostId::new(1);

    #[test]
    fn cuts_are_directed_and_undone_one_by_one() {
        let mut links = LinkMatrix::default();
        links.cut_both(A, B);
        links.open(A, B);
        assert_eq!(links.cuts().collect::<Vec<_>>(), [(B, A)]);
    }

    #[test]
    fn a_host_keeps_its_loopback() {
        let mut links = LinkMatrix::default();
        links.cut(A, A);
        assert!(links.is_open());
    }

    #[test]
    fn counters_are_compared_by_link() {
        let count = |dropped_packets| LinkCount { dropped_packets, ..LinkCount::default() };
        let earlier: LinkCounters = [((A, B), count(2)), ((B, A), count(1))].into_iter().collect();
        let later: LinkCounters = [((A, B), count(5)), ((B, A), count(1))].into_iter().collect();
        assert_eq!(later.since(&earlier).iter().collect::<Vec<_>>(), [((A, B), count(3))]);
    }
}
