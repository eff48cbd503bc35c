//! The runtime system of the nodes under test, as far as a run uses it: the one extension through which
//! a system such as the BEAM attaches. A run without one does everything else.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::env::wire::Protocol;
use crate::error::Error;
use crate::node::{BoxFuture, Node};
use crate::op::{Name, Value};

/// Any runtime system: what runs hold.
pub type AnyRuntime = Arc<dyn Runtime>;

/// A runtime system whose nodes can be observed from inside, and to which it can announce.
///
/// Nothing that goes wrong here changes a verdict: it becomes a note.
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// Its name, as in the states that a store keeps.
    fn name(&self) -> &'static str;

    /// The protocol between its nodes, where connections can be followed.
    fn protocol(&self) -> Option<Arc<dyn Protocol>> {
        None
    }

    /// Prepares what [`observe`](Runtime::observe) and its neighbours need inside of nodes. It is called
    /// before the hosts are there, and again by whoever needs it; the work is done once.
    fn prepare(&self) -> BoxFuture<'static, Result<(), Error>>;

    /// Waits until what [`prepare`](Runtime::prepare) has to fetch is there, or cannot be had.
    fn fetch(&self) -> BoxFuture<'static, ()>;

    /// Whether the database runs a node of it on this host.
    fn runs_on(&self, node: &Node) -> bool;

    /// The name by which its nodes know this one.
    fn peer_name(&self, node: &Node) -> Option<String>;

    /// Has its node on this host start with this setting, whoever starts it.
    fn set(&self, node: &Node, setting: &str, value: &str);

    /// Has its node on this host do one thing after the other, whoever starts it: what happens at different instants
    /// then happens in one order.
    fn one_at_a_time(&self, node: &Node);

    /// Observes a node from inside. Once this returns, nothing that happens goes unseen.
    fn observe<'a>(&'a self, node: &'a Node)
    -> BoxFuture<'a, Result<Box<dyn NodeObserver>, Error>>;

    /// Takes a sample of a node's metrics every so often.
    fn sample<'a>(
        &'a self,
        node: &'a Node,
        every: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn NodeSampler>, Error>>;

    /// Announces to a node's application; `trace` is the id of the run's trace.
    fn announce<'a>(
        &'a self,
        node: &'a Node,
        trace: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn NodeAnnouncer>, Error>>;

    /// The state of a node, as it says itself within the limit.
    fn state<'a>(&'a self, node: &'a Node, limit: Duration) -> BoxFuture<'a, Result<Value, Error>>;
}

/// What observes a node; it leaves the node when this is dropped.
pub trait NodeObserver: Send {
    /// What it said of its node when it began.
    fn facts(&self) -> &BTreeMap<String, String>;

    /// What people should know of this node's observation.
    fn remarks(&self) -> Vec<String>;

    /// What it reports next; `None` once the connection to the node has ended. Can be cancelled without
    /// loss.
    fn next(&mut self) -> BoxFuture<'_, Option<Report>>;
}

/// What samples a node; it leaves the node when this is dropped.
pub trait NodeSampler: Send {
    /// The next sample; `None` once the sampler or the connection to the node has ended. Can be
    /// cancelled without loss.
    fn next(&mut self) -> BoxFuture<'_, Option<Sample>>;
}

/// What announces to a node's application; it leaves the node when this is dropped.
pub trait NodeAnnouncer: Send {
    /// Announces all of these, and returns when it has. A node that stands still is waited for.
    fn announce<'a>(&'a mut self, batch: &'a [Announcement]) -> BoxFuture<'a, Result<(), Error>>;
}

/// What an observer of a node reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Something happened.
    Event {
        /// When: the host's CLOCK_MONOTONIC in nanoseconds.
        monotonic_ns: u64,
        /// What: `nodedown`, `nodeup`, `log`, `mnesia`, `busy_dist_port`, ….
        kind: &'static str,
        /// A line of text for `log`, otherwise a map of details.
        data: Value,
    },
    /// So many events were dropped, in the node or here, since more came than could be sent.
    Dropped(u64),
    /// The agent itself ended, for this reason.
    Ended(String),
}

/// How a node was doing at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When: the host's CLOCK_MONOTONIC in nanoseconds.
    pub monotonic_ns: u64,
    /// Numbers, such as `run_queue` or `memory_total` in bytes, and words, such as
    /// `longest_mailbox_of`. `reductions`, `collections`, `input_bytes` and `output_bytes` count
    /// from the node's start, `missed` the samples before this one that could not be sent.
    pub values: Vec<(Name, Value)>,
}

/// Something that begins or ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The number of an operation (the event of its invocation in the history) or of a fault.
    pub id: i64,
    /// The number of its span in the run's trace.
    pub span: u64,
    /// When: the host's CLOCK_MONOTONIC in nanoseconds.
    pub monotonic_ns: u64,
    /// What.
    pub what: Announced,
}

/// What is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Announced {
    /// An operation was sent.
    OperationStart {
        /// What it does, as `add`.
        function: Name,
        /// The number of the client's process.
        client: u32,
        /// Its argument, where that is a number.
        value: Option<i64>,
    },
    /// It has completed.
    OperationStop {
        /// What it did.
        function: Name,
        /// The number of the client's process.
        client: u32,
        /// `ok`, `fail` or `info`.
        outcome: &'static str,
        /// How long it took.
        duration_ns: u64,
    },
    /// A fault begins.
    FaultStart(
        /// Which, for people.
        String,
    ),
    /// It has ended.
    FaultStop(
        /// Which, for people.
        String,
    ),
}
