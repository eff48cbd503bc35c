//! Must not compile: mistakes inside of attributes, all of them reported at once.

use fuzz_dist::prelude::*;

#[fuzz_dist::test(nemisis = "bridge", nodes = 0, time_limit = "60 seconds", heal = "slowly")]
async fn mistyped(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(db = "antidote")]
fn not_async() -> Outcome {
    Err(Error::usage("never").into())
}

#[fuzz_dist::db("my shop")]
struct Shop;

// The functions are there in spite of it: no follow-up errors.
fn main() {
    let _ = (mistyped, not_async, Shop);
}
