//! The budgeted just-in-time search.

mod pending;
mod run;
mod tell;

use super::super::calls::{Outcome, call};
use super::super::dense::{Dense, NONE};
use super::super::evidence::Faults;
use super::super::{Checker, Verdict};
use super::Model;
use crate::history::History;
use crate::history::hash::FastMap;
use crate::op::Kind;
use run::Search;

/// Judges whether a history is linearizable; see [`linearizable`].
#[derive(Clone, Debug)]
pub struct Linearizable<M> {
    model: M,
    budget: Budget,
}

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
/// # use fuzz_dist::checker::{CasRegister, Checker, linearizable, histories::Recorder};
/// # use fuzz_dist::op::Value;
/// let mut r = Recorder::new(["n1"]);
/// r.invoke(0, "write", 1);
/// r.done(0);
/// r.invoke(1, "read", Value::Nil);
/// r.ok(1, Value::Nil);
/// let verdict = linearizable(CasRegister).check(&r.history());
/// assert_eq!(&*verdict.anomalies[0].kind, "not_linearizable");
/// ```
pub fn linearizable<M: Model>(model: M) -> Linearizable<M> {
    Linearizable { model, budget: Budget { steps: 50_000_000, configurations: 1_000_000 } }
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

/// An operation that can have taken effect.
struct Operation {
    op: u32,
    pure: bool,
    invoked: usize,
    completed: Option<usize>,
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
        let mut search = match Search::prepare(&self.model, history) {
            Ok(search) => search,
            Err(i) => {
                let why = format!(
                    "the model does not know `{}` of {} (event {i})",
                    history.function(i),
                    history.value(i)
                );
                return Verdict::unknown("linearizable", why);
            }
        };
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
}

impl<'a, M: Model> Search<'a, M> {
    fn prepare(model: &'a M, history: &History) -> Result<Search<'a, M>, usize> {
        let mut ids: FastMap<M::Op, u32> = FastMap::default();
        let (mut ops, mut operations) = (Vec::new(), Vec::new());
        // Histories say the same again and again: each saying is decoded once.
        let mut values = Dense::expecting(history, (0..history.len()).map(|i| history.word(i)));
        let mut decoded: FastMap<(u64, u64), u32> = FastMap::default();
        for i in 0..history.len() {
            if history.kind(i) != Kind::Invoke || !history.process(i).is_client() {
                continue;
            }
            let call = call(history, i);
            if call.outcome == Outcome::Failed {
                continue;
            }
            let result = call.acknowledged();
            let said = (values.event(i), result.map_or(NONE, |c| values.event(c)));
            let said =
                (u64::from(said.0) << 32 | u64::from(said.1), history.function_index(i) as u64);
            let op = match decoded.get(&said) {
                Some(op) => *op,
                None => {
                    let value = result.map(|c| history.value(c));
                    let op = model.decode(history.function(i), &history.value(i), value.as_ref());
                    let op = op.ok_or(result.unwrap_or(i))?;
                    let op = *ids.entry(op).or_insert_with_key(|op| {
                        ops.push(op.clone());
                        ops.len() as u32 - 1
                    });
                    decoded.insert(said, op);
                    op
                }
            };
            let pure = model.is_pure(&ops[op as usize]);
            if pure && call.outcome == Outcome::Open {
                continue;
            }
            operations.push(Operation { op, pure, invoked: i, completed: result });
        }
        Ok(Search::new(model, ops, operations))
    }
}
