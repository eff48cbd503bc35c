//! The table of checkers: what each is called, what it judges, and how it is built from options.
//!
//! The command, the tests and the benchmarks iterate over it. Each checker's [`Registration`] stands in the
//! file of the checker.

#[cfg(test)]
mod tests;

use crate::{
    AnyChecker, Arguments, Checker, Online, Verdict, atomic, convergence, independent, jobs, lease,
    linear, liveness, log_pattern, names, offset_log, or_set, perf, pn_counter,
    replicated_register, set_full, simple_set, stats, total_queue, txn, unique_ids,
    unordered_queue,
};
use fuzz_dist_history::History;

use crate::registration::built;
pub use crate::registration::{BuildError, Judges, Needs, Opt, Options, Registration};

/// All registered checkers, in the order in which the command lists them.
pub static CHECKERS: &[&Registration] = &[
    &set_full::REGISTRATION,
    &simple_set::REGISTRATION,
    &or_set::REGISTRATION,
    &atomic::REGISTRATION,
    &unique_ids::REGISTRATION,
    &linear::counter::REGISTRATION,
    &pn_counter::REGISTRATION,
    &total_queue::REGISTRATION,
    &linear::fifo::REGISTRATION,
    &unordered_queue::REGISTRATION,
    &jobs::REGISTRATION,
    &names::REGISTRATION,
    &liveness::REGISTRATION,
    &offset_log::REGISTRATION,
    &lease::REGISTRATION,
    &linear::models::LINEARIZABLE,
    &linear::models::CAS_REGISTER,
    &linear::models::MUTEX,
    &linear::registers::REGISTRATION,
    &linear::models::SEQUENTIAL,
    &replicated_register::REGISTRATION,
    &txn::append::REGISTRATION,
    &txn::register::REGISTRATION,
    &txn::weak::registered::WEAK,
    &txn::register::READ_COMMITTED,
    &txn::weak::registered::READ_ATOMIC,
    &txn::weak::registered::CAUSAL,
    &txn::weak::registered::SESSION_GUARANTEES,
    &txn::crdt::REGISTRATION,
    &txn::bank::REGISTRATION,
    &txn::patterns::LONG_FORK,
    &txn::patterns::WRITE_SKEW,
    &txn::predicates::REGISTRATION,
    &txn::patterns::MONOTONIC,
    &convergence::REGISTRATION,
    &log_pattern::REGISTRATION,
    &stats::REGISTRATION,
    &perf::REGISTRATION,
];

/// The option of every checker: each key is judged by itself.
pub const INDEPENDENT: Opt = Opt::flag(
    "independent",
    "every operation's value is [key value]; each key is judged by itself",
);

/// The checker of this name, with underscores or hyphens.
///
/// ```
/// use fuzz_dist_checkers::histories::Script;
/// use fuzz_dist_checkers::registry::{Options, find};
///
/// let options = [("linearizable".to_string(), "true".to_string())];
/// let checker = find("set-full").unwrap().build(&Options::new(&options)).unwrap();
/// assert!(checker.check(&Script::parse("a1 a1' r2 r2'{1}")).is_valid());
/// ```
pub fn find(name: &str) -> Option<&'static Registration> {
    let wanted = name.replace('-', "_").to_lowercase();
    CHECKERS.iter().copied().find(|checker| checker.name == wanted)
}

impl Registration {
    /// An example for each option that is required, as [`Options::new`] takes them.
    pub fn required(&self) -> Vec<(String, String)> {
        let required = self.options.iter().filter(|option| option.is_required);
        required.map(|option| (option.key.into(), option.example.into())).collect()
    }

    /// The checker, with its options. Options that it does not have are ignored.
    ///
    /// # Errors
    ///
    /// When an option has a value that the checker does not understand, or one that it needs is missing.
    pub fn build(&self, options: &Options<'_>) -> Result<AnyChecker, BuildError> {
        let checker = (self.build)(options)?;
        // The model of a key-value store is that of one key.
        let of_keys = options.word("model") == Some("kv");
        match options.flag(INDEPENDENT.key)? || of_keys {
            true => built(independent(Shared(checker))),
            false => Ok(checker),
        }
    }
}

/// A checker of any type as one of a type.
struct Shared(AnyChecker);

impl Checker for Shared {
    fn check(&self, history: &History) -> Verdict {
        self.0.check(history)
    }

    fn online(&self, history: &History) -> Option<Box<dyn Online>> {
        self.0.online(history)
    }

    fn arguments(&self) -> Option<Arguments> {
        self.0.arguments()
    }

    fn type_name(&self) -> &'static str {
        self.0.type_name()
    }
}
