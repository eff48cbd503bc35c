//! Samples of the nodes of a run.

use super::{app, call, eventually, set};
use fuzz_dist::history::History;
use fuzz_dist::nemesis::memory_pressure_of;
use fuzz_dist::op::{Phase, Process};
use fuzz_dist::prelude::*;

/// None of it is in the history.
struct KeptApart;

impl Checker for KeptApart {
    fn check(&self, history: &History) -> Verdict {
        let said = (0..history.len()).filter(|i| history.process(*i) == Process::RUNTIME);
        let numbers = |i: &usize| history.value(*i).get("run_queue").is_some();
        match said.filter(numbers).count() {
            0 => Verdict::valid("kept_apart"),
            n => Verdict::invalid("kept_apart", format!("{n} samples are in the history")),
        }
    }
}

/// Every node is sampled in every phase that lasts, also after it was started again, and a memory that
/// is held for a while shows as the greatest one of its node.
#[fuzz_dist::test(db = app(false), workload = set(), nodes = 2, samples = "100ms", seed = 1)]
async fn nodes_say_how_they_are_doing(test: Test) -> Outcome {
    let cluster = test.start().await?;
    let samples = cluster.samples();
    let spread = |node: &str, what: &str| {
        let of = |s: &fuzz_dist::history::Spread| s.node == node && &*s.what == what;
        samples.spreads().into_iter().find(|s| of(s) && s.phase == Phase::Main)
    };
    let count = |node: &str| spread(node, "run_queue").map_or(0, |s| s.count);
    eventually("both nodes are sampled", async || count("n1") > 3 && count("n2") > 3).await;
    let fault = cluster.inject(memory_pressure_of(64)).await?;
    eventually("the memory that is held shows", async || {
        ["n1", "n2"]
            .iter()
            .any(|n| spread(n, "memory_total").is_some_and(|s| s.max - s.min > 60_000_000))
    })
    .await;
    fault.heal().await?;
    let fault = cluster.inject(kill()).await?;
    fault.heal().await?;
    let before = (count("n1"), count("n2"));
    eventually("both are sampled again", async || {
        count("n1") > before.0 + 3 && count("n2") > before.1 + 3
    })
    .await;
    assert!(spread("n1", "reductions_per_s").is_some_and(|s| s.min >= 0));
    call(&cluster, "n1", ("erlang", "node"), args![]).await;
    cluster.client("n1").invoke(Add(1)).await?;
    let summary = samples.summary().expect("nodes were sampled");
    assert!(summary["nodes"]["n2"]["main"]["processes"]["median"].as_i64() > Some(20), "{summary}");
    cluster.checker(KeptApart).check(fuzz_dist::checker::set_full()).await
}

/// Nobody is sampled where nobody wants it.
#[fuzz_dist::test(db = app(false), workload = set(), nodes = 2, samples = "0s", seed = 1)]
async fn samples_can_be_left_out(test: Test) -> Outcome {
    let cluster = test.start().await?;
    let sampler = args![fuzz_dist::beam::atom("fuzz_dist_sampler")];
    assert!(call(&cluster, "n1", ("erlang", "whereis"), sampler).await.is_atom("undefined"));
    assert_eq!(cluster.samples().summary(), None);
    cluster.client("n1").invoke(Add(1)).await?;
    cluster.check(fuzz_dist::checker::set_full()).await
}
