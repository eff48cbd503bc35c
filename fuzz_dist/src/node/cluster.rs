//! All hosts of a test, and the links between its nodes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::roster::{Roster, Turn, id_of, id_of_other};
use super::{Flights, Links, Node};
use crate::clock::Clock;
use crate::env::wire::Wire;
use crate::env::{Environment, Error as EnvError, HostSpec, Membership, Role};
use crate::error::Error;
use crate::history::MemberState;
use crate::op::NodeId;

/// The hosts of a test in their environment. Nodes join and leave; whoever asks is given those that take part
/// at that moment.
///
/// A handle: clones speak of the same cluster.
#[derive(Clone, Debug)]
pub struct Cluster(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    env: Arc<dyn Environment>,
    clock: Clock,
    roster: Arc<Roster>,
    others: Vec<Node>,
    links: Links,
    wire: Option<Arc<dyn Wire>>,
    /// Held while a host is chosen and added.
    adding: tokio::sync::Mutex<()>,
    /// How many hosts are being added or removed by tasks that nobody may wait for.
    unsettled: watch::Sender<usize>,
}

/// More time than an operation's own limit, so that its time-out is recorded first.
const OP_GRACE: Duration = Duration::from_secs(1);

impl Cluster {
    /// The cluster of all hosts that the environment has. Whatever waits for them waits by this clock.
    ///
    /// # Errors
    ///
    /// When a host is gone already.
    pub fn new(env: Arc<dyn Environment>, clock: Clock) -> Result<Cluster, Error> {
        let (mut nodes, mut others) = (Vec::new(), Vec::new());
        for (host, spec) in env.hosts() {
            let is_node = spec.role == Role::Node;
            let list: &mut Vec<Node> = if is_node { &mut nodes } else { &mut others };
            let id = if is_node { id_of(list.len()) } else { id_of_other(list.len()) }?;
            list.push(Node::new(id, host, spec, env.clone(), clock.clone())?);
        }
        let roster = Arc::new(Roster::new(nodes));
        let links = Links::new(env.clone(), clock.clone(), roster.clone());
        let wire = env.wire();
        let (adding, unsettled) = (tokio::sync::Mutex::default(), watch::Sender::new(0));
        let inner = Inner { env, clock, roster, others, links, wire, adding, unsettled };
        Ok(Cluster(Arc::new(inner)))
    }

    /// The nodes that take part now, in the test's order, those that joined last: not those that are about to
    /// join or to leave.
    pub fn nodes(&self) -> Vec<Node> {
        self.0.roster.members()
    }

    /// Every node that there ever was, in the order of their ids; [`Node::state`] says what became of each.
    pub fn all_nodes(&self) -> Vec<Node> {
        self.0.roster.all()
    }

    /// How many of them there were at the start.
    pub(crate) fn nodes_at_start(&self) -> usize {
        self.0.roster.at_start()
    }

    /// Hosts with another role: services, clients. The database starts what runs on them; faults hit none that
    /// the test does not name.
    pub fn others(&self) -> &[Node] {
        &self.0.others
    }

    /// The node of this id, which stays its own also when it has left; or the host with another role.
    ///
    /// # Panics
    ///
    /// When there never was such a node.
    pub fn node(&self, id: NodeId) -> Node {
        let other = || self.0.others.iter().find(|node| node.id() == id).cloned();
        let found = self.0.roster.get(id).or_else(other);
        found.unwrap_or_else(|| panic!("the cluster has no node {}", id.0))
    }

    /// Was this a node of the cluster, and has left it?
    pub(crate) fn has_left(&self, id: NodeId) -> bool {
        self.0.roster.get(id).is_some_and(|node| node.has_left())
    }

    /// The node of this name, as long as it takes part.
    pub fn find(&self, name: &str) -> Option<Node> {
        self.nodes().into_iter().find(|n| n.name() == name)
    }

    /// The ids of the nodes that take part, whoever joins and leaves.
    pub(crate) fn following(&self) -> watch::Receiver<Arc<[NodeId]>> {
        self.0.roster.following()
    }

    /// Has every change recorded by this function before anybody else sees it, and no more nodes at a time than
    /// the test has clients: nodes without a client would never be tested. Operations of these take so long at most.
    pub(crate) fn follow_with(
        &self,
        clients: usize,
        op_limit: Duration,
        record: impl Fn(&Node, Turn<'_>) + Send + Sync + 'static,
    ) {
        self.0.roster.follow_with(clients, op_limit, record);
    }

    /// The operations in flight on the nodes.
    pub(crate) fn flights(&self) -> &Flights {
        self.0.roster.flights()
    }

    /// The node is about to leave: it gets no operation any more, and those in flight on it have ended when this
    /// returns, or have passed their limit. The last member is refused.
    pub(crate) async fn begin_leave(&self, node: &Node) -> Result<(), Error> {
        self.0.roster.leave(node)?;
        let ended = self.flights().ended(node.id());
        // One that hangs on is indeterminate.
        let _ = self.clock().timeout(self.0.roster.op_limit() + OP_GRACE, ended).await;
        Ok(())
    }

    /// The database did not let the node go, which is about to leave all the same.
    pub(crate) fn leave_refused(&self, node: &Node, why: &Error) {
        self.0.roster.refused(node, why);
    }

    /// A host is added or removed by tasks that nobody may wait for, until this is dropped.
    pub(crate) fn settling(&self) -> Settling {
        self.0.unsettled.send_modify(|under_way| *under_way += 1);
        Settling(self.clone())
    }

    /// Waits until nothing of that kind is under way.
    pub(crate) async fn settled(&self) {
        // The sender is there as long as the cluster.
        let _ = self.0.unsettled.subscribe().wait_for(|under_way| *under_way == 0).await;
    }

    /// Only one host at a time is chosen and added.
    pub(crate) async fn adding(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.adding.lock().await
    }

    /// Adds a host for a node, which is joining. It must not be dropped on the way, or nobody knows of the host.
    pub(crate) async fn add(&self, spec: HostSpec) -> Result<Node, Error> {
        self.0.roster.has_room()?;
        let membership = self.membership()?;
        let host = membership.add_host(spec.clone()).await.map_err(Error::environment)?;
        let (env, clock) = (self.0.env.clone(), self.0.clock.clone());
        let added = self.0.roster.add(move |id| Node::new(id, host, spec, env, clock));
        if added.is_err() {
            // A host that cannot be a node is none; one that is gone is as good.
            let _ = membership.remove_host(host).await;
        }
        added
    }

    /// The node is in this state from now on; `false` where it was already, or in a later one.
    pub(crate) fn change(&self, node: &Node, state: MemberState) -> bool {
        self.0.roster.change(node, state)
    }

    /// Removes the host of a node that is about to leave.
    pub(crate) async fn remove(&self, node: &Node) -> Result<(), Error> {
        let removed = self.membership()?.remove_host(node.host()).await;
        match removed {
            // Whoever was dropped as it removed it has done so.
            Ok(()) | Err(EnvError::UnknownHost(_)) => {}
            Err(error) => return Err(Error::environment(error)),
        }
        self.change(node, MemberState::Left);
        Ok(())
    }

    fn membership(&self) -> Result<&dyn Membership, Error> {
        self.0.env.membership().ok_or_else(|| {
            let what = "let hosts join and leave".into();
            let environment = self.0.env.name().into();
            Error::environment(EnvError::Unsupported { environment, what })
        })
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

/// See [`Cluster::settling`].
pub(crate) struct Settling(Cluster);

impl Drop for Settling {
    fn drop(&mut self) {
        self.0.0.unsettled.send_modify(|under_way| *under_way -= 1);
    }
}
