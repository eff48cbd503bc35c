//! Nodes join the cluster and leave it while a test runs: host, database and roster, step by step.

use std::time::Duration;

use super::AnyDb;
use crate::env::{HostSpec, Role};
use crate::error::Error;
use crate::history::MemberState;
use crate::node::{Cluster, Node, wait_until};

/// How long a node may take to be ready after its start, to join, and to leave.
const STEP_LIMIT: Duration = Duration::from_secs(60);

/// Adds a node: its host, the database on it, and its place in the cluster.
pub(crate) async fn join(cluster: &Cluster, db: &AnyDb) -> Result<Node, Error> {
    let node = {
        let _one_at_a_time = cluster.adding().await;
        cluster.add(next_host(cluster, db)?).await?
    };
    // Whatever ends this early, nobody takes it for a member later.
    let joining = Joining { cluster: cluster.clone(), node: Some(node.clone()) };
    let joined = take_part(cluster, db, &node).await;
    if let Err(error) = joined {
        let _ = joining.give_up().await;
        return Err(error.context(format!("{} could not join", node.name())));
    }
    joining.done();
    if cluster.change(&node, MemberState::Member) {
        Ok(node)
    } else {
        let name = node.name();
        Err(Error::usage(format!(
            "{name} did not join: `leave` was called for it while it was joining; call `leave` after `join` has returned"
        )))
    }
}

async fn take_part(cluster: &Cluster, db: &AnyDb, node: &Node) -> Result<(), Error> {
    db.start(node).await?;
    wait_until(node.clock(), node.name(), STEP_LIMIT, || db.ready(node)).await?;
    let joined = cluster.clock().timeout(STEP_LIMIT, db.join(node, cluster)).await;
    joined.unwrap_or_else(|_| Err(too_long()))
}

/// Removes a node: it gets no more operations, the database lets it go, and its host ends. Where the database does
/// not let it go, its host stays, and this may be called again.
pub(crate) async fn leave(cluster: &Cluster, db: &AnyDb, node: &Node) -> Result<(), Error> {
    let others = cluster.nodes().iter().any(|other| other.id() != node.id());
    match node.state() {
        MemberState::Left => return Ok(()),
        _ if others => {}
        _ => {
            let name = node.name();
            return Err(Error::usage(format!("{name} is the last node, which cannot leave")));
        }
    }
    cluster.change(node, MemberState::Leaving);
    // A host that is gone was let go before, by who did not wait for its end.
    if cluster.env().hosts().iter().any(|(host, _)| *host == node.host()) {
        let left = cluster.clock().timeout(STEP_LIMIT, db.leave(node, cluster)).await;
        let left = left.unwrap_or_else(|_| Err(too_long()));
        left.map_err(|error| error.context(format!("{} could not leave", node.name())))?;
    }
    cluster.remove(node).await
}

fn too_long() -> Error {
    Error::deadline(format!("it took longer than {STEP_LIMIT:?}"))
}

/// The host of the next node: the first that a larger cluster of this database has, and this one never had.
fn next_host(cluster: &Cluster, db: &AnyDb) -> Result<HostSpec, Error> {
    let had = cluster.all_nodes();
    let hosts = db.hosts(had.len() + 1).map_err(|error| error.context("one node more"))?;
    let is_new = |host: &HostSpec| {
        host.role == Role::Node && !had.iter().any(|node| node.name() == host.name)
    };
    let host = hosts.into_iter().find(is_new).ok_or_else(|| {
        let name = db.name();
        Error::usage(format!("`Db::hosts` of `{name}` names no further node for a larger cluster"))
    })?;
    provided(db, host)
}

/// The host with the folders that were prepared for it.
pub(crate) fn provided(db: &AnyDb, mut host: HostSpec) -> Result<HostSpec, Error> {
    host.folders.extend(db.folders(&host)?);
    Ok(host)
}

/// A node that is about to join. Where the future that adds it is dropped, its host ends.
struct Joining {
    cluster: Cluster,
    node: Option<Node>,
}

impl Joining {
    async fn give_up(mut self) -> Result<(), Error> {
        match self.node.take() {
            Some(node) => remove(self.cluster.clone(), node).await,
            None => Ok(()),
        }
    }

    fn done(mut self) {
        self.node = None;
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        let (node, runtime) = (self.node.take(), tokio::runtime::Handle::try_current());
        if let (Some(node), Ok(runtime)) = (node, runtime) {
            self.cluster.change(&node, MemberState::Leaving);
            runtime.spawn(remove(self.cluster.clone(), node));
        }
    }
}

async fn remove(cluster: Cluster, node: Node) -> Result<(), Error> {
    cluster.change(&node, MemberState::Leaving);
    cluster.remove(&node).await
}
