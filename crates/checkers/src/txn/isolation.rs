//! Isolation levels: which phenomena each one forbids, and what a set of phenomena leaves.

use std::fmt;
use std::str::FromStr;

use super::core::cycles::Class;

macro_rules! isolation {
    ($($(#[$doc:meta])* $name:ident = $word:literal $(| $alias:literal)*, weaker [$($weaker:ident)*], forbids [$($forbids:literal)*];)*) => {
        /// An isolation level or session model of transactions.
        ///
        /// Sources: Adya, *Weak Consistency* (1999) for the PL levels; Bailis et al., *Highly
        /// Available Transactions* (2014); Cerone, Bernardi, Gotsman, *A Framework for
        /// Transactional Consistency Models with Atomic Visibility* (2015); Cerone and Gotsman,
        /// *Analysing Snapshot Isolation* (2018); Daudjee and Salem, *Lazy Database Replication
        /// with Snapshot Isolation* (2006) for the session variants. Names and the order between
        /// the levels are those that Elle uses, but for read atomic, which has sessions here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Isolation { $($(#[$doc])* $name,)* }

        impl Isolation {
            /// All of them, weaker ones first.
            pub const ALL: &'static [Isolation] = &[$(Isolation::$name,)*];

            /// As it is written in options: `snapshot-isolation`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Isolation::$name => $word,)* }
            }
            const fn names(self) -> &'static [&'static str] {
                match self { $(Isolation::$name => &[$word $(, $alias)*],)* }
            }
            /// The levels next below: whatever satisfies this one satisfies them.
            pub const fn weaker(self) -> &'static [Isolation] {
                match self { $(Isolation::$name => &[$(Isolation::$weaker,)*],)* }
            }
            /// What it forbids besides what weaker ones do.
            const fn forbids_itself(self) -> &'static [&'static str] {
                match self { $(Isolation::$name => &[$($forbids,)*],)* }
            }
        }
    };
}

isolation! {
    /// PL-1: no cycles of writes.
    ReadUncommitted = "read-uncommitted" | "PL-1", weaker [], forbids ["G0" "duplicate-elements" "cyclic-versions" "incompatible-order" "thin-air"];
    /// PL-2: no dirty reads.
    ReadCommitted = "read-committed" | "PL-2", weaker [ReadUncommitted], forbids ["G1a" "G1b" "G1c" "dirty-update" "future-read"];
    /// Transactions see each other's effects in an order that grows.
    MonotonicAtomicView = "monotonic-atomic-view", weaker [ReadCommitted], forbids ["internal"];
    /// PL-2L.
    MonotonicView = "monotonic-view" | "PL-2L", weaker [ReadCommitted], forbids ["internal"];
    /// PL-MSR.
    MonotonicSnapshotRead = "monotonic-snapshot-read" | "PL-MSR", weaker [ReadCommitted], forbids ["internal"];
    /// PL-CS: no update is lost.
    CursorStability = "cursor-stability" | "PL-CS", weaker [ReadCommitted], forbids ["lost-update"];
    /// All of a transaction or nothing, and what precedes in the session, as the checker
    /// `read_atomic` has it. Cerone's has no sessions, so levels without these do not imply it.
    ReadAtomic = "read-atomic", weaker [MonotonicAtomicView], forbids ["fuzzy-read" "G0-process" "G1c-process"];
    /// Read atomic without lost updates (Liu et al., 2018).
    Rola = "ROLA" | "update-atomic", weaker [MonotonicAtomicView], forbids ["fuzzy-read" "lost-update"];
    /// Cerone's causal consistency.
    CausalCerone = "causal-cerone", weaker [MonotonicAtomicView], forbids ["fuzzy-read"];
    /// Cerone's prefix consistency.
    Prefix = "prefix", weaker [CausalCerone], forbids [];
    /// Cerone's parallel snapshot isolation.
    ParallelSnapshotIsolation = "parallel-snapshot-isolation", weaker [CausalCerone Rola], forbids [];
    /// PL-2+: what is read is consistent. (Two versions of a key in one transaction are a G-single,
    /// whatever their order.)
    ConsistentView = "consistent-view" | "PL-2+", weaker [CursorStability MonotonicView], forbids ["fuzzy-read" "G-single"];
    /// PL-FCV.
    ForwardConsistentView = "forward-consistent-view" | "PL-FCV", weaker [ConsistentView], forbids [];
    /// PL-2.99: serializable, but for predicates.
    RepeatableRead = "repeatable-read" | "PL-2.99", weaker [CursorStability MonotonicAtomicView], forbids ["fuzzy-read" "G2-item" "lost-update"];
    /// PL-3U: serializable for transactions that write.
    UpdateSerializable = "update-serializable" | "PL-3U", weaker [ForwardConsistentView], forbids [];
    /// Every transaction reads from a snapshot, and of two that write the same one fails.
    SnapshotIsolation = "snapshot-isolation" | "PL-SI", weaker [ForwardConsistentView MonotonicAtomicView MonotonicSnapshotRead ParallelSnapshotIsolation Prefix], forbids ["G-nonadjacent"];
    /// PL-3: as if one after the other.
    Serializable = "serializable" | "PL-3" | "conflict-serializable" | "view-serializable" | "1SR", weaker [RepeatableRead UpdateSerializable SnapshotIsolation], forbids ["G2-item" "G2"];
    /// Whoever wrote something reads it, or what came later (Terry et al., 1994, for these four).
    /// They are about the transactions of a session; two reads of one transaction may differ.
    ReadYourWrites = "read-your-writes", weaker [ReadCommitted], forbids ["internal" "G0-process" "G1c-process"];
    /// Whoever read something does not read what came before it.
    MonotonicReads = "monotonic-reads", weaker [ReadCommitted], forbids ["internal" "G0-process" "G1c-process"];
    /// The writes of a process are seen in their order.
    MonotonicWrites = "monotonic-writes", weaker [ReadCommitted], forbids ["internal" "G0-process" "G1c-process"];
    /// A write is seen after what its process had read before it.
    WritesFollowReads = "writes-follow-reads", weaker [ReadCommitted], forbids ["internal" "G0-process" "G1c-process"];
    /// Pipelined RAM: the first three of the session guarantees.
    Pram = "PRAM", weaker [ReadYourWrites MonotonicReads MonotonicWrites], forbids [];
    /// Causal consistency with one order of conflicting writes, as the checker `causal` has it.
    Causal = "causal", weaker [Pram WritesFollowReads CausalCerone ReadAtomic], forbids [];
    /// Read uncommitted, with the order of each process.
    StrongSessionReadUncommitted = "strong-session-read-uncommitted" | "strong-session-PL-1", weaker [ReadUncommitted], forbids ["G0-process"];
    /// Read committed, with the order of each process.
    StrongSessionReadCommitted = "strong-session-read-committed" | "strong-session-PL-2", weaker [ReadCommitted StrongSessionReadUncommitted], forbids ["G1c-process"];
    /// Snapshot isolation in which a process sees what it did before.
    StrongSessionSnapshotIsolation = "strong-session-snapshot-isolation", weaker [SnapshotIsolation StrongSessionReadCommitted Causal], forbids ["G-nonadjacent-process"];
    /// Serializable, with the order of each process.
    StrongSessionSerializable = "strong-session-serializable" | "session-serializable" | "sequential", weaker [Serializable StrongSessionSnapshotIsolation], forbids ["G2-item-process"];
    /// Read uncommitted in real time.
    StrongReadUncommitted = "strong-read-uncommitted" | "strong-PL-1", weaker [StrongSessionReadUncommitted], forbids ["G0-realtime"];
    /// Read committed in real time.
    StrongReadCommitted = "strong-read-committed" | "strong-PL-2", weaker [StrongSessionReadCommitted StrongReadUncommitted], forbids ["G1c-realtime"];
    /// Snapshot isolation in which whoever begins sees what has ended.
    StrongSnapshotIsolation = "strong-snapshot-isolation", weaker [StrongSessionSnapshotIsolation StrongReadCommitted], forbids ["G-nonadjacent-realtime"];
    /// PL-SS: as if one after the other, in an order that agrees with real time.
    StrictSerializable = "strict-serializable" | "PL-SS" | "strong-serializable" | "linearizable", weaker [StrongSessionSerializable StrongSnapshotIsolation], forbids ["G2-item-realtime"];
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Isolation {
    type Err = String;
    /// The levels by the names above and Adya's, whatever the case.
    fn from_str(text: &str) -> Result<Isolation, String> {
        let known = |i: &&Isolation| i.names().iter().any(|n| n.eq_ignore_ascii_case(text));
        Isolation::ALL.iter().find(known).copied().ok_or_else(|| {
            let all: Vec<&str> = Isolation::ALL.iter().map(|i| i.as_str()).collect();
            format!("`{text}` is no isolation level; expected one of {}", all.join(", "))
        })
    }
}

impl Isolation {
    /// Whatever satisfies `self` satisfies `weaker`.
    ///
    /// ```
    /// use fuzz_dist_checkers::txn::Isolation::*;
    /// assert!(StrictSerializable.implies(SnapshotIsolation));
    /// assert!(!RepeatableRead.implies(SnapshotIsolation));
    /// ```
    pub fn implies(self, weaker: Isolation) -> bool {
        self == weaker || self.weaker().iter().any(|w| w.implies(weaker))
    }

    /// Does it forbid this phenomenon, by the names of [anomalies](crate::Anomaly)?
    ///
    /// ```
    /// use fuzz_dist_checkers::txn::Isolation::*;
    /// assert!(SnapshotIsolation.forbids("G-single") && !SnapshotIsolation.forbids("G2-item"));
    /// ```
    pub fn forbids(self, phenomenon: &str) -> bool {
        self.forbids_itself().iter().any(|f| implies(phenomenon, f))
            || self.weaker().iter().any(|w| w.forbids(phenomenon))
    }

    /// The classes of cycles that it forbids.
    pub(crate) fn classes(self) -> Vec<Class> {
        Class::all().filter(|c| self.forbids(c.name())).collect()
    }

    /// The strongest levels that none of these phenomena excludes.
    ///
    /// ```
    /// use fuzz_dist_checkers::txn::Isolation;
    /// let left = Isolation::at_best(["G2-item"]);
    /// assert!(left.contains(&Isolation::StrongSnapshotIsolation));
    /// assert!(Isolation::at_best(["G0"]).is_empty());
    /// ```
    pub fn at_best<'a>(phenomena: impl IntoIterator<Item = &'a str>) -> Vec<Isolation> {
        let phenomena: Vec<&str> = phenomena.into_iter().collect();
        let possible: Vec<Isolation> = Isolation::ALL
            .iter()
            .copied()
            .filter(|i| !phenomena.iter().any(|p| i.forbids(p)))
            .collect();
        possible
            .iter()
            .copied()
            .filter(|i| !possible.iter().any(|j| j != i && j.implies(*i)))
            .collect()
    }

    /// The weakest levels that one of these phenomena excludes.
    pub fn excluded_by<'a>(phenomena: impl IntoIterator<Item = &'a str>) -> Vec<Isolation> {
        let phenomena: Vec<&str> = phenomena.into_iter().collect();
        let excluded: Vec<Isolation> = Isolation::ALL
            .iter()
            .copied()
            .filter(|i| phenomena.iter().any(|p| i.forbids(p)))
            .collect();
        excluded
            .iter()
            .copied()
            .filter(|i| !excluded.iter().any(|j| j != i && i.implies(*j)))
            .collect()
    }
}

/// Is phenomenon `a` a case of `b`, or as bad? Cycles are cases of those with more kinds of
/// edges and more orders; reads that no order of versions explains are dirty reads.
fn implies(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let class = |name: &str| Class::all().find(|c| c.name() == name);
    match (class(a), class(b)) {
        (Some(a), Some(b)) => a.base <= b.base && a.level <= b.level,
        // A lost update is an anti-dependency whose two ends wrote the same version's successor.
        (None, Some(_)) => a == "lost-update" && implies("G-single", b),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;
    use crate::txn::oracle as plain;
    use crate::txn::{Shape, Transactions};

    #[test]
    fn every_name_is_read_back() {
        for level in Isolation::ALL {
            for name in level.names() {
                assert_eq!(name.parse(), Ok(*level));
            }
        }
        assert!("snapshot".parse::<Isolation>().unwrap_err().contains("snapshot-isolation"));
    }

    #[test]
    fn each_phenomenon_excludes_the_levels_that_the_literature_names() {
        use Isolation::*;
        assert_eq!(Isolation::excluded_by(["G1c"]), [ReadCommitted]);
        assert_eq!(Isolation::excluded_by(["G-single"]), [ConsistentView, RepeatableRead]);
        assert_eq!(Isolation::excluded_by(["G2-item"]), [RepeatableRead]);
        assert_eq!(Isolation::excluded_by(["G-nonadjacent"]), [RepeatableRead, SnapshotIsolation]);
        assert_eq!(Isolation::excluded_by(["G2-item-realtime"]), [StrictSerializable]);
        let own_write = [MonotonicAtomicView, MonotonicView, MonotonicSnapshotRead]
            .into_iter()
            .chain([ReadYourWrites, MonotonicReads, MonotonicWrites, WritesFollowReads]);
        assert_eq!(Isolation::excluded_by(["internal"]), own_write.collect::<Vec<_>>());
        let two_versions = Isolation::excluded_by(["fuzzy-read"]);
        assert_eq!(two_versions, [ReadAtomic, Rola, CausalCerone, ConsistentView, RepeatableRead]);
        assert_eq!(Isolation::at_best([]), [StrictSerializable]);
        let left = Isolation::at_best(["G-single-realtime"]);
        assert_eq!(left, [StrongSessionSerializable, StrongReadCommitted]);
        assert!(Isolation::at_best(["lost-update"]).contains(&StrongReadCommitted));
    }

    /// A transaction that reads a key twice and finds two versions is a cycle with one
    /// anti-dependency, and what it reads the second time is read as well.
    #[test]
    fn a_second_read_of_a_key_counts() {
        use crate::Checker;
        use crate::txn::{generate::script, list_append, rw_register};
        let says = |model: Isolation, registers: &str, lists: &str| {
            let registers = rw_register().model(model).check(&script(registers).unwrap());
            let lists = list_append().model(model).check(&script(lists).unwrap());
            assert_eq!(registers.validity, lists.validity, "{model} {registers:#?}{lists:#?}");
            registers.is_valid()
        };
        let fuzzy = ["0: w x 1\n1: r x nil, r x 1", "0: append x 1\n1: r x [], r x [1]"];
        for model in [Isolation::ReadCommitted, Isolation::CursorStability] {
            assert!(says(model, fuzzy[0], fuzzy[1]), "{model}");
        }
        for model in [Isolation::ConsistentView, Isolation::RepeatableRead, Isolation::ReadAtomic] {
            assert!(!says(model, fuzzy[0], fuzzy[1]), "{model}");
        }
        let dirty = ["0 fail: w x 1\n1: r x nil, r x 1", "0 fail: append x 1\n1: r x [], r x [1]"];
        let between = [
            "0: w x 1, w x 2\n1: r x nil, r x 1",
            "0: append x 1, append x 2\n1: r x [], r x [1]\n2: r x [1 2]",
        ];
        let circular = [
            "0: w x 1, r y 1\n1: r x nil, r x 1, w y 1",
            "0: append x 1, r y [1]\n1: r x [], r x [1], append y 1",
        ];
        for [registers, lists] in [dirty, between, circular] {
            assert!(!says(Isolation::ReadCommitted, registers, lists), "{registers}");
        }
    }

    /// What holds at a level holds at those that it implies, of registers as of lists.
    #[test]
    fn verdicts_agree_with_the_order_of_the_levels() {
        use crate::txn::{append, list_append, rw_register, weak};
        let agree = |show: &dyn Fn() -> String, judge: &dyn Fn(Isolation) -> Verdict| {
            let verdicts: Vec<Verdict> = Isolation::ALL.iter().map(|i| judge(*i)).collect();
            for (strong, holds) in Isolation::ALL.iter().zip(&verdicts) {
                for (weaker, fails) in Isolation::ALL.iter().zip(&verdicts) {
                    assert!(
                        !(strong.implies(*weaker) && holds.is_valid() && fails.is_invalid()),
                        "{strong} holds and {weaker} does not\n{}{fails:#?}",
                        show()
                    );
                }
            }
        };
        for seed in 0..60 {
            let history = weak::tests::small(seed);
            let show = || plain::show(&plain::plain(&history));
            let Ok(txns) = Transactions::read(&history, Shape::Registers) else { continue };
            agree(&show, &|model| rw_register().model(model).judge(&txns));
            let history = append::tests::small(seed);
            let show = || plain::show(&plain::plain(&history));
            let Ok(txns) = Transactions::read(&history, Shape::Lists) else { continue };
            agree(&show, &|model| list_append().model(model).judge(&txns));
        }
    }

    #[test]
    fn weaker_levels_forbid_less() {
        for strong in Isolation::ALL {
            for weak in Isolation::ALL.iter().filter(|w| strong.implies(**w)) {
                assert!(weak.classes().iter().all(|c| strong.classes().contains(c)));
            }
        }
    }
}
