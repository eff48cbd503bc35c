//! A whole run on a manual clock, as the harness makes it: set-up, operations at a rate, faults in a lane, time-outs, heal,
//! quiesce, final reads and checkers. A minute of it takes a moment, and the same seed gives the same history, byte for
//! byte.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use super::fake::FewHosts;
use crate::checker::{Validity, Verdict};
use crate::client::{Client, DynClient, Error as ClientError};
use crate::clock::{Clock, Manual};
use crate::db::{AnyDb, Db, Facts, Load};
use crate::env::{
    BoxFuture, Capabilities, Command, Environment, EnvironmentSpec, Error as EnvError, Facet,
    Provider,
};
use crate::error::Error;
use crate::history::{COMPLETED, History, MemberState};
use crate::nemesis::{Check, Fault, Hit, Nemesis, Targets, membership, shrink};
use crate::node::{Cluster, Node};
use crate::op::{Completion, Invocation, Kind, Name, NodeId, Phase, Value};
use crate::random::{Seed, Stream};
use crate::run::options::Options;
use crate::run::overrides::Overrides;
use crate::run::{Location, Make, Part, Session, TrialSpec};
use crate::time::{millis, secs};
use crate::workload::g_set;

/// A set in this process, which takes its time to answer. While it is stalled, some answers never come.
#[derive(Clone)]
struct Store(Arc<Mutex<State>>);

struct State {
    set: BTreeSet<i64>,
    stalled: bool,
    /// What was added while it is stalled.
    lately: Vec<i64>,
    /// Is that lost at the end of the stall?
    forgets: bool,
    random: Stream,
}

impl Store {
    fn new(seed: Seed, forgets: bool) -> Store {
        let (set, lately, random) = (BTreeSet::new(), Vec::new(), seed.stream("store"));
        Store(Arc::new(Mutex::new(State { set, stalled: false, lately, forgets, random })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

struct StoreClient(Store, Clock);

impl Client for StoreClient {
    async fn invoke(&mut self, op: &Invocation) -> Completion {
        let (takes, hangs) = {
            let mut state = self.0.lock();
            let hangs = state.stalled && state.random.chance(0.2);
            (state.random.duration(millis(1), millis(40)), hangs)
        };
        self.1.sleep(takes).await;
        let answer = {
            let mut state = self.0.lock();
            match (&*op.f, op.value.as_int()) {
                ("add", Some(element)) => {
                    state.set.insert(element);
                    let stalled = state.stalled;
                    state.lately.extend(stalled.then_some(element));
                    op.value.clone()
                }
                _ => Value::set(state.set.iter().copied()),
            }
        };
        match hangs {
            true => std::future::pending().await,
            false => Completion::Ok(answer),
        }
    }
    async fn reopen(&mut self) -> Result<(), ClientError> {
        Ok(())
    }
}

/// Stalls the store.
struct Stall(Store);

impl Fault for Stall {
    type Plan = Hit;

    fn name(&self) -> Name {
        "stall".into()
    }
    fn plan(&self, _: Targets<'_>, random: &mut Stream) -> Result<Hit, Error> {
        Ok(Hit { shape: format!("#{}", random.below(1000)), nodes: vec![NodeId(0)] })
    }
    async fn start(&self, targets: Targets<'_>, _: &Hit) -> Result<Check, Error> {
        targets.cluster.clock().sleep(millis(20)).await;
        self.0.lock().stalled = true;
        Ok(Check::seen(true, "it stalls"))
    }
    async fn stop(&self, targets: Targets<'_>, _: &Hit) -> Result<Check, Error> {
        targets.cluster.clock().sleep(millis(20)).await;
        let mut state = self.0.lock();
        state.stalled = false;
        let lately = std::mem::take(&mut state.lately);
        if state.forgets {
            state.set.retain(|element| !lately.contains(element));
        }
        Ok(Check::seen(true, "it goes on"))
    }
}

/// A place for hosts in this process.
struct Here;

impl Provider for Here {
    fn name(&self) -> &str {
        "here"
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities::of([Facet::Membership])
    }
    fn start(
        &self,
        spec: EnvironmentSpec,
    ) -> BoxFuture<'_, Result<Arc<dyn Environment>, EnvError>> {
        let hosts = FewHosts::new(spec.hosts.len());
        Box::pin(async { Ok(Arc::new(hosts) as Arc<dyn Environment>) })
    }
}

/// The database whose store is in this process.
struct InProcess {
    /// Nobody can join.
    is_closed: bool,
}

impl Db for InProcess {
    fn name(&self) -> Name {
        "in_process".into()
    }
    fn facts(&self) -> Facts {
        Facts { load: Load::Light, ..Facts::default() }
    }
    fn needs(&self) -> Vec<Facet> {
        Vec::new()
    }
    async fn start(&self, node: &Node) -> Result<(), Error> {
        node.spawn(Command::new("store")).await?;
        // It takes a while, as everything does.
        node.clock().sleep(secs(2)).await;
        Ok(())
    }
    async fn ready(&self, _: &Node) -> Result<(), Error> {
        Ok(())
    }
    async fn join(&self, _: &Node, _: &Cluster) -> Result<(), Error> {
        if self.is_closed { Err(Error::setup("it is closed")) } else { Ok(()) }
    }
    async fn leave(&self, _: &Node, _: &Cluster) -> Result<(), Error> {
        Ok(())
    }
}

/// What came of a run.
struct Ran {
    file: Vec<u8>,
    history: Arc<History>,
    verdict: Verdict,
}

/// Runs a minute of it, as the harness does.
fn run(seed: u64, forgets: bool) -> Ran {
    let store = Store::new(Seed(seed), forgets);
    // The first one starts after the default of three seconds.
    let stalls = Nemesis::of(Stall(store.clone())).lasting(secs(4));
    run_with(seed, 1, store, stalls, false)
}

/// The same on so many nodes with these faults.
fn run_with(seed: u64, nodes: usize, store: Store, nemesis: Nemesis, is_closed: bool) -> Ran {
    Manual::run(|clock| async move {
        let session =
            Session::new(spec(is_closed), Overrides::default(), Seed(seed), clock.clone());
        let client = move |_: &Node| -> Box<dyn DynClient> {
            Box::new(StoreClient(store.clone(), clock.clone()))
        };
        let test = session.test().env(Here).nemesis(nemesis).workload(g_set().client(client));
        let test = test.nodes(nodes).concurrency(2 * nodes);
        let outcome = test.run().await;
        let finished = session.finish(outcome).await;
        let verdict = finished.outcome.unwrap();
        let kept = finished.store.unwrap();
        let file = std::fs::read(kept.history()).unwrap();
        std::fs::remove_dir_all(kept.dir()).unwrap();
        Ran { file, history: finished.history, verdict }
    })
}

fn spec(is_closed: bool) -> TrialSpec {
    let make: Make<AnyDb> = match is_closed {
        true => Make::Fresh(|| Arc::new(InProcess { is_closed: true })),
        false => Make::Fresh(|| Arc::new(InProcess { is_closed: false })),
    };
    let location = Location { file: file!(), line: line!(), column: column!() };
    TrialSpec {
        name: "a_whole_run_on_a_manual_clock".into(),
        cell: None,
        doc: "",
        location,
        options: Options {
            time_limit: Some(secs(60)),
            rate: Some(20.0),
            op_limit: Some(millis(500)),
            ..Options::default()
        },
        db: Some(Part { label: "in_process", location, make }),
        nemesis: None,
        workload: None,
        checkers: Vec::new(),
        env: None,
        body: |_| unreachable!("the test calls what the harness would"),
    }
}

#[test]
fn a_minute_on_a_manual_clock_is_the_same_for_the_same_seed() {
    let first = run(1, false);
    assert_eq!(first.verdict.validity, Validity::Valid, "{:#?}", first.verdict);
    let time_ns = |key: &str| first.history.meta(key).and_then(Value::as_int).unwrap();
    let main_ns = time_ns("main_end_ns") - time_ns("main_start_ns");
    assert!(main_ns >= 60_000_000_000, "{main_ns}");
    let count = |kind: Kind| {
        let client = |i: &usize| first.history.process(*i).is_client();
        let events = (0..first.history.len()).filter(client);
        events.filter(|i| first.history.kind(*i) == kind).count()
    };
    assert!(count(Kind::Ok) > 800, "{} of a minute at 20 a second", count(Kind::Ok));
    assert!(count(Kind::Info) > 5 && count(Kind::Fail) > 5, "adds and reads were given up");
    assert!(first.history.faults().len() > 4, "{:#?}", first.history.faults());
    assert_eq!(first.history.meta(COMPLETED), Some(&Value::Bool(true)));
    assert_eq!(first.history.heal_proved(), Some(true));

    let again = run(1, false);
    assert!(first.file == again.file, "the histories differ: {}", difference(&first, &again));
    assert_eq!(first.verdict, again.verdict);
    assert!(first.file != run(2, false).file, "another seed gives another history");
}

#[test]
fn nodes_that_join_and_leave_are_the_same_for_the_same_seed() {
    let run = |seed| {
        let changes = membership().lasting(secs(4)).every(secs(7));
        run_with(seed, 2, Store::new(Seed(seed), false), changes, false)
    };
    let (first, again) = (run(5), run(5));
    assert!(first.file == again.file, "the histories differ: {}", difference(&first, &again));
    assert!(first.verdict.anomalies.is_empty(), "{:#?}", first.verdict);
    let history = &first.history;
    let joined = history.nodes().len() - 2;
    assert!(joined > 3, "{:?}", history.nodes());
    let mut served = vec![false; history.nodes().len()];
    let mut states = vec![MemberState::Member; 2];
    let mut changes = history.member_changes().into_iter().peekable();
    for i in 0..history.len() {
        if let Some(change) = changes.next_if(|change| change.event == i) {
            states.resize(states.len().max(change.node.index() + 1), change.state);
            states[change.node.index()] = change.state;
        }
        let Some(node) = history.node(i).filter(|_| history.process(i).is_client()) else {
            continue;
        };
        if history.kind(i) == Kind::Invoke {
            assert_eq!(states[node.index()], MemberState::Member, "event {i}");
            served[node.index()] = true;
        }
    }
    assert!(served.iter().all(|served| *served), "{served:?} of {:?}", history.nodes());
    let final_reads = |node: &NodeId| {
        (0..history.len()).any(|i| {
            let ok = history.kind(i) == Kind::Ok && history.process(i).is_client();
            ok && history.node(i) == Some(*node) && history.phase(i) == Phase::Final
        })
    };
    assert!(history.members().len() == 2 && history.members().iter().all(final_reads));
}

/// The node that left is not replaced: that its processes are gone is no end of the fault.
#[test]
fn a_shrink_whose_replacement_cannot_join_is_not_undone() {
    let shrinks = shrink().lasting(secs(4)).every(secs(70));
    let ran = run_with(6, 3, Store::new(Seed(6), false), shrinks, true);
    assert_eq!(ran.verdict.validity, Validity::Unknown, "{:#?}", ran.verdict);
    let faults = ran.history.faults();
    assert!(faults.iter().any(|fault| !fault.undone), "{faults:#?}");
    assert_eq!(ran.history.members().len(), 2);
}

#[test]
fn a_loss_on_a_manual_clock_is_found_every_time() {
    let (first, again) = (run(3, true), run(3, true));
    assert_eq!(first.verdict.validity, Validity::Invalid, "{:#?}", first.verdict);
    assert!(first.file == again.file, "the histories differ: {}", difference(&first, &again));
    assert_eq!(first.verdict, again.verdict);
}

/// The first lines that differ.
fn difference(one: &Ran, other: &Ran) -> String {
    let lines = |ran: &Ran| String::from_utf8_lossy(&ran.file).into_owned();
    let (one, other) = (lines(one), lines(other));
    let different = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    different.map_or("one is longer".into(), |(one, other)| format!("\n{one}\n{other}"))
}
