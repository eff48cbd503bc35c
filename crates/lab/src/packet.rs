//! The little that the switch has to know of a frame: a virtio header, then an IP packet.

use fuzz_dist_sys::device::VNET_HEADER_LEN;
use std::net::Ipv4Addr;

/// The largest frame: an IP packet of 64 KB behind the virtio header.
pub(super) const FRAME_MAX: usize = VNET_HEADER_LEN + 65_536;

/// The most hosts that a lab ever has: the bits of a row of a set of links.
pub(super) const HOSTS_MAX: usize = 128;

/// All hosts' network.
const NETWORK: [u8; 3] = [10, 77, 0];

/// The network mask.
pub(super) const MASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);

/// Whom a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    Host(usize),
    /// Every other host (multicast, broadcast).
    All,
    /// Nobody in this lab.
    Nobody,
}

/// The address of the host with this index.
pub(super) fn address(index: usize) -> Ipv4Addr {
    let [a, b, c] = NETWORK;
    Ipv4Addr::new(a, b, c, u8::try_from(index + 1).unwrap_or(u8::MAX))
}

/// The IP packet within a frame.
pub(super) fn ip(frame: &[u8]) -> &[u8] {
    frame.get(VNET_HEADER_LEN..).unwrap_or_default()
}

/// Reads whom an IP packet is for. Who sent it is known from the port that it came through, and
/// not from what it says of itself.
pub(super) fn destination(packet: &[u8]) -> To {
    let [version, to @ ..] = packet else { return To::Nobody };
    // Bytes 16 to 19 of the header; the first has been taken off.
    let (4, Some(&[a, b, c, d])) =
        (version >> 4, to.get(15..19).and_then(|to| to.first_chunk::<4>()))
    else {
        return To::Nobody;
    };
    match d {
        _ if (224..240).contains(&a) => To::All,
        255 if a == 255 || [a, b, c] == NETWORK => To::All,
        1.. if [a, b, c] == NETWORK && usize::from(d) <= HOSTS_MAX => To::Host(usize::from(d) - 1),
        _ => To::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet_to(to: [u8; 4]) -> Vec<u8> {
        let mut packet = vec![0; 20];
        packet[0] = 0x45;
        packet[16..20].copy_from_slice(&to);
        packet
    }

    #[test]
    fn every_host_is_found_by_its_own_address() {
        for index in 0..HOSTS_MAX {
            assert_eq!(destination(&packet_to(address(index).octets())), To::Host(index));
        }
    }

    #[test]
    fn other_destinations() {
        for (to, expected) in [
            ([224, 0, 0, 251], To::All),
            ([239, 1, 2, 3], To::All),
            ([10, 77, 0, 255], To::All),
            ([255, 255, 255, 255], To::All),
            ([10, 77, 0, 0], To::Nobody),
            ([10, 77, 0, 200], To::Nobody),
            ([10, 77, 1, 1], To::Nobody),
            ([8, 8, 8, 8], To::Nobody),
        ] {
            assert_eq!(destination(&packet_to(to)), expected, "{to:?}");
        }
    }

    #[test]
    fn what_is_no_ipv4_packet_is_for_nobody() {
        assert_eq!(destination(&[]), To::Nobody);
        assert_eq!(destination(&[0x45; 19]), To::Nobody);
        let mut six = packet_to([10, 77, 0, 1]);
        six[0] = 0x60;
        assert_eq!(destination(&six), To::Nobody);
    }
}
