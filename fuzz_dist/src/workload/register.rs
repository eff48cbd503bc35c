//! Replicated registers: one value is kept, or all that were written concurrently.

use std::sync::Arc;

use super::Workload;
use crate::checker::{convergence, replicated_register};
use crate::generator::{Generator, from_fn, mix, repeat};
use crate::op::Invocation;
use crate::random::Seed;

/// A register that keeps the last written value, over the database's own client: writes of unique
/// values and reads, judged by [`replicated_register`] and [`convergence`].
#[fuzz_dist::workload("lww_register", aliases = ["register"])]
pub fn lww_register() -> Workload {
    named("lww_register")
}

/// A register that keeps all values that were written concurrently, over the database's own
/// client; a read gives a set. Judged as [`lww_register`] is.
#[fuzz_dist::workload("mv_register")]
pub fn mv_register() -> Workload {
    named("mv_register")
}

fn named(name: &'static str) -> Workload {
    let operations = move |seed: Seed| {
        let mut next = 0;
        let writes = from_fn(move || {
            next += 1;
            Some(Invocation::new("write", next - 1))
        });
        let reads = repeat(Invocation::new("read", ()));
        mix(seed.stream(name), [(1, writes.boxed()), (1, reads.boxed())]).boxed()
    };
    Workload::new(name, ["write", "read"], operations)
        .pure(["read"])
        .read(Invocation::new("read", ()))
        .checker(Arc::new(replicated_register()))
        .checker(Arc::new(convergence()))
}
