//! `rw_register`: transactions over registers, judged by Adya's phenomena.
//!
//! Every write of a key has its own value, so a read identifies its writer. The order of a key's
//! versions is known only in part: the initial one is first, and what the options allow to infer
//! comes on top (Kingsbury and Alvaro, *Elle*, VLDB 2020, section 5.2).

mod depend;
mod direct;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
mod versions;
mod why;

use super::super::Arguments;
use crate::registration::{BUDGET, Judges, Needs, Opt, Registration, built};
use crate::{Checker, Verdict};
use fuzz_dist_history::History;

use super::append::BUDGET_STEPS;
use super::core::cycles;
use super::core::decide::decide;
use super::core::graph::{Edges, Graph};
use super::core::{Shape, Transactions, explain};
use super::isolation::Isolation;
use super::model::{MODEL, isolation_of};
use super::named;
use super::report::Report;

/// What may be inferred about the order of a key's versions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Infer {
    pub(crate) linearizable_keys: bool,
    pub(crate) sequential_keys: bool,
    pub(crate) wfr_keys: bool,
}

/// Judges histories of transactions with `w` and `r`; see [`rw_register`].
#[derive(Clone, Debug)]
pub struct RwRegister {
    model: Isolation,
    infer: Infer,
    budget: u64,
}

/// Transactions over registers: operations `txn` whose value is a list of `[w key value]` and
/// `[r key value]`, where no value is written to a key twice.
///
/// Finds what [`list_append`](super::list_append) finds, as far as the order of versions is
/// known, and `cyclic-versions`: what the options say about a key contradicts itself. Without
/// options only the initial value (a read of nil) is known to precede the others. Where that is not
/// enough, orders of the versions are tried: one that shows nothing that the model forbids proves
/// it, and where either order of two writes closes a cycle, none can. What is neither found within
/// the budget is *unknown*.
///
/// ```
/// use fuzz_dist_checkers::Checker;
/// use fuzz_dist_checkers::txn::{Isolation, generate::script, rw_register};
///
/// let history = script("
///     0: r x 1, w x 2
///     1: r x 1, w x 3
///     2: w x 1
/// ").unwrap();
/// let verdict = rw_register().model(Isolation::SnapshotIsolation).check(&history);
/// assert_eq!(&*verdict.anomalies[0].kind, "lost-update");
/// ```
pub fn rw_register() -> RwRegister {
    RwRegister {
        model: Isolation::StrictSerializable,
        infer: Infer::default(),
        budget: BUDGET_STEPS,
    }
}

impl RwRegister {
    /// The isolation level that is asked for.
    #[must_use]
    pub fn model(mut self, model: Isolation) -> RwRegister {
        self.model = model;
        self
    }

    /// Each key alone is linearizable: what ended before something else began has the older
    /// version.
    #[must_use]
    pub fn linearizable_keys(mut self, yes: bool) -> RwRegister {
        self.infer.linearizable_keys = yes;
        self
    }

    /// Each key alone is sequentially consistent: a process meets its versions in their order.
    #[must_use]
    pub fn sequential_keys(mut self, yes: bool) -> RwRegister {
        self.infer.sequential_keys = yes;
        self
    }

    /// In a transaction that reads a key and then writes it, the version written follows the
    /// one read.
    #[must_use]
    pub fn wfr_keys(mut self, yes: bool) -> RwRegister {
        self.infer.wfr_keys = yes;
        self
    }

    /// How many steps along edges the search for cycles may take before it answers *unknown*.
    #[must_use]
    pub fn budget_steps(mut self, steps: u64) -> RwRegister {
        self.budget = steps;
        self
    }

    /// The verdict about transactions that were [read](Transactions::read) as registers.
    pub fn judge(&self, txns: &Transactions) -> Verdict {
        let holds = |model| self.clone().model(model).phenomena(txns).is_valid();
        named::judged(self.model, txns, self.phenomena(txns), holds)
    }

    /// What Adya's phenomena say.
    fn phenomena(&self, txns: &Transactions) -> Verdict {
        const NAME: &str = "rw_register";
        if txns.shape != Shape::Registers {
            return Verdict::unknown(NAME, "the transactions were read as lists, not as registers");
        }
        let nodes = txns.len().max(txns.versions.len() + txns.key_count());
        if nodes > Edges::NODES_MAX {
            return Verdict::unknown(NAME, "more than 2^29 transactions or versions do not fit");
        }
        let mut report = Report::new(NAME, self.model, txns);
        direct::find(txns, &mut report);
        let touches = versions::Touches::new(txns);
        let order = versions::Order::new(txns, &touches, self.infer, &mut report);
        let graph = Graph::new(txns.len(), depend::edges(txns, &touches, &order));
        let classes = self.model.classes();
        let found = cycles::search(&graph, txns, &classes, self.budget);
        let gave_up = found.gave_up;
        report.figure_bytes(txns.bytes() + graph.bytes() + touches.bytes() + order.bytes());
        let reason = |step| why::reason(txns, self.infer, step);
        report.cycles(found, reason);
        if !report.is_refuted() && !gave_up {
            // All else is known of the data: whether the model holds depends on the versions' order.
            let open = depend::open(txns, &touches);
            report.decided(decide(txns, &graph.to_edges(), &open, &classes, self.budget), reason);
        }
        report.verdict()
    }
}

/// The dependencies alone, whatever they contradict.
pub(crate) fn graph(txns: &Transactions, infer: Infer) -> Graph {
    let mut ignored = Report::new("", Isolation::ReadUncommitted, txns);
    let touches = versions::Touches::new(txns);
    let order = versions::Order::new(txns, &touches, infer, &mut ignored);
    Graph::new(txns.len(), depend::edges(txns, &touches, &order))
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "rw_register",
    about: "transactions over registers, by Adya's phenomena",
    judges: Judges::Itself,
    needs: Needs::Nothing,
    options: &[
        MODEL,
        Opt::flag("linearizable-keys", "the versions of a key are in the order of real time"),
        Opt::flag("sequential-keys", "the versions of a key are in the order of each session"),
        Opt::flag("wfr-keys", "what a transaction writes to a key comes after what it read of it"),
        BUDGET,
    ],
    build: |o| {
        let checker = rw_register()
            .model(isolation_of(o)?)
            .linearizable_keys(o.flag("linearizable-keys")?)
            .sequential_keys(o.flag("sequential-keys")?)
            .wfr_keys(o.flag("wfr-keys")?);
        built(o.set("budget", checker, |c, steps| c.budget_steps(steps))?)
    },
};

pub(crate) const READ_COMMITTED: Registration = Registration {
    name: "read_committed",
    about: "rw-register with the model read-committed, which is PL-2",
    judges: Judges::Itself,
    needs: Needs::Nothing,
    options: &[BUDGET],
    build: |o| {
        let checker = rw_register().model(Isolation::ReadCommitted);
        built(o.set("budget", checker, |c, steps| c.budget_steps(steps))?)
    },
};

impl Checker for RwRegister {
    fn check(&self, history: &History) -> Verdict {
        match Transactions::read(history, Shape::Registers) {
            Ok(txns) => {
                let mut verdict = self.judge(&txns);
                explain::locate(&mut verdict, history);
                verdict
            }
            Err(why) => Verdict::unknown("rw_register", why.to_string()),
        }
    }

    fn arguments(&self) -> Option<Arguments> {
        let asked = Arguments::of("rw_register").option("model", self.model.as_str(), "");
        let keys = asked.flag("linearizable-keys", self.infer.linearizable_keys);
        let keys = keys.flag("sequential-keys", self.infer.sequential_keys);
        let keys = keys.flag("wfr-keys", self.infer.wfr_keys);
        Some(keys.option("budget", self.budget, BUDGET_STEPS))
    }
}
