//! The budgeted search for one order of all operations that keeps the order of each session.

use std::collections::HashMap;

use super::super::Model;
use super::Work;
use super::begun::{Begun, Dead};
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

/// All states that were met, by number.
struct States<'a, M: Model> {
    model: &'a M,
    work: &'a [Work<M::Op>],
    all: Vec<M::State>,
    ids: HashMap<M::State, u32>,
}

impl<M: Model> States<'_, M> {
    /// The state after an operation, where it is possible.
    fn after(&mut self, state: u32, i: usize) -> Option<u32> {
        let next = self.model.step(&self.all[state as usize], &self.work[i].op)?;
        Some(*self.ids.entry(next).or_insert_with_key(|next| {
            self.all.push(next.clone());
            self.all.len() as u32 - 1
        }))
    }
}

/// Where several operations may come next.
struct Choice {
    /// How many were done.
    length: usize,
    state: u32,
    /// Which was tried last.
    tried: Option<usize>,
}

/// Looks for an order, depth first: the operation that was invoked first is tried first, since
/// most databases do not stray far from real time. What takes no possibility away comes as soon as
/// it can, and nothing comes before what is known to come first.
pub(super) fn search<M: Model>(
    model: &M,
    work: &[Work<M::Op>],
    order: &Order<'_>,
    steps_max: u64,
    bytes_max: usize,
    taken: &mut u64,
) -> End {
    let end = taken.saturating_add(steps_max);
    let ids = HashMap::from([(model.initial(), 0)]);
    let mut states = States { model, work, all: vec![model.initial()], ids };
    let mut begun = Begun::new(work, order);
    let mut dead = Dead::default();
    let mut choices: Vec<Choice> = Vec::new();
    let mut furthest = 0;
    let mut reached = Some(0);
    loop {
        if let Some(mut state) = reached.take() {
            loop {
                let next = begun.free().find_map(|i| Some((i, states.after(state, i)?)));
                let Some((i, next)) = next else { break };
                *taken += 1;
                state = next;
                begun.put(i);
            }
            furthest = furthest.max(begun.done.len());
            if begun.left == 0 {
                return End::Order;
            }
            if !dead.contains(&begun, state) {
                choices.push(Choice { length: begun.done.len(), state, tried: None });
            }
        }
        let Some(choice) = choices.last_mut() else { break };
        begun.back_to(choice.length);
        if *taken > end || dead.bytes > bytes_max {
            return End::Budget { furthest };
        }
        let next = begun.choices(choice.tried).find_map(|i| {
            *taken += 1;
            Some((i, states.after(choice.state, i)?))
        });
        if let Some((i, next)) = next {
            choice.tried = Some(i);
            begun.put(i);
            reached = Some(next);
        } else {
            dead.insert(&begun, choice.state);
            choices.pop();
        }
    }
    End::None { needed: (0..work.len()).collect() }
}
