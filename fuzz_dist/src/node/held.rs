//! Which faults keep a node's processes down or stopped, so that the end of one does not end another.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::Node;

/// How a fault holds a node's processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// They are gone and do not come back.
    Down,
    /// They are there and do not run.
    Stopped,
}

/// How many faults hold a node.
#[derive(Debug, Default)]
pub(super) struct Held {
    down: AtomicU32,
    stopped: AtomicU32,
    /// Was it started again without taking part yet?
    returning: AtomicBool,
}

impl Held {
    fn count(&self, hold: Hold) -> &AtomicU32 {
        match hold {
            Hold::Down => &self.down,
            Hold::Stopped => &self.stopped,
        }
    }
}

impl Node {
    /// One more fault holds the node.
    pub(crate) fn hold(&self, hold: Hold) {
        self.0.held.count(hold).fetch_add(1, Ordering::SeqCst);
    }

    /// One fault less holds it. The end of a fault may be run twice: there is never less than none.
    pub(crate) fn release(&self, hold: Hold) {
        let less = |count: u32| count.checked_sub(1);
        let _ = self.0.held.count(hold).fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
    }

    /// Does any fault hold it?
    pub(crate) fn is_held(&self, hold: Hold) -> bool {
        self.0.held.count(hold).load(Ordering::SeqCst) > 0
    }

    /// Was the database started again on it, without taking part yet?
    pub(crate) fn is_returning(&self) -> bool {
        self.0.held.returning.load(Ordering::SeqCst)
    }

    pub(crate) fn set_returning(&self, returning: bool) {
        self.0.held.returning.store(returning, Ordering::SeqCst);
    }
}
