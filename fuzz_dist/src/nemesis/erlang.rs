//! Faults between Erlang nodes that no network shows: connections dropped, the port mapper gone.

use std::time::Duration;

use super::{Check, Fault, Nemesis, Plan, Targets};
use crate::args;
use crate::beam::{Atom, Connection, Term, charlist};
use crate::env::Signal;
use crate::error::Error;
use crate::grudge::Member;
use crate::history::FaultStatus;
use crate::node::{Node, wait_until};
use crate::op::{Name, Value};
use crate::random::Stream;

/// The usual port of epmd.
const EPMD_PORT: u16 = 4369;
/// How long a port mapper may take to be gone, or to be back with its node registered: nodes try
/// again every two seconds.
const EPMD_LIMIT: Duration = Duration::from_secs(15);

/// Drops the connection between two random nodes, with `erlang:disconnect_node/1`; the network is
/// whole, and nobody but the application (or whatever it sends) connects them again.
///
/// Over in milliseconds, and the best fault for its price. Finds: systems that take a lost
/// connection for a dead node and never look again, as mnesia, which stays split for good.
#[fuzz_dist::nemesis("blip", aliases = ["disconnect"])]
pub fn blip() -> Nemesis {
    BlipFault.into()
}

/// Kills the port mapper of one random node (SIGKILL) and starts another one at the end.
///
/// Connections live on, but nobody can make new ones to that node. Finds: clusters that cannot heal
/// after a partition although the network can.
#[fuzz_dist::nemesis("kill_epmd")]
pub fn kill_epmd() -> Nemesis {
    KillEpmdFault.into()
}

/// See [`blip`].
#[derive(Clone, Copy, Debug)]
pub struct BlipFault;

/// See [`kill_epmd`].
#[derive(Clone, Copy, Debug)]
pub struct KillEpmdFault;

/// The nodes that run Erlang.
pub(super) fn erlang_nodes<'a>(
    targets: Targets<'a>,
    fault: &str,
    least: usize,
) -> Result<Vec<&'a Node>, Error> {
    let nodes: Vec<&Node> =
        targets.cluster.nodes().iter().filter(|n| n.erlang_name().is_some()).collect();
    if nodes.len() < least {
        return Err(Error::usage(format!(
            "`{fault}` needs at least {least} nodes that speak distributed Erlang, and there are \
             {}; use a database whose `start` calls `Node::speaks_erlang`, or another nemesis",
            nodes.len()
        )));
    }
    Ok(nodes)
}

/// What a node answers, or that it cannot be asked.
pub(super) async fn control(node: &Node) -> Result<Connection, Error> {
    let reaching = || format!("reaching the Erlang node on {}", node.name());
    node.control().await.map_err(|e| Error::environment(e).context(reaching()))
}

/// The port or process that carries a node's connection to a peer: another one after every
/// connection, so that a short loss is seen, too.
async fn carrier(from: &Connection, peer: &Atom) -> Result<Option<Term>, Error> {
    let all: Vec<(Atom, Term)> = from
        .call("erlang", "system_info", args![Atom::from("dist_ctrl")])
        .await
        .map_err(Error::environment)?;
    Ok(all.into_iter().find(|(name, _)| name == peer).map(|(_, carrier)| carrier))
}

impl BlipFault {
    fn pair<'a>(targets: Targets<'a>, plan: &Plan) -> (&'a Node, &'a Node, Atom) {
        let (a, b) = (targets.cluster.node(plan.nodes[0]), targets.cluster.node(plan.nodes[1]));
        (a, b, Atom::from(b.erlang_name().unwrap_or_default()))
    }
}

impl Fault for BlipFault {
    fn name(&self) -> Name {
        "blip".into()
    }

    fn lasts(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn fits(&self, nodes: &[Member]) -> Result<(), Error> {
        match nodes.len() {
            0 | 1 => Err(Error::usage("`blip` needs two nodes; raise `nodes`")),
            _ => Ok(()),
        }
    }

    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<Plan, Error> {
        let mut nodes = erlang_nodes(targets, "blip", 2)?;
        random.shuffle(&mut nodes);
        let shape = format!("{} x {}", nodes[0].name(), nodes[1].name());
        Ok(Plan { shape, nodes: vec![nodes[0].id(), nodes[1].id()], ..Plan::default() })
    }

    async fn start(&self, targets: Targets<'_>, plan: &Plan) -> Result<Check, Error> {
        let (a, _, peer) = BlipFault::pair(targets, plan);
        let control = control(a).await?;
        let before = carrier(&control, &peer).await?;
        let answer: Term = control
            .call("erlang", "disconnect_node", args![peer.clone()])
            .await
            .map_err(Error::environment)?;
        let after = carrier(&control, &peer).await?;
        let told = |carrier: &Option<Term>| Value::from(carrier.as_ref().map(Term::to_string));
        let evidence = Value::map([
            ("answer", Value::from(answer.to_string())),
            ("connection_before", told(&before)),
            ("connection_after", told(&after)),
        ]);
        Ok(Check::seen(before.is_some() && before != after, evidence))
    }

    /// The fault itself is over; that the nodes meet again is the application's work, and whether
    /// they do is what is tested.
    async fn stop(&self, targets: Targets<'_>, plan: &Plan) -> Result<Check, Error> {
        let (a, _, peer) = BlipFault::pair(targets, plan);
        let connected = match control(a).await {
            Ok(control) => carrier(&control, &peer).await.ok().map(|c| c.is_some()),
            Err(_) => None,
        };
        let evidence = Value::map([
            ("connected", Value::from(connected)),
            ("reconnects", "the application".into()),
        ]);
        Ok(Check { status: FaultStatus::Installed, evidence })
    }
}

impl Fault for KillEpmdFault {
    fn name(&self) -> Name {
        "kill_epmd".into()
    }

    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<Plan, Error> {
        let nodes = erlang_nodes(targets, "kill_epmd", 1)?;
        let node = nodes[random.index(nodes.len())];
        Ok(Plan { shape: node.name().into(), nodes: vec![node.id()], ..Plan::default() })
    }

    async fn start(&self, targets: Targets<'_>, plan: &Plan) -> Result<Check, Error> {
        let node = targets.cluster.node(plan.nodes[0]);
        // The connection over which another one is started has to be there before.
        control(node).await?;
        let mappers: Vec<_> =
            node.processes().into_iter().filter(|process| process.name() == "epmd").collect();
        let Some(epmd) = mappers.first() else {
            let evidence = "the database started no process of the name `epmd` on this node";
            return Ok(Check::seen(false, evidence));
        };
        epmd.kill(Signal::Kill).await.map_err(Error::environment)?;
        let refused = || async {
            match node.connect(EPMD_PORT).await {
                Ok(_) => Err(Error::environment("epmd still answers")),
                Err(e) => Ok(e.to_string()),
            }
        };
        let refused = wait_until("the end of epmd", EPMD_LIMIT, refused).await;
        let evidence = refused.as_ref().map_or_else(ToString::to_string, Clone::clone);
        Ok(Check::seen(refused.is_ok(), evidence))
    }

    async fn stop(&self, targets: Targets<'_>, plan: &Plan) -> Result<Check, Error> {
        let node = targets.cluster.node(plan.nodes[0]);
        if !node.is_running() {
            // Killed by another fault, whose end starts everything again.
            return Ok(Check { status: FaultStatus::Installed, evidence: "not running".into() });
        }
        let control = control(node).await?;
        if node.connect(EPMD_PORT).await.is_err() {
            let bin: Term = control
                .call("os", "getenv", args![charlist("BINDIR")])
                .await
                .map_err(Error::environment)?;
            let bin = bin.as_text().unwrap_or_default();
            let start = format!("'{bin}/epmd' -daemon");
            let _: Term = control
                .call("os", "cmd", args![charlist(&start)])
                .await
                .map_err(Error::environment)?;
        }
        let name = node.erlang_name().unwrap_or_default();
        let own = name.split('@').next().unwrap_or_default();
        let registered = || async {
            let names: Term = control
                .call("erl_epmd", "names", args![charlist("localhost")])
                .await
                .map_err(Error::environment)?;
            match names.to_string().contains(&format!("\"{own}\"")) {
                true => Ok(names.to_string()),
                false => Err(Error::environment(names.to_string())),
            }
        };
        let back = wait_until("the node in its new port mapper", EPMD_LIMIT, registered).await;
        let evidence = back.as_ref().map_or_else(ToString::to_string, Clone::clone);
        Ok(Check::seen(back.is_ok(), evidence))
    }
}
