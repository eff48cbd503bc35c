//! The harness's side of the agents' sockets: one thread hears all of them, answers are futures
//! that need no runtime, and every request has a limit.

use super::lock;
use super::protocol::{Failure, Reply, Request};
use super::wire::{self, Received, Receiver};
use crate::env::BoxFuture;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The longest time that an agent may take to answer; it takes a millisecond.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(20);

/// The most requests that may wait for one agent.
const WAITING_MAX: usize = 1024;

/// An answer with its descriptors, or why there is none.
type Answer = Result<(Reply, Vec<OwnedFd>), Lost>;

/// Why an answer does not come.
#[derive(Debug)]
pub(super) enum Lost {
    /// The agent said what it could not do.
    Failed(Failure),
    /// The agent is gone.
    Closed,
    /// It did not answer in time.
    TimedOut,
    /// The request could not be sent.
    NotSent(io::Error),
}

/// What is told of an agent without having been asked for.
pub(super) trait Listener: Send + Sync {
    /// An event, or an answer before its asker hears it (so that no event overtakes it).
    fn hear(&self, reply: &mut Reply, fds: &mut Vec<OwnedFd>);
    /// The agent is gone.
    fn closed(&self);
}

struct Waiting {
    until: Instant,
    answer: oneshot::Sender<Answer>,
}

/// The way to one agent.
pub(super) struct Connection {
    socket: OwnedFd,
    waiting: Mutex<BTreeMap<u64, Waiting>>,
    next_id: AtomicU64,
    closed: AtomicBool,
    listener: Arc<dyn Listener>,
}

impl Connection {
    /// Sends a request; the future completes with its answer, within [`ANSWER_MAX`].
    pub(super) fn ask(
        &self,
        request: Request,
        fds: &[BorrowedFd<'_>],
    ) -> BoxFuture<'static, Answer> {
        self.send(|socket, id| wire::send(socket, id, request, fds))
    }

    /// The same for what is no request.
    pub(super) fn send(
        &self,
        send: impl FnOnce(&OwnedFd, u64) -> io::Result<()>,
    ) -> BoxFuture<'static, Answer> {
        let receiver = self.expect(|id| send(&self.socket, id));
        Box::pin(async move {
            match receiver {
                Ok(receiver) => receiver.await.unwrap_or(Err(Lost::Closed)),
                Err(lost) => Err(lost),
            }
        })
    }

    /// Registers a request before `send` sends it, or its answer might come too early.
    fn expect(
        &self,
        send: impl FnOnce(u64) -> io::Result<()>,
    ) -> Result<oneshot::Receiver<Answer>, Lost> {
        let id = self.next_id.fetch_add(1, SeqCst);
        let (answer, receiver) = oneshot::channel();
        {
            let mut waiting = lock(&self.waiting);
            if self.closed.load(SeqCst) {
                return Err(Lost::Closed);
            }
            if waiting.len() >= WAITING_MAX {
                return Err(Lost::NotSent(io::Error::other("too many requests at once")));
            }
            waiting.insert(id, Waiting { until: Instant::now() + ANSWER_MAX, answer });
        }
        match send(id) {
            Ok(()) => Ok(receiver),
            Err(error) => {
                lock(&self.waiting).remove(&id);
                match error.kind() {
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Err(Lost::Closed),
                    _ => Err(Lost::NotSent(error)),
                }
            }
        }
    }

    /// Hears one message; false when no more will come.
    fn hear(&self, receiver: &mut Receiver) -> bool {
        let Ok(Received::Message(message, mut fds)) = receiver.receive::<Reply>(&self.socket)
        else {
            self.close();
            return false;
        };
        let mut reply = message.body;
        self.listener.hear(&mut reply, &mut fds);
        if let Some(waiting) = lock(&self.waiting).remove(&message.id) {
            let answer = match reply {
                Reply::Failed(failure) => Err(Lost::Failed(failure)),
                reply => Ok((reply, fds)),
            };
            // Who asked may have lost interest.
            let _ = waiting.answer.send(answer);
        }
        true
    }

    fn close(&self) {
        let waiting = {
            let mut waiting = lock(&self.waiting);
            self.closed.store(true, SeqCst);
            std::mem::take(&mut *waiting)
        };
        for (_, waiting) in waiting {
            let _ = waiting.answer.send(Err(Lost::Closed));
        }
        self.listener.closed();
    }

    fn expire(&self, now: Instant) {
        let late = {
            let mut waiting = lock(&self.waiting);
            waiting.extract_if_late(now)
        };
        for waiting in late {
            let _ = waiting.answer.send(Err(Lost::TimedOut));
        }
    }
}

trait ExtractLate {
    fn extract_if_late(&mut self, now: Instant) -> Vec<Waiting>;
}

impl ExtractLate for BTreeMap<u64, Waiting> {
    fn extract_if_late(&mut self, now: Instant) -> Vec<Waiting> {
        let late: Vec<u64> =
            self.iter().filter(|(_, w)| w.until <= now).map(|(id, _)| *id).collect();
        late.iter().filter_map(|id| self.remove(id)).collect()
    }
}

/// The thread that hears all agents of a lab.
pub(super) struct Control {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Shared {
    connections: Mutex<Vec<Arc<Connection>>>,
    wake: OwnedFd,
    stop: AtomicBool,
}

impl Control {
    pub(super) fn new() -> io::Result<Self> {
        let shared = Arc::new(Shared {
            connections: Mutex::default(),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            stop: AtomicBool::new(false),
        });
        let run = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("lab control".into()).spawn(move || run.serve())?;
        Ok(Control { shared, thread: Some(thread) })
    }

    /// Begins to hear an agent.
    pub(super) fn connect(&self, socket: OwnedFd, listener: Arc<dyn Listener>) -> Arc<Connection> {
        let connection = Arc::new(Connection {
            socket,
            waiting: Mutex::default(),
            next_id: AtomicU64::new(1),
            closed: AtomicBool::new(false),
            listener,
        });
        lock(&self.shared.connections).push(Arc::clone(&connection));
        self.shared.wake();
        connection
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn wake(&self) {
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    fn serve(&self) {
        let mut receiver = Receiver::new();
        while !self.stop.load(SeqCst) {
            let connections = lock(&self.connections).clone();
            let mut ends = vec![PollFd::new(&self.wake, PollFlags::IN)];
            ends.extend(connections.iter().map(|c| PollFd::new(&c.socket, PollFlags::IN)));
            let second = Timespec { tv_sec: 1, tv_nsec: 0 };
            let _ = poll(&mut ends, Some(&second));
            let ready: Vec<bool> = ends.iter().map(|end| !end.revents().is_empty()).collect();
            if ready[0] {
                let _ = rustix::io::read(&self.wake, &mut [0_u8; 8][..]);
            }
            let now = Instant::now();
            for (connection, ready) in connections.iter().zip(&ready[1..]) {
                connection.expire(now);
                if *ready && !connection.hear(&mut receiver) {
                    lock(&self.connections).retain(|other| !Arc::ptr_eq(other, connection));
                }
            }
        }
        for connection in std::mem::take(&mut *lock(&self.connections)) {
            connection.close();
        }
    }
}
