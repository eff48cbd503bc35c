//! The framework on its own test bed: every bug of the embedded store is found, every fault is
//! seen to act and to be undone, and without a bug every run is valid.

use fuzz_dist::db::Facts;
use fuzz_dist::embedded::{Bug, Embedded};
use fuzz_dist::grudge::Grudge;
use fuzz_dist::history::{FaultStatus, History};
use fuzz_dist::insta;
use fuzz_dist::nemesis::{Check, Fault, Hit, Targets, custom};
use fuzz_dist::op::{Name, Value};
use fuzz_dist::prelude::*;
use fuzz_dist::random::Stream;

#[path = "embedded/forwarded.rs"]
mod forwarded;
#[path = "embedded/members.rs"]
mod members;
#[path = "embedded/overlap.rs"]
mod overlap;
#[path = "embedded/replay.rs"]
mod replay;
#[path = "embedded/services.rs"]
mod services;
#[path = "embedded/stopped.rs"]
mod stopped;

/// A partition that leaves room for others in a run of a few seconds.
fn short(nemesis: Nemesis) -> Nemesis {
    nemesis.after(millis(500)).lasting(millis(1500))
}

fn with(bug: Bug) -> Embedded {
    Embedded::default().with(bug)
}

/// Acknowledged adds are on every node after the network heals, whatever the seed.
#[fuzz_dist::test(
    db = "embedded",
    workload = "g_set",
    nemesis = short(majority_minority()),
    time_limit = "2500ms",
    sessions = true,
    seed = 1,
    attempts = 20
)]
async fn without_a_bug_every_run_is_valid(test: Test) -> Outcome {
    test.run().await
}

/// Every fault is seen to act and to be undone: a run in which it did neither is unknown.
#[fuzz_dist::test(
    db = "embedded",
    workload = "g_set",
    nemesis = [
        "none", "majority_minority", "majority_ring", "bridge", "halves", "isolate_node", "isolate_dc",
        "isolate_all", "one_way", "link", "kill", "pause",
        custom(Grudge::none(5).cut(0, 1).cut_both(2, 3)),
    ],
    time_limit = "6s",
    seed = 2
)]
async fn every_fault_acts_and_is_undone(test: Test) -> Outcome {
    test.run().await
}

/// Faults in lanes of their own overlap.
#[fuzz_dist::test(
    db = "embedded",
    workload = "g_set",
    nemesis = short(isolate_node()).and(short(pause())).and(short(one_way())),
    time_limit = "3s",
    seed = 3
)]
async fn overlapping_faults_are_all_undone(test: Test) -> Outcome {
    test.run().await
}

/// So many operations that every node has its bug several times: in every 20th add.
fn many() -> Workload {
    g_set().limit(600)
}

/// Adds that are acknowledged and forgotten are lost.
#[fuzz_dist::test(
    db = with(Bug::LosesAdd),
    workload = many(),
    rate = 400,
    time_limit = "60s",
    quiesce_limit = "4s",
    seed = 4,
    expect = "invalid"
)]
async fn lost_adds_are_found(test: Test) -> Outcome {
    let verdict = test.run().await?;
    found(&verdict, &["lost", "missing"]);
    insta::assert_snapshot!(verdict.summary());
    Ok(verdict)
}

/// A verdict without findings has a summary of its own.
#[fuzz_dist::test(db = "embedded", workload = "g_set", time_limit = "2s", seed = 5)]
async fn a_valid_run_has_a_stable_summary(test: Test) -> Outcome {
    let verdict = test.run().await?;
    insta::assert_snapshot!(verdict.summary());
    Ok(verdict)
}

/// Each bug shows as an anomaly of its own kind.
#[fuzz_dist::test(
    db = [with(Bug::Duplicates), with(Bug::Invents), with(Bug::ResurrectsFailed)],
    workload = many(),
    rate = 400,
    time_limit = "60s",
    quiesce_limit = "1s",
    seed = 6,
    expect = "invalid"
)]
async fn bugs_of_reads_and_writes_are_found(test: Test) -> Outcome {
    let verdict = test.run().await?;
    found(&verdict, &["duplicate", "unexpected", "resurrected"]);
    Ok(verdict)
}

/// A read from an old picture breaks the session of whoever saw more before.
#[fuzz_dist::test(
    db = with(Bug::ReadsStale),
    workload = "g_set",
    time_limit = "4s",
    quiesce_limit = "1s",
    sessions = true,
    seed = 7,
    expect = "invalid"
)]
async fn stale_reads_are_found(test: Test) -> Outcome {
    test.run().await
}

/// What is acknowledged while peers are out of reach and never sent to them is missing there.
#[fuzz_dist::test(
    db = with(Bug::ForgetsPeers),
    workload = "g_set",
    nemesis = short(majority_minority()),
    time_limit = "4s",
    quiesce_limit = "2s",
    seed = 8,
    expect = "invalid"
)]
async fn adds_that_never_reach_peers_are_found(test: Test) -> Outcome {
    let verdict = test.run().await?;
    found(&verdict, &["missing"]);
    Ok(verdict)
}

#[track_caller]
fn found(verdict: &Verdict, kinds: &[&str]) {
    let any = verdict.anomalies.iter().any(|a| kinds.contains(&&*a.kind));
    assert!(any, "none of {kinds:?} in\n{}", verdict.summary());
}

/// A scenario in ordinary async code is recorded and judged all the same.
#[fuzz_dist::test(db = "embedded", workload = "g_set", seed = 9)]
async fn a_scenario_is_recorded_and_judged(test: Test) -> Outcome {
    let cluster = test.start().await?;
    cluster.client("n1").invoke(Add(1)).await?;
    let fault = cluster.inject(bridge()).await?;
    for node in ["n1", "n2", "n3", "n4", "n5"] {
        cluster.client(node).invoke(Read).await?;
    }
    cluster.client("n5").invoke(Add(2)).await?;
    fault.heal().await?;
    cluster.check(fuzz_dist::checker::set_full()).await
}

/// A fault that waits for a moment that never comes, until it is undone.
struct Waits;

impl Fault for Waits {
    type Plan = Hit;

    fn name(&self) -> Name {
        "waits".into()
    }
    fn lead(&self, _: &Facts) -> std::time::Duration {
        secs(60)
    }
    fn plan(&self, _: Targets<'_>, _: &mut Stream) -> Result<Hit, Error> {
        Ok(Hit { shape: "for ever".into(), nodes: Vec::new() })
    }
    async fn start(&self, _: Targets<'_>, _: &Hit) -> Result<Check, Error> {
        std::future::pending().await
    }
    async fn stop(&self, _: Targets<'_>, _: &Hit) -> Result<Check, Error> {
        Ok(Check::seen(true, "undone"))
    }
}

/// A fault's edges stand in their order, each once, and nobody says that it acted.
struct InOrder;

impl Checker for InOrder {
    fn check(&self, history: &History) -> Verdict {
        let of_fault = |i: &usize| &**history.function(*i) == "waits";
        let edge =
            |i: usize| history.value(i).get("edge").and_then(Value::as_text).map(String::from);
        let edges: Vec<String> = (0..history.len()).filter(of_fault).filter_map(edge).collect();
        let status = history.faults().first().map(|fault| fault.status);
        match edges == ["start", "started", "stop", "stopped"] {
            true if status == Some(FaultStatus::Indeterminate) => Verdict::valid("in_order"),
            _ => Verdict::invalid("in_order", format!("{edges:?}, {status:?}")),
        }
    }
}

/// A fault that is armed, never fires, and is undone by the heal has a life in its order all the same.
#[fuzz_dist::test(db = "embedded", workload = "g_set", nodes = 2, seed = 11)]
async fn a_fault_that_never_fired_is_undone_in_order(test: Test) -> Outcome {
    let cluster = test.start().await?;
    cluster.client("n1").invoke(Add(1)).await?;
    drop(cluster.arm(Nemesis::of(Waits)).await?);
    cluster.client("n2").invoke(Add(2)).await?;
    cluster.check(InOrder).await
}

/// A checker of one's own judges beside those of the workload.
struct SomebodyAdded;

impl Checker for SomebodyAdded {
    fn check(&self, history: &History) -> Verdict {
        match history.find_function("add") {
            Some(_) => Verdict::valid("somebody_added"),
            None => Verdict::invalid("somebody_added", "no client added anything"),
        }
    }
}

/// Checkers may be given by expression, and count.
#[fuzz_dist::test(
    db = "embedded",
    workload = "g_set",
    checker = SomebodyAdded,
    time_limit = "1s",
    nodes = 3,
    seed = 10
)]
async fn a_checker_of_ones_own_is_asked(test: Test) -> Outcome {
    let verdict = test.run().await?;
    assert!(verdict.part("somebody_added").is_some_and(Verdict::is_valid));
    Ok(verdict)
}

fuzz_dist::main!();
