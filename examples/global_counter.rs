//! A counter under a lock of `global` loses increments when a partition lasts longer than
//! net_ticktime and the up to 8 s for which `global` waits before it tries again: each side then has
//! the lock. A partition that nobody takes for a death costs nothing.
//!
//! `cargo run --release --example global_counter` runs both.

use fuzz_dist::prelude::*;
use fuzz_dist::workload::{CounterStrategy, counter_workload};

/// The counter of `examples/global_counter/global_counter.erl`, a copy on every node.
fn counter(net_ticktime: u32) -> ErlangApp {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/global_counter/global_counter.erl");
    ErlangApp::new("global_counter", [source])
        .net_ticktime(net_ticktime)
        .start("ok = global_counter:start(#{peers => Peers})")
}

fn increments() -> Workload {
    counter_workload()
        .strategy(CounterStrategy::Grow)
        .add(|node, by| node.call::<()>("global_counter", "add", args![by]))
        .read(|node| node.call::<i64>("global_counter", "read", args![]))
        .into()
}

/// Increments that were acknowledged count on every node after the network has healed.
#[fuzz_dist::test(
    db = counter(4),
    workload = increments(),
    nemesis = isolate_node().after(secs(2)).lasting(secs(4 + 9)),
    nodes = 3,
    time_limit = "16s",
    quiesce_limit = "8s",
    seed = 1,
    expect = "invalid"
)]
async fn increments_survive_a_long_partition(test: Test) -> Outcome {
    let verdict = test.run().await?;
    let lost = verdict.anomalies.iter().any(|a| &*a.kind == "lost_increments");
    assert!(lost, "no increments were lost:\n{}", verdict.summary());
    Ok(verdict)
}

/// The correct variant: a cut of 0.3 net_ticktimes, which is over before anybody is taken for dead.
#[fuzz_dist::test(
    db = counter(8),
    workload = increments(),
    nemesis = isolate_node().after(secs(2)).lasting(millis(2400)).every(secs(6)),
    nodes = 3,
    time_limit = "7s",
    seed = 1
)]
async fn increments_survive_a_short_partition(test: Test) -> Outcome {
    test.run().await
}

fuzz_dist::main!();
