//! The running test: a cluster that is up, its history, its faults, its operations.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::announce::Announcements;
use super::calls::Calls;
use super::ended;
use super::faults::{Faults, died};
use super::needs::Able;
use super::observe::Observed;
use super::online::First;
use super::options::Effective;
use super::pace::{Moment, Pace};
use super::progress::Progress;
use crate::checker::AnyChecker;
use crate::client::{BoxFuture, DynClient, DynOpener, Error as ClientError};
use crate::clock::Clock;
use crate::db::AnyDb;
use crate::env::wire::Wire;
use crate::error::Error;
use crate::generator::{Generator, Thread};
use crate::history::{Recorder, Samples};
use crate::interpreter::{Ended, Executor, Interpreter, Observer, Outcome, Sent};
use crate::nemesis::{Boundaries, Nemesis, Schedule};
use crate::node::{Cluster, Node};
use crate::op::{NodeId, Phase, Process};
use crate::random::Seed;
use crate::runtime::AnyRuntime;
use crate::time::Time;
use crate::workload::Workload;

/// How much longer lanes may take than the main phase: undoing a kill is a restart.
const LANES_LIMIT: Duration = Duration::from_secs(120);

/// Clients of scenarios count their processes from here, far above those of the interpreter.
pub(super) const FIRST_PROCESS: u32 = 1 << 30;

/// A test whose cluster is up.
pub(crate) struct Live {
    pub(crate) cluster: Cluster,
    /// The services on which processes ran when the set-up was over, or had failed by then: what a database only
    /// does once at the start may end.
    pub(super) services: Vec<Node>,
    pub(crate) db: AnyDb,
    pub(crate) nemesis: Nemesis,
    pub(crate) workload: Workload,
    pub(crate) effective: Effective,
    pub(crate) seed: Seed,
    pub(super) able: Able,
    pub(super) runtime: Option<AnyRuntime>,
    pub(crate) clock: Clock,
    pub(crate) recorder: Recorder,
    pub(crate) samples: Samples,
    pub(super) faults: Faults,
    pub(super) observed: Observed,
    pub(super) announcements: Arc<Announcements>,
    pub(super) replay: Option<Arc<Schedule>>,
    pub(super) phase: Arc<Mutex<Phase>>,
    pub(super) interpreter: tokio::sync::Mutex<Interpreter>,
    pub(super) executor: Executor,
    /// Has it no workload of its own? Then `workload` stands for the database's client alone.
    pub(super) is_scenario: bool,
    /// The next process of a scenario's client.
    pub(super) processes: AtomicU32,
    pub(super) cancel: watch::Sender<bool>,
    pub(super) progress: Progress,
    pub(super) calls: Calls,
    pub(super) pace: Pace,
    /// When the cluster was up.
    pub(super) up: Moment,
    /// The test's own checkers, beside those of the workload.
    pub(super) checkers: Vec<AnyChecker>,
    /// The anomaly at which the main phase ended.
    pub(super) first: OnceLock<First>,
    /// Where the run is kept.
    pub(super) folder: Option<PathBuf>,
}

/// Opens the workload's clients, or the database's own for that workload.
pub(super) struct LiveOpener<'a>(pub(super) &'a Live);

impl DynOpener for LiveOpener<'_> {
    fn open(
        &self,
        _thread: Thread,
        node: NodeId,
    ) -> BoxFuture<'_, Result<Box<dyn DynClient>, ClientError>> {
        let at = self.0.cluster.node(node);
        let client = match at.has_left() {
            true => Err(Error::usage(format!("{} has left the cluster", at.name()))),
            false => self.0.client(&at),
        };
        let client = client.map_err(|e| ClientError::new(at.name(), e));
        Box::pin(async move { client })
    }
}

/// Operations fire [`before_op`](crate::env::wire::before_op).
pub(super) struct Triggering {
    pub(super) cluster: Cluster,
    pub(super) wire: Arc<dyn Wire>,
}

impl Observer for Triggering {
    fn about_to_invoke(&self, sent: &Sent<'_>) {
        self.wire.before_operation(self.cluster.node(sent.node).host(), &sent.op.f);
    }
}

/// A new client of a node: the workload's, else the database's.
///
/// # Errors
///
/// Where neither has one.
pub(super) fn open(
    calls: &Calls,
    limit: Duration,
    db: &AnyDb,
    workload: &Workload,
    node: &Node,
) -> Result<Box<dyn DynClient>, Error> {
    let name = workload.name();
    let opened = calls.run(format!("opening the client of {}", node.name()), limit, || {
        workload.open(node).or_else(|| db.client(name, node))
    });
    opened.ok_or_else(|| {
        let named = db.name();
        Error::usage(match db.workloads().as_slice() {
            [] => format!(
                "db `{named}` has no clients; give the test a workload that has one, such as \
                 `test.workload(set_workload()..)`, or implement `Db::client` and `Db::workloads`"
            ),
            known => format!(
                "db `{named}` has no client for workload `{name}`; it has clients for {}. Use one \
                 of these, or give the workload a client with `Workload::client`",
                known.join(", "),
            ),
        })
    })
}

impl Live {
    /// A new client of a node.
    ///
    /// # Errors
    ///
    /// Where neither workload nor database has one.
    pub(super) fn client(&self, node: &Node) -> Result<Box<dyn DynClient>, Error> {
        let limit = self.effective.op_limit;
        let client = open(&self.calls, limit, &self.db, &self.workload, node)?;
        Ok(self.calls.client(client, node.name(), limit))
    }

    /// A process for a client of a scenario.
    pub(super) fn next_process(&self) -> Process {
        Process(self.processes.fetch_add(1, Ordering::Relaxed))
    }

    /// Operations at their rate, and faults in their lanes, until the time limit.
    pub(crate) async fn main_phase(self: &Arc<Self>) -> Result<(), Error> {
        let judges = self.judges()?;
        self.enter(Phase::Main);
        let start = self.clock.now();
        self.progress.main_ends(start + self.effective.time_limit);
        let schedule = self.lanes()?;
        self.faults.scheduled(schedule.clone());
        let (stop, stopped) = watch::channel(false);
        let mut lanes = tokio::task::JoinSet::new();
        for (lane, schedule) in self.nemesis.lanes().iter().cloned().enumerate().zip(schedule) {
            lanes.spawn(self.clone().run_lane(lane, schedule, start, stopped.clone()));
        }
        let mean = Duration::from_secs_f64(1.0 / self.effective.rate);
        let operations = self.workload.operations(self.seed.derive("operations"));
        let operations = operations.stagger(mean, self.seed.stream("rate"));
        let mut operations = judges.ending(operations);
        let outcome = self.drive(Phase::Main, &mut operations, self.effective.time_limit).await;
        if let Some(first) = judges.join(self).await {
            let _ = self.first.set(first);
        }
        if self.first.get().is_some() || !matches!(outcome.ended, Ended::TimeLimit) {
            let _ = stop.send(true);
        }
        let all_lanes = async {
            while let Some(ended) = lanes.join_next().await {
                if let Err(e) = ended {
                    self.faults.board().problem(format!("a lane of the nemesis {}", died(e)));
                }
            }
        };
        if self.clock.timeout(LANES_LIMIT, all_lanes).await.is_err() {
            let problem = format!("faults were not undone within {LANES_LIMIT:?}");
            self.faults.board().problem(problem);
        }
        self.recorder.set_meta("main_start_ns", start.0 as i64);
        self.recorder.set_meta("main_end_ns", outcome.end.0 as i64);
        match outcome.ended {
            Ended::Cancelled => Err(Error::cancelled()),
            _ => Ok(()),
        }
    }

    /// When nodes take each other for dead: as the nodes say, or as the database says of them.
    pub(super) fn boundaries(&self) -> Option<Boundaries> {
        let said = self.db.facts().net_ticktime.map(Boundaries::with_ticktime);
        self.observed.boundaries().or(said)
    }

    /// Runs a generator against the clients.
    pub(super) async fn drive(
        &self,
        phase: Phase,
        generator: &mut dyn Generator,
        limit: Duration,
    ) -> Outcome {
        let mut interpreter = self.interpreter.lock().await;
        let mut cancel = self.cancel.subscribe();
        interpreter.run(phase, generator, &LiveOpener(self), limit, &mut cancel).await
    }

    /// Nodes and services whose processes ended although no fault killed them, in sentences. Those that are hit by
    /// a fault that was not verified as removed are its work.
    pub(super) fn ended_by_themselves(&self) -> Vec<String> {
        let dead = self.dead();
        let exits = dead.iter().map(|node| {
            format!("processes on {} exited unexpectedly; logs: {}", node.name(), node.logs())
        });
        self.refused_threads().into_iter().chain(exits).collect()
    }

    /// What to do where one of these said that it was refused a thread.
    pub(super) fn refused_threads(&self) -> Option<String> {
        self.dead().iter().find_map(ended::remedy)
    }

    fn dead(&self) -> Vec<Node> {
        let hit = self.faults.board().hit();
        let mut dead = self.cluster.nodes();
        dead.extend(self.services.iter().cloned());
        dead.retain(|n| !n.is_running() && !hit.contains(&n.id()));
        dead
    }

    /// The phase that new events belong to.
    pub(super) fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a phase.
    pub(super) fn enter(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// Now, on the test's clock.
    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }
}
