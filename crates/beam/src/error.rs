//! What can go wrong between us and a node, in terms that show whether the call may have had an effect.

use std::io;
use std::time::Duration;

use super::control::Process;
use super::encode::EncodeError;
use super::epmd::EpmdError;
use super::exception;
use super::from_term::{ConvertError, shortened};
use super::handshake::HandshakeError;
use super::term::Term;

/// Why there is no connection to a node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A node's name is `name@host`.
    #[error("`{0}` is no node name: expected name@host")]
    BadNodeName(String),
    /// The port mapper of the node's host does not answer.
    #[error("failed to ask epmd (port {port}) on the host of {peer}: {error}")]
    EpmdUnreachable {
        /// The node.
        peer: String,
        /// epmd's port.
        port: u16,
        /// What the system said.
        error: io::Error,
    },
    /// The port mapper knows no such node.
    #[error("failed to find {peer} through epmd: {error}")]
    NotRegistered {
        /// The node.
        peer: String,
        /// What epmd answered.
        error: EpmdError,
    },
    /// The node's distribution port does not answer.
    #[error("failed to reach {peer} on its distribution port: {error}")]
    Unreachable {
        /// The node.
        peer: String,
        /// The distribution port.
        port: u16,
        /// What the system said.
        error: io::Error,
    },
    /// The node answered, but not with a connection.
    #[error("failed to connect to {peer}: {error}")]
    Handshake {
        /// The node.
        peer: String,
        /// What the handshake came to.
        error: HandshakeError,
    },
    /// It took too long.
    #[error("failed to connect to {peer} within {} ms", .limit.as_millis())]
    TimedOut {
        /// The node.
        peer: String,
        /// The limit.
        limit: Duration,
    },
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The node, or its host, closed it.
    #[error("the node closed the connection")]
    ByPeer,
    /// The system reported an error.
    #[error("the connection broke: {0}")]
    Io(String),
    /// Nothing came for too long, not even a tick.
    #[error("nothing was heard of the node for {} s", .0.as_secs())]
    Silent(Duration),
    /// The node sent what we cannot understand.
    #[error("the node broke the protocol: {0}")]
    Protocol(String),
    /// The node read nothing until what it has to know had no room any more.
    #[error("the node did not read what was sent to it")]
    Unread,
    /// We closed it.
    #[error("the connection was closed on our side")]
    Local,
}

/// The class of an Erlang exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// `error`: a crash, such as `badmatch`, `undef`, or an Elixir exception.
    Error,
    /// `exit`: the process was made to exit, as by a `gen_server:call` that timed out.
    Exit,
    /// `throw`.
    Throw,
}

/// Why a call gave no result.
///
/// Whether it *may have been executed* is what a history needs to know: see
/// [`CallError::certainly_not_executed`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The function was executed, and raised an exception.
    #[error("exception on {peer}: {}", exception::message(*.class, .reason, .stacktrace))]
    Exception {
        /// The node.
        peer: String,
        /// The exception's class.
        class: Class,
        /// The exception's reason.
        reason: Term,
        /// Where it was raised; an empty list if the node does not report it.
        stacktrace: Term,
    },
    /// There is no such function on the node: the call names a wrong module, function or number of
    /// arguments, or the node has not loaded the module (yet).
    #[error("{function} is undefined on {peer}{}; check module, function and number of arguments",
        called_at(.at))]
    Undefined {
        /// The node.
        peer: String,
        /// The function, as `cart:add/2` or `Shop.Cart.add/2`.
        function: String,
        /// The line of the call, as `tests/shop.rs:12`, where it is known.
        at: Option<String>,
    },
    /// No answer came in time. It may come, and take effect, later.
    #[error("no answer from {peer} to {what} within {} ms", .limit.as_millis())]
    TimedOut {
        /// The node.
        peer: String,
        /// What was called.
        what: String,
        /// The limit.
        limit: Duration,
    },
    /// The connection ended after the call had been sent.
    #[error("connection to {peer} lost while {what} was in flight: {reason}")]
    Disconnected {
        /// The node.
        peer: String,
        /// What was called.
        what: String,
        /// Why the connection ended.
        reason: CloseReason,
    },
    /// There was no connection any more; nothing was sent.
    #[error("not connected to {peer}: {reason}")]
    NotConnected {
        /// The node.
        peer: String,
        /// Why the connection ended.
        reason: CloseReason,
    },
    /// Nobody was registered under the name, or the process was gone.
    #[error("no process {process} on {peer}")]
    NoProcess {
        /// The node.
        peer: String,
        /// Who was called.
        process: Process,
    },
    /// The process that was called ended before it answered.
    #[error("{process} on {peer} ended before it answered: {}", shortened(.reason))]
    ServerDown {
        /// The node.
        peer: String,
        /// Who was called.
        process: Process,
        /// Its exit reason.
        reason: Term,
    },
    /// The node could not start a process for the call.
    #[error("{peer} could not start a process for the call: {}", shortened(.reason))]
    NotStarted {
        /// The node.
        peer: String,
        /// The node's reason.
        reason: Term,
    },
    /// The arguments cannot be sent to Erlang; nothing was sent.
    #[error("an argument cannot be sent: {0}")]
    NotEncodable(#[from] EncodeError),
    /// Too many calls wait for answers on this connection; nothing was sent.
    #[error("{limit} calls wait for an answer of {peer} already, which is the limit")]
    TooManyPending {
        /// The node.
        peer: String,
        /// The limit.
        limit: usize,
    },
    /// The function was executed, and returned something else than was asked for.
    #[error("unexpected result from {peer}: {error}")]
    UnexpectedResult {
        /// The node.
        peer: String,
        /// What was expected and what came.
        error: ConvertError,
    },
}

impl CallError {
    /// Is it certain that the function was not executed, and never will be?
    ///
    /// Nothing was sent, or the node said that it could not start, or has no such function. Of a process that was not there
    /// it is *not* certain: one may be registered between our watch and our message, nor of an
    /// undefined function: one that calls itself may lose its code on the way. Exceptions are for the
    /// application to judge.
    pub fn certainly_not_executed(&self) -> bool {
        match self {
            CallError::NotConnected { .. }
            | CallError::NotStarted { .. }
            | CallError::NotEncodable(_)
            | CallError::Undefined { .. }
            | CallError::TooManyPending { .. } => true,
            CallError::Exception { .. }
            | CallError::TimedOut { .. }
            | CallError::Disconnected { .. }
            | CallError::NoProcess { .. }
            | CallError::ServerDown { .. }
            | CallError::UnexpectedResult { .. } => false,
        }
    }

    /// A short word for the kind of error, the same in every version, to count and group by.
    ///
    /// A call of `gen_server` that gave up inside of the node is a `timeout` as one is that gave up here:
    ///
    /// ```
    /// use fuzz_dist_beam::{CallError, Class, Term, atom};
    ///
    /// let reason = Term::Tuple(vec![atom("timeout"), atom("what was called")]);
    /// let (peer, stacktrace) = ("shop@n1".into(), Term::List(vec![]));
    /// let error = CallError::Exception { peer, class: Class::Exit, reason, stacktrace };
    /// assert_eq!(error.kind(), "timeout");
    /// ```
    pub fn kind(&self) -> &'static str {
        match self {
            CallError::TimedOut { .. } => "timeout",
            CallError::Exception { class: Class::Exit, reason, .. } if is_timeout(reason) => {
                "timeout"
            }
            CallError::Exception { .. } => "exception",
            CallError::Undefined { .. } => "undefined",
            CallError::Disconnected { .. } => "disconnected",
            CallError::NotConnected { .. } => "not_connected",
            CallError::NoProcess { .. } => "noproc",
            CallError::ServerDown { .. } => "server_down",
            CallError::NotStarted { .. } => "not_started",
            CallError::NotEncodable(_) => "not_encodable",
            CallError::TooManyPending { .. } => "too_many_pending",
            CallError::UnexpectedResult { .. } => "unexpected_result",
        }
    }
}

/// What the `call` of OTP's behaviours exits with when it has waited long enough.
fn is_timeout(reason: &Term) -> bool {
    matches!(reason.as_tuple(), Some([why, _called]) if why.is_atom("timeout"))
}

fn called_at(at: &Option<String>) -> String {
    at.as_ref().map_or_else(String::new, |at| format!(" (called at {at})"))
}
