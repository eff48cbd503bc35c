//! Nodes that join and leave: whoever asked goes away, several leave at once, operations are in flight.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Barrier, Mutex};

use super::dropped::polled;
use super::fake::FewHosts;
use crate::clock::{Clock, Manual};
use crate::db::{AnyDb, Db, join, leave};
use crate::error::Error;
use crate::history::MemberState;
use crate::nemesis::{Fault, Hit, KillFault, PauseFault, Targets};
use crate::node::{Cluster, Node, Turn};
use crate::op::Name;
use crate::time::millis;

/// Nodes take a while to start, join and leave.
struct Slow {
    /// Nobody can join.
    is_closed: bool,
    left: Arc<Mutex<Vec<Name>>>,
}

impl Db for Slow {
    fn name(&self) -> Name {
        "slow".into()
    }
    async fn start(&self, node: &Node) -> Result<(), Error> {
        node.clock().sleep(millis(2)).await;
        Ok(())
    }
    async fn ready(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }
    async fn join(&self, node: &Node, _: &Cluster) -> Result<(), Error> {
        node.clock().sleep(millis(2)).await;
        if self.is_closed { Err(Error::setup("it is closed")) } else { Ok(()) }
    }
    async fn leave(&self, node: &Node, _: &Cluster) -> Result<(), Error> {
        node.clock().sleep(millis(2)).await;
        if !node.env().hosts().iter().any(|(host, _)| *host == node.host()) {
            return Err(Error::setup("nobody answers on a host that is gone"));
        }
        self.left.lock().unwrap().push(node.name().into());
        Ok(())
    }
}

fn slow(is_closed: bool) -> AnyDb {
    Arc::new(Slow { is_closed, left: Arc::default() })
}

/// The state of each node that was recorded last.
type Recorded = Arc<Mutex<BTreeMap<Name, MemberState>>>;

fn cluster(nodes: usize, clock: &Clock) -> (Cluster, Recorded) {
    let cluster = Cluster::new(Arc::new(FewHosts::new(nodes)), clock.clone()).unwrap();
    let recorded = Recorded::default();
    let record = recorded.clone();
    cluster.follow_with(99, millis(200), move |node, turn| {
        if let Turn::To(state) = turn {
            record.lock().unwrap().insert(node.name().into(), state);
        }
    });
    (cluster, recorded)
}

/// The environment, the roster and what was recorded agree, and nobody is about to join or to leave.
#[track_caller]
fn agree(cluster: &Cluster, recorded: &Recorded, at_start: usize) {
    let mut hosts: Vec<String> =
        cluster.env().hosts().into_iter().map(|(_, host)| host.name).collect();
    let mut members: Vec<String> =
        cluster.nodes().iter().map(|node| node.name().to_string()).collect();
    hosts.sort();
    members.sort();
    assert_eq!(hosts, members);
    for node in &cluster.all_nodes()[at_start..] {
        assert_eq!(recorded.lock().unwrap().get(node.name()), Some(&node.state()), "{node:?}");
        assert!([MemberState::Member, MemberState::Left].contains(&node.state()), "{node:?}");
    }
}

/// A join that is dropped, wherever it waits, leaves nothing behind, and others can join. One that fails does
/// neither, also where it is dropped as it fails.
#[test]
fn a_join_that_is_dropped_leaves_no_host_behind() {
    for is_closed in [false, true] {
        let mut points = 0;
        let mut is_done = false;
        while !is_done {
            points += 1;
            is_done = Manual::run(|clock| async move {
                let (cluster, recorded) = cluster(2, &clock);
                let db = slow(is_closed);
                let joined = polled(&clock, pin!(join(&cluster, &db)), points).await;
                clock.sleep(millis(50)).await;
                agree(&cluster, &recorded, 2);
                if let Some(joined) = &joined {
                    assert_eq!(joined.is_err(), is_closed);
                }
                join(&cluster, &slow(false)).await.unwrap();
                agree(&cluster, &recorded, 2);
                joined.is_some()
            });
        }
        assert!(points > 5, "{points}");
    }
}

/// Of the last two nodes one stays, whoever lets them leave at the same time.
#[test]
fn of_two_that_leave_at_once_the_last_one_stays() {
    for _ in 0..300 {
        let (cluster, _) = cluster(2, &Clock::system());
        let barrier = Barrier::new(2);
        let nodes = cluster.nodes();
        let left: Vec<Result<(), Error>> = std::thread::scope(|scope| {
            let leaving = |node: Node| {
                let (cluster, barrier) = (cluster.clone(), &barrier);
                scope.spawn(move || {
                    let mut runtime = tokio::runtime::Builder::new_current_thread();
                    let runtime = runtime.enable_all().build().unwrap();
                    barrier.wait();
                    runtime.block_on(leave(&cluster, &slow(false), &node))
                })
            };
            let both: Vec<_> = nodes.iter().cloned().map(leaving).collect();
            both.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let refused: Vec<String> =
            left.into_iter().filter_map(|left| Some(left.err()?.to_string())).collect();
        assert!(refused.len() == 1 && refused[0].contains("is the last node"), "{refused:?}");
        assert_eq!(cluster.nodes().len(), 1);
    }
}

/// Whoever leaves gets no new operations, and the database lets it go once those in flight have ended, or their limit
/// has passed.
#[test]
fn operations_in_flight_end_before_a_node_is_let_go() {
    Manual::run(|clock| async move {
        for hangs in [false, true] {
            let (cluster, recorded) = cluster(3, &clock);
            let left: Arc<Mutex<Vec<Name>>> = Arc::default();
            let db: AnyDb = Arc::new(Slow { is_closed: false, left: left.clone() });
            let nodes = cluster.nodes();
            let [first, second, _] = &nodes[..] else { panic!("three nodes") };
            let operation = cluster.flights().begin(first.id()).unwrap();
            let _other = cluster.flights().begin(second.id()).unwrap();
            let leaving = leave(&cluster, &db, first);
            let mut leaving = pin!(leaving);
            assert!(clock.timeout(millis(150), leaving.as_mut()).await.is_err());
            assert!(cluster.flights().begin(first.id()).is_none());
            assert_eq!((first.state(), left.lock().unwrap().len()), (MemberState::Leaving, 0));
            let mut operation = Some(operation);
            if !hangs {
                operation = None;
            }
            let begun = clock.now();
            leaving.await.unwrap();
            let took = clock.now().since(begun);
            assert_eq!(took > millis(900), hangs, "{took:?}");
            assert!(took < millis(1500), "{took:?}");
            drop(operation);
            assert_eq!(*left.lock().unwrap(), [Name::from("n1")]);
            agree(&cluster, &recorded, 3);
        }
    });
}

/// A leave that is dropped may be called again.
#[test]
fn a_leave_that_is_dropped_is_called_again() {
    for points in 1..40 {
        Manual::run(|clock| async move {
            let (cluster, recorded) = cluster(2, &clock);
            let db = slow(false);
            let node = cluster.nodes().remove(0);
            let _ = polled(&clock, pin!(leave(&cluster, &db, &node)), points).await;
            leave(&cluster, &db, &node).await.unwrap();
            assert_eq!(node.state(), MemberState::Left);
            agree(&cluster, &recorded, 2);
        });
    }
}

/// The first attempts to leave end as they say, later ones well.
struct Reluctant(Mutex<Vec<Answer>>);

#[derive(Clone, Copy)]
enum Answer {
    Refuses,
    Hangs,
}

impl Db for Reluctant {
    fn name(&self) -> Name {
        "reluctant".into()
    }
    async fn start(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }
    async fn ready(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }
    async fn leave(&self, _: &Node, _: &Cluster) -> Result<(), Error> {
        let answer = self.0.lock().unwrap().pop();
        match answer {
            Some(Answer::Refuses) => Err(Error::setup("partitions move")),
            Some(Answer::Hangs) => std::future::pending().await,
            None => Ok(()),
        }
    }
}

/// Each attempt to leave is recorded, and that the database refused it: until the next one the node belongs to the
/// cluster. Of an attempt that passed its limit nobody knows that.
#[test]
fn a_leave_that_is_refused_is_recorded_and_one_that_hangs_is_not() {
    for (answer, then) in [(Answer::Refuses, Some("refused")), (Answer::Hangs, None)] {
        Manual::run(move |clock| async move {
            let cluster = Cluster::new(Arc::new(FewHosts::new(2)), clock).unwrap();
            let turns: Arc<Mutex<Vec<&str>>> = Arc::default();
            let recorded = turns.clone();
            cluster.follow_with(99, millis(200), move |_, turn| {
                recorded.lock().unwrap().push(match turn {
                    Turn::To(state) => state.as_str(),
                    Turn::LeaveRefused(_) => "refused",
                });
            });
            let db: AnyDb = Arc::new(Reluctant(Mutex::new(vec![answer])));
            let node = cluster.nodes().remove(0);
            let error = leave(&cluster, &db, &node).await.unwrap_err().to_string();
            assert!(error.starts_with("n1 could not leave: "), "{error}");
            leave(&cluster, &db, &node).await.unwrap();
            leave(&cluster, &db, &node).await.unwrap();
            let expected = [Some("leaving"), then, Some("leaving"), Some("left")];
            let expected: Vec<&str> = expected.into_iter().flatten().collect();
            assert_eq!(*turns.lock().unwrap(), expected);
        });
    }
}

/// A node that leaves while a kill or a pause of it begins or ends is no failure of that: nothing of it is left. These
/// hosts refuse signals, as long as they are there.
#[test]
fn faults_of_a_node_that_leaves_meanwhile_do_not_fail() {
    Manual::run(|clock| async move {
        let (cluster, _) = cluster(2, &clock);
        let db = slow(false);
        let targets = Targets::of(&cluster, &db, 0);
        let node = cluster.nodes().remove(0);
        let hit = Hit { shape: "n1".into(), nodes: vec![node.id()] };
        let (kill, pause) = (KillFault::default(), PauseFault::default());
        assert!(kill.start(targets, &hit).await.is_err());
        assert!(pause.start(targets, &hit).await.is_err());
        assert!(pause.stop(targets, &hit).await.is_err());
        cluster.env().membership().unwrap().remove_host(node.host()).await.unwrap();
        assert_eq!(kill.start(targets, &hit).await.unwrap().seen, Some(false));
        assert_eq!(pause.start(targets, &hit).await.unwrap().seen, Some(false));
        assert_eq!(pause.stop(targets, &hit).await.unwrap().seen, Some(true));
    });
}
