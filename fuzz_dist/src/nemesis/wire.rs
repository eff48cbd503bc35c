//! Faults placed by what is seen on the wire, instead of by the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Boundaries, Check, Fault, Hit, Nemesis, Plan, Targets};
use crate::clock::Clock;
use crate::db::Facts;
use crate::env::wire::{Action, Armed, Connection, Fired, Trigger, cut, hold, message, tick};
use crate::env::{Error as EnvError, Facet, HostId};
use crate::error::Error;
use crate::grudge::Member;
use crate::node::Node;
use crate::op::{Name, Value};
use crate::random::Stream;

/// How long a message or an operation may be awaited.
const MESSAGE_LIMIT: Duration = Duration::from_secs(5);
/// The longest wait for a tick; starting a fault has a limit of its own.
const TICK_LIMIT_MAX: Duration = Duration::from_secs(80);
/// The call time-out of `gen_server` is 5 s: a message that is held this long comes too late.
const HELD: Duration = Duration::from_secs(6);
/// `cut_at_tick` draws the tick out of so many.
const TICKS: usize = 3;

/// Cuts the link between two random nodes exactly at a tick of one of them: the first, second or
/// third that it sends after the fault began is the first packet that is lost.
///
/// A node takes another for down when it has heard nothing for `net_ticktime`, looked at four times
/// in it: a cut at a tick is seen as early as any can be, and with `lasting` close to net_ticktime it
/// lies at the boundary by the node's own clock, not by the wall's. Ticks are sent only on links
/// that carry nothing else, so that links are drawn on which some were seen a moment ago, if there are
/// any. Finds: what goes wrong when one side of a link sees a nodedown and the other just does not.
#[fuzz_dist::nemesis("cut_at_tick", aliases = ["tick_trigger"])]
pub fn cut_at_tick() -> Nemesis {
    let draw = |pair: Pair<'_>, random: &mut Stream| {
        tick(1 + random.index(TICKS) as u64).from(pair.0).to(pair.1)
    };
    WireFault::new("cut_at_tick", Choice::Drawn(Seen::Ticks, draw), cut()).into()
}

/// Holds the next message of a random node to another, and what follows on that connection in that
/// direction, for 6 s (or `lasting`): longer than calls wait by default. Links are drawn that have
/// carried messages, if there are any.
///
/// Finds: calls that timed out, were reported as failed, and are executed all the same; answers
/// that are taken for those of the next call.
#[fuzz_dist::nemesis("hold_message")]
pub fn hold_message() -> Nemesis {
    let draw = |pair: Pair<'_>, _: &mut Stream| message().from(pair.0).to(pair.1);
    WireFault::new("hold_message", Choice::Drawn(Seen::Messages, draw), hold()).into()
}

/// An action at a trigger: a cut at a tick, a message that is held, half of a message.
///
/// Each occurrence arms the trigger, waits until it fires (5 s for messages; as many ticks as it
/// counts, and one more), and undoes the action when it has lasted long enough. One that does not
/// fire is *ineffective*, and its evidence says what was seen instead.
///
/// ```
/// use fuzz_dist::env::wire::{cut, delay, message_to, middle_of, tick};
/// use fuzz_dist::nemesis::{Nemesis, at};
/// use fuzz_dist::time::secs;
///
/// let late: Nemesis = at(message_to("counter").to("n1"), delay(secs(6))).every(secs(12));
/// let half = at(middle_of(message_to("rex")), cut()).lasting(secs(8));
/// assert_eq!(&*late.and(half).name(), "delay+cut");
/// ```
pub fn at(trigger: Trigger, action: Action) -> Nemesis {
    WireFault::new(action.name(), Choice::Given(trigger), action).into()
}

/// Two nodes: who sends, and to whom.
type Pair<'a> = (&'a str, &'a str);

/// The trigger of an occurrence.
#[derive(Clone, Debug)]
enum Choice {
    Given(Trigger),
    /// On a link on which something was seen before, if there is one.
    Drawn(Seen, fn(Pair<'_>, &mut Stream) -> Trigger),
}

/// What a link must have carried to be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Ticks, a moment ago: later it may have become busy.
    Ticks,
    Messages,
}

impl Seen {
    /// The links that can be expected to carry it again, from the first to the second host.
    fn on(
        self,
        connections: &[Connection],
        lately: Duration,
        clock: &Clock,
    ) -> BTreeSet<(HostId, HostId)> {
        let ago = |at_ns: u64| Duration::from_nanos(clock.reading_ns().saturating_sub(at_ns));
        let lately = |at_ns: Option<u64>| at_ns.is_some_and(|at_ns| ago(at_ns) < lately);
        let carried = |c: &&Connection| match self {
            Seen::Ticks => lately(c.ticked_ns),
            Seen::Messages => c.messages > 0,
        };
        connections.iter().filter(carried).map(|c| (c.from, c.to)).collect()
    }
}

/// See [`at`].
#[derive(Debug)]
pub struct WireFault {
    name: Name,
    choice: Choice,
    action: Action,
    /// What was armed and is not undone, by the number of its occurrence.
    running: Mutex<BTreeMap<u64, Armed>>,
}

/// A drawn trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WirePlan {
    /// The nodes that the trigger names, or all.
    #[serde(flatten)]
    pub hit: Hit,
    /// What it waits for.
    pub trigger: Trigger,
    /// Distinguishes the occurrence from others.
    pub number: u64,
}

impl Plan for WirePlan {
    fn hit(&self) -> &Hit {
        &self.hit
    }
}

impl WireFault {
    fn new(name: &str, choice: Choice, action: Action) -> WireFault {
        WireFault { name: name.into(), choice, action, running: Mutex::default() }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<u64, Armed>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a trigger was not armed: the test asks for what cannot be, or the environment fails.
fn refused(error: EnvError) -> Error {
    match error {
        EnvError::Invalid(text) => Error::usage(text),
        other => Error::environment(other),
    }
}

/// Looks whether the links are as everything that acts says.
async fn proved(targets: Targets<'_>, evidence: &mut Vec<(&'static str, Value)>) -> Option<bool> {
    let proof = targets.cluster.links().prove().await;
    evidence.push(("links", proof.evidence()));
    proof.holds()
}

/// What a trigger fired at, as evidence.
fn seen(targets: Targets<'_>, fired: &Fired) -> Vec<(&'static str, Value)> {
    let nodes = targets.cluster.nodes();
    let name = |host| nodes.iter().find(|n| n.host() == host).map_or("?", Node::name);
    let link = format!("{} -> {}", name(fired.from), name(fired.to));
    vec![("seen", fired.what.clone().into()), ("link", link.into())]
}

impl Fault for WireFault {
    type Plan = WirePlan;

    fn name(&self) -> Name {
        self.name.clone()
    }

    fn lasts(&self) -> Option<Duration> {
        self.action.lasts().or((!self.action.cuts()).then_some(HELD))
    }

    fn lead(&self, facts: &Facts) -> Duration {
        let ticks = match &self.choice {
            Choice::Given(trigger) => trigger.ticks(),
            Choice::Drawn(Seen::Ticks, _) => Some(TICKS as u64),
            Choice::Drawn(Seen::Messages, _) => None,
        };
        match (ticks, facts.net_ticktime) {
            (Some(n), Some(t)) => {
                let tick = Boundaries::with_ticktime(t).tick();
                (tick * u32::try_from(n + 2).unwrap_or(u32::MAX)).min(TICK_LIMIT_MAX)
            }
            _ => MESSAGE_LIMIT,
        }
    }

    fn needs(&self) -> Vec<Facet> {
        vec![Facet::Wire]
    }

    fn fits(&self, nodes: &[Member]) -> Result<(), Error> {
        if nodes.len() < 2 {
            return Err(Error::usage(format!("`{}` needs two nodes; raise `nodes`", self.name)));
        }
        let Choice::Given(trigger) = &self.choice else { return Ok(()) };
        let known = |name: &&str| nodes.iter().any(|node| *node.name == **name);
        match trigger.hosts().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => Err(Error::usage(format!(
                "`{}` waits for {trigger}, but there is no node `{name}`; there are {}",
                self.name,
                nodes.iter().map(|node| node.name.to_string()).collect::<Vec<_>>().join(", ")
            ))),
        }
    }

    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<WirePlan, Error> {
        let trigger = match &self.choice {
            Choice::Given(trigger) => trigger.clone(),
            Choice::Drawn(seen, draw) => {
                let lead = self.lead(&targets.db.facts());
                let connections = targets.cluster.wire().map(|wire| wire.connections());
                let carried =
                    seen.on(&connections.unwrap_or_default(), lead, targets.cluster.clock());
                let mut nodes = targets.cluster.nodes();
                random.shuffle(&mut nodes);
                let links = nodes.iter().flat_map(|a| nodes.iter().map(move |b| (a, b)));
                let likely =
                    links.into_iter().find(|(a, b)| carried.contains(&(a.host(), b.host())));
                let Some((from, to)) = likely.or_else(|| nodes.first().zip(nodes.get(1))) else {
                    return Err(Error::usage(format!("`{}` needs two nodes", self.name)));
                };
                draw((from.name(), to.name()), random)
            }
        };
        let hit = |node: &&Node| {
            trigger.hosts().next().is_none() || trigger.hosts().any(|n| n == node.name())
        };
        let nodes = targets.cluster.nodes().iter().filter(hit).map(Node::id).collect();
        let shape = format!("at {trigger}{}", self.action.ends);
        Ok(WirePlan { hit: Hit { shape, nodes }, trigger, number: random.u64() })
    }

    async fn start(&self, targets: Targets<'_>, plan: &WirePlan) -> Result<Check, Error> {
        let wire = targets.cluster.wire()?;
        let mut armed = wire.arm(&plan.trigger, &self.action).map_err(refused)?;
        // Kept before anything is awaited: whatever happens, it can be undone.
        self.running().insert(plan.number, armed.clone());
        let fired = match armed.fired(self.lead(&targets.db.facts())).await {
            Ok(fired) => fired,
            Err(error @ EnvError::NotSeen { .. }) => {
                armed.release();
                return Ok(Check::seen(false, error.to_string()));
            }
            Err(error) => return Err(Error::environment(error)),
        };
        let mut evidence = seen(targets, &fired);
        let mut seen = Some(true);
        if self.action.cuts() {
            let proved = proved(targets, &mut evidence).await;
            // One that has ended by itself meanwhile is not to be seen any more.
            if armed.progress().ended_ns.is_none() {
                seen = proved;
            }
        }
        Ok(Check { seen, evidence: Value::map(evidence) })
    }

    async fn stop(&self, targets: Targets<'_>, plan: &WirePlan) -> Result<Check, Error> {
        let armed = self.running().remove(&plan.number);
        let mut evidence = Vec::new();
        let mut seen = Some(true);
        if let Some(armed) = &armed {
            armed.release();
            let progress = armed.progress();
            if let (Some(fired), Some(ended_ns)) = (&progress.fired, progress.ended_ns) {
                let acted_ms = ended_ns.saturating_sub(fired.at_ns) / 1_000_000;
                evidence.push(("acted_ms", Value::Int(acted_ms as i64)));
            }
            if !self.action.cuts() {
                evidence.push(("held_segments", Value::Int(progress.held as i64)));
            }
            if progress.ended_ns.is_none() {
                seen = Some(false);
            }
        }
        if self.action.cuts() {
            let proved = proved(targets, &mut evidence).await;
            seen = if seen == Some(true) { proved } else { seen };
        }
        Ok(Check { seen, evidence: Value::map(evidence) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Manual;
    use crate::env::wire::{delay, message_to};
    use crate::time::secs;

    fn members() -> Vec<Member> {
        vec![Member::new("n1"), Member::new("n2")]
    }

    #[test]
    fn nodes_that_are_not_there_are_refused() {
        let fits = |trigger| at(trigger, cut()).lanes()[0].fault.fits(&members());
        assert!(fits(tick(1).from("n1").to("n2")).is_ok());
        let error = fits(tick(1).to("n7")).unwrap_err().to_string();
        assert!(error.contains("no node `n7`; there are n1, n2"), "{error}");
        let error = cut_at_tick().lanes()[0].fault.fits(&members()[..1]).unwrap_err().to_string();
        assert!(error.contains("two nodes"), "{error}");
    }

    #[test]
    fn links_are_drawn_on_which_it_was_seen() {
        let host = HostId::new;
        let manual = Manual::new();
        manual.advance(secs(60));
        let clock = manual.clock();
        let connection = |from, to, ticked: Option<u64>, messages| Connection {
            from: host(from),
            to: host(to),
            ports: (1, 2),
            ticks: ticked.map_or(0, |_| 1),
            ticked_ns: ticked.map(|s| clock.reading_ns() - secs(s).as_nanos() as u64),
            messages,
            unknown_names: 0,
            unfollowed: None,
        };
        let all =
            [connection(0, 1, None, 9), connection(1, 2, Some(1), 0), connection(2, 1, Some(9), 5)];
        let on = |seen: Seen| seen.on(&all, secs(3), &clock).into_iter().collect::<Vec<_>>();
        assert_eq!(on(Seen::Ticks), [(host(1), host(2))]);
        assert_eq!(on(Seen::Messages), [(host(0), host(1)), (host(2), host(1))]);
        assert!(Seen::Ticks.on(&[], secs(3), &clock).is_empty());
    }

    #[test]
    fn ticks_are_awaited_as_long_as_they_may_take() {
        let lead = |nemesis: Nemesis, ticktime: Option<u64>| {
            let facts = Facts { net_ticktime: ticktime.map(secs), ..Facts::default() };
            nemesis.lanes()[0].fault.lead(&facts)
        };
        assert_eq!(lead(at(tick(2), cut()), Some(4)), secs(4));
        assert_eq!(lead(cut_at_tick(), Some(8)), secs(10));
        assert_eq!(lead(at(tick(9), cut()), Some(60)), TICK_LIMIT_MAX);
        assert_eq!(lead(at(message_to("x"), cut()), Some(60)), MESSAGE_LIMIT);
        assert_eq!(lead(at(tick(2), cut()), None), MESSAGE_LIMIT);
    }

    #[test]
    fn actions_that_end_by_themselves_say_how_long_they_last() {
        let lasts = |action| at(tick(1), action).lanes()[0].fault.lasts();
        assert_eq!(lasts(delay(secs(2))), Some(secs(2)));
        assert_eq!(lasts(hold()), Some(HELD));
        assert_eq!(lasts(cut()), None);
        assert_eq!(lasts(cut().lasting(secs(1))), Some(secs(1)));
    }
}
