//! A set that is broadcast over `pg`: whoever is cut off misses what was sent meanwhile, unless the
//! servers exchange what they have when they meet again.
//!
//! The same for a server that joins while the others go on. `cargo run --release --example pg_set` runs all of it.

use fuzz_dist::grudge::Grudge;
use fuzz_dist::nemesis::custom;
use fuzz_dist::op::NodeId;
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

/// While n3 is cut off, a fourth node joins and the first one leaves.
#[fuzz_dist::test(
    db = pg(true).leave("pg_set", "leave"),
    workload = pg_set(),
    nodes = 3,
    concurrency = 6,
    time_limit = "14s",
    seed = 2
)]
async fn a_server_joins_and_another_leaves(test: Test) -> Outcome {
    let running = test.start().await?;
    let cluster = running.clone();
    let changes = async {
        tokio::time::sleep(secs(1)).await;
        let third_alone = Grudge::complete(3, &[vec![0, 1], vec![2]]);
        let apart = cluster.inject(custom(third_alone)).await?;
        cluster.join().await?;
        tokio::time::sleep(secs(2)).await;
        cluster.leave("n1").await?;
        apart.heal().await
    };
    let (main, changed) = tokio::join!(running.main_phase(), changes);
    main.and(changed)?;
    running.check(fuzz_dist::checker::stats()).await
}

/// A server that joins misses what was sent before, unless the others give it what they have.
#[fuzz_dist::test(
    db = pg(false),
    workload = pg_set(),
    nodes = 3,
    concurrency = 6,
    time_limit = "5s",
    quiesce_limit = "4s",
    seed = 3,
    expect = "invalid"
)]
async fn a_server_that_joins_has_what_was_there_before(test: Test) -> Outcome {
    let running = test.start().await?;
    let cluster = running.clone();
    let joins = async {
        tokio::time::sleep(secs(1)).await;
        cluster.join().await
    };
    let (main, joined) = tokio::join!(running.main_phase(), joins);
    main.and(joined)?;
    let verdict = running.check(fuzz_dist::checker::stats()).await?;
    let on_n4 =
        |a: &fuzz_dist::checker::Anomaly| &*a.kind == "missing" && a.node == Some(NodeId(3));
    assert!(verdict.anomalies.iter().any(on_n4), "{}", verdict.summary());
    Ok(verdict)
}

fuzz_dist::main!();
