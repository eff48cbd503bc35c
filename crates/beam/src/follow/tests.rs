//! Streams as nodes send them, in whatever pieces a network may show them.

use super::*;
use crate::handshake::name_message;
use proptest::prelude::*;

/// One side of a connection, with the cache of atoms that it keeps as nodes do.
#[derive(Default)]
struct Side {
    bytes: Vec<u8>,
    expected: Vec<(i64, What)>,
    sent: Vec<String>,
}

impl Side {
    /// The side that connects, after its handshake.
    fn connecting() -> Side {
        let mut side = Side::default();
        side.hand(&name_message("a@n1", 1));
        side.hand(&[&b"r"[..], &[7; 20]].concat());
        side
    }

    /// The side that was connected to.
    fn accepting() -> Side {
        let mut side = Side::default();
        side.hand(b"sok");
        let mut challenge = name_message("b@n2", 2);
        challenge.splice(9..9, [0; 4]);
        side.hand(&challenge);
        side.hand(&[&b"a"[..], &[7; 16]].concat());
        side
    }

    fn hand(&mut self, message: &[u8]) {
        self.expect(What::Handshake(char::from(message[0])));
        self.bytes.extend((message.len() as u16).to_be_bytes());
        self.bytes.extend(message);
    }

    fn expect(&mut self, what: What) {
        self.expected.push((self.bytes.len() as i64, what));
    }

    fn frame(&mut self, what: What, body: &[u8]) {
        self.expect(what);
        self.bytes.extend((body.len() as u32).to_be_bytes());
        self.bytes.extend(body);
    }

    fn tick(&mut self) {
        self.frame(What::Tick, &[]);
    }

    /// The table of the atoms, and the place of each in it.
    fn table(&mut self, atoms: &[&str]) -> Vec<u8> {
        let long = atoms.iter().any(|a| a.len() > 255);
        let mut flags = vec![0_u8; atoms.len() / 2 + 1];
        let mut refs = Vec::new();
        for (i, atom) in atoms.iter().enumerate() {
            let known = self.sent.iter().position(|s| s == atom);
            let number = known.unwrap_or_else(|| {
                self.sent.push(atom.to_string());
                self.sent.len() - 1
            });
            // Spread over the segments, as hashes are.
            let place = number * 389 % 2048;
            let half = (place >> 8) as u8 | if known.is_none() { 8 } else { 0 };
            flags[i / 2] |= half << (4 * (i % 2));
            refs.push(place as u8);
            if known.is_none() {
                match long {
                    true => refs.extend((atom.len() as u16).to_be_bytes()),
                    false => refs.push(atom.len() as u8),
                }
                refs.extend(atom.as_bytes());
            }
        }
        flags[atoms.len() / 2] |= u8::from(long) << (4 * (atoms.len() % 2));
        if atoms.is_empty() { vec![0] } else { [&[atoms.len() as u8][..], &flags, &refs].concat() }
    }

    /// A message to a registered name with its atoms in a table.
    fn reg_send(&mut self, name: &str, payload: usize) {
        let table = self.table(&["a@n1", "", name]);
        let mut body = [&[131, 68][..], &table, &[104, 4, 97, 6], &pid(), &[82, 1, 82, 2]].concat();
        body.extend(vec![9; payload]);
        self.frame(message(ControlKind::RegSend, Target::Name(name.into())), &body);
    }

    /// The same in fragments.
    fn fragmented(&mut self, name: &str, fragments: u64) {
        let table = self.table(&["a@n1", "", name]);
        let numbers = |n: u64| [5_u64.to_be_bytes(), n.to_be_bytes()].concat();
        let control = [&[104, 4, 97, 6][..], &pid(), &[82, 1, 82, 2]].concat();
        let body = [&[131, 69][..], &numbers(fragments), &table, &control, &[1; 700]].concat();
        self.frame(message(ControlKind::RegSend, Target::Name(name.into())), &body);
        for n in (1..fragments).rev() {
            self.frame(What::Further, &[&[131, 70][..], &numbers(n), &[2; 300]].concat());
        }
    }

    /// A message without a table, as a hidden node sends it.
    fn plain(&mut self, what: What, control: &[u8]) {
        self.frame(what, &[&[112, 131][..], control].concat());
    }
}

fn message(kind: ControlKind, target: Target) -> What {
    What::Message { kind, target }
}

/// A pid whose node is the first atom of the table.
fn pid() -> Vec<u8> {
    [&[88, 82, 0][..], &[0; 12]].concat()
}

fn follow(follower: &mut Follower, sequence: u32, bytes: &[u8]) -> Vec<(i64, What)> {
    let mut seen = Vec::new();
    let mut end = i64::MIN;
    follower
        .feed(sequence, bytes, |found| {
            assert!(found.at >= end && found.end > found.at, "{found:?}");
            end = found.end;
            seen.push((found.at, found.what));
        })
        .unwrap();
    seen
}

#[derive(Clone, Debug)]
enum Said {
    Tick,
    RegSend(usize, usize),
    Fragmented(usize, u64),
    Plain(usize),
}

const ATOMS: [&str; 5] = ["late", "rex", "net_kernel", "größe", "x"];

/// Control messages of all sorts, with what they are.
fn plain_ones() -> Vec<(What, Vec<u8>)> {
    let atom = |name: &str| [&[119, name.len() as u8][..], name.as_bytes()].concat();
    let pid = [&[88][..], &atom("a@n1"), &[0; 12]].concat();
    let reference = [&[90, 0, 3][..], &atom("a@n1"), &[0; 16]].concat();
    let tuple = |op: u8, parts: &[&[u8]]| {
        [&[104, parts.len() as u8 + 1, 97, op][..], &parts.concat()].concat()
    };
    let name = |n: &str| Target::Name(n.into());
    let function = [&[104, 3][..], &atom("erpc"), &atom("execute_call"), &[97, 4]].concat();
    let list = [&[108, 0, 0, 0, 1, 97, 1][..], &[106]].concat();
    use ControlKind as K;
    vec![
        (message(K::Link, Target::Process), tuple(1, &[&pid, &pid])),
        (message(K::Send, Target::Process), tuple(22, &[&pid, &pid])),
        (message(K::Send, Target::Process), tuple(12, &[&atom(""), &pid, &list])),
        (message(K::Exit, Target::Process), tuple(24, &[&pid, &pid])),
        (message(K::Exit, Target::Process), tuple(3, &[&pid, &pid, &list])),
        (message(K::Exit2, Target::Process), tuple(26, &[&pid, &pid])),
        (
            message(K::Unlink, Target::Process),
            tuple(35, &[&[110, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8], &pid, &pid]),
        ),
        (message(K::UnlinkAck, Target::Process), tuple(36, &[&[97, 3], &pid, &pid])),
        (message(K::Monitor, name("late")), tuple(19, &[&pid, &atom("late"), &reference])),
        (message(K::Demonitor, Target::Process), tuple(20, &[&pid, &pid, &reference])),
        (message(K::MonitorExit, Target::Process), tuple(28, &[&atom("late"), &pid, &reference])),
        (message(K::RegSend, name("rex")), tuple(6, &[&pid, &atom(""), &atom("rex")])),
        (message(K::RegSend, name("rex")), tuple(16, &[&pid, &atom(""), &atom("rex"), &list])),
        (message(K::AliasSend, Target::Alias), tuple(33, &[&pid, &reference])),
        (
            message(K::SpawnRequest, Target::Function("erpc:execute_call".into())),
            tuple(29, &[&reference, &pid, &pid, &function, &list]),
        ),
        (message(K::SpawnReply, Target::Process), tuple(31, &[&reference, &pid, &[97, 0], &pid])),
        (message(K::RegSend, name("late")), tuple(37, &[&[97, 9], &pid, &atom("late")])),
        (message(K::AliasSend, Target::Alias), tuple(37, &[&[97, 4], &pid, &reference])),
        (message(K::Exit2, Target::Process), tuple(37, &[&[97, 16], &pid, &pid])),
        (message(K::Send, Target::Process), tuple(37, &[&[98, 0, 0, 0, 1], &pid, &pid])),
        (message(K::Other(5), Target::None), tuple(5, &[])),
    ]
}

fn said() -> impl Strategy<Value = Vec<Said>> {
    let one = prop_oneof![
        Just(Said::Tick),
        (0..ATOMS.len(), 0..900_usize).prop_map(|(a, p)| Said::RegSend(a, p)),
        (0..ATOMS.len(), 1..4_u64).prop_map(|(a, n)| Said::Fragmented(a, n)),
        (0..plain_ones().len()).prop_map(Said::Plain),
    ];
    prop::collection::vec(one, 1..20)
}

fn speak(side: &mut Side, said: &[Said]) {
    for one in said {
        match one {
            Said::Tick => side.tick(),
            Said::RegSend(atom, payload) => side.reg_send(ATOMS[*atom], *payload),
            Said::Fragmented(atom, n) => side.fragmented(ATOMS[*atom], *n),
            Said::Plain(which) => {
                let (what, control) = plain_ones().swap_remove(*which);
                side.plain(what, &control);
            }
        }
    }
}

#[test]
fn every_control_message_is_known_by_its_kind_and_target() {
    let mut side = Side::connecting();
    for (what, control) in plain_ones() {
        side.plain(what, &control);
    }
    let seen = follow(&mut Follower::from_start(0), 0, &side.bytes);
    assert_eq!(seen, side.expected);
}

#[test]
fn long_atoms_and_many_atoms() {
    let mut side = Side::accepting();
    let long = "é".repeat(200);
    side.reg_send(&long, 10);
    side.reg_send("short", 10);
    side.reg_send(&long, 10);
    let names: Vec<String> = (0..255).map(|n| format!("atom_{n}")).collect();
    let mut atoms: Vec<&str> = names.iter().map(String::as_str).collect();
    atoms[0] = "a@n1";
    let table = side.table(&atoms);
    let body = [&[131, 68][..], &table, &[104, 4, 97, 6], &pid(), &[82, 1, 82, 254]].concat();
    side.frame(message(ControlKind::RegSend, Target::Name("atom_254".into())), &body);
    for size in [1, 7, 1 << 20] {
        let mut follower = Follower::from_start(5);
        let mut seen = Vec::new();
        for (i, piece) in side.bytes.chunks(size).enumerate() {
            seen.extend(follow(&mut follower, 5 + (i * size) as u32, piece));
        }
        assert_eq!(seen, side.expected);
    }
}

proptest! {
    /// Pieces in any order, again, overlapping: the same messages at the same places.
    #[test]
    fn any_segmentation_gives_the_same_messages(
        said in said(),
        first in any::<u32>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
        disorder in prop::collection::vec((any::<prop::sample::Index>(), 0..400_usize), 0..30),
        connects in any::<bool>(),
    ) {
        let mut side = if connects { Side::connecting() } else { Side::accepting() };
        speak(&mut side, &said);
        let length = side.bytes.len();
        let mut borders: Vec<usize> = cuts.iter().map(|i| i.index(length)).chain([0, length]).collect();
        borders.sort_unstable();
        borders.dedup();
        let mut segments: Vec<(usize, usize)> = borders.windows(2).map(|w| (w[0], w[1])).collect();
        for (from, length) in &disorder {
            // Something that lies anywhere comes earlier, or comes again.
            let at = from.index(side.bytes.len());
            let end = (at + length).min(side.bytes.len());
            segments.insert(from.index(segments.len() + 1), (at, end));
        }
        let mut follower = Follower::from_start(first);
        let mut seen = Vec::new();
        for (from, to) in segments {
            let sequence = first.wrapping_add(from as u32);
            seen.extend(follow(&mut follower, sequence, &side.bytes[from..to]));
        }
        prop_assert_eq!(seen, side.expected);
        prop_assert_eq!(follower.next(), Some(length as i64));
    }

    /// Joined at a segment that begins with a message: from there on everything is seen; names
    /// that were sent before are unknown, never wrong.
    #[test]
    fn a_joined_connection_is_seen_from_the_next_message_on(
        before in said(),
        after in said(),
        junk in 1..50_usize,
    ) {
        let mut side = Side::connecting();
        speak(&mut side, &before);
        let (start, known) = (side.bytes.len(), side.expected.len());
        side.reg_send("late", 3);
        side.tick();
        speak(&mut side, &after);
        let mut follower = Follower::joined();
        let tail = start.saturating_sub(junk);
        // The middle of some message, unless it happens to begin one.
        if !messages::begin_with_one(&side.bytes[tail..start]) {
            prop_assert_eq!(follow(&mut follower, tail as u32, &side.bytes[tail..start]), vec![]);
            let seen = follow(&mut follower, start as u32, &side.bytes[start..]);
            let expected = &side.expected[known..];
            prop_assert_eq!(seen.len(), expected.len());
            for ((at, what), (true_at, true_what)) in seen.iter().zip(expected) {
                prop_assert_eq!(*at, true_at - start as i64);
                let unknown = match (what, true_what) {
                    (What::Message { kind: a, target: Target::Unknown }, What::Message { kind: b, .. }) => a == b,
                    _ => false,
                };
                prop_assert!(unknown || what == true_what, "{:?} for {:?}", what, true_what);
            }
        }
    }

    /// Whatever comes, nothing panics, and places never go back.
    #[test]
    fn any_bytes_are_survived(
        pieces in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u8>(), 0..60)), 0..20),
        said in said(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        joined in any::<bool>(),
    ) {
        let mut side = Side::connecting();
        speak(&mut side, &said);
        for (at, bits) in flips {
            let at = at.index(side.bytes.len());
            side.bytes[at] ^= bits;
        }
        for follower in [&mut Follower::joined(), &mut Follower::from_start(0)] {
            if joined {
                let _ = follower.feed(0, &side.bytes, |_| {});
            }
            for (sequence, piece) in &pieces {
                let _ = follower.feed(*sequence, piece, |found| assert!(found.end > found.at));
            }
        }
    }
}

#[test]
fn tls_and_other_protocols_are_reported() {
    let hello = [0x16, 3, 1, 2, 0, 1, 0, 1];
    let error = Follower::from_start(9).feed(9, &hello, |_| {}).unwrap_err();
    assert_eq!(error, FollowError::Tls);
    assert!(error.to_string().contains("plain TCP"), "{error}");
    // In the middle: records of application data.
    let mut joined = Follower::joined();
    let record = [23, 3, 3, 0, 4, 1, 2, 3, 4];
    assert!(joined.feed(0, &record, |_| panic!("nothing to see")).is_ok());
    assert_eq!(joined.feed(9, &record, |_| {}), Err(FollowError::Tls));
    // Questions to the port mapper, and something else.
    for foreign in
        [&b"\0\x01n"[..], b"\0\x05zlate", b"\0\x04stop", b"GET / HTTP/1.1\r\n", b"\xff\xffN"]
    {
        let failed = Follower::from_start(0).feed(0, foreign, |_| panic!("nothing to see"));
        assert_eq!(failed, Err(FollowError::Foreign), "{foreign:?}");
    }
}

#[test]
fn what_is_no_message_ends_it_and_a_false_start_does_not() {
    let mut side = Side::connecting();
    side.tick();
    side.bytes.extend([0, 0, 0, 2, 9, 9]);
    let mut follower = Follower::from_start(0);
    let failed = follower.feed(0, &side.bytes, |_| {});
    assert!(matches!(failed, Err(FollowError::Garbled(_))), "{failed:?}");
    assert!(follower.feed(99, &[0; 4], |_| panic!("it was given up")).is_err());

    let mut joined = Follower::joined();
    assert_eq!(follow(&mut joined, 0, &[0; 4]), [(0, What::Tick)]);
    assert_eq!(follow(&mut joined, 4, &[0, 0, 0, 2, 9, 9]), []);
    assert_eq!(joined.next(), None);
    assert_eq!(follow(&mut joined, 50, &[0; 4]), [(0, What::Tick)]);
}

#[test]
fn a_segment_before_its_turn_is_reported_and_kept() {
    let mut side = Side::connecting();
    side.tick();
    side.tick();
    let n = side.bytes.len();
    let mut follower = Follower::from_start(0);
    follow(&mut follower, 0, &side.bytes[..n - 8]);
    let ahead = follower.feed(n as u32 - 4, &side.bytes[n - 4..], |_| panic!("too early")).unwrap();
    assert_eq!(ahead, Fed { at: Some(n as i64 - 4), ahead: true });
    let mut seen = 0;
    let late = follower.feed(n as u32 - 8, &[0; 4], |_| seen += 1).unwrap();
    assert_eq!((late, seen), (Fed { at: Some(n as i64 - 8), ahead: false }, 2));
}
