//! Operation maps in their usual form, read without a detour by values.
//!
//! Whatever is not usual (escapes, tags, comments, metadata, names that are new, anything wrong)
//! is left to the reader that knows all of EDN, so that there is one place where errors are worded.

use super::scan::is_delimiter;
use crate::history::cursor::Cursor;
use crate::history::words::Word;
use crate::history::{History, Row};
use crate::op::{IntSet, Kind, OpError, Phase, Process};

/// Deeper nesting is not usual.
const DEPTH_MAX: usize = 32;

/// What is kept between operations, so that nothing is allocated for each.
#[derive(Default)]
pub(super) struct Quick {
    stack: Vec<Word>,
}

/// The value of an operation.
enum Held {
    Value(Word),
    Set(IntSet),
}

impl Quick {
    /// Records the operation whose brace stands at `at`, where it is in the usual form and whole,
    /// and gives the place behind it.
    pub(super) fn read(&mut self, history: &mut History, text: &[u8], at: usize) -> Option<usize> {
        let mark = history.words.mark();
        let end = self.operation(history, Cursor::new(text, at));
        if end.is_none() {
            history.words.rewind(mark);
        }
        end
    }

    fn operation(&mut self, history: &mut History, mut cursor: Cursor<'_>) -> Option<usize> {
        let index = history.len();
        if index >= u32::MAX as usize - 1 {
            return None;
        }
        let (mut kind, mut function, mut process) = (None, None, None);
        let (mut value, mut node, mut error) = (Held::Value(Word::NIL), None, None);
        let (mut time, mut phase) = (index as u64, Phase::Main);
        cursor.literal(b"{")?;
        while blank(&mut cursor)? != b'}' {
            cursor.literal(b":")?;
            let key = cursor.until(is_delimiter)?;
            blank(&mut cursor)?;
            match key {
                b"index" => drop(number(&mut cursor)?),
                b"time" => time = number(&mut cursor)?.try_into().ok()?,
                b"type" => kind = Some(word_of(keyword(&mut cursor)?, &KINDS, Kind::as_str)?),
                b"process" => process = Some(client(&mut cursor)?),
                b"f" => function = Some(history.known_function(keyword(&mut cursor)?)?),
                b"value" => value = self.held(history, &mut cursor)?,
                b"node" => node = Some(history.known_node(cursor.text()?)?),
                b"error" => error = Some(failure(&mut cursor)?),
                b"phase" => phase = word_of(keyword(&mut cursor)?, &Phase::ALL, Phase::as_str)?,
                _ => return None,
            }
        }
        cursor.advance();
        let (process, kind, function) = (process?, kind?, function?);
        let name = || history.functions[usize::from(function)].clone();
        let partner = history.partner_of(process, kind, Some(function), name).ok()?;
        let word = match value {
            Held::Value(word) => word,
            Held::Set(set) => history.set_word(node, function, set),
        };
        let row = Row { time, process, node, kind, function, phase };
        history.append(row, partner, word, error);
        Some(cursor.at())
    }

    fn held(&mut self, history: &mut History, cursor: &mut Cursor<'_>) -> Option<Held> {
        if cursor.skip(b"#{") {
            return Some(Held::Set(numbers(cursor)?.into_iter().collect()));
        }
        self.stack.clear();
        self.value(history, cursor, 0).map(Held::Value)
    }

    fn value(
        &mut self,
        history: &mut History,
        cursor: &mut Cursor<'_>,
        depth: usize,
    ) -> Option<Word> {
        if depth == DEPTH_MAX {
            return None;
        }
        match cursor.peek()? {
            b'0'..=b'9' | b'-' => Some(history.words.int(number(cursor)?)),
            b':' => Some(history.words.text(keyword(cursor)?)),
            b'"' => Some(history.words.text(cursor.text()?)),
            b'[' => self.items(history, cursor, depth, b']'),
            b'(' => self.items(history, cursor, depth, b')'),
            b'{' => self.items(history, cursor, depth, b'}'),
            b'#' => {
                cursor.literal(b"#{")?;
                let mut numbers = numbers(cursor)?;
                numbers.sort_unstable();
                Some(history.words.set(&numbers))
            }
            _ => match cursor.until(is_delimiter)? {
                b"nil" => Some(Word::NIL),
                b"true" => Some(Word::boolean(true)),
                b"false" => Some(Word::boolean(false)),
                _ => None,
            },
        }
    }

    /// A list up to its closing bracket, or a map up to its brace.
    fn items(
        &mut self,
        history: &mut History,
        cursor: &mut Cursor<'_>,
        depth: usize,
        close: u8,
    ) -> Option<Word> {
        cursor.advance();
        let from = self.stack.len();
        while blank(cursor)? != close {
            let item = self.value(history, cursor, depth + 1)?;
            self.stack.push(item);
        }
        cursor.advance();
        let items = &self.stack[from..];
        let word = match close {
            b'}' if items.len() % 2 == 1 => return None,
            b'}' => history.words.map(items),
            _ => history.words.list(items),
        };
        self.stack.truncate(from);
        Some(word)
    }
}

const KINDS: [Kind; 4] = [Kind::Invoke, Kind::Ok, Kind::Fail, Kind::Info];

fn word_of<T: Copy>(text: &str, all: &[T], as_str: impl Fn(T) -> &'static str) -> Option<T> {
    all.iter().copied().find(|word| as_str(*word) == text)
}

/// Passes over blanks and gives the byte behind them.
fn blank(cursor: &mut Cursor<'_>) -> Option<u8> {
    loop {
        match cursor.peek()? {
            b' ' | b',' | b'\n' | b'\t' | b'\r' => cursor.advance(),
            other => return Some(other),
        }
    }
}

fn number(cursor: &mut Cursor<'_>) -> Option<i64> {
    let n = cursor.number()?;
    cursor.peek().filter(|b| is_delimiter(*b)).map(|_| n)
}

fn keyword<'a>(cursor: &mut Cursor<'a>) -> Option<&'a str> {
    cursor.literal(b":")?;
    let word = cursor.until(is_delimiter)?;
    std::str::from_utf8(word).ok().filter(|word| !word.is_empty())
}

fn client(cursor: &mut Cursor<'_>) -> Option<Process> {
    if cursor.peek()? != b':' {
        let process = Process(number(cursor)?.try_into().ok()?);
        return Some(process).filter(|p| p.is_client());
    }
    match keyword(cursor)? {
        "nemesis" => Some(Process::NEMESIS),
        "runtime" => Some(Process::RUNTIME),
        _ => None,
    }
}

/// `:kind`, or `[:kind "text"]`.
fn failure(cursor: &mut Cursor<'_>) -> Option<OpError> {
    if cursor.peek()? == b':' {
        return Some(OpError::new(keyword(cursor)?, ""));
    }
    cursor.literal(b"[")?;
    let kind = keyword(cursor)?;
    blank(cursor)?;
    let error = OpError::new(kind, cursor.text()?);
    cursor.literal(b"]")?;
    Some(error)
}

/// The rest of a set of whole numbers, whose opening brace was passed.
fn numbers(cursor: &mut Cursor<'_>) -> Option<Vec<i64>> {
    let mut numbers = Vec::new();
    while blank(cursor)? != b'}' {
        numbers.push(number(cursor)?);
    }
    cursor.advance();
    Some(numbers)
}
