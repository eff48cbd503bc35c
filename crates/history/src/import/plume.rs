//! The text of Plume (Liu et al., "Plume: efficient and complete black-box checking of weak
//! isolation levels", OOPSLA 2024).

use std::io::{self, BufRead};

use super::super::cursor::Cursor;
use super::super::edn::Failure;
use super::super::hash::FastMap;
use super::super::part::TEXTS_MAX;
use super::super::pieces::{InParts, Pieces};
use super::super::words::Words;
use super::super::{History, Word};
use super::sessions::{At, Sessions};
use super::{LINE_MAX, Lines, line_of};

/// Reads lines `w(key,value,session,transaction)`; a transaction -1 was aborted, and every key
/// begins as 0.
pub(super) fn read_plume(source: &mut dyn BufRead) -> Result<History, Failure> {
    read_pieces(source, LINE_MAX, Pieces::usual())
}

/// The same, in pieces of so many bytes and by so many threads.
pub(crate) fn read_pieces(
    source: &mut dyn BufRead,
    line_max: usize,
    pieces: Pieces,
) -> Result<History, Failure> {
    let mut plume = Plume { line_max, ..Plume::default() };
    plume.sessions.zero_is_initial();
    let rest = pieces.read(source, &mut plume)?;
    plume.slow_line(&rest)?;
    plume.sessions.history().map_err(|expected| Failure::Line(1, expected))
}

#[derive(Default)]
struct Plume {
    sessions: Sessions,
    /// Per session.
    known: Vec<Known>,
    /// The session and transaction of the last line.
    last: Option<(u64, i64, At)>,
    /// How many lines were taken, and how long one may be.
    lines: usize,
    line_max: usize,
}

/// The places of a session's transactions.
#[derive(Default)]
struct Known {
    /// Those that are greater than all before them, which is what they mostly are.
    ascending: Vec<(i64, u32)>,
    others: FastMap<i64, u32>,
}

impl Lines for Plume {
    fn quick(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let Line { write, key, value, session, txn } = Line::read(cursor)?;
        self.micro_op(write, key, value, (session, txn));
        Some(())
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        const LINE: &str = "a line such as w(key,value,session,transaction) of whole numbers";
        let (write, rest) = match line.split_at_checked(1) {
            Some(("w", rest)) => (true, rest),
            Some(("r", rest)) => (false, rest),
            _ => return Err(LINE.into()),
        };
        let inside = rest.strip_prefix('(').and_then(|r| r.strip_suffix(')')).ok_or(LINE)?;
        let mut parts = inside.split(',').map(str::trim);
        let mut next = || parts.next().and_then(number).ok_or(LINE);
        let (key, value, session, txn) = (next()?, next()?, next()?, next()?);
        let (Ok(session), None) = (u64::try_from(session), parts.next()) else {
            return Err(LINE.into());
        };
        self.micro_op(write, key, value, (session, txn));
        Ok(())
    }
}

/// A usual line.
struct Line {
    write: bool,
    key: i64,
    value: i64,
    session: u64,
    txn: i64,
}

impl Line {
    #[inline]
    fn read(cursor: &mut Cursor<'_>) -> Option<Line> {
        let (write, key, value) = micro_op(cursor, [b'(', b','])?;
        cursor.byte(b',')?;
        let session = cursor.natural()?;
        cursor.byte(b',')?;
        let txn = cursor.number()?;
        cursor.literal(b")\n")?;
        Some(Line { write, key, value, session, txn })
    }
}

impl Plume {
    #[inline]
    fn micro_op(&mut self, write: bool, key: i64, value: i64, (session, txn): (u64, i64)) {
        let at = self.at(session, txn);
        self.sessions.micro_op(at, write, key, value);
    }

    /// The place of a line's transaction.
    #[inline]
    fn at(&mut self, session: u64, txn: i64) -> At {
        let at = match self.last {
            Some((s, t, at)) if (s, t) == (session, txn) && txn != -1 => at,
            _ => self.transaction(session, txn),
        };
        self.last = Some((session, txn, at));
        at
    }

    /// Takes one line, in whatever form.
    fn slow_line(&mut self, text: &[u8]) -> Result<(), Failure> {
        self.lines += 1;
        let (number, line_max) = (self.lines, self.line_max);
        line_of(text, number, line_max, self)
    }

    /// The place of a transaction, which may be new, and is where it was aborted.
    fn transaction(&mut self, session: u64, txn: i64) -> At {
        if txn == -1 {
            return self.sessions.begin(session, true);
        }
        let id = self.sessions.id(session);
        if self.known.len() <= id as usize {
            self.known.resize_with(id as usize + 1, Known::default);
        }
        let known = &mut self.known[id as usize];
        let is_new = known.ascending.last().is_none_or(|(last, _)| *last < txn);
        if !is_new {
            let at = known.ascending.binary_search_by_key(&txn, |(txn, _)| *txn);
            let place = match at {
                Ok(at) => Some(known.ascending[at].1),
                Err(_) => known.others.get(&txn).copied(),
            };
            if let Some(place) = place {
                return At { session: id, place };
            }
        }
        let at = self.sessions.begin(session, false);
        match is_new {
            true => known.ascending.push((txn, at.place)),
            false => drop(known.others.insert(txn, at.place)),
        }
        at
    }
}

/// What is known to those who read parts of the text: the functions alone.
struct Seed {
    words: Words,
    interned: [usize; 2],
    functions: [Word; 2],
}

/// The micro-operations of lines.
#[derive(Default)]
struct Part {
    runs: Vec<Run>,
    /// The keys to which a 0 was written.
    zeros: Vec<Word>,
    words: Words,
    /// How many texts and large numbers the words knew at first.
    interned: [usize; 2],
    /// How much of the text was read, and how many lines that is.
    taken: usize,
    lines: usize,
}

/// Lines of one transaction that follow one another, as a transaction.
struct Run {
    session: u64,
    txn: i64,
    value: Word,
}

impl Part {
    fn read(seed: &Seed, number: usize, text: &[u8]) -> Part {
        let (words, interned) = (seed.words.segment_of(number), seed.interned);
        let mut part = Part { words, interned, ..Part::default() };
        let mut parts: Vec<Word> = Vec::new();
        let mut open: Option<(u64, i64)> = None;
        let mut cursor = Cursor::new(text);
        while let Some(Line { write, key, value, session, txn }) = Line::read(&mut cursor) {
            // Each line of an aborted transaction is one.
            if open != Some((session, txn)) || txn == -1 {
                part.end(open, &mut parts);
                open = Some((session, txn));
            }
            let (key, value) = (part.words.int(key), part.words.int(value));
            if write && value.as_small() == Some(0) {
                part.zeros.push(key);
            }
            parts.extend_from_slice(&[seed.functions[usize::from(write)], key, value]);
            part.taken = text.len() - cursor.left();
            part.lines += 1;
        }
        part.end(open, &mut parts);
        part
    }

    fn end(&mut self, open: Option<(u64, i64)>, parts: &mut Vec<Word>) {
        if let Some((session, txn)) = open {
            self.runs.push(Run { session, txn, value: self.words.transaction(parts) });
            parts.clear();
        }
    }
}

impl InParts for Plume {
    type Seed = Seed;
    type Part = Part;
    type Error = Failure;

    fn line_max(&self) -> usize {
        self.line_max
    }

    fn refused(&self, error: io::Error) -> Failure {
        Failure::Io(error)
    }

    fn whole(&mut self, text: &[u8]) -> Result<(), Failure> {
        let mut left = text;
        while !left.is_empty() {
            let mut cursor = Cursor::new(left);
            if self.quick(&mut cursor).is_some() {
                self.lines += 1;
                left = &left[left.len() - cursor.left()..];
                continue;
            }
            let end = left.iter().position(|b| *b == b'\n').map_or(left.len(), |n| n + 1);
            let (line, behind) = left.split_at(end);
            self.slow_line(line)?;
            left = behind;
        }
        Ok(())
    }

    fn seed(&self) -> Option<Seed> {
        let words = self.sessions.words();
        let (interned, functions) = (words.interned(), self.sessions.functions());
        let few = interned.iter().sum::<usize>() <= TEXTS_MAX;
        few.then(|| Seed { words: words.segment_of(0), interned, functions })
    }

    fn known(_: &Seed) -> usize {
        1
    }

    fn read_part(seed: &Seed, number: usize, text: &[u8]) -> Part {
        Part::read(seed, number, text)
    }

    fn part(&mut self, part: Part, text: &[u8]) -> Result<(), Failure> {
        let Part { runs, zeros, words, interned, taken, lines } = part;
        // Where there are more numbers than cells can name, the words of the part cannot be renamed.
        if !self.sessions.words().has_room_for(&words) {
            self.sessions.words_mut().adopt(Words::default(), [0; 2]);
            return self.whole(text);
        }
        let adopted = self.sessions.words_mut().adopt(words, interned);
        for Run { session, txn, value } in runs {
            let at = self.at(session, txn);
            self.sessions.micro_ops(at, value);
        }
        zeros.into_iter().for_each(|key| self.sessions.wrote_zero(adopted.word(key)));
        self.lines += lines;
        self.whole(&text[taken..])
    }
}

/// Reads whether it is a write, the key and the value, with these bytes before the two numbers.
#[inline]
pub(super) fn micro_op(
    cursor: &mut Cursor<'_>,
    [first, second]: [u8; 2],
) -> Option<(bool, i64, i64)> {
    let write = match cursor.peek()? {
        b'w' => true,
        b'r' => false,
        _ => return None,
    };
    cursor.advance();
    cursor.byte(first)?;
    let key = cursor.number()?;
    cursor.byte(second)?;
    Some((write, key, cursor.number()?))
}

/// A whole number; those of unsigned 64 bits that have no sign are kept apart all the same.
pub(super) fn number(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| text.parse::<u64>().ok().map(|n| n as i64))
}
