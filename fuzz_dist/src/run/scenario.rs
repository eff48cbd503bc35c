//! Scenarios written by hand: operations and faults in ordinary async code, recorded and judged.

use std::ops::Deref;
use std::sync::Arc;

use super::live::Live;
use super::session::Session;
use super::{ArmedFault, Outcome, RunningFault, ScenarioClient, no_workload};
use crate::checker::{AnyChecker, Checker};
use crate::error::Error;
use crate::history::Samples;
use crate::nemesis::{Nemesis, Targets};
use crate::node::{Cluster, Node};
use crate::op::Phase;

/// A test whose cluster is up: what a scenario works with. It derefs to its [`LiveCluster`].
///
/// [`check`](Running::check) ends it with a verdict. A test function that ends without that, with an
/// error or a panic, is interrupted: its faults are undone, and what was recorded is kept and judged.
#[must_use = "a run ends with `check`"]
pub struct Running {
    cluster: LiveCluster,
    session: Arc<Session>,
    checkers: Vec<AnyChecker>,
}

impl Deref for Running {
    type Target = LiveCluster;
    fn deref(&self) -> &LiveCluster {
        &self.cluster
    }
}

impl Running {
    pub(super) fn new(
        session: Arc<Session>,
        live: Arc<Live>,
        checkers: Vec<AnyChecker>,
    ) -> Running {
        Running { cluster: LiveCluster::new(live), session, checkers }
    }

    /// Adds a checker of the history.
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
        if self.cluster.live.is_scenario {
            return Err(no_workload());
        }
        self.cluster.live.main_phase().await
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
        let Running { cluster: LiveCluster { live }, session, checkers } = self;
        live.settle().await?;
        Ok(session.judge(&live, checkers.into_iter().chain(extra).collect()).await?)
    }
}

/// The cluster of a running test: clients whose operations are recorded, and faults. A handle, for tasks
/// of the scenario's own. It derefs to its [`Cluster`].
#[derive(Clone)]
pub struct LiveCluster {
    live: Arc<Live>,
}

impl Deref for LiveCluster {
    type Target = Cluster;
    fn deref(&self) -> &Cluster {
        &self.live.cluster
    }
}

impl LiveCluster {
    pub(super) fn new(live: Arc<Live>) -> LiveCluster {
        if live.phase() == Phase::Setup {
            live.enter(Phase::Main);
        }
        LiveCluster { live }
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
            let nodes = self.live.cluster.nodes();
            let names: Vec<&str> = nodes.iter().map(Node::name).collect();
            panic!("there is no node `{node}`; there are {}", names.join(", "))
        });
        ScenarioClient::new(self.live.clone(), found)
    }

    /// Adds a node: its host, the database on it ([`Db::start`](crate::db::Db::start), `ready` and
    /// [`Db::join`](crate::db::Db::join)), and clients. It is given an own name and id, is a target of faults from
    /// now on, and has to give a final read.
    ///
    /// ```no_run
    /// # async fn example(cluster: &fuzz_dist::run::LiveCluster) -> Result<(), fuzz_dist::Error> {
    /// use fuzz_dist::nemesis::halves;
    ///
    /// let apart = cluster.inject(halves()).await?;
    /// let new = cluster.join().await?;
    /// cluster.leave("n1").await?;
    /// apart.heal().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// When there is no client for one node more, the environment's hosts cannot change
    /// ([`Facet::Membership`](crate::env::Facet::Membership)), or the database does not let it in: then its host is
    /// gone again.
    pub async fn join(&self) -> Result<Node, Error> {
        self.live.able.membership()?;
        self.targets().join().await
    }

    /// Removes the node of this name: it gets no more operations, [`Db::leave`](crate::db::Db::leave) lets it go, and
    /// its host ends.
    ///
    /// # Errors
    ///
    /// When the environment's hosts cannot change, when there is no such node, when it is the last one, or when the
    /// database does not let it go: then its host stays, and this may be called again.
    pub async fn leave(&self, node: &str) -> Result<(), Error> {
        self.live.able.membership()?;
        let nodes = self.all_nodes();
        let Some(found) = nodes.iter().find(|found| found.name() == node) else {
            let names: Vec<&str> = nodes.iter().map(Node::name).collect();
            let names = names.join(", ");
            return Err(Error::usage(format!("there is no node `{node}`; there are {names}")));
        };
        self.targets().leave(found).await
    }

    fn targets(&self) -> Targets<'_> {
        Targets::of_nobody(&self.live.cluster, &self.live.db)
    }

    /// Arms a fault that waits for something on the wire (see [`at`](crate::nemesis::at)), and
    /// returns without waiting for it: what the scenario does next is what fires it.
    ///
    /// ```no_run
    /// # async fn example(cluster: &fuzz_dist::run::LiveCluster) -> Result<(), fuzz_dist::Error> {
    /// use fuzz_dist::env::wire::{hold, message_to};
    /// use fuzz_dist::nemesis::at;
    /// use fuzz_dist::run::Add;
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
        self.live.arm(nemesis.into()).await
    }

    /// Begins the faults of a nemesis now; their timing is up to the scenario.
    ///
    /// Where the future is dropped before it is ready, everything that it began is ended.
    ///
    /// # Errors
    ///
    /// Where there is nothing that they could hit, or one of them did not take effect. Then all of
    /// them are ended.
    pub async fn inject(&self, nemesis: impl Into<Nemesis>) -> Result<RunningFault, Error> {
        self.live.inject(nemesis.into()).await
    }

    /// The metrics of the nodes so far; see the key `samples`.
    pub fn samples(&self) -> Samples {
        self.live.samples.clone()
    }
}
