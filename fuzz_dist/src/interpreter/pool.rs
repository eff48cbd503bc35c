//! The futures of all threads, polled within one task: no channel, no task per operation.

use std::any::Any;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::client::BoxFuture;

/// One slot for each thread, each with a future or none.
pub(super) struct Pool<'a, T> {
    slots: Vec<Option<BoxFuture<'a, T>>>,
    wakers: Vec<Waker>,
    ready: Arc<Ready>,
}

/// What a future gave: its output, or the message of its panic.
pub(crate) type Finished<T> = Result<T, String>;

#[derive(Default)]
struct Ready(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    slots: VecDeque<usize>,
    /// Is the slot in the queue already? It stands there once at most.
    queued: Vec<bool>,
    task: Option<Waker>,
}

struct SlotWaker {
    slot: usize,
    ready: Arc<Ready>,
}

impl Ready {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        let mut queue = self.ready.lock();
        queue.push(self.slot);
        let task = queue.task.take();
        drop(queue);
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl Queue {
    fn push(&mut self, slot: usize) {
        if !std::mem::replace(&mut self.queued[slot], true) {
            self.slots.push_back(slot);
        }
    }

    fn pop(&mut self) -> Option<usize> {
        let slot = self.slots.pop_front()?;
        self.queued[slot] = false;
        Some(slot)
    }
}

impl<'a, T> Pool<'a, T> {
    pub(super) fn new(slots: usize) -> Pool<'a, T> {
        let ready = Arc::new(Ready::default());
        ready.lock().queued = vec![false; slots];
        Pool {
            slots: (0..slots).map(|_| None).collect(),
            wakers: (0..slots)
                .map(|slot| Waker::from(Arc::new(SlotWaker { slot, ready: Arc::clone(&ready) })))
                .collect(),
            ready,
        }
    }

    /// Puts a future into an empty slot; it is polled by the next [`Pool::poll_next`].
    pub(super) fn start(&mut self, slot: usize, future: BoxFuture<'a, T>) {
        let before = self.slots[slot].replace(future);
        assert!(before.is_none(), "a thread does one thing at a time");
        self.ready.lock().push(slot);
    }

    /// The slot and the output of a future that has finished; pending where none has.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(usize, Finished<T>)> {
        // A future that wakes itself is polled again in the task's next turn only, or it would
        // keep the task from the runtime for ever.
        let turns = self.ready.lock().slots.len();
        for _ in 0..turns {
            let Some(slot) = self.ready.lock().pop() else { break };
            let Some(future) = &mut self.slots[slot] else { continue };
            let mut cx = Context::from_waker(&self.wakers[slot]);
            let Poll::Ready(finished) = poll(future, &mut cx) else { continue };
            self.abandon(slot);
            return Poll::Ready((slot, finished));
        }
        let mut queue = self.ready.lock();
        if queue.slots.is_empty() {
            queue.task = Some(cx.waker().clone());
        } else {
            drop(queue);
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Empties a slot; was there a future in it?
    pub(super) fn abandon(&mut self, slot: usize) -> bool {
        let Some(future) = self.slots[slot].take() else { return false };
        discard(future);
        true
    }
}

/// A future of user code by itself: its output, or the message of its panic.
pub(crate) async fn caught<T>(future: BoxFuture<'_, T>) -> Finished<T> {
    let mut future = Some(future);
    let finished = poll_fn(|cx| match &mut future {
        Some(future) => poll(future, cx),
        None => Poll::Pending,
    });
    let finished = finished.await;
    future.take().into_iter().for_each(discard);
    finished
}

/// Polls a future that may panic.
fn poll<T>(future: &mut BoxFuture<'_, T>, cx: &mut Context<'_>) -> Poll<Finished<T>> {
    match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Ok),
        Err(panic) => Poll::Ready(Err(message(&*panic))),
    }
}

/// Drops a future: what it holds belongs to the user, and may panic as well.
fn discard<T>(future: BoxFuture<'_, T>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
        .to_string()
}
