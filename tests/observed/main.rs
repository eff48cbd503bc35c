//! What a run knows of its Erlang nodes beside the history, and what they are told of the run.

mod announced;
mod bad;
mod samples;

use fuzz_dist::beam::{Args, Term};
use fuzz_dist::prelude::*;
use fuzz_dist::test::LiveCluster;

/// A set that is broadcast; with a module that stands in for `telemetry`, or without.
fn app(telemetry: bool) -> ErlangApp {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut sources = vec![format!("{root}/examples/pg_set/pg_set.erl")];
    sources.extend(telemetry.then(|| format!("{root}/tests/inside/telemetry.erl")));
    ErlangApp::new("observed", sources)
        .net_ticktime(4)
        .start("pg_set:start(#{peers => Peers, exchange => true})")
}

fn set() -> Workload {
    set_workload()
        .add(|node, item| node.call::<()>("pg_set", "add", args![item]))
        .read(|node| node.call::<Vec<i64>>("pg_set", "read", args![]))
        .into()
}

/// Calls a function on a node.
async fn call(cluster: &LiveCluster, node: &str, call: (&str, &str), args: Args) -> Term {
    let node = cluster.find(node).expect("a node of the test");
    node.call::<Term>(call.0, call.1, args).await.expect("the node answers")
}

/// Asks again and again until the answer is as expected.
async fn eventually(what: &str, ask: impl AsyncFn() -> bool) {
    for _ in 0..200 {
        if ask().await {
            return;
        }
        tokio::time::sleep(millis(50)).await;
    }
    panic!("in vain: {what}");
}

fuzz_dist::main!();
