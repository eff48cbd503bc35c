//! `list_append`: transactions over lists, judged by Adya's phenomena.
//!
//! Every append has its own value, and a read gives the whole list: so the longest read of a
//! key is the order of its versions, and each dependency between transactions is known.
//! Kingsbury and Alvaro, *Elle: Inferring Isolation Anomalies from Experimental Observations*
//! (VLDB 2020), show that this finds what a history proves.

mod depend;
mod direct;
#[cfg(test)]
mod oracle;
#[cfg(test)]
pub(super) mod tests;
mod why;

use super::super::Arguments;
use crate::registration::{BUDGET, Judges, Needs, Registration, built};
use crate::threads::in_pair;
use crate::{Checker, Verdict};
use fuzz_dist_history::History;

use super::core::cycles;
use super::core::decide::decide;
use super::core::graph::{Edges, Graph};
use super::core::{Shape, Transactions, explain};
use super::isolation::Isolation;
use super::model::{MODEL, isolation_of};
use super::named;
use super::report::Report;

/// Judging fewer transactions is not worth a thread; in tests some are.
const PAIR_MIN: usize = if cfg!(test) { 20 } else { 1 << 14 };

/// Steps along edges that a search for cycles may take by default: about a second.
pub(crate) const BUDGET_STEPS: u64 = 200_000_000;

/// Judges histories of transactions with `append` and `r`; see [`list_append`].
#[derive(Clone, Debug)]
pub struct ListAppend {
    model: Isolation,
    budget: u64,
}

/// Transactions over lists: operations `txn` whose value is a list of `[append key value]` and
/// `[r key list]`.
///
/// Finds, by the names of Adya (*Weak Consistency*, 1999) and Elle: `G0`, `G1a`, `G1b`, `G1c`,
/// `G-single`, `G-nonadjacent`, `G2-item`, the cycles also with the order of processes and of
/// real time; `lost-update`, `internal`, `incompatible-order`, `duplicate-elements`,
/// `dirty-update`, `thin-air`. Asks for strict serializability by default.
///
/// ```
/// use fuzz_dist_checkers::txn::{Isolation, generate, list_append};
/// use fuzz_dist_checkers::Checker;
///
/// // Write skew: each reads what the other one is about to change.
/// let history = generate::script("
///     0: r x [], append y 1
///     1: r y [], append x 1
///     --
///     2: r x [1], r y [1]
/// ").unwrap();
/// let verdict = list_append().model(Isolation::Serializable).check(&history);
/// assert!(verdict.reasons[0].starts_with("not serializable: G2-item"));
/// assert!(list_append().model(Isolation::SnapshotIsolation).check(&history).is_valid());
/// ```
pub fn list_append() -> ListAppend {
    ListAppend { model: Isolation::StrictSerializable, budget: BUDGET_STEPS }
}

impl ListAppend {
    /// The isolation level that is asked for.
    #[must_use]
    pub fn model(mut self, model: Isolation) -> ListAppend {
        self.model = model;
        self
    }

    /// How many steps along edges the search for cycles may take before it answers *unknown*.
    #[must_use]
    pub fn budget_steps(mut self, steps: u64) -> ListAppend {
        self.budget = steps;
        self
    }

    /// The verdict about transactions that were [read](Transactions::read) as lists.
    pub fn judge(&self, txns: &Transactions) -> Verdict {
        let holds = |model| self.clone().model(model).phenomena(txns).is_valid();
        named::judged(self.model, txns, self.phenomena(txns), holds)
    }

    /// What Adya's phenomena say.
    fn phenomena(&self, txns: &Transactions) -> Verdict {
        const NAME: &str = "list_append";
        if txns.shape != Shape::Lists {
            return Verdict::unknown(NAME, "the transactions were read as registers, not as lists");
        }
        if txns.len() > Edges::NODES_MAX {
            return Verdict::unknown(NAME, "more than 2^29 transactions do not fit");
        }
        let places = depend::Places::new(txns);
        let classes = self.model.classes();
        let direct = || {
            let mut report = Report::new(NAME, self.model, txns);
            direct::find(txns, &places, &mut report);
            report
        };
        let of_cycles = || {
            let graph = Graph::new(txns.len(), depend::edges(txns, &places));
            let found = cycles::search(&graph, txns, &classes, self.budget);
            (graph, found)
        };
        let (mut report, (graph, found)) = in_pair(txns.len() >= PAIR_MIN, direct, of_cycles);
        report.figure_bytes(txns.bytes() + graph.bytes() + places.bytes());
        // Of several appends to a key that no read shows, nobody knows the order. Where nothing is
        // cyclic and all of them follow what was read, any order of all transactions gives one.
        let open = match found.acyclic && places.whole || report.is_refuted() {
            true => Vec::new(),
            false => depend::open(txns, &places),
        };
        if found.cycles.is_empty() && !open.is_empty() {
            // An order that closes no cycle is a proof, and mostly the first guess is one.
            let mut guessed = graph.to_edges();
            depend::guess(txns, &open, &mut guessed);
            let guessed =
                cycles::search(&Graph::new(txns.len(), guessed), txns, &classes, self.budget);
            if guessed.cycles.is_empty() && !guessed.gave_up {
                return report.verdict();
            }
        }
        let gave_up = found.gave_up;
        report.cycles(found, |step| why::reason(txns, step));
        if !report.is_refuted() && !gave_up && !open.is_empty() {
            let decision = decide(txns, &graph.to_edges(), &open, &classes, self.budget);
            report.decided(decision, |step| why::reason(txns, step));
        }
        report.verdict()
    }
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "list_append",
    about: "transactions over lists, by Adya's phenomena",
    judges: Judges::Itself,
    needs: Needs::Nothing,
    options: &[MODEL, BUDGET],
    build: |o| {
        let checker = list_append().model(isolation_of(o)?);
        built(o.set("budget", checker, |c, steps| c.budget_steps(steps))?)
    },
};

impl Checker for ListAppend {
    fn check(&self, history: &History) -> Verdict {
        match Transactions::read(history, Shape::Lists) {
            Ok(txns) => {
                let mut verdict = self.judge(&txns);
                explain::locate(&mut verdict, history);
                verdict
            }
            Err(why) => Verdict::unknown("list_append", why.to_string()),
        }
    }

    fn arguments(&self) -> Option<Arguments> {
        let asked = Arguments::of("list_append").option("model", self.model.as_str(), "");
        Some(asked.option("budget", self.budget, BUDGET_STEPS))
    }
}
