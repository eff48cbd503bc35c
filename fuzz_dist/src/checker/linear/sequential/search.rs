//! The budgeted search for one order of all operations that keeps the order of each session.

use std::collections::{HashMap, HashSet};

use super::super::Model;
use super::Work;

/// How a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// There is an order.
    Order,
    /// There is none; the longest beginning of one, as operations.
    None { furthest: Vec<usize> },
    /// Out of budget.
    Budget { furthest: Vec<usize> },
}

/// How far each lane has come.
type Places = Box<[u32]>;

/// Lanes of operations: a session is one, and so is each operation of unknown outcome, which
/// may take effect at any time after what its session did before, or never.
struct Lanes {
    lanes: Vec<Vec<usize>>,
    /// Per lane: where it forks off, if it is one operation of unknown outcome.
    after: Vec<Option<(usize, u32)>>,
}

impl Lanes {
    fn of<O>(work: &[Work<O>]) -> Lanes {
        let mut of_session: HashMap<u32, usize> = HashMap::new();
        let mut all = Lanes { lanes: Vec::new(), after: Vec::new() };
        for (i, operation) in work.iter().enumerate() {
            let lane = *of_session.entry(operation.session).or_insert_with(|| {
                all.lanes.push(Vec::new());
                all.after.push(None);
                all.lanes.len() - 1
            });
            if operation.completed.is_some() {
                all.lanes[lane].push(i);
            } else {
                let place = all.lanes[lane].len() as u32;
                all.lanes.push(vec![i]);
                all.after.push(Some((lane, place)));
            }
        }
        all
    }

    /// The operation that a lane would do next.
    fn head(&self, places: &[u32], lane: usize) -> Option<usize> {
        let next = self.lanes[lane].get(places[lane] as usize)?;
        let free = self.after[lane].is_none_or(|(of, place)| places[of] >= place);
        free.then_some(*next)
    }

    fn is_done(&self, places: &[u32]) -> bool {
        let done = |l: usize| self.after[l].is_some() || places[l] as usize == self.lanes[l].len();
        (0..self.lanes.len()).all(done)
    }
}

/// Looks for an order, depth first: the operation that was invoked first is tried first, since
/// most databases do not stray far from real time. Pure operations come as soon as they can,
/// which takes no possibility away.
pub(super) fn search<M: Model>(
    model: &M,
    work: &[Work<M::Op>],
    steps_max: u64,
    bytes_max: usize,
    taken: &mut u64,
) -> End {
    let lanes = Lanes::of(work);
    let configurations_max = bytes_max / (lanes.lanes.len() * 4 + 48);
    let mut states: Vec<M::State> = vec![model.initial()];
    let mut ids: HashMap<M::State, u32> = HashMap::from([(model.initial(), 0)]);
    let mut seen: HashSet<(Places, u32)> = HashSet::new();
    let (mut best, mut furthest) = (0, Vec::new());
    // Each entry: the configuration, and how long the order that led to it is.
    let mut stack: Vec<(Places, u32, usize, Option<usize>)> =
        vec![(vec![0; lanes.lanes.len()].into(), 0, 0, None)];
    let mut order: Vec<usize> = Vec::new();
    let steps_end = taken.saturating_add(steps_max);
    while let Some((mut places, state, length, last)) = stack.pop() {
        order.truncate(length);
        order.extend(last);
        while let Some((lane, i)) =
            (0..places.len()).filter_map(|l| Some((l, lanes.head(&places, l)?))).find(|(_, i)| {
                work[*i].pure && model.step(&states[state as usize], &work[*i].op).is_some()
            })
        {
            *taken += 1;
            places[lane] += 1;
            order.push(i);
        }
        if order.len() > best || furthest.is_empty() {
            best = order.len();
            furthest.clone_from(&order);
        }
        if lanes.is_done(&places) {
            return End::Order;
        }
        if !seen.insert((places.clone(), state)) {
            continue;
        }
        if *taken > steps_end || seen.len() > configurations_max {
            return End::Budget { furthest };
        }
        let mut heads: Vec<(usize, usize)> =
            (0..places.len()).filter_map(|l| Some((lanes.head(&places, l)?, l))).collect();
        heads.sort_unstable_by_key(|(i, _)| std::cmp::Reverse(work[*i].invoked));
        for (i, lane) in heads.into_iter().filter(|(i, _)| !work[*i].pure) {
            *taken += 1;
            let Some(next) = model.step(&states[state as usize], &work[i].op) else { continue };
            let id = *ids.entry(next).or_insert_with_key(|next| {
                states.push(next.clone());
                states.len() as u32 - 1
            });
            let mut then = places.clone();
            then[lane] += 1;
            stack.push((then, id, order.len(), Some(i)));
        }
    }
    End::None { furthest }
}
