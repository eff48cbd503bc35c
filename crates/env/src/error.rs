//! What can go wrong when the outside is touched, and what to do about it.

use std::io;
use std::time::Duration;

/// An expected failure of an environment; the messages fit after "failed to …:".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused a step that the environment needs. It says nothing about the database.
    #[error("the system refused to {step}: {source}\n  remedy: {remedy}")]
    Refused {
        /// The step, as it reads after "to".
        step: String,
        /// The system's answer.
        source: io::Error,
        /// What the user can do, in one line.
        remedy: String,
    },
    /// The program to be started could not be executed.
    #[error("{program} could not be executed on host {host}: {source}")]
    NotExecutable {
        /// The host's name.
        host: String,
        /// The program, as it was asked for.
        program: String,
        /// The system's answer.
        source: io::Error,
    },
    /// No such host, or it was removed.
    #[error("host {0} does not exist or was removed")]
    UnknownHost(String),
    /// What is to be signalled has ended.
    #[error("{0} has ended already")]
    Gone(String),
    /// Something took longer than its limit.
    #[error("{what} took longer than {limit:?}")]
    TimedOut {
        /// What did.
        what: String,
        /// Its limit.
        limit: Duration,
    },
    /// What was waited for did not come by on the wire.
    #[error("{what} was not seen within {limit:?}: {instead}")]
    NotSeen {
        /// What was waited for.
        what: String,
        /// For how long.
        limit: Duration,
        /// What was seen instead.
        instead: String,
    },
    /// A request that cannot be met: the text says why and what would be.
    #[error("{0}")]
    Invalid(String),
    /// The machine has too little of something: the text says of what, and what to do.
    #[error("{0}")]
    Insufficient(String),
    /// This environment is not able to do that.
    #[error("the {environment} environment cannot {what}")]
    Unsupported {
        /// The environment's name.
        environment: String,
        /// What it cannot do.
        what: String,
    },
    /// Files, sockets and the like.
    #[error("failed to {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: what was tried when the system answered.
    #[doc(hidden)]
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let what = what.into();
        move |source| Error::Io { what, source }
    }
}
