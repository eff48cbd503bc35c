//! A small, slow, independent check: is there an order that explains a few operations?
//!
//! It shares nothing with the search but the model, and looks at whole histories: any operation
//! may come next that was invoked before every other one left completed (Wing and Gong, "Testing
//! and verifying concurrent objects", 1993).

use std::collections::HashSet;

use super::Model;

/// How many configurations are looked at before giving up.
const BUDGET: usize = 500_000;

/// An operation of a small history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<O> {
    /// What was done.
    pub op: O,
    /// The event of its invocation.
    pub invoked: usize,
    /// The event of its completion; `None` where it may take effect at any time, or never.
    pub completed: Option<usize>,
}

/// Is there an order in which the operations can have taken effect, from one of the states?
/// `None` for more than 128 operations, or too many possibilities.
pub fn explains<M: Model>(model: &M, initial: &[M::State], steps: &[Step<M::Op>]) -> Option<bool> {
    explains_within(model, initial, steps, &mut { BUDGET })
}

/// The same, with so many configurations to look at, of which it takes those that it needed.
pub(super) fn explains_within<M: Model>(
    model: &M,
    initial: &[M::State],
    steps: &[Step<M::Op>],
    budget: &mut usize,
) -> Option<bool> {
    if steps.len() > 128 {
        return None;
    }
    let must: u128 = (steps.iter().enumerate())
        .filter(|(_, s)| s.completed.is_some())
        .map(|(i, _)| 1u128 << i)
        .sum();
    let mut seen: HashSet<(u128, M::State)> = HashSet::new();
    let mut stack: Vec<(u128, M::State)> = initial.iter().map(|s| (0, s.clone())).collect();
    while let Some((mask, state)) = stack.pop() {
        if mask & must == must {
            *budget -= seen.len();
            return Some(true);
        }
        if seen.len() > *budget {
            *budget = 0;
            return None;
        }
        let left = |i: &usize| mask >> i & 1 == 0;
        let first_end = (0..steps.len()).filter(left).filter_map(|i| steps[i].completed).min();
        for i in (0..steps.len()).filter(left) {
            if first_end.is_some_and(|end| end < steps[i].invoked) {
                continue;
            }
            if let Some(next) = model.step(&state, &steps[i].op) {
                let next = (mask | 1u128 << i, next);
                if seen.insert(next.clone()) {
                    stack.push(next);
                }
            }
        }
    }
    *budget = budget.saturating_sub(seen.len());
    Some(false)
}
