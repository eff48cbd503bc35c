//! Datagrams between the nodes' hosts: one socket in each host's network, one datagram for each link.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::{Inner, Link};
use crate::clock::Clock;
use crate::node::Node;

/// So many sockets all proofs together may have open: each costs a file descriptor, and an
/// ordinary user has about a thousand.
pub(super) const SOCKETS_MAX: usize = 128;

/// The longest that a host may take to make a socket, or a socket to take a datagram.
const SOCKET_LIMIT: Duration = Duration::from_secs(1);

/// The sockets of one proof. A node whose host makes none has none, and its links are silent.
pub(super) struct Probes {
    sockets: Vec<Option<(UdpSocket, SocketAddr)>>,
    clock: Clock,
    /// Of this proof alone: sockets of former ones may have had the same ports.
    number: u64,
}

/// A datagram's number of the proof, round, sender and receiver.
type Datagram = [u8; 16];

impl Probes {
    /// Sockets for these nodes, at the places of their ids.
    pub(super) async fn open(links: &Inner, nodes: &[Option<Node>]) -> Probes {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut opening = JoinSet::new();
        for (place, node) in nodes.iter().enumerate() {
            let Some(node) = node else { continue };
            let (env, clock, host) = (links.env.clone(), links.clock.clone(), node.host());
            let on = SocketAddr::new(node.address(), 0);
            opening.spawn(async move {
                let bound = clock.timeout(SOCKET_LIMIT, env.bind_udp(host, on)).await;
                let socket = bound.ok()?.ok()?;
                let address = socket.local_addr().ok()?;
                Some((place, socket, address))
            });
        }
        let mut sockets: Vec<_> = nodes.iter().map(|_| None).collect();
        while let Some(opened) = opening.join_next().await {
            if let Ok(Some((place, socket, address))) = opened {
                sockets[place] = Some((socket, address));
            }
        }
        Probes { sockets, clock: links.clock.clone(), number: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// Sends a datagram over each of these links.
    pub(super) async fn send(&self, round: u32, links: impl IntoIterator<Item = Link>) {
        for (from, to) in links {
            let (Some((socket, _)), Some((_, address))) = (&self.sockets[from], &self.sockets[to])
            else {
                continue;
            };
            let datagram = self.datagram(round, (from, to));
            // One that was not sent does not arrive, and is seen by that.
            let _ = self.clock.timeout(SOCKET_LIMIT, socket.send_to(&datagram, address)).await;
        }
    }

    fn datagram(&self, round: u32, (from, to): Link) -> Datagram {
        let mut datagram = [0; 16];
        datagram[..8].copy_from_slice(&self.number.to_be_bytes());
        datagram[8..12].copy_from_slice(&round.to_be_bytes());
        datagram[12..14].copy_from_slice(&(from as u16).to_be_bytes());
        datagram[14..].copy_from_slice(&(to as u16).to_be_bytes());
        datagram
    }

    /// Everything that has arrived by now, with its round.
    pub(super) fn arrived(&self) -> Vec<(u32, Link)> {
        let mut arrived = Vec::new();
        let mut buffer = [0; 64];
        for (to, socket) in self.sockets.iter().enumerate() {
            let Some((socket, _)) = socket else { continue };
            while let Ok((length, _)) = socket.try_recv_from(&mut buffer) {
                arrived.extend(self.parse(to, &buffer[..length]));
            }
        }
        arrived
    }

    /// The round and link of a datagram of this proof that came to its own receiver.
    fn parse(&self, to: usize, datagram: &[u8]) -> Option<(u32, Link)> {
        let datagram: Datagram = datagram.try_into().ok()?;
        let number = |range: std::ops::Range<usize>| {
            datagram[range].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let (round, from) = (number(8..12), number(12..14) as usize);
        let mine = number(0..8) == self.number && number(14..16) as usize == to;
        (mine && from < self.sockets.len()).then_some((round as u32, (from, to)))
    }
}
