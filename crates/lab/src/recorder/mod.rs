//! The one recorder of what became of packets: counters of every link, the last packets, and, where
//! heals are prompt, the segments that were dropped.

mod counters;
mod kept;
mod ring;

use super::link::Link;
use super::packet;
use counters::Counters;
use fuzz_dist_env::{Heal, HostId, LinkCounters};
use kept::Kept;
use ring::Ring;

/// Why a packet was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The matrix of links cuts its link.
    Link,
    /// A [`Watcher`](super::Watcher) decided so.
    Watcher,
    /// The action of a trigger cuts its link.
    Trigger,
    /// A trigger waits on its link, and what comes before it in its stream has not been seen yet.
    Gap,
    /// Too much waits on its link.
    Full,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Its receiver's device took it.
    Delivered,
    /// Its receiver's device refused it, or is gone.
    Failed,
    /// It was dropped.
    Dropped(Reason),
}

/// A packet whose outcome is known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// When the switch read it, or, if it had to wait, when it went on: a reading of the lab's clock in
    /// nanoseconds.
    pub at_ns: u64,
    /// Who sent it.
    pub from: HostId,
    /// Who should receive it.
    pub to: HostId,
    /// What became of it.
    pub outcome: Outcome,
    /// Its length in bytes, with the IP header.
    pub length: usize,
    /// Its first bytes, at most 104: the headers and the beginning of the data.
    pub beginning: Vec<u8>,
}

/// The last packets of a lab.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recording {
    /// In the order of their times; at most [`Recording::PACKETS_MAX`].
    pub packets: Vec<Recorded>,
    /// How many more there have been, which are forgotten.
    pub forgotten: u64,
}

impl Recording {
    /// The number of packets that a lab remembers.
    pub const PACKETS_MAX: usize = ring::PACKETS_MAX;
}

pub(super) struct Recorder {
    counters: Counters,
    ring: Ring,
    /// Where heals are prompt.
    kept: Option<Kept>,
}

impl Recorder {
    pub(super) fn new(heal: Heal) -> Recorder {
        let kept = (heal == Heal::Prompt).then(Kept::default);
        Recorder { counters: Counters::new(), ring: Ring::new(ring::PACKETS_MAX), kept }
    }

    /// The number of the packet that comes now on a link, counted from 0.
    #[inline]
    pub(super) fn next_packet(&self, link: Link) -> u64 {
        self.counters.link(link).next_packet()
    }

    /// Records the outcome of a frame.
    pub(super) fn record(&self, link: Link, at_ns: u64, frame: &[u8], outcome: Outcome) {
        let (counter, packet) = (self.counters.link(link), packet::ip(frame));
        match outcome {
            Outcome::Delivered => counter.delivered(packet.len()),
            Outcome::Failed => counter.failed(),
            Outcome::Dropped(_) => {
                counter.dropped();
                if let Some(kept) = &self.kept {
                    kept.keep(link, frame);
                }
            }
        }
        self.ring.put(link, at_ns, outcome, packet);
    }

    /// Where heals are prompt: the segments that were dropped on links that are open now; it is forgotten.
    pub(super) fn take_dropped(&self, open: impl Fn(Link) -> bool) -> Vec<(Link, Vec<u8>)> {
        self.kept.as_ref().map(|kept| kept.take(open)).unwrap_or_default()
    }

    /// The counters of all links among the first `hosts` hosts.
    pub(super) fn counters(&self, hosts: usize) -> LinkCounters {
        self.counters.snapshot(hosts)
    }

    /// The last packets.
    pub(super) fn recording(&self) -> Recording {
        self.ring.read()
    }
}
