//! A replicated set on mnesia loses acknowledged adds: the partition lets both sides go on, the
//! restart of the smaller side forgets what only it had. Where adds and reads need a majority, none is
//! lost.
//!
//! `cargo run --release --example mnesia_set` runs both.

use fuzz_dist::prelude::*;

/// The set of `examples/mnesia_set/mnesia_set.erl`, one copy in the memory of every node.
fn mnesia(options: &str) -> ErlangApp {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/mnesia_set/mnesia_set.erl");
    ErlangApp::new("mnesia_set", [source])
        .net_ticktime(4)
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
    nemesis = restart_after(majority_minority().lasting(secs(9))),
    time_limit = "20s",
    quiesce_limit = "10s",
    seed = 1,
    expect = "invalid"
)]
async fn mnesia_keeps_acknowledged_adds(test: Test) -> Outcome {
    let verdict = test.run().await?;
    let lost = verdict.anomalies.iter().any(|anomaly| &*anomaly.kind == "lost");
    assert!(lost, "nothing is lost everywhere:\n{}", verdict.summary());
    Ok(verdict)
}

/// An add needs a majority, before it is written and to be acknowledged; a read shows what a majority has.
#[fuzz_dist::test(
    db = mnesia("majority => true, reads => majority"),
    workload = mnesia_set(),
    nemesis = restart_after(majority_minority().lasting(secs(9))),
    time_limit = "20s",
    seed = 1
)]
async fn mnesia_with_majority_keeps_acknowledged_adds(test: Test) -> Outcome {
    test.run().await
}

fuzz_dist::main!();
