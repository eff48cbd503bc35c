//! The connections that are followed and the rules that wait, behind the tap's lock.

use super::followed::Followed;
use super::{Out, Own, Passage};
use crate::policy::LinkSet;
use crate::tcp::Segment;
use crate::triggers::{Flow, Link, Rule, Step};
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
    pub(super) rules: Vec<Rule>,
    pub(super) last_id: u64,
    pub(super) cuts: LinkSet,
    /// How often the cuts have changed.
    pub(super) changes: u64,
    /// What a segment showed; kept for its room.
    seen: Vec<Seen>,
}

impl Inner {
    pub(super) fn new(protocol: Option<Arc<dyn Protocol>>, clock: Clock) -> Inner {
        let (flows, rules, cuts, seen) = Default::default();
        Inner { protocol, clock, flows, rules, last_id: 0, cuts, changes: 0, seen }
    }

    /// Follows a segment that is not cut off, and lets the rules act.
    pub(super) fn pass(&mut self, link: Link, segment: &Segment<'_>) -> Option<Passage> {
        let protocol = Arc::clone(self.protocol.as_ref()?);
        let flow = Flow { link, ports: segment.ports };
        if segment.is_syn() {
            let first = segment.sequence.wrapping_add(1);
            self.forget_if_full();
            self.flows.insert(flow, Followed::new(protocol.started(first)));
            return None;
        }
        if segment.payload.is_empty() {
            // The end of a connection.
            if self.flows.get(&flow).is_some_and(|f| f.held.is_empty()) {
                self.flows.remove(&flow);
            }
            return None;
        }
        if !self.flows.contains_key(&flow) {
            self.forget_if_full();
        }
        let joined = || Followed::new(protocol.joined());
        let followed = self.flows.entry(flow).or_insert_with(joined);
        let follower = followed.follower.as_mut().ok()?;
        // Behind a gap nobody knows where a message begins: it comes again when the gap is filled.
        if follower.place(segment.sequence) > follower.next()
            && self.rules.iter().any(|rule| rule.concerns(link))
        {
            return Some(Passage { lost: true, ..Passage::default() });
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
        followed.count(&seen, &self.clock);
        // One that is new, or was not seen before, on a link that is held: from what it begins with.
        if let Some(first) = seen.first() {
            let holds = |rule: &&Rule| rule.holds.contains(&link) && !followed.held.has(rule.id);
            let new: Vec<u64> = self.rules.iter().filter(holds).map(|rule| rule.id).collect();
            new.into_iter().for_each(|id| followed.held.hold(first.at, id));
        }
        let passage = match at {
            Some(at) if !self.rules.is_empty() => Some(self.act(flow, segment, at, &seen)),
            _ => None,
        };
        self.seen = seen;
        passage
    }

    /// What the rules make of a segment whose place is known.
    fn act(&mut self, flow: Flow, segment: &Segment<'_>, at: i64, seen: &[Seen]) -> Passage {
        let end = at + segment.payload.len() as i64;
        let mut acting: Vec<(u64, i64)> = Vec::new();
        let (mut ending, mut ending_after) = (Vec::new(), Vec::new());
        for rule in &mut self.rules {
            if let Some((place, what)) = rule.due(flow, at, end) {
                acting.push((rule.id, place));
                rule.fire(flow.link, what);
            }
            for one in seen {
                match rule.sees(flow, one, at, end) {
                    Some(Step::Act(place)) => {
                        acting.push((rule.id, place));
                        rule.fire(flow.link, one.what.to_string());
                    }
                    Some(Step::End { after: false }) => ending.push(rule.id),
                    Some(Step::End { after: true }) => ending_after.push(rule.id),
                    Some(Step::Wait) | None => {}
                }
            }
        }
        let mut cut_at = end;
        for (id, place) in acting {
            if self.begin(id, flow, place) {
                cut_at = cut_at.min(place);
            }
        }
        // What is held of this very stream comes before the segment in any case.
        let here = |inner: &Inner, id: &u64| {
            inner.flows.get(&flow).is_some_and(|followed| followed.held.has(*id))
        };
        let (early, late): (Vec<u64>, Vec<u64>) =
            ending_after.into_iter().partition(|id| here(self, id));
        let ended = |id: &u64| ending.contains(id) || early.contains(id) || late.contains(id);
        let opened = self.rules.iter().any(|rule| ended(&rule.id) && !rule.cuts.is_empty());
        let mut passage = Passage { opened, ..Passage::default() };
        for id in ending.into_iter().chain(early) {
            passage.before.extend(self.release(id));
        }
        self.own(flow, segment, at, cut_at, &mut passage);
        for id in late {
            passage.after.extend(self.release(id));
        }
        passage
    }

    /// What of the segment itself is delivered; the rest is kept, or lost from `cut_at` on.
    fn own(
        &mut self,
        flow: Flow,
        segment: &Segment<'_>,
        at: i64,
        cut_at: i64,
        passage: &mut Passage,
    ) {
        let Some(followed) = self.flows.get_mut(&flow) else { return };
        let length = segment.payload.len();
        let place = |place: i64| usize::try_from(place.saturating_sub(at)).unwrap_or(0).min(length);
        let (limit, cut) = (followed.held.limit(), place(cut_at));
        passage.lost = cut < length;
        let free = place(limit).min(cut);
        if free == length {
            passage.own = Own::Whole;
            return;
        }
        if free > 0 {
            passage.own = Own::Part(segment.part(0..free));
        }
        let from = place(followed.held.next().max(limit));
        if limit < cut_at && from < cut {
            let rule = followed.held.keep(at + from as i64, segment.part(from..cut), cut - from);
            if let Some(rule) = self.rules.iter().find(|r| Some(r.id) == rule) {
                rule.held();
            }
            // The acknowledgement that it carries goes on: the other direction is not held.
            if free == 0 {
                passage.own = Own::Part(segment.part(from..from));
            }
        }
    }

    /// The action of a rule that has fired begins; does it cut the link of this flow?
    fn begin(&mut self, id: u64, flow: Flow, place: i64) -> bool {
        let Some(rule) = self.rules.iter_mut().find(|rule| rule.id == id) else { return false };
        let (from, to) = flow.link;
        match rule.effect {
            Effect::Cut => rule.cuts = vec![(from, to), (to, from)],
            Effect::CutOneWay => rule.cuts = vec![(from, to)],
            Effect::Hold => {
                if let Some(followed) = self.flows.get_mut(&flow) {
                    followed.held.hold(place, id);
                }
                return false;
            }
        }
        self.count_cuts();
        true
    }

    pub(super) fn before_operation(&mut self, host: HostId, f: &str, hosts: &[HostId]) -> Vec<Out> {
        let (mut ending, mut holding) = (Vec::new(), Vec::new());
        for rule in &mut self.rules {
            match rule.sees_operation(host, f, hosts) {
                None => {}
                Some((_, true)) => ending.push(rule.id),
                Some((links, false)) => {
                    let link = links.first().copied().unwrap_or((host, host));
                    rule.fire(link, format!("operation {f}"));
                    match rule.effect {
                        Effect::Cut => {
                            let both = |(a, b)| [(a, b), (b, a)];
                            rule.cuts = links.into_iter().flat_map(both).collect();
                        }
                        Effect::CutOneWay => rule.cuts = links,
                        Effect::Hold => {
                            rule.holds.clone_from(&links);
                            holding.push((rule.id, links));
                        }
                    }
                }
            }
        }
        for (id, links) in holding {
            let held = self.flows.iter_mut().filter(|(flow, _)| links.contains(&flow.link));
            for (_, followed) in held {
                if let Some(next) =
                    followed.follower.as_ref().ok().and_then(|follower| follower.next())
                {
                    followed.held.hold(next, id);
                }
            }
        }
        self.count_cuts();
        ending.into_iter().flat_map(|id| self.release(id)).collect()
    }

    pub(super) fn release(&mut self, id: u64) -> Vec<Out> {
        let Some(place) = self.rules.iter().position(|rule| rule.id == id) else {
            return Vec::new();
        };
        self.rules.remove(place).over();
        self.count_cuts();
        let mut released = Vec::new();
        for (flow, followed) in &mut self.flows {
            let frames = followed.held.release(id);
            released.extend(frames.into_iter().map(|frame| (flow.link, frame)));
        }
        released
    }

    fn count_cuts(&mut self) {
        let cuts = self.rules.iter().flat_map(|rule| rule.cuts.iter().copied()).collect();
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
