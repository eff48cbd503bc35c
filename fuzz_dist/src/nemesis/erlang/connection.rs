//! Faults of single connections between nodes, while the network is whole.

use std::time::Duration;

use super::super::{Check, Fault, Hit, Nemesis, Targets};
use super::kept::{self, Kept, KeptFault, Numbered};
use super::{carrier, control, hit, needs_two, peer, two_nodes};
use crate::args;
use crate::beam::{Atom, Term};
use crate::erlang::modules::FAULT_MODULE;
use crate::error::Error;
use crate::grudge::Member;
use crate::node::wait_until;
use crate::op::{Name, Value};
use crate::random::Stream;

/// How long a buffer may take to be empty again.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// Drops the connection between two random nodes, with `erlang:disconnect_node/1`; the network is
/// whole, and nobody but the application (or whatever it sends) connects them again.
///
/// Over in milliseconds, and the best fault for its price. Finds: systems that take a lost
/// connection for a dead node and never look again, as mnesia, which stays split for good.
#[fuzz_dist::nemesis("blip", aliases = ["disconnect"])]
pub fn blip() -> Nemesis {
    BlipFault.into()
}

/// Keeps the buffer of one connection full, from one random node to another: who sends there is
/// suspended (`busy_dist_port`) until the fault ends. The receiver reads one message now and then, so
/// that nobody is taken for dead; the other direction is free.
///
/// Needs distribution over plain TCP. Finds: servers that stand still because they send to one slow
/// node, calls that time out at nodes that have nothing to do with it, queues without a bound.
#[fuzz_dist::nemesis("busy_dist")]
pub fn busy_dist() -> Nemesis {
    BusyDistFault.into()
}

/// Gives one random node a wrong cookie for another one and drops their connection: neither can make
/// it again until the fault ends.
///
/// Needs nothing. Finds: nodes that never look for each other again, views of the cluster that are not
/// transitive, and what `prevent_overlapping_partitions` makes of one link.
#[fuzz_dist::nemesis("wrong_cookie")]
pub fn wrong_cookie() -> Nemesis {
    Nemesis::of(KeptFault(WrongCookieFault))
}

/// Has one random node allow every other but one (`net_kernel:allow/1`) and drops their connection:
/// neither can make it again until the fault ends.
///
/// The harness keeps the connections that it has to that node; new ones are refused as well, and
/// operations over them fail. Finds what [`wrong_cookie`] finds, with the refusal on one side.
#[fuzz_dist::nemesis("disallow")]
pub fn disallow() -> Nemesis {
    Nemesis::of(KeptFault(DisallowFault))
}

/// See [`blip`].
#[derive(Clone, Copy, Debug)]
pub struct BlipFault;

/// See [`busy_dist`].
#[derive(Clone, Copy, Debug)]
pub struct BusyDistFault;

/// See [`wrong_cookie`].
#[derive(Clone, Copy, Debug)]
struct WrongCookieFault;

/// See [`disallow`].
#[derive(Clone, Copy, Debug)]
struct DisallowFault;

impl Fault for BlipFault {
    type Plan = Hit;

    fn name(&self) -> Name {
        "blip".into()
    }

    fn lasts(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn fits(&self, nodes: &[Member]) -> Result<(), Error> {
        needs_two("blip", nodes)
    }

    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<Hit, Error> {
        two_nodes("blip", "x", targets, random)
    }

    async fn start(&self, targets: Targets<'_>, plan: &Hit) -> Result<Check, Error> {
        let peer = peer(targets, plan);
        let control = control(&hit(targets, plan)).await?;
        let before = carrier(&control, &peer).await?;
        let answer: Term = control
            .call("erlang", "disconnect_node", args![peer.clone()])
            .await
            .map_err(Error::environment)?;
        let after = carrier(&control, &peer).await?;
        let shown = |carrier: &Option<Term>| Value::from(carrier.as_ref().map(Term::to_string));
        let evidence = Value::map([
            ("answer", Value::from(answer.to_string())),
            ("connection_before", shown(&before)),
            ("connection_after", shown(&after)),
        ]);
        Ok(Check::seen(before.is_some() && before != after, evidence))
    }

    /// The fault itself is over; that the nodes meet again is the application's work, and whether
    /// they do is what is tested.
    async fn stop(&self, targets: Targets<'_>, plan: &Hit) -> Result<Check, Error> {
        let peer = peer(targets, plan);
        let connected = match control(&hit(targets, plan)).await {
            Ok(control) => carrier(&control, &peer).await.ok().map(|c| c.is_some()),
            Err(_) => None,
        };
        let evidence = Value::map([
            ("connected", Value::from(connected)),
            ("reconnects", "the application".into()),
        ]);
        Ok(Check::seen(true, evidence))
    }
}

impl Fault for BusyDistFault {
    type Plan = Numbered;

    fn name(&self) -> Name {
        "busy_dist".into()
    }

    fn fits(&self, nodes: &[Member]) -> Result<(), Error> {
        needs_two("busy_dist", nodes)
    }

    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<Numbered, Error> {
        Ok(kept::numbered(two_nodes("busy_dist", "->|", targets, random)?, random))
    }

    async fn start(&self, targets: Targets<'_>, plan: &Numbered) -> Result<Check, Error> {
        let receiver = targets.cluster.node(plan.hit.nodes[1]);
        let sender = sender_of(targets, &plan.hit);
        let deaf = kept::start(&receiver, plan, "deaf", args![sender]).await?;
        let full =
            kept::start(&hit(targets, &plan.hit), plan, "fill", args![peer(targets, &plan.hit)])
                .await?;
        let acts = deaf.and(&full);
        let evidence = Value::map([("receiver", deaf.evidence), ("sender", full.evidence)]);
        Ok(Check { seen: acts, evidence })
    }

    async fn stop(&self, targets: Targets<'_>, plan: &Numbered) -> Result<Check, Error> {
        let (sender, receiver) = (hit(targets, &plan.hit), targets.cluster.node(plan.hit.nodes[1]));
        let full = kept::stop(&sender, plan, "fill", args![peer(targets, &plan.hit)]).await?;
        let deaf = args![sender_of(targets, &plan.hit)];
        let deaf = kept::stop(&receiver, plan, "deaf", deaf).await?;
        let drained = || async {
            if !sender.is_running() {
                return Ok("not running");
            }
            let control = sender.control_with(FAULT_MODULE).await?;
            let busy: bool = control
                .call(FAULT_MODULE, "is_busy", args![peer(targets, &plan.hit)])
                .await
                .map_err(Error::environment)?;
            if busy { Err(Error::environment("the buffer is still full")) } else { Ok("empty") }
        };
        let clock = targets.cluster.clock();
        let drained = wait_until(clock, "the buffer to be empty", DRAIN_LIMIT, drained).await;
        let seen = match &drained {
            Ok(_) => full.and(&deaf),
            Err(_) => Some(false),
        };
        let buffer = drained.map_or_else(|e| e.to_string(), String::from);
        let evidence = Value::map([("receiver", deaf.evidence), ("buffer", buffer.into())]);
        Ok(Check { seen, evidence })
    }
}

/// The Erlang name of the node whose messages are not read.
fn sender_of(targets: Targets<'_>, plan: &Hit) -> Atom {
    Atom::from(hit(targets, plan).erlang_name().unwrap_or_default())
}

impl Kept for WrongCookieFault {
    const NAME: &'static str = "wrong_cookie";
    const PAIR: Option<&'static str> = Some("refuses");
}

impl Kept for DisallowFault {
    const NAME: &'static str = "disallow";
    const PAIR: Option<&'static str> = Some("refuses");
}
