//! A call times out, and is executed all the same, later: its message was only on its way.
//!
//! The message of an add is held for two seconds; its caller gives up after one. Whoever takes the
//! time-out for what it is, an unknown outcome, has nothing to fear, and the run counts the adds
//! that took effect after all. A client that reports it as *failed* is found out.
//!
//! `cargo run --release --example late_call` runs both.

use fuzz_dist::env::wire::{before_op, delay};
use fuzz_dist::prelude::*;

/// The set of `examples/late_call/late_set.erl`: one server, on the first node.
fn late_set() -> ErlangApp {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/late_call/late_set.erl");
    ErlangApp::new("late_set", [source])
        .start("ok = late_set:start(Peers)")
        .formed("late_set", "formed")
}

async fn read(node: Node) -> Result<Vec<i64>, Failure> {
    Ok(node.call("late_set", "read", args![]).await?)
}

/// A time-out is an unknown outcome: what `?` makes of every error that proves nothing.
fn honest() -> Workload {
    let add = |node: Node, item| node.call::<()>("late_set", "add", args![item]);
    set_workload().add(add).read(read).into()
}

/// A time-out is reported as a failure.
fn rash() -> Workload {
    let add = |node: Node, item: i64| async move {
        let answer: fuzz_dist::beam::Atom =
            node.call("late_set", "add_or_fail", args![item]).await?;
        match answer.as_str() {
            "ok" => Ok(()),
            _ => Err(Failure::fail("timeout", "the set does not answer")),
        }
    };
    set_workload().add(add).read(read).into()
}

/// The next add through n2 is about to be sent: its message to the server arrives two seconds later.
fn late() -> Nemesis {
    at(before_op("add").from("n2").to("n1"), delay(secs(2))).after(secs(1)).every(secs(8))
}

/// Adds that were acknowledged are in the set, and of those of which nobody knows some are, too.
#[fuzz_dist::test(
    db = late_set(),
    workload = honest(),
    nemesis = late(),
    nodes = 3,
    time_limit = "17s",
    seed = 1
)]
async fn an_unknown_add_takes_effect_later(test: Test) -> Outcome {
    let verdict = test.run().await?;
    let set = verdict.part("set_full").expect("the workload's checker");
    let recovered = set.results["recovered_count"].as_u64();
    assert!(recovered > Some(0), "no add took effect after its time-out: {:?}", set.results);
    Ok(verdict)
}

/// An add that failed is not in the set.
#[fuzz_dist::test(
    db = late_set(),
    workload = rash(),
    nemesis = late(),
    nodes = 3,
    time_limit = "9s",
    seed = 1,
    expect = "invalid"
)]
async fn an_add_that_failed_has_no_effect(test: Test) -> Outcome {
    let verdict = test.run().await?;
    let found = verdict.anomalies.iter().any(|anomaly| &*anomaly.kind == "resurrected");
    assert!(found, "no add was executed after it had failed:\n{}", verdict.summary());
    Ok(verdict)
}

fuzz_dist::main!();
