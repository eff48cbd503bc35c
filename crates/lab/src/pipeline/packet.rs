//! What rules see: a packet between two hosts.

use crate::link::Link;
use crate::packet;
use crate::tcp::Segment;
use std::cell::OnceCell;

/// A packet on its way.
#[derive(Debug)]
pub(crate) struct Packet<'a> {
    /// Who sends it, and who would receive it.
    pub(crate) link: Link,
    /// Its number on this link, counted from 0: what rules that draw lots draw them from.
    pub(crate) number: u64,
    /// When it came, or went on: a reading of the lab's clock in nanoseconds.
    pub(crate) at_ns: u64,
    /// A virtio header, then the IP packet. Several TCP segments of one flow may come as one.
    pub(crate) frame: &'a [u8],
    segment: OnceCell<Option<Segment<'a>>>,
}

impl<'a> Packet<'a> {
    pub(crate) fn new(link: Link, number: u64, at_ns: u64, frame: &'a [u8]) -> Self {
        Packet { link, number, at_ns, frame, segment: OnceCell::new() }
    }

    /// The same with another frame.
    pub(crate) fn with<'b>(&self, frame: &'b [u8]) -> Packet<'b> {
        Packet::new(self.link, self.number, self.at_ns, frame)
    }

    /// The IP packet.
    pub(crate) fn ip(&self) -> &'a [u8] {
        packet::ip(self.frame)
    }

    /// The TCP segment, if it is one; read once, for all rules.
    pub(crate) fn segment(&self) -> Option<&Segment<'a>> {
        self.segment.get_or_init(|| Segment::of(self.frame)).as_ref()
    }
}
