//! A connection is dropped for a moment, the network is whole all the time, and mnesia never comes
//! together again: nodes that see each other acknowledge adds that the others never get.
//!
//! `cargo run --release --example mnesia_blip` runs it, and its correct variant.

use fuzz_dist::checker::CauseKind;
use fuzz_dist::prelude::*;

/// The set of `examples/mnesia_set/mnesia_set.erl`, one copy in the memory of every node.
fn mnesia(majority: bool) -> ErlangApp {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/mnesia_set/mnesia_set.erl");
    ErlangApp::new("mnesia_set", [source])
        .net_ticktime(4)
        .start(format!("ok = mnesia_set:start(#{{peers => Peers, majority => {majority}}})"))
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
    db = mnesia(false),
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
    // What a node lacks is explained by mnesia's own word there: it found itself split.
    let mut missing = verdict.anomalies.iter().filter(|anomaly| &*anomaly.kind == "missing");
    let split = missing.any(|anomaly| {
        let mut causes = anomaly.causes.iter();
        causes.any(|cause| {
            cause.kind == CauseKind::Split
                && cause.reason == "inconsistent_database"
                && Some(cause.node) == anomaly.node
        })
    });
    assert!(split, "no explanation names the split of mnesia:\n{}", verdict.summary());
    Ok(verdict)
}

/// Where every add needs a majority, none is lost everywhere: but a node that mnesia has split off
/// stays so, and lacks what the others acknowledged. (Where partitions may not overlap, one dropped
/// connection takes all three nodes apart, and there is no majority that acknowledges anything.)
#[fuzz_dist::test(
    db = mnesia(true),
    workload = mnesia_set(),
    nemesis = blip().every(secs(4)),
    overlapping_partitions = "on",
    nodes = 3,
    time_limit = "6s",
    quiesce_limit = "5s",
    seed = 1,
    expect = "invalid"
)]
async fn mnesia_with_majority_survives_a_dropped_connection(test: Test) -> Outcome {
    let verdict = test.run().await?;
    let set = verdict.part("set_full").expect("the set is judged");
    assert!(!set.anomalies.is_empty(), "nothing is missing:\n{}", verdict.summary());
    for anomaly in &set.anomalies {
        assert_eq!(&*anomaly.kind, "missing", "{}", anomaly.explanation);
    }
    Ok(verdict)
}

/// The correct variant: while mnesia's locker stands still, adds wait, and none is lost.
#[fuzz_dist::test(
    db = mnesia(false),
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
