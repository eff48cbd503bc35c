//! Faults near the boundaries of distributed Erlang, and partitions that may overlap or not.

use super::{Judge, app, set};
use fuzz_dist::history::{FaultSpan, FaultStatus, History};
use fuzz_dist::nemesis::{Boundaries, Near};
use fuzz_dist::op::Value;
use fuzz_dist::prelude::*;
use fuzz_dist::time::Time;

/// The length of every cut comes from a zone around the nodes' own net_ticktime, and the zone stands
/// in the history.
#[fuzz_dist::test(
    db = app(),
    workload = set(),
    nemesis = near_tick().after(secs(1)),
    nodes = 3,
    time_limit = "9s",
    seed = 1
)]
async fn cuts_last_as_long_as_their_zones_say(test: Test) -> Outcome {
    let judge = Judge(|history| {
        let faults = history.faults();
        // What the nodes were set to: net_ticktime 4, and net_setuptime 2 with it.
        let nodes = Boundaries { net_setuptime: secs(2), ..Boundaries::with_ticktime(secs(4)) };
        let zones = Near::Tick.zones(&nodes);
        for fault in &faults {
            let (Some(start), Some(stop)) = (fault.started, fault.stop) else {
                return Err(format!("{fault:?} has no end"));
            };
            let name = fault.zone.as_deref().unwrap_or("no zone");
            let lasted = stop.since(fault.start.min(start));
            // A busy machine is late at the end of a fault, and never early.
            if !zones.iter().any(|z| z.name == name && z.from <= lasted) {
                return Err(format!("{lasted:?} is no duration of {name}"));
            }
        }
        let counted: usize = history.zones().iter().map(|z| z.faults.len()).sum();
        let acted = faults.iter().filter(|f| f.status == FaultStatus::Installed).count();
        match counted == acted && counted > 0 {
            true => Ok(()),
            false => Err(format!("{counted} of {acted} faults are counted in zones")),
        }
    });
    test.checker(judge).run().await
}

fn first_nodedown(history: &History) -> Option<Time> {
    history.nodedowns().iter().map(|d| d.time).min()
}

/// A second fault comes after the first nodedown that the first one brings, and ends after it.
#[fuzz_dist::test(
    db = app(),
    workload = set(),
    nemesis = isolate_node().after(secs(1)).lasting(secs(7)).after_nodedown(pause()),
    nodes = 3,
    time_limit = "8s",
    seed = 1
)]
async fn a_second_fault_follows_the_first_nodedown(test: Test) -> Outcome {
    let judge = Judge(|history| {
        let faults = history.faults();
        let named = |name: &str| faults.iter().find(|f| &*f.name == name).cloned();
        let (Some(first), Some(then)) = (named("isolate_node"), named("pause")) else {
            return Err(format!("there are not two faults: {faults:?}"));
        };
        let down = first_nodedown(history).ok_or("nobody was taken for dead")?;
        let ends = |f: &FaultSpan| f.stop.unwrap_or(Time(u64::MAX));
        let after = down <= then.start && then.start < ends(&first) && ends(&first) <= ends(&then);
        match after && then.zone.as_deref() == Some("after_nodedown") {
            true => Ok(()),
            false => Err(format!("{first:?}, nodedown at {down}, {then:?}")),
        }
    });
    test.checker(judge).run().await
}

/// What the nodes themselves say of prevent_overlapping_partitions.
fn prevented(history: &History) -> Option<&str> {
    history.meta("prevent_overlapping_partitions").and_then(Value::as_text)
}

/// One cut link of three: where partitions may overlap, its two ends lose each other and nobody else.
#[fuzz_dist::test(
    db = app(),
    workload = set(),
    nemesis = link().after(secs(1)).lasting(secs(6)),
    overlapping_partitions = "on",
    nodes = 3,
    time_limit = "8s",
    seed = 1
)]
async fn partitions_may_overlap(test: Test) -> Outcome {
    let judge = Judge(|history| {
        let (down, beyond) = (first_nodedown(history), history.beyond_the_cut());
        match prevented(history) == Some("false") && down.is_some() && beyond.is_empty() {
            true => Ok(()),
            false => Err(format!("{:?}, {down:?}, {beyond:?}", prevented(history))),
        }
    });
    test.checker(judge).run().await
}

/// The same cut: where they may not, nodes are thrown out that nobody had cut.
#[fuzz_dist::test(
    db = app(),
    workload = set(),
    nemesis = link().after(secs(1)).lasting(secs(6)),
    overlapping_partitions = "off",
    nodes = 3,
    time_limit = "8s",
    seed = 1
)]
async fn overlapping_is_prevented(test: Test) -> Outcome {
    let judge = Judge(|history| {
        let beyond = history.beyond_the_cut();
        match prevented(history) == Some("true") && !beyond.is_empty() {
            true => Ok(()),
            false => Err(format!("{:?}, {beyond:?}", prevented(history))),
        }
    });
    test.checker(judge).run().await
}
