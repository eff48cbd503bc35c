//! Faults of processes: killed and started again, or paused.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Check, Fault, Hit, Nemesis, Targets};
use crate::env::Facet;
use crate::error::Error;
use crate::grudge::minority;
use crate::node::{Hold, Node, is_of_node, wait_until};
use crate::op::{Name, NodeId, Value};
use crate::random::Stream;

/// How long a node may take to be ready again after it was started again.
const RESTART_LIMIT: Duration = Duration::from_secs(60);
/// Between two looks whether another fault has killed a node that is starting.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Kills all processes of some nodes (SIGKILL) and starts the database again at the end.
///
/// Finds: acknowledged writes that were only in memory, recovery that forgets or invents,
/// nodes that come back and never rejoin.
#[fuzz_dist::nemesis("kill", aliases = ["crash"])]
pub fn kill() -> Nemesis {
    KillFault::default().into()
}

/// The same of exactly these hosts, which may be services.
///
/// ```
/// use fuzz_dist::nemesis::kill_of;
///
/// let without = kill_of(["balancer"]);
/// ```
pub fn kill_of<N: Into<Name>>(hosts: impl IntoIterator<Item = N>) -> Nemesis {
    KillFault(Some(hosts.into_iter().map(Into::into).collect())).into()
}

/// Stops all processes of some nodes (SIGSTOP) and lets them go on at the end.
///
/// The kernel goes on acknowledging segments for them, so peers notice nothing until a tick is
/// missed. Finds: leases that outlive a pause, requests that are executed after their caller
/// has given up.
#[fuzz_dist::nemesis("pause")]
pub fn pause() -> Nemesis {
    PauseFault::default().into()
}

/// The same of exactly these hosts, which may be services.
pub fn pause_of<N: Into<Name>>(hosts: impl IntoIterator<Item = N>) -> Nemesis {
    PauseFault(Some(hosts.into_iter().map(Into::into).collect())).into()
}

/// See [`kill`] and [`kill_of`].
#[derive(Clone, Debug, Default)]
pub struct KillFault(Option<Vec<Name>>);

/// See [`pause`] and [`pause_of`].
#[derive(Clone, Debug, Default)]
pub struct PauseFault(Option<Vec<Name>>);

/// The hosts of these names; without names a random minority of the nodes, at least one.
fn drawn(named: Option<&[Name]>, targets: Targets<'_>, random: &mut Stream) -> Result<Hit, Error> {
    let Some(named) = named else { return some_nodes(targets, random) };
    if named.is_empty() {
        return Err(Error::usage("`kill_of` and `pause_of` need the name of a host"));
    }
    let mut hosts = targets.cluster.nodes();
    hosts.extend(targets.cluster.others().iter().cloned());
    let find = |name: &Name| {
        let found = hosts.iter().find(|host| host.name() == &**name).map(Node::id);
        found.ok_or_else(|| {
            let names: Vec<&str> = hosts.iter().map(Node::name).collect();
            Error::usage(format!("there is no host `{name}`; there are {}", names.join(", ")))
        })
    };
    // One that is named twice is hit once.
    let nodes = named.iter().map(find).collect::<Result<BTreeSet<_>, _>>()?.into_iter().collect();
    Ok(Hit { shape: named.join(" "), nodes })
}

/// A random minority, at least one node.
fn some_nodes(targets: Targets<'_>, random: &mut Stream) -> Result<Hit, Error> {
    let all = targets.cluster.nodes();
    let mut nodes: Vec<NodeId> = all.iter().map(Node::id).collect();
    if nodes.is_empty() {
        return Err(Error::usage("there are no nodes whose processes could be hit"));
    }
    let most = minority(nodes.len()).max(1);
    random.shuffle(&mut nodes);
    nodes.truncate(1 + random.index(most));
    nodes.sort_unstable();
    let hit = |node: &&Node| nodes.contains(&node.id());
    let names: Vec<&str> = all.iter().filter(hit).map(Node::name).collect();
    Ok(Hit { shape: names.join(" "), nodes })
}

/// Every process of the nodes that were hit, with its state.
async fn states(targets: Targets<'_>, plan: &Hit) -> Value {
    let mut entries = Vec::new();
    for node in nodes(targets, &plan.nodes) {
        entries.push((Value::from(node.name()), Value::from(node.process_states().await)));
    }
    Value::Map(entries.into())
}

/// The nodes that a plan hits, but for those that have left meanwhile: nothing is left of them.
fn nodes<'a>(targets: Targets<'a>, hit: &'a [NodeId]) -> impl Iterator<Item = Node> + 'a {
    let cluster = targets.cluster;
    hit.iter().map(move |id| cluster.node(*id)).filter(|node| !node.has_left())
}

/// What a step on one of these nodes gives; nothing where the node has left meanwhile, and its host is gone.
fn of_those_there<T>(node: &Node, done: Result<T, Error>) -> Result<Option<T>, Error> {
    let is_there = || node.env().hosts().iter().any(|(host, _)| *host == node.host());
    match done {
        Err(_) if !is_there() => Ok(None),
        done => done.map(Some),
    }
}

impl Fault for KillFault {
    type Plan = Hit;

    fn name(&self) -> Name {
        "kill".into()
    }

    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<Hit, Error> {
        drawn(self.0.as_deref(), targets, random)
    }

    async fn start(&self, targets: Targets<'_>, plan: &Hit) -> Result<Check, Error> {
        nodes(targets, &plan.nodes).for_each(|node| node.hold(Hold::Down, targets.holder));
        let gone = kill_all(targets, &plan.nodes).await?;
        Ok(Check::seen(gone, states(targets, plan).await))
    }

    async fn stop(&self, targets: Targets<'_>, plan: &Hit) -> Result<Check, Error> {
        nodes(targets, &plan.nodes).for_each(|node| node.release(Hold::Down, targets.holder));
        let problems = restart_all(targets, &plan.nodes).await?;
        let evidence = match problems.is_empty() {
            true => states(targets, plan).await,
            false => Value::list(problems.clone()),
        };
        Ok(Check::seen(problems.is_empty(), evidence))
    }
}

/// Kills all processes of these nodes at once, so that none sees another of them go before; `true`
/// when all were seen gone.
pub(super) async fn kill_all(targets: Targets<'_>, hit: &[NodeId]) -> Result<bool, Error> {
    let mut kills = JoinSet::new();
    for node in nodes(targets, hit) {
        kills.spawn(async move { of_those_there(&node, node.kill().await) });
    }
    // Of nodes that have left meanwhile nothing is killed.
    let (mut gone, mut any) = (true, false);
    while let Some(killed) = kills.join_next().await {
        if let Some(killed) = killed?? {
            (gone, any) = (gone && killed, true);
        }
    }
    Ok(gone && any)
}

/// Starts the database again on these nodes, all at once: one may need the others to get ready.
/// Gives what went wrong, by node.
pub(super) async fn restart_all(
    targets: Targets<'_>,
    hit: &[NodeId],
) -> Result<Vec<String>, Error> {
    let mut restarting = JoinSet::new();
    for node in nodes(targets, hit) {
        let (cluster, db, holder) = (targets.cluster.clone(), targets.db.clone(), targets.holder);
        restarting.spawn(async move {
            let restarted = restart(Targets::of(&cluster, &db, holder), &node).await;
            let restarted = of_those_there(&node, restarted);
            restarted.map_err(|e| format!("{}: {e}", node.name()))
        });
    }
    let mut problems = Vec::new();
    while let Some(restarted) = restarting.join_next().await {
        problems.extend(restarted?.err());
    }
    Ok(problems)
}

/// Starts the database on a node whose processes are gone, and waits until it takes part. A node that
/// another fault keeps down stays down: the end of that one starts it.
async fn restart(targets: Targets<'_>, node: &Node) -> Result<(), Error> {
    if node.is_held(Hold::Down) || node.is_running() && !node.is_returning() {
        return Ok(());
    }
    let killed = async {
        while !node.is_held(Hold::Down) {
            node.clock().sleep(LOOK_EVERY).await;
        }
    };
    let restarted = tokio::select! {
        restarted = take_part(targets, node) => restarted,
        () = killed => Ok(()),
    };
    if node.is_held(Hold::Down) {
        // What was started after that fault killed what was there.
        node.kill().await?;
        return Ok(());
    }
    restarted?;
    if node.is_held(Hold::Stopped) {
        node.pause().await?;
        if !node.is_held(Hold::Stopped) {
            node.resume().await?;
        }
    }
    Ok(())
}

async fn take_part(targets: Targets<'_>, node: &Node) -> Result<(), Error> {
    if !is_of_node(node.id()) {
        // One that was started before, and not found ready, is not left running beside another.
        if node.is_running() {
            node.kill().await?;
        }
        node.set_returning(true);
        targets.db.start_service(node).await?;
        node.set_returning(false);
        return Ok(());
    }
    if !node.is_running() {
        node.set_returning(true);
        targets.db.start(node).await?;
    }
    let what = format!("{} after its restart", node.name());
    wait_until(node.clock(), &what, RESTART_LIMIT, || targets.db.ready(node)).await?;
    targets.db.rejoin(node, targets.cluster).await?;
    node.set_returning(false);
    Ok(())
}

impl Fault for PauseFault {
    type Plan = Hit;

    fn name(&self) -> Name {
        "pause".into()
    }

    fn needs(&self) -> Vec<Facet> {
        vec![Facet::Pause]
    }

    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<Hit, Error> {
        drawn(self.0.as_deref(), targets, random)
    }

    async fn start(&self, targets: Targets<'_>, plan: &Hit) -> Result<Check, Error> {
        nodes(targets, &plan.nodes).for_each(|node| node.hold(Hold::Stopped, targets.holder));
        let (mut stopped, mut any) = (true, false);
        for node in nodes(targets, &plan.nodes) {
            stopped &= of_those_there(&node, node.pause().await)?.unwrap_or(true);
            any |= !node.process_states().await.is_empty();
        }
        // Where there is no process, none is paused.
        Ok(Check::seen(stopped && any, states(targets, plan).await))
    }

    async fn stop(&self, targets: Targets<'_>, plan: &Hit) -> Result<Check, Error> {
        nodes(targets, &plan.nodes).for_each(|node| node.release(Hold::Stopped, targets.holder));
        let mut going = true;
        // What another pause holds goes on when that one ends.
        for node in nodes(targets, &plan.nodes).filter(|node| !node.is_held(Hold::Stopped)) {
            going &= of_those_there(&node, node.resume().await)?.unwrap_or(true);
        }
        Ok(Check::seen(going, states(targets, plan).await))
    }
}
