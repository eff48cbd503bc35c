//! Erlang nodes that are connected by the harness, each with each.

use std::time::Duration;

use crate::args;
use crate::beam::Atom;
use crate::error::Error;
use crate::node::{Cluster, wait_until};

/// How long nodes may take to see each other.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// Connects each member with each other.
///
/// # Errors
///
/// Which one did not reach which.
pub(super) async fn connect(cluster: &Cluster) -> Result<(), Error> {
    for node in cluster.nodes() {
        let control = node.control().await.map_err(Error::setup)?;
        for other in cluster.nodes().iter().filter(|other| other.id() != node.id()) {
            let Some(name) = other.erlang_name() else { continue };
            let name = Atom::from(name.as_str());
            let connect = || async {
                let connecting = control.call("net_kernel", "connect_node", args![name.clone()]);
                match connecting.await.map_err(Error::setup)? {
                    true => Ok(()),
                    false => Err(Error::setup(format!("{name} cannot be reached"))),
                }
            };
            let what = format!("{} connecting to {}", node.name(), other.name());
            wait_until(node.clock(), &what, LIMIT, connect).await?;
        }
    }
    Ok(())
}
