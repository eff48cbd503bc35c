//! What keeps a test from a verdict: an error with a kind, its causes, and what to do next.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// Whose failure it is. None of these says anything about the database's correctness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
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
    /// The run was interrupted: Ctrl-C, SIGTERM.
    Cancelled,
    /// The test's own code.
    Test,
}

/// An error of the library, or of code that it calls.
///
/// Its text includes the texts of its causes, so that no message loses them;
/// [`source`](StdError::source) gives the causes as values. Errors of other crates become one with a
/// constructor that names the kind; in a test function `?` converts any error, see
/// [`TestError`](crate::run::TestError).
///
/// ```
/// use fuzz_dist::error::{Error, ErrorKind};
/// use std::error::Error as _;
///
/// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
/// let error = Error::setup(refused).context("asking n1 for its peers");
/// assert_eq!(error.kind(), ErrorKind::Setup);
/// assert_eq!(error.to_string(), "asking n1 for its peers: connection refused");
/// let before = error.source().expect("the error before its context");
/// let cause = before.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
/// assert!(cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::ConnectionRefused));
/// ```
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    /// Empty where the cause says it all.
    text: String,
    /// Shared, since errors are cloned into reports.
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of a kind, with what happened, where, and what to do next.
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Error {
        Error { kind, text: text.into(), cause: None }
    }

    /// An error of a kind with its cause: another error, or a text. An [`Error`] keeps its text and
    /// its causes, and becomes one of this kind.
    pub fn caused(kind: ErrorKind, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        match cause.into().downcast::<Error>() {
            Ok(error) => Error { kind, ..*error },
            // One made of a text is that text: a cause that repeats it would only be noise.
            Err(cause) if is_text(&*cause) => Error::new(kind, cause.to_string()),
            Err(cause) => Error { kind, text: String::new(), cause: Some(cause.into()) },
        }
    }

    /// The machine refuses what the environment needs.
    pub fn environment(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        Error::caused(ErrorKind::Environment, cause)
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
    pub fn setup(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        Error::caused(ErrorKind::Setup, cause)
    }

    /// A stage of the run passed its limit.
    pub fn deadline(text: impl Into<String>) -> Error {
        Error::new(ErrorKind::Deadline, text)
    }

    /// The run was interrupted.
    pub fn cancelled() -> Error {
        Error::new(ErrorKind::Cancelled, "the run was interrupted")
    }

    /// Any other error: the kind of the first [`Error`] among it and its causes, else
    /// [`ErrorKind::Test`].
    pub(crate) fn any(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        let cause = cause.into();
        let mut kind = ErrorKind::Test;
        let mut link: Option<&(dyn StdError + 'static)> = Some(&*cause);
        while let Some(error) = link {
            if let Some(known) = error.downcast_ref::<Error>() {
                kind = known.kind;
                break;
            }
            link = error.source();
        }
        Error::caused(kind, cause)
    }

    /// Says what was being done: `context: cause`. The kind stays, and this error is the cause of
    /// the new one.
    #[must_use]
    pub fn context(self, context: impl fmt::Display) -> Error {
        Error { kind: self.kind, text: context.to_string(), cause: Some(Arc::new(self)) }
    }

    /// Whose failure it is.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// Is it nothing but a text? The standard library's error from a string shows itself as one.
fn is_text(error: &(dyn StdError + Send + Sync)) -> bool {
    error.source().is_none() && format!("{error:?}") == format!("{:?}", error.to_string())
}

/// With the texts of its causes, as far as they say more.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.text.clone();
        let mut cause = self.source();
        while let Some(c) = cause {
            let more = c.to_string();
            if !text.contains(&more) {
                if !text.is_empty() {
                    text.push_str(": ");
                }
                text.push_str(&more);
            }
            cause = c.source();
        }
        f.write_str(&text)
    }
}

/// The same as its text: `unwrap` in a test prints it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({:?})", self.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}

impl From<Box<dyn StdError + Send + Sync>> for Error {
    fn from(error: Box<dyn StdError + Send + Sync>) -> Error {
        Error::any(error)
    }
}

/// `?` on errors of these types gives an [`Error`] that has them as its cause.
macro_rules! becomes_an_error {
    ($($cause:ty),+ $(,)?) => {
        $(impl From<$cause> for $crate::error::Error {
            fn from(cause: $cause) -> $crate::error::Error {
                $crate::error::Error::any(cause)
            }
        })+
    };
}
pub(crate) use becomes_an_error;

// What implementations of databases, faults and clients meet most. The library's own errors do the
// same where they are defined.
becomes_an_error![
    std::io::Error,
    std::fmt::Error,
    std::env::VarError,
    std::net::AddrParseError,
    std::num::ParseFloatError,
    std::num::ParseIntError,
    std::str::Utf8Error,
    std::string::FromUtf8Error,
    serde_json::Error,
    tokio::sync::oneshot::error::RecvError,
    tokio::task::JoinError,
    tokio::time::error::Elapsed,
    fuzz_dist_clock::Elapsed,
    fuzz_dist_beam::CallError,
    fuzz_dist_beam::ConnectError,
    fuzz_dist_beam::ConvertError,
    fuzz_dist_beam::DecodeError,
    fuzz_dist_beam::EncodeError,
    fuzz_dist_env::Error,
    fuzz_dist_history::LoadError,
    fuzz_dist_history::WriteError,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the cart did not open")]
    struct Wrapped(#[source] Error);

    #[derive(Debug, thiserror::Error)]
    #[error("failed to open the cart: {0}")]
    struct Quoting(#[source] std::io::Error);

    #[test]
    fn causes_stay_values_and_stand_in_the_text_once() {
        let io = || std::io::Error::other("the disk is full");
        let error = Error::environment(io()).context("writing the log");
        assert_eq!(error.to_string(), "writing the log: the disk is full");
        assert_eq!(error.kind(), ErrorKind::Environment);
        let inner = error.source().expect("the error before its context");
        assert!(inner.is::<Error>());
        assert!(inner.source().is_some_and(|cause| cause.is::<std::io::Error>()));
        // A cause that its wrapper quotes is not repeated.
        assert_eq!(Error::any(Quoting(io())).to_string().matches("the disk is full").count(), 1);
    }

    #[test]
    fn a_text_is_no_cause_of_its_own() {
        for error in [Error::setup("no answer"), Error::setup(String::from("no answer"))] {
            assert_eq!(error.to_string(), "no answer");
            assert!(error.source().is_none());
        }
    }

    #[test]
    fn the_kind_survives_wrapping_by_other_types() {
        let missing = || Error::missing("no release of the shop");
        assert_eq!(Error::any(missing()).kind(), ErrorKind::Missing);
        let wrapped = Error::any(Wrapped(missing()));
        assert_eq!(wrapped.kind(), ErrorKind::Missing);
        assert_eq!(wrapped.to_string(), "the cart did not open: no release of the shop");
        assert_eq!(Error::any(std::fmt::Error).kind(), ErrorKind::Test);
        assert_eq!(Error::setup(missing()).kind(), ErrorKind::Setup);
    }
}
