//! Histories as Jepsen keeps them: a series of operation maps in EDN, read and written.
//!
//! ```clojure
//! {:type :invoke, :f :add, :value 1, :process 0, :time 10474104701, :index 0}
//! #jepsen.history.Op{:index 1, :time 10584742951, :type :ok, :process 0, :f :add, :value 1}
//! ```
//!
//! One after the other, or in one vector or list. Keywords become text without their colon, sets
//! of whole numbers sets, other sets lists; numbers that are not whole and symbols become text;
//! tags are ignored. `:key` beside `:value` makes a pair of both. Keys that mean nothing here
//! are skipped. Events are numbered by their place. Operations without a `:process` are each one of
//! a process of its own, see `loose.rs`. Nodes are numbered as they come, unless the
//! first line is a comment of ours that names them.

mod fields;
mod loose;
mod quick;
mod scan;
mod write;

use std::io::{self, Read};

use super::History;
use fields::Fields;
use loose::Loose;
use quick::Quick;
use scan::{Scanner, Stop};
pub(super) use scan::{Scanner as Values, Stop as ValueStop};
pub(super) use write::{write_event, write_header};

/// How the first line begins where it is ours.
const HEADER: &[u8] = b";; fuzz_dist ";
/// A single operation that is longer than this is none.
const FORM_MAX: usize = 1 << 30;
/// So much is read at a time.
pub(super) const CHUNK: usize = 1 << 18;

/// Why a source is no history.
#[derive(Debug)]
pub(super) enum Failure {
    /// It could not be read.
    Io(io::Error),
    /// A line, from 1, and what was expected there.
    Line(usize, String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Io(error)
    }
}

/// Which of the two notations.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Notation {
    Edn,
    /// The same maps as JSON: keys are text, and `null` is nil.
    Json,
}

/// Reads a history, `chunk` bytes at a time.
pub(super) fn read(
    source: &mut dyn Read,
    notation: Notation,
    chunk: usize,
) -> Result<History, Failure> {
    read_within(source, notation, chunk, FORM_MAX)
}

/// The same, with another limit for an operation.
pub(super) fn read_within(
    source: &mut dyn Read,
    notation: Notation,
    chunk: usize,
    form_max: usize,
) -> Result<History, Failure> {
    let mut reader = Reader {
        form_max,
        buffer: Vec::new(),
        end: 0,
        at: 0,
        lines: 0,
        ended: false,
        scanner: Scanner::new(notation == Notation::Json),
        quick: (notation == Notation::Edn).then(Quick::default),
        fields: Fields::default(),
        loose: Loose::default(),
        loose_line: 0,
        history: History::default(),
    };
    reader.more(source, chunk)?;
    reader.header(source, chunk)?;
    let mut inside = None;
    loop {
        match reader.form(&mut inside) {
            Ok(true) => {}
            Ok(false) => {
                let settled = std::mem::take(&mut reader.loose).settle(&mut reader.history);
                return match settled {
                    Ok(()) => Ok(reader.history),
                    Err(expected) => Err(Failure::Line(reader.loose_line, expected)),
                };
            }
            Err(Stop::More) if !reader.ended => {
                // Reading as much again as there is keeps the work of trying again linear.
                let more = chunk.max(reader.end - reader.at);
                reader.more(source, more)?;
            }
            Err(Stop::More) => {
                return Err(
                    reader.wrong(reader.end, "the end of an operation, not that of the text")
                );
            }
            Err(Stop::Wrong(at, expected)) => return Err(reader.wrong(at, expected)),
        }
    }
}

struct Reader {
    /// No operation is longer.
    form_max: usize,
    /// What was read ends at `end`; what stands behind it is of no meaning.
    buffer: Vec<u8>,
    end: usize,
    at: usize,
    /// Lines that ended before the buffer begins.
    lines: usize,
    ended: bool,
    scanner: Scanner,
    /// For the usual form of EDN.
    quick: Option<Quick>,
    fields: Fields,
    /// Operations without a process, and the line of the first.
    loose: Loose,
    loose_line: usize,
    history: History,
}

impl Reader {
    fn more(&mut self, source: &mut dyn Read, want: usize) -> Result<(), Failure> {
        self.lines += newlines(&self.buffer[..self.at]);
        self.buffer.copy_within(self.at..self.end, 0);
        self.end -= self.at;
        self.at = 0;
        if self.end > self.form_max {
            let expected = format!("an operation of at most {} bytes", self.form_max);
            return Err(self.wrong(0, expected));
        }
        // What is longer by a byte is refused: no more of it is kept than that.
        let full = (self.end + want).min(self.form_max + 1);
        if self.buffer.len() < full {
            self.buffer.resize(full, 0);
        }
        while self.end < full && !self.ended {
            match source.read(&mut self.buffer[self.end..full]) {
                Ok(count) => {
                    self.end += count;
                    self.ended = count == 0;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn text(&self) -> &[u8] {
        &self.buffer[..self.end]
    }

    fn wrong(&self, at: usize, expected: impl Into<String>) -> Failure {
        let line = self.lines + newlines(&self.buffer[..at.min(self.end)]) + 1;
        Failure::Line(line, expected.into())
    }

    /// The comment in which we keep what Jepsen has no place for.
    fn header(&mut self, source: &mut dyn Read, chunk: usize) -> Result<(), Failure> {
        while !self.ended && (self.end < HEADER.len() || self.text().starts_with(HEADER)) {
            if self.text().contains(&b'\n') {
                break;
            }
            let more = chunk.max(self.end);
            self.more(source, more)?;
        }
        let text = &self.buffer[..self.end];
        let line = text.split(|b| *b == b'\n').next().unwrap_or_default();
        let Some(line) = line.strip_prefix(HEADER) else { return Ok(()) };
        let header = self.scanner.whole(line);
        let result = match header {
            Ok(header) => fields::apply_header(&mut self.history, &header),
            Err(Stop::Wrong(_, expected)) => Err(expected),
            Err(Stop::More) => Err("a map in the comment of the first line".into()),
        };
        result.map_err(|expected| self.wrong(0, expected))
    }

    /// Passes over what is white and over whole comments, however much there is of them: it need not
    /// be kept until an operation follows.
    fn blank(&mut self) {
        loop {
            let rest = &self.buffer[self.at..self.end];
            let white = |b: &&u8| matches!(b, b' ' | b',' | b'\n' | b'\t' | b'\r' | 0x0b | 0x0c);
            let passed = rest.iter().take_while(white).count();
            self.at += passed;
            let comment = rest[passed..].strip_prefix(b";");
            match comment.and_then(|text| text.iter().position(|b| *b == b'\n')) {
                Some(end) => self.at += end + 2,
                None => return,
            }
        }
    }

    /// Takes the next operation; `inside` is what ends the vector or list around all of them.
    fn form(&mut self, inside: &mut Option<u8>) -> Result<bool, Stop> {
        self.blank();
        let text = &self.buffer[..self.end];
        self.scanner.start(self.at, self.ended);
        let first = loop {
            match self.scanner.next_byte(text)? {
                None => {
                    let unclosed = || Stop::Wrong(text.len(), "the end of the vector".into());
                    return if inside.is_some() { Err(unclosed()) } else { Ok(false) };
                }
                Some(open @ (b'[' | b'(')) if inside.is_none() => {
                    *inside = Some(if open == b'[' { b']' } else { b')' });
                    self.scanner.advance();
                }
                Some(close) if Some(close) == *inside => {
                    *inside = None;
                    self.scanner.advance();
                }
                Some(b'#') => self.scanner.tag(text)?,
                Some(other) => break other,
            }
            // What was passed need not be looked at again when more has to be read.
            self.at = self.scanner.at();
        };
        let start = self.scanner.at();
        if first != b'{' {
            return Err(Stop::Wrong(start, OPERATION.into()));
        }
        if let Some(quick) = &mut self.quick
            && let Some(end) = quick.read(&mut self.history, text, start)
        {
            self.at = end;
            return Ok(true);
        }
        self.fields.read(&mut self.scanner, text)?;
        let end = self.scanner.at();
        let wrong = |expected: String| Stop::Wrong(start, expected);
        let made = self.fields.event(&mut self.history).map_err(wrong)?;
        match made.of_a_process {
            true => push(&mut self.history, made.event).map_err(wrong)?,
            false => {
                if self.loose_line == 0 {
                    self.loose_line = self.lines + newlines(&text[..start]) + 1;
                }
                self.loose.push(made.event);
            }
        }
        self.at = end;
        Ok(true)
    }
}

const OPERATION: &str =
    "an operation such as {:type :invoke, :f :read, :value nil, :process 0, :time 0}";

/// Records an event that was read, or says what is wrong with it.
pub(super) fn push(history: &mut History, event: crate::op::Event) -> Result<(), String> {
    if history.len() >= u32::MAX as usize - 1 {
        return Err("fewer than 2^32 events".into());
    }
    history.push(event).map(drop).map_err(|e| format!("an event that can be: {e}"))
}

fn newlines(text: &[u8]) -> usize {
    // As many as a byte can count at a time, so that many bytes are looked at together.
    let count = |some: &[u8]| some.iter().map(|b| u8::from(*b == b'\n')).sum::<u8>();
    text.chunks(255).map(|some| usize::from(count(some))).sum()
}
