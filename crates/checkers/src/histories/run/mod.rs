//! Simulated runs on objects of all kinds: valid ones, and ones with a chosen anomaly.
//!
//! The object is one copy that many clients use at a time, so that without an anomaly every
//! checker of its kind finds it valid. An anomaly is planted at a moment at which nothing is
//! under way, by clients of its own, so that nothing else explains it.

mod driver;
mod numbers;
mod queues;
mod registers;
mod sets;
#[cfg(test)]
mod tests;

use driver::Planter;
use fuzz_dist_history::History;
use fuzz_dist_history::op::Value;
use fuzz_dist_random::{Seed, Stream};

macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident = $word:literal { $($checker:literal: $($kind:literal)*;)* })*) => {
        /// A kind of object whose use a [`Run`] simulates.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Object { $($(#[$doc])* $name,)* }

        impl Object {
            /// All of them.
            pub const ALL: &'static [Object] = &[$(Object::$name,)*];

            /// Its name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Object::$name => $word,)* }
            }

            /// The checkers of such objects, by their names in `cargo fuzz-dist checkers`, each
            /// with the anomalies that a run can have and that it names.
            pub const fn plants(self) -> &'static [(&'static str, &'static [&'static str])] {
                match self { $(Object::$name => &[$(($checker, &[$($kind,)*]),)*],)* }
            }
        }
    };
}

objects! {
    /// A set that grows: `add v`, `read`.
    Set = "set" {
        "set_full": "lost" "missing" "duplicate" "unexpected" "resurrected" "early" "stale" "flutter" "read_your_writes" "monotonic_reads" "no_final_read";
        "set": "lost" "unexpected" "resurrected";
        "convergence": "diverged";
    }
    /// A set with `add v`, `remove v`, `read`.
    OrSet = "or-set" {
        "or_set": "lost" "missing" "not_removed" "differs" "unexpected" "early" "resurrected" "duplicate" "own_add_unread" "own_remove_unread";
    }
    /// Transactions that `write` or `abort` a set of marks, and `read` all marks.
    Marks = "marks" {
        "atomic": "fractured" "aborted_read" "own_write_unread" "unexpected" "early" "duplicate" "lost";
    }
    /// A counter: `add n`, `read`.
    Counter = "counter" {
        "counter": "impossible_value" "not_linearizable";
        "pn_counter": "impossible_value" "impossible_in_session" "not_monotonic" "lost_increments" "surplus" "final_reads_differ";
    }
    /// A source of identifiers: `generate`.
    Ids = "ids" {
        "unique_ids": "duplicate";
    }
    /// Accounts 0 to 4 with 100 altogether: `transfer {from to amount}`, `read`.
    Bank = "bank" {
        "bank": "wrong-total" "negative-value" "missing-account" "unexpected-account" "no-balance";
    }
    /// A queue: `enqueue v`, `dequeue`, at last of everything.
    Queue = "queue" {
        "total_queue": "lost" "unexpected" "duplicate" "early";
        "fifo": "lost" "unexpected" "duplicate" "early" "reordered" "not_empty";
    }
    /// A log with offsets: `send v`, `poll`, at last of everything.
    Log = "log" {
        "offset_log": "inconsistent" "duplicate" "unexpected" "lost" "non_monotonic" "skipped";
    }
    /// A register: `write v`, each value once, and `read`.
    Register = "register" {
        "distinct_register": "thin_air" "early" "not_linearizable";
        "cas_register": "not_linearizable";
        "replicated_register": "unexpected" "early" "resurrected" "overwritten" "lost";
    }
    /// Registers by key: `write [key v]`, each value once, and `read [key nil]`.
    Registers = "registers" {
        "sequential": "not_sequential";
    }
    /// A lock: `acquire`, which fails where somebody holds it, and `release`.
    Lock = "lock" {
        "lease": "two_holders";
        "mutex": "not_linearizable";
    }
}

/// A simulated run on one object, or on several by key.
///
/// With more than one key, and for [`Object::Registers`], every value is a list of the key and
/// the value proper, as [`independent`](crate::independent) expects. In the end the
/// network is healed and every node is read a last time.
///
/// ```
/// use fuzz_dist_checkers::{Checker, histories::{Object, Run}, total_queue};
/// use fuzz_dist_random::Seed;
///
/// let run = Run::new(Object::Queue).operations(300).clients(8);
/// assert!(total_queue().check(&run.history(Seed(1))).is_valid());
///
/// let verdict = total_queue().check(&run.plant("lost").history(Seed(1)));
/// assert!(verdict.is_invalid() && &*verdict.anomalies[0].kind == "lost");
/// ```
#[derive(Clone, Debug)]
pub struct Run {
    object: Object,
    operations: usize,
    clients: u32,
    nodes: u16,
    keys: usize,
    skew: f64,
    unknown: f64,
    failing: f64,
    reads: f64,
    lag: f64,
    late: bool,
    anomaly: Option<&'static str>,
}

impl Run {
    /// 200 operations by 6 clients on 3 nodes, on one key; 3 % of each outcome that is not `ok`.
    pub fn new(object: Object) -> Run {
        Run {
            object,
            operations: 200,
            clients: 6,
            nodes: 3,
            keys: 1,
            skew: 0.0,
            unknown: 0.03,
            failing: 0.03,
            reads: 0.5,
            lag: 0.0,
            late: false,
            anomaly: None,
        }
    }
    /// How many operations there are before the last reads.
    #[must_use]
    pub fn operations(mut self, n: usize) -> Run {
        self.operations = n;
        self
    }
    /// How many clients, or sessions, there are at a time.
    #[must_use]
    pub fn clients(mut self, n: u32) -> Run {
        self.clients = n.max(1);
        self
    }
    /// How many nodes there are; some anomalies need two.
    #[must_use]
    pub fn nodes(mut self, n: u16) -> Run {
        self.nodes = n.max(1);
        self
    }
    /// How many objects there are.
    #[must_use]
    pub fn keys(mut self, n: usize) -> Run {
        self.keys = n.max(1);
        self
    }
    /// How unequal the keys are: 0 for equal ones, 3 for a few that get most operations.
    #[must_use]
    pub fn skew(mut self, skew: f64) -> Run {
        self.skew = skew.max(0.0);
        self
    }
    /// The shares of operations of unknown outcome and of failed ones. Of the former, half take effect
    /// before they are given up, and others afterwards, at any later time of the run, or never.
    #[must_use]
    pub fn outcomes(mut self, unknown: f64, failing: f64) -> Run {
        (self.unknown, self.failing) = (unknown, failing);
        self
    }
    /// The share of reads among the operations on an [`Object::Set`]; half of them by default.
    ///
    /// # Panics
    ///
    /// On objects of other kinds; so does [`lag`](Run::lag).
    #[must_use]
    pub fn reads(mut self, share: f64) -> Run {
        assert_eq!(self.object, Object::Set, "the share of reads is that of a set");
        self.reads = share;
        self
    }
    /// How likely a node of an [`Object::Set`] does not catch up with the others before it does
    /// an operation: 0 for one copy, 0.7 for reads that are often stale. In the end all are equal.
    #[must_use]
    pub fn lag(mut self, lag: f64) -> Run {
        assert_eq!(self.object, Object::Set, "the nodes of a set lag behind");
        self.lag = lag;
        self
    }
    /// Operations of unknown outcome may take effect between the last reads of two nodes, too, and those
    /// that take something away (of queues, logs and locks) may have unknown outcomes. No checker can
    /// call all of these runs valid, so that they are left out unless asked for.
    #[must_use]
    pub fn late_effects(mut self, yes: bool) -> Run {
        self.late = yes;
        self
    }
    /// With one of the object's [`plants`](Object::plants), to the first key.
    ///
    /// # Panics
    ///
    /// Where the object has no such anomaly.
    #[must_use]
    pub fn plant(mut self, anomaly: &str) -> Run {
        let mut all = self.object.plants().iter().flat_map(|(_, kinds)| kinds.iter());
        let found = all.find(|k| **k == anomaly).copied();
        let what = self.object.as_str();
        self.anomaly =
            Some(found.unwrap_or_else(|| panic!("a run on a {what} has no anomaly `{anomaly}`")));
        self
    }

    /// The history that follows from a seed.
    pub fn history(&self, seed: Seed) -> History {
        driver::run(self, seed)
    }

    fn simulated(&self, seed: Seed) -> Box<dyn Simulated> {
        match self.object {
            Object::Set => Box::new(sets::Set::new(self.nodes, self.reads, self.lag, seed)),
            Object::OrSet => Box::<sets::OrSet>::default(),
            Object::Marks => Box::<sets::Marks>::default(),
            Object::Counter => Box::new(numbers::Counter::new(self.anomaly)),
            Object::Ids => Box::<numbers::Ids>::default(),
            Object::Bank => Box::new(numbers::Bank::new()),
            Object::Queue => Box::<queues::Queue>::default(),
            Object::Log => Box::<queues::Log>::default(),
            Object::Register | Object::Registers => Box::<registers::Register>::default(),
            Object::Lock => Box::<registers::Lock>::default(),
        }
    }
}

/// An object as one copy.
trait Simulated {
    /// What a client does next.
    fn next(&mut self, random: &mut Stream) -> (&'static str, Value);

    /// A client's operation takes effect on a node; gives its result, or `None` where it is
    /// refused.
    fn apply(&mut self, at: (u32, u16), f: &str, argument: &Value) -> Option<Value>;

    /// Is the outcome of the operation known in any case?
    fn is_certain(&self, _f: &str) -> bool {
        false
    }

    /// Plants an anomaly, unless that is a matter of the last operations.
    fn plant(&mut self, anomaly: &str, by: &mut Planter<'_>);

    /// The last operations, with the anomaly where it is a matter of these.
    fn finish(&mut self, anomaly: Option<&str>, by: &mut Planter<'_>);
}
