//! Faults placed by what the switch sees: streams of distributed Erlang, written by hand.

use super::support::*;
use fuzz_dist::clock::Clock;
use fuzz_dist::env::wire::{
    Wire, before_op, cut, cut_one_way, delay, hold, message_to, middle_of, tick,
};
use fuzz_dist::env::{
    Environment, Error, Heal, HostId, HostSpec, LinkControl, LinkMatrix, Membership,
};
use fuzz_dist::lab::{Lab, LabOptions};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const TESTS: &[Test] = &[
    ("a_cut_is_exactly_at_the_tick_that_was_chosen", a_cut_is_exactly_at_the_tick_that_was_chosen),
    ("one_direction_is_cut_at_a_message", one_direction_is_cut_at_a_message),
    ("held_messages_arrive_in_another_order", held_messages_arrive_in_another_order),
    ("a_message_is_cut_in_the_middle", a_message_is_cut_in_the_middle),
    ("a_delayed_message_arrives_late_and_whole", a_delayed_message_arrives_late_and_whole),
    ("a_held_message_arrives_after_another_one", a_held_message_arrives_after_another_one),
    ("a_link_is_cut_before_an_operation", a_link_is_cut_before_an_operation),
    ("bulk_is_held_and_arrives_whole", bulk_is_held_and_arrives_whole),
    ("what_cannot_be_followed_is_reported", what_cannot_be_followed_is_reported),
    ("a_prompt_heal_delivers_at_once", a_prompt_heal_delivers_at_once),
    ("triggers_know_the_hosts_of_the_moment", triggers_know_the_hosts_of_the_moment),
];

const TICK: [u8; 4] = [0; 4];

/// A message to a registered name, as a node without an atom table sends it.
fn to(name: &str, payload: usize) -> Vec<u8> {
    let pid = [&[88, 119, 1, b'a'][..], &[0; 12]].concat();
    let name = [&[119, name.len() as u8][..], name.as_bytes()].concat();
    let control = [&[112, 131, 104, 4, 97, 6][..], &pid, &[119, 0], &name].concat();
    let body = [control, vec![131; 1 + payload]].concat();
    [&(body.len() as u32).to_be_bytes()[..], &body].concat()
}

fn handed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

/// A connection between two "nodes" whose handshake is over.
async fn nodes(lab: &Lab, from: HostId, to: HostId) -> (TcpStream, TcpStream) {
    let (mut near, mut far) = connected(lab, from, to).await;
    let name = |tag: &[u8]| handed(&[tag, &[0; 12], &[0, 3], b"a@b"].concat());
    near.write_all(&name(b"N")).await.unwrap();
    near.write_all(&handed(&[&b"r"[..], &[1; 20]].concat())).await.unwrap();
    far.write_all(&handed(b"sok")).await.unwrap();
    far.write_all(&name(b"N\0\0\0\0")).await.unwrap();
    far.write_all(&handed(&[&b"a"[..], &[1; 16]].concat())).await.unwrap();
    let mut handshake = [0; 20 + 23];
    far.read_exact(&mut handshake).await.unwrap();
    let mut handshake = [0; 5 + 24 + 19];
    near.read_exact(&mut handshake).await.unwrap();
    (near, far)
}

async fn arrives(stream: &mut TcpStream, expected: &[u8]) {
    let mut got = vec![0; expected.len()];
    let read = stream.read_exact(&mut got);
    tokio::time::timeout(LIMIT, read).await.expect("it arrives").unwrap();
    assert_eq!(got, expected);
}

/// Nothing is there, and nothing comes soon.
async fn silent(stream: &mut TcpStream) {
    let mut byte = [0];
    let read = tokio::time::timeout(Duration::from_millis(30), stream.read_exact(&mut byte));
    assert!(read.await.is_err(), "a byte came: {byte:?}");
}

fn wire(lab: &Lab) -> Arc<dyn Wire> {
    let wire = lab.wire().unwrap();
    wire.follow().unwrap();
    wire
}

fn a_cut_is_exactly_at_the_tick_that_was_chosen() {
    with_lab(3, async |lab| {
        let wire = wire(&lab);
        let (mut near, mut far) = nodes(&lab, N1, N2).await;
        let mut armed = wire.arm(&tick(2).from("n1").to("n2"), &cut()).unwrap();
        near.write_all(&TICK).await.unwrap();
        arrives(&mut far, &TICK).await;
        let early = armed.fired(Duration::from_millis(1)).await.unwrap_err().to_string();
        assert!(early.contains("tick 2, n1 to n2 was not seen"), "{early}");
        assert!(early.contains("carried 1 ticks and 0 messages"), "{early}");
        // A message and the tick in one segment: the cut goes between them.
        near.write_all(&[&to("late", 10)[..], &TICK, &to("later", 10)].concat()).await.unwrap();
        arrives(&mut far, &to("late", 10)).await;
        let fired = armed.fired(LIMIT).await.unwrap();
        assert_eq!((fired.from, fired.to, &*fired.what), (N1, N2, "tick"));
        silent(&mut far).await;
        far.write_all(&TICK).await.unwrap();
        silent(&mut near).await;
        let cuts: Vec<_> = wire.cuts().cuts().collect();
        assert_eq!(cuts, [(N1, N2), (N2, N1)]);
        armed.release();
        assert!(wire.cuts().is_open());
        arrives(&mut far, &[&TICK[..], &to("later", 10)].concat()).await;
        arrives(&mut near, &TICK).await;
    });
}

fn one_direction_is_cut_at_a_message() {
    with_lab(2, async |lab| {
        let wire = wire(&lab);
        let (mut near, mut far) = nodes(&lab, N1, N2).await;
        let mut armed = wire.arm(&message_to("late"), &cut_one_way()).unwrap();
        near.write_all(&to("late", 1)).await.unwrap();
        armed.fired(LIMIT).await.unwrap();
        far.write_all(&to("late", 2)).await.unwrap();
        arrives(&mut near, &to("late", 2)).await;
        silent(&mut far).await;
        wire.release_all();
        arrives(&mut far, &to("late", 1)).await;
    });
}

fn held_messages_arrive_in_another_order() {
    with_lab(3, async |lab| {
        let wire = wire(&lab);
        let (mut one, mut from_one) = nodes(&lab, N1, N3).await;
        let (mut two, mut from_two) = nodes(&lab, N2, N3).await;
        let mut first = wire.arm(&message_to("x").from("n1"), &hold()).unwrap();
        let mut second = wire.arm(&message_to("x").from("n2"), &hold()).unwrap();
        one.write_all(&to("x", 1)).await.unwrap();
        first.fired(LIMIT).await.unwrap();
        two.write_all(&to("x", 2)).await.unwrap();
        second.fired(LIMIT).await.unwrap();
        // What the receiver says still comes, and is acknowledged.
        from_one.write_all(&to("y", 3)).await.unwrap();
        arrives(&mut one, &to("y", 3)).await;
        second.release();
        arrives(&mut from_two, &to("x", 2)).await;
        silent(&mut from_one).await;
        // Long enough for retransmissions, which must not slip through.
        tokio::time::sleep(Duration::from_millis(700)).await;
        silent(&mut from_one).await;
        assert_eq!(first.progress().held, 1);
        let before = lab.counters();
        first.release();
        let delivered = lab.counters().since(&before).get(N1, N3).delivered_packets;
        assert!(delivered >= 1, "the release itself delivers");
        arrives(&mut from_one, &to("x", 1)).await;
    });
}

fn a_message_is_cut_in_the_middle() {
    with_lab(2, async |lab| {
        let wire = wire(&lab);
        let (mut near, mut far) = nodes(&lab, N1, N2).await;
        let mut armed = wire.arm(&middle_of(message_to("late")), &cut()).unwrap();
        // Longer than a segment of 64 KB.
        let message = to("late", 200_000);
        let (half, rest) = message.split_at(message.len() / 2);
        // Neither side waits for the other: half of it may not fit into a window of TCP, nor the whole
        // into the sender's buffer as long as the link is cut.
        let receive = async {
            tokio::join!(arrives(&mut far, half), async { armed.fired(LIMIT).await.unwrap() });
            silent(&mut far).await;
            armed.release();
            arrives(&mut far, rest).await;
        };
        let (sent, ()) = tokio::join!(near.write_all(&message), receive);
        sent.unwrap();
    });
}

fn a_delayed_message_arrives_late_and_whole() {
    with_lab(2, async |lab| {
        let wire = wire(&lab);
        let (mut near, mut far) = nodes(&lab, N1, N2).await;
        let by = Duration::from_millis(200);
        let mut armed = wire.arm(&message_to("late"), &delay(by)).unwrap();
        near.write_all(&to("late", 1)).await.unwrap();
        arrives(&mut far, &to("late", 1)).await;
        let at_ns = armed.fired(LIMIT).await.unwrap().at_ns;
        let took = Duration::from_nanos(Clock::system().reading_ns() - at_ns);
        assert!(took >= by, "{took:?}");
        armed.ended(LIMIT).await.unwrap();
        near.write_all(&to("late", 2)).await.unwrap();
        arrives(&mut far, &to("late", 2)).await;
    });
}

fn a_held_message_arrives_after_another_one() {
    with_lab(3, async |lab| {
        let wire = wire(&lab);
        let (mut one, mut from_one) = nodes(&lab, N1, N3).await;
        let (mut two, mut from_two) = nodes(&lab, N2, N3).await;
        let until = hold().until_after(message_to("x").from("n2"));
        let mut armed = wire.arm(&message_to("x").from("n1"), &until).unwrap();
        one.write_all(&to("x", 1)).await.unwrap();
        armed.fired(LIMIT).await.unwrap();
        silent(&mut from_one).await;
        two.write_all(&to("x", 2)).await.unwrap();
        armed.ended(LIMIT).await.unwrap();
        arrives(&mut from_two, &to("x", 2)).await;
        arrives(&mut from_one, &to("x", 1)).await;
    });
}

fn a_link_is_cut_before_an_operation() {
    with_lab(3, async |lab| {
        let wire = wire(&lab);
        let (mut near, mut far) = nodes(&lab, N1, N2).await;
        let mut armed = wire.arm(&before_op("add").from("n1").to("n2"), &cut()).unwrap();
        wire.before_operation(N2, "add");
        wire.before_operation(N1, "read");
        near.write_all(&TICK).await.unwrap();
        arrives(&mut far, &TICK).await;
        wire.before_operation(N1, "add");
        near.write_all(&TICK).await.unwrap();
        silent(&mut far).await;
        assert_eq!(armed.fired(LIMIT).await.unwrap().what, "operation add");
        armed.release();
        arrives(&mut far, &TICK).await;
    });
}

fn bulk_is_held_and_arrives_whole() {
    with_lab(2, async |lab| {
        let wire = wire(&lab);
        let (mut near, mut far) = nodes(&lab, N1, N2).await;
        let mut armed = wire.arm(&message_to("late").nth(40), &hold()).unwrap();
        let mut stream = Vec::new();
        for n in 0..60_usize {
            let begin = stream.len();
            stream.extend(to("late", 100_000 + n));
            // So that no two messages are the same.
            let last = stream.len() - 1;
            stream[last] = n as u8;
            stream[begin + 1000] = n as u8;
        }
        let sent = stream.clone();
        let sending = tokio::spawn(async move {
            near.write_all(&sent).await.unwrap();
            near
        });
        let before: usize = (0..39).map(|n| to("late", 100_000 + n).len()).sum();
        arrives(&mut far, &stream[..before]).await;
        armed.fired(LIMIT).await.unwrap();
        silent(&mut far).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        armed.release();
        arrives(&mut far, &stream[before..]).await;
        // While it is open: closed connections are forgotten.
        let _near = sending.await.unwrap();
        let seen = wire.connections();
        let messages = seen.iter().find(|c| (c.from, c.to) == (N1, N2)).map(|c| c.messages);
        assert_eq!(messages, Some(60), "{seen:?}");
    });
}

fn what_cannot_be_followed_is_reported() {
    with_lab(2, async |lab| {
        let wire = wire(&lab);
        let (mut near, mut far) = connected(&lab, N1, N2).await;
        let hello = [0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3];
        near.write_all(&hello).await.unwrap();
        arrives(&mut far, &hello).await;
        let tls = wire.arm(&tick(1), &cut()).unwrap_err();
        assert!(matches!(tls, Error::Unsupported { .. }), "{tls:?}");
        let text = tls.to_string();
        assert!(text.contains("tick 1") && text.contains("TLS"), "{text}");
        let unknown = wire.arm(&tick(1).to("n7"), &cut()).unwrap_err().to_string();
        assert!(unknown.contains("n7"), "{unknown}");
        // Nothing stays behind.
        near.write_all(&TICK).await.unwrap();
        arrives(&mut far, &TICK).await;
    });
}

/// What the heal of a cut of `n1` to `n2` delivers by itself, and how long a byte that was sent
/// during the cut is on its way afterwards.
fn healed(heal: Heal) -> (u64, Duration) {
    let folder = Folder::new();
    let options = LabOptions { heal, ..LabOptions::new(&folder.0, HostSpec::nodes(2)) };
    let lab = Lab::start(options).unwrap_or_else(|e| panic!("{e}"));
    runtime().block_on(async {
        let (mut near, mut far) = connected(&lab, N1, N2).await;
        near.write_all(b"1").await.unwrap();
        arrives(&mut far, b"1").await;
        let mut links = LinkMatrix::default();
        links.cut_both(N1, N2);
        lab.set_links(&links).await.unwrap();
        let cut = lab.counters();
        near.write_all(b"2").await.unwrap();
        // Four tries are lost, so that the next one is a while away.
        eventually("lost segments", async || {
            lab.counters().since(&cut).get(N1, N2).dropped_packets >= 4
        })
        .await;
        let before = lab.counters();
        let start = Instant::now();
        lab.set_links(&LinkMatrix::default()).await.unwrap();
        let delivered = lab.counters().since(&before).get(N1, N2).delivered_packets;
        arrives(&mut far, b"2").await;
        let took = start.elapsed();
        // And the connection goes on.
        near.write_all(b"3").await.unwrap();
        arrives(&mut far, b"3").await;
        (delivered, took)
    })
}

fn a_prompt_heal_delivers_at_once() {
    let (delivered, prompt) = healed(Heal::Prompt);
    // The byte before the cut is lost once more where its acknowledgement was.
    assert!(
        (1..=2).contains(&delivered),
        "what was lost is delivered by the heal itself, once: {delivered}"
    );
    let (delivered, natural) = healed(Heal::Natural);
    assert_eq!(delivered, 0, "TCP itself has to send it again");
    assert!(prompt < natural, "{prompt:?} against {natural:?}");
}

/// A wire that was taken before a host was added knows that host, and forgets one that was removed.
fn triggers_know_the_hosts_of_the_moment() {
    with_lab(2, async |lab| {
        let wire = lab.wire().unwrap();
        let of_third = before_op("add").from("n3").to("n1");
        assert!(wire.arm(&of_third, &cut()).is_err());
        let third = lab.add_host(HostSpec::node("n3")).await.unwrap();
        let mut armed = wire.arm(&of_third, &cut()).unwrap();
        wire.before_operation(N1, "add");
        assert!(wire.cuts().is_open());
        wire.before_operation(third, "add");
        armed.fired(LIMIT).await.unwrap();
        assert!(wire.cuts().is_cut(third, N1));
        wire.release_all();
        lab.remove_host(third).await.unwrap();
        assert!(wire.arm(&of_third, &cut()).is_err());
    });
}
