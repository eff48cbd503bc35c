//! The framework on its own test bed: a replicated store of Rust processes, whole and broken.

use fuzz_dist::prelude::*;

/// Acknowledged adds are on every node after the network heals.
#[fuzz_dist::test(
    db = "embedded",
    workload = "g_set",
    nemesis = majority_minority().lasting(secs(2)),
    time_limit = "6s",
    quiesce_limit = "10s",
    seed = 1
)]
async fn adds_survive_a_partition(test: Test) -> Outcome {
    test.run().await
}

fuzz_dist::main!();
