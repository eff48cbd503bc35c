//! The switch with its threads, between devices that are sockets, on a clock that is moved by hand.

use super::*;
use crate::link::Link;
use crate::packet::address;
use crate::pipeline::{Decision, Packet, Until};
use crate::recorder::{Outcome, Reason};
use crate::rules::latency::Latencies;
use crate::rules::watch::{Fate, Sighting};
use fuzz_dist_clock::Manual;
use fuzz_dist_env::Latency;
use fuzz_dist_random::Seed;
use fuzz_dist_sys::device::VNET_HEADER_LEN;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::time::{Duration, Instant};

const N1: HostId = HostId::new(0);
const N2: HostId = HostId::new(1);
const MS: Duration = Duration::from_millis(1);
/// Limit of every wait.
const LIMIT: Duration = Duration::from_secs(60);

/// A switch and what the hosts have of their devices.
struct Net {
    manual: Manual,
    switch: Switch,
    hosts: [OwnedFd; 2],
}

fn net() -> Net {
    net_that_heals(Heal::Natural)
}

fn net_that_heals(heal: Heal) -> Net {
    let manual = Manual::new();
    let switch = Switch::new(heal, None, manual.clock()).unwrap();
    let hosts = [N1, N2].map(|host| {
        let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
        let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, flags, None).unwrap();
        switch.plug(host, theirs).unwrap();
        ours
    });
    Net { manual, switch, hosts }
}

impl Net {
    fn send(&self, (from, to): Link, byte: u8) {
        let mut frame = vec![0; VNET_HEADER_LEN + 20];
        frame[VNET_HEADER_LEN] = 0x45;
        frame[VNET_HEADER_LEN + 16..].copy_from_slice(&address(to.index()).octets());
        frame.push(byte);
        rustix::io::write(&self.hosts[from.index()], &frame).unwrap();
    }

    /// Sends a TCP segment with this byte of data.
    fn send_segment(&self, (from, to): Link, byte: u8) {
        let mut frame = crate::tcp::tests::frame((4000, 5000), 0, 0x18, &[byte]);
        frame[VNET_HEADER_LEN + 16..][..4].copy_from_slice(&address(to.index()).octets());
        rustix::io::write(&self.hosts[from.index()], &frame).unwrap();
    }

    /// Waits for a frame.
    fn receive(&self, at: HostId) -> u8 {
        let mut frame = [0; 100];
        let mut ends = [PollFd::new(&self.hosts[at.index()], PollFlags::IN)];
        let ready = poll(&mut ends, Some(&Timespec { tv_sec: LIMIT.as_secs() as i64, tv_nsec: 0 }));
        assert_eq!(ready, Ok(1), "no frame arrives");
        let length = rustix::io::read(&self.hosts[at.index()], &mut frame).unwrap();
        frame[length - 1]
    }

    fn latency(&self, low: Duration, high: Duration) -> Arc<Latencies> {
        let rule = Arc::new(Latencies::drawn(Latency { seed: Seed(1), low, high }));
        self.switch.install(Stage::Latency, Some(Arc::clone(&rule) as _)).unwrap();
        rule
    }

    /// Waits until so many packets wait or have an outcome.
    fn settle(&self, sent: u64) {
        let read = || {
            // In this order, or one that goes on meanwhile would be counted twice.
            let recorded = self.switch.recording().packets.len() as u64;
            recorded + self.switch.shared.delays.waiting()
        };
        let started = Instant::now();
        while read() < sent {
            assert!(started.elapsed() < LIMIT, "{} of {sent} packets", read());
            std::thread::yield_now();
        }
    }

    fn outcomes(&self) -> Vec<(u64, Outcome)> {
        let packets = self.switch.recording().packets;
        packets.iter().map(|packet| (packet.at_ns, packet.outcome)).collect()
    }
}

#[test]
fn a_packet_arrives_when_its_latency_is_over() {
    let net = net();
    let started = net.manual.clock().reading_ns();
    let latency = net.latency(5 * MS, 9 * MS);
    let (there, back) = (latency.of((N1, N2)), latency.of((N2, N1)));
    net.send((N1, N2), 7);
    net.settle(1);
    net.manual.advance(Duration::from_nanos(there - 1));
    net.send((N2, N1), 8);
    net.settle(2);
    assert!(net.outcomes().is_empty(), "nothing has arrived yet");
    net.manual.advance(Duration::from_nanos(1));
    assert_eq!(net.receive(N2), 7);
    net.manual.advance(Duration::from_nanos(back));
    assert_eq!(net.receive(N1), 8);
    net.settle(2);
    let times = [started + there, started + there + back];
    assert_eq!(net.outcomes(), times.map(|at_ns| (at_ns, Outcome::Delivered)));
}

#[test]
fn latency_is_undone_at_once_with_nothing_lost_and_in_order() {
    let net = net();
    net.latency(5 * MS, 5 * MS);
    (0..20).for_each(|byte| net.send((N1, N2), byte));
    net.settle(20);
    net.switch.install(Stage::Latency, None).unwrap();
    net.send((N1, N2), 20);
    let arrived: Vec<u8> = (0..21).map(|_| net.receive(N2)).collect();
    assert_eq!(arrived, (0..21).collect::<Vec<u8>>());
}

#[test]
fn a_cut_drops_what_is_on_its_way() {
    let net = net();
    net.latency(5 * MS, 5 * MS);
    net.send((N1, N2), 1);
    net.send((N2, N1), 2);
    net.settle(2);
    let mut links = LinkMatrix::default();
    links.cut(N1, N2);
    net.switch.set_links(&links).unwrap();
    net.manual.advance(5 * MS);
    assert_eq!(net.receive(N1), 2);
    net.settle(2);
    let count = net.switch.counters().get(N1, N2);
    assert_eq!((count.delivered_packets, count.dropped_packets), (0, 1));
    assert!(net.outcomes().iter().any(|(_, o)| *o == Outcome::Dropped(Reason::Link)));
}

/// Delays a packet by the milliseconds that its last byte says.
struct AsItSays;

impl Rule for AsItSays {
    fn links(&self) -> LinkSet {
        LinkSet::all()
    }

    fn decide(&self, packet: &Packet<'_>) -> Decision {
        let ms = u64::from(packet.frame.last().copied().unwrap_or_default());
        Decision::Delay(Until::At(packet.at_ns + ms * 1_000_000))
    }
}

/// The thread of delayed packets is woken by a packet that is due before the one that it waits for.
#[test]
fn delays_that_differ_reorder() {
    let net = net();
    net.switch.install(Stage::Latency, Some(Arc::new(AsItSays))).unwrap();
    [30, 10, 20, 0].into_iter().for_each(|byte| net.send((N1, N2), byte));
    assert_eq!(net.receive(N2), 0);
    net.settle(4);
    for byte in [10, 20, 30] {
        net.manual.advance(10 * MS);
        assert_eq!(net.receive(N2), byte);
    }
}

/// A watcher that loses everything.
struct Loses;

impl Watcher for Loses {
    fn see(&self, _: Sighting<'_>) -> Fate {
        Fate::Drop
    }
}

/// Where heals are prompt, what a watcher dropped does not go past it when another cut ends, and is delivered
/// once the watcher is gone. The recorder has each outcome.
#[test]
fn a_heal_delivers_nothing_past_a_watcher() {
    let net = net_that_heals(Heal::Prompt);
    net.switch.watch([(N1, N2)].into_iter().collect(), Some(Arc::new(Loses))).unwrap();
    net.send_segment((N1, N2), 7);
    net.settle(1);
    net.switch.set_links(&LinkMatrix::default()).unwrap();
    let count = || {
        let count = net.switch.counters().get(N1, N2);
        (count.delivered_packets, count.dropped_packets)
    };
    assert_eq!(count(), (0, 2));
    net.switch.watch(std::iter::empty().collect(), None).unwrap();
    assert_eq!(net.receive(N2), 7);
    assert_eq!(count(), (1, 2));
    let outcomes: Vec<Outcome> = net.outcomes().into_iter().map(|(_, outcome)| outcome).collect();
    let dropped = Outcome::Dropped(Reason::Watcher);
    assert_eq!(outcomes, [dropped, dropped, Outcome::Delivered]);
}
