//! After the main phase: heal and prove it, wait until the nodes agree, read every node once more.

use std::time::Duration;

use super::live::Live;
use super::pace::Moment;
use crate::client::UNSUPPORTED;
use crate::error::Error;
use crate::generator::{Any, Boxed, Generator, each_node, nothing, once};
use crate::history::{COMPLETED, ENDED_EARLY, OVERLOADED, SILENT};
use crate::interpreter::Ended;
use crate::node::Node;
use crate::op::{Event, Invocation, Kind, NodeId, Phase, Process, Value};
use crate::time::Time;

/// Pauses between rounds of reads while the run waits for convergence: none after the first round,
/// for a cluster that has converged by then, and growing ones for one that takes its time.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// How long the host of a node whose join was dropped may take to be gone.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);

/// Rounds of final reads at most. A round is as short as a read, so that a single late update hardly
/// meets more than one.
const FINAL_ROUNDS_MAX: usize = 3;

impl Live {
    /// The rest of a run after its operations: heal, quiesce, final reads. One that ended at its first
    /// anomaly is healed alone.
    ///
    /// # Errors
    ///
    /// When somebody interrupts it.
    pub(crate) async fn settle(&self) -> Result<(), Error> {
        self.heal(None).await;
        if let Some(first) = self.first.get() {
            // Nothing of the end is asked for: what was found holds whatever follows.
            self.record_states().await;
            self.recorder.set_meta(ENDED_EARLY, first.reason());
            return Ok(());
        }
        let (healed, at) = (self.now(), self.pace.now());
        if let Some(read) = self.final_read()
            && self.quiesce(&read, healed, at).await?
        {
            self.final_reads(&read).await?;
        }
        // Checkers do not claim of such a run that it was too slow.
        if let Some(why) = self.pace.overloaded(at).or_else(|| self.pace.overloaded(self.up)) {
            self.recorder.set_meta(OVERLOADED, why);
        }
        self.record_states().await;
        self.recorder.set_meta(COMPLETED, true);
        Ok(())
    }

    /// The read that gives a node's state, where there is a client for it.
    fn final_read(&self) -> Option<Invocation> {
        let read = self.workload.final_read()?;
        let nodes = self.cluster.nodes();
        let first = nodes.first()?;
        self.client(first).is_ok().then(|| read.clone())
    }

    /// One successful read from every node, as far as they give one. Where they differ and an update of
    /// unknown outcome may have taken effect between them, every node is read again.
    async fn final_reads(&self, read: &Invocation) -> Result<(), Error> {
        self.enter(Phase::Final);
        for round in 0..FINAL_ROUNDS_MAX {
            let from = self.recorder.len();
            let silent = self.final_round(read).await?;
            if !silent.is_empty() && round == 0 {
                let silent = silent.iter().map(|node| self.cluster.node(*node).name().into());
                self.recorder.set_meta(SILENT, Value::list(silent.collect::<Vec<Value>>()));
            }
            if !silent.is_empty() {
                break;
            }
            let answers = self.answers(from);
            let answers: Vec<_> = answers.into_iter().map(|(_, answer)| answer).collect();
            if answers.windows(2).all(|two| two[0] == two[1]) || !self.is_any_outcome_unknown() {
                break;
            }
        }
        Ok(())
    }

    /// One successful read from every node; gives those that had none.
    async fn final_round(&self, read: &Invocation) -> Result<Vec<NodeId>, Error> {
        // A read that fails is tried again within the same bound.
        let (limit, begun) = (self.effective.op_limit * 3, self.pace.now());
        let mut silent: Vec<NodeId> = self.members();
        let from = self.recorder.len();
        while !silent.is_empty() && !self.pace.has_passed(limit, begun) {
            let mut reads = self.each_node(|node| match silent.contains(&node) {
                true => once(read.clone()).boxed(),
                false => nothing().boxed(),
            });
            let outcome = self.drive(Phase::Final, &mut reads, limit).await;
            if matches!(outcome.ended, Ended::Cancelled) {
                return Err(Error::cancelled());
            }
            // Also of those that joined meanwhile; not of those that left.
            let answers = self.answers(from).into_iter();
            silent = answers.filter(|(_, answer)| answer.is_none()).map(|(node, _)| node).collect();
            if !silent.is_empty() {
                self.clock.sleep(PAUSE_MAX).await;
            }
        }
        Ok(silent)
    }

    /// May an operation still take effect, since nobody knows how it ended?
    fn is_any_outcome_unknown(&self) -> bool {
        self.recorder.with(|history| {
            let unknown = |i| history.kind(i) == Kind::Info && history.process(i).is_client();
            (0..history.len()).any(unknown)
        })
    }

    /// One generator for each node, on the threads that speak to it.
    fn each_node(&self, make: impl FnMut(NodeId) -> Boxed) -> Any {
        each_node(self.members(), make)
    }

    /// The nodes that take part now.
    fn members(&self) -> Vec<NodeId> {
        self.cluster.nodes().iter().map(Node::id).collect()
    }

    /// Undoes every fault and proves that the network is whole and the processes go on.
    ///
    /// It may be called again, also where the caller was dropped on the way: what is under way goes on
    /// and is awaited, what is undone stays so. With a `limit`, what is not undone by then is recorded
    /// as not undone.
    pub(crate) async fn heal(&self, limit: Option<Duration>) {
        if self.faults.board().healed().is_none() {
            self.enter(Phase::Heal);
            self.faults.heal(limit).await;
        }
        // The hosts of nodes that did not come to join are gone, and the history says so.
        let _ = self.clock.timeout(SETTLE_LIMIT, self.cluster.settled()).await;
    }

    /// Reads in rounds until all nodes agree twice in a row on all that the history promises. False
    /// where the clients do not know how to read: then there is nothing to wait for.
    async fn quiesce(&self, read: &Invocation, healed: Time, at: Moment) -> Result<bool, Error> {
        self.enter(Phase::Quiesce);
        let longest = self.recorder.with(|h| h.longest_fault());
        let limit = self.effective.quiesce_limit.or(self.db.facts().quiesce_limit);
        let limit = limit.unwrap_or_else(|| self.effective.quiesce_limit(longest));
        let mut agreed: Option<Value> = None;
        let mut pause = Duration::ZERO;
        loop {
            let round = self.now();
            let from = self.recorder.len();
            let mut reads = self.each_node(|_| once(read.clone()).boxed());
            let outcome = self.drive(Phase::Quiesce, &mut reads, self.effective.op_limit * 2).await;
            if matches!(outcome.ended, Ended::Cancelled) {
                return Err(Error::cancelled());
            }
            if self.is_unsupported(from) {
                return Ok(false);
            }
            let now = self.common(&self.answers(from));
            if now.is_some() && now == agreed {
                self.recorder.set_meta("converged_ms", round.since(healed).as_millis() as i64);
                break;
            }
            if self.pace.has_passed(limit.saturating_sub(pause), at) {
                self.recorder.set_meta("converged_ms", Value::Nil);
                break;
            }
            // A second round that follows at once is as good as a later one: both are whole.
            if now.is_none() {
                pause = (pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
                self.clock.sleep(pause).await;
            }
            agreed = now;
        }
        self.recorder.set_meta("quiesce_ms", self.now().since(healed).as_millis() as i64);
        self.recorder.set_meta("quiesce_limit_ms", limit.as_millis() as i64);
        Ok(true)
    }

    /// Did the clients refuse everything since event `from`, since they do not know such a function?
    fn is_unsupported(&self, from: usize) -> bool {
        self.recorder.with(|history| {
            let mut ends = (from..history.len())
                .filter(|i| history.process(*i).is_client() && history.kind(*i) != Kind::Invoke)
                .peekable();
            let refused = |i| history.error(i).is_some_and(|e| &*e.kind == UNSUPPORTED);
            ends.peek().is_some() && ends.all(refused)
        })
    }

    /// What each node that takes part now answered since event `from`.
    fn answers(&self, from: usize) -> Vec<(NodeId, Option<Value>)> {
        let members = self.members().into_iter();
        let mut answers: Vec<_> = members.map(|node| (node, None)).collect();
        self.recorder.with(|history| {
            for i in from..history.len() {
                if (history.kind(i), history.process(i).is_client()) != (Kind::Ok, true) {
                    continue;
                }
                let of_node = |(node, _): &&mut (NodeId, _)| history.node(i) == Some(*node);
                if let Some((_, answer)) = answers.iter_mut().find(of_node) {
                    *answer = Some(history.value(i));
                }
            }
        });
        answers
    }

    /// The value that all nodes gave, where it holds everything that the history promises.
    fn common(&self, answers: &[(NodeId, Option<Value>)]) -> Option<Value> {
        let first = answers.first()?.1.as_ref()?;
        let equal = answers.iter().all(|(_, answer)| answer.as_ref() == Some(first));
        let complete = || self.recorder.with(|h| self.workload.is_complete(h, first));
        (equal && complete()).then(|| first.clone())
    }

    /// Records of every node whether its host and its processes are alive: a node that gives no
    /// final read is judged by that.
    pub(super) async fn record_states(&self) {
        for node in self.cluster.nodes() {
            let host = self.cluster.env().processes(node.host()).await.is_ok();
            let value = Value::map([("host", host.into()), ("process", node.is_running().into())]);
            self.record_runtime(&node, "status", value);
        }
    }

    /// Records something that the runtime says of a node.
    pub(super) fn record_runtime(&self, node: &Node, f: &str, value: Value) {
        let event = Event {
            time: self.clock.now(),
            process: Process::RUNTIME,
            node: Some(node.id()),
            kind: Kind::Info,
            f: f.into(),
            value,
            error: None,
            phase: self.phase(),
        };
        // Events of the runtime have no partner, so that none can be malformed.
        let _ = self.recorder.record(event);
    }
}
