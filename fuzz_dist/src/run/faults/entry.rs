//! A fault in the owner's hands, and the states of its life.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::Begun;
use crate::error::Error;
use crate::history::Edge;
use crate::nemesis::{AnyPlan, DynFault};
use crate::op::{Name, NodeId};
use crate::time::Time;

/// A fault that was begun.
pub(super) struct Entry {
    pub(super) id: i64,
    pub(super) name: Name,
    pub(super) fault: Arc<dyn DynFault>,
    pub(super) plan: Arc<AnyPlan>,
    /// How long its start may wait for its moment.
    pub(super) lead: Duration,
    pub(super) state: State,
    /// The last edge that was recorded.
    pub(super) edge: Edge,
    /// Whoever waits for the end of its start.
    pub(super) begun: Option<oneshot::Sender<Result<Begun, Error>>>,
    /// Whoever waits for its end.
    pub(super) ended: Vec<oneshot::Sender<Option<bool>>>,
    /// Is it to end as soon as it can?
    pub(super) end_asked: bool,
    /// How often `stop` was run.
    pub(super) stops: u32,
}

/// Where a fault is in its life.
pub(super) enum State {
    /// `start` runs.
    Starting { task: AbortHandle, until: Time },
    /// `start` was cancelled, and its future may still be there.
    Cancelling { until: Time, why: String },
    /// It acts, or was to.
    Acting,
    /// `stop` runs.
    Stopping { task: AbortHandle, until: Time },
    /// It was ended; is it removed? `None` where that is not decided.
    Over(Option<bool>),
}

impl Entry {
    /// Has `stop` been run to its end?
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over(_))
    }

    /// Was its removal verified?
    pub(super) fn is_undone(&self) -> bool {
        matches!(self.state, State::Over(Some(true)))
    }

    /// When something has to be done about it at the latest.
    pub(super) fn due(&self) -> Option<Time> {
        match &self.state {
            State::Starting { until, .. }
            | State::Cancelling { until, .. }
            | State::Stopping { until, .. } => Some(*until),
            State::Acting | State::Over(_) => None,
        }
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.name, self.plan.hit().shape)
    }

    /// Do the two hit the same nodes? A plan that names none may hit any.
    pub(super) fn conflicts(&self, other: &Entry) -> bool {
        let (mine, theirs) = (&self.plan.hit().nodes, &other.plan.hit().nodes);
        mine.is_empty() || theirs.is_empty() || mine.iter().any(|id| theirs.contains(id))
    }

    /// Enters the next edge of its life. Edges come in their order, each once; only a fault that was
    /// not verified as removed is ended again.
    ///
    /// # Panics
    ///
    /// Where the order is broken: a mistake in the owner.
    pub(super) fn enter(&mut self, edge: Edge) {
        let again = self.edge == Edge::Stopped && edge == Edge::Stop && !self.is_undone();
        let next = match self.edge {
            Edge::Start => Edge::Started,
            Edge::Started => Edge::Stop,
            Edge::Stop | Edge::Stopped => Edge::Stopped,
        };
        assert!(
            again || edge == next && self.edge != Edge::Stopped,
            "`{}` went from {:?} to {edge:?}",
            self.name,
            self.edge
        );
        self.edge = edge;
    }
}

/// The nodes that are hit by faults that were not verified as removed.
pub(super) fn hit(entries: &[Entry]) -> BTreeSet<NodeId> {
    let acting = entries.iter().filter(|e| !e.is_undone());
    acting.flat_map(|e| e.plan.hit().nodes.iter().copied()).collect()
}
