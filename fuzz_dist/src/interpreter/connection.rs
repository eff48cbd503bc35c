//! What one thread does with its client: execute, reopen, open anew, each within a bound.

use std::time::Duration;

use crate::client::{
    DISCONNECTED, DynClient, DynOpener, Error, NO_CLIENT, TIMEOUT, breaks_connection,
};
use crate::clock::Clock;
use crate::generator::Thread;
use crate::op::{Completion, Invocation, NodeId, OpError};
use crate::random::Seed;

/// How long an operation is on its way to its node, and back, in simulated time.
const LATENCY_MIN: Duration = Duration::from_micros(50);
const LATENCY_MAX: Duration = Duration::from_millis(1);

/// A thread's client, or what is left of it.
#[derive(Default)]
pub(crate) enum Connection {
    /// None: the next one begins a session.
    #[default]
    None,
    /// It must be reopened before it may be used again; its session goes on.
    Broken(Box<dyn DynClient>),
    /// Ready for an operation.
    Ready(Box<dyn DynClient>),
}

impl Connection {
    pub(super) fn is_ready(&self) -> bool {
        matches!(self, Connection::Ready(_))
    }

    /// What is left of it for a new process: a session of its own begins, unless the client is
    /// reusable and stands ready.
    pub(crate) fn for_next_process(&mut self) {
        if !self.is_ready() {
            *self = Connection::None;
        }
    }
}

/// Where a thread's operations go, and how long they may take.
pub(crate) struct Target<'a> {
    pub(super) opener: &'a dyn DynOpener,
    pub(super) clock: Clock,
    pub(super) thread: Thread,
    pub(super) node: NodeId,
    pub(super) open_timeout: Duration,
    pub(super) op_timeout: Duration,
    /// In simulated time: what the latencies are drawn from.
    pub(super) latency: Option<Seed>,
}

/// What a thread has done.
pub(crate) enum Done {
    /// An operation; with a connection that says what is to be done next.
    Op(Connection, Completion),
    /// It has tried to get a connection.
    Mended(Connection),
}

impl Target<'_> {
    /// Executes an operation, over a new connection where there is none.
    pub(crate) async fn execute(self, connection: Connection, op: Invocation) -> Done {
        let mut client = match self.connect(connection).await {
            Ok(client) => client,
            Err((connection, error)) => {
                let error = OpError::new(NO_CLIENT, error.to_string());
                return Done::Op(connection, Completion::Fail(error));
            }
        };
        let invoking = match self.latency {
            None => client.invoke(&op),
            Some(seed) => Box::pin(self.delayed(seed, &mut *client, &op)),
        };
        let completion = match self.clock.timeout(self.op_timeout, invoking).await {
            Ok(completion) => completion,
            Err(_) => {
                let text = format!("no answer within {:?}", self.op_timeout);
                Completion::Info(OpError::new(TIMEOUT, text))
            }
        };
        let broken = match &completion {
            Completion::Ok(_) => false,
            Completion::Fail(error) => breaks_connection(error),
            Completion::Info(_) => true,
        };
        let connection = if broken && !client.is_reusable() {
            Connection::Broken(client)
        } else {
            Connection::Ready(client)
        };
        Done::Op(connection, completion)
    }

    /// The operation with its way there and back. Where work takes no time, the way has to: otherwise no two
    /// operations would overlap, and time would stand still while clients ask one thing after the other.
    async fn delayed(&self, seed: Seed, client: &mut dyn DynClient, op: &Invocation) -> Completion {
        let now = self.clock.reading_ns();
        let mut stream = seed.stream(&format!("latency {} {now}", self.thread.0));
        self.clock.sleep(stream.duration(LATENCY_MIN, LATENCY_MAX)).await;
        let completion = client.invoke(op).await;
        self.clock.sleep(stream.duration(LATENCY_MIN, LATENCY_MAX)).await;
        completion
    }

    /// Tries once to get a connection, after a pause.
    pub(super) async fn mend(self, connection: Connection, pause: Duration) -> Done {
        if !pause.is_zero() {
            self.clock.sleep(pause).await;
        }
        Done::Mended(match self.connect(connection).await {
            Ok(client) => Connection::Ready(client),
            Err((connection, _)) => connection,
        })
    }

    async fn connect(
        &self,
        connection: Connection,
    ) -> Result<Box<dyn DynClient>, (Connection, Error)> {
        match connection {
            Connection::Ready(client) => Ok(client),
            Connection::Broken(mut client) => {
                match self.clock.timeout(self.open_timeout, client.reopen()).await {
                    Ok(Ok(())) => Ok(client),
                    Ok(Err(error)) => Err((Connection::Broken(client), error)),
                    Err(_) => Err((Connection::Broken(client), self.too_slow())),
                }
            }
            Connection::None => {
                let opening = self.opener.open(self.thread, self.node);
                match self.clock.timeout(self.open_timeout, opening).await {
                    Ok(Ok(client)) => Ok(client),
                    Ok(Err(error)) => Err((Connection::None, error)),
                    Err(_) => Err((Connection::None, self.too_slow())),
                }
            }
        }
    }

    fn too_slow(&self) -> Error {
        let node = format!("node {} of the test", self.node.0 + 1);
        Error::new(node, format!("{DISCONNECTED} after {:?} of trying", self.open_timeout))
    }
}
