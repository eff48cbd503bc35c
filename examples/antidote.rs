//! AntidoteDB under the standard suite: topologies × workloads × nemeses.
//!
//! `cargo run --release --example antidote` runs all of it (about an hour), with
//! a name only what has it: `cargo run --release --example antidote -- g_set::majority_minority`.
//! It needs a release of AntidoteDB: `FUZZ_DIST_ANTIDOTE` names its folder or tarball. Rows that
//! were seen to lose say `expect = "invalid"`; docs/antidote.md tells what was found, how often.

use fuzz_dist::antidote::{Antidote, Topology};
use fuzz_dist::prelude::*;

/// One data centre of all nodes, which speak distributed Erlang with each other.
fn one_dc() -> Antidote {
    Antidote::default().topology(Topology::OneDc).net_ticktime(8)
}

/// Every node a data centre, and transactions are acknowledged when they are on the disk.
fn durable() -> Antidote {
    Antidote::default().sync_log(true)
}

/// Without faults, and few writes to a key: adds that a data centre acknowledged are read on
/// every data centre.
#[fuzz_dist::test(
    db = "antidote",
    workload = "g_set_spread",
    nemesis = "none",
    rate = 20,
    time_limit = "20s"
)]
async fn control(test: Test) -> Outcome {
    test.run().await
}

/// Adds to one hot key that a data centre acknowledged are read on every data centre after the
/// network has healed.
#[fuzz_dist::test(
    db = "antidote",
    workload = "g_set",
    nemesis = ["majority_minority", "majority_ring", "bridge"],
    time_limit = "60s",
    expect = "invalid"
)]
async fn g_set(test: Test) -> Outcome {
    test.run().await
}

/// The same while one data centre is cut off, or processes of a minority are stopped, for 20 s.
#[fuzz_dist::test(
    db = "antidote",
    workload = "g_set",
    nemesis = ["isolate_dc", "pause"],
    time_limit = "60s"
)]
async fn g_set_of_the_rest(test: Test) -> Outcome {
    test.run().await
}

/// The same at the standard rate, still spread over eight keys.
#[fuzz_dist::test(db = "antidote", workload = "g_set_spread", nemesis = "none", time_limit = "60s")]
async fn g_set_spread(test: Test) -> Outcome {
    test.run().await
}

/// Without any fault, but thousands of writes to hot keys from all data centres: not even this
/// holds in every run.
#[fuzz_dist::test(
    db = "antidote",
    workload = ["g_set", "pn_counter", "transactions"],
    nemesis = "none",
    time_limit = "60s",
    attempts = 3,
    expect = "invalid"
)]
async fn hot_keys_in_peace(test: Test) -> Outcome {
    test.run().await
}

/// The same while processes of a minority are killed, with every acknowledged add on the disk.
#[fuzz_dist::test(
    db = durable(),
    workload = "g_set",
    nemesis = "kill",
    time_limit = "60s",
    expect = "invalid"
)]
async fn g_set_killed(test: Test) -> Outcome {
    test.run().await
}

/// Increments that a data centre acknowledged count on every data centre.
#[fuzz_dist::test(
    db = "antidote",
    workload = "pn_counter",
    nemesis = "majority_minority",
    time_limit = "60s",
    expect = "invalid"
)]
async fn counters(test: Test) -> Outcome {
    test.run().await
}

/// The same for counters that only grow, swing, or are a key for each node.
#[fuzz_dist::test(
    db = "antidote",
    workload = ["pn_counter_grow", "pn_counter_swing", "pn_counter_spread"],
    nemesis = ["none", "majority_minority"],
    time_limit = "60s"
)]
async fn other_counters(test: Test) -> Outcome {
    test.run().await
}

/// Adds win over removes that have not seen them, and data centres agree.
#[fuzz_dist::test(
    db = "antidote",
    workload = "or_set",
    nemesis = ["none", "majority_minority"],
    time_limit = "60s"
)]
async fn or_sets(test: Test) -> Outcome {
    test.run().await
}

/// Registers come to one value, or to all concurrent ones, and never go back.
#[fuzz_dist::test(
    db = "antidote",
    workload = ["lww_register", "mv_register"],
    nemesis = ["none", "majority_minority"],
    time_limit = "60s"
)]
async fn registers(test: Test) -> Outcome {
    test.run().await
}

/// Transactions are seen whole or not at all, and aborted ones never.
#[fuzz_dist::test(
    db = "antidote",
    workload = "transactions",
    nemesis = "majority_minority",
    time_limit = "60s",
    expect = "invalid"
)]
async fn transactions_are_atomic(test: Test) -> Outcome {
    test.run().await
}

/// Clients that carry causal tokens read their own writes and never less than before.
#[fuzz_dist::test(
    db = Antidote::default().causal(true),
    workload = "g_set_spread",
    nemesis = "none",
    rate = 20,
    time_limit = "20s",
    sessions = true
)]
async fn sessions_with_tokens(test: Test) -> Outcome {
    test.run().await
}

/// One data centre of five nodes keeps every acknowledged add.
#[fuzz_dist::test(
    db = one_dc(),
    workload = ["g_set", "g_set_spread"],
    nemesis = ["none", "majority_minority"],
    time_limit = "60s"
)]
async fn one_dc_g_set(test: Test) -> Outcome {
    test.run().await
}

fuzz_dist::main!();
