//! Faults that are not undone, and interrupts at every moment of a fault's life: the tests in which
//! they happen, and what has to come out of them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fuzz_dist::client::DynClient;
use fuzz_dist::db::Facts;
use fuzz_dist::embedded::Embedded;
use fuzz_dist::grudge::Partition;
use fuzz_dist::history::History;
use fuzz_dist::nemesis::{
    Check, Fault, Hit, PartitionFault, PartitionPlan, Schedule, Targets, kill,
};
use fuzz_dist::op::{Name, Phase, Value};
use fuzz_dist::prelude::*;
use fuzz_dist::random::Stream;

use crate::checks::{LIMIT, Place, find};

/// The embedded store, which starts only so often.
struct StartsOnce(AtomicU32);

impl Db for StartsOnce {
    fn name(&self) -> Name {
        "starts_once".into()
    }
    fn facts(&self) -> Facts {
        Embedded::default().facts()
    }
    async fn start(&self, node: &Node) -> Result<(), Error> {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            0..3 => Embedded::default().start(node).await,
            _ => Err(Error::setup("its disk is gone")),
        }
    }
    async fn ready(&self, node: &Node) -> Result<(), Error> {
        Embedded::default().ready(node).await
    }
    async fn form(&self, cluster: &Cluster) -> Result<(), Error> {
        Embedded::default().form(cluster).await
    }
    fn client(&self, workload: &str, node: &Node) -> Option<Box<dyn DynClient>> {
        Embedded::default().client(workload, node)
    }
}

/// Nodes that do not come back after a kill.
#[fuzz_dist::test(
    db = StartsOnce(AtomicU32::new(0)),
    workload = "g_set",
    nemesis = kill().after(millis(300)).lasting(millis(300)),
    nodes = 3,
    op_limit = "500ms",
    time_limit = "1s",
    quiesce_limit = "1s"
)]
async fn restarts_fail(test: Test) -> Outcome {
    test.run().await
}

/// What a fault does at its end, or in its lane.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Odd {
    SaysNo,
    PanicsAtItsEnd,
    /// Asked for the third time how long it waits, which its lane does.
    PanicsInItsLane,
    HangsAtItsStart,
    HangsAtItsEnd,
}

struct OddFault(Odd, AtomicU32);

fn odd(odd: Odd) -> Nemesis {
    Nemesis::of(OddFault(odd, AtomicU32::new(0))).after(millis(300)).lasting(millis(200))
}

impl Fault for OddFault {
    type Plan = Hit;

    fn name(&self) -> Name {
        "odd".into()
    }
    fn lead(&self, _: &Facts) -> Duration {
        let asked = self.1.fetch_add(1, Ordering::SeqCst);
        assert!(self.0 != Odd::PanicsInItsLane || asked < 3, "asked once too often");
        Duration::ZERO
    }
    fn plan(&self, _: Targets<'_>, _: &mut Stream) -> Result<Hit, Error> {
        Ok(Hit { shape: "somewhere".into(), nodes: Vec::new() })
    }
    async fn start(&self, _: Targets<'_>, _: &Hit) -> Result<Check, Error> {
        if self.0 == Odd::HangsAtItsStart {
            std::future::pending::<()>().await;
        }
        Ok(Check::seen(true, "it acts"))
    }
    async fn stop(&self, _: Targets<'_>, _: &Hit) -> Result<Check, Error> {
        assert!(self.0 != Odd::PanicsAtItsEnd, "lost its way");
        if self.0 == Odd::HangsAtItsEnd {
            std::future::pending::<()>().await;
        }
        Ok(Check::seen(self.0 != Odd::SaysNo, "it is still there"))
    }
}

#[fuzz_dist::test(
    db = "embedded",
    workload = "g_set",
    nemesis = odd(Odd::SaysNo),
    nodes = 2,
    time_limit = "1s"
)]
async fn its_end_says_no(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(
    db = "embedded",
    workload = "g_set",
    nemesis = odd(Odd::PanicsAtItsEnd),
    nodes = 2,
    time_limit = "1s"
)]
async fn its_end_panics(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(
    db = "embedded",
    workload = "g_set",
    nemesis = odd(Odd::PanicsInItsLane),
    nodes = 2,
    time_limit = "1s"
)]
async fn its_lane_panics(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(
    db = "embedded",
    workload = "g_set",
    nemesis = odd(Odd::HangsAtItsStart),
    nodes = 2,
    time_limit = "1s",
    total_limit = "3s"
)]
async fn its_start_hangs(test: Test) -> Outcome {
    test.run().await
}

#[fuzz_dist::test(
    db = "embedded",
    workload = "g_set",
    nemesis = odd(Odd::HangsAtItsEnd).lasting(secs(600)),
    nodes = 2,
    time_limit = "20m"
)]
async fn its_end_hangs(test: Test) -> Outcome {
    test.run().await
}

/// A partition that takes its time at both ends.
struct Slow(PartitionFault);

const SLOW: Duration = Duration::from_secs(1);

fn slow() -> Nemesis {
    Nemesis::of(Slow(PartitionFault(Partition::MajorityMinority)))
}

impl Fault for Slow {
    type Plan = PartitionPlan;

    fn name(&self) -> Name {
        "slow".into()
    }
    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<PartitionPlan, Error> {
        Fault::plan(&self.0, targets, random)
    }
    async fn start(&self, targets: Targets<'_>, plan: &PartitionPlan) -> Result<Check, Error> {
        tokio::time::sleep(SLOW).await;
        Fault::start(&self.0, targets, plan).await
    }
    async fn stop(&self, targets: Targets<'_>, plan: &PartitionPlan) -> Result<Check, Error> {
        tokio::time::sleep(SLOW).await;
        Fault::stop(&self.0, targets, plan).await
    }
}

/// Beside the slow one there is one that acts all the time.
#[fuzz_dist::test(
    db = "embedded",
    workload = "g_set",
    nemesis = slow().after(millis(500)).lasting(secs(2)).and(kill().after(millis(200)).lasting(secs(20))),
    time_limit = "30s"
)]
async fn slow_faults(test: Test) -> Outcome {
    test.run().await
}

/// Its heal has much to do.
#[fuzz_dist::test(db = "embedded", workload = "g_set", seed = 1)]
async fn leaves_faults_to_the_heal(test: Test) -> Outcome {
    let cluster = test.start().await?;
    for node in ["n1", "n2", "n3", "n4", "n5"] {
        cluster.client(node).invoke(Add(1)).await.ok();
    }
    let _ = cluster.inject(slow().and(kill()).and(slow())).await?;
    cluster.check(fuzz_dist::checker::set_full()).await
}

/// The run is unknown, and says why; what it says of the database is not false.
#[track_caller]
fn unknown_because(test: &str, reasons: &[&str]) {
    let place = Place::new();
    let ended = place.run(&format!("faults::{test}"));
    ended.ended_with(101).says(": unknown - ");
    for reason in reasons {
        ended.says(reason);
    }
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!said.contains("exited unexpectedly"), "{said}");
}

pub(crate) fn a_database_that_does_not_come_back_makes_the_run_unknown() {
    unknown_because(
        "restarts_fail",
        &["`kill n", "was not verified as removed: ", "its disk is gone"],
    );
}

pub(crate) fn a_fault_that_says_it_is_not_undone_makes_the_run_unknown() {
    unknown_because(
        "its_end_says_no",
        &["`odd somewhere` was not verified as removed: it is still there"],
    );
}

pub(crate) fn a_fault_whose_end_panics_makes_the_run_unknown() {
    unknown_because("its_end_panics", &["undoing `odd` panicked: lost its way"]);
}

pub(crate) fn a_lane_that_panics_makes_the_run_unknown() {
    unknown_because("its_lane_panics", &["a lane of the nemesis panicked: asked once too often"]);
}

pub(crate) fn the_total_limit_ends_a_start_that_hangs() {
    let place = Place::new();
    let begun = Instant::now();
    let ended = place.run("faults::its_start_hangs");
    ended.ended_with(101).says("odd");
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
    lives_are_whole(&place.history().expect("the history was kept"));
}

/// All four edges of every fault, once and in their order, and each undone; the heal is proved.
#[track_caller]
pub(crate) fn lives_are_whole(history: &History) {
    let faults = history.faults();
    assert!(!faults.is_empty(), "no fault was begun");
    for fault in &faults {
        let of_fault = |i: &usize| {
            history.function(*i) == &fault.name
                && history.value(*i).get("id").and_then(Value::as_int) == Some(fault.id)
        };
        let edge = |i: usize| Some(history.value(i).get("edge")?.as_text()?.to_string());
        let edges: Vec<String> = (0..history.len()).filter(of_fault).filter_map(edge).collect();
        assert_eq!(edges, ["start", "started", "stop", "stopped"], "{fault:?}");
        assert_eq!(fault.not_undone(), None, "{fault:?}");
    }
    assert_eq!(history.heal_proved(), Some(true), "the healing was proved");
}

/// Interrupts the test once its history has what it waits for.
#[track_caller]
fn interrupted(test: &str, when: impl Fn(&History) -> bool) {
    let place = Place::new();
    let program = place.start(&format!("faults::{test}"));
    let deadline = Instant::now() + LIMIT;
    while !place.history().is_some_and(|history| when(&history)) {
        assert!(Instant::now() < deadline, "it never came");
        std::thread::sleep(Duration::from_millis(20));
    }
    program.signal("INT");
    program.end().ended_with(101).says("interrupted").says("recorded until then");
    let history = place.history().expect("the history was kept");
    lives_are_whole(&history);
    // What was drawn up to then is kept, too.
    let plan = find(&place.store, "plan.json").expect("the schedule was kept");
    let schedule = Schedule::load(plan).expect("the schedule loads");
    assert_eq!(schedule.slots().len(), history.faults().len(), "{schedule:?}");
    place.nothing_is_left();
}

/// Has the slow fault come to this edge?
fn edge(history: &History, edge: &str) -> bool {
    let slow = |i: &usize| &**history.function(*i) == "slow";
    let there = |i: usize| history.value(i).get("edge").and_then(Value::as_text) == Some(edge);
    (0..history.len()).filter(slow).any(there)
}

pub(crate) fn an_interrupt_while_a_fault_starts() {
    interrupted("slow_faults", |h| edge(h, "start"));
}

pub(crate) fn an_interrupt_while_a_fault_acts() {
    interrupted("slow_faults", |h| edge(h, "started"));
}

pub(crate) fn an_interrupt_while_a_fault_ends() {
    interrupted("slow_faults", |h| edge(h, "stop"));
}

pub(crate) fn an_interrupt_while_the_heal_undoes_faults() {
    let healing = |h: &History| (0..h.len()).any(|i| h.phase(i) == Phase::Heal);
    interrupted("leaves_faults_to_the_heal", move |h| healing(h) && edge(h, "stop"));
    interrupted("leaves_faults_to_the_heal", move |h| healing(h) && edge(h, "stopped"));
}
