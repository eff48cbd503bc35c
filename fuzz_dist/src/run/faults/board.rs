//! What everybody may see of the faults: those that act, and what went wrong with them.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::op::NodeId;

/// Written by the owner, read by anybody.
#[derive(Debug, Default)]
pub(in crate::run) struct Board(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    shown: Vec<String>,
    hit: BTreeSet<NodeId>,
    problems: Vec<String>,
    departures: Vec<String>,
    healed: Option<bool>,
}

impl Board {
    /// The faults that act, for people: `bridge {n1 n2} - n3 - {n4 n5}`.
    pub(in crate::run) fn shown(&self) -> Vec<String> {
        self.lock().shown.clone()
    }

    /// The nodes that are hit by faults that were not verified as removed.
    pub(in crate::run) fn hit(&self) -> BTreeSet<NodeId> {
        self.lock().hit.clone()
    }

    /// What went wrong with faults themselves, in sentences.
    pub(in crate::run) fn problems(&self) -> Vec<String> {
        self.lock().problems.clone()
    }

    /// Keeps what went wrong.
    pub(in crate::run) fn problem(&self, text: String) {
        self.lock().problems.push(text);
    }

    /// Where the run differs from the one that it replays.
    pub(in crate::run) fn departures(&self) -> Vec<String> {
        self.lock().departures.clone()
    }

    /// Is the run healed, and was that proved?
    pub(in crate::run) fn healed(&self) -> Option<bool> {
        self.lock().healed
    }

    pub(super) fn departure(&self, text: String) {
        self.lock().departures.push(text);
    }

    pub(super) fn show(&self, shown: Vec<String>, hit: BTreeSet<NodeId>) {
        let mut inner = self.lock();
        (inner.shown, inner.hit) = (shown, hit);
    }

    pub(super) fn heal(&self, proved: bool) {
        self.lock().healed = Some(proved);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
