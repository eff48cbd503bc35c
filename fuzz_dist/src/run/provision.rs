//! From a plan to a running cluster: checked, prepared, up, started, ready, formed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::announce::Announcements;
use super::faults::{Faults, Scene};
use super::lease::Share;
use super::live::{FIRST_PROCESS, Live, Triggering, open};
use super::needs::Able;
use super::options::{Announce, Effective, Overlapping, Timing};
use super::progress::{self, Progress};
use super::session::Session;
use super::{Plan, announce, cancel, ended, observe};
use crate::checker::AnyChecker;
use crate::db::{AnyDb, provided};
use crate::env::{self, AnyProvider, EnvironmentSpec, Facet, HostSpec, Latency, Role};
use crate::error::{Error, ErrorKind};
use crate::generator::{Generator, nothing};
use crate::grudge::Member;
use crate::history::{COMPLETED, History, MemberState, Recorder, Samples};
use crate::interpreter::{Interpreter, Options as InterpreterOptions};
use crate::nemesis::{Boundaries, Lane, Nemesis, Schedule, schedule};
use crate::node::{Cluster, Node, Turn, wait_until};
use crate::op::{Event, Invocation, Kind, Name, Phase, Process, Value};
use crate::runtime::AnyRuntime;
use crate::time::Time;
use crate::workload::Workload;

/// How long fetching and compiling may take the first time, apart from the set-up limit.
pub(super) const PREPARE_LIMIT: Duration = Duration::from_secs(15 * 60);

/// The setting of a runtime system that the option `overlapping_partitions` is about.
const OVERLAPPING: &str = "prevent_overlapping_partitions";

/// What is known before anything is started.
struct Resolved {
    env: AnyProvider,
    db: AnyDb,
    runtime: Option<AnyRuntime>,
    workload: Workload,
    is_scenario: bool,
    nemesis: Nemesis,
    effective: Effective,
    replay: Option<Arc<Schedule>>,
    checkers: Vec<AnyChecker>,
}

/// Brings the cluster of a plan up.
///
/// # Errors
///
/// What kept it from coming up, and where.
pub(super) async fn provision(session: &Session, plan: &Plan) -> Result<Arc<Live>, Error> {
    let resolved = resolve(session, plan)?;
    let store = session.store()?;
    let runtime = resolved.runtime.clone().filter(|_| resolved.db.facts().net_ticktime.is_some());
    if let Some(runtime) = &runtime {
        // Beside everything else until the nodes are up. Errors are reported then; they must not
        // keep them from that.
        tokio::spawn(runtime.prepare());
    }
    session.enter("preparing what the hosts need");
    let machine = session.machine();
    let prepare = machine.timeout(PREPARE_LIMIT, resolved.db.prepare()).await;
    prepare.unwrap_or_else(|_| {
        Err(Error::deadline(format!("it took longer than {PREPARE_LIMIT:?}")))
    })?;
    if let Some(runtime) = &runtime {
        // What is fetched is no part of the set-up.
        let _ = machine.timeout(PREPARE_LIMIT, runtime.fetch()).await;
    }

    session.queue(share(&resolved)).await?;
    let limit = resolved.effective.setup_limit;
    match machine.timeout(limit, bring_up(session, resolved, store.dir())).await {
        Ok(live) => live,
        Err(_) => Err(Error::deadline(format!(
            "the set-up limit of {limit:?} passed while {}; raise `setup_limit`, or look into the \
             logs of the hosts",
            session.stage()
        ))),
    }
}

/// How much of the machine the run takes. Faults that last as long as a boundary is away need one that keeps time. Where
/// time stands still while anybody works, trials of one process hold each other's, and governors take a core each.
fn share(resolved: &Resolved) -> Share {
    match resolved.effective.exclusive {
        Some(true) => Share::Machine,
        None if resolved.nemesis.is_tight() || leaps(&resolved.effective) => Share::Machine,
        _ => Share::Cluster(resolved.db.facts().load),
    }
}

/// Refuses what cannot work before anything is started.
fn resolve(session: &Session, plan: &Plan) -> Result<Resolved, Error> {
    let effective = session.effective(&plan.options)?;
    let db = plan.db.clone().ok_or_else(|| Error::usage("the test names no `db`"))?;
    let env = plan.env.clone().ok_or_else(|| Error::usage("the test names no `env`"))?;
    let is_scenario = plan.workload.is_none();
    let workload = plan.workload.clone().unwrap_or_else(|| default_workload(&db));
    let nemesis = plan.nemesis.clone();
    let hosts = db.hosts(effective.nodes)?;
    let able = Able::of(&env);
    able.nemesis(&nemesis)?;
    able.options(&effective)?;
    able.db(&db, &hosts)?;
    let members: Vec<Member> = hosts
        .iter()
        .filter(|h| h.role == Role::Node)
        .map(|h| Member {
            group: h.group.as_deref().map(Name::from),
            ..Member::new(h.name.as_str())
        })
        .collect();
    for fault in nemesis.lanes().iter().flat_map(Lane::faults) {
        fault.fits(&members)?;
    }
    let facts = db.facts();
    let runtime = db.runtime();
    let ticks = facts.net_ticktime.is_some() && runtime.is_some();
    if effective.overlapping_partitions.is_some() && !ticks {
        let lacks = match &runtime {
            Some(_) => "net_ticktime",
            None => "runtime system (`Db::runtime`)",
        };
        return Err(Error::usage(format!(
            "`overlapping_partitions` is a setting of nodes with a net_ticktime, and `{}` names no \
             {lacks} of its nodes; leave it out",
            db.name()
        )));
    }
    let boundaries = facts.net_ticktime.map(Boundaries::with_ticktime);
    Live::schedule(&nemesis, &db, &effective, session.seed(), boundaries)?;
    let replay = plan.replay.clone();
    if let Some(replay) = &replay {
        replay.fits(&nemesis, members.len(), effective.time_limit)?;
    }
    let db = session.calls().db(db, effective.setup_limit);
    let checkers = plan.checkers.clone();
    Ok(Resolved { env, db, runtime, workload, is_scenario, nemesis, effective, replay, checkers })
}

/// What a scenario without a workload has: the database's first client, which reads with `read`.
fn default_workload(db: &AnyDb) -> Workload {
    let name = db.workloads().first().cloned().unwrap_or_else(|| "default".into());
    let none: [Name; 0] = [];
    Workload::new(name, none, |_| nothing().boxed())
        .pure(["read"])
        .read(Invocation::new("read", ()))
}

async fn bring_up(
    session: &Session,
    resolved: Resolved,
    folder: &std::path::Path,
) -> Result<Arc<Live>, Error> {
    let Resolved { env, db, runtime, workload, is_scenario, nemesis, effective, replay, checkers } =
        resolved;
    let (machine, begun) = (session.machine(), session.machine().now());
    let total = session.limit_with(&effective, db.facts().quiesce_limit);
    session.enter("bringing the hosts up");
    let hosts = db.hosts(effective.nodes)?.into_iter().map(|host| provided(&db, host));
    let hosts: Vec<HostSpec> = hosts.collect::<Result<_, _>>()?;
    // What was prepared may need more of the environment than was known before.
    let able = Able::of(&env);
    able.db(&db, &hosts)?;
    let follows =
        nemesis.lanes().iter().flat_map(Lane::faults).any(|f| f.needs().contains(&Facet::Wire));
    let mut spec = EnvironmentSpec::new(folder.join("hosts"), hosts);
    spec.heal = effective.heal;
    spec.latency = latency(session, &effective);
    spec.protocol = runtime.as_ref().and_then(|runtime| runtime.protocol());
    spec.follow = effective.wire || follows;
    spec.clock = session.clock().clone();
    spec.log_limit = session.log_limit();
    let what = format!("`Provider::start` of `{}`", env.name());
    let starting = session.calls().watch(what, effective.setup_limit, env.start(spec));
    let env = starting.await.map_err(explained)?;
    let clock = session.clock().restarted();
    let cluster = Cluster::new(env, clock.clone())?;
    session.up(&cluster);
    let settings = Settings::of(&effective, runtime.clone());
    cluster.nodes().iter().chain(cluster.others()).for_each(|node| settings.give(node));

    let nodes = cluster.nodes();
    let names = nodes.iter().map(|n| Name::from(n.name()));
    let history = folder.join("history.jsonl");
    let recorder =
        Recorder::to_file(&history, names, facts(&effective, &db, &workload, &nemesis, session))?;
    recorder.began(clock.wall());
    session.recording(&recorder);
    let phase = Arc::new(Mutex::new(Phase::Setup));
    cluster.follow_with(effective.clients, effective.op_limit, {
        let (recorder, clock, phase) = (recorder.clone(), clock.clone(), phase.clone());
        move |node, turn| {
            if matches!(turn, Turn::To(MemberState::Joining)) {
                settings.give(node);
            }
            let phase = *phase.lock().unwrap_or_else(PoisonError::into_inner);
            record_member(&recorder, (clock.now(), phase), node, turn);
        }
    });
    let announcements = Announcements::new(effective.announce, clock.clone(), nodes.len());
    let announcements = Arc::new(announcements);
    let interpreter = Interpreter::new(
        clock.clone(),
        recorder.clone(),
        InterpreterOptions {
            concurrency: u16::try_from(effective.clients).unwrap_or(u16::MAX),
            op_timeout: effective.op_limit,
            drain_timeout: effective.op_limit + Duration::from_secs(1),
            pure_functions: workload.pure_functions().to_vec(),
            latency: (effective.time == Timing::Simulated).then_some(session.seed()),
            ..InterpreterOptions::for_nodes(nodes.len() as u16)
        },
    )?;
    let interpreter = interpreter.following(cluster.following(), cluster.flights().clone());
    let interpreter = match cluster.wire() {
        Ok(wire) => {
            let triggering = Triggering { cluster: cluster.clone(), wire };
            interpreter.observed_by(Arc::new(triggering))
        }
        Err(_) => interpreter,
    };
    let interpreter = match effective.announce {
        Announce::Operations => interpreter.observed_by(announcements.clone()),
        _ => interpreter,
    };

    session.enter("starting the services");
    let services = cluster.others().iter().filter(|host| host.is_service()).cloned();
    each(services, |host| {
        let db = db.clone();
        async move { db.start_service(&host).await }
    })
    .await?;
    session.enter("starting the nodes");
    let starts = start_times(session, &effective, cluster.nodes().len());
    each(cluster.nodes(), |node| {
        let db = db.clone();
        let start = starts.get(node.id().index()).copied().unwrap_or_default();
        async move {
            if !start.is_zero() {
                node.clock().sleep(start).await;
            }
            db.start(&node).await
        }
    })
    .await?;
    session.enter("waiting until the nodes are ready");
    let limit = effective.setup_limit;
    // A little of it is left, so that the error has the last output of a node, and not only the limit.
    let left = limit.saturating_sub(machine.now().since(begun)).mul_f64(0.9);
    let left = Duration::from_millis(left.as_millis() as u64);
    each(cluster.nodes(), |node| {
        let db = db.clone();
        async move {
            ready(&db, &node, left).await.map_err(|e| match e.kind() {
                ErrorKind::Deadline => Error::deadline(format!(
                    "{e}; with that the set-up limit of {limit:?} is over; raise `setup_limit`, \
                     or look into the logs of the hosts"
                )),
                _ => e,
            })
        }
    })
    .await?;
    session.enter("forming the cluster");
    if let Err(error) = db.form(&cluster).await {
        return Err(ended::or(&cluster, error).await.context("forming the cluster"));
    }
    // Otherwise every operation of the main phase would fail for want of a client.
    if let Some(node) = cluster.nodes().into_iter().next().filter(|_| !is_scenario) {
        let calls = session.calls();
        let open = || open(calls, effective.op_limit, &db, &workload, &node).map(drop);
        // What panics here does so in the main phase, too, where it is recorded.
        if let Err(error) = catch_unwind(AssertUnwindSafe(open)).unwrap_or(Ok(())) {
            return Err(ended::or(&cluster, error).await);
        }
    }

    let (cancelled, _) = watch::channel(false);
    let names = nodes.iter().map(|n| Name::from(n.name()));
    let faults = Faults::start(Scene {
        cluster: cluster.clone(),
        db: db.clone(),
        clock: clock.clone(),
        recorder: recorder.clone(),
        announcements: announcements.clone(),
        phase: phase.clone(),
        calls: session.calls().clone(),
        until: clock.now() + total.saturating_sub(machine.now().since(begun)),
        reconnect: effective.reconnect,
        schedule: Schedule::new(session.name(), session.seed(), names.collect()),
        replay: replay.clone(),
        file: Some(folder.join(schedule::FILE)),
    });
    let pace = session.pace().of_run(&clock);
    let services = cluster.others().iter().filter(|host| host.is_service());
    let services = services.filter(|host| host.is_running() || host.failed_process().is_some());
    let services = services.cloned().collect();
    let live = Arc::new(Live {
        cluster,
        services,
        db,
        nemesis,
        workload,
        effective,
        seed: session.seed(),
        able,
        runtime,
        clock,
        recorder,
        samples: Samples::to_file(&folder.join("samples.jsonl")),
        faults,
        replay,
        observed: Default::default(),
        announcements,
        phase,
        progress: Progress::new(interpreter.counters()),
        executor: interpreter.executor(),
        is_scenario,
        processes: AtomicU32::new(FIRST_PROCESS),
        interpreter: tokio::sync::Mutex::new(interpreter),
        cancel: cancelled,
        calls: session.calls().clone(),
        up: pace.now(),
        pace,
        checkers,
        first: Default::default(),
        folder: Some(folder.to_path_buf()),
    });
    session.enter("observing the nodes");
    observe::start(&live).await;
    announce::start(&live).await;
    session.enter("running");
    progress::show(&live);
    Ok(live)
}

/// Records that a node joins or leaves, or cannot leave.
fn record_member(recorder: &Recorder, (time, phase): (Time, Phase), node: &Node, turn: Turn<'_>) {
    let (f, value) = match turn {
        Turn::To(state) => History::member_event(node.name(), state),
        Turn::LeaveRefused(why) => History::leave_refused_event(node.name(), &why.to_string()),
    };
    let (process, node, kind, error) = (Process::RUNTIME, Some(node.id()), Kind::Info, None);
    // Events of the runtime have no partner, so that none can be malformed.
    let _ = recorder.record(Event { time, process, node, kind, f, value, error, phase });
}

/// What the nodes of the runtime system are started with, whoever starts them.
struct Settings {
    runtime: Option<AnyRuntime>,
    overlapping: Option<Overlapping>,
    deterministic: bool,
}

impl Settings {
    fn of(effective: &Effective, runtime: Option<AnyRuntime>) -> Settings {
        let (overlapping, deterministic) =
            (effective.overlapping_partitions, effective.deterministic);
        Settings { runtime, overlapping, deterministic }
    }

    fn give(&self, node: &Node) {
        let Some(runtime) = &self.runtime else { return };
        if let Some(overlapping) = self.overlapping {
            runtime.set(node, OVERLAPPING, overlapping.prevented());
        }
        if self.deterministic {
            runtime.one_at_a_time(node);
        }
    }
}

/// Whether time leaps when everybody waits.
fn leaps(effective: &Effective) -> bool {
    matches!(effective.time, Timing::Simulated | Timing::Natural)
}

/// How long packets between hosts are on their way: as long as it takes, but in simulated time for a while of their
/// link, so that those of different links arrive at different instants.
fn latency(session: &Session, effective: &Effective) -> Option<Latency> {
    let (low, high) = (Duration::from_micros(200), Duration::from_millis(2));
    leaps(effective).then(|| Latency { seed: session.seed(), low, high })
}

/// When each node is started: at once, but in simulated time apart, since otherwise all of their timers would run
/// out at the same instants for ever.
fn start_times(session: &Session, effective: &Effective, nodes: usize) -> Vec<Duration> {
    let mut stream = session.seed().stream("start times");
    let apart = |_| match effective.time {
        Timing::Real | Timing::Tenfold => Duration::ZERO,
        Timing::Simulated | Timing::Natural => {
            stream.duration(Duration::from_millis(1), Duration::from_secs(2))
        }
    };
    (0..nodes).map(apart).collect()
}

/// An environment that cannot be: what was named and cannot be used is a mistake of whoever named it, the
/// rest is refused by the machine.
fn explained(error: env::Error) -> Error {
    match error {
        env::Error::Invalid(text) => Error::usage(text),
        other => Error::environment(other),
    }
}

/// Does something on all of these hosts at once; the first error ends it.
async fn each<F, Fut>(hosts: impl IntoIterator<Item = Node>, action: F) -> Result<(), Error>
where
    F: Fn(Node) -> Fut,
    Fut: Future<Output = Result<(), Error>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for node in hosts {
        tasks.spawn(action(node));
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// Waits until a node serves, or its processes have ended: then there is nothing to wait for.
async fn ready(db: &AnyDb, node: &Node, limit: Duration) -> Result<(), Error> {
    let probing = wait_until(node.clock(), node.name(), limit, || db.ready(node));
    let died = async {
        loop {
            node.clock().sleep(Duration::from_millis(100)).await;
            // One that failed is enough: a mapper of ports outlives a node that did not boot.
            if node.failed_process().is_some() || !node.is_running() {
                return Error::setup(format!(
                    "{} before it was ready{}",
                    ended::what(node),
                    ended::said(node)
                ));
            }
        }
    };
    tokio::select! {
        biased;
        // Probes come last: those that always have something to do would leave no time for the others.
        why = cancel::cancelled() => Err(Error::cancelled().context(why)),
        error = died => Err(error),
        ready = probing => ready,
    }
}

fn facts(
    effective: &Effective,
    db: &AnyDb,
    workload: &Workload,
    nemesis: &Nemesis,
    session: &Session,
) -> Vec<(Name, Value)> {
    let facts = db.facts();
    let mut meta: Vec<(Name, Value)> = vec![
        ("test".into(), session.name().into()),
        ("db".into(), db.name().into()),
        ("workload".into(), workload.name().clone().into()),
        ("nemesis".into(), nemesis.name().into()),
        ("seed".into(), session.seed().to_string().into()),
        ("heal".into(), effective.heal.as_str().into()),
        (COMPLETED.into(), false.into()),
    ];
    if effective.time != Timing::Real {
        meta.push(("time".into(), effective.time.as_str().into()));
    }
    if effective.deterministic {
        meta.push(("deterministic".into(), true.into()));
    }
    if effective.sessions {
        meta.push(("sessions".into(), true.into()));
    }
    if !workload.places().is_empty() {
        let places = workload.places().iter().cloned().map(Value::from);
        meta.push(("touches".into(), Value::list(places)));
    }
    if let Some(t) = facts.net_ticktime {
        meta.push(("net_ticktime_ms".into(), Value::Int(t.as_millis() as i64)));
    }
    meta.extend(facts.meta);
    meta
}
