//! A connection is dropped for a moment, the network is whole all the time, and mnesia never comes
//! together again: nodes that see each other acknowledge adds that the others never get.
//!
//! `cargo run --release --example mnesia_blip` runs it, and its clean twin.

use fuzz_dist::prelude::*;

/// The set of `examples/mnesia_set/mnesia_set.erl`, one copy in the memory of every node.
fn mnesia() -> ErlangApp {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/mnesia_set/mnesia_set.erl");
    ErlangApp::new("mnesia_set", [source])
        .net_ticktime(4)
        .start("ok = mnesia_set:start(#{peers => Peers})")
        .form("mnesia_set", "form")
        .formed("mnesia_set", "formed")
}

fn mnesia_set() -> Workload {
    set_workload()
        .add(|node, item| node.call::<()>("mnesia_set", "add", args![item]))
        .read(|node| node.call::<Vec<i64>>("mnesia_set", "read", args![]))
        .into()
}

/// Adds that mnesia acknowledged are read on every node, also after a connection was dropped.
#[fuzz_dist::test(
    db = mnesia(),
    workload = mnesia_set(),
    nemesis = blip().every(secs(4)),
    nodes = 3,
    time_limit = "10s",
    quiesce_limit = "5s",
    seed = 1,
    expect = "invalid"
)]
async fn mnesia_survives_a_dropped_connection(test: Test) -> Outcome {
    let verdict = test.run().await?;
    let split = |a: &fuzz_dist::checker::Anomaly| a.explanation.contains("inconsistent_database");
    assert!(verdict.anomalies.iter().any(split), "no explanation names the split of mnesia");
    Ok(verdict)
}

/// The clean twin: while mnesia's locker stands still, adds wait, and none is lost.
#[fuzz_dist::test(
    db = mnesia(),
    workload = mnesia_set(),
    nemesis = suspend_process("mnesia_locker").lasting(secs(1)).every(secs(3)),
    nodes = 3,
    time_limit = "10s",
    seed = 1
)]
async fn mnesia_survives_a_suspended_process(test: Test) -> Outcome {
    test.run().await
}

fuzz_dist::main!();
