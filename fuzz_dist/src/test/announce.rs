//! Faults announced inside of the nodes, so that the application's own telemetry and logs carry them.

use std::time::Duration;

use super::live::Live;
use crate::args;
use crate::beam::{AGENT_MODULE, Atom};
use crate::history::Edge;

/// How long a node may take to hear of it; one that a fault keeps from it never does.
const LIMIT: Duration = Duration::from_secs(1);

impl Live {
    /// Tells every node that is observed that a fault begins or ends. Nobody waits for it, and it may
    /// fail: a fault is no better or worse for being announced.
    pub(super) fn announce(&self, edge: Edge, id: i64, trouble: &str) {
        let edge = Atom::from(edge.as_str());
        for node in self.cluster.nodes().iter().filter(|n| n.erlang_name().is_some()) {
            let (node, said) = (node.clone(), args![edge.clone(), id, trouble]);
            let telling = async move {
                if let Ok(control) = node.control().await {
                    let _ = control.call::<Atom>(AGENT_MODULE, "announce", said).await;
                }
            };
            tokio::spawn(tokio::time::timeout(LIMIT, telling));
        }
    }
}
