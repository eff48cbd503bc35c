//! Where and when an anomaly came about.

use crate::Anomaly;
use fuzz_dist_history::History;
use fuzz_dist_history::op::{NodeId, Phase};
use fuzz_dist_history::time::Time;

/// Where and when an anomaly came about.
pub(super) struct Scene {
    /// The node that took the operation.
    pub(super) origin: NodeId,
    /// The node where it is missed, where that is another one.
    pub(super) other: Option<NodeId>,
    /// When the operation was invoked.
    pub(super) invoked: Time,
    /// When it was done, as far as its client knows.
    pub(super) taken: Time,
    /// Between which reads an element vanished that had been there. Nothing later is a cause.
    pub(super) loss: Option<(Time, Time)>,
    /// When it showed.
    pub(super) shown: Time,
}

impl Scene {
    /// `None` where the anomaly names no operation of a client.
    pub(super) fn of(anomaly: &Anomaly, history: &History) -> Option<Scene> {
        let within = |i: &&usize| **i < history.len() && history.process(**i).is_client();
        let mut events: Vec<usize> = anomaly.events.iter().filter(within).copied().collect();
        events.sort_unstable();
        let (first, last) = (*events.first()?, *events.last()?);
        let invoked = history.invocation(first).unwrap_or(first);
        let taken = history.completion(invoked).unwrap_or(invoked);
        let origin = history.node(invoked)?;
        let shown = history.time(last).max(anomaly.time.unwrap_or(Time::ZERO));
        // What only final reads prove may have come about at any time.
        let whole = history.phase(invoked) == Phase::Final;
        Some(Scene {
            origin,
            other: anomaly.node.or(history.node(last)).filter(|node| *node != origin),
            invoked: if whole { Time::ZERO } else { history.time(invoked) },
            taken: if whole { shown } else { history.time(taken).min(shown) },
            loss: anomaly.within,
            shown,
        })
    }

    /// The node where the effect is, and then the one that took the operation.
    pub(super) fn places(&self) -> Vec<NodeId> {
        self.other.into_iter().chain([self.origin]).collect()
    }

    /// Whatever happened later caused nothing.
    pub(super) fn limit(&self) -> Time {
        self.loss.map_or(self.shown, |(_, to)| to)
    }

    /// Is this between the two nodes, or of the only one?
    pub(super) fn between(&self, history: &History, by: NodeId, peer: &str) -> bool {
        let named = |node: NodeId| history.node_name(node) == peer;
        match self.other {
            Some(other) => by == self.origin && named(other) || by == other && named(self.origin),
            None => by == self.origin || named(self.origin),
        }
    }
}
