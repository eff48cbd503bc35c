//! The faults of a running test: one task, the [owner](owner), holds all of them.
//!
//! Lanes, scenarios, the heal and the end of an interrupted run send it requests. It runs the futures
//! of faults in tasks of its own, so that nothing that was begun is lost when a caller is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, ErrorKind};
use crate::history::FaultStatus;
use crate::nemesis::{DynFault, LaneSchedule, Slot};
use crate::random::Stream;

mod board;
mod entry;
mod heal;
mod lane;
mod owner;
mod scene;
mod step;
#[cfg(test)]
mod tests;

use board::Board;
use owner::Owner;
pub(super) use scene::Scene;
pub(super) use step::died;

/// The way to the owner of the faults.
#[derive(Clone)]
pub(super) struct Faults {
    requests: mpsc::UnboundedSender<Request>,
    board: Arc<Board>,
    calls: Arc<AtomicUsize>,
}

/// A fault that is to begin.
pub(super) struct Begin {
    pub(super) fault: Arc<dyn DynFault>,
    pub(super) random: Stream,
    pub(super) zone: Option<String>,
    pub(super) slot: Slot,
}

/// What the owner is asked for.
enum Request {
    /// The windows of all lanes are drawn.
    Lanes(Vec<LaneSchedule>),
    /// A fault is to begin; the answer comes when its start is over.
    Begin {
        begin: Box<Begin>,
        reply: oneshot::Sender<Result<Begun, Error>>,
        /// Sent once the start was polled for the first time.
        polled: Option<oneshot::Sender<Held>>,
    },
    /// A fault is to end; the answer comes when it has.
    End { id: i64, reply: Option<oneshot::Sender<Option<bool>>> },
    /// All faults are to end, and the network is to be proved whole.
    Heal { limit: Option<Duration>, reply: oneshot::Sender<bool> },
}

/// What came of a start.
pub(super) struct Begun {
    pub(super) held: Held,
    pub(super) status: FaultStatus,
    /// Why nobody knows whether it acts, where `start` failed.
    pub(super) failed: Option<String>,
}

/// A fault in somebody's hands. Dropped, it ends the fault; so a caller that is dropped before it
/// passed the fault on leaves nothing behind.
pub(super) struct Held {
    id: i64,
    requests: Option<mpsc::UnboundedSender<Request>>,
}

impl Held {
    /// The fault's number.
    pub(super) fn id(&self) -> i64 {
        self.id
    }

    /// Leaves the fault to whoever has its number, and to the heal.
    pub(super) fn keep(mut self) -> i64 {
        self.requests = None;
        self.id
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(requests) = self.requests.take() {
            // Where the owner is gone, there is nothing to end.
            let _ = requests.send(Request::End { id: self.id, reply: None });
        }
    }
}

impl Faults {
    /// Starts the owner on the current runtime.
    pub(super) fn start(scene: Scene) -> Faults {
        let (requests, receiver) = mpsc::unbounded_channel();
        let board = Arc::<Board>::default();
        let owner = Owner::new(scene, board.clone(), receiver, requests.downgrade());
        tokio::spawn(owner.run());
        Faults { requests, board, calls: Arc::default() }
    }

    /// The number of the next call of a scenario.
    pub(super) fn next_call(&self) -> usize {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }

    /// The windows of all lanes, as they were drawn.
    pub(super) fn scheduled(&self, lanes: Vec<LaneSchedule>) {
        let _ = self.requests.send(Request::Lanes(lanes));
    }

    /// Begins a fault and waits until its start is over. Dropped before that, the fault is ended as
    /// soon as its start is over.
    ///
    /// # Errors
    ///
    /// Where there is nothing to hit, planning panicked, or the run is healing already. A fault that
    /// was begun and failed counts as begun.
    pub(super) async fn begin(&self, begin: Begin) -> Result<Begun, Error> {
        let (reply, begun) = oneshot::channel();
        let begin = Box::new(begin);
        let _ = self.requests.send(Request::Begin { begin, reply, polled: None });
        begun.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Begins a fault and waits only until its start was polled once; what comes of it is awaited
    /// with the receiver.
    ///
    /// # Errors
    ///
    /// As [`Faults::begin`].
    pub(super) async fn arm(&self, begin: Begin) -> Result<Armed, Error> {
        let (reply, mut begun) = oneshot::channel();
        let (polled, armed) = oneshot::channel();
        let begin = Box::new(begin);
        let _ = self.requests.send(Request::Begin { begin, reply, polled: Some(polled) });
        if let Ok(held) = armed.await {
            return Ok(Armed { id: held.keep(), begun });
        }
        // It never got that far; the reply says why.
        match (&mut begun).await {
            Ok(Err(error)) => Err(error),
            _ => Err(gone()),
        }
    }

    /// A fault that is ended where the caller is dropped.
    pub(super) fn hold(&self, id: i64) -> Held {
        Held { id, requests: Some(self.requests.clone()) }
    }

    /// Ends a fault; is it removed? `None` where that is not decided. Dropped before that, the fault ends all the
    /// same.
    pub(super) async fn end(&self, id: i64) -> Option<bool> {
        let (reply, ended) = oneshot::channel();
        let _ = self.requests.send(Request::End { id, reply: Some(reply) });
        ended.await.ok().flatten()
    }

    /// Ends all faults, heals the links and proves it; was the removal of everything verified? From then on no
    /// fault begins. It goes on when the caller is dropped, and may be called again. With a `limit`,
    /// what is not over by then is recorded as not undone.
    pub(super) async fn heal(&self, limit: Option<Duration>) -> bool {
        let (reply, healed) = oneshot::channel();
        let _ = self.requests.send(Request::Heal { limit, reply });
        match healed.await {
            Ok(proved) => proved,
            Err(_) => {
                self.board.problem(gone().to_string());
                false
            }
        }
    }

    /// What everybody may see of the faults.
    pub(super) fn board(&self) -> &Board {
        &self.board
    }
}

/// A fault whose start was polled.
pub(super) struct Armed {
    pub(super) id: i64,
    pub(super) begun: oneshot::Receiver<Result<Begun, Error>>,
}

pub(super) fn gone() -> Error {
    Error::new(ErrorKind::Test, "internal error: the task that owns the faults has ended")
}
