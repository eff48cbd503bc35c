//! Clients that are made of functions of a test's own.

use std::future::Future;
use std::sync::Arc;

use super::Failure;
use crate::client::{BoxFuture, Client, Error as ClientError, bad_argument, unsupported};
use crate::node::Node;
use crate::op::{Completion, Invocation, Value};

/// What a function gives in the end.
pub(super) type Answer<T> = BoxFuture<'static, Result<T, Failure>>;
/// A function of a node.
pub(super) type Asking<T> = Arc<dyn Fn(Node) -> Answer<T> + Send + Sync>;
/// A function of a node and an argument.
pub(super) type WithArgument<A, T> = Arc<dyn Fn(Node, A) -> Answer<T> + Send + Sync>;

/// Forgets the types of a function of a node.
pub(super) fn asking<F, Fut, T, E>(ask: F) -> Asking<T>
where
    F: Fn(Node) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    T: 'static,
    E: Into<Failure>,
{
    Arc::new(move |node| {
        let answer = ask(node);
        Box::pin(async move { answer.await.map_err(Into::into) })
    })
}

/// Forgets the types of a function of a node and an argument.
pub(super) fn with_argument<F, Fut, A, T, E>(call: F) -> WithArgument<A, T>
where
    F: Fn(Node, A) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    A: 'static,
    T: 'static,
    E: Into<Failure>,
{
    Arc::new(move |node, argument| {
        let answer = call(node, argument);
        Box::pin(async move { answer.await.map_err(Into::into) })
    })
}

/// What an operation calls.
pub(super) enum Called {
    /// This, and what it gives.
    Answer(Answer<Value>),
    /// The argument is none of such a function.
    BadArgument,
    /// No function of this name.
    Unsupported,
}

type Call = Arc<dyn Fn(&Node, &str, &Value) -> Called + Send + Sync>;

/// A client of functions, which hold no connection of their own.
pub(super) struct Functions {
    pub(super) node: Node,
    pub(super) known: &'static [&'static str],
    pub(super) call: Call,
}

impl Client for Functions {
    async fn invoke(&mut self, op: &Invocation) -> Completion {
        match (self.call)(&self.node, &op.f, &op.value) {
            Called::Answer(answer) => Failure::completion(answer.await),
            Called::BadArgument => bad_argument(op),
            Called::Unsupported => unsupported(op, self.known.iter().copied()),
        }
    }

    async fn reopen(&mut self) -> Result<(), ClientError> {
        Ok(())
    }
}
