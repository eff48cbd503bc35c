//! Faults of Erlang nodes that no network shows. Each needs a database whose `start` calls
//! [`Node::speaks_erlang`]; nothing of the application has to know of them.

use super::{Hit, Targets};
use crate::args;
use crate::beam::{Atom, Connection, Term};
use crate::error::Error;
use crate::grudge::Member;
use crate::node::Node;
use crate::random::Stream;

mod code;
mod connection;
mod epmd;
mod kept;
mod pressure;
mod process;

pub use code::{PurgeModuleFault, purge_module};
pub use connection::{BlipFault, BusyDistFault, blip, busy_dist, disallow, wrong_cookie};
pub use epmd::{KillEpmdFault, kill_epmd};
pub use kept::Numbered;
pub use pressure::{block_schedulers, gc_pressure, memory_pressure, memory_pressure_of};
pub use process::{KillChildFault, KillProcessFault, kill_child, kill_process, suspend_process};

/// The nodes that run Erlang.
fn erlang_nodes(targets: Targets<'_>, fault: &str, least: usize) -> Result<Vec<Node>, Error> {
    let mut nodes = targets.cluster.nodes();
    nodes.retain(|node| node.erlang_name().is_some());
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
async fn control(node: &Node) -> Result<Connection, Error> {
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

/// One random node that runs Erlang; `what` is done to it.
fn one_node(fault: &str, what: &str, t: Targets<'_>, random: &mut Stream) -> Result<Hit, Error> {
    let nodes = erlang_nodes(t, fault, 1)?;
    let node = &nodes[random.index(nodes.len())];
    let shape = match what {
        "" => node.name().to_string(),
        what => format!("{what} on {}", node.name()),
    };
    Ok(Hit { shape, nodes: vec![node.id()] })
}

/// Two random nodes that run Erlang, in an order that counts; `between` is drawn between them.
fn two_nodes(
    fault: &str,
    between: &str,
    t: Targets<'_>,
    random: &mut Stream,
) -> Result<Hit, Error> {
    let mut nodes = erlang_nodes(t, fault, 2)?;
    random.shuffle(&mut nodes);
    let shape = format!("{} {between} {}", nodes[0].name(), nodes[1].name());
    Ok(Hit { shape, nodes: vec![nodes[0].id(), nodes[1].id()] })
}

fn needs_two(fault: &str, nodes: &[Member]) -> Result<(), Error> {
    match nodes.len() {
        0 | 1 => Err(Error::usage(format!("`{fault}` needs two nodes; raise `nodes`"))),
        _ => Ok(()),
    }
}

/// The first node that a plan hits.
fn hit(targets: Targets<'_>, plan: &Hit) -> Node {
    targets.cluster.node(plan.nodes[0])
}

/// The Erlang name of the second node that a plan hits.
fn peer(targets: Targets<'_>, plan: &Hit) -> Atom {
    Atom::from(targets.cluster.node(plan.nodes[1]).erlang_name().unwrap_or_default())
}
