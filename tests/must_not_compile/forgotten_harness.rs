//! Must not compile: libtest's own harness would find no test in this file, and pass.

use fuzz_dist::prelude::*;

#[fuzz_dist::test(db = "antidote")]
async fn never_run(test: Test) -> Outcome {
    test.run().await
}

fuzz_dist::main!();
