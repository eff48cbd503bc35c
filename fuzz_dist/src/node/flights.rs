//! Operations in flight on each node: one that leaves gets no new ones, and is let go once it has none.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::op::NodeId;

/// The operations in flight on all nodes.
///
/// A handle: clones count the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flights(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// At the place of each node's id.
    nodes: Mutex<Vec<OnNode>>,
    /// A node that gets no more operations has none any more.
    none_left: Notify,
}

#[derive(Clone, Copy, Debug, Default)]
struct OnNode {
    in_flight: u32,
    is_closed: bool,
}

impl Flights {
    /// An operation is about to be sent to a node; it is in flight until this is dropped. `None` where the node
    /// is about to leave, or has left.
    pub(crate) fn begin(&self, node: NodeId) -> Option<InFlight> {
        let begun = self.change(node, |on| {
            on.in_flight += u32::from(!on.is_closed);
            !on.is_closed
        });
        begun.then(|| InFlight { flights: self.clone(), node })
    }

    /// The node gets no operation from now on.
    pub(crate) fn close(&self, node: NodeId) {
        self.change(node, |on| on.is_closed = true);
    }

    /// Waits until no operation is in flight on a node that gets no more.
    pub(crate) async fn ended(&self, node: NodeId) {
        loop {
            let none_left = self.0.none_left.notified();
            if self.change(node, |on| on.in_flight == 0) {
                return;
            }
            none_left.await;
        }
    }

    fn change<R>(&self, node: NodeId, change: impl FnOnce(&mut OnNode) -> R) -> R {
        let mut nodes = self.lock();
        if nodes.len() <= node.index() {
            nodes.resize(node.index() + 1, OnNode::default());
        }
        change(&mut nodes[node.index()])
    }

    fn lock(&self) -> MutexGuard<'_, Vec<OnNode>> {
        self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An operation in flight.
#[derive(Debug)]
pub(crate) struct InFlight {
    flights: Flights,
    node: NodeId,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let is_last = self.flights.change(self.node, |on| {
            on.in_flight -= 1;
            on.is_closed && on.in_flight == 0
        });
        if is_last {
            self.flights.0.none_left.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    #[test]
    fn a_node_that_is_closed_is_waited_for_and_gets_nothing_new() {
        let flights = Flights::default();
        let (n1, n2) = (NodeId(0), NodeId(1));
        let [first, second] = [(); 2].map(|()| flights.begin(n1).unwrap());
        let _other = flights.begin(n2).unwrap();
        flights.close(n1);
        assert!(flights.begin(n1).is_none() && flights.begin(n2).is_some());
        let mut ended = pin!(flights.ended(n1));
        let mut is_over =
            || ended.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        assert!(!is_over());
        drop(first);
        assert!(!is_over());
        drop(second);
        assert!(is_over());
    }
}
