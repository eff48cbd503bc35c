//! The latency of links: every packet of a directed link waits for the same time, which is drawn from the
//! seed.

use crate::link::{Link, LinkSet};
use crate::packet::HOSTS_MAX;
use crate::pipeline::{Decision, Packet, Rule, Until};
use fuzz_dist_random::Seed;
use std::time::Duration;

/// Constant latencies of all links that a lab can have, so that hosts that join have theirs, too.
pub(crate) struct Latency(Box<[u64]>);

impl Latency {
    /// A latency between the two for each directed link: a function of the seed and the link alone.
    pub(crate) fn drawn(seed: Seed, low: Duration, high: Duration) -> Latency {
        let mut stream = seed.stream("latency");
        let mut draw = || {
            let drawn = stream.duration(low, high);
            u64::try_from(drawn.as_nanos()).unwrap_or(u64::MAX)
        };
        Latency((0..HOSTS_MAX * HOSTS_MAX).map(|_| draw()).collect())
    }

    /// The latency of a link in nanoseconds.
    pub(crate) fn of(&self, (from, to): Link) -> u64 {
        self.0[from.index() * HOSTS_MAX + to.index()]
    }
}

impl Rule for Latency {
    fn links(&self) -> LinkSet {
        LinkSet::all()
    }

    fn decide(&self, packet: &Packet<'_>) -> Decision {
        Decision::Delay(Until::At(packet.at_ns.saturating_add(self.of(packet.link))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fuzz_dist_env::HostId;

    #[test]
    fn latencies_are_those_of_the_seed_and_differ_by_link_and_direction() {
        let (low, high) = (Duration::from_millis(3), Duration::from_millis(5));
        let drawn = |seed| Latency::drawn(Seed(seed), low, high);
        let (one, again, other) = (drawn(1), drawn(1), drawn(2));
        assert_eq!(one.0, again.0);
        assert_ne!(one.0, other.0);
        assert!(one.0.iter().all(|ns| (3_000_000..=5_000_000).contains(ns)));
        let (n1, n2) = (HostId::new(0), HostId::new(1));
        assert_ne!(one.of((n1, n2)), one.of((n2, n1)));
        let packet = Packet::new((n1, n2), 0, 7, &[]);
        assert_eq!(one.decide(&packet), Decision::Delay(Until::At(7 + one.of((n1, n2)))));
    }
}
