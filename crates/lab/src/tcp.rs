//! The little of TCP that the switch has to know: whose segment it is, where in its stream it lies,
//! and how to cut one in two.

use super::packet;
use fuzz_dist_sys::device::VNET_HEADER_LEN;
use std::ops::Range;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;

/// One TCP segment within a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    frame: &'a [u8],
    /// The port that it comes from and the one that it goes to.
    pub(super) ports: (u16, u16),
    /// The number of its first byte.
    pub(super) sequence: u32,
    flags: u8,
    /// The lengths of the headers of IP and of TCP.
    headers: (usize, usize),
    /// Its data.
    pub(super) payload: &'a [u8],
}

impl<'a> Segment<'a> {
    /// The segment in a frame, if it is a whole one over IPv4.
    pub(super) fn of(frame: &'a [u8]) -> Option<Segment<'a>> {
        let ip = packet::ip(frame);
        let fragment = u16::from_be_bytes([*ip.get(6)?, *ip.get(7)?]) & 0x3fff;
        if ip[0] >> 4 != 4 || *ip.get(9)? != 6 || fragment != 0 {
            return None;
        }
        let ip_header = usize::from(ip[0] & 15) * 4;
        let length = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
        let tcp = ip.get(ip_header..length)?;
        let tcp_header = usize::from(tcp.get(12)? >> 4) * 4;
        if ip_header < 20 || tcp_header < 20 {
            return None;
        }
        let payload = tcp.get(tcp_header..)?;
        Some(Segment {
            frame,
            ports: (u16::from_be_bytes([tcp[0], tcp[1]]), u16::from_be_bytes([tcp[2], tcp[3]])),
            sequence: u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]),
            flags: tcp[13],
            headers: (ip_header, tcp_header),
            payload,
        })
    }

    /// Begins a connection.
    pub(super) fn is_syn(&self) -> bool {
        self.flags & SYN != 0
    }

    /// Ends a connection at once.
    pub(super) fn is_reset(&self) -> bool {
        self.flags & RST != 0
    }

    /// The number after its last byte; the beginning and the end of a stream count as one each.
    pub(super) fn end(&self) -> u32 {
        let edges = u32::from(self.flags & SYN != 0) + u32::from(self.flags & FIN != 0);
        self.sequence.wrapping_add(self.payload.len() as u32).wrapping_add(edges)
    }

    /// Nothing but an acknowledgement.
    pub(super) fn is_empty(&self) -> bool {
        self.payload.is_empty() && self.flags & (SYN | FIN | RST) == 0
    }

    /// A frame with only these bytes of the data. An empty range leaves an acknowledgement.
    pub(super) fn part(&self, range: Range<usize>) -> Vec<u8> {
        let (ip_header, tcp_header) = self.headers;
        let headers = VNET_HEADER_LEN + ip_header + tcp_header;
        let mut frame = Vec::with_capacity(headers + range.len());
        frame.extend_from_slice(&self.frame[..headers]);
        frame.extend_from_slice(&self.payload[range.clone()]);

        let length = (ip_header + tcp_header + range.len()) as u16;
        let (virtio, packet) = frame.split_at_mut(VNET_HEADER_LEN);
        let (ip, tcp) = packet.split_at_mut(ip_header);
        ip[2..4].copy_from_slice(&length.to_be_bytes());
        ip[10..12].fill(0);
        let sum = !fold(sum_of(ip));
        ip[10..12].copy_from_slice(&sum.to_be_bytes());

        let sequence = self.sequence.wrapping_add(range.start as u32);
        tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
        if range.end < self.payload.len() {
            tcp[13] &= !(FIN | PSH);
        }
        // Of the checksum only the part that covers the addresses is there; the receiver's system
        // takes the rest as done. It is what frames of the hosts look like, too.
        let pseudo = sum_of(&ip[12..20]) + 6 + u32::from(length - ip_header as u16);
        tcp[16..18].copy_from_slice(&fold(pseudo).to_be_bytes());

        // struct virtio_net_hdr: flags, kind of segmentation, length of headers, length of
        // segments, start and place of the checksum; numbers in this machine's order.
        let segment = usize::from(u16::from_ne_bytes([virtio[4], virtio[5]]));
        virtio[0] = 1;
        if range.len() <= segment || segment == 0 {
            virtio[1] = 0;
            virtio[4..6].fill(0);
        }
        virtio[2..4].copy_from_slice(&((ip_header + tcp_header) as u16).to_ne_bytes());
        virtio[6..8].copy_from_slice(&(ip_header as u16).to_ne_bytes());
        virtio[8..10].copy_from_slice(&16_u16.to_ne_bytes());
        frame
    }
}

/// The sum of 16-bit words; an odd byte counts as the upper half of one.
fn sum_of(bytes: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    bytes.chunks(2).map(word).sum()
}

fn fold(sum: u32) -> u16 {
    let mut sum = sum;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A frame with this data, as a host's system makes it.
    pub(crate) fn frame(ports: (u16, u16), sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; VNET_HEADER_LEN + 40];
        let ip = &mut frame[VNET_HEADER_LEN..];
        ip[0] = 0x45;
        ip[2..4].copy_from_slice(&(40 + payload.len() as u16).to_be_bytes());
        ip[9] = 6;
        ip[12..20].copy_from_slice(&[10, 77, 0, 1, 10, 77, 0, 2]);
        ip[20..22].copy_from_slice(&ports.0.to_be_bytes());
        ip[22..24].copy_from_slice(&ports.1.to_be_bytes());
        ip[24..28].copy_from_slice(&sequence.to_be_bytes());
        ip[32] = 5 << 4;
        ip[33] = flags;
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn a_segment_is_read() {
        let frame = frame((7, 8), 99, 0x18, b"abc");
        let segment = Segment::of(&frame).unwrap();
        assert_eq!((segment.ports, segment.sequence, segment.payload), ((7, 8), 99, &b"abc"[..]));
        assert!(!segment.is_syn() && !segment.is_empty());
    }

    #[test]
    fn cut_short_or_foreign_frames_are_no_segments() {
        let whole = frame((7, 8), 99, 0x18, b"abc");
        for length in 0..whole.len() {
            assert!(Segment::of(&whole[..length]).is_none(), "{length}");
        }
        for (at, value) in [(0, 0x65), (9, 17), (6, 0x20), (7, 1), (0, 0x44)] {
            let mut other = whole.clone();
            other[VNET_HEADER_LEN + at] = value;
            assert!(Segment::of(&other).is_none(), "{at}");
        }
        // Reserved, and "do not fragment": of one piece.
        let mut whole = whole;
        whole[VNET_HEADER_LEN + 6] = 0x40;
        assert!(Segment::of(&whole).is_some());
    }

    #[test]
    fn parts_make_the_whole() {
        let mut whole = frame((7, 8), u32::MAX, 0x19, b"abcdef");
        // A large segment of pieces of 4 bytes.
        whole[1] = 1;
        whole[4..6].copy_from_slice(&4_u16.to_ne_bytes());
        let segment = Segment::of(&whole).unwrap();
        let (first, second) = (segment.part(0..2), segment.part(2..6));
        let (first, second) = (Segment::of(&first).unwrap(), Segment::of(&second).unwrap());
        assert_eq!((first.sequence, second.sequence), (u32::MAX, 1));
        assert_eq!([first.payload, second.payload].concat(), segment.payload);
        assert_eq!((first.flags & FIN, second.flags & FIN), (0, FIN), "the end is at the end");
        assert_eq!(first.frame[1], 0);
        let none = segment.part(0..0);
        assert!(Segment::of(&none).unwrap().is_empty());
    }

    #[test]
    fn sums_are_those_of_rfc_1071() {
        assert_eq!(fold(sum_of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), 0xddf2);
        assert_eq!(fold(sum_of(&[1])), 0x100);
    }
}
