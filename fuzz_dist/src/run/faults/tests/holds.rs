//! Faults that hold a node, and ends of faults that never held it.

use std::sync::Arc;

use super::fake::FewHosts;
use crate::clock::Manual;
use crate::db::{AnyDb, Db};
use crate::error::Error;
use crate::nemesis::{Fault, Hit, KillFault, PauseFault, Targets};
use crate::node::{Cluster, Hold, Node};
use crate::op::Name;

struct Idle;

impl Db for Idle {
    fn name(&self) -> Name {
        "idle".into()
    }
    async fn start(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }
    async fn ready(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }
}

/// Runs `start` and `stop` of faults by their numbers, on one node, and says after each whether the node is held.
fn held_after(hold: Hold, steps: &'static [(&'static str, i64)]) -> Vec<bool> {
    Manual::run(move |clock| async move {
        let cluster = Cluster::new(Arc::new(FewHosts::new(2)), clock.clone()).unwrap();
        let db: AnyDb = Arc::new(Idle);
        let node = cluster.nodes().remove(0);
        let hit = Hit { shape: "n1".into(), nodes: vec![node.id()] };
        let (kill, pause) = (KillFault::default(), PauseFault::default());
        let mut held = Vec::new();
        for (step, fault) in steps {
            let targets = Targets::of(&cluster, &db, *fault);
            // These hosts refuse signals, which is no matter here.
            match (*step, hold) {
                ("start", Hold::Down) => drop(kill.start(targets, &hit).await),
                ("start", Hold::Stopped) => drop(pause.start(targets, &hit).await),
                (_, Hold::Down) => drop(kill.stop(targets, &hit).await),
                (_, Hold::Stopped) => drop(pause.stop(targets, &hit).await),
            }
            held.push(node.is_held(hold));
        }
        held
    })
}

/// A start that is aborted before it was polled holds nothing, and its fault is stopped all the same.
#[test]
fn the_end_of_a_fault_that_never_began_leaves_another_one_acting() {
    for hold in [Hold::Down, Hold::Stopped] {
        let steps = &[("start", 1), ("stop", 2), ("stop", 1)];
        assert_eq!(held_after(hold, steps), [true, true, false], "{hold:?}");
    }
}

/// The end of a fault that was not verified as removed is run again.
#[test]
fn an_end_that_is_run_twice_leaves_another_one_acting() {
    for hold in [Hold::Down, Hold::Stopped] {
        let steps = &[("start", 1), ("start", 2), ("stop", 1), ("stop", 1), ("stop", 2)];
        assert_eq!(held_after(hold, steps), [true, true, true, true, false], "{hold:?}");
    }
}
