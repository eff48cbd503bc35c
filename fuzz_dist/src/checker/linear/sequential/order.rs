//! What every order of some operations keeps.

use super::super::Model;
use super::Work;
use super::graph::Graph;
use super::known::{Contradiction, derive};
use super::lanes::Lanes;
use super::reads::Reads;
use super::search::{End, search};
use super::times::times;

/// What every order keeps.
pub(super) struct Order<'a> {
    pub(super) lanes: &'a Lanes,
    pub(super) reads: &'a Reads,
    pub(super) known: Graph,
}

/// Looks for an order: derives what it can, and searches for the rest. At first it assumes much of
/// how sessions lie to one another, then less and less, at last nothing.
pub(super) fn decide<M: Model>(
    model: &M,
    work: &[Work<M::Op>],
    steps_max: u64,
    bytes_max: usize,
    taken: &mut u64,
) -> End {
    let reads = Reads::new(model, work);
    if let Some(read) = reads.unwritten {
        return End::None { needed: reads.with_observers([read].into()) };
    }
    let times = times(work, &reads);
    let steps_end = taken.saturating_add(steps_max);
    let mut slack = 0;
    loop {
        let lanes = Lanes::new(work, &reads, &times, slack);
        match derive(&lanes, &reads, &times, bytes_max) {
            Ok(known) => {
                let order = Order { lanes: &lanes, reads: &reads, known };
                let left = steps_end.saturating_sub(*taken);
                match search(model, work, &order, left, bytes_max, taken) {
                    End::None { .. } if lanes.assume() => slack = usize::MAX,
                    end => return end,
                }
            }
            Err(Contradiction { needed, assumed: None }) => return End::None { needed },
            Err(Contradiction { assumed: Some(gap), .. }) => {
                slack = slack.max(gap).saturating_mul(2).saturating_add(1);
            }
        }
    }
}
