//! The budgeted search for one order of all operations that keeps the order of each session.

use std::collections::{HashMap, HashSet};

use super::super::Model;
use super::Work;
use super::lanes::Lanes;
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

/// How far each lane has come.
type Places = Box<[u32]>;

/// Looks for an order, depth first: the operation that was invoked first is tried first, since
/// most databases do not stray far from real time. Pure operations come as soon as they can,
/// which takes no possibility away, and nothing comes before what is known to come first.
pub(super) fn search<M: Model>(
    model: &M,
    work: &[Work<M::Op>],
    (lanes, known): (&Lanes, &Order),
    steps_max: u64,
    bytes_max: usize,
    taken: &mut u64,
) -> End {
    let configurations_max = bytes_max / (lanes.len() * 4 + 48);
    let mut states: Vec<M::State> = vec![model.initial()];
    let mut ids: HashMap<M::State, u32> = HashMap::from([(model.initial(), 0)]);
    let mut seen: HashSet<(Places, u32)> = HashSet::new();
    let mut furthest = 0;
    // Each entry: the configuration, and how long the order that led to it is.
    let mut stack: Vec<(Places, u32, usize)> = vec![(vec![0; lanes.len()].into(), 0, 0)];
    let steps_end = taken.saturating_add(steps_max);
    let head = |places: &[u32], lane: usize| {
        lanes.head(places, lane).filter(|i| known.allows(*i, lanes, places))
    };
    while let Some((mut places, state, mut length)) = stack.pop() {
        while let Some((lane, _)) =
            (0..places.len()).filter_map(|l| Some((l, head(&places, l)?))).find(|(_, i)| {
                work[*i].pure && model.step(&states[state as usize], &work[*i].op).is_some()
            })
        {
            *taken += 1;
            places[lane] += 1;
            length += 1;
        }
        furthest = furthest.max(length);
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
            (0..places.len()).filter_map(|l| Some((head(&places, l)?, l))).collect();
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
            stack.push((then, id, length + 1));
        }
    }
    End::None { needed: (0..work.len()).collect() }
}
