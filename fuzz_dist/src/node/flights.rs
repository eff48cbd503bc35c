//! Operations in flight on each node: one that leaves gets no new ones, and is let go once it has none.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::op::NodeId;

/// The operations in flight on all nodes.
///
/// A handle: clones count the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flights(Arc<Mutex<Vec<OnNode>>>);

/// Those of one node: whoever sends many keeps it, so that each costs two steps of an atomic number.
#[derive(Clone, Debug, Default)]
pub(crate) struct OnNode(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// How many are in flight, with [`CLOSED`] where there will be no more.
    state: AtomicU32,
    /// A node that gets no more operations has none any more.
    none_left: Notify,
}

const CLOSED: u32 = 1 << 31;

impl Flights {
    /// An operation is about to be sent to a node; it is in flight until this is dropped. `None` where the node
    /// is about to leave, or has left.
    pub(crate) fn begin(&self, node: NodeId) -> Option<InFlight> {
        self.on(node).begin()
    }

    /// The operations of one node.
    pub(crate) fn on(&self, node: NodeId) -> OnNode {
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if nodes.len() <= node.index() {
            nodes.resize_with(node.index() + 1, OnNode::default);
        }
        nodes[node.index()].clone()
    }

    /// The node gets no operation from now on.
    pub(crate) fn close(&self, node: NodeId) {
        self.on(node).0.state.fetch_or(CLOSED, SeqCst);
    }

    /// Waits until no operation is in flight on a node that gets no more.
    pub(crate) async fn ended(&self, node: NodeId) {
        let on = self.on(node).0;
        loop {
            let none_left = on.none_left.notified();
            if on.state.load(SeqCst) & !CLOSED == 0 {
                return;
            }
            none_left.await;
        }
    }
}

impl OnNode {
    /// As [`Flights::begin`].
    #[inline]
    pub(crate) fn begin(&self) -> Option<InFlight> {
        let one_more = |state: u32| (state & CLOSED == 0).then_some(state + 1);
        self.0.state.fetch_update(SeqCst, SeqCst, one_more).ok()?;
        Some(InFlight(self.clone()))
    }
}

/// An operation in flight.
#[derive(Debug)]
pub(crate) struct InFlight(OnNode);

impl Drop for InFlight {
    #[inline]
    fn drop(&mut self) {
        let before = self.0.0.state.fetch_sub(1, SeqCst);
        if before == CLOSED + 1 {
            self.0.0.none_left.notify_waiters();
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
