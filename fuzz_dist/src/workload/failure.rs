//! An operation that did not succeed, in a client's code: fail, or info (indeterminate).

use crate::beam::CallError;
use crate::error::Error;
use crate::op::{Completion, OpError, Value};

/// An operation that did not succeed, and whether it may have happened.
///
/// `?` converts other errors to `Info`: an error does not prove that nothing happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It certainly did not happen.
    Fail(OpError),
    /// Indeterminate: it may have happened, may happen later, or never.
    Info(OpError),
}

impl Failure {
    /// It certainly did not happen.
    pub fn fail(kind: &str, text: impl std::fmt::Display) -> Failure {
        Failure::Fail(OpError::new(kind, text.to_string()))
    }

    /// Indeterminate: it may have happened.
    pub fn info(kind: &str, text: impl std::fmt::Display) -> Failure {
        Failure::Info(OpError::new(kind, text.to_string()))
    }

    /// The completion of an operation that ended like this.
    pub fn completion(result: Result<Value, Failure>) -> Completion {
        match result {
            Ok(value) => Completion::Ok(value),
            Err(Failure::Fail(error)) => Completion::Fail(error),
            Err(Failure::Info(error)) => Completion::Info(error),
        }
    }
}

/// `Fail` only where the call certainly was not executed.
impl From<CallError> for Failure {
    fn from(error: CallError) -> Failure {
        let op_error = OpError::new(error.kind(), error.to_string());
        match error.certainly_not_executed() {
            true => Failure::Fail(op_error),
            false => Failure::Info(op_error),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::info("io", error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::info("error", error)
    }
}
