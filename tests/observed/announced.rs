//! Operations announced inside of the nodes: under the numbers that they have in history and traces.

use std::collections::BTreeMap;

use super::{app, call, eventually, set};
use fuzz_dist::beam::Term;
use fuzz_dist::history::History;
use fuzz_dist::op::Kind;
use fuzz_dist::prelude::*;
use fuzz_dist::run::options::Announce;

/// What the history says of every operation: its number, and `function outcome span trace` on its node.
type Operations = BTreeMap<(String, i64), String>;

/// Gives them as a result, for a look at the nodes, which checkers cannot have.
struct Keep;

impl Checker for Keep {
    fn check(&self, history: &History) -> Verdict {
        let mut kept = Vec::new();
        for i in (0..history.len()).filter(|i| history.kind(*i) == Kind::Invoke) {
            let Some(node) = history.node(i).filter(|_| history.process(i).is_client()) else {
                continue;
            };
            let outcome = history.completion(i).map_or("none", |c| history.kind(c).as_str());
            let span = history.span_of_event(i).unwrap_or(0);
            let trace = history.trace_id();
            let line = format!("{} {outcome} {span:016x} {trace}", history.function(i));
            kept.push(((history.node_name(node).to_string(), i as i64), line));
        }
        Verdict::valid("keep").with("operations", kept)
    }
}

/// What a node's telemetry got, in the same form; of an operation without an end `none`.
async fn received(cluster: &Cluster, node: &str) -> Operations {
    let mut received = Operations::new();
    let executed = call(cluster, node, ("telemetry", "executed"), args![]).await;
    for entry in executed.as_list().unwrap_or_default() {
        let Some([event, Term::Map(data)]) = entry.as_tuple() else { panic!("{entry}") };
        let event = event.to_string();
        if !event.starts_with("[fuzz_dist,operation,") {
            continue;
        }
        let get = |key: &'static str| data.get(&fuzz_dist::beam::atom(key));
        let text = |key| get(key).and_then(Term::as_text).unwrap_or_default();
        let id = get("id").and_then(Term::as_i64).expect("operations have numbers");
        let outcome = get("outcome").map_or("none".into(), Term::to_string);
        let line =
            format!("{} {outcome} {} {}", text("function"), text("span_id"), text("trace_id"));
        let former = received.insert((node.to_string(), id), line);
        // A start comes before its stop, and each comes once.
        assert_eq!(former.is_some(), event.contains("stop"), "{entry}");
    }
    received
}

/// All operations of a run, no more and no less, are announced on the node that they were sent to.
#[fuzz_dist::test(
    db = app(true),
    workload = set(),
    nodes = 2,
    rate = 200,
    time_limit = "2s",
    announce = "operations",
    seed = 1
)]
async fn telemetry_gets_every_operation(test: Test) -> Outcome {
    let running = test.start().await?;
    let cluster = Cluster::clone(&running);
    running.client("n2").invoke(Add(1_000_000)).await?;
    running.main_phase().await?;
    let verdict = running.check(Keep).await?;
    let kept = &verdict.part("keep").expect("its verdict").results["operations"];
    let kept = kept.as_array().expect("a list").iter().map(|entry| {
        let node = entry[0][0].as_str().expect("a node").to_string();
        let number = entry[0][1].as_i64().expect("a number");
        ((node, number), entry[1].as_str().expect("a text").to_string())
    });
    let kept = Operations::from_iter(kept);
    assert!(kept.len() > 100, "{}", kept.len());
    eventually("both nodes got all of it", async || {
        let mut all = received(&cluster, "n1").await;
        all.extend(received(&cluster, "n2").await);
        all == kept
    })
    .await;
    Ok(verdict)
}

/// By default faults alone are announced to nodes, and nothing where nobody wants it.
#[fuzz_dist::test(db = app(true), workload = set(), nodes = 2, seed = 1)]
async fn operations_are_announced_on_request(test: Test) -> Outcome {
    let cluster = test.start().await?;
    cluster.client("n1").invoke(Add(1)).await?;
    let fault = cluster.inject(pause()).await?;
    fault.heal().await?;
    eventually("both got the fault", async || {
        let mut all = true;
        for node in ["n1", "n2"] {
            let executed = call(&cluster, node, ("telemetry", "executed"), args![]).await;
            all &= executed.to_string().contains("[fuzz_dist,trouble,stop]");
        }
        all
    })
    .await;
    assert!(received(&cluster, "n1").await.is_empty());
    cluster.check(fuzz_dist::checker::set_full()).await
}

/// Where nothing is announced, nobody is there who could.
#[fuzz_dist::test(db = app(true), workload = set(), nodes = 2, seed = 1)]
async fn nothing_is_announced_where_nobody_wants_it(test: Test) -> Outcome {
    let test = test.announce(Announce::Nothing);
    let cluster = test.start().await?;
    cluster.client("n1").invoke(Add(1)).await?;
    cluster.inject(suspend_process("pg")).await?.heal().await?;
    let announcer = args![fuzz_dist::beam::atom("fuzz_dist_announcer")];
    assert!(call(&cluster, "n1", ("erlang", "whereis"), announcer).await.is_atom("undefined"));
    cluster.check(fuzz_dist::checker::set_full()).await
}
