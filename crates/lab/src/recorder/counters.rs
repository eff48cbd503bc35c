//! What every directed link carried, counted by the switch's threads.

use crate::link::Link;
use crate::packet::HOSTS_MAX;
use fuzz_dist_env::{HostId, LinkCount, LinkCounters};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One link's counters, on a cache line of its own: the other direction is another thread's.
#[repr(align(64))]
#[derive(Default)]
pub(super) struct Counter {
    delivered_packets: AtomicU64,
    delivered_bytes: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    seen: AtomicU64,
}

/// The counters of all links that a lab can have.
pub(super) struct Counters(Box<[Counter]>);

impl Counters {
    pub(super) fn new() -> Self {
        Counters((0..HOSTS_MAX * HOSTS_MAX).map(|_| Counter::default()).collect())
    }

    #[inline]
    pub(super) fn link(&self, (from, to): Link) -> &Counter {
        &self.0[from.index() * HOSTS_MAX + to.index()]
    }

    /// All links among the first `hosts` hosts.
    pub(super) fn snapshot(&self, hosts: usize) -> LinkCounters {
        let ids = || (0..hosts as u16).map(HostId::new);
        ids()
            .flat_map(|from| ids().map(move |to| (from, to)))
            .map(|(from, to)| ((from, to), self.link((from, to)).read()))
            .collect()
    }
}

impl Counter {
    /// The number of the packet that comes now, counted from 0: what decisions are made of.
    pub(super) fn next_packet(&self) -> u64 {
        self.seen.fetch_add(1, Relaxed)
    }

    pub(super) fn delivered(&self, bytes: usize) {
        self.delivered_packets.fetch_add(1, Relaxed);
        self.delivered_bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn dropped(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    fn read(&self) -> LinkCount {
        LinkCount {
            delivered_packets: self.delivered_packets.load(Relaxed),
            delivered_bytes: self.delivered_bytes.load(Relaxed),
            dropped_packets: self.dropped.load(Relaxed),
            failed_packets: self.failed.load(Relaxed),
        }
    }
}
