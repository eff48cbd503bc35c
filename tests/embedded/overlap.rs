//! Faults that overlap, and callers that go away, on a real cluster: everything is undone and proved.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use fuzz_dist::client::DynClient;
use fuzz_dist::embedded::Embedded;
use fuzz_dist::history::{FaultStatus, History};
use fuzz_dist::nemesis::{
    bridge, halves, isolate_node, kill, link, majority_minority, one_way, pause,
};
use fuzz_dist::prelude::*;
use fuzz_dist::random::{Seed, Stream};
use fuzz_dist::run::Running;

/// So many seeds in each of four trials: 200 together.
const SEEDS: u64 = 50;

/// Every fault was seen undone, and at least so many acted.
struct AllUndone(usize);

impl Checker for AllUndone {
    fn check(&self, history: &History) -> Verdict {
        let faults = history.faults();
        let wrong: Vec<String> = faults.iter().filter_map(|f| f.not_undone()).collect();
        let acted = faults.iter().filter(|f| f.status == FaultStatus::Installed).count();
        if !wrong.is_empty() || history.heal_proved() != Some(true) {
            return Verdict::invalid("all_undone", format!("not undone: {wrong:#?}"));
        }
        match acted >= self.0 {
            true => Verdict::valid("all_undone"),
            false => Verdict::invalid("all_undone", format!("{acted} of {} acted", faults.len())),
        }
    }
}

fn any_fault(random: &mut Stream) -> Nemesis {
    match random.index(10) {
        0 => majority_minority(),
        1 => bridge(),
        2 => halves(),
        3 => isolate_node(),
        4 => one_way(),
        5 => kill(),
        6 | 7 => pause(),
        _ => link(),
    }
}

/// One fault from beginning to end at random moments. Its caller may go away on the way.
async fn lane(cluster: &Running, mut random: Stream) {
    let fault = any_fault(&mut random);
    let (before, while_it_acts) = (millis(random.below(25)), millis(random.below(40)));
    let patience = random.chance(0.4).then(|| millis(random.below(60)));
    let life = async {
        tokio::time::sleep(before).await;
        // One that finds its nodes gone already does not act; that is no mistake.
        let Ok(fault) = cluster.inject(fault).await else { return };
        tokio::time::sleep(while_it_acts).await;
        // Where it was not undone, the history says so.
        let _ = fault.heal().await;
    };
    match patience {
        Some(patience) => drop(tokio::time::timeout(patience, life).await),
        None => life.await,
    }
}

/// Three to five faults at once, again and again.
async fn overlapping(cluster: &Running, seed: u64) {
    let mut random = Seed(seed).stream("overlap");
    let lanes: Vec<Stream> = (0..3 + random.index(3))
        .map(|lane| Seed(seed).stream(&format!("overlap/{lane}")))
        .collect();
    let mut running: Vec<Pin<Box<dyn Future<Output = ()> + Send + '_>>> = Vec::new();
    for random in lanes {
        running.push(Box::pin(lane(cluster, random)));
    }
    std::future::poll_fn(|context| {
        running.retain_mut(|lane| lane.as_mut().poll(context).is_pending());
        if running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

async fn works(cluster: &Running, from: i64) -> Result<(), Error> {
    for (i, node) in ["n1", "n2", "n3", "n4", "n5"].into_iter().enumerate() {
        cluster.client(node).invoke(Add(from + i as i64)).await?;
    }
    Ok(())
}

/// Seeds of overlapping faults, with callers that go away at random moments.
#[fuzz_dist::test(
    db = "embedded",
    workload = "g_set",
    seed = [1000, 2000, 3000, 4000],
    total_limit = "5m"
)]
async fn seeds_of_overlapping_faults_are_all_undone(test: Test) -> Outcome {
    let first = test.seed().0;
    let cluster = test.start().await?;
    works(&cluster, 0).await?;
    for seed in first..first + SEEDS {
        overlapping(&cluster, seed).await;
    }
    cluster.check(AllUndone(SEEDS as usize)).await
}

/// A scenario that is dropped after its n-th step, for every n.
#[fuzz_dist::test(db = "embedded", workload = "g_set", nodes = 5, seed = 21)]
async fn a_scenario_dropped_at_any_point_leaves_nothing(test: Test) -> Outcome {
    let cluster = test.start().await?;
    works(&cluster, 0).await?;
    let mut dropped = 0;
    loop {
        let scenario = async {
            let fault = cluster.inject(bridge().and(pause())).await?;
            tokio::task::yield_now().await;
            fault.heal().await
        };
        if steps(Box::pin(scenario), dropped).await {
            break;
        }
        dropped += 1;
    }
    assert!(dropped > 5, "it was over after {dropped} steps, so that little was tried");
    cluster.check(AllUndone(3)).await
}

/// Polls as often as that, with some time after each; is it ready?
async fn steps(
    mut future: Pin<Box<dyn Future<Output = Result<(), Error>> + Send + '_>>,
    n: usize,
) -> bool {
    for _ in 0..n {
        let mut context = Context::from_waker(Waker::noop());
        if future.as_mut().poll(&mut context).is_ready() {
            return true;
        }
        tokio::time::sleep(millis(10)).await;
    }
    false
}

/// Two kills of one node, and two pauses: the end of one leaves the other in force.
#[fuzz_dist::test(db = "embedded", workload = "g_set", nodes = 1, seed = 22)]
async fn the_end_of_one_fault_leaves_another_of_the_same_node(test: Test) -> Outcome {
    let cluster = test.start().await?;
    let node = cluster.nodes()[0].clone();
    cluster.client("n1").invoke(Add(1)).await?;
    let (first, second) = (cluster.inject(kill()).await?, cluster.inject(kill()).await?);
    first.heal().await?;
    assert!(!node.is_running(), "the second kill has not ended");
    second.heal().await?;
    assert!(node.is_running());

    let stopped = async || node.process_states().await.iter().all(|s| s.ends_with("Stopped"));
    let (first, second) = (cluster.inject(pause()).await?, cluster.inject(pause()).await?);
    second.heal().await?;
    assert!(stopped().await, "the first pause has not ended");
    first.heal().await?;
    assert!(!stopped().await);

    // One that is killed while it is paused is still paused once it is back.
    let paused = cluster.inject(pause()).await?;
    let killed = cluster.inject(kill()).await?;
    let nothing_to_pause = cluster.inject(pause()).await;
    assert!(nothing_to_pause.is_err(), "there is no process that could be paused");
    killed.heal().await?;
    assert!(node.is_running() && stopped().await, "{:?}", node.process_states().await);
    paused.heal().await?;
    cluster.client("n1").invoke(Add(2)).await?;
    cluster.check(AllUndone(6)).await
}

/// The embedded store, which comes back from a kill after a while only.
struct SlowToReturn(std::sync::atomic::AtomicBool);

impl Db for SlowToReturn {
    fn name(&self) -> fuzz_dist::op::Name {
        "slow_to_return".into()
    }
    fn facts(&self) -> fuzz_dist::db::Facts {
        Embedded::default().facts()
    }
    async fn start(&self, node: &Node) -> Result<(), Error> {
        if self.0.swap(true, std::sync::atomic::Ordering::SeqCst) {
            tokio::time::sleep(millis(500)).await;
        }
        Embedded::default().start(node).await
    }
    async fn ready(&self, node: &Node) -> Result<(), Error> {
        Embedded::default().ready(node).await
    }
    fn client(&self, workload: &str, node: &Node) -> Option<Box<dyn DynClient>> {
        Embedded::default().client(workload, node)
    }
}

/// A kill that hits a node which the end of another one is just starting.
#[fuzz_dist::test(
    db = SlowToReturn(Default::default()),
    workload = "g_set",
    nodes = 1,
    seed = 23
)]
async fn a_kill_of_a_node_that_is_restarting_keeps_it_down(test: Test) -> Outcome {
    let cluster = test.start().await?;
    let node = cluster.nodes()[0].clone();
    cluster.client("n1").invoke(Add(1)).await?;
    let first = cluster.inject(kill()).await?;
    let again = async {
        tokio::time::sleep(millis(250)).await;
        cluster.inject(kill()).await
    };
    let (ended, second) = tokio::join!(first.heal(), again);
    ended?;
    let second = second?;
    tokio::time::sleep(millis(700)).await;
    assert!(!node.is_running(), "the second kill has not ended");
    second.heal().await?;
    cluster.client("n1").invoke(Add(2)).await?;
    cluster.check(AllUndone(2)).await
}
