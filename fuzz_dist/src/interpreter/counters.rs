//! What a progress line shows while a run is going on, and who may watch it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::generator::Thread;
use crate::op::{Completion, Invocation, NodeId, Process};
use crate::time::Time;

/// Live counts of a run; they may be read at any time from anywhere.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) invoked: AtomicU64,
    pub(super) ok: AtomicU64,
    pub(super) fail: AtomicU64,
    pub(super) info: AtomicU64,
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Operations invoked.
    pub invoked: u64,
    /// Of these, completed ok.
    pub ok: u64,
    /// Failed for certain.
    pub fail: u64,
    /// Of unknown outcome.
    pub info: u64,
}

impl Counters {
    /// The counts now.
    pub fn now(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // Completions first: nothing then seems to have completed that was not invoked.
        let (ok, fail, info) = (read(&self.ok), read(&self.fail), read(&self.info));
        Counts { invoked: read(&self.invoked), ok, fail, info }
    }

    pub(super) fn completed(&self, completion: &Completion) {
        let counter = match completion {
            Completion::Ok(_) => &self.ok,
            Completion::Fail(_) => &self.fail,
            Completion::Info(_) => &self.info,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counts {
    /// Operations under way.
    pub fn in_flight(&self) -> u64 {
        self.invoked.saturating_sub(self.ok + self.fail + self.info)
    }

    /// What was counted since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Counts) -> Counts {
        Counts {
            invoked: self.invoked - earlier.invoked,
            ok: self.ok - earlier.ok,
            fail: self.fail - earlier.fail,
            info: self.info - earlier.info,
        }
    }
}

/// Watches a run from inside, such as a nemesis that strikes when an operation is about to be
/// sent. It is called in the interpreter's task, between two operations: it must return at
/// once, and hand over to others what takes time.
pub trait Observer: Send + Sync {
    /// An operation is recorded, and about to be sent.
    fn about_to_invoke(&self, sent: &Sent<'_>) {
        let _ = sent;
    }

    /// An operation has completed, and that is recorded.
    fn completed(&self, sent: &Sent<'_>, completion: &Completion) {
        let _ = (sent, completion);
    }

    /// The generator has a message for people.
    fn log(&self, time: Time, text: &str) {
        let _ = (time, text);
    }
}

/// An operation, as an [`Observer`] sees it.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// Now.
    pub time: Time,
    /// The thread that runs it.
    pub thread: Thread,
    /// The process that runs it.
    pub process: Process,
    /// The node that it goes to.
    pub node: NodeId,
    /// The event of its invocation, or of its completion once it has completed.
    pub index: usize,
    /// What is done.
    pub op: &'a Invocation,
}
