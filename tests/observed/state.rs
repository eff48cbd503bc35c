//! The state of Erlang nodes at a run's first anomaly.

use std::fs;

use fuzz_dist::checker::{Anomaly, Online};
use fuzz_dist::history::History;
use fuzz_dist::op::{Event, Kind};
use fuzz_dist::prelude::*;
use fuzz_dist::store::{Store, root};

use super::{app, call, eventually, set};

/// Calls the tenth acknowledged add an anomaly.
#[derive(Default)]
struct TenthAdd(usize);

impl TenthAdd {
    fn step(&mut self, event: &Event) -> bool {
        self.0 += usize::from(&*event.f == "add" && event.kind == Kind::Ok);
        self.0 == 10
    }
}

impl Checker for TenthAdd {
    fn check(&self, history: &History) -> Verdict {
        let mut judge = TenthAdd::default();
        match history.events().any(|event| judge.step(&event)) {
            true => Verdict::invalid("tenth_add", "ten adds are too many"),
            false => Verdict::valid("tenth_add"),
        }
    }
    fn online(&self, _: &History) -> Option<Box<dyn Online>> {
        Some(Box::new(TenthAdd::default()))
    }
}

impl Online for TenthAdd {
    fn observe(&mut self, index: usize, event: &Event) -> Option<Anomaly> {
        self.step(event).then(|| Anomaly::new("tenth", event.value.clone()).proved_by([index]))
    }
}

/// What the nodes were at that moment is kept: the application's processes with their mailboxes, its
/// tables, mnesia, and who is connected with whom.
#[fuzz_dist::test(
    db = app(false),
    workload = set(),
    checker = TenthAdd::default(),
    nodes = 2,
    time_limit = "5m",
    stop = "first_anomaly",
    seed = 1,
    expect = "invalid"
)]
async fn the_state_of_nodes_at_the_first_anomaly_is_kept(test: Test) -> Outcome {
    let running = test.start().await?;
    let node = running.find("n1").expect("a node").clone();
    // A table of the application's, and a process with something in its mailbox.
    call(&running, "n1", ("observed_state", "prepare"), args![]).await;
    eventually("both nodes are connected", async || {
        node.call::<Vec<fuzz_dist::beam::Atom>>("erlang", "nodes", args![])
            .await
            .is_ok_and(|nodes| !nodes.is_empty())
    })
    .await;
    running.main_phase().await?;
    let verdict = running.check(fuzz_dist::checker::set_full()).await?;
    let store = Store::latest(&root(), "state::the_state_of_nodes_at_the_first_anomaly_is_kept")?;
    let state = fs::read_to_string(store.dir().join("state/n1.json"))?;
    for part in [
        "\"name\": \"pg_set\"",
        "\"name\": \"busy_shop\"",
        "{order,7}",
        "\"mailbox\": 3",
        "\"name\": \"shop_table\"",
        "{item,1}",
        "\"mnesia\": \"it does not run\"",
        "@n2\"",
    ] {
        assert!(state.contains(part), "{part} is missing in {state}");
    }
    assert!(!state.contains("fuzz_dist_"), "the harness is part of {state}");
    assert!(state.len() < 1 << 20, "{} bytes", state.len());
    Ok(verdict)
}
