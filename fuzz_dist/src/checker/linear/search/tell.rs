//! What is said where no configuration is left.

use super::super::super::evidence::node_of;
use super::super::super::{Anomaly, Verdict};
use super::super::Model;
use super::super::decoded::Operation;
use super::super::witness::{Step, explains};
use super::run::Search;
use crate::history::History;

impl<M: Model> Search<'_, M> {
    /// The verdict where no configuration is left.
    pub(super) fn stuck(&self, history: &History, n: usize) -> Verdict {
        let operation = &self.operations[n];
        let end = operation.completed.unwrap_or(operation.invoked);
        let (from, states) = &self.quiet;
        let initial: Vec<M::State> =
            states.iter().map(|s| self.states[*s as usize].clone()).collect();
        let window = |o: &&Operation| o.invoked >= *from && o.invoked < end;
        let mut steps: Vec<Step<M::Op>> = (self.operations.iter())
            .filter(window)
            .map(|o| Step {
                op: self.ops[o.op as usize].clone(),
                invoked: o.invoked,
                completed: o.completed.filter(|c| *c <= end),
            })
            .collect();
        let checked = explains(self.model, &initial, &steps);
        self.minimise(&initial, &mut steps, end);
        let mut possible: Vec<String> = (self.configurations.iter())
            .map(|c| format!("{:?}", self.states[c.state as usize]))
            .collect();
        possible.sort_unstable();
        possible.dedup();
        let more = possible.len().saturating_sub(4);
        possible.truncate(4);
        let result = if history.value(end) == history.value(operation.invoked) {
            String::new()
        } else {
            format!(" giving {}", history.value(end))
        };
        let text = format!(
            "`{} {}` by client {} on {}, from {} to {},{result} cannot have taken effect in between: before it completed the state can only be {}{}; the witness is {} operations long, begins at {}, and an independent check {}",
            history.function(operation.invoked),
            history.value(operation.invoked),
            history.process(end),
            node_of(history, end),
            history.time(operation.invoked),
            history.time(end),
            possible.join(" or "),
            if more > 0 { format!(" or one of {more} more") } else { String::new() },
            steps.len(),
            history.time(*from),
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
        let why = format!("no order of the operations explains event {end}");
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
    fn minimise(&self, initial: &[M::State], steps: &mut Vec<Step<M::Op>>, end: usize) {
        const STEPS_MAX: usize = 64;
        if steps.len() > STEPS_MAX {
            return;
        }
        let mut i = 0;
        while i < steps.len() {
            if steps[i].completed != Some(end) && self.model.is_pure(&steps[i].op) {
                let left_out = steps.remove(i);
                if explains(self.model, initial, steps) == Some(false) {
                    continue;
                }
                steps.insert(i, left_out);
            }
            i += 1;
        }
    }
}
