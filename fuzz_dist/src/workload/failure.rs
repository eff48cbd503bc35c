//! An operation that did not succeed, in a client's code: definite, or indeterminate.

use crate::beam::CallError;
use crate::error::Error;
use crate::op::{Completion, OpError, Value};

/// An operation that did not succeed, and whether it may have happened.
///
/// `?` converts other errors to `Unknown`: an error does not prove that nothing happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It certainly did not happen.
    Definite(OpError),
    /// It may have happened, may happen later, may never.
    Unknown(OpError),
}

impl Failure {
    /// It certainly did not happen.
    pub fn definite(kind: &str, text: impl std::fmt::Display) -> Failure {
        Failure::Definite(OpError::new(kind, text.to_string()))
    }

    /// It may have happened.
    pub fn unknown(kind: &str, text: impl std::fmt::Display) -> Failure {
        Failure::Unknown(OpError::new(kind, text.to_string()))
    }

    /// The completion of an operation that ended like this.
    pub fn completion(result: Result<Value, Failure>) -> Completion {
        match result {
            Ok(value) => Completion::Ok(value),
            Err(Failure::Definite(error)) => Completion::Fail(error),
            Err(Failure::Unknown(error)) => Completion::Info(error),
        }
    }
}

/// Definite only where the call certainly was not executed.
impl From<CallError> for Failure {
    fn from(error: CallError) -> Failure {
        let op_error = OpError::new(error.kind(), error.to_string());
        match error.certainly_not_executed() {
            true => Failure::Definite(op_error),
            false => Failure::Unknown(op_error),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::unknown("io", error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::unknown("error", error)
    }
}
