//! The last packets, recorded without locks: whoever records waits for nobody, and allocates nothing.

use super::{Outcome, Reason, Recorded, Recording};
use crate::link::Link;
use fuzz_dist_env::HostId;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};

/// The number of packets that are remembered; 128 bytes each.
pub(super) const PACKETS_MAX: usize = 1 << 13;

/// The words of 8 bytes that are kept of a packet.
const WORDS: usize = 13;

/// Outcomes by their number.
const OUTCOMES: [Outcome; 7] = [
    Outcome::Delivered,
    Outcome::Failed,
    Outcome::Dropped(Reason::Link),
    Outcome::Dropped(Reason::Watcher),
    Outcome::Dropped(Reason::Trigger),
    Outcome::Dropped(Reason::Gap),
    Outcome::Dropped(Reason::Full),
];

const fn number(outcome: Outcome) -> u64 {
    match outcome {
        Outcome::Delivered => 0,
        Outcome::Failed => 1,
        Outcome::Dropped(Reason::Link) => 2,
        Outcome::Dropped(Reason::Watcher) => 3,
        Outcome::Dropped(Reason::Trigger) => 4,
        Outcome::Dropped(Reason::Gap) => 5,
        Outcome::Dropped(Reason::Full) => 6,
    }
}

/// One packet, which one thread writes while others read.
#[repr(align(128))]
#[derive(Default)]
struct Slot {
    /// `2t + 1` while packet `t` is written, `2t + 2` once it is there.
    state: AtomicU64,
    at_ns: AtomicU64,
    /// Sender (16 bits), receiver (16), outcome (8), length (24), from the lowest bit on.
    about: AtomicU64,
    words: [AtomicU64; WORDS],
}

pub(super) struct Ring {
    slots: Box<[Slot]>,
    /// Packets ever recorded.
    count: Count,
}

/// On cache lines of its own, since every packet of every thread changes it.
#[repr(align(128))]
#[derive(Default)]
struct Count(AtomicU64);

impl Ring {
    /// One that remembers so many packets.
    pub(super) fn new(packets: usize) -> Ring {
        Ring { slots: (0..packets).map(|_| Slot::default()).collect(), count: Count::default() }
    }

    pub(super) fn put(&self, link: Link, at_ns: u64, outcome: Outcome, packet: &[u8]) {
        let number_of = self.count.0.fetch_add(1, Relaxed);
        let slot = &self.slots[(number_of % self.slots.len() as u64) as usize];
        let (writing, written) = (2 * number_of + 1, 2 * number_of + 2);
        let before = slot.state.load(Relaxed);
        // A thread that was suspended for a whole round of the ring: one of both packets is forgotten.
        if before % 2 == 1 || before > writing {
            return;
        }
        if slot.state.compare_exchange(before, writing, Acquire, Relaxed).is_err() {
            return;
        }
        // Whoever reads a word from below finds the state changed.
        fence(Release);
        let about = link.0.index() as u64
            | (link.1.index() as u64) << 16
            | number(outcome) << 32
            | (packet.len() as u64) << 40;
        slot.at_ns.store(at_ns, Relaxed);
        slot.about.store(about, Relaxed);
        let (words, rest) = packet.as_chunks::<8>();
        for (word, bytes) in slot.words.iter().zip(words) {
            word.store(u64::from_le_bytes(*bytes), Relaxed);
        }
        if let Some(word) = slot.words.get(words.len()) {
            let mut bytes = [0; 8];
            bytes[..rest.len()].copy_from_slice(rest);
            word.store(u64::from_le_bytes(bytes), Relaxed);
        }
        slot.state.store(written, Release);
    }

    pub(super) fn read(&self) -> Recording {
        let mut found: Vec<(u64, Recorded)> = self.slots.iter().filter_map(Slot::read).collect();
        // Counted after they were read: none of them is missing in the count.
        let count = self.count.0.load(Acquire);
        found.sort_by_key(|(number, packet)| (packet.at_ns, *number));
        let packets: Vec<Recorded> = found.into_iter().map(|(_, packet)| packet).collect();
        let forgotten = count.saturating_sub(packets.len() as u64);
        Recording { packets, forgotten }
    }
}

impl Slot {
    /// The packet with its number, if there is one and nobody writes it now.
    fn read(&self) -> Option<(u64, Recorded)> {
        let state = self.state.load(Acquire);
        if state == 0 || state % 2 == 1 {
            return None;
        }
        let (at_ns, about) = (self.at_ns.load(Relaxed), self.about.load(Relaxed));
        let mut beginning: Vec<u8> =
            self.words.iter().flat_map(|word| word.load(Relaxed).to_le_bytes()).collect();
        fence(Acquire);
        if self.state.load(Relaxed) != state {
            return None;
        }
        let length = (about >> 40) as usize;
        beginning.truncate(length);
        let packet = Recorded {
            at_ns,
            from: HostId::new(about as u16),
            to: HostId::new((about >> 16) as u16),
            outcome: OUTCOMES[(about >> 32) as usize & 0xff],
            length,
            beginning,
        };
        Some((state / 2 - 1, packet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    const N1: HostId = HostId::new(0);
    const N128: HostId = HostId::new(127);

    #[test]
    fn every_outcome_has_its_number() {
        for outcome in OUTCOMES {
            assert_eq!(OUTCOMES[number(outcome) as usize], outcome);
        }
    }

    #[test]
    fn packets_are_read_as_they_were_recorded() {
        for length in [0, 1, 7, 8, 9, 95, 103, 104, 105, 65_536] {
            let ring = Ring::new(4);
            let packet: Vec<u8> = (0..length).map(|i| i as u8 | 1).collect();
            // What was there before is gone.
            (0..4).for_each(|_| ring.put((N1, N1), 1, Outcome::Failed, &[255; 200]));
            ring.put((N128, N1), u64::MAX, Outcome::Dropped(Reason::Gap), &packet);
            let recording = ring.read();
            assert_eq!((recording.packets.len(), recording.forgotten), (4, 1));
            let last = recording.packets.last().unwrap();
            assert_eq!((last.from, last.to, last.at_ns), (N128, N1, u64::MAX));
            assert_eq!((last.outcome, last.length), (Outcome::Dropped(Reason::Gap), length));
            assert_eq!(last.beginning, packet[..length.min(WORDS * 8)]);
        }
    }

    #[test]
    fn the_last_ones_are_remembered_in_order_of_their_times_and_the_others_counted() {
        let ring = Ring::new(8);
        assert_eq!(ring.read(), Recording::default());
        for i in 0..20_u64 {
            // Threads record in another order than they read.
            ring.put((N1, N128), i ^ 1, Outcome::Delivered, &[i as u8]);
        }
        let recording = ring.read();
        let times: Vec<u64> = recording.packets.iter().map(|packet| packet.at_ns).collect();
        assert_eq!((times, recording.forgotten), ((12..20).collect(), 12));
    }

    /// A thread that was suspended while it recorded, and comes back when the ring is full again.
    #[test]
    fn a_slot_that_is_written_or_has_a_newer_packet_is_left_alone() {
        let ring = Ring::new(1);
        ring.put((N1, N128), 1, Outcome::Delivered, b"first");
        let written = ring.slots[0].state.load(Relaxed);
        ring.slots[0].state.store(written + 1, Relaxed);
        ring.put((N1, N128), 2, Outcome::Delivered, b"second");
        assert_eq!(ring.read(), Recording { packets: vec![], forgotten: 2 }, "it is written");
        ring.slots[0].state.store(written + 100, Relaxed);
        ring.put((N1, N128), 3, Outcome::Delivered, b"third");
        let recording = ring.read();
        assert_eq!(&*recording.packets[0].beginning, b"first", "what is there is newer");
        assert_eq!(recording.forgotten, 2);
    }

    /// Threads that record at the same time, in a ring that is much too small, while another reads: no
    /// packet that is read is made of two.
    #[test]
    fn packets_are_never_mixed() {
        let (ring, done) = (Ring::new(4), AtomicBool::new(false));
        let check = || {
            let recording = ring.read();
            for packet in &recording.packets {
                let of = packet.at_ns as usize;
                assert_eq!((packet.from.index(), packet.length), (of % 100, of % 97));
                assert!(packet.beginning.iter().all(|byte| *byte == of as u8), "{packet:?}");
            }
            recording
        };
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3_u64)
                .map(|thread| {
                    let ring = &ring;
                    scope.spawn(move || {
                        for i in 0..20_000 {
                            let of = i * 3 + thread;
                            let from = HostId::new((of % 100) as u16);
                            let packet = vec![of as u8; (of % 97) as usize];
                            ring.put((from, N1), of, Outcome::Delivered, &packet);
                        }
                    })
                })
                .collect();
            let (check, done) = (&check, &done);
            let reader = scope.spawn(move || {
                while !done.load(Relaxed) {
                    check();
                }
            });
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            done.store(true, Relaxed);
            reader.join().unwrap();
        });
        let recording = check();
        assert!(!recording.packets.is_empty());
        assert_eq!(recording.packets.len() as u64 + recording.forgotten, 60_000);
    }
}
