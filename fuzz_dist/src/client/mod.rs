//! How operations reach the system under test.
//!
//! A [`Client`] is one connection of one thread to one node. It is written with plain
//! `async fn`; [`DynClient`] is its boxed form, which the interpreter drives.

use std::future::Future;

use crate::generator::Thread;
use crate::op::{Completion, Invocation, Name, NodeId, OpError};

pub use crate::env::BoxFuture;

/// A connection to a node that executes operations.
///
/// The interpreter drops the future of [`invoke`](Client::invoke) when an operation takes
/// longer than its time-out, so it must be harmless to drop. It runs in the interpreter's own
/// task: what blocks a thread belongs into `tokio::task::spawn_blocking`.
///
/// ```
/// use fuzz_dist::client::{Client, Error};
/// use fuzz_dist::op::{Completion, Invocation, OpError, Value};
///
/// #[derive(Default)]
/// struct Register(Value);
///
/// impl Client for Register {
///     async fn invoke(&mut self, op: &Invocation) -> Completion {
///         match &*op.f {
///             "write" => self.0 = op.value.clone(),
///             "read" => return Completion::Ok(self.0.clone()),
///             f => return Completion::Fail(OpError::new("unsupported", f)),
///         }
///         Completion::Ok(op.value.clone())
///     }
///
///     async fn reopen(&mut self) -> Result<(), Error> {
///         Ok(())
///     }
/// }
/// ```
pub trait Client: Send + 'static {
    /// Executes an operation.
    ///
    /// Answer [`Completion::Fail`] only where it is certain that nothing happened, and
    /// [`Completion::Info`] where it is not. What a broken connection or a time-out leaves
    /// behind is named by the error's kind; see [`breaks_connection`].
    fn invoke(&mut self, op: &Invocation) -> impl Future<Output = Completion> + Send;

    /// Replaces the connection by a new one to the same node, so that no late answer to an old
    /// request is taken for the answer to a new one. The session goes on: a causal token that
    /// the client holds is kept.
    ///
    /// # Errors
    ///
    /// When there is no connection to be had now; the interpreter tries again later.
    fn reopen(&mut self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Whether the client can be used as it is after a time-out or an indeterminate operation, also for
    /// the thread's next process. True only where no answer can be mistaken for another's.
    fn is_reusable(&self) -> bool {
        false
    }
}

/// Opens clients: a new one for each thread, and for each new process of it.
pub trait Opener: Send + Sync + 'static {
    /// What it opens.
    type Client: Client;

    /// Opens a client of `thread` to `node`, in a session of its own.
    ///
    /// # Errors
    ///
    /// When there is no connection to be had now; the interpreter tries again later.
    fn open(
        &self,
        thread: Thread,
        node: NodeId,
    ) -> impl Future<Output = Result<Self::Client, Error>> + Send;
}

/// An opener from an ordinary function that needs not wait.
///
/// ```
/// # use fuzz_dist::client::*;
/// # use fuzz_dist::op::{Completion, Invocation};
/// struct Fine;
/// impl Client for Fine {
///     async fn invoke(&mut self, op: &Invocation) -> Completion {
///         Completion::Ok(op.value.clone())
///     }
///     async fn reopen(&mut self) -> Result<(), Error> {
///         Ok(())
///     }
/// }
/// let opener: Box<dyn DynOpener> = Box::new(open_with(|_thread, _node| Ok(Fine)));
/// ```
pub fn open_with<C, F>(open: F) -> OpenWith<F>
where
    C: Client,
    F: Fn(Thread, NodeId) -> Result<C, Error> + Send + Sync + 'static,
{
    OpenWith(open)
}

/// See [`open_with`].
pub struct OpenWith<F>(F);

impl<C, F> Opener for OpenWith<F>
where
    C: Client,
    F: Fn(Thread, NodeId) -> Result<C, Error> + Send + Sync + 'static,
{
    type Client = C;
    async fn open(&self, thread: Thread, node: NodeId) -> Result<C, Error> {
        (self.0)(thread, node)
    }
}

/// A client as the interpreter holds it.
pub trait DynClient: Send {
    /// See [`Client::invoke`].
    fn invoke<'a>(&'a mut self, op: &'a Invocation) -> BoxFuture<'a, Completion>;
    /// See [`Client::reopen`].
    fn reopen(&mut self) -> BoxFuture<'_, Result<(), Error>>;
    /// See [`Client::is_reusable`].
    fn is_reusable(&self) -> bool;
}

impl<C: Client> DynClient for C {
    fn invoke<'a>(&'a mut self, op: &'a Invocation) -> BoxFuture<'a, Completion> {
        Box::pin(Client::invoke(self, op))
    }
    fn reopen(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(Client::reopen(self))
    }
    fn is_reusable(&self) -> bool {
        Client::is_reusable(self)
    }
}

/// An opener as the interpreter holds it.
pub trait DynOpener: Send + Sync {
    /// See [`Opener::open`].
    fn open(
        &self,
        thread: Thread,
        node: NodeId,
    ) -> BoxFuture<'_, Result<Box<dyn DynClient>, Error>>;
}

impl<O: Opener> DynOpener for O {
    fn open(
        &self,
        thread: Thread,
        node: NodeId,
    ) -> BoxFuture<'_, Result<Box<dyn DynClient>, Error>> {
        Box::pin(async move {
            let client = Opener::open(self, thread, node).await?;
            Ok(Box::new(client) as Box<dyn DynClient>)
        })
    }
}

/// No connection to a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no connection to {to}: {why}")]
pub struct Error {
    /// What was to be reached: a host and port, a node's name.
    pub to: Name,
    /// What was said.
    pub why: Name,
}

impl Error {
    /// Could not connect to `to`, because of `why`.
    pub fn new(to: impl Into<Name>, why: impl std::fmt::Display) -> Error {
        Error { to: to.into(), why: why.to_string().into() }
    }
}

/// The kind of error of an operation that took longer than its time-out.
pub const TIMEOUT: &str = "timeout";
/// The kind of error of an operation whose connection broke.
pub const DISCONNECTED: &str = "disconnected";
/// The kind of error of an operation for which there was no connection: it was never sent.
pub const NO_CLIENT: &str = "no_client";
/// The kind of error of an operation whose function the client does not know: it was never sent.
pub const UNSUPPORTED: &str = "unsupported";
/// The kind of error of an operation whose argument has a form that its function does not take: it was
/// never sent.
pub const BAD_ARGUMENT: &str = "bad_argument";
/// The kind of error of an operation whose client panicked.
pub const PANICKED: &str = "panicked";
/// The kind of error of an operation that was still running when its phase ended.
pub const ABANDONED: &str = "abandoned";

/// The definite failure of an operation whose function a client does not know; `known` are those that
/// it does. A client chooses by the function's name, never by the form of the value.
///
/// ```
/// # use fuzz_dist::client::unsupported;
/// # use fuzz_dist::op::{Completion, Invocation};
/// let Completion::Fail(error) = unsupported(&Invocation::new("remove", 3), ["add", "read"]) else {
///     panic!("it certainly did not happen")
/// };
/// assert_eq!(&*error.text, "this client has no function `remove`; it has `add` and `read`");
/// ```
pub fn unsupported<'a>(op: &Invocation, known: impl IntoIterator<Item = &'a str>) -> Completion {
    let known: Vec<String> = known.into_iter().map(|f| format!("`{f}`")).collect();
    let known = match known.split_last() {
        None => "none".to_string(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    };
    let text = format!("this client has no function `{}`; it has {known}", op.f);
    Completion::Fail(OpError::new(UNSUPPORTED, text))
}

/// The definite failure of an operation whose argument has a form that its function does not take.
pub fn bad_argument(op: &Invocation) -> Completion {
    let text = format!("`{}` does not take {}", op.f, op.value);
    Completion::Fail(OpError::new(BAD_ARGUMENT, text))
}

/// Must the client be reopened after this error, even where the outcome is known? So it is
/// after a time-out or a broken connection: a late answer would be taken for the next one's.
pub fn breaks_connection(error: &OpError) -> bool {
    [TIMEOUT, DISCONNECTED, ABANDONED, PANICKED].contains(&&*error.kind)
}
