//! Faults as values: targets, durations, evidence, undo.
//!
//! A [`Nemesis`] is a list of lanes that run side by side; a [`Lane`] repeats one [`Fault`]
//! with a [`Timing`]. A fault first draws a [`Plan`] (a pure choice from a seeded stream, so that
//! the schedule can be repeated), is then started, checked, and at its end undone and checked
//! again. A [`Schedule`] is everything that was drawn in a run: a run stores it, and another run can
//! replay it.

use std::future::Future;
use std::sync::Arc;

use crate::db::{AnyDb, Facts};
use crate::env::Facet;
use crate::error::Error;
use crate::grudge::Member;
use crate::node::{BoxFuture, Cluster, Holder, Node};
use crate::op::{Name, Value};
use crate::random::Stream;

mod erlang;
mod membership;
mod near;
mod partition;
mod plan;
mod process;
mod restart;
pub(crate) mod schedule;
mod timing;
mod wire;

pub use erlang::{
    BlipFault, BusyDistFault, KillChildFault, KillEpmdFault, KillProcessFault, Numbered,
    PurgeModuleFault, blip, block_schedulers, busy_dist, disallow, gc_pressure, kill_child,
    kill_epmd, kill_process, memory_pressure, memory_pressure_of, purge_module, suspend_process,
    wrong_cookie,
};
pub use membership::{MembershipFault, MembershipPlan, grow, membership, shrink};
pub use near::{
    Boundaries, Near, Zone, after_nodedown, near_call_timeout, near_call_timeout_of, near_tick,
    near_tick_pause, retransmission,
};
pub use partition::{
    PartitionFault, PartitionPlan, bridge, custom, halves, isolate_all, isolate_dc, isolate_node,
    link, majority_minority, majority_ring, one_way, primaries,
};
pub use plan::{AnyPlan, Hit, Plan};
pub use process::{KillFault, PauseFault, kill, kill_of, pause, pause_of};
pub use restart::restart_after;
pub use schedule::{Drawn, LaneSchedule, Occurrence, Schedule, Slot};
pub use timing::{Lasting, Timing, Window, windows};
pub use wire::{WireFault, WirePlan, at, cut_at_tick, hold_message};

/// What a fault may touch.
#[derive(Clone, Copy)]
pub struct Targets<'a> {
    /// Hosts, nodes and links.
    pub cluster: &'a Cluster,
    /// The system under test, for faults that need its help.
    pub db: &'a AnyDb,
    /// Which fault asks.
    holder: Holder,
}

impl<'a> Targets<'a> {
    /// For the fault of this number.
    pub(crate) fn of(cluster: &'a Cluster, db: &'a AnyDb, holder: Holder) -> Targets<'a> {
        Targets { cluster, db, holder }
    }

    /// For whoever holds no node.
    pub(crate) fn of_nobody(cluster: &'a Cluster, db: &'a AnyDb) -> Targets<'a> {
        Targets::of(cluster, db, -1)
    }
}

impl Targets<'_> {
    /// Adds a node to the running cluster: its host, the database on it, and its place among the others. Needs
    /// [`Facet::Membership`].
    ///
    /// # Errors
    ///
    /// When there is no client for one node more, the environment refuses, or the database does not let it in;
    /// then its host is gone again.
    pub async fn join(&self) -> Result<Node, Error> {
        crate::db::join(self.cluster, self.db).await
    }

    /// Removes a node from the running cluster, and its host. It gets no more operations from now on.
    ///
    /// # Errors
    ///
    /// When it is the last one, or the database does not let it go: then its host stays, and this may be called
    /// again.
    pub async fn leave(&self, node: &Node) -> Result<(), Error> {
        crate::db::leave(self.cluster, self.db, node).await
    }
}

/// The result of verifying a fault's effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// At the start: did the fault take effect? At the end: is it removed? `None` where the check could
    /// not decide it.
    pub seen: Option<bool>,
    /// What was observed.
    pub evidence: Value,
}

impl Check {
    /// The effect of the start, or the removal at the end, was seen (`true`), or the opposite was.
    pub fn seen(seen: bool, evidence: impl Into<Value>) -> Check {
        Check { seen: Some(seen), evidence: evidence.into() }
    }

    /// Were both seen? `None` where either is not decided.
    pub(crate) fn and(&self, other: &Check) -> Option<bool> {
        self.seen.zip(other.seen).map(|(one, other)| one && other)
    }
}

/// A kind of fault.
///
/// `start` and `stop` have to be safe to repeat and to cancel: `stop` is called for every plan whose
/// `start` was begun, also where the future of `start` was dropped on the way, and once more before
/// the final reads where the first `stop` did not verify that the fault is removed. A panic in `plan`, `start` or
/// `stop` makes the run `unknown`. What it waits for, it waits for by [`Cluster::clock`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a fault",
    label = "expected a type that implements `Fault`",
    note = "a `Nemesis` needs no `Nemesis::of`: use it as it is"
)]
pub trait Fault: Send + Sync + 'static {
    /// The plan of one occurrence: [`Hit`], or a type of the fault's own.
    type Plan: Plan;

    /// Its name in histories and reports.
    fn name(&self) -> Name;

    /// Its default duration; `None` for the run's default, zero for faults that end at once.
    fn lasts(&self) -> Option<std::time::Duration> {
        None
    }

    /// How long its start may wait for its trigger, in addition to its duration. Zero for faults that
    /// act at once. Where its end is due while it still waits, `start`
    /// is cancelled at once; otherwise it is awaited for a few seconds.
    fn lead(&self, facts: &Facts) -> std::time::Duration {
        let _ = facts;
        std::time::Duration::ZERO
    }

    /// The facets of the environment that it needs. Where one is missing, the test is refused before
    /// anything starts. With [`Facet::Wire`] among them, connections are followed from their start.
    fn needs(&self) -> Vec<Facet> {
        Vec::new()
    }

    /// Checks that a cluster of these nodes has a target for it. Called before anything is started, so
    /// that impossible combinations fail at once.
    ///
    /// # Errors
    ///
    /// A usage error that says what to do instead.
    fn fits(&self, nodes: &[Member]) -> Result<(), Error> {
        let _ = nodes;
        Ok(())
    }

    /// Draws the targets.
    ///
    /// # Errors
    ///
    /// A usage error where there is no target now.
    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<Self::Plan, Error>;

    /// Starts the fault and verifies that it took effect.
    fn start(
        &self,
        targets: Targets<'_>,
        plan: &Self::Plan,
    ) -> impl Future<Output = Result<Check, Error>> + Send;

    /// Removes the fault and verifies that it is gone.
    fn stop(
        &self,
        targets: Targets<'_>,
        plan: &Self::Plan,
    ) -> impl Future<Output = Result<Check, Error>> + Send;
}

/// [`Fault`] with boxed futures, so that lanes can hold any.
pub trait DynFault: Send + Sync {
    /// See [`Fault::name`].
    fn name(&self) -> Name;
    /// See [`Fault::lasts`].
    fn lasts(&self) -> Option<std::time::Duration>;
    /// See [`Fault::lead`].
    fn lead(&self, facts: &Facts) -> std::time::Duration;
    /// See [`Fault::needs`].
    fn needs(&self) -> Vec<Facet>;
    /// See [`Fault::fits`].
    fn fits(&self, nodes: &[Member]) -> Result<(), Error>;
    /// See [`Fault::plan`].
    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<AnyPlan, Error>;
    /// A stored plan of this fault; see [`AnyPlan::read`].
    fn read(&self, json: &serde_json::Value) -> Result<AnyPlan, Error>;
    /// See [`Fault::start`].
    fn start<'a>(
        &'a self,
        targets: Targets<'a>,
        plan: &'a AnyPlan,
    ) -> BoxFuture<'a, Result<Check, Error>>;
    /// See [`Fault::stop`].
    fn stop<'a>(
        &'a self,
        targets: Targets<'a>,
        plan: &'a AnyPlan,
    ) -> BoxFuture<'a, Result<Check, Error>>;
}

impl<F: Fault> DynFault for F {
    fn name(&self) -> Name {
        Fault::name(self)
    }
    fn lasts(&self) -> Option<std::time::Duration> {
        Fault::lasts(self)
    }
    fn lead(&self, facts: &Facts) -> std::time::Duration {
        Fault::lead(self, facts)
    }
    fn needs(&self) -> Vec<Facet> {
        Fault::needs(self)
    }
    fn fits(&self, nodes: &[Member]) -> Result<(), Error> {
        Fault::fits(self, nodes)
    }
    fn plan(&self, targets: Targets<'_>, random: &mut Stream) -> Result<AnyPlan, Error> {
        AnyPlan::new(Fault::plan(self, targets, random)?)
    }
    fn read(&self, json: &serde_json::Value) -> Result<AnyPlan, Error> {
        AnyPlan::read(self, json)
    }
    fn start<'a>(
        &'a self,
        targets: Targets<'a>,
        plan: &'a AnyPlan,
    ) -> BoxFuture<'a, Result<Check, Error>> {
        Box::pin(async move { Fault::start(self, targets, plan.typed(self)?).await })
    }
    fn stop<'a>(
        &'a self,
        targets: Targets<'a>,
        plan: &'a AnyPlan,
    ) -> BoxFuture<'a, Result<Check, Error>> {
        Box::pin(async move { Fault::stop(self, targets, plan.typed(self)?).await })
    }
}

/// One fault, repeated.
#[derive(Clone)]
pub struct Lane {
    /// What happens.
    pub fault: Arc<dyn DynFault>,
    /// When, how long, how often.
    pub timing: Timing,
    /// Faults that start in addition, after the first nodedown that the fault causes.
    pub then: Vec<Arc<dyn DynFault>>,
}

impl Lane {
    /// The names of its faults, joined.
    pub fn name(&self) -> Name {
        if self.then.is_empty() {
            return self.fault.name();
        }
        let then: Vec<String> = self.then.iter().map(|f| f.name().to_string()).collect();
        format!("{}_then_{}", self.fault.name(), then.join("_and_")).into()
    }

    /// All faults of it.
    pub fn faults(&self) -> impl Iterator<Item = &Arc<dyn DynFault>> {
        std::iter::once(&self.fault).chain(&self.then)
    }
}

/// Faults in lanes that run side by side.
///
/// ```
/// use fuzz_dist::nemesis::{Nemesis, bridge, pause};
/// use fuzz_dist::time::secs;
///
/// let both: Nemesis = bridge().every(secs(20)).lasting(secs(8)).and(pause());
/// assert_eq!(&*both.name(), "bridge+pause");
/// ```
#[derive(Clone, Default)]
pub struct Nemesis {
    lanes: Vec<Lane>,
}

impl Nemesis {
    /// No faults.
    pub fn none() -> Nemesis {
        Nemesis::default()
    }

    /// One lane of this fault, with the run's default timing.
    pub fn of(fault: impl Fault) -> Nemesis {
        let lane = Lane { fault: Arc::new(fault), timing: Timing::default(), then: Vec::new() };
        Nemesis { lanes: vec![lane] }
    }

    /// The lanes of both, side by side.
    #[must_use]
    pub fn and(mut self, other: impl Into<Nemesis>) -> Nemesis {
        self.lanes.extend(other.into().lanes);
        self
    }

    /// The time from the start of the main phase to the first fault of every lane (default 3 s).
    #[must_use]
    pub fn after(self, first: std::time::Duration) -> Nemesis {
        self.timed(|t| t.first = Some(first))
    }

    /// The duration of every fault (default: the longer of 8 s and twice net_ticktime): a fixed one, or
    /// one that is drawn for every fault, such as [`Near::Tick`].
    #[must_use]
    pub fn lasting(self, lasting: impl Into<Lasting>) -> Nemesis {
        let lasting = lasting.into();
        self.timed(|t| t.lasting = Some(lasting))
    }

    /// After the first nodedown that a fault causes, all faults of the other nemesis start as well, within
    /// the time between two ticks, in which often only one side has noticed. They end right after the first
    /// fault; their own timing is ignored.
    ///
    /// ```
    /// use fuzz_dist::nemesis::{blip, isolate_node, pause};
    ///
    /// let both = isolate_node().after_nodedown(pause().and(blip()));
    /// assert_eq!(&*both.name(), "isolate_node_then_pause_and_blip");
    /// ```
    #[must_use]
    pub fn after_nodedown(mut self, then: impl Into<Nemesis>) -> Nemesis {
        let then = then.into();
        for lane in &mut self.lanes {
            lane.then.extend(then.lanes.iter().map(|lane| lane.fault.clone()));
        }
        self
    }

    /// The period of faults, from start to start (default: the pause between two is drawn from half to
    /// one and a half times the length of the fault).
    #[must_use]
    pub fn every(self, period: std::time::Duration) -> Nemesis {
        self.timed(|t| t.every = Some(period))
    }

    fn timed(mut self, change: impl Fn(&mut Timing)) -> Nemesis {
        self.lanes.iter_mut().for_each(|lane| change(&mut lane.timing));
        self
    }

    /// The lanes.
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// Whether it has no faults.
    pub fn is_none(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Does it depend on times that a busy machine would blur? Its trials have the machine for
    /// themselves, unless the test says `exclusive = false`.
    pub fn is_tight(&self) -> bool {
        let near = |lane: &Lane| matches!(lane.timing.lasting, Some(Lasting::Near(_)));
        self.lanes.iter().any(|lane| near(lane) || !lane.then.is_empty())
    }

    /// The names of its faults, joined: `bridge+pause`; `none` without any.
    pub fn name(&self) -> Name {
        if self.lanes.is_empty() {
            return "none".into();
        }
        self.lanes.iter().map(|l| l.name().to_string()).collect::<Vec<_>>().join("+").into()
    }
}

impl<F: Fault> From<F> for Nemesis {
    fn from(fault: F) -> Nemesis {
        Nemesis::of(fault)
    }
}

/// What can be said where a nemesis is asked for: whatever converts into a [`Nemesis`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a nemesis",
    label = "expected a `Nemesis`, or a type that implements `Fault`",
    note = "a function that makes one is called: `bridge()`, not `bridge`"
)]
pub trait IntoNemesis {
    /// The nemesis.
    fn into_nemesis(self) -> Nemesis;
}

impl<T: Into<Nemesis>> IntoNemesis for T {
    fn into_nemesis(self) -> Nemesis {
        self.into()
    }
}

/// No faults: the run that has to be valid before any other means something.
#[fuzz_dist::nemesis("none", aliases = ["noop"])]
pub fn none() -> Nemesis {
    Nemesis::none()
}
