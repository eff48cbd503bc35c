//! The lanes of the main phase: when faults begin and end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Begin, Begun, Held};
use crate::error::{Error, ErrorKind};
use crate::history::History;
use crate::nemesis::{DynFault, Lane, LaneSchedule, Occurrence, Schedule, Slot, windows};
use crate::random::Stream;
use crate::run::live::Live;
use crate::time::Time;

/// Between two looks for a nodedown.
const LOOK_EVERY: Duration = Duration::from_millis(5);

impl Live {
    /// The schedule of all lanes: that of the run to replay, or one drawn from the seed.
    ///
    /// # Errors
    ///
    /// Where a fault cannot start and end within the main phase.
    pub(in crate::run) fn lanes(&self) -> Result<Vec<LaneSchedule>, Error> {
        if let Some(replay) = self.replay.as_deref().filter(|replay| !replay.lanes.is_empty()) {
            return Ok(without_plans(replay));
        }
        let boundaries = self.boundaries();
        let tick = boundaries.map_or(Duration::ZERO, |b| b.tick());
        let all = Live::schedule(&self.nemesis, &self.db, &self.effective, self.seed, boundaries)?;
        let lanes = self.nemesis.lanes().iter().zip(all).enumerate();
        let lanes = lanes.map(|(i, (lane, windows))| {
            let occurrences = windows.into_iter().enumerate().map(|(k, window)| {
                let mut random = self.seed.stream(&format!("nemesis/{i}/{k}/delay"));
                let delay = || random.duration(Duration::ZERO, tick).as_nanos() as u64;
                let then_delay_ns = (!lane.then.is_empty()).then(delay);
                Occurrence { window, then_delay_ns, fault: None, then: Vec::new() }
            });
            LaneSchedule { name: lane.name(), occurrences: occurrences.collect() }
        });
        Ok(lanes.collect())
    }

    /// Runs one lane until its last window, or until `stop` says true.
    pub(in crate::run) async fn run_lane(
        self: Arc<Self>,
        (i, lane): (usize, Lane),
        schedule: LaneSchedule,
        start: Time,
        mut stop: watch::Receiver<bool>,
    ) {
        for (k, occurrence) in schedule.occurrences.into_iter().enumerate() {
            let window = &occurrence.window;
            if self.stopped_before(start + window.start, &mut stop).await {
                return;
            }
            let from = self.recorder.len();
            // Each occurrence has a stream of its own, so that what one draws does not depend on how
            // much the former ones needed.
            let random = match k {
                0 => self.seed.stream(&format!("nemesis/{i}")),
                k => self.seed.stream(&format!("nemesis/{i}/{k}")),
            };
            let slot = Slot::Lane { lane: i, window: k };
            let Some(held) = self.begin_or_report(&lane.fault, random, &window.zone, slot).await
            else {
                continue;
            };
            // The wait for the moment at which it acts is no part of how long it lasts.
            let lead = lane.fault.lead(&self.db.facts());
            let lasting = window.end.saturating_sub(window.start + lead);
            let end = (start + window.end).min(self.clock.now() + lasting);
            let then = self.after_nodedown(&lane, (i, k), &occurrence, from, end, &mut stop).await;
            let stopped = self.stopped_before(end, &mut stop).await;
            for held in std::iter::once(held).chain(then) {
                // Whether it was verified as removed is in the history, and judged there.
                self.faults.end(held.keep()).await;
            }
            if stopped {
                return;
            }
        }
    }

    /// Begins a fault; what keeps it from beginning becomes a problem of the run.
    async fn begin_or_report(
        &self,
        fault: &Arc<dyn DynFault>,
        random: Stream,
        zone: &Option<crate::op::Name>,
        slot: Slot,
    ) -> Option<Held> {
        let zone = zone.as_ref().map(ToString::to_string);
        let begin = Begin { fault: fault.clone(), random, zone, slot };
        match self.faults.begin(begin).await {
            Ok(Begun { held, .. }) => Some(held),
            // The run is healing.
            Err(e) if e.kind() == ErrorKind::Cancelled => None,
            Err(e) => {
                // One that panicked is a problem already.
                if !self.faults.board().problems().contains(&e.to_string()) {
                    let name = fault.name();
                    self.faults.board().problem(format!("`{name}` could not be planned: {e}"));
                }
                None
            }
        }
    }

    /// Waits until one node takes another one for dead, and begins other faults within the time
    /// between two ticks. Events before `from` are old news.
    async fn after_nodedown(
        &self,
        lane: &Lane,
        (i, k): (usize, usize),
        occurrence: &Occurrence,
        mut from: usize,
        end: Time,
        stop: &mut watch::Receiver<bool>,
    ) -> Vec<Held> {
        if lane.then.is_empty() {
            return Vec::new();
        }
        let seen = async {
            loop {
                let news = |history: &History| {
                    let nodedown = |i: usize| &**history.function(i) == "nodedown";
                    let seen = (from..history.len()).any(nodedown);
                    (seen, history.len())
                };
                let (seen, len) = self.recorder.with(news);
                if seen {
                    break;
                }
                from = len;
                self.clock.sleep(LOOK_EVERY).await;
            }
        };
        tokio::select! {
            biased;
            _ = self.stopped_before(end, stop) => return Vec::new(),
            () = seen => {}
        }
        let at = self.now() + Duration::from_nanos(occurrence.then_delay_ns.unwrap_or_default());
        if self.stopped_before(at.min(end), stop).await || at >= end {
            return Vec::new();
        }
        let zone = Some("after_nodedown".into());
        let mut begun = Vec::new();
        for (index, fault) in lane.then.iter().enumerate() {
            let random = self.seed.stream(&format!("nemesis/{i}/{k}/then/{index}"));
            let slot = Slot::Then { lane: i, window: k, index };
            begun.extend(self.begin_or_report(fault, random, &zone, slot).await);
        }
        begun
    }

    /// Waits until `time`; did `stop` say true before?
    async fn stopped_before(&self, time: Time, stop: &mut watch::Receiver<bool>) -> bool {
        tokio::select! {
            biased;
            said = stop.wait_for(|stop| *stop) => said.is_ok(),
            () = self.clock.sleep_until(time) => false,
        }
    }

    /// The windows in which the faults of every lane act.
    ///
    /// # Errors
    ///
    /// Where a fault cannot start and end within the main phase.
    pub(crate) fn schedule(
        nemesis: &crate::nemesis::Nemesis,
        db: &crate::db::AnyDb,
        effective: &crate::run::options::Effective,
        seed: crate::random::Seed,
        boundaries: Option<crate::nemesis::Boundaries>,
    ) -> Result<Vec<Vec<crate::nemesis::Window>>, Error> {
        let facts = db.facts();
        let lanes = nemesis.lanes().iter().enumerate();
        let schedule = lanes.map(|(i, lane)| {
            let lasts = lane.timing.lasts(lane.fault.lasts().or(facts.cut), facts.net_ticktime);
            let lead = lane.fault.lead(&facts);
            let mut random = seed.stream(&format!("nemesis/{i}/windows"));
            let (name, limit) = (lane.name(), effective.time_limit);
            windows(&name, &lane.timing, lead, lasts, boundaries.as_ref(), limit, &mut random)
        });
        schedule.collect()
    }
}

/// The windows of a stored run; what happens in them is drawn as it happens.
fn without_plans(replay: &Schedule) -> Vec<LaneSchedule> {
    let mut lanes = replay.lanes.clone();
    for occurrence in lanes.iter_mut().flat_map(|lane| &mut lane.occurrences) {
        (occurrence.fault, occurrence.then) = (None, Vec::new());
    }
    lanes
}
