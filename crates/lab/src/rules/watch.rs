//! A hook that sees the packets of chosen links and decides on each.

use crate::link::LinkSet;
use crate::pipeline::{Decision, Packet, Rule};
use crate::recorder::Reason;
use fuzz_dist_env::HostId;
use std::sync::Arc;

/// One packet on its way over a watched link.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// Who sends it.
    pub from: HostId,
    /// Who would receive it.
    pub to: HostId,
    /// The packet's number on this link, counted from 0.
    pub number: u64,
    /// The IP packet. Several TCP segments of one flow may come as one, of up to 64 KB, and its
    /// checksums may be left to the receiver.
    pub packet: &'a [u8],
}

/// What becomes of a packet that a [`Watcher`] has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It goes on.
    Deliver,
    /// It is lost.
    Drop,
}

/// Sees every packet of the links that it watches, before it is delivered: a cut can be placed
/// exactly at what is seen, by dropping everything from there on.
///
/// It is called by the switch's threads, one per sending host, possibly at the same time, and
/// holds up its link while it decides.
pub trait Watcher: Send + Sync {
    /// Decides on one packet.
    fn see(&self, sighting: Sighting<'_>) -> Fate;
}

/// The rule that asks a watcher about the packets of its links.
pub(crate) struct Watch {
    links: LinkSet,
    watcher: Arc<dyn Watcher>,
}

impl Watch {
    pub(crate) fn new(links: LinkSet, watcher: Arc<dyn Watcher>) -> Watch {
        Watch { links, watcher }
    }
}

impl Rule for Watch {
    fn links(&self) -> LinkSet {
        self.links.clone()
    }

    fn decide(&self, packet: &Packet<'_>) -> Decision {
        let ((from, to), number) = (packet.link, packet.number);
        match self.watcher.see(Sighting { from, to, number, packet: packet.ip() }) {
            Fate::Deliver => Decision::Pass,
            Fate::Drop => Decision::Drop(Reason::Watcher),
        }
    }
}
