//! All hosts of a test, and the links between its nodes.

use std::sync::Arc;

use super::{Links, Node};
use crate::clock::Clock;
use crate::env::wire::Wire;
use crate::env::{Environment, Error as EnvError, Role};
use crate::error::Error;
use crate::op::NodeId;

/// The hosts of a test in their environment.
///
/// A handle: clones speak of the same cluster.
#[derive(Clone, Debug)]
pub struct Cluster(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    env: Arc<dyn Environment>,
    clock: Clock,
    nodes: Vec<Node>,
    others: Vec<Node>,
    links: Links,
    wire: Option<Arc<dyn Wire>>,
}

impl Cluster {
    /// The cluster of all hosts that the environment has. Whatever waits for them waits by this clock.
    ///
    /// # Errors
    ///
    /// When a host is gone already.
    pub fn new(env: Arc<dyn Environment>, clock: Clock) -> Result<Cluster, Error> {
        let (mut nodes, mut others) = (Vec::new(), Vec::new());
        for (host, spec) in env.hosts() {
            let list = if spec.role == Role::Node { &mut nodes } else { &mut others };
            let id = u16::try_from(list.len())
                .map_err(|_| Error::usage("a cluster has at most 65535 nodes"))?;
            list.push(Node::new(NodeId(id), host, spec, env.clone(), clock.clone())?);
        }
        let links = Links::new(env.clone(), clock.clone(), nodes.clone());
        let wire = env.wire();
        Ok(Cluster(Arc::new(Inner { env, clock, nodes, others, links, wire })))
    }

    /// The nodes of the database, in the test's order.
    pub fn nodes(&self) -> &[Node] {
        &self.0.nodes
    }

    /// Hosts with another role: services, clients.
    pub fn others(&self) -> &[Node] {
        &self.0.others
    }

    /// One node.
    ///
    /// # Panics
    ///
    /// When there is no such node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.0.nodes[id.index()]
    }

    /// The node of this name.
    pub fn find(&self, name: &str) -> Option<&Node> {
        self.0.nodes.iter().find(|n| n.name() == name)
    }

    /// The links between the nodes.
    pub fn links(&self) -> &Links {
        &self.0.links
    }

    /// What the links carry, to place faults by it: at a tick, at a message, in the middle of one.
    ///
    /// What is armed here stands in no history; a fault that does is made by
    /// [`at`](crate::nemesis::at). The end of a test undoes both.
    ///
    /// ```no_run
    /// # async fn example(cluster: fuzz_dist::node::Cluster) -> Result<(), fuzz_dist::Error> {
    /// use fuzz_dist::env::wire::{hold, message_to};
    /// use fuzz_dist::time::secs;
    ///
    /// let wire = cluster.wire()?;
    /// let mut held = wire.arm(&message_to("counter").to("n1"), &hold())?;
    /// // … something that makes a node send a message to `counter` on n1 …
    /// held.fired(secs(10)).await?;
    /// held.release();
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Where the environment does not see what its links carry.
    pub fn wire(&self) -> Result<Arc<dyn Wire>, Error> {
        self.0.wire.clone().ok_or_else(|| {
            let (environment, what) = (self.0.env.name().into(), "see what its links carry".into());
            Error::environment(EnvError::Unsupported { environment, what })
        })
    }

    /// The clock of the run: faults and databases wait by it, so that they also do where time is not
    /// the machine's.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The environment.
    pub fn env(&self) -> &Arc<dyn Environment> {
        &self.0.env
    }
}
