//! Sets with removes: an add wins over a remove that has not seen it.

use std::sync::Arc;

use super::Workload;
use crate::checker::{convergence, or_set as judge};
use crate::generator::{Generator, from_fn, mix, repeat};
use crate::op::Invocation;
use crate::random::Seed;

/// So many elements are added and removed at a time: few enough that operations meet.
const WINDOW: u64 = 12;
/// After so many operations the window moves on by one element, which is left alone from then on:
/// whatever is lost then, nobody brings back.
const STEP: u64 = 8;

/// A set with adds, removes and reads over the database's own client, judged by
/// [`or_set`](crate::checker::or_set) and [`convergence`].
///
/// Where causality orders an add and a remove of an element, the later one decides; where they
/// are concurrent, either is right, but all nodes have to agree.
#[fuzz_dist::workload("or_set", aliases = ["aw_set"])]
pub fn or_set() -> Workload {
    let operations = |seed: Seed| {
        let mut random = seed.stream("or_set/elements");
        let mut count = 0;
        // From one source for both, so that they meet in the same window.
        let changes = from_fn(move || {
            count += 1;
            let f = if random.chance(0.6) { "add" } else { "remove" };
            let element = count / STEP + random.below(WINDOW);
            Some(Invocation::new(f, element as i64))
        });
        let reads = repeat(Invocation::new("read", ()));
        mix(seed.stream("or_set"), [(1, changes.boxed()), (1, reads.boxed())]).boxed()
    };
    Workload::new("or_set", ["add", "remove", "read"], operations)
        .pure(["read"])
        .read(Invocation::new("read", ()))
        .checker(Arc::new(judge()))
        .checker(Arc::new(convergence()))
}
