//! `sequential`: one order of all operations explains them, which keeps that of each client.
//!
//! Lamport, "How to make a multiprocessor computer that correctly executes multiprocess
//! programs", 1979: the result is the same as if the operations of all processes were executed
//! in some sequential order, and those of each process appear in it in the order of its
//! program. Real time does not count: a read may be stale with any delay, as long as no client can
//! notice. To decide it is NP-complete (Gibbons and Korach, "Testing shared memories", 1997), so
//! there is a budget. Of registers most is decided by what must come before what, without a search.

mod begun;
mod cells;
mod choices;
mod cycle;
mod graph;
mod known;
mod lanes;
mod order;
mod queue;
mod reads;
mod rows;
mod search;
#[cfg(test)]
mod tests;
mod times;
mod witness;

use super::super::Arguments;
use super::super::evidence::{count, node_of};
use super::super::{Anomaly, Verdict};
use super::super::{AnyChecker, Checker, Validity, any_checker};
use super::Model;
use super::decoded::{Decoded, Operation, decoded, unknown};
use super::search::STEPS_MAX;
use fuzz_dist_history::History;
use fuzz_dist_history::op::Value;
use order::decide;
use search::{End, Limits};

const NAME: &str = "sequential";
/// At most so many operations of a witness are shown.
const SHOWN_MAX: usize = 24;
/// A witness with more operations is not made smaller.
const MINIMISED_MAX: usize = 2_000;
/// So many steps are tried in vain before anything is derived.
const PATIENCE: u64 = 4_000;
/// What one attempt to make the witness smaller may cost, and all of them.
const ATTEMPT_STEPS: u64 = 100_000;
const MINIMISE_STEPS: u64 = 2_000_000;

/// Judges whether a history is sequentially consistent; see [`sequential`].
#[derive(Clone)]
pub struct Sequential<M> {
    model: M,
    steps_max: u64,
    bytes_max: usize,
    weaker: Option<AnyChecker>,
}

/// Judges whether some order of all operations is one of `model` and keeps the order in which
/// each process invoked its own (Lamport 1979). Failed operations never took effect; those
/// without a known outcome may have taken effect at any time after what their process did
/// before, or never.
///
/// The anomaly is `not_sequential`: operations of which no order is possible, none of them left
/// out without need. The search stops at its budget and then says *unknown: budget*.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, Registers, histories::Recorder, linearizable, sequential};
/// # use fuzz_dist_history::op::Value;
/// # let pair = |k: &str, v: Value| Value::list([k.into(), v]);
/// let mut r = Recorder::new(["n1"]);
/// for (client, f, key, value) in [
///     (0, "write", "x", Value::Int(1)),
///     (1, "read", "x", Value::Nil), // stale, which nobody can know
/// ] {
///     r.invoke(client, f, pair(key, value.clone()));
///     r.ok(client, pair(key, value));
/// }
/// let history = r.history();
/// assert!(linearizable(Registers).check(&history).is_invalid());
/// assert!(sequential(Registers).check(&history).is_valid());
/// ```
pub fn sequential<M: Model>(model: M) -> Sequential<M> {
    Sequential { model, steps_max: STEPS_MAX, bytes_max: 1 << 30, weaker: None }
}

impl<M> Sequential<M> {
    /// How many steps the search may take.
    #[must_use]
    pub fn steps_max(mut self, steps: u64) -> Sequential<M> {
        self.steps_max = steps;
        self
    }

    /// How many bytes it may take, besides the history.
    #[must_use]
    pub fn bytes_max(mut self, bytes: usize) -> Sequential<M> {
        self.bytes_max = bytes;
        self
    }

    /// Asks a checker of something weaker first: what it finds invalid is not sequentially
    /// consistent either. For registers whose written values are distinct that is
    /// [`causal`](crate::txn::causal), which needs no search.
    #[must_use]
    pub fn refuted_by(mut self, weaker: impl Checker + 'static) -> Sequential<M> {
        self.weaker = Some(any_checker(weaker));
        self
    }
}

/// An operation that can have taken effect.
#[derive(Clone, Debug)]
struct Work<O> {
    op: O,
    pure: bool,
    session: u32,
    invoked: usize,
    /// `None` where it may have taken effect, or not.
    completed: Option<usize>,
}

impl<M: Model> Checker for Sequential<M> {
    fn check(&self, history: &History) -> Verdict {
        if let Some(weaker) = &self.weaker {
            let mut verdict = weaker.check(history);
            if verdict.validity == Validity::Invalid {
                verdict.reasons.insert(0, format!("not even {}", verdict.checker));
                verdict.checker = NAME.into();
                return verdict;
            }
        }
        let work = match self.work(history) {
            Ok(work) => work,
            Err(i) => return unknown(NAME, history, i),
        };
        if work.iter().all(|w| w.completed.is_none()) {
            return Verdict::unknown(NAME, "no operation succeeded");
        }
        let mut taken = 0;
        let (steps, bytes) = (self.steps_max, self.bytes_max);
        let limits = Limits { patience: PATIENCE, steps, bytes };
        let verdict = match decide(&self.model, &work, limits, &mut taken) {
            End::Order => Verdict::valid(NAME),
            End::Budget { furthest } => {
                let why = format!(
                    "budget: the search grew too large; the longest beginning of an order that it found has {} of {} operations",
                    furthest,
                    work.len()
                );
                Verdict::unknown(NAME, why).with("explained_operations", furthest)
            }
            End::None { needed } => self.impossible(history, only(&work, &needed)),
        };
        let sessions: std::collections::BTreeSet<u32> = work.iter().map(|w| w.session).collect();
        verdict
            .with("operation_count", work.len())
            .with("session_count", sessions.len())
            .with("steps", taken)
    }

    fn arguments(&self) -> Option<Arguments> {
        let asked = self.model.arguments(Arguments::of("sequential"))?;
        Some(asked.option("budget", self.steps_max, STEPS_MAX))
    }
}

impl<M: Model> Sequential<M> {
    /// All operations that can have taken effect, or the event that the model does not know.
    fn work(&self, history: &History) -> Result<Vec<Work<M::Op>>, usize> {
        let Decoded { ops, operations } = decoded(&self.model, history)?;
        let work = operations.into_iter().map(|Operation { op, pure, invoked, completed }| Work {
            op: ops[op as usize].clone(),
            pure,
            session: history.process(invoked).0,
            invoked,
            completed,
        });
        Ok(work.collect())
    }

    /// The verdict where no order is possible.
    fn impossible(&self, history: &History, mut work: Vec<Work<M::Op>>) -> Verdict {
        self.minimise(&mut work);
        let checked = witness::explains(&self.model, &work);
        if checked == Some(true) {
            let why = "internal error: the independent check of the witness found an order, which the search had excluded; please report it with the history";
            return Verdict::unknown(NAME, why);
        }
        let text = explain(history, &work, checked.is_some());
        let mut events: Vec<usize> =
            work.iter().flat_map(|w| [Some(w.invoked), w.completed]).flatten().collect();
        events.sort_unstable();
        let last = events.last().copied().unwrap_or(0);
        let subject = work.last().map_or(Value::Nil, |w| history.value(w.invoked));
        let anomaly = Anomaly::new("not_sequential", subject)
            .explained(text)
            .on(history.node(last))
            .at(history.time(last))
            .proved_by(events);
        let why = format!("no order of {} is possible", count(work.len(), "operation"));
        let mut verdict = Verdict::invalid(NAME, why);
        verdict.anomalies.push(anomaly);
        verdict.with("witness_checked", checked == Some(false))
    }

    /// Leaves out what the contradiction does not need, first many operations at a time.
    fn minimise(&self, work: &mut Vec<Work<M::Op>>) {
        if work.len() > MINIMISED_MAX {
            return;
        }
        let limits = Limits { patience: 0, steps: ATTEMPT_STEPS, bytes: self.bytes_max };
        let mut taken = 0;
        let mut size = work.len().div_ceil(2);
        while size > 0 {
            let (mut at, mut smaller) = (0, false);
            while at < work.len() && taken < MINIMISE_STEPS {
                let some = at..(at + size).min(work.len());
                let (left, out): (Vec<_>, Vec<_>) = (work.iter().enumerate())
                    .map(|(i, w)| (some.contains(&i) && self.is_pure_or_idle(work, i), w))
                    .partition(|(out, _)| !*out);
                if out.is_empty() {
                    at += size;
                    continue;
                }
                let left: Vec<Work<M::Op>> = left.into_iter().map(|(_, w)| w.clone()).collect();
                taken += left.len() as u64;
                if let End::None { needed } = decide(&self.model, &left, limits, &mut taken) {
                    (*work, smaller) = (only(&left, &needed), true);
                } else {
                    at += size;
                }
            }
            if !smaller || size > 1 {
                size /= 2;
            }
        }
    }

    fn is_pure_or_idle(&self, work: &[Work<M::Op>], i: usize) -> bool {
        let others = || work.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, w)| &w.op);
        work[i].pure || !self.model.is_needed(&work[i].op, &others().collect::<Vec<_>>())
    }
}

fn explain<O>(history: &History, work: &[Work<O>], checked: bool) -> String {
    let mut text = String::from(
        "no order of these operations is possible that keeps the order of each client:\n",
    );
    let mut sessions: Vec<u32> = work.iter().map(|w| w.session).collect();
    sessions.sort_unstable();
    sessions.dedup();
    let mut left = SHOWN_MAX;
    for session in sessions {
        let own: Vec<&Work<O>> = work.iter().filter(|w| w.session == session).collect();
        let shown = own.iter().take(left).map(|w| {
            let done = w.completed.unwrap_or(w.invoked);
            let unknown = if w.completed.is_none() { " (outcome unknown)" } else { "" };
            format!("{} {}{unknown}", history.function(w.invoked), history.value(done))
        });
        let shown: Vec<String> = shown.collect();
        left -= shown.len();
        let more = own.len() - shown.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let node = node_of(history, own[0].invoked);
        text.push_str(&format!("client {session} on {node}: {}{more}\n", shown.join(", ")));
    }
    text.push_str(if checked {
        "an independent check of all their orders agrees"
    } else {
        "they are too many for the independent check"
    });
    text
}

/// Some of the operations.
fn only<O: Clone>(work: &[Work<O>], chosen: &[usize]) -> Vec<Work<O>> {
    chosen.iter().map(|i| work[*i].clone()).collect()
}
