//! Faults and operations announced inside of the nodes, so that the application's own telemetry and logs
//! carry them.
//!
//! Nobody waits for it: what is to be said is put into a bounded queue for each node, and a task takes it
//! from there in batches. It may fail, too: an operation is no better or worse for being announced. What
//! was lost is counted, and becomes a note.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use super::live::Live;
use super::options::Announce;
use crate::clock::Clock;
use crate::history::{Edge, History};
use crate::interpreter::{Observer, Sent};
use crate::node::Node;
use crate::op::{Completion, Kind, Name, NodeId, Process, Value};
use crate::runtime::{Announced, Announcement, AnyRuntime, NodeAnnouncer};
use crate::time::Time;

/// Operations are gathered for so long: many fewer messages.
const GATHER: Duration = Duration::from_millis(25);
/// So many announcements are sent at once.
const BATCH_MAX: usize = 512;
/// So much may wait for a node; operations that begin beyond that are not announced.
const WAITING_MAX: usize = 4096;
/// Between two tries to reach a node, and how long the last announcements of a run are waited for.
const RETRY_EVERY: Duration = Duration::from_millis(200);
/// How often is asked whether a node has left, where nothing is said there.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// What is to be announced, for each node.
pub(super) struct Announcements {
    what: Announce,
    clock: Clock,
    nodes: RwLock<Vec<Arc<Queue>>>,
}

#[derive(Default)]
struct Queue {
    /// Does anybody take from it?
    open: AtomicBool,
    state: Mutex<State>,
    /// Something waits, after nothing did.
    filled: Notify,
    /// It is not to be gathered any longer.
    hurry: Notify,
}

#[derive(Default)]
struct State {
    waiting: Vec<Announcement>,
    /// Taken, and not yet said.
    sending: usize,
    /// Of operations whose start is announced: so their end is, too.
    begun: HashMap<u32, (usize, Time)>,
    said: u64,
    lost: u64,
    why: Option<String>,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    fn push(&self, state: &mut State, announcement: Announcement) {
        state.waiting.push(announcement);
        if state.waiting.len() == 1 {
            self.filled.notify_one();
        }
    }
}

impl Drop for Announcements {
    /// Who takes from the queues ends.
    fn drop(&mut self) {
        for queue in self.queues() {
            queue.hurry.notify_one();
            queue.filled.notify_one();
        }
    }
}

impl Announcements {
    pub(super) fn new(what: Announce, clock: Clock, nodes: usize) -> Announcements {
        let nodes = RwLock::new((0..nodes).map(|_| Arc::default()).collect());
        Announcements { what, clock, nodes }
    }

    /// The queue of a node, which may have joined.
    fn queue(&self, node: NodeId) -> Arc<Queue> {
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        let count = nodes.len().max(node.index() + 1);
        nodes.resize_with(count, Arc::default);
        nodes[node.index()].clone()
    }

    fn queues(&self) -> Vec<Arc<Queue>> {
        self.nodes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An operation is recorded as the event `index`, and about to be sent.
    pub(super) fn operation_starts(
        &self,
        (node, process): (NodeId, Process),
        (index, time): (usize, Time),
        function: &Name,
        value: &Value,
    ) {
        let Some(queue) = self.operations(node) else { return };
        let mut state = queue.state();
        if state.waiting.len() >= WAITING_MAX {
            state.lost += 1;
            state.why.get_or_insert_with(|| format!("more than {WAITING_MAX} waited"));
            return;
        }
        state.begun.insert(process.0, (index, time));
        let (function, client, value) = (function.clone(), process.0, value.as_int());
        let announcement = Announcement {
            id: index as i64,
            span: History::span_of_invocation(index),
            monotonic_ns: self.clock.monotonic_ns(time),
            what: Announced::OperationStart { function, client, value },
        };
        queue.push(&mut state, announcement);
    }

    /// It has completed.
    pub(super) fn operation_stops(
        &self,
        (node, process): (NodeId, Process),
        time: Time,
        function: &Name,
        outcome: Kind,
    ) {
        let Some(queue) = self.operations(node) else { return };
        let mut state = queue.state();
        let Some((index, start)) = state.begun.remove(&process.0) else { return };
        let duration_ns = time.since(start).as_nanos() as u64;
        let (function, client, outcome) = (function.clone(), process.0, outcome.as_str());
        let announcement = Announcement {
            id: index as i64,
            span: History::span_of_invocation(index),
            monotonic_ns: self.clock.monotonic_ns(time),
            what: Announced::OperationStop { function, client, outcome, duration_ns },
        };
        queue.push(&mut state, announcement);
    }

    fn operations(&self, node: NodeId) -> Option<Arc<Queue>> {
        if self.what != Announce::Operations {
            return None;
        }
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        nodes.get(node.index()).filter(|queue| queue.is_open()).cloned()
    }

    /// A fault begins or ends.
    pub(super) fn fault(&self, edge: Edge, id: i64, shape: &str) {
        if self.what == Announce::Nothing {
            return;
        }
        let what = match edge {
            Edge::Start | Edge::Started => Announced::FaultStart(shape.into()),
            Edge::Stop | Edge::Stopped => Announced::FaultStop(shape.into()),
        };
        let monotonic_ns = self.clock.monotonic_ns(self.clock.now());
        for queue in self.queues().iter().filter(|queue| queue.is_open()) {
            let (span, what) = (History::span_of_fault(id), what.clone());
            queue.push(&mut queue.state(), Announcement { id, span, monotonic_ns, what });
            queue.hurry.notify_one();
        }
    }

    /// Waits a moment until what was announced was said.
    pub(super) async fn flush(&self) {
        let flushing = async {
            for queue in self.queues().iter().filter(|queue| queue.is_open()) {
                queue.hurry.notify_one();
                let quiet = |state: &State| state.waiting.is_empty() && state.sending == 0;
                while !quiet(&queue.state()) {
                    self.clock.sleep(GATHER / 5).await;
                }
            }
        };
        let _ = self.clock.timeout(FLUSH_LIMIT, flushing).await;
    }

    /// What people should know of it: on which nodes announcements were lost, and why. Not of faults
    /// alone: one that takes a node down cannot be announced there.
    pub(super) fn notes(&self, live: &Live) -> Vec<String> {
        let mut notes = Vec::new();
        if self.what != Announce::Operations {
            return notes;
        }
        if !self.queues().iter().any(|queue| queue.is_open()) {
            notes.push("operations were not announced: no node can be told of them".to_string());
        }
        for (node, queue) in live.cluster.all_nodes().iter().zip(self.queues()) {
            let state = queue.state();
            let lost = state.lost + state.waiting.len() as u64 + state.sending as u64;
            if lost > 0 {
                let (all, name) = (state.said + lost, node.name());
                let why = state.why.as_deref().unwrap_or("the run had ended before");
                notes.push(format!("{lost} of {all} announcements on {name} were lost: {why}"));
            }
        }
        notes
    }
}

/// Operations of the interpreter.
impl Observer for Announcements {
    fn about_to_invoke(&self, sent: &Sent<'_>) {
        let at = (sent.index, sent.time);
        self.operation_starts((sent.node, sent.process), at, &sent.op.f, &sent.op.value);
    }

    fn completed(&self, sent: &Sent<'_>, completion: &Completion) {
        let who = (sent.node, sent.process);
        self.operation_stops(who, sent.time, &sent.op.f, completion.kind());
    }
}

/// Begins to say on every node of the runtime system what is announced.
pub(super) async fn start(live: &Arc<Live>) {
    let Some(runtime) = live.runtime.clone() else { return };
    if live.announcements.what == Announce::Nothing
        || !live.cluster.nodes().iter().any(|n| runtime.runs_on(n))
    {
        return;
    }
    // Where it cannot be had, observing has said so.
    if runtime.prepare().await.is_err() {
        return;
    }
    for node in live.cluster.nodes() {
        joined(live, &runtime, &node);
    }
}

/// Begins to say it on one node, where that runs the runtime system.
pub(super) fn joined(live: &Arc<Live>, runtime: &AnyRuntime, node: &Node) {
    if live.announcements.what == Announce::Nothing || !runtime.runs_on(node) {
        return;
    }
    let queue = live.announcements.queue(node.id());
    queue.open.store(true, Ordering::Relaxed);
    let (node, runtime) = (node.clone(), runtime.clone());
    let trace = live.recorder.with(History::trace_id);
    let speaker = Speaker { live: Arc::downgrade(live), node, queue, runtime, trace };
    tokio::spawn(speaker.run());
}

/// Takes from one node's queue.
struct Speaker {
    /// Weak, since the run's end must not wait for it.
    live: Weak<Live>,
    node: Node,
    queue: Arc<Queue>,
    runtime: AnyRuntime,
    trace: String,
}

impl Speaker {
    /// Until the run is over.
    async fn run(self) {
        let mut announcer = None;
        while self.live.strong_count() > 0 {
            if self.node.has_left() {
                self.queue.open.store(false, Ordering::Relaxed);
                return;
            }
            let batch = self.batch();
            if batch.is_empty() {
                let clock = self.node.clock();
                if clock.timeout(LOOK_EVERY, self.queue.filled.notified()).await.is_ok() {
                    let _ = clock.timeout(GATHER, self.queue.hurry.notified()).await;
                }
                continue;
            }
            let sent = self.send(&mut announcer, &batch).await;
            let count = batch.len() as u64;
            let failed = {
                let mut state = self.queue.state();
                state.sending = 0;
                match sent {
                    Ok(()) => state.said += count,
                    Err(_) => state.lost += count,
                }
                sent.map_err(|why| state.why.get_or_insert(why).len()).is_err()
            };
            if failed {
                announcer = None;
                self.node.clock().sleep(RETRY_EVERY).await;
            }
        }
    }

    fn batch(&self) -> Vec<Announcement> {
        let mut state = self.queue.state();
        let count = state.waiting.len().min(BATCH_MAX);
        let batch: Vec<Announcement> = state.waiting.drain(..count).collect();
        state.sending = count;
        batch
    }

    async fn send(
        &self,
        announcer: &mut Option<Box<dyn NodeAnnouncer>>,
        batch: &[Announcement],
    ) -> Result<(), String> {
        let speaking = match announcer {
            Some(speaking) => speaking,
            None => {
                let started = self.runtime.announce(&self.node, &self.trace).await;
                announcer.insert(started.map_err(|e| e.to_string())?)
            }
        };
        speaking.announce(batch).await.map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcements(what: Announce) -> Announcements {
        let all = Announcements::new(what, Clock::system(), 2);
        all.queue(NodeId(0)).open.store(true, Ordering::Relaxed);
        all
    }

    fn begins(all: &Announcements, node: u16, process: u32, index: usize) {
        let who = (NodeId(node), Process(process));
        all.operation_starts(who, (index, Time(index as u64)), &"add".into(), &Value::Int(7));
    }

    fn ends(all: &Announcements, node: u16, process: u32) {
        all.operation_stops((NodeId(node), Process(process)), Time(100), &"add".into(), Kind::Ok);
    }

    #[test]
    fn only_what_was_asked_for_waits_and_only_where_somebody_listens() {
        let waiting = |what| {
            let all = announcements(what);
            for node in 0..2 {
                begins(&all, node, 3, 11);
                ends(&all, node, 3);
            }
            all.fault(Edge::Start, 0, "bridge");
            let of = |node: u16| all.queue(NodeId(node)).state().waiting.len();
            (of(0), of(1))
        };
        assert_eq!(waiting(Announce::Nothing), (0, 0));
        assert_eq!(waiting(Announce::Faults), (1, 0));
        assert_eq!(waiting(Announce::Operations), (3, 0));
    }

    #[test]
    fn an_end_is_announced_where_its_start_was_and_not_else() {
        let all = announcements(Announce::Operations);
        for i in 0..WAITING_MAX as u32 + 5 {
            begins(&all, 0, i, i as usize);
        }
        for i in 0..WAITING_MAX as u32 + 5 {
            ends(&all, 0, i);
        }
        let queue = all.queue(NodeId(0));
        let state = queue.state();
        assert_eq!((state.waiting.len(), state.lost), (2 * WAITING_MAX, 5));
        assert!(state.begun.is_empty());
        let last = state.waiting.last().unwrap();
        assert_eq!(last.id, WAITING_MAX as i64 - 1);
        assert_eq!(last.span, WAITING_MAX as u64);
    }
}
