//! The pipeline without a network, and its queues on a clock that is moved by hand.

use super::*;
use crate::rules::cuts::Cuts;
use crate::rules::latency::Latencies;
use crate::tcp::Segment;
use crate::tcp::tests::frame;
use fuzz_dist_clock::Manual;
use fuzz_dist_env::{HostId, Latency, LinkMatrix};
use fuzz_dist_random::Seed;
use std::cell::RefCell;
use std::sync::Mutex;
use std::time::Duration;

/// A frame that was delivered on a link.
pub(crate) type Out = (Link, Vec<u8>);

/// Devices that keep what they take; `refuses` takes nothing.
#[derive(Default)]
pub(crate) struct Sink {
    out: RefCell<Vec<Out>>,
    refuses: Option<HostId>,
}

impl Sink {
    pub(crate) fn take(&self) -> Vec<Out> {
        self.out.take()
    }
}

impl Devices for Sink {
    fn write(&self, link: Link, frame: &[u8]) -> bool {
        let taken = self.refuses != Some(link.1);
        if taken {
            self.out.borrow_mut().push((link, frame.to_vec()));
        }
        taken
    }
}

const N1: HostId = HostId::new(0);
const N2: HostId = HostId::new(1);
const N3: HostId = HostId::new(2);
const LINK: Link = (N1, N2);

/// What a rule of a test saw: its stage, the packet's number and its frame.
type Seen = Arc<Mutex<Vec<(Stage, u64, Vec<u8>)>>>;

/// Does what the first byte behind the header says, at its stage.
struct Script {
    stage: Stage,
    seen: Seen,
    cuts: Option<Link>,
}

impl Rule for Script {
    fn links(&self) -> LinkSet {
        [LINK, (N2, N1)].into_iter().collect()
    }

    fn decide(&self, packet: &Packet<'_>) -> Decision {
        let frame = packet.frame.to_vec();
        self.seen.lock().unwrap().push((self.stage, packet.number, frame.clone()));
        match (&*frame, self.stage) {
            (b"drop", Stage::Watcher) => Decision::Drop(Reason::Watcher),
            (b"wait", Stage::Watcher) => Decision::Delay(Until::At(packet.at_ns + 1_000_000)),
            (b"long", Stage::Watcher) => Decision::Delay(Until::At(u64::MAX)),
            (b"change", Stage::Connections) => Decision::Rewrite(vec![
                Piece::Frame(b"one".to_vec()),
                Piece::Dropped(Reason::Trigger),
                Piece::Whole,
                Piece::Delayed(Until::At(packet.at_ns), b"two".to_vec()),
            ]),
            _ => Decision::Pass,
        }
    }

    fn cut(&self, link: Link) -> Option<Reason> {
        (self.cuts == Some(link)).then_some(Reason::Trigger)
    }
}

struct Net {
    manual: Manual,
    shared: Arc<Shared>,
    seen: Seen,
    pipeline: Pipeline<Sink>,
}

/// A pipeline with scripts at three stages.
fn net(cuts: Option<Link>, refuses: Option<HostId>) -> Net {
    let manual = Manual::new();
    let shared = Arc::new(Shared::new(Heal::Natural, manual.clock()));
    let seen = Seen::default();
    let pipeline = scripts(&shared, &seen, cuts, refuses);
    Net { manual, shared, seen, pipeline }
}

fn scripts(
    shared: &Arc<Shared>,
    seen: &Seen,
    cuts: Option<Link>,
    refuses: Option<HostId>,
) -> Pipeline<Sink> {
    let rule =
        |stage| (stage, Arc::new(Script { stage, seen: seen.clone(), cuts }) as Arc<dyn Rule>);
    let rules = [Stage::Latency, Stage::Watcher, Stage::Connections].map(rule).into();
    Pipeline::new(&rules, Sink { refuses, ..Sink::default() }, Arc::clone(shared))
}

impl Net {
    fn pass(&self, link: Link, frame: &[u8]) -> Vec<Vec<u8>> {
        self.pipeline.pass(link, frame);
        self.delivered()
    }

    /// What goes on at this time of the clock.
    fn due(&self) -> Vec<Vec<u8>> {
        let (due, _) = self.shared.delays.due(self.shared.clock.reading_ns());
        due.iter().for_each(|waiting| self.pipeline.go_on(waiting));
        self.delivered()
    }

    fn delivered(&self) -> Vec<Vec<u8>> {
        self.pipeline.devices().take().into_iter().map(|(_, frame)| frame).collect()
    }

    fn stages(&self) -> Vec<Stage> {
        std::mem::take(&mut *self.seen.lock().unwrap()).into_iter().map(|(s, _, _)| s).collect()
    }

    fn counts(&self, (from, to): Link) -> [u64; 3] {
        let count = self.shared.recorder.counters(3).get(from, to);
        [count.delivered_packets, count.dropped_packets, count.failed_packets]
    }
}

#[test]
fn packets_meet_the_rules_of_their_link_in_the_order_of_the_stages() {
    let net = net(None, Some(N3));
    assert_eq!(net.pass(LINK, b"a"), [b"a"]);
    assert_eq!(net.stages(), [Stage::Watcher, Stage::Connections, Stage::Latency]);
    assert!(net.pass(LINK, b"drop").is_empty());
    assert_eq!(net.stages(), [Stage::Watcher]);
    assert_eq!(net.counts(LINK), [1, 1, 0]);
    // Of no rule's concern, and refused by its device.
    assert_eq!(net.pass((N3, N2), b"drop"), [b"drop"]);
    assert!(net.pass((N1, N3), b"a").is_empty());
    assert!(net.stages().is_empty());
    assert_eq!((net.counts((N3, N2)), net.counts((N1, N3))), ([1, 0, 0], [0, 0, 1]));
    let outcomes: Vec<Outcome> =
        net.shared.recorder.recording().packets.iter().map(|packet| packet.outcome).collect();
    let dropped = Outcome::Dropped(Reason::Watcher);
    assert_eq!(outcomes, [Outcome::Delivered, dropped, Outcome::Delivered, Outcome::Failed]);
}

#[test]
fn what_replaces_a_packet_meets_the_later_rules_only() {
    let net = net(None, None);
    assert_eq!(net.pass(LINK, b"change"), [&b"one"[..], b"change"]);
    assert_eq!(net.due(), [b"two"]);
    let later = Stage::Latency;
    assert_eq!(net.stages(), [Stage::Watcher, Stage::Connections, later, later, later]);
    assert_eq!(net.counts(LINK), [3, 1, 0]);
}

#[test]
fn a_delayed_packet_goes_on_when_it_is_due_and_not_before() {
    let net = net(None, None);
    let (started, times) = (net.shared.clock.reading_ns(), [0, 400, 400, 198, 1]);
    for us in times {
        net.manual.advance(Duration::from_micros(us));
        assert!(net.pass(LINK, b"wait").is_empty());
        assert!(net.due().is_empty());
    }
    assert_eq!(net.pass(LINK, b"at once"), [b"at once"], "it does not wait behind them");
    let (_, next) = net.shared.delays.due(net.shared.clock.reading_ns());
    assert_eq!(next, Next::At(started + 1_000_000));
    assert_eq!(net.stages().len(), 5 + 3);
    net.manual.advance(Duration::from_micros(1));
    assert_eq!(net.due().len(), 1);
    assert_eq!(net.stages(), [Stage::Connections, Stage::Latency], "it goes on where it was");
    net.manual.advance(Duration::from_secs(1));
    assert_eq!(net.due().len(), 4);
    let (_, next) = net.shared.delays.due(u64::MAX);
    assert_eq!((next, net.counts(LINK)), (Next::Idle, [6, 0, 0]));
    let number = net.seen.lock().unwrap().last().unwrap().1;
    assert_eq!(number, 4, "a packet keeps its number");
}

#[test]
fn a_delayed_packet_of_a_link_that_is_cut_by_then_is_dropped() {
    let mut net = net(None, None);
    net.pass(LINK, b"wait");
    net.pass((N2, N1), b"wait");
    net.pipeline = scripts(&net.shared, &net.seen, Some(LINK), None);
    net.manual.advance(Duration::from_millis(1));
    assert_eq!(net.due().len(), 1);
    assert_eq!((net.counts(LINK), net.counts((N2, N1))), ([0, 1, 0], [1, 0, 0]));
}

/// With a latency, what a cut took is delivered by a prompt heal one latency later: in order, once, and before what is
/// sent after it. Nobody has to send it again.
#[test]
fn what_a_cut_took_arrives_a_latency_after_a_prompt_heal() {
    let manual = Manual::new();
    let shared = Arc::new(Shared::new(Heal::Prompt, manual.clock()));
    let (low, high) = (Duration::from_micros(200), Duration::from_millis(2));
    let latency = Latency { seed: Seed(1), low, high };
    let latencies = Arc::new(Latencies::drawn(latency));
    let pipeline = |cut: bool| {
        let mut links = LinkMatrix::default();
        if cut {
            links.cut(LINK.0, LINK.1);
        }
        let cuts = (Stage::Links, Arc::new(Cuts::new(&links)) as Arc<dyn Rule>);
        let rules = [cuts, (Stage::Latency, Arc::clone(&latencies) as Arc<dyn Rule>)].into();
        Pipeline::new(&rules, Sink::default(), Arc::clone(&shared))
    };
    let segment = |sequence, payload: &[u8]| frame((7, 8), sequence, 0x10, payload);
    let (open, cut) = (pipeline(false), pipeline(true));
    // The first is on its way when the cut begins, and is lost after the second.
    open.pass(LINK, &segment(1, b"a"));
    cut.pass(LINK, &segment(2, b"b"));
    manual.advance(high);
    let (due, _) = shared.delays.due(shared.clock.reading_ns());
    due.iter().for_each(|waiting| cut.go_on(waiting));
    cut.pass(LINK, &segment(1, b"a"));
    manual.advance(Duration::from_secs(100));
    open.heal();
    open.pass(LINK, &segment(3, b"c"));
    open.heal();
    assert!(open.devices().take().is_empty() && cut.devices().take().is_empty());
    manual.advance(Duration::from_nanos(latencies.of(LINK)));
    for expected in [b"a", b"b", b"c"] {
        let (due, _) = shared.delays.due(shared.clock.reading_ns());
        due.iter().for_each(|waiting| open.go_on(waiting));
        let delivered = open.devices().take();
        let payloads: Vec<_> =
            delivered.iter().map(|(_, frame)| Segment::of(frame).unwrap().payload).collect();
        assert_eq!(payloads, [expected], "each at an instant of its own");
        manual.advance(Duration::from_nanos(1));
    }
    assert_eq!(shared.delays.waiting(), 0);
}

#[test]
fn packets_are_due_in_order_of_their_times_on_all_links() {
    let delays = Delays::default();
    let put = |due_ns, link, number| {
        let waiting = Waiting { link, number, stage: Stage::Latency, frame: vec![0; 10] };
        assert_eq!(delays.put(Until::At(due_ns), waiting), Put::Waits);
    };
    for (number, due_ns) in [30, 10, 20, 10, 40].into_iter().enumerate() {
        put(due_ns, if number % 2 == 0 { LINK } else { (N2, N1) }, number as u64);
    }
    assert_eq!(delays.due(9), (vec![], Next::At(10)));
    let numbers = |waiting: Vec<Waiting>| waiting.iter().map(|w| w.number).collect::<Vec<_>>();
    let (due, next) = delays.due(30);
    assert_eq!((numbers(due), next), (vec![1, 3, 2, 0], Next::At(40)));
    // Times that no clock reaches are no holds: they are given up with their stage.
    put(u64::MAX, LINK, 7);
    let held = Waiting { link: LINK, number: 8, stage: Stage::Latency, frame: vec![] };
    let hold = delays.begin();
    assert_eq!(delays.put(Until::Released(vec![hold]), held), Put::Waits);
    assert!(delays.give_up(Stage::Watcher).is_empty());
    assert_eq!(numbers(delays.give_up(Stage::Latency)), [4, 7]);
    assert_eq!(delays.due(u64::MAX), (vec![], Next::Idle));
    assert_eq!(numbers(delays.end(hold)), [8]);
    delays.close();
    assert_eq!(delays.due(0), (vec![], Next::Closed));
}

#[test]
fn a_packet_waits_for_all_of_its_holds_and_for_none_that_has_ended() {
    let delays = Delays::default();
    let (a, b) = (delays.begin(), delays.begin());
    let waiting =
        |number| Waiting { link: LINK, number, stage: Stage::Connections, frame: vec![0; 10] };
    assert_eq!(delays.put(Until::Released(vec![a, b]), waiting(0)), Put::Waits);
    assert_eq!(delays.put(Until::Released(vec![b]), waiting(1)), Put::Waits);
    assert_eq!(delays.put(Until::Released(vec![a]), waiting(2)), Put::Waits);
    assert_eq!(delays.end(b), [waiting(1)]);
    assert_eq!(delays.put(Until::Released(vec![b]), waiting(3)), Put::Now(waiting(3)));
    assert_eq!(delays.end(a), [waiting(0), waiting(2)]);
    assert!(delays.end(a).is_empty());
}

#[test]
fn what_waits_on_a_link_is_bounded() {
    let net = net(None, None);
    let waiting =
        || Waiting { link: LINK, number: 0, stage: Stage::Watcher, frame: vec![0; 1 << 25] };
    for (due_ns, expected) in [(5, Put::Waits), (7, Put::Waits), (6, Put::Full)] {
        assert_eq!(net.shared.delays.put(Until::At(due_ns), waiting()), expected);
    }
    assert!(net.pass(LINK, b"long").is_empty());
    assert_eq!(net.counts(LINK), [0, 1, 0]);
    let last = net.shared.recorder.recording().packets.pop().unwrap();
    assert_eq!(last.outcome, Outcome::Dropped(Reason::Full));
    // Another link has its own room, and this one has it again.
    assert!(net.pass((N2, N1), b"wait").is_empty());
    assert_eq!(net.shared.delays.due(5).0.len(), 1);
    net.pass(LINK, b"long");
    assert_eq!((net.counts(LINK), net.counts((N2, N1))), ([0, 1, 0], [0, 0, 0]));
}
