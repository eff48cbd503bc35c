//! What can go wrong between us and a node, in terms that show whether the call may have had an effect.

use std::io;
use std::time::Duration;

use super::control::Process;
use super::encode::EncodeError;
use super::epmd::EpmdError;
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
    #[error("exception on {peer}: {}{}", exception(.class, .reason), raised_in(.stacktrace))]
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
    /// The node has no such function, or does not export it with so many arguments; nothing was executed.
    #[error(
        "{peer} has no function {what}: is the module in the release, and the function exported with so many arguments?"
    )]
    Undefined {
        /// The node.
        peer: String,
        /// What was called.
        what: String,
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
    /// Nothing was sent, or the node said that it could not start. Of a process that was not there
    /// it is *not* certain: one may be registered between our watch and our message. Exceptions
    /// are for the application to judge.
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

/// An exception as Elixir's message, if it has one, or as the class and the reason.
fn exception(class: &Class, reason: &Term) -> String {
    let class = match class {
        Class::Error => "error",
        Class::Exit => "exit",
        Class::Throw => "throw",
    };
    if let Term::Map(fields) = reason {
        let field = |name| fields.get(&super::term::atom(name));
        if let (Some(module), Some(message)) =
            (field("__struct__"), field("message").and_then(Term::as_text))
        {
            let module = module.as_atom().map_or("", |name| name.as_str());
            return format!("{}: {message}", module.trim_start_matches("Elixir."));
        }
    }
    format!("{class}: {}", shortened(reason))
}

/// The first parts of the names of Elixir's own modules.
const ELIXIR: [&str; 54] = [
    "Access",
    "Agent",
    "Application",
    "Atom",
    "Base",
    "Bitwise",
    "Calendar",
    "Code",
    "Collectable",
    "Config",
    "Date",
    "DateTime",
    "DynamicSupervisor",
    "EEx",
    "Enum",
    "Enumerable",
    "Exception",
    "File",
    "Float",
    "Function",
    "GenServer",
    "IO",
    "Inspect",
    "Integer",
    "Kernel",
    "Keyword",
    "List",
    "Logger",
    "Macro",
    "Map",
    "MapSet",
    "Module",
    "NaiveDateTime",
    "Node",
    "OptionParser",
    "PartitionSupervisor",
    "Path",
    "Port",
    "Process",
    "Protocol",
    "Range",
    "Record",
    "Regex",
    "Registry",
    "Stream",
    "String",
    "StringIO",
    "Supervisor",
    "System",
    "Task",
    "Time",
    "Tuple",
    "URI",
    "Version",
];

/// A frame of a stack trace as text, and whether it is the application's rather than a library's.
fn frame(term: &Term) -> Option<(String, bool)> {
    let [Term::Atom(module), Term::Atom(function), arity, location] = term.as_tuple()? else {
        return None;
    };
    let arity = match arity {
        // Where the arguments themselves were wrong, they are there.
        Term::List(arguments) => arguments.len() as i64,
        other => other.as_i64()?,
    };
    let place = |key| {
        location.as_list()?.iter().find_map(|item| match item.as_tuple()? {
            [Term::Atom(name), value] if name.as_str() == key => Some(value),
            _ => None,
        })
    };
    let file = place("file").and_then(Term::as_text);
    let line = place("line").and_then(Term::as_i64);
    let at = match (&file, line) {
        (Some(file), Some(line)) => format!(" ({file}:{line})"),
        _ => String::new(),
    };
    let name = module.as_str();
    let text = match name.strip_prefix("Elixir.") {
        Some(module) => format!("{module}.{}/{arity}{at}", function.as_str()),
        None => format!("{name}:{}/{arity}{at}", function.as_str()),
    };
    // Modules of OTP were compiled in the folder of their sources, and functions in C have no file.
    let is_library = match name.strip_prefix("Elixir.") {
        Some(module) => module.split('.').next().is_some_and(|first| ELIXIR.contains(&first)),
        None => file.is_none_or(|file| !file.contains('/')),
    };
    Some((text, !is_library))
}

/// Where an exception was raised: the first frame that is the application's, where there is one.
fn raised_in(stacktrace: &Term) -> String {
    let mut frames = stacktrace.as_list().unwrap_or_default().iter().filter_map(frame);
    let own = frames.find(|(_, is_own)| *is_own);
    own.map_or(String::new(), |(text, _)| format!(", in {text}"))
}

/// Is it an exception that says that this very function, `module:function/arity`, is not there?
pub(crate) fn is_undefined(error: &CallError, called: &str) -> bool {
    let CallError::Exception { class: Class::Error, reason, stacktrace, .. } = error else {
        return false;
    };
    let top = stacktrace.as_list().and_then(<[Term]>::first).and_then(Term::as_tuple);
    let Some([Term::Atom(module), Term::Atom(function), arguments, ..]) = top else { return false };
    let arity = match arguments {
        Term::List(arguments) => arguments.len() as i64,
        other => other.as_i64().unwrap_or(-1),
    };
    reason.is_atom("undef") && format!("{module}:{function}/{arity}") == called
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{atom, charlist};

    fn frame(
        module: &'static str,
        function: &'static str,
        arity: Term,
        file: &str,
        line: i64,
    ) -> Term {
        let location =
            Term::from(vec![(atom("file"), charlist(file)), (atom("line"), line.into())]);
        Term::Tuple(vec![atom(module), atom(function), arity, location])
    }

    fn raised(stacktrace: Vec<Term>) -> String {
        let reason = Term::Map(
            [
                (atom("__struct__"), atom("Elixir.ArgumentError")),
                (atom("message"), "no such cart".into()),
            ]
            .into(),
        );
        let stacktrace = Term::List(stacktrace);
        CallError::Exception { peer: "shop@n1".into(), class: Class::Error, reason, stacktrace }
            .to_string()
    }

    #[test]
    fn an_exception_names_the_first_frame_of_the_application() {
        let own = frame("Elixir.Shop.Cart", "add", 2.into(), "lib/shop/cart.ex", 31);
        let libraries = [
            frame("erlang", "binary_to_integer", Term::from(vec![1]), "erlang.erl", 1),
            frame("Elixir.Enum", "map", 2.into(), "lib/enum.ex", 1658),
            frame("gen_server", "call", 3.into(), "gen_server.erl", 370),
        ];
        let with_own = [libraries.as_slice(), &[own]].concat();
        assert_eq!(
            raised(with_own),
            "exception on shop@n1: ArgumentError: no such cart, in Shop.Cart.add/2 (lib/shop/cart.ex:31)"
        );
        assert_eq!(raised(libraries.to_vec()), "exception on shop@n1: ArgumentError: no such cart");
        let erlang = frame("cart", "add", Term::from(vec![1, 2]), "/src/shop/src/cart.erl", 7);
        assert!(raised(vec![erlang]).ends_with(", in cart:add/2 (/src/shop/src/cart.erl:7)"));
        // What is no stack trace is none.
        assert!(
            raised(vec![atom("odd"), Term::Tuple(vec![1.into(); 4])]).ends_with("no such cart")
        );
    }
}
