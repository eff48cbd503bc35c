//! Tests on plain processes instead of the lab, and tests that need more than these are able to do.

use fuzz_dist::embedded::{Bug, Embedded};
use fuzz_dist::nemesis::membership;
use fuzz_dist::op::NodeId;
use fuzz_dist::prelude::*;
use std::time::Duration;

use crate::fixture::Bare;

/// Everything comes back, whatever happens to processes.
#[fuzz_dist::test(
    db = "embedded",
    env = "processes",
    workload = "g_set",
    // Apart in time: a node that is down cannot be paused.
    nemesis = apart(kill(), millis(800)).and(apart(pause(), secs(2))),
    nodes = 3,
    time_limit = "6s"
)]
async fn keeps_what_it_acknowledged(test: Test) -> Outcome {
    test.run().await
}

fn apart(fault: Nemesis, first: Duration) -> Nemesis {
    fault.after(first).every(millis(2400)).lasting(millis(700))
}

/// Hosts join and leave here, too.
#[fuzz_dist::test(
    db = "embedded",
    env = "processes",
    workload = "g_set",
    nemesis = membership().after(millis(300)).lasting(millis(500)).every(millis(1500)),
    nodes = 3,
    concurrency = 6,
    time_limit = "4s",
    seed = 3
)]
async fn grows_and_shrinks(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(
    db = Embedded::default().with(Bug::LosesAdd),
    env = "processes",
    workload = g_set().limit(300),
    nodes = 3,
    rate = 400,
    time_limit = "60s",
    quiesce_limit = "1s"
)]
async fn loses_adds(test: Test) -> Outcome {
    test.run().await
}

/// A scenario reads files of hosts, and is refused a partition.
#[fuzz_dist::test(db = "embedded", env = "processes", workload = "g_set", nodes = 2)]
async fn a_scenario(test: Test) -> Outcome {
    let running = test.start().await?;
    running.client("n1").invoke(Add(1)).await?;
    let node = running.node(NodeId(0)).clone();
    assert_eq!(node.read_file("set.log").await?, b"1\n");
    let refused = running.inject(bridge()).await.map(drop).unwrap_err();
    println!("refused: {refused}");
    running.client("n2").invoke(Add(2)).await?;
    running.client("n2").invoke(Read).await?;
    running.check(fuzz_dist::checker::set_full()).await
}

#[fuzz_dist::test(
    db = "embedded",
    env = "processes",
    workload = "g_set",
    nemesis = "majority_ring"
)]
async fn needs_links(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(db = Bare, env = "processes", workload = "g_set", nemesis = "pause")]
async fn needs_a_network(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(db = "embedded", env = "processes", workload = "g_set", wire = true)]
async fn needs_the_wire(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(db = "embedded", env = "proceses", workload = "g_set")]
async fn misspelt(test: Test) -> Outcome {
    test.run().await
}

/// The method chooses a place, too.
#[fuzz_dist::test(db = "embedded", workload = "g_set", nemesis = "majority_ring")]
async fn chosen_in_code(test: Test) -> Outcome {
    test.env(crate::processes::Processes).run().await
}
