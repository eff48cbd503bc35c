//! Operations, what they carry, and what becomes of them.

use std::fmt;
use std::sync::Arc;

use crate::time::Time;

mod value;
pub use value::{IntSet, Value};

/// A short name that is shared rather than copied: a function of an operation, a node, a fault.
pub type Name = Arc<str>;

/// Whose event it is: a logical process of the workload, the nemesis, or a node's runtime.
///
/// A thread's first process has the thread's number; after an operation of unknown outcome the
/// next one is `process + concurrency`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process(pub u32);

impl Process {
    /// The source of faults.
    pub const NEMESIS: Process = Process(u32::MAX);
    /// What nodes say about themselves.
    pub const RUNTIME: Process = Process(u32::MAX - 1);

    /// Is this a process of the workload?
    pub const fn is_client(self) -> bool {
        self.0 < Process::RUNTIME.0
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Process::NEMESIS => f.write_str("nemesis"),
            Process::RUNTIME => f.write_str("runtime"),
            Process(n) => write!(f, "{n}"),
        }
    }
}

/// A node of the test, by its place in the order in which the test names them (`n1` is 0).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct NodeId(pub u16);

impl NodeId {
    /// The place as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What an event says about its operation (Jepsen's `:type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The operation is about to be sent.
    Invoke,
    /// It happened.
    Ok,
    /// It certainly did not happen.
    Fail,
    /// Indeterminate: it may have happened, may happen later, or never.
    Info,
}

impl Kind {
    /// As it is written in histories.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Invoke => "invoke",
            Kind::Ok => "ok",
            Kind::Fail => "fail",
            Kind::Info => "info",
        }
    }
}

/// The part of a run that an event belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Provisioning, start, readiness, formation.
    Setup,
    /// Operations and faults.
    #[default]
    Main,
    /// Every fault undone, and the healing proved.
    Heal,
    /// Reads only, until convergence or the limit.
    Quiesce,
    /// The last read on every node.
    Final,
}

impl Phase {
    /// All phases in their order.
    pub const ALL: [Phase; 5] =
        [Phase::Setup, Phase::Main, Phase::Heal, Phase::Quiesce, Phase::Final];

    /// As it is written in histories.
    pub const fn as_str(self) -> &'static str {
        match self {
            Phase::Setup => "setup",
            Phase::Main => "main",
            Phase::Heal => "heal",
            Phase::Quiesce => "quiesce",
            Phase::Final => "final",
        }
    }
}

/// Why an operation failed or is indeterminate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OpError {
    /// A short stable word for grouping: `timeout`, `aborted`, `disconnected`.
    pub kind: Name,
    /// What was said, for people.
    pub text: Name,
}

impl OpError {
    /// An error of a kind, with what was said.
    pub fn new(kind: impl Into<Name>, text: impl Into<Name>) -> OpError {
        OpError { kind: kind.into(), text: text.into() }
    }
}

impl fmt::Display for OpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() || self.text == self.kind {
            f.write_str(&self.kind)
        } else {
            write!(f, "{}: {}", self.kind, self.text)
        }
    }
}

/// What a generator asks for and a client executes: a function and its argument.
///
/// ```
/// # use fuzz_dist_history::op::{Invocation, Value};
/// let add = Invocation::new("add", 5);
/// assert_eq!((&*add.f, &add.value), ("add", &Value::Int(5)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Invocation {
    /// The function: `add`, `read`, `transfer`.
    pub f: Name,
    /// Its argument.
    pub value: Value,
}

impl Invocation {
    /// The function `f` of `value`.
    pub fn new(f: impl Into<Name>, value: impl Into<Value>) -> Invocation {
        Invocation { f: f.into(), value: value.into() }
    }
}

/// What became of an invocation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Completion {
    /// It happened; the value that the history keeps (a read's result, an add's element).
    Ok(Value),
    /// It certainly did not happen.
    Fail(OpError),
    /// Nobody knows.
    Info(OpError),
}

impl Completion {
    /// The kind of event that records this completion.
    pub const fn kind(&self) -> Kind {
        match self {
            Completion::Ok(_) => Kind::Ok,
            Completion::Fail(_) => Kind::Fail,
            Completion::Info(_) => Kind::Info,
        }
    }
}

/// One event of a history: an invocation, a completion, a step of the nemesis, or something
/// that a node said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When; for invocations never later than the request left, for completions never earlier
    /// than the answer arrived.
    pub time: Time,
    /// Whose.
    pub process: Process,
    /// The node that served it or that it speaks of.
    pub node: Option<NodeId>,
    /// Invocation or completion.
    pub kind: Kind,
    /// The function.
    pub f: Name,
    /// Argument or result.
    pub value: Value,
    /// Why it failed or is unknown.
    pub error: Option<OpError>,
    /// The part of the run.
    pub phase: Phase,
}
