//! The embedded store, whole and broken: a cluster test that needs nothing but Rust.
//!
//! `cargo run --release --example embedded` shows a valid run and an explained loss.

use fuzz_dist::embedded::{Bug, Embedded};
use fuzz_dist::prelude::*;

/// Acknowledged adds are on every node after the network heals.
#[fuzz_dist::test(
    db = "embedded",
    workload = "g_set",
    nemesis = majority_ring().lasting(secs(2)),
    time_limit = "6s",
    seed = 1
)]
async fn the_store_keeps_its_promise(test: Test) -> Outcome {
    test.run().await
}

/// The same store, but what it acknowledges while a peer is out of reach never gets there.
#[fuzz_dist::test(
    db = Embedded::default().with(Bug::ForgetsPeers),
    workload = "g_set",
    nemesis = majority_minority().lasting(secs(2)),
    time_limit = "6s",
    quiesce_limit = "2s",
    seed = 1,
    expect = "invalid"
)]
async fn the_broken_store_is_caught(test: Test) -> Outcome {
    test.run().await
}

fuzz_dist::main!();
