//! Tests of the release in a real cluster, under real faults.
//!
//! `cargo test` runs them; `cargo test -- --list` lists them.

use fuzz_dist::prelude::*;
use fuzz_dist::workload::liveness_workload;

/// The release, as it is shipped: one node on every host. What else it needs to start (environment, files, readiness) is in
/// the rustdoc of `Release`.
fn app() -> Release {
    Release::at("../RELEASE")
        .build("BUILD")
        // Which nodes there are, as `app@n1,app@n2,app@n3`, if the application connects them itself:
        // .env("PEERS", "{nodes}")
        // .formed("MyApp.Cluster", "connected?")
        .net_ticktime(4)
}

/// Every node answers within five seconds after a fault has ended.
#[fuzz_dist::test(
    db = app(),
    nodes = 3,
    nemesis = [isolate_node().after(secs(2)).lasting(secs(6)), pause().after(secs(2)).lasting(secs(6))],
    time_limit = "16s"
)]
async fn nodes_answer_after_a_fault(test: Test) -> Outcome {
    let answers = liveness_workload(secs(5), |node| async move {
        // Replace it by a function of the application, such as a health check: anything but `false`, `nil` and
        // `{:error, reason}` is success.
        node.call::<()>("erlang", "node", args![]).await
    });
    test.workload(answers).run().await
}

/// Nothing that was acknowledged is lost: fill in how your application adds to a set of numbers and reads it, and remove
/// `ignore`.
#[fuzz_dist::test(
    db = app(),
    nodes = 3,
    nemesis = ["majority_minority", "bridge", "pause"],
    time_limit = "20s",
    ignore = "fill in `add` and `read`"
)]
async fn acknowledged_items_are_kept(test: Test) -> Outcome {
    let set = set_workload()
        // An Elixir module has its usual name, one of Erlang as well: "my_app_store".
        .add(|node, item| node.call::<()>("MyApp.Store", "add", args!["set-1", item]))
        .read(|node| node.call::<Vec<i64>>("MyApp.Store", "items", args!["set-1"]));
    test.workload(set).run().await
}

fuzz_dist::main!();
