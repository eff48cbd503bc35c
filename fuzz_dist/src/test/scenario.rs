//! Scenarios written by hand: operations and faults in ordinary async code, recorded and judged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;

use super::live::Live;
use crate::client::DynClient;
use crate::error::Error;
use crate::history::{FaultStatus, Samples};
use crate::nemesis::Nemesis;
use crate::node::{Cluster, Node};
use crate::op::{Completion, Event, Invocation, Kind, OpError, Phase, Process, Value};
use crate::time::Time;

/// Scenario clients count their processes from here, far above those of the interpreter.
const FIRST_PROCESS: u32 = 1 << 30;
static NEXT_PROCESS: AtomicU32 = AtomicU32::new(FIRST_PROCESS);

/// The cluster of a running test, for scenarios.
#[derive(Clone)]
pub struct LiveCluster {
    live: Arc<Live>,
}

impl std::ops::Deref for LiveCluster {
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

    /// A client of the node of this name; its operations are recorded.
    ///
    /// # Panics
    ///
    /// When there is no such node: that is a slip in the scenario.
    pub fn client(&self, node: &str) -> ScenarioClient {
        let found = self.live.cluster.find(node).unwrap_or_else(|| {
            let names: Vec<&str> = self.live.cluster.nodes().iter().map(Node::name).collect();
            panic!("there is no node `{node}`; there are {}", names.join(", "))
        });
        ScenarioClient {
            live: self.live.clone(),
            node: found.clone(),
            process: Process(NEXT_PROCESS.fetch_add(1, Ordering::Relaxed)),
            client: None,
        }
    }

    /// Arms a fault that waits for something on the wire (see [`at`](crate::nemesis::at)), and
    /// returns without waiting for it: what the scenario does next is what fires it.
    ///
    /// ```no_run
    /// # async fn example(cluster: fuzz_dist::test::LiveCluster) -> Result<(), fuzz_dist::Error> {
    /// use fuzz_dist::env::wire::{hold, message_to};
    /// use fuzz_dist::nemesis::at;
    /// use fuzz_dist::test::Add;
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
        let nemesis = nemesis.into();
        let [lane] = nemesis.lanes() else {
            return Err(Error::usage(format!(
                "`{}` is not one fault; arm one at a time",
                nemesis.name()
            )));
        };
        let (live, fault) = (self.live.clone(), lane.fault.clone());
        let mut random = live.seed.stream(&format!("scenario/{}/0", live.recorder.len()));
        let begin = async move { live.begin(fault, &mut random, None).await };
        let mut begin = Box::pin(begin);
        // Its first step arms the trigger; only then may the scenario go on.
        let first = std::future::poll_fn(|context| Poll::Ready(begin.as_mut().poll(context))).await;
        let begun = match first {
            Poll::Ready(begun) => tokio::spawn(std::future::ready(begun)),
            Poll::Pending => tokio::spawn(begin),
        };
        Ok(ArmedFault { live: self.live.clone(), begun })
    }

    /// How the nodes have been doing so far; see the key `samples`.
    pub fn samples(&self) -> Samples {
        self.live.samples.clone()
    }

    /// Begins the faults of a nemesis now; their timing is up to the scenario.
    ///
    /// # Errors
    ///
    /// Where there is nothing that they could hit.
    pub async fn inject(&self, nemesis: impl Into<Nemesis>) -> Result<RunningFault, Error> {
        let nemesis = nemesis.into();
        let mut fault = RunningFault { live: self.live.clone(), ids: Vec::new() };
        for (i, lane) in nemesis.lanes().iter().enumerate() {
            let count = self.live.recorder.len();
            let mut random = self.live.seed.stream(&format!("scenario/{count}/{i}"));
            let (id, status) = self.live.begin(lane.fault.clone(), &mut random, None).await?;
            fault.ids.push(id);
            if status == FaultStatus::Ineffective {
                return Err(self.live.never_acted(id));
            }
        }
        Ok(fault)
    }
}

/// A fault that waits for its moment, or acts already; see [`LiveCluster::arm`].
#[must_use = "a fault acts until `heal` is called"]
pub struct ArmedFault {
    live: Arc<Live>,
    begun: tokio::task::JoinHandle<Result<(i64, FaultStatus), Error>>,
}

impl ArmedFault {
    /// Waits until it acts, and was seen to.
    ///
    /// # Errors
    ///
    /// When its moment did not come; the text says what was seen instead, and so does the history.
    pub async fn acts(self) -> Result<RunningFault, Error> {
        let (id, status) = self.begun.await??;
        match status {
            FaultStatus::Installed => Ok(RunningFault { live: self.live, ids: vec![id] }),
            _ => Err(self.live.never_acted(id)),
        }
    }
}

/// Faults that act until they are healed; the test's own heal ends them at the latest.
#[must_use = "a fault acts until `heal` is called"]
pub struct RunningFault {
    live: Arc<Live>,
    ids: Vec<i64>,
}

impl RunningFault {
    /// Undoes the faults and looks whether they are gone.
    ///
    /// # Errors
    ///
    /// When they are not.
    pub async fn heal(self) -> Result<(), Error> {
        for id in self.ids {
            let status = self.live.end(id).await;
            if !matches!(status, None | Some(FaultStatus::Installed)) {
                return Err(Error::environment("a fault was undone but is still seen to act"));
            }
        }
        Ok(())
    }
}

/// An operation of a scenario: [`Add`], [`Read`], or any [`Invocation`].
pub trait Operation {
    /// What it gives where it succeeds.
    type Value;
    /// As it is recorded and sent.
    fn invocation(&self) -> Invocation;
    /// The value out of what the client gave.
    fn value(&self, value: Value) -> Self::Value;
}

/// Adds an element to a set.
#[derive(Clone, Copy, Debug)]
pub struct Add(pub i64);

/// Reads a whole set.
#[derive(Clone, Copy, Debug)]
pub struct Read;

impl Operation for Add {
    type Value = ();
    fn invocation(&self) -> Invocation {
        Invocation::new("add", self.0)
    }
    fn value(&self, _: Value) {}
}

impl Operation for Read {
    type Value = Vec<i64>;
    fn invocation(&self) -> Invocation {
        Invocation::new("read", ())
    }
    fn value(&self, value: Value) -> Vec<i64> {
        if let Value::Set(set) = value { set.as_slice().to_vec() } else { Vec::new() }
    }
}

impl Operation for Invocation {
    type Value = Value;
    fn invocation(&self) -> Invocation {
        self.clone()
    }
    fn value(&self, value: Value) -> Value {
        value
    }
}

/// A client of one node whose operations are recorded.
pub struct ScenarioClient {
    live: Arc<Live>,
    node: Node,
    process: Process,
    client: Option<Box<dyn DynClient>>,
}

impl ScenarioClient {
    /// Executes an operation within the test's operation limit.
    ///
    /// # Errors
    ///
    /// Where it failed, or nobody knows; the text says which. Both are recorded.
    pub async fn invoke<O: Operation>(&mut self, operation: O) -> Result<O::Value, Error> {
        let op = operation.invocation();
        let mut client = match self.client.take() {
            Some(client) => client,
            None => self.live.announced(self.live.client(&self.node)?, self.node.id()),
        };
        let (index, time) = self.record(&op, Kind::Invoke, op.value.clone(), None);
        let who = (self.node.id(), self.process);
        let announcements = self.live.announcements.clone();
        announcements.operation_starts(who, (index, time), &op.f, &op.value);
        let limit = self.live.effective.op_limit;
        let completion = match tokio::time::timeout(limit, client.invoke(&op)).await {
            Ok(completion) => {
                self.client = Some(client);
                completion
            }
            Err(_) => {
                Completion::Info(OpError::new("timeout", format!("no answer within {limit:?}")))
            }
        };
        let pure = self.live.workload.pure_functions().contains(&op.f);
        let completion = match completion {
            Completion::Info(error) if pure => Completion::Fail(error),
            other => other,
        };
        let kind = completion.kind();
        announcements.operation_stops(who, self.live.now(), &op.f, kind);
        match completion {
            Completion::Ok(value) => {
                self.record(&op, kind, value.clone(), None);
                Ok(operation.value(value))
            }
            Completion::Fail(error) | Completion::Info(error) => {
                self.record(&op, kind, op.value.clone(), Some(error.clone()));
                if kind == Kind::Info {
                    self.client = None;
                    self.process = Process(NEXT_PROCESS.fetch_add(1, Ordering::Relaxed));
                }
                let what = if kind == Kind::Info { "is of unknown outcome" } else { "failed" };
                Err(Error::from(ScenarioFailure(format!(
                    "{} {} on {} {what}: {error}",
                    op.f,
                    op.value,
                    self.node.name()
                ))))
            }
        }
    }

    fn record(
        &self,
        op: &Invocation,
        kind: Kind,
        value: Value,
        error: Option<OpError>,
    ) -> (usize, Time) {
        let time = self.live.now();
        let event = Event {
            time,
            process: self.process,
            node: Some(self.node.id()),
            kind,
            f: op.f.clone(),
            value,
            error,
            phase: self.live.phase(),
        };
        let index = self.live.recorder.record(event);
        (index.expect("a scenario client does one thing at a time"), time)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct ScenarioFailure(String);
