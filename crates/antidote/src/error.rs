//! What can go wrong between a client and AntidoteDB, and whether it certainly had no effect.

use std::fmt;
use std::io;
use std::time::Duration;

use super::object::DataType;

/// A request of the protocol, for error messages and for judging what a lost answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestKind {
    /// A transaction that only reads, in one request.
    StaticRead,
    /// A transaction that only writes, in one request.
    StaticUpdate,
    /// The start of an interactive transaction.
    Start,
    /// A read in an interactive transaction.
    Read,
    /// A write in an interactive transaction.
    Update,
    /// The commit of an interactive transaction.
    Commit,
    /// The abort of an interactive transaction.
    Abort,
    /// Making a data centre out of nodes.
    CreateDc,
    /// Asking a data centre how others reach it.
    ConnectionDescriptor,
    /// Announcing other data centres to a data centre.
    ConnectToDcs,
}

impl RequestKind {
    /// Whether an answer that is missing may hide an effect.
    ///
    /// Nothing of an interactive transaction is visible to others before its commit was asked for.
    pub fn may_have_effect(self) -> bool {
        use RequestKind as R;
        matches!(self, R::StaticUpdate | R::Commit | R::CreateDc | R::ConnectToDcs)
    }

    fn administers(self) -> bool {
        matches!(self, RequestKind::CreateDc | RequestKind::ConnectToDcs)
    }
}

impl fmt::Display for RequestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RequestKind::StaticRead => "static read",
            RequestKind::StaticUpdate => "static update",
            RequestKind::Start => "start of a transaction",
            RequestKind::Read => "read in a transaction",
            RequestKind::Update => "update in a transaction",
            RequestKind::Commit => "commit",
            RequestKind::Abort => "abort",
            RequestKind::CreateDc => "creation of a data centre",
            RequestKind::ConnectionDescriptor => "request for a connection descriptor",
            RequestKind::ConnectToDcs => "connection of data centres",
        })
    }
}

/// Why the server refused a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// No reason that the protocol has a number for.
    Unknown,
    /// The server gave up waiting, for one of its own parts.
    Timeout,
    /// The server does not allow it.
    NoPermissions,
    /// A concurrent transaction in the same data centre wrote the same key: nothing was committed.
    Aborted,
    /// A reason that this client has no name for.
    Other(u32),
}

impl Refusal {
    pub(crate) fn from_number(number: u32) -> Self {
        match number {
            0 => Refusal::Unknown,
            1 => Refusal::Timeout,
            2 => Refusal::NoPermissions,
            3 => Refusal::Aborted,
            other => Refusal::Other(other),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Unknown => f.write_str("unknown reason"),
            Refusal::Timeout => f.write_str("time-out inside of the server"),
            Refusal::NoPermissions => f.write_str("no permissions"),
            Refusal::Aborted => f.write_str("aborted"),
            Refusal::Other(number) => write!(f, "error code {number}"),
        }
    }
}

/// How an interactive transaction came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// Its commit was acknowledged.
    Committed,
    /// It was aborted: on request, or by the server's certification.
    Aborted,
    /// A request in it failed before its commit was asked for.
    Failed,
    /// Its commit was asked for, and whether it happened is not known.
    Indeterminate,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ending::Committed => "has been committed",
            Ending::Aborted => "has been aborted",
            Ending::Failed => "has failed",
            Ending::Indeterminate => "may or may not have been committed",
        })
    }
}

/// A request that brought no usable answer.
///
/// [`Error::is_definite`] says whether it certainly had no effect (the operation is to be
/// completed as `fail`), or may have had one (`info`).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No connection could be made, so that nothing was sent.
    #[error("connect for a {request}: {source}; is the database running, and ready?")]
    Connect {
        /// What was to be asked.
        request: RequestKind,
        /// What the connector said.
        source: io::Error,
    },
    /// No answer arrived in time. The connection was given up, since the answer may still come.
    #[error("{request}: no answer within {} ms; the connection was given up", limit.as_millis())]
    Timeout {
        /// What was asked.
        request: RequestKind,
        /// How long the answer was waited for.
        limit: Duration,
    },
    /// The connection broke before the answer had arrived.
    #[error("{request}: the connection broke: {source}")]
    Broken {
        /// What was asked.
        request: RequestKind,
        /// How it broke.
        source: io::Error,
    },
    /// What arrived is not an answer to the request. The connection was given up.
    #[error("{request}: the answer does not fit: {what}")]
    Malformed {
        /// What was asked.
        request: RequestKind,
        /// What does not fit.
        what: String,
    },
    /// The server answered that it will not, or cannot, do it.
    #[error("{request}: refused by the server: {reason}{}", Detail(message))]
    Refused {
        /// What was asked.
        request: RequestKind,
        /// The server's error code.
        reason: Refusal,
        /// The server's words, shortened; often empty.
        message: String,
    },
    /// A transaction was used after its end. Nothing was sent.
    #[error("{request}: the transaction {ending}; start a new one")]
    TransactionOver {
        /// What was to be asked.
        request: RequestKind,
        /// How the transaction had ended.
        ending: Ending,
    },
    /// The request names no object. Nothing was sent.
    #[error("{request}: no object was named")]
    Empty {
        /// What was to be asked.
        request: RequestKind,
    },
    /// An update does not fit the type of its object. Nothing was sent.
    #[error("{request}: an object of type {data_type:?} has no such update: {update}")]
    Unfit {
        /// What was to be asked.
        request: RequestKind,
        /// The object's type.
        data_type: DataType,
        /// The update, in words for people.
        update: String,
    },
    /// The request is longer than a frame can be. Nothing was sent.
    #[error("{request}: {what}")]
    TooLong {
        /// What was to be asked.
        request: RequestKind,
        /// How long it is.
        what: String,
    },
}

/// A server's message behind a colon, or nothing where it is empty.
struct Detail<'a>(&'a str);

impl fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

impl Error {
    /// Whether the request certainly had no effect: `fail`; otherwise `info`.
    ///
    /// A read has none whatever happens. A write has none if it never left, or if the server
    /// said *aborted*; for requests that administer data centres not even that is certain.
    /// A transaction's error before its commit was asked for is definite, too.
    ///
    /// ```
    /// use fuzz_dist_antidote::{Error, Refusal, RequestKind};
    /// let refused = |request, reason| Error::Refused { request, reason, message: String::new() };
    /// assert!(refused(RequestKind::Commit, Refusal::Aborted).is_definite());
    /// assert!(!refused(RequestKind::Commit, Refusal::Unknown).is_definite());
    /// assert!(refused(RequestKind::Update, Refusal::Unknown).is_definite());
    /// ```
    pub fn is_definite(&self) -> bool {
        match self {
            Error::Connect { .. }
            | Error::Empty { .. }
            | Error::Unfit { .. }
            | Error::TooLong { .. } => true,
            Error::TransactionOver { ending, .. } => {
                matches!(ending, Ending::Aborted | Ending::Failed)
            }
            Error::Refused { request, reason: Refusal::Aborted, .. } => !request.administers(),
            Error::Refused { request, .. }
            | Error::Timeout { request, .. }
            | Error::Broken { request, .. }
            | Error::Malformed { request, .. } => !request.may_have_effect(),
        }
    }

    /// A short stable word for a history.
    pub fn kind(&self) -> &'static str {
        match self {
            Error::Connect { .. } => "connect",
            Error::Timeout { .. } => "timeout",
            Error::Broken { .. } => "broken",
            Error::Malformed { .. } => "malformed",
            Error::Refused { reason: Refusal::Aborted, .. } => "aborted",
            Error::Refused { .. } => "refused",
            Error::TransactionOver { .. } => "transaction-over",
            Error::Empty { .. } | Error::Unfit { .. } | Error::TooLong { .. } => "bad-request",
        }
    }
}
