//! Triggers that are armed: what they count, what they have fired at, what ends their actions.

use crate::link::{Flow, Link};
use crate::pipeline::Hold;
use fuzz_dist_clock::Clock;
use fuzz_dist_env::wire::{
    Action, Effect, Ends, Event, Fired, Progress, Protocol, Receiver, Seen, Trigger, What,
};
use fuzz_dist_env::{Error, HostId};
use std::collections::BTreeMap;
use tokio::sync::watch;

/// A trigger whose hosts are known, with what it has counted on every link.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    event: Event,
    from: Option<HostId>,
    to: Option<HostId>,
    nth: u64,
    middle: bool,
    counts: BTreeMap<Link, u64>,
}

impl Watched {
    /// Looks up the hosts' names, and what the protocol's messages carry for the names and kinds that were
    /// written.
    pub(super) fn new(
        trigger: &Trigger,
        protocol: Option<&dyn Protocol>,
        find: impl Fn(&str) -> Option<HostId>,
    ) -> Result<Watched, Error> {
        let host = |name: &Option<String>| match name {
            Some(name) => find(name).map(Some).ok_or_else(|| Error::UnknownHost(name.clone())),
            None => Ok(None),
        };
        Ok(Watched {
            event: match (&trigger.event, protocol) {
                (Event::MessageTo(written), Some(protocol)) => {
                    Event::MessageTo(protocol.name(written))
                }
                (Event::Control(written), Some(protocol)) => {
                    let kind = protocol.kind(written);
                    Event::Control(kind.map_err(|unknown| {
                        Error::Invalid(format!("`{trigger}` cannot be waited for: {unknown}"))
                    })?)
                }
                (other, _) => other.clone(),
            },
            from: host(&trigger.from)?,
            to: host(&trigger.to)?,
            nth: trigger.nth,
            middle: trigger.middle,
            counts: BTreeMap::new(),
        })
    }

    /// Can anything on this link fire it?
    pub(super) fn concerns(&self, link: Link) -> bool {
        self.from.is_none_or(|from| from == link.0) && self.to.is_none_or(|to| to == link.1)
    }

    /// Does it wait for an operation, and not for anything on a link?
    pub(super) fn is_operation(&self) -> bool {
        matches!(self.event, Event::Operation(_))
    }

    /// Counts something that was seen on a link; is it the one that was waited for?
    fn sees(&mut self, link: Link, what: &What) -> bool {
        self.concerns(link)
            && match (&self.event, what) {
                (Event::Tick, What::Tick) | (Event::Message, What::Message(_)) => true,
                (Event::Control(kind), What::Message(message)) => message.kind == **kind,
                (Event::MessageTo(name), What::Message(message)) => {
                    let is_it = matches!(&message.to, Receiver::Name(found) if **found == **name);
                    message.delivered && is_it
                }
                _ => false,
            }
            && self.count(link)
    }

    /// The links that an operation on a host concerns, if it is the one that was waited for.
    fn sees_operation(&mut self, host: HostId, f: &str, hosts: &[HostId]) -> Option<Vec<Link>> {
        let fits = matches!(&self.event, Event::Operation(wanted) if wanted == f)
            && self.from.is_none_or(|from| from == host)
            && self.count((host, host));
        let to = |other: &&HostId| **other != host && self.to.is_none_or(|to| to == **other);
        fits.then(|| hosts.iter().filter(to).map(|other| (host, *other)).collect())
    }

    fn count(&mut self, link: Link) -> bool {
        let count = self.counts.entry(link).or_default();
        *count += 1;
        *count == self.nth
    }
}

/// How an action ends by itself.
#[derive(Clone, Debug)]
enum End {
    Released,
    /// The waiting is done elsewhere.
    After,
    /// The flag: only after what fired it was delivered.
    Until(Watched, bool),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Armed,
    /// Seen, but the byte to act at is still to come.
    Pending(Flow, i64, String),
    Acting,
}

/// What follows from something that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The action begins at this place of the stream.
    Act(i64),
    /// It will, in a later segment.
    Wait,
    /// It ends, before or after the segment is delivered.
    End { after: bool },
}

/// A trigger and what happens when it fires.
#[derive(Debug)]
pub(super) struct ArmedTrigger {
    /// What packets wait for that it holds.
    pub(super) hold: Hold,
    trigger: Watched,
    pub(super) effect: Effect,
    end: End,
    state: State,
    /// The links that it cuts.
    pub(super) cuts: Vec<Link>,
    /// The links that it holds whole, whatever connection carries it.
    pub(super) holds: Vec<Link>,
    progress: watch::Sender<Progress>,
    clock: Clock,
}

impl ArmedTrigger {
    /// One that waits.
    pub(super) fn new(
        hold: Hold,
        trigger: &Trigger,
        action: &Action,
        protocol: Option<&dyn Protocol>,
        find: impl Fn(&str) -> Option<HostId>,
        clock: Clock,
    ) -> Result<(ArmedTrigger, watch::Receiver<Progress>), Error> {
        let end = match &action.ends {
            Ends::Released => End::Released,
            Ends::After(_) => End::After,
            Ends::Until(other) => End::Until(Watched::new(other, protocol, &find)?, false),
            Ends::UntilAfter(other) => End::Until(Watched::new(other, protocol, &find)?, true),
        };
        let (progress, watched) = watch::channel(Progress::default());
        let trigger = Watched::new(trigger, protocol, &find)?;
        let (effect, state) = (action.effect, State::Armed);
        let (cuts, holds) = (Vec::new(), Vec::new());
        let armed =
            ArmedTrigger { hold, trigger, effect, end, state, cuts, holds, progress, clock };
        Ok((armed, watched))
    }

    /// Does it matter to it in which order this link's bytes are seen?
    pub(super) fn concerns(&self, link: Link) -> bool {
        let until = |end: &End| matches!(end, End::Until(other, _) if other.concerns(link));
        self.trigger.concerns(link) || until(&self.end)
    }

    pub(super) fn trigger(&self) -> &Watched {
        &self.trigger
    }

    /// What follows from something that was seen in a segment that begins at `at` and ends at `end`.
    pub(super) fn sees(&mut self, flow: Flow, seen: &Seen, at: i64, end: i64) -> Option<Step> {
        match &mut self.state {
            State::Armed if self.trigger.sees(flow.link, &seen.what) => {
                let middle = i64::from(self.trigger.middle) * ((seen.end - seen.at) / 2);
                // What was delivered already cannot be taken back.
                let place = (seen.at + middle).max(at);
                if place < end {
                    return Some(Step::Act(place));
                }
                self.state = State::Pending(flow, place, seen.what.to_string());
                Some(Step::Wait)
            }
            State::Acting => match &mut self.end {
                End::Until(other, after) => {
                    other.sees(flow.link, &seen.what).then_some(Step::End { after: *after })
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The place at which it acts in this segment, where it was seen in an earlier one.
    pub(super) fn due(&self, flow: Flow, at: i64, end: i64) -> Option<(i64, String)> {
        match &self.state {
            State::Pending(pending, place, what) if *pending == flow && *place < end => {
                Some(((*place).max(at), what.clone()))
            }
            _ => None,
        }
    }

    /// The links that it acts on from now on, if this operation is what it waits for; the flag
    /// says that it ends instead.
    pub(super) fn sees_operation(
        &mut self,
        host: HostId,
        f: &str,
        hosts: &[HostId],
    ) -> Option<(Vec<Link>, bool)> {
        match (&self.state, &mut self.end) {
            (State::Armed, _) => {
                self.trigger.sees_operation(host, f, hosts).map(|links| (links, false))
            }
            (State::Acting, End::Until(other, _)) => {
                other.sees_operation(host, f, hosts).map(|links| (links, true))
            }
            _ => None,
        }
    }

    /// It acts from now on.
    pub(super) fn fire(&mut self, link: Link, what: String) {
        self.state = State::Acting;
        let (from, to) = link;
        let fired = Fired { from, to, what, at_ns: self.clock.reading_ns() };
        self.progress.send_modify(|progress| progress.fired = Some(fired));
    }

    /// It has kept one more segment.
    pub(super) fn held(&self) {
        self.progress.send_modify(|progress| progress.held += 1);
    }

    /// It is over.
    pub(super) fn over(self) {
        let now_ns = self.clock.reading_ns();
        self.progress.send_modify(|progress| progress.ended_ns = Some(now_ns));
    }
}
