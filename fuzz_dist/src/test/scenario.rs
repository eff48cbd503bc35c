//! Scenarios written by hand: operations and faults in ordinary async code, recorded and judged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::live::Live;
use crate::client::DynClient;
use crate::error::Error;
use crate::history::Samples;
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

    /// How the nodes have been doing so far; see the key `samples`.
    pub fn samples(&self) -> Samples {
        self.live.samples.clone()
    }

    pub(super) fn live(&self) -> &Arc<Live> {
        &self.live
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
