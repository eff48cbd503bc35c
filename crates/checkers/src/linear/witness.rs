//! A small, slow, independent check: is there an order that explains a few operations?
//!
//! It shares nothing with the searches but the model, and looks at whole histories: any operation
//! may come next before which no other one is left that has to precede it. For linearizability these are the
//! operations that completed before it was invoked (Wing and Gong, "Testing and verifying concurrent
//! objects", 1993), for sequential consistency the older ones of its session.

use std::collections::HashSet;

use super::Model;

/// How many configurations are looked at before giving up.
pub(super) const BUDGET: usize = 500_000;

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
    let ops: Vec<(&M::Op, bool)> = steps.iter().map(|s| (&s.op, s.completed.is_some())).collect();
    let before = |a: usize, b: usize| steps[a].completed.is_some_and(|end| end < steps[b].invoked);
    ordered(model, initial, &ops, before, budget)
}

/// Is there an order of the operations in which each step of the model is possible? Each operation says whether
/// it has to be in the order, and `before` which one precedes which, wherever both are in it. `None` for more
/// than 128 operations, or where the budget of configurations does not last; it is reduced by those needed.
pub(super) fn ordered<M: Model>(
    model: &M,
    initial: &[M::State],
    ops: &[(&M::Op, bool)],
    before: impl Fn(usize, usize) -> bool,
    budget: &mut usize,
) -> Option<bool> {
    if ops.len() > 128 {
        return None;
    }
    let all = |wanted: &dyn Fn(usize) -> bool| -> u128 {
        (0..ops.len()).filter(|i| wanted(*i)).map(|i| 1u128 << i).sum()
    };
    let must = all(&|i| ops[i].1);
    let earlier: Vec<u128> =
        (0..ops.len()).map(|i| must & all(&|j| j != i && before(j, i))).collect();
    let mut seen: HashSet<(u128, M::State)> = HashSet::new();
    let mut stack: Vec<(u128, M::State)> = initial.iter().map(|s| (0, s.clone())).collect();
    while let Some((mask, state)) = stack.pop() {
        if mask & must == must {
            *budget = budget.saturating_sub(seen.len());
            return Some(true);
        }
        if seen.len() > *budget {
            *budget = 0;
            return None;
        }
        for i in (0..ops.len()).filter(|i| mask >> i & 1 == 0 && earlier[*i] & !mask == 0) {
            if let Some(next) = model.step(&state, ops[i].0) {
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
