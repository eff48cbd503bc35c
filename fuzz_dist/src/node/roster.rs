//! Who takes part in the cluster: a list of nodes that only grows, each with its state.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::{Flights, Node};
use crate::error::Error;
use crate::history::MemberState;
use crate::op::NodeId;

/// Ids from here on are those of hosts that are no nodes.
const NODES_MAX: u16 = 1 << 15;

/// The nodes of a cluster. A node's id is its place: it is given once, and stays when the node has left.
pub(super) struct Roster {
    at_start: usize,
    nodes: Mutex<Vec<Node>>,
    members: watch::Sender<Arc<[NodeId]>>,
    follower: OnceLock<Follower>,
    flights: Flights,
    /// Held from a change to its record, so that both are in one order.
    changing: Mutex<()>,
}

/// Who has clients, and records changes.
struct Follower {
    /// So many nodes at a time.
    clients: usize,
    /// How long one of their operations takes at most.
    op_limit: Duration,
    record: Record,
}

/// Records what became of a node.
type Record = Box<dyn Fn(&Node, Turn<'_>) + Send + Sync>;

/// What a history records of a node's part in the cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn<'a> {
    /// It is in this state from now on. Each attempt to let it leave is recorded, also where it is leaving already.
    To(MemberState),
    /// The database did not let it go.
    LeaveRefused(&'a Error),
}

impl std::fmt::Debug for Roster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.all().iter().map(|n| (n.name().to_string(), n.state())))
            .finish()
    }
}

impl Roster {
    pub(super) fn new(nodes: Vec<Node>) -> Roster {
        let members = watch::Sender::new(nodes.iter().map(Node::id).collect());
        let (follower, flights, changing) = Default::default();
        let (at_start, nodes) = (nodes.len(), Mutex::new(nodes));
        Roster { at_start, nodes, members, follower, flights, changing }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every node that there ever was, at the place of its id.
    pub(super) fn all(&self) -> Vec<Node> {
        self.lock().clone()
    }

    pub(super) fn get(&self, id: NodeId) -> Option<Node> {
        self.lock().get(id.index()).cloned()
    }

    pub(super) fn at_start(&self) -> usize {
        self.at_start
    }

    /// How many there ever were.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Those that take part now.
    pub(super) fn members(&self) -> Vec<Node> {
        let takes_part = |node: &&Node| node.state() == MemberState::Member;
        self.lock().iter().filter(takes_part).cloned().collect()
    }

    pub(super) fn following(&self) -> watch::Receiver<Arc<[NodeId]>> {
        let mut following = self.members.subscribe();
        following.mark_changed();
        following
    }

    pub(super) fn follow_with(
        &self,
        clients: usize,
        op_limit: Duration,
        record: impl Fn(&Node, Turn<'_>) + Send + Sync + 'static,
    ) {
        let _ = self.follower.set(Follower { clients, op_limit, record: Box::new(record) });
    }

    /// The operations in flight on the nodes.
    pub(super) fn flights(&self) -> &Flights {
        &self.flights
    }

    /// How long one of them takes at most, where anybody has clients.
    pub(super) fn op_limit(&self) -> Duration {
        self.follower.get().map(|follower| follower.op_limit).unwrap_or_default()
    }

    /// Is there a client for one node more?
    pub(super) fn has_room(&self) -> Result<(), Error> {
        let here =
            |node: &&Node| matches!(node.state(), MemberState::Joining | MemberState::Member);
        let nodes = self.lock().iter().filter(here).count();
        match self.follower.get() {
            Some(Follower { clients, .. }) if nodes >= *clients => Err(Error::usage(format!(
                "one node more than {nodes} would have no client, and would never be tested; raise \
                 `concurrency` from {clients}"
            ))),
            _ => Ok(()),
        }
    }

    /// Adds a node that is made with the id that it gets; it is joining.
    pub(super) fn add(
        &self,
        make: impl FnOnce(NodeId) -> Result<Node, Error>,
    ) -> Result<Node, Error> {
        let _one_at_a_time = self.changing();
        let node = make(id_of(self.len())?)?;
        node.0.state.set(MemberState::Joining);
        self.lock().push(node.clone());
        self.record(&node, Turn::To(MemberState::Joining));
        Ok(node)
    }

    /// The node is about to leave from now on, unless it was already, and gets no operation any more. The last
    /// member is refused: whether there is another one is decided together with the change.
    pub(super) fn leave(&self, node: &Node) -> Result<(), Error> {
        let one_at_a_time = self.changing();
        if node.state() < MemberState::Leaving
            && !self.members().iter().any(|other| other.id() != node.id())
        {
            let name = node.name();
            return Err(Error::usage(format!("{name} is the last node, which cannot leave")));
        }
        if !self.changed(node, MemberState::Leaving, &one_at_a_time)
            && node.state() == MemberState::Leaving
        {
            self.record(node, Turn::To(MemberState::Leaving));
        }
        Ok(())
    }

    /// The database did not let the node go. It stays about to leave, but belongs to the cluster until `leave` is
    /// called again.
    pub(super) fn refused(&self, node: &Node, why: &Error) {
        let _one_at_a_time = self.changing();
        self.record(node, Turn::LeaveRefused(why));
    }

    /// The node is in this state from now on, unless it was already, or in a later one. Was it changed?
    pub(super) fn change(&self, node: &Node, state: MemberState) -> bool {
        self.changed(node, state, &self.changing())
    }

    fn changed(&self, node: &Node, state: MemberState, _: &MutexGuard<'_, ()>) -> bool {
        if node.state() >= state {
            return false;
        }
        if state >= MemberState::Leaving {
            self.flights.close(node.id());
        }
        node.0.state.set(state);
        let send = || self.members.send_replace(self.members().iter().map(Node::id).collect());
        // Who joins is recorded before it gets operations, who leaves once it gets none.
        if state != MemberState::Member {
            send();
            self.record(node, Turn::To(state));
        } else {
            self.record(node, Turn::To(state));
            send();
        }
        true
    }

    fn record(&self, node: &Node, turn: Turn<'_>) {
        if let Some(follower) = self.follower.get() {
            (follower.record)(node, turn);
        }
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id of the node that is added as number `place`, counted from 0.
pub(super) fn id_of(place: usize) -> Result<NodeId, Error> {
    let id = u16::try_from(place).ok().filter(|id| *id < NODES_MAX);
    id.map(NodeId).ok_or_else(|| Error::usage(format!("a cluster has at most {NODES_MAX} nodes")))
}

/// Is it the id of a node, and not one of a host with another role?
pub(crate) fn is_of_node(id: NodeId) -> bool {
    id.0 < NODES_MAX
}

/// The id of the host with another role that is number `place`: apart from those of nodes, also of nodes that
/// join later.
pub(super) fn id_of_other(place: usize) -> Result<NodeId, Error> {
    let id = u16::try_from(place).ok().filter(|id| *id < u16::MAX - NODES_MAX);
    let id = id.ok_or_else(|| Error::usage("there are too many hosts that are no nodes"))?;
    Ok(NodeId(NODES_MAX + id))
}

/// A node's state, which others read while it changes.
#[derive(Debug)]
pub(super) struct State(AtomicU8);

impl State {
    pub(super) fn new(state: MemberState) -> State {
        State(AtomicU8::new(state as u8))
    }

    pub(super) fn get(&self) -> MemberState {
        use MemberState::{Joining, Leaving, Left, Member};
        let states = [Joining, Member, Leaving, Left];
        let now = self.0.load(Ordering::SeqCst);
        states.into_iter().find(|state| *state as u8 == now).unwrap_or(Left)
    }

    fn set(&self, state: MemberState) {
        self.0.store(state as u8, Ordering::SeqCst);
    }
}
