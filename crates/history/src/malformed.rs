//! What a history refuses to record.

use crate::op::{Name, Process};

/// An event that no run can have: what was wrong with it, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// A process invoked an operation before its last one completed.
    #[error(
        "process {process} invokes an operation at event {index}, but the one that it invoked at event {open} has not completed"
    )]
    TwoInvocations {
        /// Whose.
        process: Process,
        /// The first invocation.
        open: usize,
        /// The second one.
        index: usize,
    },
    /// A completion that completes nothing.
    #[error("process {process} completes an operation at event {index}, but has invoked none")]
    NoInvocation {
        /// Whose.
        process: Process,
        /// The completion.
        index: usize,
    },
    /// A function that is one too many.
    #[error("event {index} has the function `{f}`, but there are 65535 others already")]
    TooManyFunctions {
        /// The event.
        index: usize,
        /// Its function.
        f: Name,
    },
    /// The completion speaks of another function than the invocation.
    #[error(
        "process {process} completes `{completed}` at event {index}, but invoked `{invoked}` at event {open}"
    )]
    OtherFunction {
        /// Whose.
        process: Process,
        /// The invocation.
        open: usize,
        /// Its function.
        invoked: Name,
        /// The completion.
        index: usize,
        /// Its function.
        completed: Name,
    },
}
