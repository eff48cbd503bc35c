//! Nodes join the cluster and leave it while a test runs: host, database and roster, step by step.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::AnyDb;
use crate::env::{HostSpec, Role};
use crate::error::{Error, ErrorKind};
use crate::history::MemberState;
use crate::node::{Cluster, Node, Settling, wait_until};

/// How long a node may take to be ready after its start, to join, and to leave.
const STEP_LIMIT: Duration = Duration::from_secs(60);

/// Adds a node: its host, the database on it, and its place in the cluster.
///
/// However this ends, also where its future is dropped, hosts, roster and history agree: the node is a member, or it
/// has left, and its host is gone.
pub(crate) async fn join(cluster: &Cluster, db: &AnyDb) -> Result<Node, Error> {
    // A task of its own: an environment that is left alone while it adds a host may have added it.
    let adding = tokio::spawn(add_host(cluster.clone(), db.clone()));
    let joining = match adding.await {
        Ok(added) => added?,
        Err(died) if died.is_panic() => std::panic::resume_unwind(died.into_panic()),
        Err(_) => return Err(Error::cancelled()),
    };
    let node = joining.node.clone();
    if let Err(error) = take_part(cluster, db, &node).await {
        joining.give_up().await;
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

async fn add_host(cluster: Cluster, db: AnyDb) -> Result<Joining, Error> {
    let settling = cluster.settling();
    let _one_at_a_time = cluster.adding().await;
    let node = cluster.add(next_host(&cluster, &db)?).await?;
    let runtime = Handle::current();
    Ok(Joining { node, cluster: cluster.clone(), runtime, settling: Some(settling) })
}

async fn take_part(cluster: &Cluster, db: &AnyDb, node: &Node) -> Result<(), Error> {
    db.start(node).await?;
    wait_until(node.clock(), node.name(), STEP_LIMIT, || db.ready(node)).await?;
    let joined = cluster.clock().timeout(STEP_LIMIT, db.join(node, cluster)).await;
    joined.unwrap_or_else(|_| Err(too_long()))
}

/// Removes a node: it gets no more operations, those in flight on it end or pass their limit, the database lets it go,
/// and its host ends. Where the database does not let it go, its host stays, and this may be called again.
pub(crate) async fn leave(cluster: &Cluster, db: &AnyDb, node: &Node) -> Result<(), Error> {
    if node.has_left() {
        return Ok(());
    }
    cluster.begin_leave(node).await?;
    // A host that is gone was let go before, by who did not wait for its end.
    if cluster.env().hosts().iter().any(|(host, _)| *host == node.host()) {
        let left = cluster.clock().timeout(STEP_LIMIT, db.leave(node, cluster)).await;
        let left = left.unwrap_or_else(|_| Err(too_long()));
        if let Err(error) = left {
            // Whether the database lets it go after the limit is not known.
            if error.kind() != ErrorKind::Deadline {
                cluster.leave_refused(node, &error);
            }
            return Err(error.context(format!("{} could not leave", node.name())));
        }
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

/// A node that is about to join. Where it does not come to that, its host ends, whoever waits for it.
struct Joining {
    node: Node,
    cluster: Cluster,
    runtime: Handle,
    /// Until the node is a member, or its host is gone.
    settling: Option<Settling>,
}

impl Joining {
    /// Ready when the host is gone, or cannot be removed: then `leave` may be called for it.
    async fn give_up(mut self) {
        if let Some(removing) = self.remove() {
            // It has no result, and what ended it ends this, too.
            let _ = removing.await;
        }
    }

    fn done(mut self) {
        self.settling = None;
    }

    fn remove(&mut self) -> Option<JoinHandle<()>> {
        let settling = self.settling.take()?;
        let (cluster, node) = (self.cluster.clone(), self.node.clone());
        cluster.change(&node, MemberState::Leaving);
        Some(self.runtime.spawn(async move {
            let _ = cluster.remove(&node).await;
            drop(settling);
        }))
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        let _ = self.remove();
    }
}
