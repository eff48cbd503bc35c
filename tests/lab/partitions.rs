//! Partitions that several callers add, remove and prove at the same time, on a network that may
//! lie.

use crate::altered::{Alter, Altered};
use crate::support::{LIMIT, Test, eventually, with_lab};
use fuzz_dist::clock::Clock;
use fuzz_dist::env::{Environment, LinkMatrix};
use fuzz_dist::grudge::Grudge;
use fuzz_dist::node::Cluster;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

pub(crate) const TESTS: &[Test] = &[
    ("partitions_are_installed_in_one_order", partitions_are_installed_in_one_order),
    ("a_dropped_change_is_whole_and_can_be_undone", a_dropped_change_is_whole_and_can_be_undone),
    ("a_proof_is_of_its_own_partition", a_proof_is_of_its_own_partition),
    ("a_network_that_lies_is_found", a_network_that_lies_is_found),
    ("proofs_need_no_counters", proofs_need_no_counters),
    ("sixty_nodes_are_proved", sixty_nodes_are_proved),
];

fn cluster(env: impl Environment + 'static) -> (Arc<dyn Environment>, Cluster) {
    let env: Arc<dyn Environment> = Arc::new(env);
    (env.clone(), Cluster::new(env, Clock::system()).unwrap())
}

/// What the environment has installed.
fn in_force(env: &dyn Environment) -> LinkMatrix {
    env.links().expect("links that can be cut").matrix()
}

/// Does the environment drop all of a grudge's packets?
fn installed(env: &dyn Environment, cluster: &Cluster, grudge: &Grudge) -> bool {
    let links = in_force(env);
    let host = |node: usize| cluster.nodes()[node].host();
    grudge.cuts().all(|(from, to)| links.is_cut(host(from), host(to)))
}

fn matrix(cluster: &Cluster, grudge: &Grudge) -> LinkMatrix {
    let mut matrix = LinkMatrix::default();
    let host = |node: usize| cluster.nodes()[node].host();
    grudge.cuts().for_each(|(from, to)| matrix.cut(host(from), host(to)));
    matrix
}

/// Polls a future so many times at most, then drops it; did it complete?
async fn polled(times: usize, future: impl Future) -> bool {
    let mut future = pin!(future);
    for _ in 0..times {
        let done = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await;
        if done {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

/// Each task has a link of its own: its cut is installed from the end of `add` to `remove`,
/// whatever the others do, and what nobody wants any more is open.
fn partitions_are_installed_in_one_order() {
    const ROUNDS: usize = 2000;
    with_lab(5, async |lab| {
        let (env, cluster) = cluster(Altered::slow(lab, 4));
        let tasks = (0..4_usize).map(|task| {
            let (env, cluster) = (env.clone(), cluster.clone());
            tokio::spawn(async move {
                let mine = Grudge::none(5).cut_both(task, task + 1).cut(task, (task + 2) % 5);
                let links = cluster.links();
                for round in 0..ROUNDS {
                    let dropped = round % 3 == task % 3;
                    match dropped {
                        true => drop(polled(round % 7, links.add(&mine)).await),
                        false => {
                            links.add(&mine).await.unwrap();
                            assert!(installed(&*env, &cluster, &mine), "lost a cut: {round}");
                        }
                    }
                    tokio::task::yield_now().await;
                    assert!(dropped || installed(&*env, &cluster, &mine), "lost later: {round}");
                    links.remove(&mine).await.unwrap();
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert!(!cluster.links().grudge().is_effective());
        assert!(in_force(&*env).is_open(), "kept a cut: {:?}", in_force(&*env));
    });
}

/// Whenever the future of a change is dropped, what is installed is what acts, and it can be undone.
fn a_dropped_change_is_whole_and_can_be_undone() {
    with_lab(3, async |lab| {
        let (env, cluster) = cluster(Altered::slow(lab, 5));
        let links = cluster.links();
        let one = Grudge::none(3).cut_both(0, 1);
        let other = Grudge::none(3).cut(2, 0);
        let agree = || in_force(&*env) == matrix(&cluster, &links.grudge());
        links.add(&other).await.unwrap();
        for times in 0..40 {
            let added = polled(times % 20, links.add(&one)).await;
            assert!(!added || agree(), "{times}");
            eventually("what acts is installed", async || agree()).await;
            let removed = polled(times / 2, links.remove(&one)).await;
            assert!(!removed || agree(), "{times}");
            eventually("what acts is installed", async || agree()).await;
            links.remove(&one).await.unwrap();
            assert_eq!(
                (in_force(&*env), links.grudge()),
                (matrix(&cluster, &other), other.clone())
            );
        }
        polled(1, links.heal()).await;
        eventually("the heal is installed", async || in_force(&*env).is_open() && agree()).await;
    });
}

/// While one caller changes its own links every few milliseconds, the proofs of another's are
/// about the other's.
fn a_proof_is_of_its_own_partition() {
    with_lab(5, async |lab| {
        let (_, cluster) = cluster(lab);
        let stop = Arc::new(AtomicBool::new(false));
        let flapping = tokio::spawn({
            let (cluster, stop) = (cluster.clone(), stop.clone());
            async move {
                let link = Grudge::none(5).cut_both(0, 4).cut(1, 2);
                while !stop.load(SeqCst) {
                    cluster.links().add(&link).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(3)).await;
                    cluster.links().remove(&link).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        });
        let links = cluster.links();
        for round in 0..20 {
            let halves = Grudge::complete(5, &[vec![0, 3], vec![1, 2, 4]]);
            links.add(&halves).await.unwrap();
            let proof = links.prove_cut(&halves).await;
            assert_eq!(proof.holds(), Some(true), "{round}: {}", proof.evidence());
            links.remove(&halves).await.unwrap();
            let proof = links.prove_open(&halves).await;
            assert_eq!(proof.holds(), Some(true), "{round}: {}", proof.evidence());
        }
        stop.store(true, SeqCst);
        flapping.await.unwrap();
        let proof = links.prove().await;
        assert_eq!(proof.holds(), Some(true), "{}", proof.evidence());
    });
}

/// What the proofs of a cut and of its heal say of a network that does this to its matrices.
async fn proofs(env: Altered) -> [Option<bool>; 2] {
    let (_, cluster) = cluster(env);
    let (links, grudge) = (cluster.links(), Grudge::none(3).cut_both(0, 1));
    links.add(&grudge).await.unwrap();
    let cut = links.prove_cut(&grudge).await;
    links.remove(&grudge).await.unwrap();
    let open = links.prove_open(&grudge).await;
    [cut.holds(), open.holds()]
}

fn a_network_that_lies_is_found() {
    let lies: [(&str, Alter, [Option<bool>; 2]); 5] = [
        ("installs all", LinkMatrix::clone, [Some(true), Some(true)]),
        ("installs nothing", |_| LinkMatrix::default(), [Some(false), Some(true)]),
        (
            "forgets a link",
            |links| {
                let mut fewer = links.clone();
                links.cuts().take(1).for_each(|(from, to)| fewer.open(from, to));
                fewer
            },
            [Some(false), Some(true)],
        ),
        (
            "cuts one link more",
            |links| {
                let mut more = links.clone();
                let last = links.cuts().last();
                if let Some((from, _)) = last {
                    more.cut(from, fuzz_dist::env::HostId::new(2));
                }
                more
            },
            [None, Some(true)],
        ),
        (
            "never opens",
            |_| {
                let mut always = LinkMatrix::default();
                always.cut_both(crate::support::N1, crate::support::N2);
                always
            },
            [Some(true), None],
        ),
    ];
    for (what, alter, expected) in lies {
        with_lab(3, async |lab| {
            assert_eq!(proofs(Altered::new(lab, alter)).await, expected, "{what}");
        });
    }
}

fn proofs_need_no_counters() {
    with_lab(3, async |lab| {
        assert_eq!(proofs(Altered::uncounted(lab)).await, [Some(true); 2]);
    });
}

fn sixty_nodes_are_proved() {
    with_lab(60, async |lab| {
        let (_, cluster) = cluster(lab);
        let links = cluster.links();
        let halves = Grudge::complete(60, &[(0..30).collect(), (30..60).collect()]);
        links.add(&halves).await.unwrap();
        let cut = tokio::time::timeout(LIMIT, links.prove_cut(&halves)).await.unwrap();
        assert_eq!(cut.holds(), Some(true), "{}", cut.evidence());
        links.heal().await.unwrap();
        let open = tokio::time::timeout(LIMIT, links.prove()).await.unwrap();
        assert_eq!(open.holds(), Some(true), "{}", open.evidence());
    });
}
