//! What keeps a test from a verdict, told so that the reader knows what to do next.

use std::fmt;

/// Whose failure it is. None of these says anything about the database's correctness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The machine refuses what the environment needs.
    Environment,
    /// Something that only the user can bring is not there, such as a database's release.
    Missing,
    /// What was asked for makes no sense: a ring of three nodes, no nodes at all.
    Usage,
    /// The system under test did not start, get ready or form a cluster.
    Setup,
    /// A stage of the run passed its limit.
    Deadline,
    /// Somebody asked for an end: Ctrl-C, SIGTERM.
    Cancelled,
    /// The test's own code.
    Test,
}

/// What kept a test from a verdict.
///
/// Every [`std::error::Error`] becomes one with `?`; for that reason it is none itself.
///
/// ```
/// # use fuzz_dist::error::{Error, ErrorKind};
/// fn port() -> Result<u16, Error> { Ok("80x".parse()?) }
/// let error = port().unwrap_err().context("reading the port");
/// assert_eq!(error.kind(), ErrorKind::Test);
/// assert_eq!(error.to_string(), "reading the port: invalid digit found in string");
/// ```
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    text: String,
}

impl Error {
    /// An error of a kind, with what happened, where, and what to do next.
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Error {
        Error { kind, text: text.into() }
    }

    /// The machine refuses what the environment needs.
    pub fn environment(cause: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Environment, cause.to_string())
    }

    /// Something that only the user can bring is not there.
    pub fn missing(text: impl Into<String>) -> Error {
        Error::new(ErrorKind::Missing, text)
    }

    /// What was asked for makes no sense.
    pub fn usage(text: impl Into<String>) -> Error {
        Error::new(ErrorKind::Usage, text)
    }

    /// The system under test did not come up.
    pub fn setup(cause: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Setup, cause.to_string())
    }

    /// A stage of the run passed its limit.
    pub fn deadline(text: impl Into<String>) -> Error {
        Error::new(ErrorKind::Deadline, text)
    }

    /// Somebody asked for an end.
    pub fn cancelled() -> Error {
        Error::new(ErrorKind::Cancelled, "the run was interrupted")
    }

    /// Says what was being done: `context: cause`.
    #[must_use]
    pub fn context(self, context: impl fmt::Display) -> Error {
        Error { kind: self.kind, text: format!("{context}: {}", self.text) }
    }

    /// Whose failure it is.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The same as its text: `unwrap` in a test prints it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.text, self.kind)
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Error {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(c) = cause {
            let said = c.to_string();
            if !text.contains(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            cause = c.source();
        }
        Error::new(ErrorKind::Test, text)
    }
}
