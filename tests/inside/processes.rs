//! Processes killed and suspended, code purged.

use super::{app, call, ends, eventually, set};
use fuzz_dist::history::History;
use fuzz_dist::prelude::*;

async fn pid(cluster: &Cluster, name: &str) -> String {
    let name = fuzz_dist::beam::Atom::from(name);
    call(cluster, "n1", ("erlang", "whereis"), args![name]).await.to_string()
}

/// A process that is killed ends, and its supervisor starts another one, whether it was chosen by
/// its name or by chance.
#[fuzz_dist::test(db = app(), workload = set(), nodes = 2, seed = 1)]
async fn killed_processes_end_and_come_back(test: Test) -> Outcome {
    let cluster = test.start().await?;
    // There are two nodes that the fault may choose.
    for _ in 0..2 {
        for kill in [kill_process("inside_worker"), kill_child()] {
            let workers = async || {
                let name = || args![fuzz_dist::beam::atom("inside_worker")];
                let n1 = call(&cluster, "n1", ("erlang", "whereis"), name()).await;
                (n1, call(&cluster, "n2", ("erlang", "whereis"), name()).await)
            };
            let before = workers().await;
            let fault = cluster.inject(kill).await?;
            eventually("another worker in place of the killed one", async || {
                let now = workers().await;
                let alive = now.0.as_pid().is_some() && now.1.as_pid().is_some();
                alive && now != before
            })
            .await;
            fault.heal().await?;
        }
    }
    ends(cluster, &["log"]).await
}

/// A process that is suspended answers nobody, and answers again when the fault has ended.
#[fuzz_dist::test(db = app(), workload = set(), nodes = 2, seed = 1)]
async fn suspended_processes_stand_still_and_go_on(test: Test) -> Outcome {
    let cluster = test.start().await?;
    let ask = async |node| call(&cluster, node, ("inside", "ask"), args![]).await.to_string();
    let fault = cluster.inject(suspend_process("inside_worker")).await?;
    let answers = [ask("n1").await, ask("n2").await];
    assert!(answers.contains(&"silent".into()), "{answers:?}");
    assert!(answers.contains(&"answered".into()), "{answers:?}");
    fault.heal().await?;
    assert_eq!([ask("n1").await, ask("n2").await], ["answered", "answered"]);
    let nobody = cluster.inject(suspend_process("inside_nobody")).await;
    assert!(nobody.is_err_and(|e| e.to_string().contains("did not take effect")));
    ends(cluster, &[]).await
}

/// Elixir's names are as in its code, for faults as for calls; one that fits nobody is named.
#[fuzz_dist::test(db = app(), workload = set(), nodes = 1, seed = 1)]
async fn names_of_elixir_are_found(test: Test) -> Outcome {
    let cluster = test.start().await?;
    let cart = async || pid(&cluster, "Elixir.Inside.Cart").await;
    assert!(cart().await.starts_with('<'));
    cluster.inject(suspend_process("Inside.Cart")).await?.heal().await?;
    cluster.inject(kill_process("Inside.Cart")).await?.heal().await?;
    assert_eq!(cart().await, "undefined");
    let nobody = cluster.inject(kill_process("Inside.Cart")).await;
    assert!(nobody.is_err_and(|e| e.to_string().contains("'Elixir.Inside.Cart'")));
    cluster.client("n1").invoke(Add(1)).await?;
    cluster.check(fuzz_dist::checker::set_full()).await
}

/// A node that is killed and started again is observed again: its agent says so, from another
/// incarnation.
#[fuzz_dist::test(db = app(), workload = set(), nodes = 2, seed = 1)]
async fn the_agent_is_back_after_a_restart(test: Test) -> Outcome {
    let cluster = test.start().await?;
    let fault = cluster.inject(kill()).await?;
    fault.heal().await?;
    let back = async |node| {
        let agent = fuzz_dist::beam::atom("fuzz_dist_agent");
        let agent = call(&cluster, node, ("erlang", "whereis"), args![agent]).await;
        agent.as_pid().is_some()
    };
    eventually("an agent on either node", async || back("n1").await && back("n2").await).await;
    ends(cluster.checker(ObservedAgain), &[]).await
}

/// Did some node say twice that it is observed, as another incarnation?
struct ObservedAgain;

impl Checker for ObservedAgain {
    fn check(&self, history: &History) -> Verdict {
        let events = (0..history.len()).filter(|i| &**history.function(*i) == "observed");
        let incarnations = events.filter_map(|i| {
            let incarnation = history.view(i)?.get("incarnation")?.as_text()?.to_string();
            Some((history.node(i), incarnation))
        });
        match incarnations.collect::<std::collections::BTreeSet<_>>().len() {
            3 => Verdict::valid("observed_again"),
            n => Verdict::invalid("observed_again", format!("{n} incarnations, not 3")),
        }
    }
}

/// Purging a module kills who lingers in its former code, and nobody else.
#[fuzz_dist::test(db = app(), workload = set(), nodes = 1, seed = 1)]
async fn purged_code_takes_who_lingers_there(test: Test) -> Outcome {
    let cluster = test.start().await?;
    let worker = pid(&cluster, "inside_worker").await;
    assert!(pid(&cluster, "inside_lingers").await.starts_with("<"));
    let answer = async || call(&cluster, "n1", ("inside", "ask"), args![]).await.to_string();
    assert_eq!(answer().await, "answered");
    let fault = cluster.inject(purge_module("inside")).await?;
    assert_eq!(pid(&cluster, "inside_lingers").await, "undefined");
    fault.heal().await?;
    eventually("the worker, or another one", async || answer().await == "answered").await;
    assert_ne!(pid(&cluster, "inside_worker").await, worker, "it waited in the former code");
    let unknown = cluster.inject(purge_module("inside_unknown")).await;
    assert!(unknown.is_err_and(|e| e.to_string().contains("did not take effect")));
    cluster.client("n1").invoke(Add(1)).await?;
    cluster.check(fuzz_dist::checker::set_full()).await
}
