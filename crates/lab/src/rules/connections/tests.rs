//! The rule in a pipeline without a network: frames in, frames out.

use super::*;
use crate::pipeline::tests::{Out, Sink};
use crate::pipeline::{Pipeline, Shared, Stage};
use crate::tcp::Segment;
use crate::tcp::tests::frame;
use fuzz_dist_beam::follow::{ControlKind, Distribution};
use fuzz_dist_clock::Clock;
use fuzz_dist_env::Heal;
use fuzz_dist_env::wire::{
    before_op, control, cut, cut_one_way, hold, message, message_to, middle_of, tick,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

const N1: HostId = HostId::new(0);
const N2: HostId = HostId::new(1);
const N3: HostId = HostId::new(2);
const PORTS: (u16, u16) = (4000, 5000);
const DATA: u8 = 0x18;
const SYN: u8 = 2;

fn find(name: &str) -> Option<HostId> {
    ["n1", "n2", "n3"].iter().position(|n| *n == name).map(|n| HostId::new(n as u16))
}

/// A network whose connections are followed.
struct Net {
    rule: Arc<Connections>,
    shared: Arc<Shared>,
    pipeline: Pipeline<Sink>,
}

fn net() -> Net {
    net_that_heals(Heal::Natural)
}

fn net_that_heals(heal: Heal) -> Net {
    let shared = Arc::new(Shared::new(heal, Clock::system()));
    let rule = Arc::new(Connections::new(Some(Arc::new(Distribution)), Clock::system()));
    let rules: BTreeMap<Stage, Arc<dyn Rule>> =
        [(Stage::Connections, Arc::clone(&rule) as Arc<dyn Rule>)].into();
    let pipeline = Pipeline::new(&rules, Sink::default(), Arc::clone(&shared));
    Net { rule, shared, pipeline }
}

impl Net {
    fn arm(
        &self,
        trigger: &Trigger,
        action: &Action,
    ) -> Result<(Hold, watch::Receiver<Progress>), Error> {
        let hold = self.shared.delays.begin();
        Ok((hold, self.rule.arm(hold, trigger, action, find)?))
    }

    fn arm_now(&self, trigger: &Trigger, action: &Action) -> (Hold, watch::Receiver<Progress>) {
        self.arm(trigger, action).unwrap()
    }

    /// What is delivered when a frame comes.
    fn see(&self, link: Link, frame: &[u8]) -> Vec<Out> {
        self.pipeline.pass(link, frame);
        self.pipeline.devices().take()
    }

    /// What arrives on its link of some bytes at this place of a stream.
    fn send(&self, link: Link, at: usize, bytes: &[u8]) -> Vec<u8> {
        self.send_on(PORTS, link, at as u32, bytes)
    }

    fn send_on(&self, ports: (u16, u16), link: Link, at: u32, bytes: &[u8]) -> Vec<u8> {
        let out = self.see(link, &frame(ports, at, DATA, bytes));
        assert!(out.iter().all(|(on, _)| *on == link));
        payloads(&out).into_iter().flat_map(|(_, payload)| payload).collect()
    }

    fn release(&self, hold: Hold) -> Vec<Out> {
        self.rule.end(hold);
        self.pipeline.release(hold);
        self.pipeline.devices().take()
    }

    fn before_operation(&self, host: HostId, f: &str) -> Vec<Out> {
        let ended = self.rule.before_operation(host, f, &[N1, N2, N3]);
        ended.iter().for_each(|hold| self.pipeline.release(*hold));
        self.pipeline.devices().take()
    }

    fn dropped(&self, link: Link) -> u64 {
        self.shared.recorder.counters(3).get(link.0, link.1).dropped_packets
    }
}

/// A message without table: to a name, or a monitor.
fn reg_send(name: &str, payload: usize) -> Vec<u8> {
    let pid = [&[88, 119, 1, b'a'][..], &[0; 12]].concat();
    let control =
        [&[104, 4, 97, 6][..], &pid, &[119, 0, 119, name.len() as u8], name.as_bytes()].concat();
    let body = [&[112, 131][..], &control, &vec![7; payload]].concat();
    [&(body.len() as u32).to_be_bytes()[..], &body].concat()
}

const TICK: [u8; 4] = [0; 4];
const NOTHING: [u8; 0] = [];

fn payloads(frames: &[Out]) -> Vec<(Link, Vec<u8>)> {
    frames.iter().map(|(l, f)| (*l, Segment::of(f).unwrap().payload.to_vec())).collect()
}

#[test]
fn without_triggers_everything_passes_untouched() {
    let net = net();
    for bytes in [&TICK[..], &reg_send("late", 5), b"anything"] {
        let frame = frame(PORTS, 0, DATA, bytes);
        assert_eq!(net.see((N1, N2), &frame), [((N1, N2), frame)]);
    }
    assert_eq!(net.see((N1, N2), b"no packet at all").len(), 1);
}

#[test]
fn a_cut_is_exactly_at_the_nth_tick_and_on_both_directions() {
    let net = net();
    let (id, progress) = net.arm_now(&tick(2).from("n1").to("n2"), &cut());
    let message = reg_send("late", 9);
    assert_eq!(net.send((N2, N1), 0, &TICK), TICK, "the other direction counts for itself");
    assert_eq!(net.send((N1, N2), 0, &TICK), TICK);
    assert_eq!(net.send((N2, N1), 4, &TICK), TICK);
    let whole = [&message[..], &TICK, &message].concat();
    assert_eq!(net.send((N1, N2), 4, &whole), message, "what is before the tick arrives");
    assert_eq!(net.dropped((N1, N2)), 1, "the rest of it");
    let fired = progress.borrow().fired.clone().unwrap();
    assert_eq!((fired.from, fired.to, &*fired.what), (N1, N2, "tick"));
    // Everything else on the link is dropped, an acknowledgement, too.
    for link in [(N1, N2), (N2, N1)] {
        let before = net.dropped(link);
        assert!(net.see(link, &frame((7, 8), 0, 0x10, b"")).is_empty());
        assert_eq!(net.dropped(link) - before, 1);
        assert_eq!(net.rule.cut(link), Some(Reason::Trigger));
    }
    assert_eq!(net.see((N1, N3), &frame(PORTS, 0, 0x10, b"")).len(), 1);
    assert_eq!(net.rule.cuts(), [(N1, N2), (N2, N1)]);
    assert!(net.release(id).is_empty());
    assert!(net.rule.cuts().is_empty() && progress.borrow().ended_ns.is_some());
    // The retransmission is no further tick, and passes.
    assert_eq!(net.send((N1, N2), 4, &whole), whole);
}

/// Where heals are prompt, the end of a trigger's cut delivers the segments that it dropped, in order and once, past
/// the triggers.
#[test]
fn the_end_of_a_cut_delivers_what_it_dropped_where_heals_are_prompt() {
    for heal in [Heal::Natural, Heal::Prompt] {
        let net = net_that_heals(heal);
        let (id, _) = net.arm_now(&tick(1).from("n1").to("n2"), &cut());
        assert_eq!(net.send((N1, N2), 0, &TICK), NOTHING);
        assert_eq!(net.send((N1, N2), 4, b"next"), NOTHING);
        assert_eq!(net.send((N2, N1), 0, &TICK), NOTHING);
        assert_eq!(net.send((N1, N2), 4, b"next"), NOTHING, "a retransmission");
        let (_, other) = net.arm_now(&tick(1).from("n2"), &hold());
        let healed = payloads(&net.release(id));
        let (tick, next) = (TICK.to_vec(), b"next".to_vec());
        let expected = [((N1, N2), tick.clone()), ((N1, N2), next), ((N2, N1), tick)];
        assert_eq!(healed, if heal == Heal::Prompt { &expected[..] } else { &[] });
        assert!(other.borrow().fired.is_none());
        assert!(net.release(id).is_empty());
    }
}

#[test]
fn one_way_leaves_the_other() {
    let net = net();
    let _ = net.arm_now(&message(), &cut_one_way());
    assert_eq!(net.send((N1, N2), 0, &reg_send("x", 0)), NOTHING);
    assert_eq!(net.send((N2, N1), 0, &TICK), TICK);
    assert_eq!(net.rule.cuts(), [(N1, N2)]);
}

#[test]
fn kinds_and_names_are_distinguished() {
    let net = net();
    let (_, late) = net.arm_now(&message_to("late").nth(2), &hold());
    let (_, monitor) = net.arm_now(&control(ControlKind::Monitor), &hold());
    let bytes = [reg_send("early", 3), reg_send("late", 3), TICK.to_vec()].concat();
    assert_eq!(net.send((N1, N2), 0, &bytes), bytes);
    assert!(late.borrow().fired.is_none() && monitor.borrow().fired.is_none());
    assert_eq!(net.send((N1, N2), bytes.len(), &reg_send("late", 0)), NOTHING);
    assert_eq!(late.borrow().fired.as_ref().unwrap().what, "reg_send to late");
    assert!(monitor.borrow().fired.is_none());
}

#[test]
fn a_cut_in_the_middle_of_a_message_that_spans_segments() {
    let net = net();
    let (_, progress) = net.arm_now(&middle_of(message_to("late")), &cut());
    let message = reg_send("late", 1000);
    let half = message.len() / 2;
    assert_eq!(net.send((N1, N2), 0, &message[..100]), &message[..100]);
    assert!(progress.borrow().fired.is_none(), "it acts in the middle only");
    assert_eq!(net.send((N1, N2), 0, &message[..100]), &message[..100], "a retransmission");
    assert_eq!(net.send((N1, N2), 100, &message[100..900]), &message[100..half]);
    assert!(progress.borrow().fired.is_some());
    assert_eq!(net.send((N1, N2), 900, &message[900..]), NOTHING);
}

#[test]
fn what_is_held_comes_later_once_and_in_order() {
    let net = net();
    let (id, progress) = net.arm_now(&message_to("late"), &hold());
    let (first, second) = ([reg_send("x", 1), reg_send("late", 2)].concat(), reg_send("y", 3));
    let own = reg_send("x", 1).len();
    assert_eq!(net.send((N1, N2), 0, &first), &first[..own]);
    // What follows waits behind it; its acknowledgement does not.
    let out = net.see((N1, N2), &frame(PORTS, first.len() as u32, DATA, &second));
    assert!(out.len() == 1 && Segment::of(&out[0].1).unwrap().is_empty(), "{out:?}");
    // Retransmissions, of one and of both.
    assert_eq!(net.send((N1, N2), own, &first[own..]), NOTHING);
    assert_eq!(net.send((N1, N2), own, &[&first[own..], &second].concat()), NOTHING);
    assert_eq!(net.send((N2, N1), 0, &TICK), TICK);
    assert_eq!(progress.borrow().held, 2);
    let link = (N1, N2);
    assert_eq!(payloads(&net.release(id)), [(link, first[own..].to_vec()), (link, second.clone())]);
    let end = first.len() + second.len();
    assert_eq!(net.send((N1, N2), end, &TICK), TICK);
}

#[test]
fn two_holds_on_one_stream_end_one_by_one() {
    let net = net();
    let (a, _) = net.arm_now(&message_to("a"), &hold());
    let (b, _) = net.arm_now(&message_to("b"), &hold());
    let bytes = [reg_send("a", 10), reg_send("b", 10), reg_send("c", 10)].concat();
    let length = reg_send("a", 10).len();
    assert_eq!(net.send((N1, N2), 0, &bytes), NOTHING);
    assert_eq!(payloads(&net.release(a)), [((N1, N2), bytes[..length].to_vec())]);
    assert_eq!(payloads(&net.release(b)), [((N1, N2), bytes[length..].to_vec())]);
    assert!(net.release(b).is_empty());
}

#[test]
fn held_messages_arrive_before_or_after_another() {
    for after in [false, true] {
        let net = net();
        let other = message_to("other").from("n3");
        let action = if after { hold().until_after(other) } else { hold().until(other) };
        let (_, progress) = net.arm_now(&message_to("late"), &action);
        assert_eq!(net.send((N1, N2), 0, &reg_send("late", 0)), NOTHING);
        assert_eq!(net.send((N2, N1), 0, &reg_send("other", 0)), reg_send("other", 0));
        let mut expected = [((N1, N2), reg_send("late", 0)), ((N3, N2), reg_send("other", 0))];
        if after {
            expected.reverse();
        }
        let out = net.see((N3, N2), &frame(PORTS, 0, DATA, &reg_send("other", 0)));
        assert_eq!(payloads(&out), expected);
        assert!(progress.borrow().ended_ns.is_some());
    }
}

#[test]
fn on_the_same_stream_what_is_held_always_comes_first() {
    let net = net();
    let _ = net.arm_now(&message_to("late"), &hold().until_after(tick(1)));
    assert_eq!(net.send((N1, N2), 0, &reg_send("late", 0)), NOTHING);
    let at = reg_send("late", 0).len() as u32;
    let out = net.see((N1, N2), &frame(PORTS, at, DATA, &TICK));
    let link = (N1, N2);
    assert_eq!(payloads(&out), [(link, reg_send("late", 0)), (link, TICK.to_vec())]);
}

#[test]
fn behind_a_gap_nothing_passes_a_trigger() {
    let net = net();
    assert_eq!(net.send((N1, N2), 0, &TICK), TICK);
    assert_eq!(net.send((N1, N2), 8, &TICK), TICK, "nobody waits for anything");
    let _ = net.arm_now(&tick(1).from("n1"), &cut());
    assert_eq!(net.send((N1, N2), 16, &TICK), NOTHING);
    assert_eq!(net.send((N2, N1), 0, &TICK), TICK);
    assert_eq!(net.send((N2, N1), 8, &TICK), TICK, "this link is of no interest");
    assert_eq!(net.send((N1, N2), 4, &TICK), NOTHING, "the tick that was waited for");
}

#[test]
fn before_an_operation_the_link_is_cut_or_held() {
    let net = net();
    let (id, progress) = net.arm_now(&before_op("add").from("n1").nth(2), &cut());
    let before = |host, f| net.before_operation(host, f);
    for (host, f) in [(N1, "add"), (N1, "read"), (N2, "add")] {
        before(host, f);
        assert!(net.rule.cuts().is_empty(), "{host:?} {f}");
    }
    before(N1, "add");
    assert_eq!(net.rule.cuts(), [(N1, N2), (N2, N1), (N1, N3), (N3, N1)]);
    assert_eq!(progress.borrow().fired.as_ref().unwrap().what, "operation add");
    net.release(id);

    assert_eq!(net.send((N1, N2), 0, &TICK), TICK);
    let (_, progress) =
        net.arm_now(&before_op("add").to("n2"), &hold().until(before_op("read").from("n1")));
    before(N1, "add");
    assert_eq!(net.send((N1, N2), 4, &TICK), NOTHING);
    assert_eq!(payloads(&before(N1, "read")), [((N1, N2), TICK.to_vec())]);
    assert!(progress.borrow().ended_ns.is_some());
}

/// A connection that is opened while the link is held waits with its handshake, one that was there and
/// had not been seen yet with its first message; what is no connection between nodes passes.
#[test]
fn before_an_operation_later_connections_are_held_too() {
    let net = net();
    let (id, _) = net.arm_now(&before_op("add"), &hold());
    assert!(net.before_operation(N1, "add").is_empty());
    let send = |ports, at, bytes: &[u8]| net.send_on(ports, (N1, N2), at, bytes);
    let name = fuzz_dist_beam::handshake::name_message("app@n1", 1);
    let name = [&(name.len() as u16).to_be_bytes()[..], &name].concat();
    let (new, there, mapper) = ((4001, 5000), (4002, 5000), (4003, 4369));
    for (ports, first) in [(new, &name[..]), (mapper, b"\0\x04zapp")] {
        net.see((N1, N2), &frame(ports, 99, SYN, b""));
        let arrived = send(ports, 100, first);
        assert_eq!(arrived.is_empty(), ports == new, "{arrived:?}");
    }
    assert_eq!(send(there, 7, &reg_send("late", 3)), NOTHING);
    assert_eq!(send(there, 7 + reg_send("late", 3).len() as u32, &TICK), NOTHING);
    assert_eq!(net.send((N2, N1), 0, &TICK), TICK, "the other direction is free");
    let mut released: Vec<Vec<u8>> = payloads(&net.release(id)).into_iter().map(|p| p.1).collect();
    released.sort_by_key(Vec::len);
    assert_eq!(released, [TICK.to_vec(), name, reg_send("late", 3)]);
    assert_eq!(send(there, 1000, &TICK), TICK);
}

#[test]
fn connections_are_reported_with_what_they_carried() {
    let net = net();
    net.see((N1, N2), &frame(PORTS, 99, SYN, b""));
    net.send((N1, N2), 100, &[0x16, 3, 1, 0, 9]);
    net.see((N1, N3), &frame((1, 2), 0, DATA, &[&TICK[..], &reg_send("a", 0)].concat()));
    net.see((N1, N3), &frame((3, 4), 0, DATA, b"hello"));
    net.see((N1, N3), &frame((1, 2), 0, DATA, &reg_send("a", 0)));
    let connections = net.rule.connections();
    assert!(connections[0].unfollowed.as_ref().unwrap().contains("TLS"), "{connections:?}");
    assert_eq!(
        (connections.len(), connections[1].to, connections[1].messages, connections[1].ports),
        (2, N3, 1, (1, 2))
    );
    let (on_tls, _) = net.arm_now(&tick(1).to("n2"), &cut());
    let (anywhere, _) = net.arm_now(&tick(1), &cut());
    assert!(net.rule.in_vain(on_tls).unwrap().contains("TLS"));
    assert_eq!(net.rule.in_vain(anywhere), None);
    let error = net.arm(&tick(1).to("n9"), &cut()).unwrap_err();
    assert!(matches!(&error, Error::UnknownHost(name) if name == "n9"), "{error}");
}

#[test]
fn a_kind_that_no_message_has_is_refused() {
    let net = net();
    let until = hold().until(control("monitr_exit"));
    for (trigger, action) in [(control("monitr_exit"), hold()), (tick(1), until)] {
        let error = net.arm(&trigger, &action).unwrap_err();
        assert!(matches!(&error, Error::Invalid(_)), "{error}");
        assert!(error.to_string().contains("monitor_exit"), "{error}");
    }
    assert!(!net.rule.is_armed());
    net.arm(&control("control message 99"), &hold()).unwrap();
    // Without a protocol nothing is known of its words.
    let none = Connections::new(None, Clock::system());
    none.arm(Hold(1), &control("monitr_exit"), &hold(), find).unwrap();
}

/// A receiver: puts together what arrives, in any order.
#[derive(Default)]
struct Receiver(BTreeMap<usize, u8>);

impl Receiver {
    fn take(&mut self, frame: &[u8]) {
        let segment = Segment::of(frame).unwrap();
        for (i, byte) in segment.payload.iter().enumerate() {
            self.0.insert(segment.sequence as usize + i, *byte);
        }
    }

    /// What an application would have been given.
    fn whole(&self) -> Vec<u8> {
        self.0
            .iter()
            .enumerate()
            .take_while(|(i, (at, _))| i == *at)
            .map(|(_, (_, b))| *b)
            .collect()
    }
}

proptest! {
    /// Whatever is held and released, again and again, and however TCP cuts and repeats the stream:
    /// nothing at or after the held message arrives before the release, and everything does after.
    #[test]
    fn a_hold_keeps_everything_from_its_message_on_and_loses_nothing(
        names in prop::collection::vec(prop::sample::select(vec!["a", "b", "late"]), 1..12),
        nth in 1..4_u64,
        sizes in prop::collection::vec(1..90_usize, 1..60),
        back in prop::collection::vec(0..120_usize, 1..60),
    ) {
        let net = net();
        let (id, _) = net.arm_now(&message_to("late").nth(nth), &hold());
        let mut stream = TICK.to_vec();
        let mut held_from = None;
        let mut count = 0;
        for (i, name) in names.iter().enumerate() {
            count += u64::from(*name == "late");
            if *name == "late" && count == nth {
                held_from = held_from.or(Some(stream.len()));
            }
            stream.extend(reg_send(name, i * 7));
        }
        let mut receiver = Receiver::default();
        let mut sent = 0;
        let mut steps = sizes.iter().zip(&back).cycle();
        // The first segment begins with a message, so that the connection is joined.
        let take = |receiver: &mut Receiver, from: usize, to: usize| {
            let frame = frame(PORTS, from as u32, DATA, &stream[from..to]);
            net.see((N1, N2), &frame).iter().for_each(|(_, out)| receiver.take(out));
            assert_eq!(net.dropped((N1, N2)), 0);
        };
        take(&mut receiver, 0, 4);
        sent += 4;
        while sent < stream.len() {
            let (size, back) = steps.next().unwrap();
            let to = (sent + size).min(stream.len());
            take(&mut receiver, sent, to);
            sent = to;
            // A retransmission of something before.
            let from = sent.saturating_sub(*back);
            take(&mut receiver, from, sent);
        }
        let arrived = receiver.whole();
        match held_from {
            // A message's head may have been cut in two: the part before it was known went on.
            Some(at) => prop_assert!(arrived.len() >= at && arrived.len() < at + reg_send("late", 90).len()),
            None => prop_assert_eq!(&arrived, &stream),
        }
        for (_, frame) in net.release(id) {
            receiver.take(&frame);
        }
        prop_assert_eq!(receiver.whole(), stream);
    }
}
