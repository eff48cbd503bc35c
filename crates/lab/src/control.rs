//! The harness's side of the agents' sockets: one thread hears all of them, answers are futures
//! that need no runtime, and every request has a limit.

use super::lock;
use super::protocol::{Failure, Reply, Request};
use super::wire::{Outgoing, Received, Receiver};
use fuzz_dist_env::BoxFuture;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
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

/// Events of an agent that answer no request.
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
    /// What the agent did not take yet, for the thread that hears it to send.
    outbox: Mutex<VecDeque<Outgoing>>,
    wake: Arc<OwnedFd>,
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
        self.send(request, fds)
    }

    /// The same for what is no request.
    pub(super) fn send(
        &self,
        body: impl Serialize,
        fds: &[BorrowedFd<'_>],
    ) -> BoxFuture<'static, Answer> {
        let receiver = self.expect(|id| self.post(Outgoing::new(id, body, fds)?));
        Box::pin(async move {
            match receiver {
                Ok(receiver) => receiver.await.unwrap_or(Err(Lost::Closed)),
                Err(lost) => Err(lost),
            }
        })
    }

    /// Sends a message, or keeps it until the agent takes it: nobody waits here.
    fn post(&self, message: Outgoing) -> io::Result<()> {
        let mut outbox = lock(&self.outbox);
        if outbox.is_empty() {
            match message.try_send(&self.socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
        outbox.push_back(message);
        drop(outbox);
        wake(&self.wake);
        Ok(())
    }

    fn has_outgoing(&self) -> bool {
        !lock(&self.outbox).is_empty()
    }

    /// Sends as much of what was kept as the agent takes now.
    fn flush(&self) {
        let mut outbox = lock(&self.outbox);
        while let Some(message) = outbox.front() {
            match message.try_send(&self.socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The reader notices an agent that has ended, and answers whoever waits for it.
                _ => outbox.pop_front(),
            };
        }
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
            if waiting.len() >= WAITING_MAX || lock(&self.outbox).len() >= WAITING_MAX {
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
    wake: Arc<OwnedFd>,
    stop: AtomicBool,
}

impl Control {
    pub(super) fn new() -> io::Result<Self> {
        let shared = Arc::new(Shared {
            connections: Mutex::default(),
            wake: Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?),
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
            outbox: Mutex::default(),
            wake: Arc::clone(&self.shared.wake),
            waiting: Mutex::default(),
            next_id: AtomicU64::new(1),
            closed: AtomicBool::new(false),
            listener,
        });
        lock(&self.shared.connections).push(Arc::clone(&connection));
        wake(&self.shared.wake);
        connection
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        wake(&self.shared.wake);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Has the thread look again at what it waits for.
fn wake(eventfd: &OwnedFd) {
    let _ = rustix::io::write(eventfd, &1_u64.to_ne_bytes());
}

impl Shared {
    fn serve(&self) {
        let mut receiver = Receiver::new();
        while !self.stop.load(SeqCst) {
            let connections = lock(&self.connections).clone();
            let mut ends = vec![PollFd::new(&*self.wake, PollFlags::IN)];
            ends.extend(connections.iter().map(|c| {
                let out = if c.has_outgoing() { PollFlags::OUT } else { PollFlags::empty() };
                PollFd::new(&c.socket, PollFlags::IN | out)
            }));
            let second = Timespec { tv_sec: 1, tv_nsec: 0 };
            let _ = poll(&mut ends, Some(&second));
            let ready: Vec<PollFlags> = ends.iter().map(PollFd::revents).collect();
            if !ready[0].is_empty() {
                let _ = rustix::io::read(&*self.wake, &mut [0_u8; 8][..]);
            }
            let now = Instant::now();
            for (connection, ready) in connections.iter().zip(&ready[1..]) {
                connection.expire(now);
                if ready.contains(PollFlags::OUT) {
                    connection.flush();
                }
                let heard = !(*ready - PollFlags::OUT).is_empty();
                if heard && !connection.hear(&mut receiver) {
                    lock(&self.connections).retain(|other| !Arc::ptr_eq(other, connection));
                }
            }
        }
        for connection in std::mem::take(&mut *lock(&self.connections)) {
            connection.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire;
    use super::*;
    use crate::start::block_on;

    struct Deaf;

    impl Listener for Deaf {
        fn hear(&self, _: &mut Reply, _: &mut Vec<OwnedFd>) {}
        fn closed(&self) {}
    }

    /// Many more than the socket holds: none of them waits, and none is lost.
    #[test]
    fn requests_to_an_agent_that_is_busy_are_kept_in_order() {
        const REQUESTS: usize = 500;
        let (ours, theirs) = wire::pair().unwrap();
        let control = Control::new().unwrap();
        let connection = control.connect(ours, Arc::new(Deaf));
        let (done, asked) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let request = |n: usize| Request::WriteHosts { content: format!("{n:02000}") };
            let answers: Vec<_> = (0..REQUESTS).map(|n| connection.ask(request(n), &[])).collect();
            done.send(answers).unwrap();
        });
        let answers = asked.recv_timeout(Duration::from_secs(60)).expect("asking waits");
        let mut receiver = Receiver::new();
        for n in 0..REQUESTS {
            let Received::Message(message, _) = receiver.receive::<Request>(&theirs).unwrap()
            else {
                panic!("closed");
            };
            let Request::WriteHosts { content } = message.body else { panic!("not what was sent") };
            assert_eq!(content.parse(), Ok(n));
            wire::send(&theirs, message.id, Reply::Done, &[]).unwrap();
        }
        for answer in answers {
            assert!(matches!(block_on(answer), Ok((Reply::Done, _))));
        }
    }
}
