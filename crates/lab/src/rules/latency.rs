//! The latency of links: every packet of a directed link waits for the same time, which is drawn from the
//! seed.

use crate::link::{Link, LinkSet};
use crate::packet::HOSTS_MAX;
use crate::pipeline::{Decision, Packet, Rule, Until};
use crate::tcp::Segment;
use fuzz_dist_env::Latency;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Constant latencies of all links that a lab can have, so that hosts that join have theirs, too.
pub(crate) struct Latencies(Box<[Way]>);

struct Way {
    latency_ns: u64,
    /// When the last packet on it is due.
    last_ns: AtomicU64,
}

impl Latencies {
    /// A latency for each directed link: a function of the seed and the link alone.
    pub(crate) fn drawn(latency: Latency) -> Latencies {
        let mut stream = latency.seed.stream("latency");
        let mut draw = || {
            let drawn = stream.duration(latency.low, latency.high);
            let latency_ns = u64::try_from(drawn.as_nanos()).unwrap_or(u64::MAX);
            Way { latency_ns, last_ns: AtomicU64::new(0) }
        };
        Latencies((0..HOSTS_MAX * HOSTS_MAX).map(|_| draw()).collect())
    }

    /// The latency of a link in nanoseconds.
    pub(crate) fn of(&self, link: Link) -> u64 {
        self.way(link).latency_ns
    }

    fn way(&self, (from, to): Link) -> &Way {
        &self.0[from.index() * HOSTS_MAX + to.index()]
    }

    /// When a packet that comes now is due: after those before it, each at an instant of its own, so that its
    /// receiver has dealt with the former one where time stands still meanwhile.
    fn due(&self, link: Link, now_ns: u64) -> u64 {
        let arrives_ns = now_ns.saturating_add(self.of(link));
        let after = |last_ns: u64| arrives_ns.max(last_ns.saturating_add(1));
        let before = self.way(link).last_ns.fetch_update(SeqCst, SeqCst, |last| Some(after(last)));
        before.map_or(arrives_ns, after)
    }
}

impl Rule for Latencies {
    fn links(&self) -> LinkSet {
        LinkSet::all()
    }

    fn decide(&self, packet: &Packet<'_>) -> Decision {
        // No program sees an acknowledgement. It goes on at once, so that half of the packets need no instant.
        if packet.segment().is_some_and(Segment::is_empty) {
            return Decision::Pass;
        }
        Decision::Delay(Until::At(self.due(packet.link, packet.at_ns)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::tests::frame;
    use fuzz_dist_env::HostId;
    use fuzz_dist_random::Seed;
    use std::time::Duration;

    const LINK: Link = (HostId::new(0), HostId::new(1));

    fn drawn(seed: u64) -> Latencies {
        let (low, high) = (Duration::from_millis(3), Duration::from_millis(5));
        Latencies::drawn(Latency { seed: Seed(seed), low, high })
    }

    #[test]
    fn latencies_are_those_of_the_seed_and_differ_by_link_and_direction() {
        let of = |seed| drawn(seed).0.iter().map(|way| way.latency_ns).collect::<Vec<_>>();
        let one = of(1);
        assert_eq!(one, of(1));
        assert_ne!(one, of(2));
        assert!(one.iter().all(|ns| (3_000_000..=5_000_000).contains(ns)));
        let rule = drawn(1);
        assert_ne!(rule.of(LINK), rule.of((LINK.1, LINK.0)));
    }

    #[test]
    fn packets_of_one_instant_are_due_in_their_order_each_at_its_own() {
        let rule = drawn(1);
        let latency = rule.of(LINK);
        let at = |now_ns| rule.decide(&Packet::new(LINK, 0, now_ns, &[]));
        for (now, due) in [(7, 7), (7, 8), (7, 9), (8, 10), (20, 20)] {
            assert_eq!(at(now), Decision::Delay(Until::At(due + latency)), "{now}");
        }
    }

    #[test]
    fn acknowledgements_without_data_are_not_delayed() {
        let rule = drawn(1);
        let decide = |flags, payload| {
            rule.decide(&Packet::new(LINK, 0, 7, &frame((7, 8), 1, flags, payload)))
        };
        assert_eq!(decide(0x10, b""), Decision::Pass);
        let (data, syn, fin, reset) =
            ((0x10, &b"a"[..]), (2, &b""[..]), (0x11, &b""[..]), (4, &b""[..]));
        for (flags, payload) in [data, syn, fin, reset] {
            assert!(matches!(decide(flags, payload), Decision::Delay(_)), "{flags}");
        }
    }
}
