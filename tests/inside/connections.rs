//! Connections dropped, refused, and full.

use super::{Judge, app, app_that_never_looks, call, ends, eventually, set};
use fuzz_dist::beam::{Atom, Term};
use fuzz_dist::prelude::*;

/// Does this node see the other one of two?
async fn sees(cluster: &Cluster, node: &str) -> bool {
    let nodes = call(cluster, node, ("erlang", "nodes"), args![]).await;
    matches!(nodes, Term::List(nodes) if !nodes.is_empty())
}

async fn together(cluster: &Cluster) {
    eventually("both nodes see each other", async || {
        sees(cluster, "n1").await && sees(cluster, "n2").await
    })
    .await;
}

/// A dropped connection stays dropped for as long as nobody makes it again: not the harness, not
/// Erlang, only the application, here by hand.
#[fuzz_dist::test(db = app_that_never_looks(), workload = set(), nodes = 2, seed = 1)]
async fn a_dropped_connection_is_left_to_the_application(test: Test) -> Outcome {
    let cluster = test.start().await?;
    together(&cluster).await;
    // What nodes say to each other where they meet (`global`, `pg`) would connect them again.
    for node in ["n1", "n2"] {
        assert!(call(&cluster, node, ("global", "sync"), args![]).await.is_atom("ok"));
    }
    tokio::time::sleep(secs(1)).await;
    let fault = cluster.inject(blip()).await?;
    let apart = async || !sees(&cluster, "n1").await && !sees(&cluster, "n2").await;
    // The node at the other end hears of it a little later.
    eventually("neither sees the other", apart).await;
    // Longer than the harness, the agent and `global` take to look after anything.
    for _ in 0..20 {
        assert!(apart().await);
        tokio::time::sleep(millis(200)).await;
    }
    // Its end undoes nothing, and says so.
    fault.heal().await?;
    assert!(apart().await);
    let connects = args![Atom::from("app@n2")];
    assert!(call(&cluster, "n1", ("net_kernel", "connect_node"), connects).await.is_atom("true"));
    together(&cluster).await;
    let judge = Judge(|history| {
        let evidence: Vec<_> = history.faults().into_iter().flat_map(|f| f.evidence).collect();
        let evidence_text = format!("{evidence:?}");
        let ups = (0..history.len()).filter(|i| &**history.function(*i) == "nodeup").count();
        match evidence_text.contains("the application") && ups == 2 {
            true => Ok(()),
            false => Err(format!("{ups} nodeups, evidence {evidence_text}")),
        }
    });
    ends(cluster.checker(judge), &["nodedown", "nodeup"]).await
}

/// An application that looks for its peers takes it up again, within the second that this one waits.
#[fuzz_dist::test(db = app(), workload = set(), nodes = 2, seed = 1)]
async fn a_dropped_connection_is_taken_up_by_an_application_that_looks(test: Test) -> Outcome {
    let cluster = test.start().await?;
    together(&cluster).await;
    let fault = cluster.inject(blip()).await?;
    together(&cluster).await;
    fault.heal().await?;
    ends(cluster, &["nodedown", "nodeup"]).await
}

/// A node that is refused cannot come back as long as the fault lasts, and comes back when it has
/// ended: the application looks for it every second.
#[fuzz_dist::test(db = app(), workload = set(), nodes = 2, seed = 1)]
async fn refused_connections_come_back(test: Test) -> Outcome {
    let cluster = test.start().await?;
    for refusal in [wrong_cookie(), disallow()] {
        together(&cluster).await;
        let fault = cluster.inject(refusal).await?;
        let apart = async || !sees(&cluster, "n1").await && !sees(&cluster, "n2").await;
        eventually("neither sees the other", apart).await;
        // Longer than the application takes to look for its peer again, and again.
        for _ in 0..12 {
            assert!(apart().await);
            tokio::time::sleep(millis(200)).await;
        }
        fault.heal().await?;
        together(&cluster).await;
    }
    ends(cluster, &["nodedown", "nodeup"]).await
}

/// While a connection's buffer is full, who sends there stands still, and the runtime says so; when
/// the fault has ended, it goes on. Nobody takes anybody for dead meanwhile.
#[fuzz_dist::test(db = app(), workload = set(), nodes = 2, seed = 1)]
async fn a_busy_connection_blocks_its_senders(test: Test) -> Outcome {
    let cluster = test.start().await?;
    together(&cluster).await;
    let sends = async |from, to: &str| {
        let to = Atom::from(format!("app@{to}"));
        call(&cluster, from, ("inside", "block_on"), args![to]).await.to_string()
    };
    let fault = cluster.inject(busy_dist()).await?;
    let mut both = [sends("n1", "n2").await, sends("n2", "n1").await];
    both.sort();
    assert_eq!(both, ["blocked", "sent"]);
    // Longer than net_ticktime.
    tokio::time::sleep(millis(4500)).await;
    assert!(sees(&cluster, "n1").await && sees(&cluster, "n2").await);
    fault.heal().await?;
    assert_eq!([sends("n1", "n2").await, sends("n2", "n1").await], ["sent", "sent"]);
    ends(cluster, &["busy_dist_port"]).await
}

/// Without its port mapper a node cannot be found, and with the next one it can.
#[fuzz_dist::test(db = app(), workload = set(), nodes = 2, seed = 1)]
async fn a_killed_port_mapper_is_missed_and_replaced(test: Test) -> Outcome {
    let cluster = test.start().await?;
    together(&cluster).await;
    let found = async |node: &str| {
        let at = fuzz_dist::beam::charlist(node);
        let found = args![fuzz_dist::beam::charlist("app"), at];
        let asked = if node == "n1" { "n2" } else { "n1" };
        call(&cluster, asked, ("erl_epmd", "port_please"), found).await.to_string()
    };
    let fault = cluster.inject(kill_epmd()).await?;
    let both = [found("n1").await, found("n2").await];
    assert!(both.contains(&"noport".into()), "{both:?}");
    assert!(both.iter().any(|found| found.starts_with("{port")), "{both:?}");
    assert!(sees(&cluster, "n1").await && sees(&cluster, "n2").await);
    fault.heal().await?;
    let both = [found("n1").await, found("n2").await];
    assert!(both.iter().all(|found| found.starts_with("{port")), "{both:?}");
    ends(cluster, &[]).await
}
