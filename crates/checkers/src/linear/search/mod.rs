//! The budgeted just-in-time search.

mod explain;
mod pending;
mod run;

use super::super::Arguments;
use super::super::evidence::Faults;
use super::super::{Checker, Verdict};
use super::Model;
use super::decoded::{decoded, unknown};
pub(super) use explain::Stuck;
use fuzz_dist_history::History;
use run::Search;

/// Judges whether a history is linearizable; see [`linearizable`].
#[derive(Clone, Debug)]
pub struct Linearizable<M> {
    model: M,
    budget: Budget,
}

/// How many steps a search takes where no option says otherwise.
pub(super) const STEPS_MAX: u64 = 50_000_000;

/// What a search may use.
#[derive(Clone, Debug)]
struct Budget {
    steps: u64,
    configurations: usize,
}

/// Judges whether a history is one of `model` with each operation taking effect at one moment
/// between its ends (Herlihy and Wing 1990). Failed operations never took effect; those without
/// a known outcome may take effect at any time after their invocation, or never.
///
/// The search stops at its budget and then says *unknown: budget*, with how far it came.
///
/// ```
/// # use fuzz_dist_checkers::{CasRegister, Checker, linearizable, histories::Recorder};
/// # use fuzz_dist_history::op::Value;
/// let mut r = Recorder::new(["n1"]);
/// r.invoke(0, "write", 1);
/// r.done(0);
/// r.invoke(1, "read", Value::Nil);
/// r.ok(1, Value::Nil);
/// let verdict = linearizable(CasRegister).check(&r.history());
/// assert_eq!(&*verdict.anomalies[0].kind, "not_linearizable");
/// ```
pub fn linearizable<M: Model>(model: M) -> Linearizable<M> {
    Linearizable { model, budget: Budget { steps: STEPS_MAX, configurations: 1_000_000 } }
}

impl<M> Linearizable<M> {
    /// How many steps the search may take.
    #[must_use]
    pub fn steps_max(mut self, steps: u64) -> Linearizable<M> {
        self.budget.steps = steps;
        self
    }

    /// How many configurations it may keep, at up to about 200 bytes each.
    #[must_use]
    pub fn configurations_max(mut self, configurations: usize) -> Linearizable<M> {
        self.budget.configurations = configurations;
        self
    }
}

/// How a search ended.
enum End {
    Explained,
    /// No configuration is left at this operation's completion.
    Stuck {
        operation: usize,
    },
    /// Out of budget, or of slots, at this event.
    Budget {
        event: usize,
        what: &'static str,
    },
}

impl<M: Model> Checker for Linearizable<M> {
    fn check(&self, history: &History) -> Verdict {
        let decoded = match decoded(&self.model, history) {
            Ok(decoded) => decoded,
            Err(i) => return unknown("linearizable", history, i),
        };
        let mut search = Search::new(&self.model, decoded);
        if search.operations.iter().all(|o| o.completed.is_none()) {
            return Verdict::unknown("linearizable", "no operation succeeded");
        }
        let end = search.run(history.len(), &self.budget);
        let count = search.operations.len();
        let verdict = match end {
            End::Explained => Verdict::valid("linearizable"),
            End::Budget { event, what } => {
                let time = history.time(event);
                let why = format!(
                    "budget: {what} at event {event}; everything before {time} is explained"
                );
                Verdict::unknown("linearizable", why).with("explained_events", event)
            }
            End::Stuck { operation } => search.stuck(history, operation),
        };
        let verdict = verdict
            .with("operation_count", count)
            .with("steps", search.taken)
            .with("peak_configurations", search.peak);
        Faults::of(history).state(history, verdict)
    }

    fn arguments(&self) -> Option<Arguments> {
        let asked = self.model.arguments(Arguments::of("linearizable"))?;
        Some(asked.option("budget", self.budget.steps, STEPS_MAX))
    }
}
