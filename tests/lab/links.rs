//! The network: cuts, counters, watchers, and large transfers.

use super::support::*;
use fuzz_dist::env::{Environment, HostId, Latency, LinkControl, LinkMatrix};
use fuzz_dist::lab::{Fate, Lab, Outcome, Reason, Recorded, Sighting, Watcher};
use fuzz_dist::random::Seed;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;

pub(crate) const TESTS: &[Test] = &[
    ("a_cut_stops_tcp_and_heals", a_cut_stops_tcp_and_heals),
    ("a_cut_acts_in_one_direction", a_cut_acts_in_one_direction),
    ("nothing_passes_after_a_cut_has_returned", nothing_passes_after_a_cut_has_returned),
    ("large_segments_pass_whole", large_segments_pass_whole),
    ("multicast_reaches_everybody", multicast_reaches_everybody),
    ("a_watcher_sees_and_drops", a_watcher_sees_and_drops),
    ("a_refused_connection_and_a_late_one", a_refused_connection_and_a_late_one),
    ("packets_are_recorded_with_their_outcomes", packets_are_recorded_with_their_outcomes),
    ("latency_delays_a_round_trip_and_is_undone", latency_delays_a_round_trip_and_is_undone),
];

async fn udp(lab: &Lab, host: HostId) -> UdpSocket {
    lab.bind_udp(host, at(lab, host, 7001)).await.unwrap()
}

fn cut(links: &[(HostId, HostId)]) -> LinkMatrix {
    let mut matrix = LinkMatrix::default();
    links.iter().for_each(|(from, to)| matrix.cut(*from, *to));
    matrix
}

fn a_cut_stops_tcp_and_heals() {
    with_lab(3, async |lab| {
        let (mut near, mut far) = connected(&lab, N1, N2).await;
        let mut byte = [0];
        near.write_all(b"1").await.unwrap();
        far.read_exact(&mut byte).await.unwrap();
        let mut links = LinkMatrix::default();
        links.cut_both(N1, N2);
        lab.set_links(&links).await.unwrap();
        assert_eq!(lab.matrix(), links);
        let before = lab.counters();
        near.write_all(b"2").await.unwrap();
        // The first try and a retransmission are lost.
        eventually("lost packets", async || {
            lab.counters().since(&before).get(N1, N2).dropped_packets >= 2
        })
        .await;
        let count = lab.counters().since(&before).get(N1, N2);
        assert_eq!((count.delivered_packets, count.delivered_bytes), (0, 0));
        assert!(far.try_read(&mut byte).is_err(), "a byte came through a cut");
        // The third host is not concerned.
        let (mut other, mut end) = connected(&lab, N3, N1).await;
        other.write_all(b"3").await.unwrap();
        end.read_exact(&mut byte).await.unwrap();
        lab.set_links(&LinkMatrix::default()).await.unwrap();
        tokio::time::timeout(LIMIT, far.read_exact(&mut byte)).await.unwrap().unwrap();
        assert_eq!(&byte, b"2");
    });
}

fn a_cut_acts_in_one_direction() {
    with_lab(2, async |lab| {
        let (one, two) = (udp(&lab, N1).await, udp(&lab, N2).await);
        lab.set_links(&cut(&[(N2, N1)])).await.unwrap();
        let before = lab.counters();
        let mut buffer = [0; 10];
        two.send_to(b"lost", at(&lab, N1, 7001)).await.unwrap();
        one.send_to(b"came", at(&lab, N2, 7001)).await.unwrap();
        let (length, from) = two.recv_from(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..length], from), (&b"came"[..], at(&lab, N1, 7001)));
        eventually("the drop", async || {
            lab.counters().since(&before).get(N2, N1).dropped_packets == 1
        })
        .await;
        assert_eq!(lab.counters().since(&before).get(N1, N2).dropped_packets, 0);
        lab.set_links(&LinkMatrix::default()).await.unwrap();
        two.send_to(b"healed", at(&lab, N1, 7001)).await.unwrap();
        // Were the lost one delayed only, it would come first.
        let (length, _) = one.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"healed");
    });
}

fn nothing_passes_after_a_cut_has_returned() {
    with_lab(2, async |lab| {
        let (one, _two) = (udp(&lab, N1).await, udp(&lab, N2).await);
        let (to, stop) = (at(&lab, N2, 7001), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let sender = std::thread::spawn(move || {
            let one = one.into_std().unwrap();
            while !stopped.load(SeqCst) {
                let _ = one.send_to(&[7; 100], to);
            }
        });
        let delivered = || lab.counters().get(N1, N2).delivered_packets;
        let dropped = || lab.counters().get(N1, N2).dropped_packets;
        for _ in 0..200 {
            lab.set_links(&LinkMatrix::default()).await.unwrap();
            let open = delivered();
            eventually("traffic", async || delivered() > open + 5).await;
            lab.set_links(&cut(&[(N1, N2)])).await.unwrap();
            let (cut, drops) = (delivered(), dropped());
            eventually("drops", async || dropped() > drops + 5).await;
            assert_eq!(delivered(), cut, "a packet passed after the cut had returned");
        }
        stop.store(true, SeqCst);
        sender.join().unwrap();
    });
}

fn large_segments_pass_whole() {
    const LENGTH: usize = 64 << 20;
    with_lab(2, async |lab| {
        let (mut near, mut far) = connected(&lab, N1, N2).await;
        let before = lab.counters();
        let sending = tokio::spawn(async move {
            let (mut hash, mut state) = (DefaultHasher::new(), 1_u64);
            let mut block = vec![0; 1 << 18];
            for _ in 0..LENGTH / block.len() {
                for byte in &mut block {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    *byte = (state >> 56) as u8;
                }
                hash.write(&block);
                near.write_all(&block).await.unwrap();
            }
            hash.finish()
        });
        let (mut hash, mut length, mut block) = (DefaultHasher::new(), 0, vec![0; 1 << 18]);
        while length < LENGTH {
            far.read_exact(&mut block).await.unwrap();
            length += block.len();
            hash.write(&block);
        }
        assert_eq!(sending.await.unwrap(), hash.finish());
        let count = lab.counters().since(&before).get(N1, N2);
        let average = count.delivered_bytes / count.delivered_packets;
        assert!(average > 3000, "segments of {average} bytes: they are not passed on whole");
    });
}

fn multicast_reaches_everybody() {
    with_lab(3, async |lab| {
        let group = std::net::Ipv4Addr::new(230, 1, 1, 251);
        let sockets = [
            lab.bind_udp(N1, "0.0.0.0:7002".parse().unwrap()).await.unwrap(),
            lab.bind_udp(N2, "0.0.0.0:7002".parse().unwrap()).await.unwrap(),
            lab.bind_udp(N3, "0.0.0.0:7002".parse().unwrap()).await.unwrap(),
        ];
        for socket in &sockets {
            socket.join_multicast_v4(group, std::net::Ipv4Addr::UNSPECIFIED).unwrap();
        }
        lab.set_links(&cut(&[(N1, N3)])).await.unwrap();
        sockets[0].send_to(b"all", (group, 7002)).await.unwrap();
        let mut buffer = [0; 10];
        sockets[1].recv_from(&mut buffer).await.unwrap();
        eventually("the drop", async || lab.counters().get(N1, N3).dropped_packets >= 1).await;
        assert!(sockets[2].try_recv_from(&mut buffer).is_err());
    });
}

/// Drops everything from its n-th sighting on.
struct CutAt {
    sightings: AtomicU64,
    at: u64,
}

impl Watcher for CutAt {
    fn see(&self, sighting: Sighting<'_>) -> Fate {
        assert_eq!((sighting.from, sighting.to, sighting.packet[0]), (N1, N2, 0x45));
        let seen = self.sightings.fetch_add(1, SeqCst);
        if seen >= self.at { Fate::Drop } else { Fate::Deliver }
    }
}

fn a_watcher_sees_and_drops() {
    with_lab(2, async |lab| {
        let (one, two) = (udp(&lab, N1).await, udp(&lab, N2).await);
        let watcher = Arc::new(CutAt { sightings: AtomicU64::new(0), at: 2 });
        lab.watch([(N1, N2)], watcher.clone()).unwrap();
        for number in 0..5_u8 {
            one.send_to(&[number], at(&lab, N2, 7001)).await.unwrap();
        }
        eventually("sightings", async || watcher.sightings.load(SeqCst) == 5).await;
        lab.unwatch().unwrap();
        one.send_to(&[5], at(&lab, N2, 7001)).await.unwrap();
        let mut got = Vec::new();
        while got.last() != Some(&5) {
            let mut byte = [0];
            two.recv_from(&mut byte).await.unwrap();
            got.push(byte[0]);
        }
        assert_eq!(got, [0, 1, 5]);
        assert_eq!(lab.counters().get(N1, N2).dropped_packets, 3);
    });
}

fn a_refused_connection_and_a_late_one() {
    with_lab(2, async |lab| {
        let refused = lab.connect(N1, at(&lab, N2, 9), LIMIT).await.unwrap_err();
        assert!(refused.to_string().contains("refused"), "{refused}");
        lab.set_links(&cut(&[(N1, N2)])).await.unwrap();
        let late = lab.connect(N1, at(&lab, N2, 9), Duration::from_millis(50)).await.unwrap_err();
        assert!(matches!(late, fuzz_dist::env::Error::TimedOut { .. }), "{late}");
    });
}

fn packets_are_recorded_with_their_outcomes() {
    with_lab(2, async |lab| {
        let (one, two) = (udp(&lab, N1).await, udp(&lab, N2).await);
        lab.set_links(&cut(&[(N2, N1)])).await.unwrap();
        one.send_to(b"came", at(&lab, N2, 7001)).await.unwrap();
        two.send_to(b"lost", at(&lab, N1, 7001)).await.unwrap();
        let with = |end: &[u8]| {
            let packets = lab.recording().packets;
            packets.into_iter().find(|packet| packet.beginning.ends_with(end))
        };
        eventually("both packets", async || with(b"came").and(with(b"lost")).is_some()).await;
        let shown = |packet: Recorded| (packet.from, packet.to, packet.outcome, packet.length);
        // The headers of IP and UDP, and the data.
        let length = 20 + 8 + 4;
        let (came, lost) = (with(b"came").unwrap(), with(b"lost").unwrap());
        assert_eq!(shown(came), (N1, N2, Outcome::Delivered, length));
        assert_eq!(shown(lost), (N2, N1, Outcome::Dropped(Reason::Link), length));
        let recording = lab.recording();
        assert_eq!(recording.forgotten, 0);
        assert!(recording.packets.is_sorted_by_key(|packet| packet.at_ns));
    });
}

fn latency_delays_a_round_trip_and_is_undone() {
    const LATENCY: Duration = Duration::from_millis(40);
    with_lab(2, async |lab| {
        let (mut near, mut far) = connected(&lab, N1, N2).await;
        near.set_nodelay(true).unwrap();
        far.set_nodelay(true).unwrap();
        let mut round_trip = async || {
            let (started, mut byte) = (Instant::now(), [0]);
            near.write_all(b"1").await.unwrap();
            far.read_exact(&mut byte).await.unwrap();
            far.write_all(b"2").await.unwrap();
            near.read_exact(&mut byte).await.unwrap();
            started.elapsed()
        };
        lab.set_latency(Some(Latency { seed: Seed(1), low: LATENCY, high: 2 * LATENCY })).unwrap();
        for _ in 0..3 {
            let took = round_trip().await;
            assert!(took >= 2 * LATENCY, "a round trip took {took:?}");
        }
        lab.set_latency(None).unwrap();
        eventually("a fast round trip", async || round_trip().await < LATENCY).await;
    });
}
