//! Weak isolation, causality and session guarantees of key-value histories, by their axioms.
//!
//! A history satisfies a level when there is an order *co* of its transactions that contains the
//! order of each session (*so*) and of each read after what it read from (*wr*), and in which,
//! whenever a transaction t3 reads a key from t1 and another one t2 that writes the key is
//! *visible* to t3, t2 comes before t1. The levels differ in what is visible: Biswas and Enea,
//! *On the Complexity of Checking Transactional Consistency* (OOPSLA 2019), figure 2. Only
//! what the axiom forces has to be looked at (Møldrup et al., *AWDIT*, PLDI 2025).

mod acyclic;
mod axioms;
pub(crate) mod base;
pub(crate) mod causal;
mod explain;
mod memory;
#[cfg(test)]
mod oracle;
pub(crate) mod registered;
#[cfg(test)]
pub(crate) mod tests;

use super::super::Arguments;
use std::collections::BTreeMap;

use crate::online::OnlineGuarantees;
use crate::{Anomaly, Checker, Online, Verdict};
use fuzz_dist_history::History;
use fuzz_dist_history::op::Value;

use super::core::graph::{Edges, Graph, Rel};
use super::core::shortest::shortest;
use super::core::{Shape, Status, Transactions, explain as words};
use axioms::Forced;
use base::{Base, INIT};

/// What is asked for: each level by what is visible to a transaction t3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// What t3 read from before the read at hand: *Read Committed* of Biswas and Enea (*On the
    /// Complexity of Checking Transactional Consistency*, 2019), as AWDIT, Plume and DBCop have it.
    /// It also orders the reads within a transaction, so it is stronger than Adya's PL-2, which is
    /// [`Isolation::ReadCommitted`](super::Isolation::ReadCommitted).
    AxiomaticReadCommitted,
    /// What t3 reads from, and what precedes it in its session (*Read Atomic*; Bailis et al.,
    /// *Scalable Atomic Visibility with RAMP Transactions*, 2014).
    ReadAtomic,
    /// All that happens before t3: the transitive closure of so and wr, with one order of
    /// conflicting writes for all (*Causal Consistency* there; *causal convergence*, CCv, in
    /// Bouajjani et al., *On Verifying Causal Consistency*, POPL 2017).
    Causal,
    /// All that happens before t3, but sessions may order conflicting writes differently
    /// (CC in Bouajjani et al. 2017).
    WeakCausal,
    /// All that happens before t3, in an order of the session's own in which all of its reads
    /// fit (causal memory, CM there; Ahamad et al., *Causal Memory*, 1995). It is stronger than
    /// CC; neither it nor CCv implies the other.
    CausalMemory,
    /// What precedes t3 in its session (Terry et al., *Session Guarantees for Weakly Consistent
    /// Replicated Data*, 1994, for all of these four).
    ReadYourWrites,
    /// What transactions earlier in t3's session read from.
    MonotonicReads,
    /// What t3 reads from, and what precedes that in its session.
    MonotonicWrites,
    /// What t3 reads from, and what that and those before it in its session read from.
    WritesFollowReads,
}

impl Level {
    /// All of them.
    pub const ALL: [Level; 9] = [
        Level::AxiomaticReadCommitted,
        Level::ReadAtomic,
        Level::Causal,
        Level::WeakCausal,
        Level::CausalMemory,
        Level::ReadYourWrites,
        Level::MonotonicReads,
        Level::MonotonicWrites,
        Level::WritesFollowReads,
    ];

    /// The four session guarantees.
    pub const SESSION: [Level; 4] = [
        Level::ReadYourWrites,
        Level::MonotonicReads,
        Level::MonotonicWrites,
        Level::WritesFollowReads,
    ];

    /// As it is written in options: `read-atomic`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::AxiomaticReadCommitted => "axiomatic-read-committed",
            Level::ReadAtomic => "read-atomic",
            Level::Causal => "causal",
            Level::WeakCausal => "weak-causal",
            Level::CausalMemory => "causal-memory",
            Level::ReadYourWrites => "read-your-writes",
            Level::MonotonicReads => "monotonic-reads",
            Level::MonotonicWrites => "monotonic-writes",
            Level::WritesFollowReads => "writes-follow-reads",
        }
    }

    /// Other names that the literature has for it.
    const fn aliases(self) -> &'static [&'static str] {
        match self {
            Level::Causal => &["causal-convergence", "ccv"],
            Level::WeakCausal => &["causal-consistency", "cc"],
            Level::CausalMemory => &["cm"],
            _ => &[],
        }
    }

    const fn is_causal(self) -> bool {
        matches!(self, Level::Causal | Level::WeakCausal | Level::CausalMemory)
    }

    const fn checker(self) -> &'static str {
        match self {
            Level::AxiomaticReadCommitted => "axiomatic_read_committed",
            Level::ReadAtomic => "read_atomic",
            Level::Causal => "causal",
            Level::WeakCausal => "weak_causal",
            Level::CausalMemory => "causal_memory",
            Level::ReadYourWrites => "read_your_writes",
            Level::MonotonicReads => "monotonic_reads",
            Level::MonotonicWrites => "monotonic_writes",
            Level::WritesFollowReads => "writes_follow_reads",
        }
    }
}

impl std::str::FromStr for Level {
    type Err = String;
    fn from_str(text: &str) -> Result<Level, String> {
        let named = |l: &Level| {
            let mut names = l.aliases().iter().copied().chain([l.checker(), l.as_str()]);
            names.any(|name| name.eq_ignore_ascii_case(text))
        };
        Level::ALL.into_iter().find(named).ok_or_else(|| {
            if matches!(text.to_lowercase().as_str(), "read-committed" | "read_committed" | "rc") {
                return format!(
                    "`{text}` is Adya's PL-2, which the checker read-committed judges; the axiom of Biswas and Enea is axiomatic-read-committed"
                );
            }
            let all: Vec<&str> = Level::ALL.iter().map(|l| l.as_str()).collect();
            format!("`{text}` is no level; expected one of {}", all.join(", "))
        })
    }
}

/// Judges histories of transactions with `w` and `r` by an axiom; see [`weak`].
#[derive(Clone, Debug)]
pub struct Weak {
    level: Level,
    memory_bytes: usize,
    budget: u64,
}

/// Transactions over registers, each value written to a key once, judged at a [`Level`].
///
/// Whatever the level, `thin-air` (no client wrote it), `G1a` (a failed transaction did), `G1b`
/// (overwritten by the same transaction) `internal` (not what the reader itself wrote last) and `future-read` (what it wrote only later)
/// are invalid. Further anomalies: `cyclic-causality` (so and wr alone have a cycle),
/// `stale-initial-read` (the initial value though a write of the key is visible),
/// `stale-read` (overwritten by something visible that saw it), and `cyclic-order` (no order
/// of commits is possible), and for causal memory `cyclic-view` (no order of what one session
/// has seen is possible). At the causal levels the explanation ends with the name that the bad
/// pattern has in Bouajjani et al. (POPL 2017): *CyclicCO*, *WriteCOInitRead*, *WriteCORead*,
/// *CyclicCF*, *WriteHBInitRead* or *CyclicHB* (their *ThinAirRead* is `thin-air`).
///
/// ```
/// use fuzz_dist_checkers::Checker;
/// use fuzz_dist_checkers::txn::{Level, generate::script, weak};
///
/// let history = script("
///     0: w x 1
///     1: r x 1
///     1: w y 1
///     2: r y 1
///     2: r x nil
/// ").unwrap();
/// assert!(weak(Level::ReadAtomic).check(&history).is_valid());
/// let verdict = weak(Level::Causal).check(&history);
/// assert_eq!(&*verdict.anomalies[0].kind, "stale-initial-read");
/// ```
pub fn weak(level: Level) -> Weak {
    Weak { level, memory_bytes: 4 << 30, budget: BUDGET }
}

/// The level [`Level::AxiomaticReadCommitted`].
pub fn axiomatic_read_committed() -> Weak {
    weak(Level::AxiomaticReadCommitted)
}

/// The level [`Level::ReadAtomic`].
pub fn read_atomic() -> Weak {
    weak(Level::ReadAtomic)
}

/// The level [`Level::Causal`].
pub fn causal() -> Weak {
    weak(Level::Causal)
}

/// How many steps are taken where no option says otherwise.
const BUDGET: u64 = 200_000_000;

impl Weak {
    /// How much memory the clocks may take before the answer is *unknown*: number of
    /// transactions × number of sessions × 4 bytes.
    #[must_use]
    pub fn memory_bytes(mut self, bytes: usize) -> Weak {
        self.memory_bytes = bytes;
        self
    }

    /// How many steps searches may take before they answer *unknown*, or give a longer cycle.
    #[must_use]
    pub fn budget_steps(mut self, steps: u64) -> Weak {
        self.budget = steps;
        self
    }

    /// The verdict about transactions that were [read](Transactions::read) as registers.
    pub fn judge(&self, txns: &Transactions) -> Verdict {
        let name = self.level.checker();
        if txns.shape != Shape::Registers || txns.len() > Edges::NODES_MAX {
            return Verdict::unknown(
                name,
                "the transactions were not read as registers, or are more than 2^29",
            );
        }
        let mut findings = Findings::default();
        let base = Base::new(txns, &mut |bad| findings.add(bad.kind(), || Some(bad.explain(txns))));
        let unknown = self.orders(&base, &mut findings).err();
        findings.verdict(self.level.checker(), self.level.as_str(), &base, unknown)
    }

    /// Finds what contradicts the order of commits; an error is why nobody knows.
    pub(crate) fn orders(&self, base: &Base<'_>, findings: &mut Findings) -> Result<(), String> {
        let bytes = causal::Clocks::bytes_for(base);
        if self.level.is_causal() && bytes > self.memory_bytes {
            return Err(format!(
                "budget: the clocks of {} transactions in {} sessions take {bytes} bytes, of which {} are allowed",
                base.len(),
                base.sessions(),
                self.memory_bytes
            ));
        }
        let mut clocks = None;
        let forced = match self.level {
            Level::AxiomaticReadCommitted => axioms::read_committed(base),
            Level::ReadAtomic => axioms::read_atomic(base),
            Level::Causal | Level::WeakCausal | Level::CausalMemory => match causal::forced(base) {
                Some((forced, c)) => {
                    clocks = Some(c);
                    forced
                }
                None => Vec::new(),
            },
            Level::ReadYourWrites => {
                let mut forced = Vec::new();
                axioms::own_writes(base, &mut forced);
                forced
            }
            Level::MonotonicReads => axioms::monotonic_reads(base),
            Level::MonotonicWrites => axioms::monotonic_writes(base),
            Level::WritesFollowReads => axioms::writes_follow_reads(base, self.budget)
                .ok_or("budget: too many pairs of reads and what they may have seen")?,
        };
        self.contradictions(base, forced, clocks.as_ref(), findings)
    }

    fn contradictions(
        &self,
        base: &Base<'_>,
        mut forced: Vec<Forced>,
        clocks: Option<&causal::Clocks>,
        findings: &mut Findings,
    ) -> Result<(), String> {
        for f in forced.iter().filter(|f| f.to == INIT) {
            findings.add("stale-initial-read", || explain::stale(base, self.level, *f));
        }
        forced.retain(|f| f.to != INIT);
        if let (Level::CausalMemory, Some(clocks)) = (self.level, clocks) {
            return memory::contradictions(base, clocks, &forced, self.budget, findings)
                .ok_or_else(|| {
                    "budget: too many orders follow from what the sessions read".into()
                });
        }
        if self.level == Level::WeakCausal
            && let Some(clocks) = clocks
        {
            // Without one order for all, only what was overwritten by something visible that
            // happened after it is wrong.
            forced.retain(|f| clocks.precedes(base, f.to, f.from));
        }
        let (acyclic, bytes) = acyclic::is_acyclic(base, &forced);
        findings.bytes = forced.capacity() * size_of::<Forced>() + bytes;
        if acyclic {
            return Ok(());
        }
        let mut edges = Edges::with_capacity(base.len() + base.reads.len() + forced.len());
        explain::causality(base, &mut edges);
        // Forced orders stand in for orders of writes.
        forced.iter().for_each(|f| edges.push(Rel::Ww, f.from, f.to));
        let graph = Graph::new(base.len(), edges);
        for cycle in shortest(&graph, findings::REPORTED_MAX, self.budget) {
            findings
                .add(explain::kind(&cycle), || explain::cycle(base, self.level, &cycle, &forced));
        }
        Ok(())
    }
}

mod findings {
    pub(super) const REPORTED_MAX: usize = 16;
}

/// What is wrong, each kind counted and the first ones shown.
#[derive(Default)]
pub(crate) struct Findings {
    anomalies: Vec<Anomaly>,
    counts: BTreeMap<&'static str, usize>,
    unverified: bool,
    bytes: usize,
}

impl Findings {
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// `explain` gives `None` where the verification of the finding fails.
    pub(crate) fn add(&mut self, kind: &'static str, explain: impl FnOnce() -> Option<Anomaly>) {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        if *count <= findings::REPORTED_MAX {
            match explain() {
                Some(anomaly) => self.anomalies.push(anomaly),
                None => self.unverified = true,
            }
        }
    }

    pub(crate) fn verdict(
        mut self,
        name: &'static str,
        level: &'static str,
        base: &Base<'_>,
        unknown: Option<String>,
    ) -> Verdict {
        self.anomalies.sort_by_key(|a| a.events.len());
        let kinds: Vec<&str> = self.counts.keys().copied().collect();
        let mut verdict = if !self.anomalies.is_empty() {
            Verdict::invalid(name, format!("not {level}: {}", kinds.join(", ")))
        } else if self.unverified {
            Verdict::unknown(
                name,
                "internal error: the verification of a finding failed; please report it with the history",
            )
        } else if let Some(why) = unknown {
            Verdict::unknown(name, why)
        } else {
            Verdict::valid(name)
        };
        verdict.anomalies = self.anomalies;
        if verdict.is_invalid() {
            self.counts.iter().for_each(|(kind, n)| verdict.count_of(*kind, *n));
        }
        let count = |s| base.txns.status.iter().filter(|x| **x == s).count();
        verdict
            .with("level", level)
            .with("transactions", base.txns.len())
            .with("ok", count(Status::Ok))
            .with("sessions", base.sessions())
            .with("keys", base.txns.key_count())
            .with("bytes", base.txns.bytes() + base.bytes() + self.bytes)
            .with("phenomena", &self.counts)
    }
}

impl Checker for Weak {
    fn check(&self, history: &History) -> Verdict {
        match Transactions::read(history, Shape::Registers) {
            Ok(txns) => {
                let mut verdict = self.judge(&txns);
                words::locate(&mut verdict, history);
                verdict
            }
            Err(why) => Verdict::unknown(self.level.checker(), why.to_string()),
        }
    }

    fn arguments(&self) -> Option<Arguments> {
        let weak = Arguments::of("weak").option("level", self.level.as_str(), "");
        Some(weak.option("budget", self.budget, BUDGET))
    }
}

/// The four session guarantees, each a part of the verdict; see [`session_guarantees`].
#[derive(Clone, Debug, Default)]
pub struct SessionGuarantees(());

/// Read your writes, monotonic reads, monotonic writes and writes follow reads (Terry et al.,
/// 1994), each judged by itself.
pub fn session_guarantees() -> SessionGuarantees {
    SessionGuarantees(())
}

impl Checker for SessionGuarantees {
    fn check(&self, history: &History) -> Verdict {
        const NAME: &str = "session_guarantees";
        match Transactions::read(history, Shape::Registers) {
            Ok(txns) => {
                let mut verdict =
                    Verdict::compose(NAME, Level::SESSION.map(|level| weak(level).judge(&txns)));
                words::locate(&mut verdict, history);
                verdict.parts.iter_mut().for_each(|p| words::locate(p, history));
                verdict
            }
            Err(why) => Verdict::unknown(NAME, why.to_string()),
        }
    }

    fn online(&self, history: &History) -> Option<Box<dyn Online>> {
        let check = |history: &History| session_guarantees().check(history);
        Some(Box::new(OnlineGuarantees::new(history, check)))
    }

    fn arguments(&self) -> Option<Arguments> {
        Some(Arguments::of("session_guarantees"))
    }
}

/// The key and the value that a read is about, for a message.
fn subject(base: &Base<'_>, key: u32) -> Value {
    Value::list([base.txns.key(key).clone()])
}
