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

/// What an application itself said: `{:ok, value}` or `{:error, reason}`, as a call gives it. Only whoever knows the
/// application knows what its `{:error, reason}` means for a history.
///
/// ```
/// use fuzz_dist::prelude::*;
///
/// let carts: Workload = set_workload()
///     .add(|node, item| async move {
///         // The cart says `{:error, :full}` before it does anything.
///         node.call::<Result<(), String>>("Shop.Cart", "add", args!["cart-1", item]).await.or_fail()
///     })
///     .read(|node| async move {
///         node.call::<Result<Vec<i64>, String>>("Shop.Cart", "items", args!["cart-1"]).await.or_info()
///     })
///     .into();
/// ```
pub trait Answer<T> {
    /// The value; an `{:error, reason}` means that the operation certainly did not happen, and will not.
    ///
    /// # Errors
    ///
    /// [`Failure::Fail`] of the kind `error` with the reason, or what became of the call.
    fn or_fail(self) -> Result<T, Failure>;

    /// The value; an `{:error, reason}` says nothing about whether the operation happened, or will.
    ///
    /// # Errors
    ///
    /// [`Failure::Info`] of the kind `error` with the reason, or what became of the call.
    fn or_info(self) -> Result<T, Failure>;
}

impl<T, R: std::fmt::Display> Answer<T> for Result<Result<T, R>, CallError> {
    fn or_fail(self) -> Result<T, Failure> {
        self?.map_err(|reason| Failure::fail("error", reason))
    }

    fn or_info(self) -> Result<T, Failure> {
        self?.map_err(|reason| Failure::info("error", reason))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_application_is_what_the_workload_says() {
        let said = |answer: Result<i64, &'static str>| Ok::<_, CallError>(answer);
        assert_eq!(said(Ok(1)).or_fail(), Ok(1));
        assert_eq!(said(Err("full")).or_fail(), Err(Failure::fail("error", "full")));
        assert_eq!(said(Err("full")).or_info(), Err(Failure::info("error", "full")));
        // What became of the call is judged as everywhere.
        let (peer, what) = ("shop@n1".to_owned(), "cart:ad/2".to_owned());
        let undefined = || {
            Err::<Result<i64, String>, _>(CallError::Undefined {
                peer: peer.clone(),
                what: what.clone(),
            })
        };
        assert!(matches!(undefined().or_info(), Err(Failure::Fail(_))));
        let limit = std::time::Duration::from_secs(1);
        let late = || CallError::TimedOut { peer: peer.clone(), what: what.clone(), limit };
        assert!(matches!(Err::<Result<i64, String>, _>(late()).or_fail(), Err(Failure::Info(_))));
    }
}
