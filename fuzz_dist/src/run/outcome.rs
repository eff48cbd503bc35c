//! How a test ends: a verdict that a run was judged with, or an error of any type.

use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;

use crate::checker::Verdict;
use crate::error::Error;

/// How a test ends: what [`Test::run`](super::Test::run) and [`Running::check`](super::Running::check)
/// give. `?` converts any error.
pub type Outcome = Result<Judged, TestError>;

/// The verdict about a run.
///
/// Only a run that was judged gives one, so that a test which ran nothing cannot pass. It derefs to
/// its [`Verdict`].
#[derive(Debug)]
#[must_use = "a test returns it"]
pub struct Judged(Verdict);

impl Judged {
    pub(super) fn new(verdict: Verdict) -> Judged {
        Judged(verdict)
    }
}

impl Deref for Judged {
    type Target = Verdict;
    fn deref(&self) -> &Verdict {
        &self.0
    }
}

/// What ended a test without a verdict: any error, with `?`.
///
/// It derefs to an [`Error`]. Where the error, or one of its causes, is an [`Error`], the kind is
/// that one's; else it is [`ErrorKind::Test`](crate::error::ErrorKind::Test). For `?` on every error it
/// is none itself; an [`Error`] is made of it with `from`.
///
/// ```
/// use fuzz_dist::error::{Error, ErrorKind};
/// use fuzz_dist::run::TestError;
///
/// fn port(text: &str) -> Result<u16, TestError> {
///     Ok(text.parse()?)
/// }
/// let error = port("80x").unwrap_err();
/// assert_eq!((error.kind(), error.to_string()), (ErrorKind::Test, "invalid digit found in string".into()));
///
/// let error = TestError::from(Error::missing("no release"));
/// assert_eq!(error.kind(), ErrorKind::Missing);
/// ```
#[derive(Clone)]
pub struct TestError(Error);

impl Deref for TestError {
    type Target = Error;
    fn deref(&self) -> &Error {
        &self.0
    }
}

impl fmt::Display for TestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for TestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for TestError {
    fn from(error: E) -> TestError {
        TestError(Error::any(error))
    }
}

impl From<TestError> for Error {
    fn from(error: TestError) -> Error {
        error.0
    }
}

impl From<TestError> for Box<dyn StdError + Send + Sync> {
    fn from(error: TestError) -> Self {
        error.0.into()
    }
}

/// What a test function may return.
#[diagnostic::on_unimplemented(
    message = "a `#[fuzz_dist::test]` function cannot return `{Self}`",
    label = "expected `Outcome`, `Judged`, or `Result<Judged, E>`",
    note = "a verdict comes from a run: return what `test.run().await` or `running.check(checker).await` gives",
    note = "`E` is any error type that converts into `Box<dyn std::error::Error + Send + Sync>`"
)]
pub trait IntoOutcome {
    /// The outcome.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for Judged {
    fn into_outcome(self) -> Outcome {
        Ok(self)
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> IntoOutcome for Result<Judged, E> {
    fn into_outcome(self) -> Outcome {
        self.map_err(|e| TestError(Error::any(e)))
    }
}
