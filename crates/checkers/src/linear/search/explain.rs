//! The explanation where no configuration is left.

use super::super::super::evidence::node_of;
use super::super::super::{Anomaly, Verdict};
use super::super::Model;
use super::super::witness::{Step, explains_within};
use super::run::Search;
use fuzz_dist_history::History;

/// How many configurations the independent check and the search for a shorter witness look at,
/// together.
const CONFIGURATIONS_MAX: usize = 200_000;

/// Where no configuration is left.
pub(in super::super) struct Stuck<'a, M: Model> {
    pub(in super::super) model: &'a M,
    pub(in super::super) invoked: usize,
    pub(in super::super) completed: usize,
    /// An event at which nothing was pending, and the states that were possible.
    pub(in super::super) from: usize,
    pub(in super::super) initial: Vec<M::State>,
    /// The states that were possible before the operation completed, where they are known.
    pub(in super::super) possible: Vec<M::State>,
}

impl<M: Model> Search<'_, M> {
    /// The verdict where no configuration is left.
    pub(super) fn stuck(&self, history: &History, n: usize) -> Verdict {
        let operation = &self.operations[n];
        let (from, states) = &self.quiet;
        let state = |s: u32| self.states[s as usize].clone();
        let stuck = Stuck {
            model: self.model,
            invoked: operation.invoked,
            completed: operation.completed.unwrap_or(operation.invoked),
            from: *from,
            initial: states.iter().map(|s| state(*s)).collect(),
            possible: self.configurations.iter().map(|c| state(c.state)).collect(),
        };
        let steps = self.operations.iter().map(|o| Step {
            op: self.ops[o.op as usize].clone(),
            invoked: o.invoked,
            completed: o.completed,
        });
        stuck.verdict(history, steps)
    }
}

impl<M: Model> Stuck<'_, M> {
    /// The verdict, from all operations.
    pub(in super::super) fn verdict(
        &self,
        history: &History,
        operations: impl Iterator<Item = Step<M::Op>>,
    ) -> Verdict {
        let Stuck { invoked, completed: end, from, .. } = *self;
        let mut steps: Vec<Step<M::Op>> = operations
            .filter(|o| o.invoked >= from && o.invoked < end)
            .map(|o| Step { completed: o.completed.filter(|c| *c <= end), ..o })
            .collect();
        let mut budget = CONFIGURATIONS_MAX;
        let checked = explains_within(self.model, &self.initial, &steps, &mut budget);
        self.minimise(&mut steps, &mut budget);
        let mut possible: Vec<String> =
            self.possible.iter().map(|state| format!("{state:?}")).collect();
        possible.sort_unstable();
        possible.dedup();
        let more = possible.len().saturating_sub(4);
        possible.truncate(4);
        let more = if more > 0 { format!(" or one of {more} more") } else { String::new() };
        let possible = match possible.is_empty() {
            true => "no order explains all that happened until it completed".to_string(),
            false => {
                let possible = possible.join(" or ");
                format!("before it completed the state can only be {possible}{more}")
            }
        };
        let result = if history.value(end) == history.value(invoked) {
            String::new()
        } else {
            format!(" giving {}", history.value(end))
        };
        let text = format!(
            "`{} {}` by client {} on {}, from {} to {},{result} cannot have taken effect in between: {}; the witness is {} operations long, begins at {}, and an independent check {}",
            history.function(invoked),
            history.value(invoked),
            history.process(end),
            node_of(history, end),
            history.time(invoked),
            history.time(end),
            possible,
            steps.len(),
            history.time(from),
            match checked {
                Some(false) => "agrees",
                Some(true) => "DISAGREES, which is a bug in this checker",
                None => "was too long to be made",
            }
        );
        let mut events: Vec<usize> =
            steps.iter().flat_map(|s| [Some(s.invoked), s.completed]).flatten().collect();
        events.sort_unstable();
        let anomaly = Anomaly::new("not_linearizable", history.value(end))
            .explained(text)
            .on(history.node(end))
            .at(history.time(end))
            .proved_by(events);
        let why = format!(
            "not linearizable: no linearization includes the operation completing at event {end}"
        );
        let mut verdict = if checked == Some(true) {
            Verdict::unknown("linearizable", "the independent check of the witness disagrees")
        } else {
            Verdict::invalid("linearizable", why)
        };
        verdict.anomalies.push(anomaly);
        verdict.with("witness_checked", checked == Some(false))
    }

    /// Leaves out pure operations that the contradiction does not need. (Leaving out others
    /// could make a contradiction where there was none.)
    fn minimise(&self, steps: &mut Vec<Step<M::Op>>, budget: &mut usize) {
        const STEPS_MAX: usize = 64;
        if steps.len() > STEPS_MAX {
            return;
        }
        let mut i = 0;
        while i < steps.len() && *budget > 0 {
            if steps[i].completed != Some(self.completed) && self.model.is_pure(&steps[i].op) {
                let left_out = steps.remove(i);
                if explains_within(self.model, &self.initial, steps, budget) == Some(false) {
                    continue;
                }
                steps.insert(i, left_out);
            }
            i += 1;
        }
    }
}
