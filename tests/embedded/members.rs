//! Nodes join and leave a real cluster while operations go on and the network is cut.

use std::collections::BTreeMap;

use fuzz_dist::checker::power;
use fuzz_dist::embedded::Bug;
use fuzz_dist::error::ErrorKind;
use fuzz_dist::grudge::Grudge;
use fuzz_dist::history::{FaultStatus, History, MemberState};
use fuzz_dist::nemesis::{custom, grow, kill, shrink};
use fuzz_dist::op::{Kind, NodeId, Phase};
use fuzz_dist::prelude::*;

use super::{found, with};

/// Of three nodes the first leaves; a fourth joins before. Each is a client's node as long as it takes part, and
/// no longer.
struct FourthForFirst;

impl Checker for FourthForFirst {
    fn check(&self, history: &History) -> Verdict {
        use MemberState::{Joining, Leaving, Left, Member};
        let wrong = |why: String| Verdict::invalid("fourth_for_first", why);
        let changes: Vec<(&str, MemberState)> = history
            .member_changes()
            .iter()
            .map(|change| (history.node_name(change.node), change.state))
            .collect();
        let expected = [("n4", Joining), ("n4", Member), ("n1", Leaving), ("n1", Left)];
        if changes != expected || history.members() != [1, 2, 3].map(NodeId) {
            return wrong(format!("{changes:?}, members {:?}", history.members()));
        }
        let at = |i: usize| history.member_changes()[i].event;
        let mut ok: BTreeMap<(&str, Phase), usize> = BTreeMap::new();
        for i in (0..history.len()).filter(|i| history.process(*i).is_client()) {
            let node = history.node_name(history.node(i).unwrap());
            match (node, history.kind(i)) {
                ("n1", Kind::Invoke) if i > at(3) => {
                    return wrong(format!("event {i} asks n1, which left at event {}", at(3)));
                }
                ("n4", _) if i < at(1) => {
                    return wrong(format!("event {i} asks n4, which joins at event {}", at(1)));
                }
                (node, Kind::Ok) => *ok.entry((node, history.phase(i))).or_default() += 1,
                _ => {}
            }
        }
        let worked = |node: &str, phase: Phase| ok.contains_key(&(node, phase));
        let idle = |n: &&&str| !worked(n, Phase::Main) || !worked(n, Phase::Final);
        match ["n2", "n3", "n4"].iter().find(idle) {
            Some(node) => wrong(format!("{node} did not serve: {ok:?}")),
            None if worked("n1", Phase::Final) => wrong("n1 gave a final read".into()),
            None => Verdict::valid("fourth_for_first"),
        }
    }
}

/// While n3 is apart from the others, a node joins and another one leaves.
async fn fourth_for_first(test: Test) -> Outcome {
    let running = test.nodes(3).concurrency(6).start().await?;
    let cluster = running.clone();
    let changes = async {
        tokio::time::sleep(millis(400)).await;
        let third_alone = Grudge::complete(3, &[vec![0, 1], vec![2]]);
        let apart = cluster.inject(custom(third_alone)).await?;
        let new = cluster.join().await?;
        assert_eq!((new.name(), new.id(), new.state()), ("n4", NodeId(3), MemberState::Member));
        // On a busy machine the main phase may be over by now.
        cluster.client("n4").invoke(Read).await?;
        tokio::time::sleep(millis(700)).await;
        cluster.leave("n1").await?;
        assert!(cluster.find("n1").is_none() && cluster.nodes().len() == 3);
        cluster.leave("n1").await?;
        apart.heal().await
    };
    let (main, changed) = tokio::join!(running.main_phase(), changes);
    main.and(changed)?;
    running.check(FourthForFirst).await
}

/// Without a bug, who joins has everything, and who leaves takes nothing along.
#[fuzz_dist::test(db = "embedded", workload = "g_set", time_limit = "4s", seed = 12)]
async fn a_node_joins_during_a_partition_and_another_leaves(test: Test) -> Outcome {
    fourth_for_first(test).await
}

/// A node that never gets what was there before it joined is found by its final read.
#[fuzz_dist::test(
    db = with(Bug::ForgetsJoiners),
    workload = "g_set",
    time_limit = "4s",
    quiesce_limit = "2s",
    seed = 12,
    expect = "invalid"
)]
async fn a_joiner_without_what_was_there_before_is_found(test: Test) -> Outcome {
    let verdict = fourth_for_first(test).await?;
    found(&verdict, &["missing"]);
    let on_n4 = |a: &fuzz_dist::checker::Anomaly| a.node == Some(NodeId(3));
    assert!(verdict.anomalies.iter().all(on_n4), "{:#?}", verdict.anomalies);
    assert!(verdict.part("fourth_for_first").is_some_and(Verdict::is_valid));
    Ok(verdict)
}

/// Every change took effect, and as many nodes are members as at the start.
struct AsManyAsBefore;

impl Checker for AsManyAsBefore {
    fn check(&self, history: &History) -> Verdict {
        let faults = history.faults();
        let changed = |name: &str| {
            let of_name = faults.iter().filter(|f| &*f.name == name);
            of_name.filter(|f| f.status == FaultStatus::Installed).count()
        };
        let (grown, shrunk) = (changed("grow"), changed("shrink"));
        let members = history.members();
        match grown > 0 && shrunk > 0 && members.len() == 3 && !members.contains(&NodeId(3)) {
            true => Verdict::valid("as_many_as_before"),
            false => {
                let why = format!("{grown} grown, {shrunk} shrunk, members {members:?}");
                Verdict::invalid("as_many_as_before", why)
            }
        }
    }
}

/// The cluster grows and shrinks as any other fault acts and is undone; at the end it is as large as before.
#[fuzz_dist::test(db = "embedded", workload = "g_set", time_limit = "3s", seed = 13)]
async fn the_cluster_grows_and_shrinks(test: Test) -> Outcome {
    let running = test.nodes(3).concurrency(6).start().await?;
    let cluster = running.clone();
    let changes = async {
        for change in [grow(), shrink()] {
            let changed = cluster.inject(change).await?;
            tokio::time::sleep(millis(300)).await;
            changed.heal().await?;
        }
        Ok(())
    };
    let (main, changed) = tokio::join!(running.main_phase(), changes);
    main.and(changed)?;
    running.check(AsManyAsBefore).await
}

/// Kills hit who is a member then; one that is down leaves, and is not started again.
#[fuzz_dist::test(db = "embedded", workload = "g_set", nodes = 3, concurrency = 9, seed = 14)]
async fn a_node_that_is_killed_can_leave(test: Test) -> Outcome {
    let cluster = test.start().await?;
    for node in ["n1", "n2", "n3"] {
        cluster.client(node).invoke(Add(i64::from(node.as_bytes()[1]))).await?;
    }
    cluster.join().await?;
    cluster.client("n4").invoke(Read).await?;
    let killed = cluster.inject(kill()).await?;
    let nodes = cluster.nodes();
    let down = nodes.iter().find(|node| !node.is_running()).expect("one is down");
    // It cannot hand over what it has: the database does not let it go.
    let refused = cluster.leave(down.name()).await.unwrap_err();
    assert!(refused.to_string().contains("could not leave"), "{refused}");
    assert_eq!(down.state(), MemberState::Leaving);
    killed.heal().await?;
    cluster.leave(down.name()).await?;
    assert!(down.state() == MemberState::Left && cluster.nodes().len() == 3);
    cluster.check(power()).await
}

/// A node without a client would never be tested.
#[fuzz_dist::test(db = "embedded", workload = "g_set", nodes = 2, concurrency = 2, seed = 15)]
async fn a_node_without_a_client_is_refused(test: Test) -> Outcome {
    let cluster = test.start().await?;
    let error = cluster.join().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("raise `concurrency` from 2"), "{error}");
    cluster.client("n1").invoke(Add(1)).await?;
    cluster.leave("n2").await?;
    let error = cluster.leave("n1").await.unwrap_err().to_string();
    assert!(error.contains("n1 is the last node"), "{error}");
    cluster.join().await?;
    cluster.client("n3").invoke(Read).await?;
    cluster.check(power()).await
}
