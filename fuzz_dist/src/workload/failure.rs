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

/// What an application may answer instead of success: the `E` of `{ok, Value}` and `{error, E}`.
///
/// Whether `{error, E}` means that nothing happened only the application knows: a failed write may
/// have reached some replicas. By itself it is therefore indeterminate (`info`), as where a client
/// asks for `()` and gets `{error, E}`. A client says otherwise with [`Refusal::or_fail`]:
///
/// ```
/// use fuzz_dist::args;
/// use fuzz_dist::node::Node;
/// use fuzz_dist::workload::{Refusal, Workload, set_workload};
///
/// let cart: Workload = set_workload()
///     // {error, full}: the item was certainly not added.
///     .add(|node: Node, item| async move {
///         let added: Result<(), String> = node.call("Shop.Cart", "add", args![item]).await?;
///         added.or_fail()
///     })
///     .read(|node: Node| node.call::<Vec<i64>>("Shop.Cart", "items", args![]))
///     .into();
/// ```
///
/// Where some reasons are certain and others are not, `or_fail_if` distinguishes them:
///
/// ```
/// use fuzz_dist::workload::{Failure, Refusal};
///
/// let refused = |reason: &str| Err::<(), _>(reason.to_owned()).or_fail_if(|r| r == "full");
/// assert_eq!(refused("full"), Err(Failure::fail("refused", "full")));
/// assert_eq!(refused("timeout"), Err(Failure::info("refused", "timeout")));
/// ```
pub trait Refusal: Sized {
    /// The value of `{ok, Value}`.
    type Value;
    /// The reason of `{error, Reason}`.
    type Reason;

    /// `{error, Reason}` is a failure of the kind `refused`: definite (`fail`) where the function
    /// says so of the reason, indeterminate (`info`) otherwise.
    fn or_fail_if(
        self,
        definite: impl FnOnce(&Self::Reason) -> bool,
    ) -> Result<Self::Value, Failure>;

    /// `{error, Reason}` is definite (`fail`): it certainly did not happen, and never will.
    fn or_fail(self) -> Result<Self::Value, Failure> {
        self.or_fail_if(|_| true)
    }

    /// `{error, Reason}` is indeterminate (`info`): it may have happened.
    fn or_info(self) -> Result<Self::Value, Failure> {
        self.or_fail_if(|_| false)
    }
}

impl<T, E: std::fmt::Display> Refusal for Result<T, E> {
    type Value = T;
    type Reason = E;

    fn or_fail_if(self, definite: impl FnOnce(&E) -> bool) -> Result<T, Failure> {
        self.map_err(|reason| match definite(&reason) {
            true => Failure::fail("refused", reason),
            false => Failure::info("refused", reason),
        })
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
