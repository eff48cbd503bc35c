//! The last segment of every flow that a cut has dropped, for heals that are to be prompt.

use crate::link::{Flow, Link};
use crate::tcp::Segment;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Flows that are remembered at most.
const FLOWS_MAX: usize = 1 << 12;

#[derive(Debug, Default)]
pub(super) struct LastDropped(Mutex<HashMap<Flow, Vec<u8>>>);

impl LastDropped {
    /// Remembers a frame that was dropped, if a receiver would answer to it.
    pub(super) fn keep(&self, link: Link, frame: &[u8]) {
        let Some(segment) = Segment::of(frame).filter(|segment| !segment.is_empty()) else {
            return;
        };
        let mut flows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let flow = Flow { link, ports: segment.ports };
        if flows.len() < FLOWS_MAX || flows.contains_key(&flow) {
            flows.insert(flow, frame.to_vec());
        }
    }

    /// What was dropped on links that are open now; it is forgotten.
    pub(super) fn take(&self, open: impl Fn(Link) -> bool) -> Vec<(Link, Vec<u8>)> {
        let mut flows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        flows
            .extract_if(|flow, _| open(flow.link))
            .map(|(flow, frame)| (flow.link, frame))
            .collect()
    }
}
