//! What the owner of the faults needs of the test, and the schedule that it writes.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Clock;
use crate::db::AnyDb;
use crate::history::{Edge, Recorder};
use crate::nemesis::{AnyPlan, Drawn, DynFault, Schedule, Slot};
use crate::node::Cluster;
use crate::op::{Event, Name, Phase, Process, Value};
use crate::run::announce::Announcements;
use crate::run::calls::Calls;
use crate::store;
use crate::time::Time;

/// The test as its faults see it.
pub(in crate::run) struct Scene {
    pub(in crate::run) cluster: Cluster,
    pub(in crate::run) db: AnyDb,
    pub(in crate::run) clock: Clock,
    pub(in crate::run) recorder: Recorder,
    pub(in crate::run) announcements: Arc<Announcements>,
    pub(in crate::run) phase: Arc<Mutex<Phase>>,
    /// Where the code of faults is noted while it runs.
    pub(in crate::run) calls: Calls,
    /// The end of the total limit.
    pub(in crate::run) until: Time,
    /// Whether the nodes are reconnected after the heal.
    pub(in crate::run) reconnect: bool,
    /// What is drawn.
    pub(in crate::run) schedule: Schedule,
    /// What is drawn instead, as far as it goes.
    pub(in crate::run) replay: Option<Arc<Schedule>>,
    /// Where the schedule is kept, if anywhere.
    pub(in crate::run) file: Option<PathBuf>,
}

impl Scene {
    /// Records an event of the nemesis.
    pub(super) fn record(&self, f: Name, edge: Edge, value: Value) {
        let phase = *self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let event = Event {
            time: self.clock.now(),
            process: Process::NEMESIS,
            node: None,
            kind: edge.kind(),
            f,
            value,
            error: None,
            phase,
        };
        // Events of the nemesis have no partner, so that none can be malformed.
        let _ = self.recorder.record(event);
    }

    /// Keeps a plan, and writes the schedule.
    ///
    /// # Errors
    ///
    /// A sentence where it could not be written.
    pub(super) fn drawn(&mut self, slot: Slot, fault: Name, plan: &AnyPlan) -> Result<(), String> {
        let joined = self.cluster.all_nodes().into_iter().skip(self.cluster.nodes_at_start());
        self.schedule.joined = joined.map(|node| node.name().into()).collect();
        self.schedule.draw(slot, Drawn { fault, plan: plan.json().clone() });
        self.write()
    }

    /// Writes the schedule: whoever reads it finds the former one or this one.
    ///
    /// # Errors
    ///
    /// A sentence where it could not be written.
    pub(super) fn write(&self) -> Result<(), String> {
        let Some(file) = &self.file else { return Ok(()) };
        let json = serde_json::to_vec_pretty(&self.schedule).map_err(|e| e.to_string());
        let written = json.and_then(|mut json| {
            json.push(b'\n');
            store::replace(file, &json).map_err(|e| e.to_string())
        });
        written.map_err(|e| format!("the schedule of the faults was not kept: {e}"))
    }
}

/// The stored plan for a slot where so many nodes are known; an error is a sentence.
pub(super) fn stored(
    replay: &Schedule,
    slot: Slot,
    fault: &dyn DynFault,
    known: usize,
) -> Result<AnyPlan, String> {
    // In the stored run a node may have joined earlier.
    let fits =
        |plan: &AnyPlan, mut sizes: RangeInclusive<usize>| sizes.any(|n| plan.fits(n).is_ok());
    match replay.plan(slot, fault) {
        Ok(Some(plan)) if !replay.joined.is_empty() && !fits(&plan, 1..=known) => {
            Err(format!("replay: {slot} names a node that has not joined yet"))
        }
        Ok(Some(plan)) => Ok(plan),
        Ok(None) => Err(format!("replay: {slot} was not drawn in the stored run")),
        Err(e) => Err(format!("replay: {slot}: {e}")),
    }
}
