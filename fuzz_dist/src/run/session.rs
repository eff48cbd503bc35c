//! One attempt at a test: what it holds, and how it ends whatever happens.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::calls::Calls;
use super::judge::{heed_judges, judge, run_verdict};
use super::lease::{self, Lease, LeaseError, Share};
use super::live::Live;
use super::options::{Effective, Options};
use super::overrides::Overrides;
use super::pace::Pace;
use super::provision::{PREPARE_LIMIT, provision};
use super::{Judged, Outcome, Plan, Test, TrialSpec, progress};
use crate::checker::{AnyChecker, Validity, Verdict, explained, power, stats};
use crate::clock::Clock;
use crate::env::Environment;
use crate::error::{Error, ErrorKind};
use crate::history::{ENDED_EARLY, History, Recorder, Samples};
use crate::nemesis::Lane;
use crate::node::Cluster;
use crate::random::Seed;
use crate::store::Store;
use crate::time::Time;

/// How long the end of an interrupted run may take: undoing faults, with restarts.
const HEAL_LIMIT: Duration = Duration::from_secs(120);
/// How long the hosts may take to say which processes they have.
const STATES_LIMIT: Duration = Duration::from_secs(10);

/// One attempt at a test.
///
/// It outlives the user's function, so that whatever becomes of that (an error, a panic, an
/// interruption) faults are undone, the history is kept and judged, and nothing stays behind.
pub(crate) struct Session {
    spec: TrialSpec,
    over: Overrides,
    seed: Seed,
    /// What the run takes its time from.
    clock: Clock,
    /// The machine's clock, for limits that protect whoever waits for the test.
    machine: Clock,
    live: OnceCell<Arc<Live>>,
    store: OnceLock<Store>,
    cluster: OnceLock<Cluster>,
    recorder: OnceLock<Recorder>,
    effective: OnceLock<Effective>,
    stage: Mutex<&'static str>,
    judged: Mutex<Option<Verdict>>,
    /// Those that the test has asked for so far: an interrupted run is judged by them as well.
    checkers: Mutex<Vec<AnyChecker>>,
    calls: Calls,
    pace: Pace,
    lease: Mutex<Option<Lease>>,
    queue: Mutex<Queued>,
}

/// How long the attempt was in the queue for the machine, which counts for no limit.
#[derive(Default)]
struct Queued {
    since: Option<Time>,
    before: Duration,
}

/// How an attempt ended.
pub(crate) struct Finished {
    /// The verdict, or what kept the run from one.
    pub outcome: Result<Verdict, Error>,
    /// What the checkers say, also where the outcome is an error.
    pub judged: Option<Verdict>,
    /// Whether `judged` is the verdict of a run that was over before the outcome.
    pub after_verdict: bool,
    /// What was recorded.
    pub history: Arc<History>,
    /// How the nodes were doing meanwhile.
    pub samples: Samples,
    /// Where it is kept.
    pub store: Option<Store>,
    /// The name of its environment, where one was started.
    pub env: Option<String>,
    /// The effective options, where they were good.
    pub effective: Option<Effective>,
    /// What people should know: an environment's notes.
    pub notes: Vec<String>,
    /// Whether traces are to be kept, too.
    pub traces: bool,
}

impl Session {
    /// An attempt that has not begun, which takes its time from this clock.
    pub(crate) fn new(spec: TrialSpec, over: Overrides, seed: Seed, clock: Clock) -> Arc<Session> {
        let pace = Pace::default();
        let machine = if clock.is_system() { clock.clone() } else { Clock::system() };
        Arc::new(Session {
            spec,
            over,
            seed,
            clock,
            machine,
            live: OnceCell::new(),
            store: OnceLock::new(),
            cluster: OnceLock::new(),
            recorder: OnceLock::new(),
            effective: OnceLock::new(),
            stage: Mutex::new("resolving the test"),
            judged: Mutex::new(None),
            checkers: Mutex::default(),
            calls: Calls::with(pace.clone()),
            pace,
            lease: Mutex::default(),
            queue: Mutex::default(),
        })
    }

    /// What the user's function is given.
    pub(crate) fn test(self: &Arc<Self>) -> Test {
        let spec = &self.spec;
        let plan = Plan {
            db: spec.db.map(|p| p.make()),
            nemesis: spec.nemesis.map(|p| p.make()).unwrap_or_default(),
            workload: spec.workload.map(|p| p.make()),
            checkers: spec.checkers.iter().map(|p| p.make()).collect(),
            env: spec.env.map(|p| p.make()),
            options: spec.options.clone(),
            replay: None,
        };
        Test::new(self.clone(), plan)
    }

    pub(super) fn name(&self) -> &str {
        &self.spec.name
    }

    /// What the environment says about the logs' size.
    pub(super) fn log_limit(&self) -> Option<u64> {
        self.over.log_limit.map(|size| size.0)
    }

    pub(super) fn seed(&self) -> Seed {
        self.seed
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The machine's clock.
    pub(super) fn machine(&self) -> &Clock {
        &self.machine
    }

    pub(super) fn enter(&self, stage: &'static str) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// What is being done, for messages: it fits behind "while".
    pub(crate) fn stage(&self) -> &'static str {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn effective(&self, options: &Options) -> Result<Effective, Error> {
        let effective = options.effective(&self.over).map_err(|e| Error::usage(e.to_string()))?;
        // Where nobody chose a seed, every call draws one; what counts is this attempt's.
        let effective = Effective { seed: self.seed, ..effective };
        let _ = self.effective.set(effective.clone());
        Ok(effective)
    }

    /// How long this attempt may take in total. It may grow while the attempt runs: the user's
    /// function has a word in it, and `said` is what counts before that.
    pub(crate) fn total_limit(&self, said: &Effective) -> Duration {
        let effective = self.effective.get().unwrap_or(said);
        self.limit_with(effective, self.live.get().and_then(|live| live.db.facts().quiesce_limit))
    }

    /// The total limit with these options, for a database with this quiesce limit.
    pub(super) fn limit_with(&self, effective: &Effective, facts: Option<Duration>) -> Duration {
        // No cut is longer than the main phase.
        let quiesce = effective.quiesce_limit.or(facts);
        let quiesce = quiesce.unwrap_or_else(|| effective.quiesce_limit(effective.time_limit));
        effective.total_limit(PREPARE_LIMIT, quiesce)
    }

    /// The user's code that runs now.
    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// How fast the machine lets the attempt go on.
    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Waits until the machine has room for this attempt.
    pub(super) async fn queue(&self, share: Share) -> Result<(), Error> {
        let queue = || self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.enter("queued");
        queue().since = Some(self.machine.now());
        let limit = self.over.wait_limit.unwrap_or(lease::WAIT_LIMIT);
        let lease = lease::take(&self.spec.name, share, limit, &self.machine).await;
        let mut queue = queue();
        let waited = queue.since.take().map(|since| self.machine.now().since(since));
        queue.before += waited.unwrap_or_default();
        let lease = lease.map_err(|error| match error {
            LeaseError::Cancelled(_) => Error::caused(ErrorKind::Cancelled, error),
            LeaseError::Waited { .. } => Error::caused(ErrorKind::Deadline, error),
            LeaseError::Folder { .. } => Error::environment(error),
        })?;
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = Some(lease);
        Ok(())
    }

    /// How long the attempt has been in the queue so far.
    pub(crate) fn queued(&self) -> Duration {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = queue.since.map(|since| self.machine.now().since(since));
        queue.before + waits.unwrap_or_default()
    }

    /// Takes the share of the machine out of the session, to be dropped when the hosts are gone.
    pub(crate) fn take_lease(&self) -> Option<Lease> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn store(&self) -> Result<&Store, Error> {
        if self.store.get().is_none() {
            let (root, now) = (crate::store::root(), self.clock.wall());
            let _ = self.store.set(Store::create(&root, &self.spec.name, now)?);
        }
        Ok(self.store.get().expect("it was set above"))
    }

    pub(super) fn up(&self, cluster: &Cluster) {
        let _ = self.cluster.set(cluster.clone());
    }

    pub(super) fn recording(&self, recorder: &Recorder) {
        let _ = self.recorder.set(recorder.clone());
    }

    /// The running cluster, provisioned at first use.
    pub(super) async fn live(&self, plan: &Plan) -> Result<Arc<Live>, Error> {
        self.asked_for(plan.checkers.clone());
        self.live.get_or_try_init(|| provision(self, plan)).await.cloned()
    }

    /// The verdict of the workload's checkers and of these over what was recorded so far.
    pub(super) async fn judge(&self, live: &Live, more: Vec<AnyChecker>) -> Result<Judged, Error> {
        self.asked_for(more);
        let judging = self.judging(live);
        let _stands_still = self.clock.hold();
        let verdict = tokio::task::spawn_blocking(judging).await?;
        self.found(&verdict);
        Ok(Judged::new(verdict))
    }

    fn found(&self, verdict: &Verdict) {
        *self.judged.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict.clone());
    }

    fn asked_for(&self, checkers: Vec<AnyChecker>) {
        *self.checkers.lock().unwrap_or_else(PoisonError::into_inner) = checkers;
    }

    /// All that the checkers need, and what they do with it, which takes its time.
    fn judging(&self, live: &Live) -> impl FnOnce() -> Verdict + Send + use<> {
        self.enter("judging the history");
        let (history, written) = live.recorder.finish();
        let mut problems = live.faults.board().problems();
        let disk = written.err().map(|e| e.to_string());
        problems.extend(disk.clone());
        problems.extend(live.ended_by_themselves());
        problems.extend(live.clock.preload().and_then(|preload| preload.broken()));
        let refused = live.refused_threads();
        let kinds = live.workload.kinds().to_vec();
        let asked =
            live.nemesis.lanes().iter().flat_map(Lane::faults).map(|f| f.name().to_string());
        let asked: Vec<String> = asked.collect();
        let mut checkers = live.workload.checkers().to_vec();
        checkers.extend(self.checkers.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let clients = match history.meta("main_end_ns") {
            Some(_) => live.effective.clients,
            None => 0,
        };
        let power = power().kinds(kinds).clients(clients).faults_asked(!asked.is_empty());
        checkers.push(Arc::new(power));
        checkers.push(Arc::new(stats()));
        move || {
            let run = run_verdict(&history, &asked, &problems);
            let judged = heed_judges(judge(&history, checkers));
            let verdict = Verdict::compose("verdict", std::iter::once(run).chain(judged.parts));
            let mut verdict = explained(verdict, &history);
            if let Some(reason) = disk.or(refused).filter(|_| verdict.is_invalid()) {
                // The hosts' data lie on the same disk, and a store that was refused a thread ended for it: what
                // was lost may be the machine's fault.
                verdict.validity = Validity::Unknown;
                verdict.reasons.insert(0, reason);
            }
            verdict
        }
    }

    /// Ends the attempt: undoes faults, judges what was recorded where nobody did it yet, and
    /// takes everything down.
    pub(crate) async fn finish(&self, outcome: Outcome) -> Finished {
        let after_verdict = self.judged().is_some();
        if let Some(live) = self.live.get() {
            let _ = live.cancel.send(true);
            live.heal(Some(HEAL_LIMIT)).await;
            let _ = live.clock.timeout(STATES_LIMIT, live.record_states()).await;
            live.announcements.flush().await;
            if let (Err(error), None) = (&outcome, self.judged()) {
                live.recorder.set_meta(ENDED_EARLY, error.to_string());
                let judging = self.judging(live);
                let _stands_still = self.clock.hold();
                if let Ok(verdict) = tokio::task::spawn_blocking(judging).await {
                    self.found(&verdict);
                }
            }
        }
        self.finished(outcome, after_verdict)
    }

    /// Ends an attempt whose threads are blocked: nothing here waits for its runtime. What was recorded
    /// is judged, and the hosts are gone when this returns; faults are not undone one by one.
    pub(crate) fn abandon(&self, error: Error) -> Finished {
        let after_verdict = self.judged().is_some();
        if let Some(live) = self.live.get()
            && self.judged().is_none()
        {
            live.recorder.set_meta(ENDED_EARLY, error.to_string());
            let verdict = self.judging(live)();
            self.found(&verdict);
        }
        self.hosts().inspect(|hosts| hosts.end());
        self.finished(Err(error.into()), after_verdict)
    }

    /// Where the hosts are, once there are some.
    pub(crate) fn hosts(&self) -> Option<Arc<dyn Environment>> {
        self.cluster.get().map(|cluster| cluster.env().clone())
    }

    fn finished(&self, outcome: Outcome, after_verdict: bool) -> Finished {
        progress::clear();
        let notes = self.cluster.get().map(|c| c.env().notes());
        let mut notes = notes.unwrap_or_default();
        if let Some(live) = self.live.get() {
            notes.extend(live.faults.board().departures());
            notes.extend(live.observed.notes());
            notes.extend(live.announcements.notes(live));
        }
        let samples = self.live.get().map(|live| live.samples.clone()).unwrap_or_default();
        notes.extend(samples.error().map(|e| format!("samples.jsonl could not be written: {e}")));
        let history = match self.recorder.get() {
            Some(recorder) => recorder.finish().0,
            None => Arc::default(),
        };
        // What counts is what this run was judged with, whatever the test's function holds.
        let judged = self.judged();
        let outcome = match (outcome, &judged) {
            (Ok(_), Some(verdict)) => Ok(verdict.clone()),
            (Ok(_), None) => Err(Error::usage("the test returned the verdict of another run")),
            (Err(error), _) => Err(error.into()),
        };
        Finished {
            outcome,
            judged,
            after_verdict,
            history,
            samples,
            store: self.store.get().cloned(),
            env: self.cluster.get().map(|cluster| cluster.env().name().to_owned()),
            effective: self.effective.get().cloned(),
            notes,
            traces: self.over.traces.unwrap_or_default(),
        }
    }

    fn judged(&self) -> Option<Verdict> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
