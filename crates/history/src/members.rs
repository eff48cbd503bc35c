//! Who takes part in the cluster: nodes join and leave while a test runs.
//!
//! A change is recorded as an event `member` of [`Process::RUNTIME`] on the node, whose value is a map with
//! the node's `name` and its `state`. The first event of a node that the history does not know yet adds it.
//! Nodes of the start that no event names are members.
//!
//! Each attempt to let a node leave records `leaving`. One that the database refuses records it once more, with the
//! database's reason as `refused`: the node still belongs to the cluster until the next attempt.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{History, View, Word};
use crate::op::{Name, NodeId, Process, Value};
use crate::time::Time;

/// The function of the events.
const MEMBER: &str = "member";
/// Why an attempt to leave failed.
const REFUSED: &str = "refused";

/// A node's part in the cluster. It only ever goes on to a later one: whoever comes back is a new node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberState {
    /// Its host is there, and the database starts on it.
    Joining,
    /// It takes part: it gets operations, can be the target of faults, and has to give a final read.
    Member,
    /// It is about to go: it gets no more operations.
    Leaving,
    /// Its host is gone.
    Left,
}

impl MemberState {
    /// As it is written in histories: `joining`, `member`, `leaving`, `left`.
    pub const fn as_str(self) -> &'static str {
        match self {
            MemberState::Joining => "joining",
            MemberState::Member => "member",
            MemberState::Leaving => "leaving",
            MemberState::Left => "left",
        }
    }

    fn parse(text: &str) -> Option<MemberState> {
        use MemberState::{Joining, Leaving, Left, Member};
        [Joining, Member, Leaving, Left].into_iter().find(|state| state.as_str() == text)
    }
}

/// One change of the cluster's members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberChange {
    /// Whose.
    pub node: NodeId,
    /// What it is from now on.
    pub state: MemberState,
    /// When.
    pub time: Time,
    /// The event.
    pub event: usize,
}

impl History {
    /// The names of the nodes, in the test's order, and of those that joined later in theirs; also of
    /// those that left.
    pub fn nodes(&self) -> &[Name] {
        &self.nodes
    }

    /// The name of a node.
    pub fn node_name(&self, node: NodeId) -> &str {
        self.nodes.get(node.index()).map_or("?", |n| n)
    }

    /// The function and the value of the event that records a change.
    pub fn member_event(name: &str, state: MemberState) -> (Name, Value) {
        let value = Value::map([("name", name.into()), ("state", state.as_str().into())]);
        (MEMBER.into(), value)
    }

    /// The function and the value of the event that records that the database did not let a node leave, and why.
    pub fn leave_refused_event(name: &str, why: &str) -> (Name, Value) {
        let state = MemberState::Leaving.as_str();
        let value = [("name", name.into()), ("state", state.into()), (REFUSED, why.into())];
        (MEMBER.into(), Value::map(value))
    }

    /// All changes, in the order in which they were recorded. A node that is leaving already and is let go by a
    /// further attempt has changed once.
    pub fn member_changes(&self) -> Vec<MemberChange> {
        let mut states: BTreeMap<NodeId, MemberState> = BTreeMap::new();
        let is_change =
            |c: &MemberChange| states.insert(c.node, c.state).is_none_or(|before| before < c.state);
        self.member_events().into_iter().map(|(change, _)| change).filter(is_change).collect()
    }

    /// All events of members: attempts to leave that follow others, and their refusals, too (`true`).
    fn member_events(&self) -> Vec<(MemberChange, bool)> {
        let Some(member) = self.find_function(MEMBER) else { return Vec::new() };
        let of_members = |i: &usize| self.function_index(*i) == member;
        let change = |event: usize| {
            let value = self.view(event)?;
            let state = MemberState::parse(value.get("state").and_then(View::as_text)?)?;
            let refused = state == MemberState::Leaving && value.get(REFUSED).is_some();
            let (node, time) = (self.node(event)?, self.time(event));
            Some((MemberChange { node, state, time, event }, refused))
        };
        self.of_process(Process::RUNTIME).filter(of_members).filter_map(change).collect()
    }

    /// The events between which a node was about to leave, or had left, for each node that left in the end: from
    /// an attempt to its refusal, or to the end of the history. An attempt that was given up is not refused: whether
    /// the database has let the node go is not known.
    pub(super) fn leaves(&self) -> Vec<(NodeId, Range<usize>)> {
        let events = self.member_events();
        let mut attempts: BTreeMap<NodeId, (usize, usize)> = BTreeMap::new();
        let mut leaves = Vec::new();
        for (change, refused) in events.iter().filter(|(c, _)| c.state >= MemberState::Leaving) {
            let (under_way, since) = attempts.entry(change.node).or_default();
            if *refused {
                *under_way = under_way.saturating_sub(1);
                if *under_way == 0 {
                    leaves.push((change.node, *since..change.event));
                }
            } else {
                if *under_way == 0 {
                    *since = change.event;
                }
                *under_way += 1;
            }
        }
        let on = attempts.into_iter().filter(|(_, (under_way, _))| *under_way > 0);
        leaves.extend(on.map(|(node, (_, since))| (node, since..usize::MAX)));
        let left =
            |node| events.iter().any(|(c, _)| c.node == node && c.state == MemberState::Left);
        leaves.retain(|(node, _)| left(*node));
        leaves
    }

    /// The nodes that take part at the end, in the order of their ids.
    pub fn members(&self) -> Vec<NodeId> {
        let mut states = vec![MemberState::Member; self.nodes.len()];
        for change in self.member_changes() {
            if let Some(state) = states.get_mut(change.node.index()) {
                *state = change.state;
            }
        }
        let ids = (0..self.nodes.len()).map(|i| NodeId(i as u16));
        ids.zip(states).filter(|(_, s)| *s == MemberState::Member).map(|(id, _)| id).collect()
    }

    /// Who joined and who left, in one line; `None` where nobody did.
    ///
    /// `members: n6 joined at 3.2 s, n2 left at 5.0 s`
    pub fn members_line(&self) -> Option<String> {
        let words = |change: &MemberChange| {
            let what = match change.state {
                MemberState::Member => "joined",
                MemberState::Left => "left",
                MemberState::Joining | MemberState::Leaving => return None,
            };
            let name = self.node_name(change.node);
            Some(format!("{name} {what} at {:.1} s", change.time.0 as f64 / 1e9))
        };
        let said: Vec<String> = self.member_changes().iter().filter_map(words).collect();
        (!said.is_empty()).then(|| format!("members: {}", said.join(", ")))
    }

    /// Adds the node that an event of the runtime introduces: the first one that has its place.
    pub(super) fn introduce(&mut self, node: Option<NodeId>, function: u16, value: Word) {
        let new = node.is_some_and(|node| node.index() == self.nodes.len());
        if !new || &*self.functions[usize::from(function)] != MEMBER {
            return;
        }
        let name = self.words.view(value).get("name").and_then(View::as_text).map(Name::from);
        if let Some(name) = name.filter(|name| !self.nodes.contains(name)) {
            self.nodes.push(name);
            self.joined += 1;
        }
    }

    /// The nodes that the first line of a file names; later ones are introduced by their events.
    pub(super) fn nodes_of_the_start(&self) -> &[Name] {
        &self.nodes[..self.nodes.len() - self.joined]
    }
}
