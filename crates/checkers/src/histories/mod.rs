//! Histories made by hand and at random: for testing checkers, those of users too.
//!
//! A [`Script`] writes a small history in a line of text. A [`Run`] simulates clients of an object
//! of any kind, without a cluster, and plants a chosen anomaly, so that a checker can be seen to
//! find it. Histories of transactions are made by
//! [`txn::generate`](crate::txn::generate).

mod run;
mod script;

pub use run::{Object, Run};
pub use script::Script;

use fuzz_dist_history::History;
use fuzz_dist_history::op::{Event, Kind, Name, NodeId, Phase, Process, Value};
use fuzz_dist_history::time::Time;

/// Writes histories event by event.
///
/// ```
/// # use fuzz_dist_checkers::histories::Recorder;
/// # use fuzz_dist_history::op::Value;
/// let mut r = Recorder::new(["n1", "n2"]);
/// r.invoke(0, "write", 5);
/// r.ok(0, 5);
/// r.invoke(1, "read", Value::Nil);
/// r.ok(1, 5);
/// assert_eq!(r.history().len(), 4);
/// ```
#[derive(Clone, Debug)]
pub struct Recorder {
    history: History,
    open: std::collections::HashMap<u32, (Name, Value)>,
    nodes: std::collections::HashMap<u32, u16>,
    /// The time of the next event.
    pub time: Time,
    /// How much time passes from event to event, in ns.
    pub step_ns: u64,
    /// The phase of the next events.
    pub phase: Phase,
}

impl Recorder {
    /// An empty history of a test with these nodes; the first event is at 0, each next one a
    /// millisecond later.
    pub fn new<N: Into<Name>>(nodes: impl IntoIterator<Item = N>) -> Recorder {
        Recorder {
            history: History::new(nodes),
            open: std::collections::HashMap::new(),
            nodes: std::collections::HashMap::new(),
            time: Time::ZERO,
            step_ns: 1_000_000,
            phase: Phase::Main,
        }
    }

    /// Binds a process to a node; unbound ones speak to node `process mod n`.
    pub fn bind(&mut self, process: u32, node: u16) {
        self.nodes.insert(process, node);
    }

    /// Records the invocation of `f` by a process; gives the event's index.
    ///
    /// # Panics
    ///
    /// Where the process has an operation under way.
    pub fn invoke(&mut self, process: u32, f: &str, value: impl Into<Value>) -> usize {
        let value = value.into();
        let f = self
            .history
            .find_function(f)
            .map_or_else(|| Name::from(f), |i| self.history.functions()[i].clone());
        self.open.insert(process, (f.clone(), value.clone()));
        self.push(process, Kind::Invoke, f, value)
    }

    /// Records that the process's operation happened, with the value that the history keeps.
    ///
    /// # Panics
    ///
    /// Where the process has no operation under way; so do [`Recorder::fail`] and
    /// [`Recorder::info`].
    pub fn ok(&mut self, process: u32, value: impl Into<Value>) -> usize {
        let (f, _) = self.take(process);
        self.push(process, Kind::Ok, f, value.into())
    }

    /// Records that the process's operation happened; the value is that of its invocation.
    pub fn done(&mut self, process: u32) -> usize {
        let (f, value) = self.take(process);
        self.push(process, Kind::Ok, f, value)
    }

    /// Records that the process's operation certainly did not happen.
    pub fn fail(&mut self, process: u32) -> usize {
        let (f, value) = self.take(process);
        self.push(process, Kind::Fail, f, value)
    }

    /// Records that nobody knows what became of the process's operation.
    pub fn info(&mut self, process: u32) -> usize {
        let (f, value) = self.take(process);
        self.push(process, Kind::Info, f, value)
    }

    /// Records a heal, proved or not.
    pub fn heal(&mut self, proved: bool) -> usize {
        let value = Value::map([("proved", proved.into())]);
        self.event(Process::NEMESIS, None, Kind::Info, "heal".into(), value)
    }

    /// Records what a node's host and process were after the final reads.
    pub fn status(&mut self, node: u16, host: bool, process: bool) -> usize {
        let value = Value::map([("host", host.into()), ("process", process.into())]);
        let node = Some(NodeId(node));
        self.event(Process::RUNTIME, node, Kind::Info, "status".into(), value)
    }

    /// Records any event of the nemesis or the runtime.
    pub fn event(
        &mut self,
        process: Process,
        node: Option<NodeId>,
        kind: Kind,
        f: Name,
        value: Value,
    ) -> usize {
        let (time, phase) = (self.time, self.phase);
        self.time = Time(time.0 + self.step_ns);
        let event = Event { time, process, node, kind, f, value, error: None, phase };
        self.history.push(event).expect("the nemesis and the runtime may say anything")
    }

    /// The history so far.
    pub fn history(self) -> History {
        self.history
    }

    /// The history so far, to set facts about the run.
    pub fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }

    fn take(&mut self, process: u32) -> (Name, Value) {
        let open = self.open.remove(&process);
        open.unwrap_or_else(|| panic!("client {process} has no operation under way"))
    }

    fn push(&mut self, process: u32, kind: Kind, f: Name, value: Value) -> usize {
        let bound = self.nodes.get(&process).copied();
        let n = self.history.nodes().len().max(1) as u32;
        let node = NodeId(bound.unwrap_or((process % n) as u16));
        let (time, phase) = (self.time, self.phase);
        self.time = Time(time.0 + self.step_ns);
        let event = Event {
            time,
            process: Process(process),
            node: Some(node),
            kind,
            f,
            value,
            error: None,
            phase,
        };
        self.history.push(event).unwrap_or_else(|e| panic!("a history that cannot be: {e}"))
    }
}
