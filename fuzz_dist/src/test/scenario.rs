//! Scenarios written by hand: operations and faults in ordinary async code, recorded and judged.

use std::sync::Arc;
use std::task::Poll;

use super::live::Live;
use super::session::Session;
use super::{Outcome, ScenarioClient, no_workload};
use crate::checker::{AnyChecker, Checker};
use crate::error::Error;
use crate::history::{FaultStatus, Samples};
use crate::nemesis::Nemesis;
use crate::node::{Cluster, Node};
use crate::op::Phase;

/// A test whose cluster is up: what a scenario works with. It derefs to its [`Cluster`].
///
/// [`check`](Running::check) ends it with a verdict. A test function that ends without that, with an
/// error or a panic, is interrupted: its faults are undone, and what was recorded is kept and judged.
#[must_use = "a run ends with `check`"]
pub struct Running {
    live: Arc<Live>,
    session: Arc<Session>,
    checkers: Vec<AnyChecker>,
}

impl std::ops::Deref for Running {
    type Target = Cluster;
    fn deref(&self) -> &Cluster {
        &self.live.cluster
    }
}

impl Running {
    pub(super) fn new(
        session: Arc<Session>,
        live: Arc<Live>,
        checkers: Vec<AnyChecker>,
    ) -> Running {
        if live.phase() == Phase::Setup {
            live.enter(Phase::Main);
        }
        Running { live, session, checkers }
    }

    /// A client of the node of this name; its operations are recorded. Clients are the workload's, or
    /// else the database's for that workload; without a workload, the database's for the first of
    /// [`Db::workloads`](crate::db::Db::workloads).
    ///
    /// # Panics
    ///
    /// When there is no such node: that is a slip in the scenario.
    pub fn client(&self, node: &str) -> ScenarioClient {
        let found = self.live.cluster.find(node).unwrap_or_else(|| {
            let names: Vec<&str> = self.live.cluster.nodes().iter().map(Node::name).collect();
            panic!("there is no node `{node}`; there are {}", names.join(", "))
        });
        ScenarioClient::new(self.live.clone(), found.clone())
    }

    /// Adds a judge of the history.
    pub fn checker(mut self, checker: impl Checker + 'static) -> Running {
        self.checkers.push(Arc::new(checker));
        self
    }

    /// Runs the workload's operations at their rate, with the faults in their lanes, for the time
    /// limit, as [`Test::run`](super::Test::run) does.
    ///
    /// # Errors
    ///
    /// When the test has no workload, or is interrupted.
    pub async fn main_phase(&self) -> Result<(), Error> {
        if self.live.is_scenario {
            return Err(no_workload());
        }
        self.live.main_phase().await
    }

    /// The rest of a test's life: heal, quiesce, final reads, and the verdict of this checker beside
    /// those of the test and its workload.
    ///
    /// # Errors
    ///
    /// What kept the run from a verdict.
    pub async fn check(self, checker: impl Checker + 'static) -> Outcome {
        self.judge(vec![Arc::new(checker)]).await
    }

    pub(super) async fn judge(self, extra: Vec<AnyChecker>) -> Outcome {
        let Running { live, session, checkers } = self;
        live.settle().await?;
        Ok(session.judge(&live, checkers.into_iter().chain(extra).collect()).await?)
    }

    /// Arms a fault that waits for something on the wire (see [`at`](crate::nemesis::at)), and
    /// returns without waiting for it: what the scenario does next is what fires it.
    ///
    /// ```no_run
    /// # async fn example(cluster: &fuzz_dist::test::Running) -> Result<(), fuzz_dist::Error> {
    /// use fuzz_dist::env::wire::{hold, message_to};
    /// use fuzz_dist::nemesis::at;
    /// use fuzz_dist::test::Add;
    ///
    /// let held = cluster.arm(at(message_to("set").to("n1"), hold())).await?;
    /// assert!(cluster.client("n2").invoke(Add(1)).await.is_err(), "its message does not arrive");
    /// held.acts().await?.heal().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// A usage error for a nemesis of several lanes, or of none.
    pub async fn arm(&self, nemesis: impl Into<Nemesis>) -> Result<ArmedFault, Error> {
        let nemesis = nemesis.into();
        let [lane] = nemesis.lanes() else {
            return Err(Error::usage(format!(
                "`{}` is not one fault; arm one at a time",
                nemesis.name()
            )));
        };
        let (live, fault) = (self.live.clone(), lane.fault.clone());
        let mut random = live.seed.stream(&format!("scenario/{}/0", live.recorder.len()));
        let begin = async move { live.begin(fault, &mut random, None).await };
        let mut begin = Box::pin(begin);
        // Its first step arms the trigger; only then may the scenario go on.
        let first = std::future::poll_fn(|context| Poll::Ready(begin.as_mut().poll(context))).await;
        let begun = match first {
            Poll::Ready(begun) => tokio::spawn(std::future::ready(begun)),
            Poll::Pending => tokio::spawn(begin),
        };
        Ok(ArmedFault { live: self.live.clone(), begun })
    }

    /// How the nodes have been doing so far; see the key `samples`.
    pub fn samples(&self) -> Samples {
        self.live.samples.clone()
    }

    /// Begins the faults of a nemesis now; their timing is up to the scenario.
    ///
    /// # Errors
    ///
    /// Where there is nothing that they could hit.
    pub async fn inject(&self, nemesis: impl Into<Nemesis>) -> Result<RunningFault, Error> {
        let nemesis = nemesis.into();
        let mut fault = RunningFault { live: self.live.clone(), ids: Vec::new() };
        for (i, lane) in nemesis.lanes().iter().enumerate() {
            let count = self.live.recorder.len();
            let mut random = self.live.seed.stream(&format!("scenario/{count}/{i}"));
            let (id, status) = self.live.begin(lane.fault.clone(), &mut random, None).await?;
            fault.ids.push(id);
            if status == FaultStatus::Ineffective {
                return Err(self.live.never_acted(id));
            }
        }
        Ok(fault)
    }
}

/// A fault that waits for its moment, or acts already; see [`Running::arm`].
#[must_use = "a fault acts until `heal` is called"]
pub struct ArmedFault {
    live: Arc<Live>,
    begun: tokio::task::JoinHandle<Result<(i64, FaultStatus), Error>>,
}

impl ArmedFault {
    /// Waits until it acts, and was seen to.
    ///
    /// # Errors
    ///
    /// When its moment did not come; the text says what was seen instead, and so does the history.
    pub async fn acts(self) -> Result<RunningFault, Error> {
        let (id, status) = self.begun.await??;
        match status {
            FaultStatus::Installed => Ok(RunningFault { live: self.live, ids: vec![id] }),
            _ => Err(self.live.never_acted(id)),
        }
    }
}

/// Faults that act until they are healed; the test's own heal ends them at the latest.
#[must_use = "a fault acts until `heal` is called"]
pub struct RunningFault {
    live: Arc<Live>,
    ids: Vec<i64>,
}

impl RunningFault {
    /// Undoes the faults and looks whether they are gone.
    ///
    /// # Errors
    ///
    /// When they are not.
    pub async fn heal(self) -> Result<(), Error> {
        for id in self.ids {
            let status = self.live.end(id).await;
            if !matches!(status, None | Some(FaultStatus::Installed)) {
                return Err(Error::environment("a fault was undone but is still seen to act"));
            }
        }
        Ok(())
    }
}
