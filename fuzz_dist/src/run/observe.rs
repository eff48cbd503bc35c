//! What the nodes say about themselves while a test runs, recorded beside its operations.
//!
//! An observer in every node whose runtime system has one reports; a task of ours for each records it, and
//! puts the observer back after a restart. Nothing that goes wrong here changes a verdict: it becomes
//! a note.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::live::Live;
use crate::history::MemberState;
use crate::interpreter::Members;
use crate::nemesis::Boundaries;
use crate::node::Node;
use crate::op::{Event, Kind, Process, Value};
use crate::runtime::{AnyRuntime, NodeObserver, NodeSampler, Report, Sample};

/// How long the run waits for all observers before it goes on without those that are missing.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Between two tries to reach a node again.
const RETRY_EVERY: Duration = Duration::from_millis(200);
/// So many tries in a row may fail on a node whose processes run.
const TRIES_MAX: u32 = 50;
/// So often a sampler that ended is put back, as long as the observer is there.
const SAMPLERS_MAX: u32 = 5;
/// So many events of one node are recorded; the rest is counted.
const EVENTS_MAX: u64 = 5000;

/// What observing has to report to people, and how much of it was lost.
#[derive(Debug, Default)]
pub(super) struct Observed {
    notes: Mutex<Vec<String>>,
    boundaries: Mutex<Option<Boundaries>>,
}

impl Observed {
    /// What people should know: who is not observed, what was dropped.
    pub(super) fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When nodes take each other for dead, as the node said that was observed first.
    pub(super) fn boundaries(&self) -> Option<Boundaries> {
        *self.boundaries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, text: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if !notes.contains(&text) {
            notes.push(text);
        }
    }
}

/// Puts an observer into every node that runs the runtime system, and returns when all of them observe,
/// or with notes about those that do not.
pub(super) async fn start(live: &Arc<Live>) {
    let Some(runtime) = live.runtime.clone() else { return };
    let mut nodes = live.cluster.nodes();
    nodes.retain(|node| runtime.runs_on(node));
    if nodes.is_empty() {
        return;
    }
    let joiners = Joiners { live: Arc::downgrade(live), runtime: runtime.clone() };
    let known = live.cluster.all_nodes().len();
    tokio::spawn(joiners.follow(live.cluster.following(), known, live.cancel.subscribe()));
    let starting = async {
        if let Err(e) = runtime.prepare().await {
            return live.observed.note(format!("the nodes are not observed: {e}"));
        }
        let is_simulated = live.clock.preload().is_some();
        let mut waiting = Vec::new();
        for node in nodes {
            let started = watch(live, &runtime, node);
            if is_simulated {
                // One after the other, so that the history has them in one order.
                let _ = started.await;
            } else {
                waiting.push(started);
            }
        }
        for started in waiting {
            let _ = started.await;
        }
    };
    if live.clock.timeout(START_LIMIT, starting).await.is_err() {
        live.observed.note(format!("not all nodes were observed within {START_LIMIT:?}"));
    }
}

/// Begins to observe a node; ready when it does, or with a note.
fn watch(live: &Arc<Live>, runtime: &AnyRuntime, node: Node) -> oneshot::Receiver<()> {
    let every = Some(live.effective.samples).filter(|every| !every.is_zero());
    let (ready, started) = oneshot::channel();
    let (runtime, starts) = (runtime.clone(), Starts::default());
    let watch = Watch { live: Arc::downgrade(live), runtime, node, every, recorded: 0, starts };
    tokio::spawn(watch.run(ready, live.cancel.subscribe()));
    started
}

/// Observes nodes that join, and announces to them, from when they are members on.
struct Joiners {
    /// Weak, since the run's end must not wait for it.
    live: Weak<Live>,
    runtime: AnyRuntime,
}

impl Joiners {
    async fn follow(
        self,
        mut members: Members,
        mut known: usize,
        mut cancel: watch::Receiver<bool>,
    ) {
        loop {
            tokio::select! {
                changed = members.changed() => if changed.is_err() { return },
                _ = cancel.wait_for(|cancelled| *cancelled) => return,
            }
            members.mark_unchanged();
            let Some(live) = self.live.upgrade() else { return };
            let new = live.cluster.nodes().into_iter().filter(|node| node.id().index() >= known);
            for node in new.collect::<Vec<_>>() {
                known = known.max(node.id().index() + 1);
                super::announce::joined(&live, &self.runtime, &node);
                if self.runtime.runs_on(&node) {
                    drop(watch(&live, &self.runtime, node));
                }
            }
        }
    }
}

/// One node's observation.
struct Watch {
    /// Weak, since the run's end must not wait for who watches it.
    live: Weak<Live>,
    runtime: AnyRuntime,
    node: Node,
    /// How often the node is sampled.
    every: Option<Duration>,
    recorded: u64,
    starts: Starts,
}

/// How often a node was started, as far as its incarnations say: the history has numbers from 1, since what
/// the node gives is the time of its start.
#[derive(Default)]
struct Starts {
    last: String,
    count: u32,
}

impl Starts {
    fn number(&mut self, incarnation: &str) -> String {
        if self.count == 0 || self.last != incarnation {
            (self.last, self.count) = (incarnation.into(), self.count + 1);
        }
        self.count.to_string()
    }
}

impl Watch {
    /// Observes until the run ends; says once when the first observer is there, or failed to be.
    async fn run(mut self, ready: oneshot::Sender<()>, mut cancel: watch::Receiver<bool>) {
        tokio::select! {
            () = self.observe(ready) => {}
            _ = cancel.wait_for(|cancelled| *cancelled) => {}
        }
    }

    async fn observe(&mut self, ready: oneshot::Sender<()>) {
        let (mut ready, mut failures) = (Some(ready), 0);
        while failures < TRIES_MAX {
            if self.node.state() > MemberState::Member {
                return;
            }
            let runtime = self.runtime.clone();
            let node = self.node.clone();
            match runtime.observe(&node).await {
                Ok(observer) => {
                    failures = 0;
                    self.attached(&*observer);
                    let sampler = self.sampler().await;
                    drop(ready.take());
                    self.listen(observer, sampler).await;
                }
                Err(e) if ready.take().is_some() => {
                    self.note(format!("{} is not observed yet: {e}", self.node.name()));
                }
                // A node that a fault keeps down is waited for.
                Err(_) if !self.node.is_running() => failures = 0,
                Err(_) => failures += 1,
            }
            self.node.clock().sleep(RETRY_EVERY).await;
        }
        self.note(format!("{} could not be observed again, and was given up", self.node.name()));
    }

    fn attached(&mut self, observer: &dyn NodeObserver) {
        observer.remarks().into_iter().for_each(|text| self.note(text));
        self.settings(observer.facts());
        let starts = &mut self.starts;
        let facts = observer.facts().iter().map(|(k, v)| match k.as_str() {
            "incarnation" => (k.as_str(), Value::from(starts.number(v))),
            _ => (k.as_str(), Value::from(v.as_str())),
        });
        let facts: Vec<_> = facts.collect();
        self.record(None, "observed", Value::map(facts));
    }

    /// The settings of the node's kernel: facts of the run, and the source of draws near a boundary.
    fn settings(&self, facts: &BTreeMap<String, String>) {
        let Some(live) = self.live.upgrade() else { return };
        let fact = |name| facts.get(name).map_or("", String::as_str);
        let seconds = |name| fact(name).parse().ok().map(Duration::from_secs);
        let boundaries = || {
            Some(Boundaries {
                net_ticktime: seconds("net_ticktime").filter(|t| !t.is_zero())?,
                net_tickintensity: fact("net_tickintensity").parse().ok()?,
                net_setuptime: seconds("net_setuptime")?,
            })
        };
        let mut known = live.observed.boundaries.lock().unwrap_or_else(PoisonError::into_inner);
        *known = known.or_else(boundaries);
        let prevented = fact("prevent_overlapping_partitions");
        if matches!(prevented, "true" | "false") {
            live.recorder.set_meta("prevent_overlapping_partitions", prevented);
        }
        if let Some(asked) = live.effective.overlapping_partitions
            && asked.prevented() != prevented
        {
            live.faults.board().problem(format!(
                "`overlapping_partitions` was asked for, and {} says `{prevented}` of \
                 prevent_overlapping_partitions: another setting has the last word there",
                self.node.name()
            ));
        }
    }

    /// Takes samples, where they are asked for. A node that refuses goes without.
    async fn sampler(&self) -> Option<Box<dyn NodeSampler>> {
        let started = self.runtime.sample(&self.node, self.every?).await;
        let refused = |e| self.note(format!("{} is not sampled: {e}", self.node.name()));
        started.map_err(refused).ok()
    }

    /// Puts a sampler back that has ended; where the node has, the observer reports it.
    async fn sampler_again(&self) -> Option<Box<dyn NodeSampler>> {
        match self.node.is_running() {
            true => self.sampler().await,
            false => self.runtime.sample(&self.node, self.every?).await.ok(),
        }
    }

    /// Records what observer and sampler report, until the observer or its node goes.
    async fn listen(
        &mut self,
        mut observer: Box<dyn NodeObserver>,
        mut sampler: Option<Box<dyn NodeSampler>>,
    ) {
        let mut sampled_again = SAMPLERS_MAX;
        loop {
            let sampled = async {
                match &mut sampler {
                    Some(sampler) => sampler.next().await,
                    None => std::future::pending().await,
                }
            };
            let report = tokio::select! {
                report = observer.next() => report,
                sample = sampled => {
                    match sample {
                        Some(sample) => self.sampled(sample),
                        None => {
                            sampler = match sampled_again {
                                0 => None,
                                _ => self.sampler_again().await,
                            };
                            sampled_again = sampled_again.saturating_sub(1);
                        }
                    }
                    continue;
                }
            };
            let Some(report) = report else { return };
            match report {
                Report::Event { monotonic_ns, kind, data } => {
                    self.record(Some(monotonic_ns), kind, data);
                }
                Report::Dropped(count) => {
                    self.note(format!(
                        "{} said more than its agent could report: some events are missing",
                        self.node.name()
                    ));
                    self.record(None, "dropped", Value::Int(count as i64));
                }
                Report::Ended(reason) => {
                    self.record(None, "agent_ended", Value::from(reason));
                    return;
                }
            }
        }
    }

    fn sampled(&self, sample: Sample) {
        let Some(live) = self.live.upgrade() else { return };
        let (node, time) = (&self.node, live.clock.at(sample.monotonic_ns));
        live.samples.push((node.id(), node.name()), live.phase(), time, &sample.values);
    }

    fn note(&self, text: String) {
        if let Some(live) = self.live.upgrade() {
            live.observed.note(text);
        }
    }

    fn record(&mut self, monotonic_ns: Option<u64>, f: &str, value: Value) {
        let Some(live) = self.live.upgrade() else { return };
        self.recorded += 1;
        if self.recorded > EVENTS_MAX {
            live.observed.note(format!(
                "{} said more than {EVENTS_MAX} things; what came later is not in the history",
                self.node.name()
            ));
            return;
        }
        let event = Event {
            time: monotonic_ns.map_or_else(|| live.clock.now(), |ns| live.clock.at(ns)),
            process: Process::RUNTIME,
            node: Some(self.node.id()),
            kind: Kind::Info,
            f: f.into(),
            value: named(&live, value),
            error: None,
            phase: live.phase(),
        };
        // Events of the runtime have no partner, so that none can be malformed.
        let _ = live.recorder.record(event);
    }
}

/// The runtime system's name of a peer becomes the test's.
fn named(live: &Live, value: Value) -> Value {
    let Value::Map(entries) = &value else { return value };
    let name = |peer: &str| {
        let runtime = live.runtime.as_ref()?;
        let nodes = live.cluster.all_nodes();
        let named = |n: &&Node| runtime.peer_name(n).as_deref() == Some(peer);
        nodes.iter().find(named).map(|n| Value::from(n.name()))
    };
    let entry = |(key, value): &(Value, Value)| {
        let peer = key.as_text().filter(|key| *key == "peer").and_then(|_| value.as_text());
        let known = peer.and_then(name);
        (key.clone(), known.unwrap_or_else(|| value.clone()))
    };
    Value::Map(entries.iter().map(entry).collect())
}
