//! Reading a history back from its lines.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::cursor::Cursor;
use super::hash::FastMap;
use super::line::{Line, Stored};
use super::part::{self, Part, Seed, SetOf};
use super::pieces::{InParts, Pieces};
use super::quick::{Quick, Scratch};
use super::sets::{SetColumn, StoredSet};
use super::word::{Form, Word};
use super::words::Words;
use super::{History, json};
use crate::op::{Event, Kind, Name, NodeId, OpError, Phase, Process, Value};
use crate::time::Time;

/// A history that was read from a file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// What happened.
    pub history: History,
    /// The beginning of a record that was never completed, where the file ends with one: the
    /// harness was killed, or the disk was full.
    pub torn: Option<Torn>,
}

/// A last line that was not written to its end; it is no part of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Torn {
    /// Its number, from 1.
    pub line: usize,
    /// How much of it there is.
    pub bytes: usize,
}

/// A file that is no history.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The system refused.
    #[error("could not read the history {path}: {source}")]
    Refused {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line that means nothing.
    #[error("line {line} of the history {path}: expected {expected}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What should have stood there, and what did.
        expected: String,
    },
}

impl History {
    /// Reads a history from the file of a [`Recorder`](super::Recorder), up to its last
    /// complete record.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or a line of it is malformed: a record that is missing
    /// in the middle would make every verdict worthless.
    pub fn load(path: impl AsRef<Path>) -> Result<Loaded, LoadError> {
        let path = path.as_ref();
        let refused = |source| LoadError::Refused { path: path.into(), source };
        let file = File::open(path).map_err(refused)?;
        History::read_lines(&mut BufReader::with_capacity(1 << 18, file), path)
    }

    /// Reads a history from its lines, which are called `path` in errors.
    pub(super) fn read_lines(file: &mut dyn BufRead, path: &Path) -> Result<Loaded, LoadError> {
        History::read_short_lines(file, path, LINE_MAX)
    }

    /// The same where no line is longer than so many bytes: what is no text of lines at all must not
    /// fill the memory.
    pub(super) fn read_short_lines(
        file: &mut dyn BufRead,
        path: &Path,
        line_max: u64,
    ) -> Result<Loaded, LoadError> {
        History::read_pieces(file, path, line_max, Pieces::usual())
    }

    /// The same, in pieces of so many bytes and by so many threads.
    pub(super) fn read_pieces(
        file: &mut dyn BufRead,
        path: &Path,
        line_max: u64,
        pieces: Pieces,
    ) -> Result<Loaded, LoadError> {
        Reading { loader: Loader::default(), lines: 0, path, line_max }.read(file, pieces)
    }
}

/// A history that is being read from lines.
pub(super) struct Reading<'a> {
    loader: Loader,
    /// How many lines were taken.
    lines: usize,
    path: &'a Path,
    line_max: u64,
}

impl Reading<'_> {
    fn read(mut self, file: &mut dyn BufRead, pieces: Pieces) -> Result<Loaded, LoadError> {
        let rest = pieces.read(file, &mut self)?;
        let torn = self.last(&rest)?;
        match self.loader.history {
            Some(history) => Ok(Loaded { history, torn }),
            None => Err(self.malformed(1, HEADER)),
        }
    }

    fn malformed(&self, line: usize, expected: impl Into<String>) -> LoadError {
        LoadError::Malformed { path: self.path.into(), line, expected: expected.into() }
    }

    fn too_long(&self, line: usize) -> LoadError {
        self.malformed(line, format!("a line of less than {} bytes", self.line_max))
    }

    fn line(&mut self, text: &[u8]) -> Result<(), LoadError> {
        self.lines += 1;
        if text.len() > self.line_max() {
            return Err(self.too_long(self.lines));
        }
        let parsed = serde_json::from_slice::<Line<'_>>(text);
        let parsed =
            parsed.map_err(|error| self.malformed(self.lines, format!("{EVENT}: {error}")))?;
        self.loader.line(parsed).map_err(|expected| self.malformed(self.lines, expected))
    }

    /// Takes what stands behind the last whole line.
    fn last(&mut self, text: &[u8]) -> Result<Option<Torn>, LoadError> {
        if text.is_empty() {
            return Ok(None);
        }
        let line = self.lines + 1;
        if text.len() >= self.line_max() {
            return Err(self.too_long(line));
        }
        if serde_json::from_slice::<Line<'_>>(text).is_ok() {
            return self.line(text).map(|()| None);
        }
        match &self.loader.history {
            None => Err(self.malformed(line, HEADER)),
            Some(_) => Ok(Some(Torn { line, bytes: text.len() })),
        }
    }
}

impl InParts for Reading<'_> {
    type Seed = Seed;
    type Part = Part;
    type Error = LoadError;

    fn refused(&self, source: io::Error) -> LoadError {
        LoadError::Refused { path: self.path.into(), source }
    }

    fn line_max(&self) -> usize {
        usize::try_from(self.line_max).unwrap_or(usize::MAX)
    }

    fn whole(&mut self, text: &[u8]) -> Result<(), LoadError> {
        let mut at = 0;
        while at < text.len() {
            // What is usual is read where it stands, what is not, line by line.
            let taken = self.loader.quick(&text[at..]);
            let taken = taken.map_err(|expected| self.malformed(self.lines + 1, expected))?;
            if taken > 0 {
                self.lines += 1;
                at += taken;
                continue;
            }
            let end =
                text[at..].iter().position(|b| *b == b'\n').map_or(text.len(), |n| at + n + 1);
            self.line(&text[at..end])?;
            at = end;
        }
        Ok(())
    }

    fn seed(&self) -> Option<Seed> {
        Seed::of(self.loader.history.as_ref()?)
    }

    fn part(&mut self, part: Part, text: &[u8]) -> Result<(), LoadError> {
        let Some(history) = &mut self.loader.history else { return self.whole(text) };
        let Part { first, rows, values, errors, sets, numbers, words, interned, taken } = part;
        // Where there are more texts than cells can name, the words of the part cannot be renamed.
        let fits = history.words.has_room_for(&words);
        let (words, interned) = if fits { (words, interned) } else { (Words::default(), [0; 2]) };
        let adopted = history.words.adopt(words, interned);
        let mut left = text;
        if fits && first == history.len() as u64 {
            left = &text[taken..];
            let (mut errors, mut sets) =
                (errors.into_iter().peekable(), sets.into_iter().peekable());
            for (i, (row, word)) in rows.into_iter().zip(values).enumerate() {
                let name = || history.functions[row.function as usize].clone();
                let partner = history.partner_of(row.process, row.kind, Some(row.function), name);
                let Ok(partner) = partner else {
                    // Whoever reads it slowly says what is wrong.
                    left = behind_lines(text, i);
                    break;
                };
                let index = history.len();
                let error = errors.next_if(|(at, _)| *at == i).map(|(_, error)| error);
                history.append(row, partner, adopted.word(word), error);
                self.lines += 1;
                if let Some(SetOf { base, added, removed, .. }) = sets.next_if(|set| set.row == i) {
                    let [added, removed] = [&numbers[added], &numbers[removed]];
                    let set = set(history, &mut self.loader.sets, index, base, added, removed);
                    if let Err(expected) = set {
                        return Err(self.malformed(self.lines, expected));
                    }
                }
            }
        }
        self.whole(left)
    }

    fn known(seed: &Seed) -> usize {
        seed.functions()
    }

    fn read_part(seed: &Seed, number: usize, text: &[u8]) -> Part {
        part::read(seed, number, text)
    }
}

/// What stands behind so many lines.
fn behind_lines(text: &[u8], lines: usize) -> &[u8] {
    let mut left = text;
    for _ in 0..lines {
        let end = left.iter().position(|b| *b == b'\n').map_or(left.len(), |n| n + 1);
        left = &left[end..];
    }
    left
}

/// A read of a hundred million numbers, written out, is about so long.
const LINE_MAX: u64 = 1 << 30;

const HEADER: &str =
    "the first line of a history, such as {\"fuzz_dist_history\":1,\"nodes\":[\"n1\"],\"meta\":{}}";
const EVENT: &str = "an event with index, time, process, type, f, value and phase, or a fact";

#[derive(Default)]
struct Loader {
    history: Option<History>,
    nodes: HashMap<Name, NodeId>,
    names: HashMap<String, Name>,
    sets: LastSets,
    scratch: Scratch,
}

/// The last set of each node and function: differences build upon it.
type LastSets = FastMap<(Option<NodeId>, u16), LastSet>;

#[derive(Default)]
struct LastSet {
    /// Its event and its record.
    stored: Option<(u32, u32)>,
    /// How often each number is in it; known only where something was taken out.
    counts: Option<FastMap<i64, u32>>,
    len: usize,
}

impl Loader {
    fn line(&mut self, line: Line<'_>) -> Result<(), String> {
        if self.history.is_none() {
            return self.header(line);
        }
        if line.index.is_some() {
            return self.event(line);
        }
        let history = self.history.as_mut().expect("looked at above");
        for (key, value) in line.meta.ok_or(EVENT)? {
            history.set_meta(key, value.whole()?);
        }
        Ok(())
    }

    fn header(&mut self, line: Line<'_>) -> Result<(), String> {
        match line.fuzz_dist_history {
            Some(json::VERSION) => {}
            Some(version) => {
                return Err(format!(
                    "version {} of the format, but it is version {version}",
                    json::VERSION
                ));
            }
            None => return Err(HEADER.into()),
        }
        let nodes: Vec<Name> = line.nodes.ok_or(HEADER)?;
        for (i, node) in nodes.iter().enumerate() {
            let id = NodeId(u16::try_from(i).map_err(|_| "fewer than 65536 nodes")?);
            if self.nodes.insert(node.clone(), id).is_some() {
                return Err(format!("nodes of different names, but there are two of {node}"));
            }
        }
        let mut history = History::new(nodes);
        for (key, value) in line.meta.unwrap_or_default() {
            history.set_meta(key, value.whole()?);
        }
        self.history = Some(history);
        Ok(())
    }

    fn event(&mut self, line: Line<'_>) -> Result<(), String> {
        let next = self.history.as_ref().map_or(0, History::len);
        if line.index != Some(next as u64) {
            let index = line.index.unwrap_or_default();
            return Err(format!("the event of index {next}, but this is the one of {index}"));
        }
        let node = match line.node {
            None => None,
            Some(node) => Some(node.find(&self.nodes)?),
        };
        let kind = parse_word(
            &line.kind.ok_or("a type")?.0,
            &[Kind::Invoke, Kind::Ok, Kind::Fail, Kind::Info],
            Kind::as_str,
        )?;
        let phase = parse_word(&line.phase.ok_or("a phase")?.0, &Phase::ALL, Phase::as_str)?;
        let f = self.name(&line.f.ok_or("a function f")?.0);
        let error = line.error.map(|e| OpError { kind: self.name(&e.kind.0), text: e.text });
        let event = Event {
            time: Time(line.time.ok_or("a time")?),
            process: line.process.map_or(Err("a process"), |p| Ok(Process(p.0)))?,
            node,
            kind,
            f,
            value: Value::Nil,
            error,
            phase,
        };
        self.push(event, line.value)
    }

    fn push(&mut self, mut event: Event, value: Stored) -> Result<(), String> {
        let history = self.history.as_mut().ok_or(HEADER)?;
        let (base, added, removed) = match value {
            Stored::Set(added) => (None, added, Vec::new()),
            Stored::Difference { base, added, removed } => (Some(base), added, removed),
            Stored::Value(value) => {
                event.value = value;
                history.push(event).map_err(|e| format!("an event that can be: {e}"))?;
                return Ok(());
            }
        };
        let index = history.push(event).map_err(|e| format!("an event that can be: {e}"))?;
        set(history, &mut self.sets, index, base, &added, &removed)
    }

    /// Takes a line that is written as this crate writes lines, and gives its length; gives 0
    /// where it is not, or where something is wrong with it that has to be worded.
    fn quick(&mut self, text: &[u8]) -> Result<usize, String> {
        let Some(history) = &mut self.history else { return Ok(0) };
        let mark = history.words.mark();
        let mut cursor = Cursor::new(text);
        let next = Some(history.len() as u64);
        let paired = self.scratch.read(history, next, &mut cursor).and_then(|line| {
            let row = line.row;
            let name = || history.functions[row.function as usize].clone();
            let partner = history.partner_of(row.process, row.kind, Some(row.function), name);
            Some((line, partner.ok()?))
        });
        let Some((line, partner)) = paired else {
            history.words.rewind(mark);
            return Ok(0);
        };
        let index = history.len();
        match line.value {
            Quick::Value(word) => history.append(line.row, partner, word, line.error),
            Quick::Set { base } => {
                history.append(line.row, partner, Word::NIL, line.error);
                let Scratch { added, removed, .. } = &self.scratch;
                set(history, &mut self.sets, index, base, added, removed)?;
            }
        }
        Ok(text.len() - cursor.left())
    }

    fn name(&mut self, text: &str) -> Name {
        if let Some(name) = self.names.get(text) {
            return name.clone();
        }
        let name: Name = text.into();
        self.names.insert(text.into(), name.clone());
        name
    }
}

/// Gives event `index` its set.
fn set(
    history: &mut History,
    sets: &mut LastSets,
    index: usize,
    base: Option<u64>,
    added: &[i64],
    removed: &[i64],
) -> Result<(), String> {
    let last = sets.entry((history.node(index), history.function.get(index))).or_default();
    let set = StoredSet {
        event: index as u32,
        base: last.follow(&history.sets, base, added, removed)?,
        added,
        removed,
        len: last.len,
    };
    let record = history.sets.push_stored(set);
    last.stored = Some((index as u32, record));
    history.value.set(index, Word::of(Form::Read, record as usize).bits() as i64);
    Ok(())
}

impl LastSet {
    /// Becomes the set that is stored, and gives the record that it builds upon.
    fn follow(
        &mut self,
        sets: &SetColumn,
        base: Option<u64>,
        added: &[i64],
        removed: &[i64],
    ) -> Result<Option<u32>, String> {
        if !added.is_sorted() || !removed.is_sorted() {
            return Err("the numbers of a set in ascending order".into());
        }
        let before = match (base, self.stored) {
            (None, _) => {
                *self = LastSet::default();
                None
            }
            (Some(base), Some((event, record))) if base == u64::from(event) => Some(record),
            (Some(base), last) => {
                let last = last
                    .map_or("there is none".into(), |(event, _)| format!("which is event {event}"));
                return Err(format!(
                    "a difference to the last set of the same node and function ({last}), but it is one to event {base}"
                ));
            }
        };
        if self.counts.is_none() && !removed.is_empty() {
            let counts = self.counts.insert(FastMap::default());
            for n in before.map(|record| sets.materialize(record)).unwrap_or_default() {
                *counts.entry(n).or_default() += 1;
            }
        }
        if let Some(counts) = &mut self.counts {
            for n in added {
                *counts.entry(*n).or_default() += 1;
            }
            for n in removed {
                match counts.get_mut(n) {
                    Some(1) => drop(counts.remove(n)),
                    Some(count) => *count -= 1,
                    None => return Err(format!("a difference to a set that holds {n}")),
                }
            }
            // A set that has shrunk does not keep the memory that it took.
            if counts.len() < counts.capacity() / 8 {
                counts.shrink_to_fit();
            }
        }
        self.len = self.len + added.len() - removed.len();
        Ok(before)
    }
}

fn parse_word<T: Copy>(
    text: &str,
    words: &[T],
    as_str: impl Fn(T) -> &'static str,
) -> Result<T, String> {
    words.iter().copied().find(|word| as_str(*word) == text).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|word| as_str(*word)).collect();
        format!("one of {}, but it is \"{text}\"", known.join(", "))
    })
}
