//! One test's life, from resolve to verdict.
//!
//! resolve → provision → environment up → database set up, ready, formed → main phase: generator ⇄
//! interpreter ⇄ clients, fault lanes beside it → heal, proved → quiesce until converged → final
//! reads per node → down → checkers → verdict. A [`Session`] is one attempt at it; a [`Test`] is
//! what the user's function holds of it.

use std::sync::Arc;
use std::time::Duration;

use crate::checker::{AnyChecker, Checker, Verdict};
use crate::db::AnyDb;
use crate::error::Error;
use crate::nemesis::{Nemesis, Schedule};
use crate::random::Seed;
use crate::workload::Workload;

mod announce;
pub mod cancel;
mod faults;
mod inject;
mod judge;
mod live;
mod observe;
pub mod options;
pub mod overrides;
mod progress;
mod provision;
mod scenario;
mod session;
mod settle;
mod spec;

pub use inject::{ArmedFault, RunningFault};
use options::{Concurrency, Options};
pub use scenario::{Add, LiveCluster, Operation, Read, ScenarioClient};
pub use session::{Finished, Session};
pub use spec::{Body, Location, Part, TrialReport, TrialSpec};

/// What a test ends with.
pub type Outcome = Result<Verdict, Error>;

/// What a test function may return.
#[diagnostic::on_unimplemented(
    message = "a `#[fuzz_dist::test]` function cannot return `{Self}`",
    label = "expected `Outcome`, `Verdict`, or `Result<Verdict, E>`",
    note = "`E` is anything that becomes a `fuzz_dist::Error`, such as a `std::error::Error`"
)]
pub trait IntoOutcome {
    /// The outcome.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for Verdict {
    fn into_outcome(self) -> Outcome {
        Ok(self)
    }
}

impl<E: Into<Error>> IntoOutcome for Result<Verdict, E> {
    fn into_outcome(self) -> Outcome {
        self.map_err(Into::into)
    }
}

/// A test before and while it runs: what the attribute said, changed by the methods here.
///
/// The environment variables `FUZZ_DIST_…` have the last word over both.
pub struct Test {
    session: Arc<Session>,
    plan: Plan,
}

/// The parts of a test and its options.
#[derive(Clone, Default)]
pub(crate) struct Plan {
    pub(crate) db: Option<AnyDb>,
    pub(crate) nemesis: Nemesis,
    pub(crate) workload: Option<Workload>,
    pub(crate) checkers: Vec<AnyChecker>,
    pub(crate) options: Options,
    pub(crate) replay: Option<Arc<Schedule>>,
}

impl Test {
    pub(crate) fn new(session: Arc<Session>, plan: Plan) -> Test {
        Test { session, plan }
    }

    /// Uses this workload.
    #[must_use]
    pub fn workload(mut self, workload: impl Into<Workload>) -> Test {
        self.plan.workload = Some(workload.into());
        self
    }

    /// Uses these faults.
    #[must_use]
    pub fn nemesis(mut self, nemesis: impl Into<Nemesis>) -> Test {
        self.plan.nemesis = nemesis.into();
        self
    }

    /// Replays the schedule of a stored run: its faults in the same windows, on the same targets.
    ///
    /// The test has the same nemesis and number of nodes. Where the run does otherwise than the stored
    /// one (a fault that the stored run did not reach, one that waits for an event that did not come),
    /// its notes say so.
    #[must_use]
    pub fn replay(mut self, schedule: Schedule) -> Test {
        self.plan.replay = Some(Arc::new(schedule));
        self
    }

    /// Adds a judge of the history.
    #[must_use]
    pub fn checker(mut self, checker: impl Checker + 'static) -> Test {
        self.plan.checkers.push(Arc::new(checker));
        self
    }

    /// Operations per second, of all clients together.
    #[must_use]
    pub fn rate(mut self, rate: impl Into<f64>) -> Test {
        self.plan.options.rate = Some(rate.into());
        self
    }

    /// How many clients there are.
    #[must_use]
    pub fn concurrency(mut self, clients: impl Into<Concurrency>) -> Test {
        self.plan.options.concurrency = Some(clients.into());
        self
    }

    /// The length of the main phase alone.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Test {
        self.plan.options.time_limit = Some(limit);
        self
    }

    /// How long one operation may take.
    #[must_use]
    pub fn op_limit(mut self, limit: Duration) -> Test {
        self.plan.options.op_limit = Some(limit);
        self
    }

    /// How long convergence may take after the heal.
    #[must_use]
    pub fn quiesce_limit(mut self, limit: Duration) -> Test {
        self.plan.options.quiesce_limit = Some(limit);
        self
    }

    /// How TCP goes on when a cut is over; see [`Heal`](options::Heal).
    #[must_use]
    pub fn heal(mut self, heal: options::Heal) -> Test {
        self.plan.options.heal = Some(heal);
        self
    }

    /// Follows connections between nodes from their beginning, for
    /// [`Cluster::wire`](crate::node::Cluster::wire): then no name that a message is sent to is
    /// unknown. Faults of [`at`](crate::nemesis::at) that the test names say it by themselves.
    #[must_use]
    pub fn wire(mut self, follow: bool) -> Test {
        self.plan.options.wire = Some(follow);
        self
    }

    /// How often every Erlang node is sampled (1 s unless told otherwise; at least 100 ms); zero: not
    /// at all. Samples are no part of the history; see [`Samples`](crate::history::Samples).
    #[must_use]
    pub fn samples(mut self, every: Duration) -> Test {
        self.plan.options.samples = Some(every);
        self
    }

    /// What is said inside of Erlang nodes while the test runs; see
    /// [`Announce`](options::Announce).
    #[must_use]
    pub fn announce(mut self, what: options::Announce) -> Test {
        self.plan.options.announce = Some(what);
        self
    }

    /// The seed of this attempt.
    pub fn seed(&self) -> Seed {
        self.session.seed()
    }

    /// Runs the whole test: set-up, main phase with faults, heal, quiesce, final reads, checkers.
    ///
    /// # Errors
    ///
    /// What kept the run from a verdict. The history up to then is kept and judged all the same.
    pub async fn run(self) -> Outcome {
        let live = self.session.live(&self.plan).await?;
        live.main_phase().await?;
        live.settle().await?;
        self.session.judge(&live, &self.plan, Vec::new()).await
    }

    /// The running cluster, provisioned at first use: for scenarios written by hand.
    ///
    /// # Errors
    ///
    /// What kept it from coming up.
    pub async fn cluster(&self) -> Result<LiveCluster, Error> {
        Ok(LiveCluster::new(self.session.live(&self.plan).await?))
    }

    /// The rest of a test's life after a scenario: heal, quiesce, final reads, and the verdict of
    /// this checker (beside those of the workload).
    ///
    /// # Errors
    ///
    /// What kept the run from a verdict.
    pub async fn check(self, checker: impl Checker + 'static) -> Outcome {
        let live = self.session.live(&self.plan).await?;
        live.settle().await?;
        self.session.judge(&live, &self.plan, vec![Arc::new(checker)]).await
    }
}
