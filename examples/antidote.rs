//! AntidoteDB under the standard suite.

use fuzz_dist::prelude::*;

/// Adds that a data centre acknowledged are read on every data centre after the network heals.
#[fuzz_dist::test(
    db = "antidote",
    workload = "g_set",
    nemesis = ["none", "majority_minority"],
    time_limit = "60s"
)]
async fn acknowledged_adds_are_never_lost(test: Test) -> Outcome {
    test.run().await
}

fuzz_dist::main!();
