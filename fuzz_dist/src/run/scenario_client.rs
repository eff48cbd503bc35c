//! Clients of scenarios: operations in ordinary async code, under the interpreter's rules.

use std::sync::Arc;

use super::live::{Live, LiveOpener};
use crate::client::{ABANDONED, NO_CLIENT, PANICKED};
use crate::generator::Thread;
use crate::interpreter::{Caller, Connection, Done, caught};
use crate::node::{InFlight, Node};
use crate::op::{Completion, Invocation, Name, OpError, Process, Value};

/// An operation of a scenario: [`Add`], [`Read`], or any [`Invocation`].
pub trait Operation {
    /// What it gives where it succeeds.
    type Value;
    /// As it is recorded and sent.
    fn invocation(&self) -> Invocation;
    /// The value out of what the client gave.
    ///
    /// # Panics
    ///
    /// When the client gave something of another form: that is a slip in the client.
    fn value(&self, value: Value) -> Self::Value;
}

/// Adds an element to a set.
#[derive(Clone, Copy, Debug)]
pub struct Add(pub i64);

/// Reads a whole set.
#[derive(Clone, Copy, Debug)]
pub struct Read;

impl Operation for Add {
    type Value = ();
    fn invocation(&self) -> Invocation {
        Invocation::new("add", self.0)
    }
    fn value(&self, _: Value) {}
}

impl Operation for Read {
    type Value = Vec<i64>;
    fn invocation(&self) -> Invocation {
        Invocation::new("read", ())
    }
    fn value(&self, value: Value) -> Vec<i64> {
        let numbers = match &value {
            Value::Set(set) => Some(set.as_slice().to_vec()),
            Value::List(items) => items.iter().map(Value::as_int).collect(),
            _ => None,
        };
        numbers.unwrap_or_else(|| {
            panic!("the client's `read` gave {value}, which is no set of integers")
        })
    }
}

impl Operation for Invocation {
    type Value = Value;
    fn invocation(&self) -> Invocation {
        self.clone()
    }
    fn value(&self, value: Value) -> Value {
        value
    }
}

/// Why an operation of a scenario gave no value.
///
/// ```no_run
/// # use fuzz_dist::prelude::*;
/// # async fn example(running: &Running) -> Result<(), InvokeError> {
/// match running.client("n1").invoke(Add(1)).await {
///     Ok(()) => {}
///     Err(InvokeError::Fail { kind, .. }) if &*kind == "refused" => {}
///     Err(InvokeError::Info { .. }) => {} // it may be seen later, or never
///     Err(other) => return Err(other),
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// It certainly did not happen.
    #[error("{operation} failed: {}", OpError::new(.kind.clone(), .text.clone()))]
    Fail {
        /// A short stable word, such as `refused`.
        kind: Name,
        /// The client's words.
        text: Name,
        /// The operation and its node: `add 1 on n1`.
        operation: String,
    },
    /// Indeterminate: it may have happened, may happen later, or never.
    #[error("{operation} is indeterminate: {}", OpError::new(.kind.clone(), .text.clone()))]
    Info {
        /// A short stable word, such as `timeout`.
        kind: Name,
        /// The client's words.
        text: Name,
        /// The operation and its node: `add 1 on n1`.
        operation: String,
    },
}

crate::error::becomes_an_error![InvokeError];

impl InvokeError {
    /// The short stable word for it.
    pub fn kind(&self) -> &str {
        match self {
            InvokeError::Fail { kind, .. } | InvokeError::Info { kind, .. } => kind,
        }
    }
}

/// A client of one node whose operations are recorded.
pub struct ScenarioClient {
    live: Arc<Live>,
    node: Node,
    process: Process,
    connection: Connection,
}

impl ScenarioClient {
    pub(super) fn new(live: Arc<Live>, node: Node) -> ScenarioClient {
        let process = live.next_process();
        ScenarioClient { live, node, process, connection: Connection::default() }
    }

    /// Executes an operation within the test's operation limit.
    ///
    /// The rules are those of the main phase: a function that the workload declares pure fails where
    /// its outcome is indeterminate; after any other indeterminate outcome the client goes on as a
    /// new process with a new connection. A future that is dropped before it is done leaves an
    /// indeterminate operation behind, and the client can be used again. A node that is about to leave gets no
    /// operation: it fails.
    ///
    /// # Errors
    ///
    /// Where it failed or is indeterminate. Both are recorded.
    pub async fn invoke<O: Operation>(&mut self, operation: O) -> Result<O::Value, InvokeError> {
        let op = operation.invocation();
        let live = self.live.clone();
        let opener = LiveOpener(&live);
        let caller = self.caller();
        let in_flight = live.cluster.flights().begin(self.node.id());
        let is_leaving = in_flight.is_none();
        live.executor.invoked(caller, live.phase(), &op);
        let flight = Flight { client: self, op: Some(op.clone()), _in_flight: in_flight };
        if is_leaving {
            let text =
                format!("{} takes no operation: it leaves the cluster", flight.client.node.name());
            let failed = Completion::Fail(OpError::new(NO_CLIENT, text));
            return flight.complete(failed).map(|value| operation.value(value));
        }
        let connection = std::mem::take(&mut flight.client.connection);
        let target = live.executor.target(&opener, caller);
        let completion = match caught(Box::pin(target.execute(connection, op))).await {
            Ok(Done::Op(connection, completion)) => {
                flight.client.connection = connection;
                completion
            }
            Ok(Done::Mended(_)) => unreachable!("an operation was to be executed"),
            Err(panic) => Completion::Info(OpError::new(PANICKED, panic)),
        };
        flight.complete(completion).map(|value| operation.value(value))
    }

    fn caller(&self) -> Caller {
        // Scenarios have no threads; the node's number keeps openers of the interpreter content.
        let node = self.node.id();
        Caller { thread: Thread(node.0), process: self.process, node }
    }
}

/// An operation under way. However it ends, the history says so, and the client can go on.
struct Flight<'a> {
    client: &'a mut ScenarioClient,
    op: Option<Invocation>,
    /// As the node knows of it, until the end is recorded.
    _in_flight: Option<InFlight>,
}

impl Flight<'_> {
    fn complete(mut self, completion: Completion) -> Result<Value, InvokeError> {
        self.end(completion)
    }

    fn end(&mut self, completion: Completion) -> Result<Value, InvokeError> {
        let op = self.op.take().expect("an operation ends once");
        let client = &mut *self.client;
        let (caller, live) = (client.caller(), client.live.clone());
        let (completion, _) = live.executor.completed(caller, live.phase(), &op, completion);
        let operation = || format!("{} {} on {}", op.f, op.value, client.node.name());
        match completion {
            Completion::Ok(value) => Ok(value),
            Completion::Fail(OpError { kind, text }) => {
                Err(InvokeError::Fail { kind, text, operation: operation() })
            }
            Completion::Info(OpError { kind, text }) => {
                let error = InvokeError::Info { kind, text, operation: operation() };
                client.process = live.next_process();
                client.connection.for_next_process();
                Err(error)
            }
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if self.op.is_some() {
            let text = "the scenario dropped it before it was done";
            let _ = self.end(Completion::Info(OpError::new(ABANDONED, text)));
        }
    }
}
