//! The running test: a cluster that is up, its history, its faults, its operations.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use super::announce::Announcements;
use super::calls::Calls;
use super::faults::Faults;
use super::observe::Observed;
use super::options::Effective;
use super::progress::Progress;
use crate::client::{BoxFuture, DynClient, DynOpener, Error as ClientError};
use crate::db::AnyDb;
use crate::env::HostId;
use crate::env::wire::Wire;
use crate::error::Error;
use crate::generator::{Generator, Thread};
use crate::history::{Recorder, Samples};
use crate::interpreter::{Ended, Executor, Interpreter, Outcome};
use crate::nemesis::{Boundaries, Nemesis, Window, windows};
use crate::node::{Cluster, Node};
use crate::op::{Completion, Invocation, NodeId, Phase, Process};
use crate::random::Seed;
use crate::time::{Clock, Time};
use crate::workload::Workload;

/// How much longer lanes may take than the main phase: undoing a kill is a restart.
const LANES_LIMIT: Duration = Duration::from_secs(120);

/// Clients of scenarios count their processes from here, far above those of the interpreter.
pub(super) const FIRST_PROCESS: u32 = 1 << 30;

/// A test whose cluster is up.
pub(crate) struct Live {
    pub(crate) cluster: Cluster,
    pub(crate) db: AnyDb,
    pub(crate) nemesis: Nemesis,
    pub(crate) workload: Workload,
    pub(crate) effective: Effective,
    pub(crate) seed: Seed,
    pub(crate) clock: Clock,
    pub(crate) recorder: Recorder,
    pub(crate) samples: Samples,
    pub(super) faults: Faults,
    pub(super) observed: Observed,
    pub(super) announcements: Arc<Announcements>,
    pub(super) phase: Mutex<Phase>,
    pub(super) interpreter: tokio::sync::Mutex<Interpreter>,
    pub(super) executor: Executor,
    /// Has it no workload of its own? Then `workload` stands for the database's client alone.
    pub(super) is_scenario: bool,
    /// The next process of a scenario's client.
    pub(super) processes: AtomicU32,
    pub(super) cancel: watch::Sender<bool>,
    pub(super) healed: AtomicBool,
    pub(super) progress: Progress,
    pub(super) calls: Calls,
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
        let client = self.0.client(at).map(|client| self.0.announced(client, node));
        let client = client.map_err(|e| ClientError::new(at.name(), e));
        Box::pin(async move { client })
    }
}

/// A client whose operations fire [`before_op`](crate::env::wire::before_op).
struct Announced {
    client: Box<dyn DynClient>,
    wire: Arc<dyn Wire>,
    host: HostId,
}

impl DynClient for Announced {
    fn invoke<'a>(&'a mut self, op: &'a Invocation) -> BoxFuture<'a, Completion> {
        self.wire.before_operation(self.host, &op.f);
        self.client.invoke(op)
    }
    fn reopen(&mut self) -> BoxFuture<'_, Result<(), ClientError>> {
        self.client.reopen()
    }
    fn is_reusable(&self) -> bool {
        self.client.is_reusable()
    }
}

impl Live {
    /// A new client of a node.
    ///
    /// # Errors
    ///
    /// Where neither workload nor database has one.
    pub(super) fn client(&self, node: &Node) -> Result<Box<dyn DynClient>, Error> {
        let name = self.workload.name();
        let opened = self.calls.run(
            format!("opening the client of {}", node.name()),
            self.effective.op_limit,
            || self.workload.open(node).or_else(|| self.db.client(name, node)),
        );
        opened.ok_or_else(|| {
            let db = self.db.name();
            Error::usage(match self.db.workloads().as_slice() {
                [] => format!(
                    "db `{db}` has no clients; give the test a workload that has one, such as \
                     `test.workload(set_workload()..)`, or implement `Db::client` and `Db::workloads`"
                ),
                known => format!(
                    "db `{db}` has no client for workload `{name}`; it has clients for {}. Use one \
                     of these, or give the workload a client with `Workload::client`",
                    known.join(", "),
                ),
            })
        })
    }

    /// A process for a client of a scenario.
    pub(super) fn next_process(&self) -> Process {
        Process(self.processes.fetch_add(1, Ordering::Relaxed))
    }

    /// The client, whose operations are announced to the wire before they are sent.
    pub(super) fn announced(&self, client: Box<dyn DynClient>, node: NodeId) -> Box<dyn DynClient> {
        let (name, limit) = (self.cluster.node(node).name(), self.effective.op_limit);
        let client = self.calls.client(client, name, limit);
        match self.cluster.wire() {
            Ok(wire) => {
                let host = self.cluster.node(node).host();
                Box::new(Announced { client, wire, host })
            }
            Err(_) => client,
        }
    }

    /// The windows in which the faults of every lane act.
    ///
    /// # Errors
    ///
    /// Where a fault cannot start and end within the main phase.
    pub(crate) fn schedule(
        nemesis: &Nemesis,
        db: &AnyDb,
        effective: &Effective,
        seed: Seed,
        boundaries: Option<Boundaries>,
    ) -> Result<Vec<Vec<Window>>, Error> {
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

    /// Operations at their rate, and faults in their lanes, until the time limit.
    pub(crate) async fn main_phase(self: &Arc<Self>) -> Result<(), Error> {
        self.enter(Phase::Main);
        let start = self.clock.now();
        self.progress.main_ends(start + self.effective.time_limit);
        let (nemesis, boundaries) = (&self.nemesis, self.boundaries());
        let schedule = Live::schedule(nemesis, &self.db, &self.effective, self.seed, boundaries)?;
        let (stop, stopped) = watch::channel(false);
        let mut lanes = tokio::task::JoinSet::new();
        for (i, (lane, windows)) in self.nemesis.lanes().iter().zip(schedule).enumerate() {
            let random = self.seed.stream(&format!("nemesis/{i}"));
            let live = self.clone();
            lanes.spawn(live.run_lane(lane.clone(), windows, start, random, stopped.clone()));
        }
        let mean = Duration::from_secs_f64(1.0 / self.effective.rate);
        let operations = self.workload.operations(self.seed.derive("operations"));
        let mut operations = operations.stagger(mean, self.seed.stream("rate"));
        let outcome = self.drive(Phase::Main, &mut operations, self.effective.time_limit).await;
        if !matches!(outcome.ended, Ended::TimeLimit) {
            let _ = stop.send(true);
        }
        let all_lanes = async { while lanes.join_next().await.is_some() {} };
        if tokio::time::timeout(LANES_LIMIT, all_lanes).await.is_err() {
            self.faults.problem(format!("faults were not undone within {LANES_LIMIT:?}"));
        }
        self.recorder.set_meta("main_start_ns", start.0 as i64);
        self.recorder.set_meta("main_end_ns", outcome.end.0 as i64);
        match outcome.ended {
            Ended::Cancelled => Err(Error::cancelled()),
            _ => Ok(()),
        }
    }

    /// When distributed Erlang changes its mind: as the nodes say, or as the database says of them.
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

    /// Nodes whose processes ended although no fault killed them, told in sentences.
    pub(super) fn ended_by_themselves(&self) -> Vec<String> {
        let dead = self.cluster.nodes().iter().filter(|n| !n.is_running());
        let told = dead.map(|node| {
            let logs = node.folder().unwrap_or_default().join("logs");
            format!("processes on {} exited unexpectedly; logs: {}", node.name(), logs.display())
        });
        told.collect()
    }

    /// Now, on the test's clock.
    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }
}
