//! The broadcast set of `examples/pg_set`, and how its nodes are asked.

use fuzz_dist::beam::{Args, Term};
use fuzz_dist::prelude::*;

pub(crate) fn set() -> Workload {
    set_workload()
        .add(|node, item| node.call::<()>("pg_set", "add", args![item]))
        .read(|node| node.call::<Vec<i64>>("pg_set", "read", args![]))
        .into()
}

/// Calls a function on a node.
pub(crate) async fn call(cluster: &Cluster, node: &str, call: (&str, &str), args: Args) -> Term {
    let node = cluster.find(node).expect("a node of the test");
    node.call::<Term>(call.0, call.1, args).await.expect("the node answers")
}

/// Asks again and again until the answer is as expected.
pub(crate) async fn eventually(what: &str, ask: impl AsyncFn() -> bool) {
    for _ in 0..200 {
        if ask().await {
            return;
        }
        tokio::time::sleep(millis(50)).await;
    }
    panic!("in vain: {what}");
}
