//! A test without a cluster, and faults that do what a test wants.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::db::Db;
use crate::env::{
    BoxFuture, Command, Environment, Error as EnvError, Finished, HostId, HostSpec, Membership,
    Process, ProcessControl, ProcessInfo, ProcessState, Signal,
};
use crate::error::Error;
use crate::history::{History, Recorder, Samples};
use crate::interpreter::{Interpreter, Options as InterpreterOptions};
use crate::nemesis::{Check, Fault, Hit, Nemesis, Schedule, Targets};
use crate::node::{Cluster, Node};
use crate::op::{Name, NodeId, Phase};
use crate::random::{Seed, Stream};
use crate::run::announce::Announcements;
use crate::run::faults::{Begin, Faults, Scene};
use crate::run::live::{FIRST_PROCESS, Live};
use crate::run::needs::Able;
use crate::run::options::{Announce, Options};
use crate::run::overrides::Overrides;
use crate::run::progress::Progress;
use crate::workload::g_set;

/// A few hosts, which come and go, and no links.
#[derive(Debug)]
pub(super) struct FewHosts(Mutex<Vec<Option<HostSpec>>>);

impl FewHosts {
    pub(super) fn new(count: usize) -> FewHosts {
        FewHosts(Mutex::new(HostSpec::nodes(count).into_iter().map(Some).collect()))
    }
}

/// The host is there, or gone, before whoever asked for it is told.
impl Membership for FewHosts {
    fn add_host(&self, spec: HostSpec) -> BoxFuture<'_, Result<HostId, EnvError>> {
        Box::pin(async move {
            for_a_moment().await;
            let id = {
                let mut hosts = self.0.lock().unwrap();
                if hosts.iter().flatten().any(|host| host.name == spec.name) {
                    return Err(EnvError::Invalid(format!("two hosts are named {}", spec.name)));
                }
                hosts.push(Some(spec));
                HostId::new(hosts.len() as u16 - 1)
            };
            for_a_moment().await;
            Ok(id)
        })
    }
    fn remove_host(&self, host: HostId) -> BoxFuture<'_, Result<(), EnvError>> {
        Box::pin(async move {
            for_a_moment().await;
            let removed = self.0.lock().unwrap()[host.index()].take();
            for_a_moment().await;
            removed.map(drop).ok_or(EnvError::UnknownHost("it".into()))
        })
    }
}

/// Lets others go on a few times.
async fn for_a_moment() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

/// A process that is in no place.
#[derive(Debug)]
struct NeverEnds;

impl ProcessControl for NeverEnds {
    fn signal(&self, _: Signal) -> BoxFuture<'_, Result<(), EnvError>> {
        refused()
    }
    fn wait(&self) -> BoxFuture<'_, ExitStatus> {
        Box::pin(std::future::pending())
    }
    fn ended(&self) -> Option<ExitStatus> {
        None
    }
    fn state(&self) -> BoxFuture<'_, Result<ProcessState, EnvError>> {
        refused()
    }
}

fn refused<T: Send + 'static>() -> BoxFuture<'static, Result<T, EnvError>> {
    let what = "do anything".to_string();
    Box::pin(async { Err(EnvError::Unsupported { environment: "few hosts".into(), what }) })
}

impl Environment for FewHosts {
    fn name(&self) -> &str {
        "few hosts"
    }
    fn hosts(&self) -> Vec<(HostId, HostSpec)> {
        let hosts = self.0.lock().unwrap();
        let host =
            |(i, spec): (usize, &Option<HostSpec>)| Some((HostId::new(i as u16), spec.clone()?));
        hosts.iter().enumerate().filter_map(host).collect()
    }
    fn membership(&self) -> Option<&dyn Membership> {
        Some(self)
    }
    fn address(&self, _: HostId) -> Result<IpAddr, EnvError> {
        Ok(Ipv4Addr::LOCALHOST.into())
    }
    fn data_dir(&self, _: HostId) -> Result<PathBuf, EnvError> {
        Ok("/nowhere".into())
    }
    fn read_file(&self, _: HostId, _: PathBuf) -> BoxFuture<'_, Result<Vec<u8>, EnvError>> {
        refused()
    }
    fn write_file(&self, _: HostId, _: PathBuf, _: Vec<u8>) -> BoxFuture<'_, Result<(), EnvError>> {
        refused()
    }
    fn fetch_folder(
        &self,
        _: HostId,
        _: PathBuf,
        _: PathBuf,
    ) -> BoxFuture<'_, Result<(), EnvError>> {
        refused()
    }
    fn logs(&self, _: HostId) -> String {
        "/nowhere".into()
    }
    fn last_output(&self, _: HostId, _: usize) -> Vec<(String, String)> {
        Vec::new()
    }
    fn end(&self) {}
    fn start(&self, host: HostId, command: Command) -> BoxFuture<'_, Result<Process, EnvError>> {
        let process = Process::new(host, command.name, 1, Arc::new(NeverEnds));
        Box::pin(std::future::ready(Ok(process)))
    }
    fn run(&self, _: HostId, _: Command, _: Duration) -> BoxFuture<'_, Result<Finished, EnvError>> {
        refused()
    }
    fn signal_host(&self, _: HostId, _: Signal) -> BoxFuture<'_, Result<(), EnvError>> {
        refused()
    }
    fn processes(&self, _: HostId) -> BoxFuture<'_, Result<Vec<ProcessInfo>, EnvError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    fn connect(
        &self,
        _: HostId,
        _: SocketAddr,
        _: Duration,
    ) -> BoxFuture<'_, Result<tokio::net::TcpStream, EnvError>> {
        refused()
    }
    fn listen(
        &self,
        _: HostId,
        _: SocketAddr,
    ) -> BoxFuture<'_, Result<tokio::net::TcpListener, EnvError>> {
        refused()
    }
    fn bind_udp(
        &self,
        _: HostId,
        _: SocketAddr,
    ) -> BoxFuture<'_, Result<tokio::net::UdpSocket, EnvError>> {
        refused()
    }
}

struct NoDb;

impl Db for NoDb {
    fn name(&self) -> Name {
        "none".into()
    }
    async fn start(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }
    async fn ready(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }
}

/// What a step of a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// It is done after so many waits of a millisecond.
    After(u32),
    /// It is never done.
    Hangs,
    /// It keeps its thread for so long.
    Blocks(Duration),
    Panics,
    Refuses,
    /// It says that it did not do it.
    SaysNo,
    /// It says no the first time.
    SaysNoOnce,
}

/// A fault that follows a script and records each of its steps.
#[derive(Clone)]
pub(super) struct Fake {
    pub(super) name: &'static str,
    pub(super) nodes: Vec<u16>,
    pub(super) lead: Duration,
    pub(super) plan: Act,
    pub(super) start: Act,
    pub(super) stop: Act,
    pub(super) log: Log,
    pub(super) stops: Arc<AtomicU32>,
}

/// What faults did, in order.
pub(super) type Log = Arc<Mutex<Vec<String>>>;

impl Fake {
    pub(super) fn new(name: &'static str, start: Act, stop: Act) -> Fake {
        let (log, stops) = Default::default();
        let (nodes, lead, plan) = (vec![0], Duration::ZERO, Act::After(0));
        Fake { name, nodes, lead, plan, start, stop, log, stops }
    }

    fn say(&self, what: &str) {
        self.log.lock().unwrap().push(format!("{what} {}", self.name));
    }

    async fn act(&self, act: Act, clock: &Clock) -> Result<Check, Error> {
        match act {
            Act::After(waits) => {
                for _ in 0..waits {
                    clock.sleep(Duration::from_millis(1)).await;
                }
                Ok(Check::seen(true, "done"))
            }
            Act::Hangs => std::future::pending().await,
            Act::Blocks(time) => {
                std::thread::sleep(time);
                Ok(Check::seen(true, "done"))
            }
            Act::Panics => panic!("lost in {}", self.name),
            Act::Refuses => Err(Error::environment("no way")),
            Act::SaysNo | Act::SaysNoOnce => Ok(Check::seen(false, "it is not so")),
        }
    }
}

impl Fault for Fake {
    type Plan = Hit;

    fn name(&self) -> Name {
        self.name.into()
    }
    fn lead(&self, _: &crate::db::Facts) -> Duration {
        self.lead
    }
    fn plan(&self, _: Targets<'_>, random: &mut Stream) -> Result<Hit, Error> {
        match self.plan {
            Act::Panics => panic!("no plan"),
            Act::Refuses => Err(Error::usage("nothing to hit")),
            _ => {
                let nodes: Vec<NodeId> = self.nodes.iter().copied().map(NodeId).collect();
                Ok(Hit { shape: format!("#{}", random.below(1_000_000)), nodes })
            }
        }
    }
    async fn start(&self, targets: Targets<'_>, _: &Hit) -> Result<Check, Error> {
        self.say("start");
        let check = self.act(self.start, targets.cluster.clock()).await;
        self.say("started");
        check
    }
    async fn stop(&self, targets: Targets<'_>, _: &Hit) -> Result<Check, Error> {
        self.say("stop");
        let first = self.stops.fetch_add(1, Ordering::SeqCst) == 0;
        let act = match self.stop {
            Act::SaysNoOnce if !first => Act::After(0),
            act => act,
        };
        let check = self.act(act, targets.cluster.clock()).await;
        self.say("stopped");
        check
    }
}

/// A running test of one node without a cluster.
pub(super) fn live(clock: &Clock, nemesis: Nemesis, seed: Seed, options: Options) -> Arc<Live> {
    kept(clock, nemesis, seed, options, None, None)
}

/// The same, which replays a schedule, and keeps its own in a file.
pub(super) fn kept(
    clock: &Clock,
    nemesis: Nemesis,
    seed: Seed,
    options: Options,
    replay: Option<Schedule>,
    file: Option<PathBuf>,
) -> Arc<Live> {
    let options = Options { nodes: Some(1), ..options };
    let effective = options.effective(&Overrides::default()).unwrap();
    let effective = crate::run::options::Effective { seed, ..effective };
    let cluster = Cluster::new(Arc::new(FewHosts::new(1)), clock.clone()).unwrap();
    let recorder = Recorder::in_memory(["n1"]);
    let announcements = Arc::new(Announcements::new(Announce::Nothing, clock.clone(), 1));
    let options = InterpreterOptions::for_nodes(1);
    let interpreter = Interpreter::new(clock.clone(), recorder.clone(), options).unwrap();
    let phase = Arc::new(Mutex::new(Phase::Main));
    let db: crate::db::AnyDb = Arc::new(NoDb);
    let replay = replay.map(Arc::new);
    let until = effective.total_limit.unwrap_or(Duration::from_secs(3600));
    let pace = crate::run::pace::Pace::default().of_run(clock);
    let faults = Faults::start(Scene {
        cluster: cluster.clone(),
        db: db.clone(),
        clock: clock.clone(),
        recorder: recorder.clone(),
        announcements: announcements.clone(),
        phase: phase.clone(),
        calls: Default::default(),
        until: clock.now() + until,
        reconnect: effective.reconnect,
        // Fakes hit nodes that are not there.
        schedule: Schedule::new("fake", seed, (1..=9).map(|i| format!("n{i}").into()).collect()),
        replay: replay.clone(),
        file,
    });
    Arc::new(Live {
        cluster,
        services: Vec::new(),
        db,
        nemesis,
        workload: g_set(),
        effective,
        able: Able::everything(),
        runtime: None,
        seed,
        clock: clock.clone(),
        recorder,
        samples: Samples::default(),
        faults,
        observed: Default::default(),
        announcements,
        replay,
        phase,
        progress: Progress::new(interpreter.counters()),
        executor: interpreter.executor(),
        is_scenario: false,
        processes: AtomicU32::new(FIRST_PROCESS),
        interpreter: tokio::sync::Mutex::new(interpreter),
        cancel: watch::channel(false).0,
        calls: Default::default(),
        up: pace.now(),
        pace,
        checkers: Vec::new(),
        first: Default::default(),
        folder: None,
    })
}

/// A test to begin faults in by hand.
pub(super) fn empty(clock: &Clock) -> Arc<Live> {
    live(clock, Nemesis::none(), Seed(1), Options::default())
}

impl Live {
    /// That fault, about to begin.
    pub(super) fn fake(&self, fake: &Fake) -> Begin {
        Begin {
            fault: Arc::new(fake.clone()),
            random: self.seed.stream(fake.name),
            zone: None,
            slot: crate::nemesis::Slot::Scenario { call: self.faults.next_call(), index: 0 },
        }
    }

    /// The edges of a fault's events, in their order.
    pub(super) fn edges(&self, name: &str) -> Vec<String> {
        self.recorder.with(|history| {
            let of_fault = |i: &usize| &**history.function(*i) == name;
            let edge = |i: usize| Some(history.value(i).get("edge")?.as_text()?.to_string());
            (0..history.len()).filter(of_fault).filter_map(edge).collect()
        })
    }

    /// What keeps the run from being valid, as far as faults are concerned.
    pub(super) fn reasons(&self) -> Vec<String> {
        use crate::checker::Checker as _;
        let mut reasons = self.faults.board().problems();
        self.recorder.with(|history| {
            let verdict = crate::checker::power().check(history);
            let vacuous = |r: &String| r.starts_with("no operation succeeded");
            reasons.extend(verdict.reasons.into_iter().filter(|r| !vacuous(r)));
        });
        reasons
    }

    /// Every fault that was begun has its four edges, and was seen undone; the heal is proved.
    #[track_caller]
    pub(super) fn all_undone(&self) {
        let history = self.recorder.with(Clone::clone);
        assert_eq!(history.heal_proved(), Some(true), "the heal is proved");
        let spans = history.faults();
        for span in &spans {
            assert_eq!(span.not_undone(), None);
            assert!(span.started.is_some() && span.stop.is_some(), "{span:?}");
        }
        assert_eq!(History::faults(&history).len(), spans.len());
        assert!(self.faults.board().hit().is_empty());
    }
}
