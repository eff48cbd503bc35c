//! A set that is broadcast over `pg`: whoever is cut off misses what was sent meanwhile, unless the
//! servers exchange what they have when they meet again.
//!
//! `cargo run --release --example pg_set` runs both.

use fuzz_dist::prelude::*;

/// The set of `examples/pg_set/pg_set.erl`.
fn pg(exchange: bool) -> ErlangApp {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/pg_set/pg_set.erl");
    ErlangApp::new("pg_set", [source])
        .net_ticktime(4)
        .start(format!("ok = pg_set:start(#{{peers => Peers, exchange => {exchange}}})"))
}

fn pg_set() -> Workload {
    set_workload()
        .add(|node, item| node.call::<()>("pg_set", "add", args![item]))
        .read(|node| node.call::<Vec<i64>>("pg_set", "read", args![]))
        .into()
}

/// Elements that a server took reach all servers, also those that were cut off.
#[fuzz_dist::test(
    db = pg(false),
    workload = pg_set(),
    nemesis = majority_minority().lasting(secs(9)),
    time_limit = "16s",
    quiesce_limit = "8s",
    nodes = 3,
    seed = 1,
    expect = "invalid"
)]
async fn broadcasts_reach_everybody(test: Test) -> Outcome {
    let verdict = test.run().await?;
    // Everybody keeps what it has; what was sent while they were apart never came.
    let missing = |a: &fuzz_dist::checker::Anomaly| &*a.kind == "missing";
    let all = !verdict.anomalies.is_empty() && verdict.anomalies.iter().all(missing);
    assert!(all, "something else than missing elements:\n{}", verdict.summary());
    Ok(verdict)
}

/// The correct variant: servers that meet exchange what they have.
#[fuzz_dist::test(
    db = pg(true),
    workload = pg_set(),
    nemesis = majority_minority().lasting(secs(9)),
    time_limit = "16s",
    nodes = 3,
    seed = 1
)]
async fn exchanged_sets_reach_everybody(test: Test) -> Outcome {
    test.run().await
}

fuzz_dist::main!();
