//! What the history proves: pure functions from a history to a verdict.

use fuzz_dist_history::History;

mod arguments;
mod atomic;
mod calls;
mod causes;
mod compose;
mod convergence;
mod dense;
mod evidence;
mod finals;
pub mod histories;
mod jobs;
mod latency;
mod lease;
mod linear;
mod liveness;
mod log_pattern;
mod names;
mod offset_log;
mod online;
mod or_set;
mod perf;
mod pn_counter;
mod power;
mod registration;
pub mod registry;
mod replicated_register;
mod set_full;
mod sets;
mod simple_set;
mod stats;
pub mod suggest;
mod sums;
mod total_queue;
pub mod txn;
mod uniform;
mod unique_ids;
mod unordered_queue;
mod verdict;
mod verify;
mod within;

pub use arguments::Arguments;
pub use atomic::{Atomic, atomic};
pub use causes::{Cause, CauseKind, explained};
pub use compose::{Compose, compose};
pub use convergence::{Convergence, convergence};
pub use jobs::{JobsChecker, jobs};
pub use lease::{Lease, lease};
pub use linear::{
    Access, CasRegister, Counter, CounterModel, DistinctRegister, Fifo, FifoQueue, Independent,
    Linearizable, Model, MultiRegister, Mutex, Registers, Sequential, SetModel, StartingAt, Step,
    counter, distinct_register, explains, fifo, independent, linearizable, sequential,
};
pub use liveness::{Liveness, liveness};
pub use log_pattern::{LogPattern, log_pattern};
pub use names::{NamesChecker, names};
pub use offset_log::{OffsetLog, offset_log};
pub use online::Online;
pub use or_set::{OrSet, or_set};
pub use perf::{Perf, perf};
pub use pn_counter::{PnCounter, pn_counter};
pub use power::{Power, power};
pub use replicated_register::{ReplicatedRegister, replicated_register};
pub use set_full::{SetFull, set_full};
pub use simple_set::{Set, set};
pub use stats::{Stats, stats};
pub use total_queue::{TotalQueue, total_queue};
pub use unique_ids::{UniqueIds, unique_ids};
pub use unordered_queue::{UnorderedQueue, unordered_queue};
pub use verdict::{Anomaly, Validity, Verdict};

#[doc(hidden)]
pub use uniform::mixed;
#[doc(hidden)]
pub use verdict::ARGUMENTS;

#[cfg(test)]
pub(crate) use set_full::random_history as set_full_random_history;

/// The `opt-level` that this crate was compiled with.
#[doc(hidden)]
pub const OPT_LEVEL: &str = env!("FUZZ_DIST_OPT_LEVEL");

/// How many anomalies of a kind a verdict carries; the results count all of them.
pub(crate) const ANOMALIES_MAX: usize = 16;

/// How many elements a list in the results names.
pub(crate) const LISTED_MAX: usize = 64;

/// Judges a history.
///
/// Checkers do no I/O and know no clock: the same history gives the same verdict. A run calls a
/// checker that is not this library's in a forked process, so that one that overflows its stack or
/// exits ends no other trial: what it writes to memory is not seen outside.
///
/// ```
/// use fuzz_dist_checkers::{Checker, Verdict};
/// use fuzz_dist_history::History;
///
/// /// Some operation succeeded.
/// struct SomethingWorked;
///
/// impl Checker for SomethingWorked {
///     fn check(&self, history: &History) -> Verdict {
///         match history.events().any(|e| e.kind == fuzz_dist_history::op::Kind::Ok) {
///             true => Verdict::valid("something_worked"),
///             false => Verdict::unknown("something_worked", "no operation succeeded"),
///         }
///     }
/// }
///
/// assert!(!SomethingWorked.check(&History::new(["n1"])).is_valid());
/// ```
pub trait Checker: Send + Sync {
    /// The verdict about this history.
    fn check(&self, history: &History) -> Verdict;

    /// Judges while a run goes on: a judge of the history that begins as `history` does (its nodes and
    /// facts count), which is given all of its events. `None`, unless implemented, for checkers that
    /// need the whole history. See the option `stop = "first_anomaly"`.
    fn online(&self, history: &History) -> Option<Box<dyn Online>> {
        let _ = history;
        None
    }

    /// The arguments with which `cargo fuzz-dist check` builds this checker, where it can. A run stores them beside
    /// the verdict.
    #[doc(hidden)]
    fn arguments(&self) -> Option<Arguments> {
        None
    }

    /// The name of its type, for messages about a checker that gave no verdict.
    #[doc(hidden)]
    fn type_name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }
}

/// A checker of any type.
pub type AnyChecker = std::sync::Arc<dyn Checker>;

/// Forgets a checker's type.
pub fn any_checker(checker: impl Checker + 'static) -> AnyChecker {
    std::sync::Arc::new(checker)
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
