//! The budgeted search for one order of all operations that keeps the order of each session.

use super::super::Model;
use super::Work;
use super::begun::{Begun, Dead};
use super::choices::Choices;
use super::order::Order;

/// How a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// There is an order.
    Order,
    /// There is none, not even of these operations.
    None { needed: Vec<usize> },
    /// Out of budget; how many operations the longest beginning of an order has that was found.
    Budget { furthest: usize },
}

/// What a search may cost.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// How many steps it may take without coming further than ever before, and altogether.
    pub(super) patience: u64,
    pub(super) steps: u64,
    pub(super) bytes: usize,
}

/// Looks for an order, depth first: the operation that was invoked first is tried first, since
/// most databases do not stray far from real time. What takes no possibility away comes as soon as
/// it can, and nothing comes before what is known to come first.
pub(super) fn search<M: Model>(
    model: &M,
    work: &[Work<M::Op>],
    order: &Order<'_>,
    limits: Limits,
    taken: &mut u64,
) -> End {
    let end = taken.saturating_add(limits.steps);
    let mut patient = taken.saturating_add(limits.patience);
    let mut begun = Begun::new(work, order);
    let mut dead = Dead::default();
    let mut choices = Choices::new(model, work);
    let mut furthest = 0;
    let mut reached = Some(model.initial());
    loop {
        if let Some(mut state) = reached.take() {
            while let Some((i, next)) = begun.free(|i| model.step(&state, &work[i].op)) {
                *taken += 1;
                state = next;
                begun.put(i);
            }
            if begun.done.len() > furthest {
                furthest = begun.done.len();
                patient = taken.saturating_add(limits.patience);
            }
            if begun.left == 0 {
                return End::Order;
            }
            if !dead.contains(&begun, &state) {
                choices.push(begun.done.len(), state);
            }
        }
        let Some(choice) = choices.last() else { break };
        let tried = choice.tried;
        begun.back_to(choice.length);
        let bytes = begun.bytes() + dead.bytes + choices.bytes();
        if *taken > end.min(patient) || bytes > limits.bytes {
            return End::Budget { furthest };
        }
        let state = choices.state(&begun.done);
        let next = begun.choices(tried).find_map(|i| {
            *taken += 1;
            Some((i, model.step(state, &work[i].op)?))
        });
        if let Some((i, next)) = next {
            begun.put(i);
            reached = Some(next);
            choices.last().expect("it was there").tried = Some(i);
        } else {
            dead.insert(&begun, state, model.bytes(state));
            choices.pop();
        }
    }
    End::None { needed: (0..work.len()).collect() }
}
