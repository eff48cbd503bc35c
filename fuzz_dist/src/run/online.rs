//! `stop = "first_anomaly"`: checkers that judge while the main phase runs, and what is kept when one
//! of them is certain.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::judge::short_name;
use super::live::Live;
use super::options::Stop;
use crate::checker::{Anomaly, AnyChecker, Online};
use crate::error::Error;
use crate::generator::{Context, Generator, Next, Update};
use crate::op::Event;
use crate::time::Time;

/// So many events are taken from the history at a time: nobody can record meanwhile.
const BATCH: usize = 64;
/// How long the judges wait for new events.
const PAUSE: Duration = Duration::from_millis(10);
/// How long the generator may take to notice that the phase is to end.
const NOTICE: Duration = Duration::from_millis(100);
/// How long the judges may take for what was recorded when the phase is over.
const REST_LIMIT: Duration = Duration::from_secs(10);

/// The anomaly that ended a run.
#[derive(Clone, Debug)]
pub(super) struct First {
    checker: String,
    anomaly: Anomaly,
    /// The event that made it certain.
    event: usize,
}

impl First {
    /// Why the run ended early.
    pub(super) fn reason(&self) -> String {
        let First { checker, anomaly, event } = self;
        format!(
            "stopped at the first certain anomaly: {checker}: {} {} at event {event}",
            anomaly.kind, anomaly.subject
        )
    }
}

/// A checker that judges online.
struct Judge {
    name: String,
    online: Box<dyn Online>,
}

/// The judges of a main phase.
pub(super) struct Judges {
    stop: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    watching: JoinSet<Option<First>>,
}

impl Live {
    /// Starts the judges, where the run is to end at its first anomaly.
    ///
    /// # Errors
    ///
    /// A usage error where none of the run's checkers can judge online.
    pub(super) fn judges(self: &Arc<Self>) -> Result<Judges, Error> {
        let (stop, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let mut watching = JoinSet::new();
        if self.effective.stop == Stop::FirstAnomaly {
            let checkers = || self.workload.checkers().iter().chain(&self.checkers);
            let judges: Vec<Judge> = checkers().filter_map(|c| self.judge_of(c)).collect();
            if judges.is_empty() {
                let names =
                    checkers().map(|c| short_name(c.type_name())).collect::<Vec<_>>().join(", ");
                return Err(Error::usage(format!(
                    "`stop = \"first_anomaly\"` needs a checker that can judge while the run goes on, \
                     and none of this test's can ({names}); add one (set_full, unique_ids, total_queue, \
                     offset_log, bank, distinct_register, session_guarantees, or your own with \
                     `Checker::online`), or leave `stop` out"
                )));
            }
            watching.spawn(watch(self.clone(), judges, stop.clone(), over.clone()));
        }
        Ok(Judges { stop, over, watching })
    }

    fn judge_of(&self, checker: &AnyChecker) -> Option<Judge> {
        let name = short_name(checker.type_name());
        let what = format!("`Checker::online` of `{name}`");
        let made = self.recorder.with(|history| {
            let mut begin = crate::history::History::new(history.nodes().iter().cloned());
            for (key, value) in history.all_meta() {
                begin.set_meta(key.clone(), value.clone());
            }
            begin
        });
        let online = self.calls.run(what, self.effective.op_limit, || {
            catch_unwind(AssertUnwindSafe(|| checker.online(&made)))
        });
        let online = online.unwrap_or_else(|_| {
            self.faults.board().problem(format!("`Checker::online` of `{name}` panicked"));
            None
        });
        Some(Judge { name, online: online? })
    }
}

impl Judges {
    /// The operations, which end once an anomaly is certain.
    pub(super) fn ending<G: Generator>(&self, operations: G) -> Ending<G> {
        Ending { operations, stop: self.stop.clone() }
    }

    /// Waits until all that was recorded is judged, and the state of the nodes kept where that was
    /// called for.
    pub(super) async fn join(mut self, live: &Live) -> Option<First> {
        self.over.store(true, Ordering::Release);
        match self.watching.join_next().await? {
            Ok(first) => first,
            Err(error) => {
                live.faults
                    .board()
                    .problem(format!("the online checkers {}", super::faults::died(error)));
                None
            }
        }
    }
}

/// Judges events as they are recorded, until an anomaly is certain or the phase is over.
async fn watch(
    live: Arc<Live>,
    mut judges: Vec<Judge>,
    stop: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
) -> Option<First> {
    let mut next = 0;
    let mut since_over: Option<Time> = None;
    loop {
        let was_over = over.load(Ordering::Acquire);
        let events: Vec<Event> = live.recorder.with(|history| {
            let end = history.len().min(next + BATCH);
            (next..end).map(|i| history.event(i)).collect()
        });
        for (index, event) in (next..).zip(&events) {
            if let Some(first) = judged(&live, &mut judges, index, event) {
                // The generator ends; faults act until the state of the nodes is kept.
                stop.store(true, Ordering::Release);
                live.keep_states().await;
                return Some(first);
            }
        }
        next += events.len();
        if was_over {
            let since = *since_over.get_or_insert_with(|| live.now());
            if events.is_empty() || live.now().since(since) > REST_LIMIT {
                return None;
            }
        }
        match events.is_empty() {
            true => live.clock.sleep(PAUSE).await,
            false => tokio::task::yield_now().await,
        }
    }
}

/// Gives an event to all judges. One that panics judges no more.
fn judged(live: &Live, judges: &mut Vec<Judge>, index: usize, event: &Event) -> Option<First> {
    let mut first = None;
    judges.retain_mut(|judge| {
        let what = format!("`Online::observe` of `{}`", judge.name);
        let observed = live.calls.run(what, live.effective.op_limit, || {
            catch_unwind(AssertUnwindSafe(|| judge.online.observe(index, event)))
        });
        match observed {
            Ok(found) => {
                let checker = judge.name.clone();
                let found = found.map(|anomaly| First { checker, anomaly, event: index });
                first = first.take().or(found);
                true
            }
            Err(_) => {
                let problem = format!("`Online::observe` of `{}` panicked", judge.name);
                live.faults.board().problem(problem);
                false
            }
        }
    });
    first
}

/// Operations until somebody says stop.
pub(super) struct Ending<G> {
    operations: G,
    stop: Arc<AtomicBool>,
}

impl<G: Generator> Generator for Ending<G> {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        if self.stop.load(Ordering::Acquire) {
            return Next::Exhausted;
        }
        // A generator is asked again at the time that it names: soon enough to notice.
        let soon = ctx.time + NOTICE;
        match self.operations.next(ctx) {
            Next::Op(planned) if planned.time > soon => Next::Pending(Some(soon)),
            Next::Pending(wake) => Next::Pending(Some(wake.map_or(soon, |wake| wake.min(soon)))),
            next => next,
        }
    }
    fn take(&mut self, ctx: &Context<'_>) {
        self.operations.take(ctx);
    }
    fn update(&mut self, ctx: &Context<'_>, update: &Update<'_>) {
        self.operations.update(ctx, update);
    }
}
