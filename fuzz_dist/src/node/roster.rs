//! Who takes part in the cluster: a list of nodes that only grows, each with its state.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;

use super::Node;
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
    /// So many nodes at a time, and who records changes.
    follower: OnceLock<(usize, Record)>,
    /// Held from a change to its record, so that both are in one order.
    changing: Mutex<()>,
}

/// Records that a node's state changed.
type Record = Box<dyn Fn(&Node, MemberState) + Send + Sync>;

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
        let (follower, changing) = Default::default();
        Roster { at_start: nodes.len(), nodes: Mutex::new(nodes), members, follower, changing }
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
        record: impl Fn(&Node, MemberState) + Send + Sync + 'static,
    ) {
        let _ = self.follower.set((clients, Box::new(record)));
    }

    /// Is there a client for one node more?
    pub(super) fn has_room(&self) -> Result<(), Error> {
        let here =
            |node: &&Node| matches!(node.state(), MemberState::Joining | MemberState::Member);
        let nodes = self.lock().iter().filter(here).count();
        match self.follower.get() {
            Some((clients, _)) if nodes >= *clients => Err(Error::usage(format!(
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
        self.record(&node, MemberState::Joining);
        Ok(node)
    }

    /// The node is in this state from now on, unless it was already, or in a later one. Was it changed?
    pub(super) fn change(&self, node: &Node, state: MemberState) -> bool {
        let _one_at_a_time = self.changing();
        if node.state() >= state {
            return false;
        }
        node.0.state.set(state);
        let send = || self.members.send_replace(self.members().iter().map(Node::id).collect());
        // Who joins is recorded before it gets operations, who leaves once it gets none.
        if state != MemberState::Member {
            send();
            self.record(node, state);
        } else {
            self.record(node, state);
            send();
        }
        true
    }

    fn record(&self, node: &Node, state: MemberState) {
        if let Some((_, record)) = self.follower.get() {
            record(node, state);
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
