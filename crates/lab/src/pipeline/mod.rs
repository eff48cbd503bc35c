//! The way of a packet: one pipeline of rules, which every packet meets in the same order.
//!
//! A rule passes a packet, drops it, delays it, or replaces it by others. What no rule concerns goes to
//! its receiver without a lock and without an allocation. The outcome of every packet is recorded.

mod delays;
mod packet;
#[cfg(test)]
pub(super) mod tests;

use super::link::{Link, LinkSet};
use super::recorder::{Outcome, Reason, Recorder};
pub(super) use delays::{Delays, Hold, Next, Put, Until, Waiting};
use fuzz_dist_clock::Clock;
use fuzz_dist_env::Heal;
pub(super) use packet::Packet;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The stages of the pipeline, in the order in which packets meet them. Each has at most one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The matrix of links: `rules/cuts.rs`.
    Links,
    /// A watcher of chosen links: `rules/watch.rs`.
    Watcher,
    /// Connections that are followed, with the triggers that wait: `rules/connections`.
    Connections,
    /// The latency of links: `rules/latency.rs`.
    Latency,
}

/// A rule of the pipeline. The threads of all sending hosts ask it, possibly at the same time.
pub(super) trait Rule: Send + Sync {
    /// The links whose packets it decides on; asked once, when the rule is put in place.
    fn links(&self) -> LinkSet;

    /// Decides on a packet of one of these links.
    fn decide(&self, packet: &Packet<'_>) -> Decision;

    /// Why it drops everything on a link now, if it does. Packets that have waited at this stage or a
    /// later one are asked about, too, before they go on.
    fn cut(&self, _link: Link) -> Option<Reason> {
        None
    }
}

/// What a rule decides.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The packet goes on to the next rule.
    Pass,
    /// It is dropped.
    Drop(Reason),
    /// It waits, and goes on to the next rule then, unless its link is cut by then.
    Delay(Until),
    /// These in its stead, in this order.
    Rewrite(Vec<Piece>),
}

/// One part of what replaces a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// The packet as it is goes on to the next rule.
    Whole,
    /// This frame does.
    Frame(Vec<u8>),
    /// This frame does, after a wait.
    Delayed(Until, Vec<u8>),
    /// A part of the packet is dropped, or all of it.
    Dropped(Reason),
    /// A hold ends: what waits for nothing else goes on, whatever link it is on.
    Release(Hold),
}

/// What takes frames to their receivers.
pub(super) trait Devices {
    /// Whether the device of the link's receiver took the frame.
    fn write(&self, link: Link, frame: &[u8]) -> bool;
}

/// What stays when rules are replaced.
pub(super) struct Shared {
    pub(super) recorder: Recorder,
    pub(super) delays: Delays,
    pub(super) clock: Clock,
}

impl Shared {
    pub(super) fn new(heal: Heal, clock: Clock) -> Shared {
        Shared { recorder: Recorder::new(heal), delays: Delays::default(), clock }
    }
}

/// The rules in force and the devices behind them: a value that is replaced as a whole, so that a change
/// of many links is one change.
pub(super) struct Pipeline<D> {
    rules: Vec<Installed>,
    /// The links that any rule concerns.
    concerned: LinkSet,
    devices: D,
    shared: Arc<Shared>,
}

struct Installed {
    stage: Stage,
    links: LinkSet,
    rule: Arc<dyn Rule>,
}

impl<D: Devices> Pipeline<D> {
    pub(super) fn new(
        rules: &BTreeMap<Stage, Arc<dyn Rule>>,
        devices: D,
        shared: Arc<Shared>,
    ) -> Self {
        let install = |(stage, rule): (&Stage, &Arc<dyn Rule>)| Installed {
            stage: *stage,
            links: rule.links(),
            rule: Arc::clone(rule),
        };
        let rules: Vec<Installed> = rules.iter().map(install).collect();
        let mut concerned = LinkSet::default();
        rules.iter().for_each(|installed| concerned.add(&installed.links));
        Pipeline { rules, concerned, devices, shared }
    }

    pub(super) fn devices(&self) -> &D {
        &self.devices
    }

    /// A frame that a host has sent.
    pub(super) fn pass(&self, link: Link, frame: &[u8]) {
        let number = self.shared.recorder.next_packet(link);
        let at_ns = self.shared.clock.reading_ns();
        if self.concerned.contains(link) {
            self.walk(&Packet::new(link, number, at_ns, frame), None);
        } else {
            self.deliver(link, at_ns, frame);
        }
    }

    /// Shows a packet to the rules of the stages after one, and does what they decide.
    fn walk(&self, packet: &Packet<'_>, after: Option<Stage>) {
        let concerns =
            |one: &&Installed| Some(one.stage) > after && one.links.contains(packet.link);
        for one in self.rules.iter().filter(concerns) {
            match one.rule.decide(packet) {
                Decision::Pass => {}
                Decision::Drop(reason) => return self.drop_packet(packet, reason),
                Decision::Delay(until) => {
                    return self.delay(packet, one.stage, until, packet.frame.to_vec());
                }
                Decision::Rewrite(pieces) => {
                    return pieces.into_iter().for_each(|piece| self.put(packet, one.stage, piece));
                }
            }
        }
        self.deliver(packet.link, packet.at_ns, packet.frame);
    }

    fn put(&self, packet: &Packet<'_>, stage: Stage, piece: Piece) {
        match piece {
            Piece::Whole => self.walk(packet, Some(stage)),
            Piece::Frame(frame) => self.walk(&packet.with(&frame), Some(stage)),
            Piece::Delayed(until, frame) => self.delay(packet, stage, until, frame),
            Piece::Dropped(reason) => self.drop_packet(packet, reason),
            Piece::Release(hold) => self.release(hold),
        }
    }

    fn delay(&self, packet: &Packet<'_>, stage: Stage, until: Until, frame: Vec<u8>) {
        let waiting = Waiting { link: packet.link, number: packet.number, stage, frame };
        match self.shared.delays.put(until, waiting) {
            Put::Waits => {}
            Put::Now(waiting) => self.go_on(&waiting),
            Put::Full => self.drop_packet(packet, Reason::Full),
        }
    }

    /// A packet that has waited goes on, unless its link is cut by now.
    pub(super) fn go_on(&self, waiting: &Waiting) {
        let at_ns = self.shared.clock.reading_ns();
        let packet = Packet::new(waiting.link, waiting.number, at_ns, &waiting.frame);
        match self.cut(waiting.link) {
            Some(reason) => self.drop_packet(&packet, reason),
            None => self.walk(&packet, Some(waiting.stage)),
        }
    }

    /// Ends a hold, and everything that it caused.
    pub(super) fn release(&self, hold: Hold) {
        self.shared.delays.end(hold).iter().for_each(|waiting| self.go_on(waiting));
        self.heal();
    }

    /// Where heals are prompt: sends what was dropped on links that are open now, as its sender would do later. It
    /// meets every rule: what is delivered past one that counts or follows packets would be missing there for ever,
    /// since TCP does not send again what has arrived.
    pub(super) fn heal(&self) {
        let frames = self.shared.recorder.take_dropped(|link| self.cut(link).is_none());
        frames.iter().for_each(|(link, frame)| self.pass(*link, frame));
    }

    /// Why a link is cut, if it is.
    fn cut(&self, link: Link) -> Option<Reason> {
        self.rules.iter().find_map(|one| one.rule.cut(link))
    }

    fn drop_packet(&self, packet: &Packet<'_>, reason: Reason) {
        let outcome = Outcome::Dropped(reason);
        self.shared.recorder.record(packet.link, packet.at_ns, packet.frame, outcome);
    }

    fn deliver(&self, link: Link, at_ns: u64, frame: &[u8]) {
        let taken = self.devices.write(link, frame);
        let outcome = if taken { Outcome::Delivered } else { Outcome::Failed };
        self.shared.recorder.record(link, at_ns, frame, outcome);
    }
}
