//! Transactions over several keys: seen whole or not at all; aborted ones, never.

use std::sync::Arc;

use super::Workload;
use crate::checker::{atomic, convergence};
use crate::generator::{Generator, from_fn, mix, repeat};
use crate::history::History;
use crate::op::{Invocation, Kind, Value};
use crate::random::Seed;

/// A transaction writes at least two marks and at most so many.
const MARKS_MAX: i64 = 5;

/// Interactive transactions over several keys, over the database's own client, judged by
/// [`atomic`] and [`convergence`].
///
/// `write` writes a few *marks*, numbers that follow each other and that only this transaction
/// writes, each under another key; `abort` does the same and ends without a commit; `read` reads
/// all keys at once. A client spreads marks over keys by their remainder.
#[fuzz_dist::workload("transactions")]
pub fn transactions() -> Workload {
    let operations = |seed: Seed| {
        // From one source for both, so that no mark is written twice.
        let mut sizes = seed.stream("transactions/sizes");
        let mut next = 0;
        let writes = from_fn(move || {
            let size = 2 + sizes.below(MARKS_MAX as u64 - 1) as i64;
            let f = if sizes.chance(0.2) { "abort" } else { "write" };
            let marks = Value::set(next..next + size);
            next += size;
            Some(Invocation::new(f, marks))
        });
        let reads = repeat(Invocation::new("read", ()));
        mix(seed.stream("transactions"), [(1, writes.boxed()), (1, reads.boxed())]).boxed()
    };
    Workload::new("transactions", ["write", "abort", "read"], operations)
        .pure(["read"])
        .read(Invocation::new("read", ()))
        .complete(holds_every_acknowledged_mark)
        .checker(Arc::new(atomic()))
        .checker(Arc::new(convergence()))
}

fn holds_every_acknowledged_mark(history: &History, value: &Value) -> bool {
    let Value::Set(seen) = value else { return false };
    let Some(write) = history.find_function("write") else { return true };
    (0..history.len())
        .filter(|i| history.function_index(*i) == write && history.kind(*i) == Kind::Invoke)
        .filter(|i| history.completion(*i).is_some_and(|c| history.kind(c) == Kind::Ok))
        .all(|i| match history.value(i) {
            Value::Set(marks) => {
                marks.as_slice().iter().all(|m| seen.as_slice().binary_search(m).is_ok())
            }
            _ => true,
        })
}
