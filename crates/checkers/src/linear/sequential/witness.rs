//! A small, slow, independent check: is there an order of a few operations that keeps the order
//! of each session? It shares nothing with the search but the model.

use std::collections::HashSet;

use super::super::Model;
use super::Work;

/// How many configurations are looked at before giving up.
const BUDGET: usize = 500_000;

/// Any operation may come next whose session has nothing left that is older. `None` for more
/// than 128 operations, or too many possibilities.
pub(super) fn explains<M: Model>(model: &M, work: &[Work<M::Op>]) -> Option<bool> {
    if work.len() > 128 {
        return None;
    }
    let bit = |i: usize| 1u128 << i;
    let must: u128 = (0..work.len()).filter(|i| work[*i].completed.is_some()).map(bit).sum();
    // What has to come before each operation.
    let before: Vec<u128> = (0..work.len())
        .map(|i| {
            let older = |j: &usize| work[*j].session == work[i].session && *j < i;
            (0..work.len()).filter(older).filter(|j| must & bit(*j) != 0).map(bit).sum()
        })
        .collect();
    let mut seen: HashSet<(u128, M::State)> = HashSet::new();
    let mut stack: Vec<(u128, M::State)> = vec![(0, model.initial())];
    while let Some((mask, state)) = stack.pop() {
        if mask & must == must {
            return Some(true);
        }
        if seen.len() > BUDGET {
            return None;
        }
        for i in (0..work.len()).filter(|i| mask & bit(*i) == 0 && before[*i] & !mask == 0) {
            if let Some(next) = model.step(&state, &work[i].op) {
                let next = (mask | bit(i), next);
                if seen.insert(next.clone()) {
                    stack.push(next);
                }
            }
        }
    }
    Some(false)
}
