//! The independent check: is there an order of a few operations that keeps the order of each session?

use super::super::Model;
use super::super::witness::{BUDGET, ordered};
use super::Work;

/// `None` for more than 128 operations, or too many possibilities.
pub(super) fn explains<M: Model>(model: &M, work: &[Work<M::Op>]) -> Option<bool> {
    let ops: Vec<(&M::Op, bool)> = work.iter().map(|w| (&w.op, w.completed.is_some())).collect();
    let older = |a: usize, b: usize| work[a].session == work[b].session && a < b;
    ordered(model, &[model.initial()], &ops, older, &mut { BUDGET })
}
