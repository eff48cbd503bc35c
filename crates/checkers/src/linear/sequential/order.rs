//! What every order of some operations keeps.

use super::super::Model;
use super::Work;
use super::cells::Cells;
use super::graph::Graph;
use super::known::{Contradiction, derive, linked};
use super::lanes::Lanes;
use super::reads::{Accesses, Reads};
use super::search::{End, Limits, search};
use super::times::times;

/// What every order keeps.
pub(super) struct Order<'a> {
    pub(super) lanes: &'a Lanes,
    pub(super) reads: &'a Reads,
    pub(super) known: Graph,
}

/// What one operation takes at most, from decoding to the lanes.
const BYTES_EACH: usize = 300;

/// Looks for an order: searches as long as it is patient, then derives what it can and searches
/// for the rest. At first it assumes much of how sessions lie to one another, then less and less,
/// at last nothing.
pub(super) fn decide<M: Model>(
    model: &M,
    work: &[Work<M::Op>],
    limits: Limits,
    taken: &mut u64,
) -> End {
    let accesses = Accesses::new(model, work);
    let reads = Reads::new(work, &accesses);
    if let Some(read) = reads.unwritten {
        return End::None { needed: reads.with_observers([read].into()) };
    }
    // Registers are searched by number: their states are small, however many there are.
    match Cells::of(work, &accesses) {
        Some((cells, work)) => order(&cells, &work, &reads, limits, taken),
        None => order(model, work, &reads, limits, taken),
    }
}

/// The same, where it is known what reads saw.
fn order<M: Model>(
    model: &M,
    work: &[Work<M::Op>],
    reads: &Reads,
    limits: Limits,
    taken: &mut u64,
) -> End {
    let times = times(work, reads);
    let bytes = limits.bytes.saturating_sub(work.len() * BYTES_EACH);
    let (began, mut explained) = (*taken, 0);
    let mut look = |lanes: &Lanes, known: Graph, patience: u64| {
        let steps = limits.steps.saturating_sub(*taken - began);
        let limits = Limits { patience, steps, bytes: bytes.saturating_sub(known.bytes()) };
        let end = search(model, work, &Order { lanes, reads, known }, limits, taken);
        if let End::Budget { furthest } = end {
            explained = furthest.max(explained);
            return End::Budget { furthest: explained };
        }
        end
    };
    let mut slack = 0;
    let mut lanes = Lanes::new(work, reads, &times, slack);
    // Most databases do not stray far from real time, and then that is all it takes.
    if limits.patience > 0
        && let End::Order = look(&lanes, linked(&lanes, reads), limits.patience)
    {
        return End::Order;
    }
    loop {
        match derive(&lanes, reads, &times, bytes) {
            Ok(known) => match look(&lanes, known, u64::MAX) {
                End::None { .. } if lanes.assume() => slack = usize::MAX,
                end => return end,
            },
            Err(Contradiction { needed, assumed: None }) => return End::None { needed },
            Err(Contradiction { assumed: Some(gap), .. }) => {
                slack = slack.max(gap).saturating_mul(2).saturating_add(1);
            }
        }
        lanes = Lanes::new(work, reads, &times, slack);
    }
}
