//! A hook that sees the packets of chosen links and decides on each.

use fuzz_dist_env::HostId;

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
