//! `stop = "first_anomaly"`: a run ends when an anomaly is certain.

use std::fs;

use fuzz_dist::checker::{Anomaly, Online};
use fuzz_dist::embedded::Bug;
use fuzz_dist::generator::{Generator, repeat};
use fuzz_dist::history::History;
use fuzz_dist::op::{Event, Invocation};
use fuzz_dist::prelude::*;
use fuzz_dist::store::{Store, root};

use super::{found, many, with};

/// The history says why it ended.
struct EndedEarly(bool);

impl Checker for EndedEarly {
    fn check(&self, history: &History) -> Verdict {
        let why = history.meta("ended_early").map(ToString::to_string).unwrap_or_default();
        let read = (0..history.len()).any(|i| history.phase(i) == fuzz_dist::op::Phase::Final);
        match (why.contains("first certain anomaly"), read) {
            (true, false) if self.0 => Verdict::valid("ended_early"),
            (false, true) if !self.0 => Verdict::valid("ended_early"),
            _ => Verdict::invalid("ended_early", format!("{why:?}, final reads: {read}")),
        }
    }
}

/// Reads show elements that no client added: the first one ends the run, long before its time limit.
#[fuzz_dist::test(
    db = with(Bug::Invents),
    workload = "g_set",
    checker = EndedEarly(true),
    rate = 400,
    nodes = 3,
    time_limit = "5m",
    stop = "first_anomaly",
    seed = 20,
    expect = "invalid"
)]
async fn the_first_certain_anomaly_ends_a_run(test: Test) -> Outcome {
    let verdict = test.run().await?;
    found(&verdict, &["unexpected"]);
    assert!(verdict.part("ended_early").is_some_and(Verdict::is_valid), "{}", verdict.summary());
    let store = Store::latest(&root(), "stopped::the_first_certain_anomaly_ends_a_run")?;
    for node in ["n1", "n2", "n3"] {
        let state = fs::read_to_string(store.dir().join(format!("state/{node}.json")))?;
        assert!(state.contains("\"running\": true") && state.contains("\"pid\""), "{state}");
    }
    Ok(verdict)
}

/// Without an anomaly the option changes nothing.
#[fuzz_dist::test(
    db = "embedded",
    workload = "g_set",
    checker = EndedEarly(false),
    nodes = 2,
    time_limit = "1s",
    stop = "first_anomaly",
    seed = 21
)]
async fn a_run_without_an_anomaly_comes_to_its_end(test: Test) -> Outcome {
    test.run().await
}

/// A test whose checkers all need the whole history cannot stop at an anomaly, and says so.
#[fuzz_dist::test(db = "embedded", nodes = 2, stop = "first_anomaly", seed = 22)]
async fn somebody_has_to_judge_while_the_run_goes_on(test: Test) -> Outcome {
    let reads = |_| repeat(Invocation::new("read", ())).boxed();
    let running = test
        .workload(Workload::new("g_set", ["read"], reads).read(Invocation::new("read", ())))
        .start()
        .await?;
    let refused = running.main_phase().await.expect_err("nobody judges").to_string();
    assert!(refused.contains("none of this test's can"), "{refused}");
    running.client("n1").invoke(Add(1)).await?;
    running.client("n2").invoke(Read).await?;
    running.check(fuzz_dist::checker::set_full()).await
}

/// Judges nothing, and panics while the run goes on.
struct Panics;

impl Checker for Panics {
    fn check(&self, _: &History) -> Verdict {
        Verdict::valid("panics")
    }
    fn online(&self, _: &History) -> Option<Box<dyn Online>> {
        Some(Box::new(Panics))
    }
}

impl Online for Panics {
    fn observe(&mut self, _: usize, _: &Event) -> Option<Anomaly> {
        panic!("out of cheese")
    }
}

/// A checker that panics while the run goes on makes the run unknown, and the others judge on.
#[fuzz_dist::test(
    db = "embedded",
    workload = many(),
    checker = Panics,
    nodes = 2,
    time_limit = "1s",
    stop = "first_anomaly",
    seed = 23,
    unknown = "warn"
)]
async fn a_checker_that_panics_online_makes_the_run_unknown(test: Test) -> Outcome {
    let verdict = test.run().await?;
    let named =
        verdict.reasons.iter().any(|r| r.contains("`Online::observe` of `Panics` panicked"));
    assert!(named, "{:?}", verdict.reasons);
    Ok(verdict)
}
