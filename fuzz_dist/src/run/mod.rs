//! One test's life, from resolve to verdict.
//!
//! resolve → provision → environment up → database set up, ready, formed → main phase: generator ⇄
//! interpreter ⇄ clients, fault lanes beside it → heal, proved → quiesce until converged → final
//! reads per node → down → checkers → verdict. A `Session` is one attempt at it; a [`Test`] is
//! what the user's function holds of it.

use std::sync::Arc;
use std::time::Duration;

use crate::checker::{AnyChecker, Checker};
use crate::db::AnyDb;
use crate::env::{AnyProvider, Provider};
use crate::error::Error;
use crate::nemesis::{IntoNemesis, Nemesis, Schedule};
use crate::random::Seed;
use crate::workload::Workload;

mod announce;
mod calls;
pub(crate) mod cancel;
mod ended;
mod faults;
mod inject;
mod judge;
mod lease;
mod live;
mod needs;
mod observe;
mod online;
pub mod options;
mod outcome;
pub(crate) mod overrides;
mod pace;
mod progress;
mod provision;
mod scenario;
mod scenario_client;
mod session;
mod settle;
mod spec;
mod states;
mod waiting;

pub(crate) use calls::Blocked;
pub use inject::{ArmedFault, RunningFault};
pub(crate) use lease::slots;
use options::{Announce, Concurrency, Heal, Options, Overlapping, Stop};
pub use outcome::{IntoOutcome, Judged, Outcome, TestError};
pub use scenario::{LiveCluster, Running};
pub use scenario_client::{Add, InvokeError, Operation, Read, ScenarioClient};
pub(crate) use session::{Finished, Session};
pub use spec::Location;
pub(crate) use spec::{Body, Make, Part, TrialReport, TrialSpec};

/// A test that has not begun: what the attribute says, changed by the methods here.
///
/// [`run`](Test::run) runs it whole; [`start`](Test::start) brings its cluster up for a scenario in
/// ordinary code. Both take the test, so that every option is set before it matters. Environment
/// variables `FUZZ_DIST_…` override attributes and code.
///
/// ```no_run
/// use fuzz_dist::prelude::*;
///
/// #[fuzz_dist::test(db = "embedded")]
/// async fn an_add_survives_a_cut(test: Test) -> Outcome {
///     let running = test.nodes(3).start().await?;
///     let fault = running.inject(isolate_node()).await?;
///     running.client("n1").invoke(Add(1)).await?;
///     fault.heal().await?;
///     running.check(fuzz_dist::checker::set_full()).await
/// }
/// ```
///
/// What is set later does not compile:
///
/// ```compile_fail,E0382
/// # use fuzz_dist::prelude::*;
/// async fn too_late(test: Test) -> Outcome {
///     let running = test.start().await?;
///     test.rate(10).run().await
/// }
/// ```
#[must_use = "a test does nothing until `run` or `start` is called"]
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
    pub(crate) env: Option<AnyProvider>,
    pub(crate) options: Options,
    pub(crate) replay: Option<Arc<Schedule>>,
}

impl Test {
    pub(crate) fn new(session: Arc<Session>, plan: Plan) -> Test {
        Test { session, plan }
    }

    /// Uses this workload.
    pub fn workload(mut self, workload: impl Into<Workload>) -> Test {
        self.plan.workload = Some(workload.into());
        self
    }

    /// Uses these faults.
    pub fn nemesis(mut self, nemesis: impl IntoNemesis) -> Test {
        self.plan.nemesis = nemesis.into_nemesis();
        self
    }

    /// Replays the schedule of a stored run: its faults in the same windows, on the same targets.
    ///
    /// The test has the same nemesis and number of nodes. Where the run does otherwise than the stored
    /// one (a fault that the stored run did not reach, one that waits for an event that did not come),
    /// its notes say so.
    pub fn replay(mut self, schedule: Schedule) -> Test {
        self.plan.replay = Some(Arc::new(schedule));
        self
    }

    /// Adds a checker of the history.
    pub fn checker(mut self, checker: impl Checker + 'static) -> Test {
        self.plan.checkers.push(Arc::new(checker));
        self
    }

    /// Runs the hosts there instead.
    pub fn env(mut self, provider: impl Provider) -> Test {
        self.plan.env = Some(Arc::new(provider));
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
    /// What kept the run from a verdict. The history until then is kept and judged.
    pub async fn run(self) -> Outcome {
        if self.plan.workload.is_none() {
            return Err(no_workload().into());
        }
        let running = self.start().await?;
        running.main_phase().await?;
        running.judge(Vec::new()).await
    }

    /// Brings the cluster up, for a scenario in ordinary code. It needs a `db` alone: without a
    /// workload its clients are the database's own.
    ///
    /// # Errors
    ///
    /// What kept the cluster from coming up.
    pub async fn start(self) -> Result<Running, Error> {
        let live = self.session.live(&self.plan).await?;
        Ok(Running::new(self.session, live, self.plan.checkers))
    }
}

/// A method for an option that has one in the table, `fuzz_dist_macros/src/keys.rs`.
macro_rules! method {
    ($doc:literal $name:ident $ty:ty, ) => {};
    ($doc:literal $name:ident $ty:ty, method ($argument:ty)) => {
        #[doc = $doc]
        pub fn $name(mut self, $name: $argument) -> Test {
            self.plan.options.$name = Some($name.into());
            self
        }
    };
}

macro_rules! methods {
    (
        keys $keys:tt
        options {$(
            #[doc = $doc:literal]
            $name:ident: ($ty:ty) [$($default:tt)*] [$($variable:tt)*] [$($method:tt)*] [$($words:tt)*];
        )*}
        variables $variables:tt
        names $names:tt
    ) => {
        /// Options.
        impl Test {
            $(method!($doc $name $ty, $($method)*);)*
        }
    };
}

fuzz_dist_macros::with_options!(methods);

/// There are no operations to run.
fn no_workload() -> Error {
    Error::usage(
        "the test has no workload; name one, such as `workload = \"g_set\"` or `test.workload(..)`, \
         or write a scenario with `test.start()`",
    )
}
