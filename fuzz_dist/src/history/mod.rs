//! What happened: compact columns in memory, JSON lines on disk.
//!
//! A [`History`] is a table of events in the order in which they were recorded. Reads of sets
//! are stored as differences to the former read on the same node, since that is what makes
//! long histories of large sets small, and checkers fast: see [`History::set_read`].

use std::collections::{BTreeMap, HashMap};

use crate::op::{Event, IntSet, Kind, Name, NodeId, OpError, Phase, Process, Value};
use crate::time::Time;

mod disk;
mod edn;
mod faults;
mod import;
mod json;
mod line;
mod load;
mod recorder;
mod runtime;
mod sets;

pub use faults::{Edge, FaultSpan, FaultStatus};
pub use import::Format;
pub use load::{LoadError, Loaded, Torn};
pub use recorder::{Recorder, WriteError};
pub use runtime::{MnesiaSplit, NodeDown};
use sets::SetColumn;
pub use sets::SetRead;

/// "No event", "no node" in the columns.
const NONE: u32 = u32::MAX;
const NO_NODE: u16 = u16::MAX;

/// The recorded events of a run.
///
/// ```
/// # use fuzz_dist::history::History;
/// # use fuzz_dist::op::*;
/// # use fuzz_dist::time::Time;
/// let mut history = History::new(["n1"]);
/// let mut event = Event {
///     time: Time(1), process: Process(0), node: Some(NodeId(0)), kind: Kind::Invoke,
///     f: "read".into(), value: Value::Nil, error: None, phase: Phase::Main,
/// };
/// history.push(event.clone()).unwrap();
/// (event.kind, event.value) = (Kind::Ok, Value::set([1, 2]));
/// history.push(event).unwrap();
/// assert_eq!(history.completion(0), Some(1));
/// assert_eq!(history.value(1), Value::set([1, 2]));
/// ```
#[derive(Clone, Debug, Default)]
pub struct History {
    nodes: Vec<Name>,
    meta: BTreeMap<Name, Value>,
    functions: Vec<Name>,
    function_ids: HashMap<Name, u16>,
    time: Vec<u64>,
    process: Vec<u32>,
    node: Vec<u16>,
    tag: Vec<Tag>,
    function: Vec<u16>,
    partner: Vec<u32>,
    value: Vec<Slot>,
    sets: SetColumn,
    others: Vec<Value>,
    errors: HashMap<u32, OpError>,
    open: HashMap<u32, u32>,
}

/// Where the value of an event stands.
#[derive(Clone, Copy, Debug)]
enum Slot {
    Nil,
    Bool(bool),
    Int(i64),
    Set(u32),
    Other(u32),
}

#[derive(Clone, Copy, Debug)]
struct Tag {
    kind: Kind,
    phase: Phase,
}

/// An event that no run can have: what was wrong with it, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A process invoked an operation before its last one completed.
    #[error(
        "process {process} invokes an operation at event {index}, but the one that it invoked at event {open} has not completed"
    )]
    TwoInvocations {
        /// Whose.
        process: Process,
        /// The first invocation.
        open: usize,
        /// The second one.
        index: usize,
    },
    /// A completion that completes nothing.
    #[error("process {process} completes an operation at event {index}, but has invoked none")]
    NoInvocation {
        /// Whose.
        process: Process,
        /// The completion.
        index: usize,
    },
    /// A function that is one too many.
    #[error("event {index} has the function `{f}`, but there are 65535 others already")]
    TooManyFunctions {
        /// The event.
        index: usize,
        /// Its function.
        f: Name,
    },
    /// The completion speaks of another function than the invocation.
    #[error(
        "process {process} completes `{completed}` at event {index}, but invoked `{invoked}` at event {open}"
    )]
    OtherFunction {
        /// Whose.
        process: Process,
        /// The invocation.
        open: usize,
        /// Its function.
        invoked: Name,
        /// The completion.
        index: usize,
        /// Its function.
        completed: Name,
    },
}

impl History {
    /// An empty history of a test with these nodes.
    pub fn new<N: Into<Name>>(nodes: impl IntoIterator<Item = N>) -> History {
        History { nodes: nodes.into_iter().map(Into::into).collect(), ..History::default() }
    }

    /// Records an event and gives its index.
    ///
    /// # Errors
    ///
    /// [`Malformed`] where a client's event does not fit to what it did before; the history is
    /// unchanged then.
    pub fn push(&mut self, event: Event) -> Result<usize, Malformed> {
        let index = self.len() as u32;
        let full = self.functions.len() >= usize::from(u16::MAX);
        if full && !self.function_ids.contains_key(&event.f) {
            return Err(Malformed::TooManyFunctions { index: index as usize, f: event.f });
        }
        let partner = self.pair(&event, index)?;
        let function = self.function_id(&event.f);
        let slot = match event.value {
            Value::Nil => Slot::Nil,
            Value::Bool(b) => Slot::Bool(b),
            Value::Int(n) => Slot::Int(n),
            Value::Set(set) => Slot::Set(self.sets.push(index, event.node, function, set)),
            other => {
                self.others.push(other);
                Slot::Other(self.others.len() as u32 - 1)
            }
        };
        if let Some(error) = event.error {
            self.errors.insert(index, error);
        }
        self.time.push(event.time.0);
        self.process.push(event.process.0);
        self.node.push(event.node.map_or(NO_NODE, |n| n.0));
        self.tag.push(Tag { kind: event.kind, phase: event.phase });
        self.function.push(function);
        self.partner.push(partner);
        self.value.push(slot);
        Ok(index as usize)
    }

    /// Finds the other half of a client's event and links both.
    fn pair(&mut self, event: &Event, index: u32) -> Result<u32, Malformed> {
        let process = event.process;
        if !process.is_client() {
            return Ok(NONE);
        }
        let open = self.open.get(&process.0).copied();
        match (event.kind, open) {
            (Kind::Invoke, Some(open)) => Err(Malformed::TwoInvocations {
                process,
                open: open as usize,
                index: index as usize,
            }),
            (Kind::Invoke, None) => {
                self.open.insert(process.0, index);
                Ok(NONE)
            }
            (_, None) => Err(Malformed::NoInvocation { process, index: index as usize }),
            (_, Some(open)) => {
                let invoked = &self.functions[self.function[open as usize] as usize];
                if *invoked != event.f {
                    return Err(Malformed::OtherFunction {
                        process,
                        open: open as usize,
                        invoked: invoked.clone(),
                        index: index as usize,
                        completed: event.f.clone(),
                    });
                }
                self.open.remove(&process.0);
                self.partner[open as usize] = index;
                Ok(open)
            }
        }
    }

    fn function_id(&mut self, f: &Name) -> u16 {
        if let Some(id) = self.function_ids.get(f) {
            return *id;
        }
        let id = u16::try_from(self.functions.len()).expect("fewer than 65536 functions");
        self.functions.push(f.clone());
        self.function_ids.insert(f.clone(), id);
        id
    }

    /// The number of events.
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// Are there no events?
    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// The names of the nodes, in the test's order.
    pub fn nodes(&self) -> &[Name] {
        &self.nodes
    }

    /// The name of a node.
    pub fn node_name(&self, node: NodeId) -> &str {
        self.nodes.get(node.index()).map_or("?", |n| n)
    }

    /// Facts about the run that checkers and reports state, such as `net_ticktime_ms`.
    pub fn meta(&self, key: &str) -> Option<&Value> {
        self.meta.get(key)
    }

    /// All facts about the run, by name.
    pub fn all_meta(&self) -> &BTreeMap<Name, Value> {
        &self.meta
    }

    /// Sets a fact about the run.
    pub fn set_meta(&mut self, key: impl Into<Name>, value: impl Into<Value>) {
        self.meta.insert(key.into(), value.into());
    }

    /// When event `i` happened.
    pub fn time(&self, i: usize) -> Time {
        Time(self.time[i])
    }

    /// Whose event `i` is.
    pub fn process(&self, i: usize) -> Process {
        Process(self.process[i])
    }

    /// The node of event `i`.
    pub fn node(&self, i: usize) -> Option<NodeId> {
        (self.node[i] != NO_NODE).then_some(NodeId(self.node[i]))
    }

    /// The kind of event `i`.
    pub fn kind(&self, i: usize) -> Kind {
        self.tag[i].kind
    }

    /// The phase of event `i`.
    pub fn phase(&self, i: usize) -> Phase {
        self.tag[i].phase
    }

    /// The function of event `i`.
    pub fn function(&self, i: usize) -> &Name {
        &self.functions[self.function[i] as usize]
    }

    /// All functions that occur, each at the place that [`History::function_index`] gives.
    pub fn functions(&self) -> &[Name] {
        &self.functions
    }

    /// The function of event `i` as a place in [`History::functions`]: for tight loops.
    pub fn function_index(&self, i: usize) -> usize {
        self.function[i] as usize
    }

    /// The place of a function in [`History::functions`], where it occurs.
    pub fn find_function(&self, f: &str) -> Option<usize> {
        self.function_ids.get(f).map(|id| *id as usize)
    }

    /// The completion of the invocation at `i`, where there is one.
    pub fn completion(&self, i: usize) -> Option<usize> {
        (self.kind(i) == Kind::Invoke).then(|| self.partner(i)).flatten()
    }

    /// The invocation of the completion at `i`.
    pub fn invocation(&self, i: usize) -> Option<usize> {
        (self.kind(i) != Kind::Invoke).then(|| self.partner(i)).flatten()
    }

    fn partner(&self, i: usize) -> Option<usize> {
        (self.partner[i] != NONE).then_some(self.partner[i] as usize)
    }

    /// The value of event `i`; a set that is stored as a difference is put together.
    pub fn value(&self, i: usize) -> Value {
        match self.value[i] {
            Slot::Nil => Value::Nil,
            Slot::Bool(b) => Value::Bool(b),
            Slot::Int(n) => Value::Int(n),
            Slot::Set(id) => Value::Set(IntSet::from_sorted(self.sets.materialize(id))),
            Slot::Other(id) => self.others[id as usize].clone(),
        }
    }

    /// The value of event `i` where it is a whole number, without a copy of anything.
    pub fn int(&self, i: usize) -> Option<i64> {
        if let Slot::Int(n) = self.value[i] { Some(n) } else { None }
    }

    /// The value of event `i` where it is neither a number, a truth value, nothing nor a set.
    pub fn other(&self, i: usize) -> Option<&Value> {
        if let Slot::Other(id) = self.value[i] { Some(&self.others[id as usize]) } else { None }
    }

    /// The set of event `i`, as it is stored: whole, or as a difference to an earlier read.
    pub fn set_read(&self, i: usize) -> Option<SetRead<'_>> {
        if let Slot::Set(id) = self.value[i] { Some(self.sets.get(id)) } else { None }
    }

    /// The error of event `i`.
    pub fn error(&self, i: usize) -> Option<&OpError> {
        self.errors.get(&(i as u32))
    }

    /// Event `i`, put together from its columns.
    pub fn event(&self, i: usize) -> Event {
        Event {
            time: self.time(i),
            process: self.process(i),
            node: self.node(i),
            kind: self.kind(i),
            f: self.function(i).clone(),
            value: self.value(i),
            error: self.error(i).cloned(),
            phase: self.phase(i),
        }
    }

    /// All events in order. For long histories with large sets, walk the columns instead.
    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        (0..self.len()).map(|i| self.event(i))
    }
}

#[cfg(test)]
mod tests;
