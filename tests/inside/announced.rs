//! Faults announced inside of the nodes.

use super::{app, call, ends, eventually, set, sources};
use fuzz_dist::prelude::*;

/// The application with a module that stands in for `telemetry`.
fn app_with_telemetry() -> ErlangApp {
    let telemetry = format!("{}/tests/inside/telemetry.erl", env!("CARGO_MANIFEST_DIR"));
    ErlangApp::new("inside", sources().into_iter().chain([telemetry]))
        .net_ticktime(4)
        .start("telemetry:run(), pg_set:start(#{peers => Peers, exchange => true}), inside:start()")
}

/// Without telemetry, the node's log events carry the fault as long as it acts.
#[fuzz_dist::test(db = app(), workload = set(), nodes = 2, seed = 1)]
async fn logs_carry_the_fault_while_it_acts(test: Test) -> Outcome {
    let cluster = test.start().await?;
    let carried = async |node| {
        let carried = call(&cluster, node, ("inside", "carried"), args![]).await;
        carried.to_string().contains("suspend_process inside_worker")
    };
    let fault = cluster.inject(suspend_process("inside_worker")).await?;
    eventually("both nodes know of the fault", async || carried("n1").await && carried("n2").await)
        .await;
    fault.heal().await?;
    eventually("both know that it has ended", async || {
        !carried("n1").await && !carried("n2").await
    })
    .await;
    ends(cluster, &[]).await
}

/// With it, its start and its stop are events.
#[fuzz_dist::test(db = app_with_telemetry(), workload = set(), nodes = 2, seed = 1)]
async fn telemetry_gets_its_start_and_its_stop(test: Test) -> Outcome {
    let cluster = test.start().await?;
    let executed = async |edge: &str| {
        let all = call(&cluster, "n2", ("telemetry", "executed"), args![]).await.to_string();
        all.contains(&format!("[fuzz_dist,trouble,{edge}]")) && all.contains("trouble =>")
    };
    assert!(!executed("start").await);
    let fault = cluster.inject(suspend_process("inside_worker")).await?;
    eventually("the event of the start", async || executed("start").await).await;
    assert!(!executed("stop").await);
    fault.heal().await?;
    eventually("the event of the stop", async || executed("stop").await).await;
    ends(cluster, &[]).await
}
