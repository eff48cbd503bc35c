//! What a client's code says when an operation did not succeed: definite, or unknown.

use crate::op::{Completion, OpError, Value};

/// An operation that did not succeed, and whether it may have happened all the same.
///
/// Errors that say nothing about it become `Unknown` with `?`: an error is no proof that nothing
/// happened.
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

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::unknown("error", error)
    }
}
