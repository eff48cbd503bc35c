//! What happened: compact columns in memory, JSON lines on disk.
//!
//! A [`History`] is a table of events in the order in which they were recorded. Reads of sets
//! are stored as differences to the former read on the same node, since that is what makes
//! long histories of large sets small, and checkers fast: see [`History::set_read`].

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::op::{Event, IntSet, Kind, Name, NodeId, OpError, Phase, Process, Value};
use crate::time::Time;

mod cells;
mod columns;
mod cursor;
mod digits;
mod disk;
mod edn;
mod facts;
mod faults;
mod grown;
#[doc(hidden)]
pub mod hash;
mod import;
mod invocations;
mod json;
mod line;
mod load;
mod malformed;
mod members;
mod micro;
pub mod op;
mod pairs;
mod part;
mod parts;
mod pieces;
mod process;
mod quick;
mod recorder;
mod runs;
mod runtime;
mod samples;
mod sets;
mod short;
mod texts;
pub mod time;
mod trace;
mod view;
mod word;
mod words;
mod zones;

#[doc(hidden)]
pub use columns::Column;
use columns::{Partners, Tag, Times};
#[doc(hidden)]
pub use facts::{COMPLETED, ENDED_EARLY, OVERLOADED, PROCESSES, REAL_TIME, SILENT};
pub use faults::{Edge, FaultSpan, FaultStatus};
use hash::FastMap;
pub use import::Format;
#[doc(hidden)]
pub use invocations::{Invocation, Wanted, kind_bit};
pub use load::{LoadError, Loaded, Torn};
pub use malformed::Malformed;
pub use members::{MemberChange, MemberState};
pub use pairs::{DownMatrix, PairLife};
#[doc(hidden)]
pub use parts::in_parts;
#[doc(hidden)]
pub use process::ByProcess;
pub use recorder::{Recorder, WriteError};
pub use runtime::{MnesiaSplit, NodeDown};
pub use samples::{Samples, Spread};
use sets::SetColumn;
pub use sets::SetRead;
pub use view::{Entries, List, View};
use word::Form;
#[doc(hidden)]
pub use word::Word;
use words::Words;
pub use zones::ZoneCount;

/// "No event", "no record".
const NONE: u32 = u32::MAX;

/// The recorded events of a run.
///
/// ```
/// # use fuzz_dist_history::History;
/// # use fuzz_dist_history::op::*;
/// # use fuzz_dist_history::time::Time;
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
    /// How many of them joined while the test ran.
    joined: usize,
    meta: BTreeMap<Name, Value>,
    functions: Vec<Name>,
    function_ids: FastMap<Name, u16>,
    time: Times,
    process: Vec<u32>,
    /// One more than the node, 0 where there is none.
    node: Column<u8, u16>,
    tag: Vec<Tag>,
    function: Column<u8, u16>,
    partner: Partners,
    /// The bits of words.
    value: Column<i32, i64>,
    words: Words,
    sets: SetColumn,
    errors: FastMap<u32, OpError>,
    /// The one that came last: most are alike, and share their text then.
    last_error: Option<OpError>,
    open: ByProcess,
    /// The events of the nemesis and of the runtime: few among many.
    aside: Vec<u32>,
    /// The last phase of any event.
    latest: Option<Phase>,
    /// By the wall's clock, 0 where nobody knows. It stands beside the history, and not in it: another run of
    /// the same seed starts at another time.
    start_unix_ms: i64,
}

/// An event but for its value and its error.
#[derive(Clone, Copy, Debug)]
struct Row {
    time: u64,
    process: Process,
    node: Option<NodeId>,
    kind: Kind,
    function: u16,
    phase: Phase,
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
        let index = self.len();
        let known = self.find_name(&event.f);
        if known.is_none() && self.functions.len() >= usize::from(u16::MAX) {
            return Err(Malformed::TooManyFunctions { index, f: event.f });
        }
        let partner = self.partner_of(event.process, event.kind, known, || event.f.clone())?;
        let function = known.unwrap_or_else(|| self.new_function(&event.f));
        let word = match event.value {
            Value::Set(set) => self.set_word(event.node, function, set),
            other => self.words.value(&other),
        };
        let row = Row {
            time: event.time.0,
            process: event.process,
            node: event.node,
            kind: event.kind,
            function,
            phase: event.phase,
        };
        self.append(row, partner, word, event.error);
        Ok(index)
    }

    /// The other half of a client's event, [`NONE`] where there is none.
    fn partner_of(
        &self,
        process: Process,
        kind: Kind,
        function: Option<u16>,
        f: impl FnOnce() -> Name,
    ) -> Result<u32, Malformed> {
        if !process.is_client() {
            return Ok(NONE);
        }
        let index = self.len();
        let open = self.open.get(process.0).map(|open| open as usize);
        match (kind, open) {
            (Kind::Invoke, Some(open)) => Err(Malformed::TwoInvocations { process, open, index }),
            (Kind::Invoke, None) => Ok(NONE),
            (_, None) => Err(Malformed::NoInvocation { process, index }),
            (_, Some(open)) if function == Some(self.function.get(open)) => Ok(open as u32),
            (_, Some(open)) => {
                let invoked = self.function(open).clone();
                Err(Malformed::OtherFunction { process, open, invoked, index, completed: f() })
            }
        }
    }

    /// Puts an event behind the others, and links it with its other half.
    fn append(&mut self, row: Row, partner: u32, word: Word, error: Option<OpError>) {
        let index = self.len() as u32;
        if partner != NONE {
            self.open.set(row.process.0, NONE);
        } else if row.kind == Kind::Invoke && row.process.is_client() {
            self.open.set(row.process.0, index);
        }
        if !row.process.is_client() {
            self.aside.push(index);
            self.introduce(row.node, row.function, word);
        }
        self.latest = self.latest.max(Some(row.phase));
        if let Some(error) = error {
            let last = self.last_error.as_ref().filter(|last| **last == error);
            self.errors.insert(index, last.unwrap_or(&error).clone());
            self.last_error = Some(error);
        }
        self.time.push(row.time);
        self.process.push(row.process.0);
        self.node.push(row.node.map_or(0, |n| n.0.wrapping_add(1)));
        self.tag.push(Tag::new(row.kind, row.phase));
        self.function.push(row.function);
        self.partner.push((partner != NONE).then_some(partner));
        self.value.push(word.bits() as i64);
    }

    /// Makes room for so many more events.
    fn reserve(&mut self, events: usize) {
        self.time.reserve(events);
        self.process.reserve(events);
        self.node.reserve(events);
        self.tag.reserve(events);
        self.function.reserve(events);
        self.partner.reserve(events);
        self.value.reserve(events);
    }

    /// The word of a set that is the value of the next event.
    fn set_word(&mut self, node: Option<NodeId>, function: u16, set: IntSet) -> Word {
        let index = self.len() as u32;
        Word::of(Form::Read, self.sets.push(index, node, function, set) as usize)
    }

    fn find_name(&self, f: &Name) -> Option<u16> {
        // Whoever records mostly shares the few names that there are.
        let shared = self.functions.iter().take(8).position(|known| Arc::ptr_eq(known, f));
        shared.map(|id| id as u16).or_else(|| self.function_ids.get(f).copied())
    }

    fn new_function(&mut self, f: &Name) -> u16 {
        let id = self.functions.len() as u16;
        self.functions.push(f.clone());
        self.function_ids.insert(f.clone(), id);
        id
    }

    /// The number of events.
    #[inline]
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// Are there no events?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
    #[inline]
    pub fn time(&self, i: usize) -> Time {
        Time(self.time.get(i))
    }

    /// Whose event `i` is.
    #[inline]
    pub fn process(&self, i: usize) -> Process {
        Process(self.process[i])
    }

    /// The node of event `i`.
    #[inline]
    pub fn node(&self, i: usize) -> Option<NodeId> {
        self.node.get(i).checked_sub(1).map(NodeId)
    }

    /// The kind of event `i`.
    #[inline]
    pub fn kind(&self, i: usize) -> Kind {
        self.tag[i].kind()
    }

    /// The phase of event `i`.
    #[inline]
    pub fn phase(&self, i: usize) -> Phase {
        self.tag[i].phase()
    }

    /// The phase that no event of the history is later than; `None` where there are no events.
    #[doc(hidden)]
    pub fn latest_phase(&self) -> Option<Phase> {
        self.latest
    }

    /// The function of event `i`.
    #[inline]
    pub fn function(&self, i: usize) -> &Name {
        &self.functions[self.function_index(i)]
    }

    /// All functions that occur, each at the place that [`History::function_index`] gives.
    #[inline]
    pub fn functions(&self) -> &[Name] {
        &self.functions
    }

    /// The function of event `i` as a place in [`History::functions`]: for tight loops.
    #[inline]
    pub fn function_index(&self, i: usize) -> usize {
        usize::from(self.function.get(i))
    }

    /// The place of a function in [`History::functions`], where it occurs.
    pub fn find_function(&self, f: &str) -> Option<usize> {
        self.function_ids.get(f).map(|id| *id as usize)
    }

    /// The completion of the invocation at `i`, where there is one.
    #[inline]
    pub fn completion(&self, i: usize) -> Option<usize> {
        (self.kind(i) == Kind::Invoke).then(|| self.partner.distance(i)).flatten().map(|d| i + d)
    }

    /// The invocation of the completion at `i`.
    #[inline]
    pub fn invocation(&self, i: usize) -> Option<usize> {
        (self.kind(i) != Kind::Invoke).then(|| self.partner.distance(i)).flatten().map(|d| i - d)
    }

    /// All errors and their events, in no order.
    #[doc(hidden)]
    pub fn errors(&self) -> impl Iterator<Item = (usize, &OpError)> + '_ {
        self.errors.iter().map(|(i, error)| (*i as usize, error))
    }

    /// The value of event `i`; a set that is stored as a difference is put together.
    pub fn value(&self, i: usize) -> Value {
        self.value_of(self.word(i))
    }

    /// What a word stands for.
    #[doc(hidden)]
    pub fn value_of(&self, word: Word) -> Value {
        match word.parts() {
            Some((Form::Read, id)) => {
                Value::Set(IntSet::from_sorted(self.sets.materialize(id as u32)))
            }
            _ => self.words.view(word).to_value(),
        }
    }

    /// Equal for words that stand for the same value.
    #[doc(hidden)]
    pub fn hash_of(&self, word: Word) -> u64 {
        match word.parts() {
            Some((Form::Read, id)) => words::hash_numbers(&self.sets.materialize(id as u32)),
            _ => self.words.hash(word),
        }
    }

    /// Do both words stand for the same value?
    #[doc(hidden)]
    pub fn same(&self, a: Word, b: Word) -> bool {
        let read = |word: Word| matches!(word.parts(), Some((Form::Read, _)));
        match read(a) || read(b) {
            true => a == b || self.value_of(a) == self.value_of(b),
            false => self.words.same(a, b),
        }
    }

    /// The number that a word stands for, where it is one.
    #[inline]
    #[doc(hidden)]
    pub fn int_of(&self, word: Word) -> Option<i64> {
        self.words.as_int(word)
    }

    /// The value of event `i` where it is a whole number, without a copy of anything.
    #[inline]
    pub fn int(&self, i: usize) -> Option<i64> {
        self.words.as_int(self.word(i))
    }

    /// The value of event `i` without a copy of it; `None` where it is a set, for which see
    /// [`History::set_read`].
    pub fn view(&self, i: usize) -> Option<View<'_>> {
        match self.word(i).parts() {
            Some((Form::Read, _)) => None,
            _ => Some(self.words.view(self.word(i))),
        }
    }

    /// The list that a word of this history stands for, where it is one.
    #[doc(hidden)]
    pub fn list_of(&self, word: Word) -> Option<List<'_>> {
        self.words.view(word).as_list()
    }

    /// The word of a text, where it occurs in some value.
    #[doc(hidden)]
    pub fn find_text(&self, text: &str) -> Option<Word> {
        self.words.find(text)
    }

    /// The value of event `i` as a word.
    #[inline]
    #[doc(hidden)]
    pub fn word(&self, i: usize) -> Word {
        Word::of_bits(self.value.get(i))
    }

    /// The set of event `i`, as it is stored: whole, or as a difference to an earlier read.
    pub fn set_read(&self, i: usize) -> Option<SetRead<'_>> {
        match self.word(i).parts() {
            Some((Form::Read, id)) => Some(self.sets.get(id as u32)),
            _ => None,
        }
    }

    /// The error of event `i`.
    pub fn error(&self, i: usize) -> Option<&OpError> {
        self.errors.get(&(i as u32))
    }

    /// The same with the widest columns that there are.
    #[cfg(any(test, feature = "testing"))]
    #[doc(hidden)]
    pub fn widened(mut self) -> History {
        self.node.widen();
        self.function.widen();
        self.value.widen();
        self
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

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
