//! Simulated time: mnesia with Erlang's own `net_ticktime` of 60 s, and a cut of two minutes, which a run takes seconds
//! for. The partition lets both sides go on, and the restart of the smaller side forgets what only it had; where adds
//! and reads need a majority, none is lost.
//!
//! `cargo run --release --example simulated` runs both.

use fuzz_dist::prelude::*;

/// The set of `examples/mnesia_set/mnesia_set.erl`, one copy in the memory of every node.
fn mnesia(options: &str) -> ErlangApp {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/mnesia_set/mnesia_set.erl");
    ErlangApp::new("mnesia_set", [source])
        .net_ticktime(60)
        .start(format!("ok = mnesia_set:start(#{{peers => Peers, {options}}})"))
        .form("mnesia_set", "form")
        .formed("mnesia_set", "formed")
}

fn mnesia_set() -> Workload {
    set_workload()
        .add(|node, item| node.call::<()>("mnesia_set", "add", args![item]))
        .read(|node| node.call::<Vec<i64>>("mnesia_set", "read", args![]))
        .into()
}

/// Adds that mnesia acknowledged are read on every node after the network has healed.
#[fuzz_dist::test(
    db = mnesia("majority => false"),
    workload = mnesia_set(),
    nemesis = restart_after(majority_minority().lasting(secs(120))),
    nodes = 3,
    time_limit = "200s",
    quiesce_limit = "30s",
    rate = 10,
    time = "simulated",
    seed = 1,
    expect = "invalid"
)]
async fn mnesia_keeps_acknowledged_adds(test: Test) -> Outcome {
    test.run().await
}

/// An add needs a majority, before it is written and to be acknowledged; a read shows what a majority has.
#[fuzz_dist::test(
    db = mnesia("majority => true, reads => majority"),
    workload = mnesia_set(),
    nemesis = restart_after(majority_minority().lasting(secs(120))),
    nodes = 3,
    time_limit = "200s",
    quiesce_limit = "30s",
    rate = 10,
    time = "simulated",
    seed = 1
)]
async fn mnesia_with_majority_keeps_acknowledged_adds(test: Test) -> Outcome {
    test.run().await
}

fuzz_dist::main!();
