//! Names (`global` and `pg`), jobs, a pool and a service, each as a system that breaks its promise and as one
//! that keeps it.
//!
//! `cargo run --release --example services` runs all of them.

use std::time::Duration;

use fuzz_dist::prelude::*;
use fuzz_dist::workload::{jobs_workload, liveness_workload, names_workload, queue_workload};

/// A module of `examples/services/`, on every node.
fn service(module: &str, option: &str) -> ErlangApp {
    let source = format!("{}/examples/services/{module}.erl", env!("CARGO_MANIFEST_DIR"));
    ErlangApp::new(module, [source])
        .net_ticktime(2)
        .start(format!("ok = {module}:start(#{{peers => Peers, {option}}})"))
}

/// One node of three is alone for longer than it takes to be declared dead.
fn split(test: Test, time_limit: Duration) -> Test {
    let alone = isolate_node().after(secs(1)).lasting(millis(4500));
    test.nodes(3).nemesis(alone).time_limit(time_limit)
}

/// Two singletons, which the application starts itself: under global names, or in process groups.
fn singletons(module: &str, resolve: &str) -> ErlangApp {
    let names = "names => [<<\"cart\">>, <<\"stock\">>]";
    service(module, &format!("{names}, resolve => {resolve}"))
}

fn names(module: &'static str) -> Workload {
    names_workload(["cart", "stock"])
        .lookup(move |node, name| node.call::<Option<String>>(module, "lookup", args![name]))
        .into()
}

/// When the sides of a split meet, both processes lose their name.
#[fuzz_dist::test(
    db = singletons("singleton", "notify"),
    overlapping_partitions = "on",
    quiesce_limit = "4s",
    seed = 1,
    expect = "invalid"
)]
async fn a_resolver_that_keeps_neither_leaves_nobody(test: Test) -> Outcome {
    let verdict = split(test, secs(6)).workload(names("singleton")).run().await?;
    found(&verdict, &["nobody", "unknown_to"]);
    Ok(verdict)
}

// With `prevent_overlapping_partitions` on, `global` disconnects nodes again while they meet. On a busy machine
// OTP 25 then sometimes connects two nodes without exchanging their names, which stays so.
/// The correct variant: one of them ends, and everybody knows the other one.
#[fuzz_dist::test(db = singletons("singleton", "random_exit"), overlapping_partitions = "on", seed = 1)]
async fn a_resolver_that_keeps_one_leaves_one(test: Test) -> Outcome {
    split(test, secs(6)).workload(names("singleton")).run().await
}

/// When the sides of a split meet, `pg` has both processes in the group, and nobody ends one.
#[fuzz_dist::test(db = singletons("group_singleton", "false"), quiesce_limit = "4s", seed = 1, expect = "invalid")]
async fn a_group_that_nobody_resolves_keeps_two(test: Test) -> Outcome {
    let verdict = split(test, secs(6)).workload(names("group_singleton")).run().await?;
    found(&verdict, &["duplicate_stays"]);
    Ok(verdict)
}

/// The correct variant: all but one of them end.
#[fuzz_dist::test(db = singletons("group_singleton", "true"), seed = 1)]
async fn a_group_that_is_resolved_keeps_one(test: Test) -> Outcome {
    split(test, secs(6)).workload(names("group_singleton")).run().await
}

/// Jobs on three nodes, of which one is killed.
fn jobs(test: Test) -> Test {
    let jobs = jobs_workload()
        .submit(|node, job| node.call::<()>("job_queue", "submit", args![job]))
        .executed(|node| node.call::<Vec<(i64, String)>>("job_queue", "executed", args![]));
    let killed = kill().after(secs(1)).lasting(secs(1));
    test.workload(jobs).nodes(3).nemesis(killed).time_limit(secs(3))
}

/// Jobs that were acknowledged before they were written are lost with a crash.
#[fuzz_dist::test(db = service("job_queue", "durable => false"), quiesce_limit = "2s", seed = 1, expect = "invalid")]
async fn jobs_in_memory_are_lost(test: Test) -> Outcome {
    let verdict = jobs(test).run().await?;
    found(&verdict, &["lost"]);
    Ok(verdict)
}

/// The correct variant: every acknowledged job is executed exactly once.
#[fuzz_dist::test(db = service("job_queue", "durable => true"), seed = 1)]
async fn jobs_in_a_file_are_executed_once(test: Test) -> Outcome {
    jobs(test).run().await
}

/// A pool on three nodes, of which one is alone for a while.
fn pool(test: Test, alone: Duration) -> Test {
    let pool = queue_workload()
        .enqueue(|node, element| node.call::<()>("pool", "enqueue", args![element]))
        .dequeue(|node| node.call::<Option<i64>>("pool", "dequeue", args![]));
    let isolated = isolate_node().after(millis(500)).lasting(alone);
    test.workload(pool).nodes(3).nemesis(isolated).time_limit(secs(3))
}

/// Copies that cannot hear of one another give the same elements.
#[fuzz_dist::test(
    db = service("pool", "mirrored => true"),
    quiesce_limit = "1s",
    stop = "first_anomaly",
    seed = 1,
    expect = "invalid"
)]
async fn copies_of_a_pool_give_elements_twice(test: Test) -> Outcome {
    let verdict = pool(test, secs(1)).run().await?;
    found(&verdict, &["duplicate"]);
    Ok(verdict)
}

/// The correct variant: one server, which nobody takes for dead during a short cut.
#[fuzz_dist::test(db = service("pool", "mirrored => false"), seed = 1)]
async fn one_server_gives_each_element_once(test: Test) -> Outcome {
    pool(test, millis(400)).run().await
}

fn majority() -> Workload {
    liveness_workload(WITHIN, |node| async move {
        match node.call::<bool>("quorum", "call", args![]).await? {
            true => Ok(()),
            false => Err(Failure::fail("no_majority", "it sees no majority")),
        }
    })
}

const WITHIN: Duration = Duration::from_secs(4);

/// A node that connects once only is alone for ever after a split.
#[fuzz_dist::test(db = service("quorum", "reconnect => false"), seed = 1, expect = "invalid")]
async fn a_node_that_does_not_reconnect_stays_alone(test: Test) -> Outcome {
    let verdict = split(test, secs(11)).workload(majority()).run().await?;
    found(&verdict, &["not_recovered"]);
    Ok(verdict)
}

/// The correct variant: it works again within a few seconds after the heal.
#[fuzz_dist::test(db = service("quorum", "reconnect => true"), seed = 1)]
async fn a_node_that_reconnects_works_again(test: Test) -> Outcome {
    split(test, secs(11)).workload(majority()).run().await
}

#[track_caller]
fn found(verdict: &Verdict, kinds: &[&str]) {
    let any = verdict.anomalies.iter().any(|a| kinds.contains(&&*a.kind));
    assert!(any, "none of {kinds:?} in\n{}", verdict.summary());
}

fuzz_dist::main!();
