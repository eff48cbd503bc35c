//! Faults while they act: begun, checked, ended, checked again, each step recorded.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::live::Live;
use crate::error::Error;
use crate::history::{Edge, FaultStatus, History};
use crate::nemesis::{Check, DynFault, Lane, Plan, Targets, Window};
use crate::op::{Event, Name, Phase, Process, Value};
use crate::random::Stream;
use crate::time::Time;

/// How long one step of a fault may take: starting it, or undoing it with a restart.
const STEP_LIMIT: Duration = Duration::from_secs(90);

/// Between two looks for a nodedown.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The faults that act now.
#[derive(Default)]
pub(super) struct Faults {
    next: AtomicI64,
    active: Mutex<Vec<Active>>,
    /// What went wrong with faults themselves, in sentences.
    problems: Mutex<Vec<String>>,
}

#[derive(Clone)]
struct Active {
    id: i64,
    fault: Arc<dyn DynFault>,
    plan: Plan,
    /// Is it recorded whether it was seen to act? One that waits for its moment may be undone before.
    started: Arc<AtomicBool>,
}

impl Faults {
    /// The faults that act, for people: `bridge {n1 n2} - n3 - {n4 n5}`.
    pub(super) fn shown(&self) -> Vec<String> {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        active.iter().map(|a| format!("{} {}", a.fault.name(), a.plan.shape)).collect()
    }

    /// What went wrong with faults themselves.
    pub(super) fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn problem(&self, text: String) {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}

impl Live {
    fn targets(&self) -> Targets<'_> {
        Targets { cluster: &self.cluster, db: &self.db }
    }

    /// Records an event of the nemesis.
    pub(super) fn record_nemesis(&self, f: Name, edge: Edge, value: Value) {
        let event = Event {
            time: self.clock.now(),
            process: Process::NEMESIS,
            node: None,
            kind: edge.kind(),
            f,
            value,
            error: None,
            phase: self.phase(),
        };
        // Events of the nemesis have no partner, so that none can be malformed.
        let _ = self.recorder.record(event);
    }

    /// Draws a plan, applies it, checks it; gives the number under which it acts.
    ///
    /// # Errors
    ///
    /// Where there is nothing to hit. A fault that was begun and failed counts as begun.
    pub(super) async fn begin(
        &self,
        fault: Arc<dyn DynFault>,
        random: &mut Stream,
        zone: Option<&str>,
    ) -> Result<(i64, FaultStatus), Error> {
        let plan = fault.plan(self.targets(), random)?;
        let id = self.faults.next.fetch_add(1, Ordering::Relaxed);
        let started = Arc::new(AtomicBool::new(false));
        let active =
            Active { id, fault: fault.clone(), plan: plan.clone(), started: started.clone() };
        self.faults.active.lock().unwrap_or_else(PoisonError::into_inner).push(active);
        let value = History::fault_start(id, &plan.shape, zone);
        self.record_nemesis(fault.name(), Edge::Start, value);
        let trouble = format!("{} {}", fault.name(), plan.shape);
        self.announcements.trouble(Edge::Start, id, &trouble);
        let start = fault.start(self.targets(), &plan);
        let start =
            self.calls.watch(format!("`Fault::start` of `{}`", fault.name()), STEP_LIMIT, start);
        let begun = tokio::time::timeout(STEP_LIMIT, start).await;
        if started.load(Ordering::SeqCst) {
            // It was undone meanwhile, and that is recorded; what came of its start has no place any more.
            return Ok((id, FaultStatus::Indeterminate));
        }
        let check = self.checked(&fault, "starting", begun);
        let status = check.status;
        self.record_started(&fault, id, &started, check);
        Ok((id, status))
    }

    /// Records once what came of a fault's start.
    fn record_started(
        &self,
        fault: &Arc<dyn DynFault>,
        id: i64,
        started: &AtomicBool,
        check: Check,
    ) {
        if !started.swap(true, Ordering::SeqCst) {
            let check = Some((check.status, check.evidence));
            let value = History::fault_value(id, Edge::Started, "", check);
            self.record_nemesis(fault.name(), Edge::Started, value);
        }
    }

    /// That a fault was not seen to act, with what was seen instead.
    pub(super) fn never_acted(&self, id: i64) -> Error {
        let spans = self.recorder.with(History::faults);
        let told = spans.into_iter().find(|span| span.id == id).map(|span| {
            let evidence: Vec<String> = span.evidence.iter().map(ToString::to_string).collect();
            format!("`{} {}` was not seen to act: {}", span.name, span.shape, evidence.join("; "))
        });
        Error::environment(told.unwrap_or_else(|| "a fault was not seen to act".into()))
    }

    /// Undoes a fault that acts; does nothing where it was undone already.
    pub(super) async fn end(&self, id: i64) -> Option<FaultStatus> {
        let active = {
            let mut all = self.faults.active.lock().unwrap_or_else(PoisonError::into_inner);
            let at = all.iter().position(|a| a.id == id)?;
            all.remove(at)
        };
        let Active { fault, plan, started, .. } = active;
        let early = "it was undone before it was seen to act";
        let early = Check { status: FaultStatus::Indeterminate, evidence: early.into() };
        self.record_started(&fault, id, &started, early);
        self.record_nemesis(
            fault.name(),
            Edge::Stop,
            History::fault_value(id, Edge::Stop, "", None),
        );
        let stop = fault.stop(self.targets(), &plan);
        let stop =
            self.calls.watch(format!("`Fault::stop` of `{}`", fault.name()), STEP_LIMIT, stop);
        let stopped = tokio::time::timeout(STEP_LIMIT, stop).await;
        let trouble = format!("{} {}", fault.name(), plan.shape);
        self.announcements.trouble(Edge::Stop, id, &trouble);
        let check = self.checked(&fault, "undoing", stopped);
        let status = check.status;
        let value = History::fault_value(id, Edge::Stopped, "", Some((status, check.evidence)));
        self.record_nemesis(fault.name(), Edge::Stopped, value);
        Some(status)
    }

    fn checked(
        &self,
        fault: &Arc<dyn DynFault>,
        doing: &str,
        result: Result<Result<Check, Error>, tokio::time::error::Elapsed>,
    ) -> Check {
        let problem = match result {
            Ok(Ok(check)) => return check,
            Ok(Err(e)) => format!("{doing} `{}` failed: {e}", fault.name()),
            Err(_) => format!("{doing} `{}` took longer than {STEP_LIMIT:?}", fault.name()),
        };
        self.faults.problem(problem.clone());
        Check { status: FaultStatus::Indeterminate, evidence: problem.into() }
    }

    /// Undoes all faults that act, the last one first; were all seen undone?
    pub(super) async fn end_all(&self) -> bool {
        let ids: Vec<i64> = {
            let all = self.faults.active.lock().unwrap_or_else(PoisonError::into_inner);
            all.iter().rev().map(|a| a.id).collect()
        };
        let mut undone = true;
        for id in ids {
            undone &= matches!(self.end(id).await, None | Some(FaultStatus::Installed));
        }
        undone
    }

    /// Runs one lane until its last window, or until `stop` says true.
    pub(super) async fn run_lane(
        self: Arc<Self>,
        lane: Lane,
        windows: Vec<Window>,
        start: Time,
        mut random: Stream,
        mut stop: watch::Receiver<bool>,
    ) {
        for window in windows {
            if self.stopped_before(start + window.start, &mut stop).await {
                return;
            }
            let from = self.recorder.len();
            let Some(id) = self.begin_or_tell(&lane.fault, &mut random, window.zone).await else {
                continue;
            };
            // The wait for the moment at which it acts is no part of how long it lasts.
            let lead = lane.fault.lead(&self.db.facts());
            let lasting = window.end.saturating_sub(window.start + lead);
            let end = (start + window.end).min(self.clock.now() + lasting);
            let then = self.after_nodedown(&lane.then, from, end, &mut random, &mut stop).await;
            let stopped = self.stopped_before(end, &mut stop).await;
            self.end(id).await;
            for id in then {
                self.end(id).await;
            }
            if stopped {
                return;
            }
        }
    }

    /// [`Live::begin`]; what keeps it from beginning becomes a problem of the run.
    async fn begin_or_tell(
        &self,
        fault: &Arc<dyn DynFault>,
        random: &mut Stream,
        zone: Option<&str>,
    ) -> Option<i64> {
        let begun = self.begin(fault.clone(), random, zone).await;
        let tell = |e| self.faults.problem(format!("`{}` could not be planned: {e}", fault.name()));
        begun.map_err(tell).ok().map(|(id, _)| id)
    }

    /// Waits until one node takes another one for dead, and begins other faults within the time
    /// between two ticks; gives their numbers. Events before `from` are old news.
    async fn after_nodedown(
        &self,
        then: &[Arc<dyn DynFault>],
        mut from: usize,
        end: Time,
        random: &mut Stream,
        stop: &mut watch::Receiver<bool>,
    ) -> Vec<i64> {
        if then.is_empty() {
            return Vec::new();
        }
        let tick = self.boundaries().map_or(Duration::ZERO, |b| b.tick());
        let delay = random.duration(Duration::ZERO, tick);
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
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::select! {
            _ = self.stopped_before(end, stop) => return Vec::new(),
            () = seen => {}
        }
        let at = self.now() + delay;
        if self.stopped_before(at.min(end), stop).await || at >= end {
            return Vec::new();
        }
        let mut begun = Vec::new();
        for fault in then {
            begun.extend(self.begin_or_tell(fault, random, Some("after_nodedown")).await);
        }
        begun
    }

    /// Waits until `time`; did `stop` say true before?
    async fn stopped_before(&self, time: Time, stop: &mut watch::Receiver<bool>) -> bool {
        tokio::select! {
            () = tokio::time::sleep_until(self.clock.instant(time)) => false,
            said = stop.wait_for(|stop| *stop) => said.is_ok(),
        }
    }

    /// The phase that new events belong to.
    pub(super) fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a phase.
    pub(super) fn enter(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }
}
