//! Which faults keep a node's processes down or stopped, so that the end of one does not end another.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Node;

/// How a fault holds a node's processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// They are gone and do not come back.
    Down,
    /// They are there and do not run.
    Stopped,
}

/// Which fault: its number in the run.
pub(crate) type Holder = i64;

/// Which faults hold a node. They are known by their numbers, not counted: a fault whose start was aborted before it
/// held the node, or whose end is run twice, must not release what another one holds.
#[derive(Debug, Default)]
pub(super) struct Held {
    down: Mutex<BTreeSet<Holder>>,
    stopped: Mutex<BTreeSet<Holder>>,
    /// Was it started again without taking part yet?
    returning: AtomicBool,
}

impl Held {
    fn by(&self, hold: Hold) -> MutexGuard<'_, BTreeSet<Holder>> {
        let holders = match hold {
            Hold::Down => &self.down,
            Hold::Stopped => &self.stopped,
        };
        holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    /// The fault holds the node.
    pub(crate) fn hold(&self, hold: Hold, holder: Holder) {
        self.0.held.by(hold).insert(holder);
    }

    /// The fault holds it no longer, where it did.
    pub(crate) fn release(&self, hold: Hold, holder: Holder) {
        self.0.held.by(hold).remove(&holder);
    }

    /// Does any fault hold it?
    pub(crate) fn is_held(&self, hold: Hold) -> bool {
        !self.0.held.by(hold).is_empty()
    }

    /// Was the database started again on it, without taking part yet?
    pub(crate) fn is_returning(&self) -> bool {
        self.0.held.returning.load(Ordering::SeqCst)
    }

    pub(crate) fn set_returning(&self, returning: bool) {
        self.0.held.returning.store(returning, Ordering::SeqCst);
    }
}
