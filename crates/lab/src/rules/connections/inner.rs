//! The connections that are followed and the triggers that wait, behind the rule's lock.

use super::followed::Followed;
use super::triggers::{ArmedTrigger, Step};
use crate::link::{Flow, LinkSet};
use crate::pipeline::{Decision, Hold, Packet, Piece, Until};
use crate::recorder::Reason;
use crate::tcp::Segment;
use fuzz_dist_clock::Clock;
use fuzz_dist_env::HostId;
use fuzz_dist_env::wire::{Effect, Protocol, Seen};
use std::collections::HashMap;
use std::sync::Arc;

/// Connections that are remembered at most; the end of one is not always seen.
const FLOWS_MAX: usize = 1 << 14;

#[derive(Debug)]
pub(super) struct Inner {
    /// Without one nothing is followed, and only operations fire triggers.
    pub(super) protocol: Option<Arc<dyn Protocol>>,
    pub(super) clock: Clock,
    pub(super) flows: HashMap<Flow, Followed>,
    /// In the order in which they were armed.
    pub(super) armed: Vec<ArmedTrigger>,
    pub(super) cuts: LinkSet,
    /// How often the cuts have changed.
    pub(super) changes: u64,
    /// What a segment showed; kept for its room.
    seen: Vec<Seen>,
}

impl Inner {
    pub(super) fn new(protocol: Option<Arc<dyn Protocol>>, clock: Clock) -> Inner {
        let (flows, armed, cuts, seen) = Default::default();
        Inner { protocol, clock, flows, armed, cuts, changes: 0, seen }
    }

    /// Follows a segment that is not cut off, and lets the triggers act.
    pub(super) fn pass(&mut self, packet: &Packet<'_>, segment: &Segment<'_>) -> Decision {
        let Some(protocol) = self.protocol.clone() else { return Decision::Pass };
        let link = packet.link;
        let flow = Flow { link, ports: segment.ports };
        if segment.is_syn() {
            let first = segment.sequence.wrapping_add(1);
            // A prompt heal may deliver one whose repetition has begun the connection already.
            let followed = self.flows.get(&flow).and_then(|known| known.follower.as_ref().ok());
            if followed.is_some_and(|follower| follower.place(first) == Some(0)) {
                return Decision::Pass;
            }
            self.forget_if_full();
            self.flows.insert(flow, Followed::new(protocol.started(first)));
            return Decision::Pass;
        }
        if segment.payload.is_empty() {
            // The end of a connection.
            if self.flows.get(&flow).is_some_and(|f| f.held.is_empty()) {
                self.flows.remove(&flow);
            }
            return Decision::Pass;
        }
        if !self.flows.contains_key(&flow) {
            self.forget_if_full();
        }
        let joined = || Followed::new(protocol.joined());
        let followed = self.flows.entry(flow).or_insert_with(joined);
        let Ok(follower) = followed.follower.as_mut() else { return Decision::Pass };
        // Behind a gap nobody knows where a message begins: it comes again when the gap is filled.
        if follower.place(segment.sequence) > follower.next()
            && self.armed.iter().any(|armed| armed.concerns(link))
        {
            return Decision::Drop(Reason::Gap);
        }
        let mut seen = std::mem::take(&mut self.seen);
        seen.clear();
        let fed = follower.feed(segment.sequence, segment.payload, &mut |one| seen.push(one));
        let at = match fed {
            Ok(at) => at,
            Err(error) => {
                followed.follower = Err(error);
                None
            }
        };
        followed.count(&seen, packet.at_ns);
        // One that is new, or was not seen before, on a link that is held: from what it begins with.
        if let Some(first) = seen.first() {
            for armed in self.armed.iter().filter(|armed| armed.holds.contains(&link)) {
                if !followed.held.has(armed.hold) {
                    followed.held.hold(first.at, armed.hold);
                }
            }
        }
        let decision = match at {
            Some(at) if !self.armed.is_empty() => self.act(flow, segment, at, &seen),
            _ => Decision::Pass,
        };
        self.seen = seen;
        decision
    }

    /// What the triggers make of a segment whose place is known.
    fn act(&mut self, flow: Flow, segment: &Segment<'_>, at: i64, seen: &[Seen]) -> Decision {
        let end = at + segment.payload.len() as i64;
        let mut acting: Vec<(Hold, i64)> = Vec::new();
        let (mut ending, mut ending_after) = (Vec::new(), Vec::new());
        for armed in &mut self.armed {
            if let Some((place, what)) = armed.due(flow, at, end) {
                acting.push((armed.hold, place));
                armed.fire(flow.link, what);
            }
            for one in seen {
                match armed.sees(flow, one, at, end) {
                    Some(Step::Act(place)) => {
                        acting.push((armed.hold, place));
                        armed.fire(flow.link, one.what.to_string());
                    }
                    Some(Step::End { after: false }) => ending.push(armed.hold),
                    Some(Step::End { after: true }) => ending_after.push(armed.hold),
                    Some(Step::Wait) | None => {}
                }
            }
        }
        let mut cut_at = end;
        for (hold, place) in acting {
            if self.begin(hold, flow, place) {
                cut_at = cut_at.min(place);
            }
        }
        // What is held of this very stream comes before the segment in any case.
        let here =
            |hold: &Hold| self.flows.get(&flow).is_some_and(|followed| followed.held.has(*hold));
        let (early, late): (Vec<Hold>, Vec<Hold>) = ending_after.into_iter().partition(here);
        let mut pieces = Vec::new();
        for hold in ending.into_iter().chain(early) {
            self.end(hold);
            pieces.push(Piece::Release(hold));
        }
        self.own(flow, segment, at, cut_at, &mut pieces);
        for hold in late {
            self.end(hold);
            pieces.push(Piece::Release(hold));
        }
        match &*pieces {
            [Piece::Whole] => Decision::Pass,
            _ => Decision::Rewrite(pieces),
        }
    }

    /// What of the segment itself goes on; the rest waits, or is dropped from `cut_at` on.
    fn own(
        &mut self,
        flow: Flow,
        segment: &Segment<'_>,
        at: i64,
        cut_at: i64,
        pieces: &mut Vec<Piece>,
    ) {
        let Some(followed) = self.flows.get_mut(&flow) else { return };
        let length = segment.payload.len();
        let place = |place: i64| usize::try_from(place.saturating_sub(at)).unwrap_or(0).min(length);
        let (limit, cut) = (followed.held.limit(), place(cut_at));
        let free = place(limit).min(cut);
        if free == length {
            pieces.push(Piece::Whole);
            return;
        }
        if free > 0 {
            pieces.push(Piece::Frame(segment.part(0..free)));
        }
        let from = place(followed.held.next().max(limit));
        if limit < cut_at && from < cut {
            // The acknowledgement that it carries goes on: the other direction is not held.
            if free == 0 {
                pieces.push(Piece::Frame(segment.part(from..from)));
            }
            for (part, holds) in followed.held.keep(at + from as i64..at + cut as i64) {
                let frame = segment.part(place(part.start)..place(part.end));
                pieces.push(Piece::Delayed(Until::Released(holds), frame));
            }
            let first = followed.held.first();
            if let Some(armed) = self.armed.iter().find(|armed| Some(armed.hold) == first) {
                armed.held();
            }
        }
        if cut < length {
            pieces.push(Piece::Dropped(Reason::Trigger));
        }
    }

    /// The action of a trigger that has fired begins; does it cut the link of this flow?
    fn begin(&mut self, hold: Hold, flow: Flow, place: i64) -> bool {
        let Some(armed) = self.armed.iter_mut().find(|armed| armed.hold == hold) else {
            return false;
        };
        let (from, to) = flow.link;
        match armed.effect {
            Effect::Cut => armed.cuts = vec![(from, to), (to, from)],
            Effect::CutOneWay => armed.cuts = vec![(from, to)],
            Effect::Hold => {
                if let Some(followed) = self.flows.get_mut(&flow) {
                    followed.held.hold(place, hold);
                }
                return false;
            }
        }
        self.count_cuts();
        true
    }

    /// Gives the triggers whose actions it ends.
    pub(super) fn before_operation(
        &mut self,
        host: HostId,
        f: &str,
        hosts: &[HostId],
    ) -> Vec<Hold> {
        let (mut ending, mut holding) = (Vec::new(), Vec::new());
        for armed in &mut self.armed {
            match armed.sees_operation(host, f, hosts) {
                None => {}
                Some((_, true)) => ending.push(armed.hold),
                Some((links, false)) => {
                    let link = links.first().copied().unwrap_or((host, host));
                    armed.fire(link, format!("operation {f}"));
                    match armed.effect {
                        Effect::Cut => {
                            let both = |(a, b)| [(a, b), (b, a)];
                            armed.cuts = links.into_iter().flat_map(both).collect();
                        }
                        Effect::CutOneWay => armed.cuts = links,
                        Effect::Hold => {
                            armed.holds.clone_from(&links);
                            holding.push((armed.hold, links));
                        }
                    }
                }
            }
        }
        for (hold, links) in holding {
            let held = self.flows.iter_mut().filter(|(flow, _)| links.contains(&flow.link));
            for (_, followed) in held {
                if let Some(next) =
                    followed.follower.as_ref().ok().and_then(|follower| follower.next())
                {
                    followed.held.hold(next, hold);
                }
            }
        }
        self.count_cuts();
        ending.iter().for_each(|hold| self.end(*hold));
        ending
    }

    /// Ends a trigger and its action; what waits for it is released by the pipeline.
    pub(super) fn end(&mut self, hold: Hold) {
        let Some(place) = self.armed.iter().position(|armed| armed.hold == hold) else { return };
        self.armed.remove(place).over();
        self.count_cuts();
        self.flows.values_mut().for_each(|followed| followed.held.release(hold));
    }

    fn count_cuts(&mut self) {
        let cuts = self.armed.iter().flat_map(|armed| armed.cuts.iter().copied()).collect();
        self.changes += u64::from(self.cuts != cuts);
        self.cuts = cuts;
    }

    /// Room for a new connection: those of which nothing is held can be joined again.
    fn forget_if_full(&mut self) {
        if self.flows.len() >= FLOWS_MAX {
            self.flows.retain(|_, followed| !followed.held.is_empty());
        }
    }
}
