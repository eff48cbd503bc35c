//! Operation maps in their usual form, read without a detour by values.
//!
//! Whatever is not usual (escapes, tags, comments, metadata, names that are new, anything wrong)
//! is left to the reader that knows all of EDN, so that there is one place where errors are worded.

use super::scan::is_delimiter;
use crate::history::cursor::Cursor;
use crate::history::words::Word;
use crate::history::{History, Row, quick};
use crate::op::{IntSet, OpError, Phase, Process};

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
        let mut cursor = Cursor::new(&text[at..]);
        let read = self.operation(history, &mut cursor);
        if read.is_none() {
            history.words.rewind(mark);
        }
        read.map(|()| text.len() - cursor.left())
    }

    fn operation(&mut self, history: &mut History, cursor: &mut Cursor<'_>) -> Option<()> {
        let index = history.len();
        if index >= u32::MAX as usize - 1 {
            return None;
        }
        let (mut kind, mut function, mut process) = (None, None, None);
        let (mut value, mut node, mut error) = (Held::Value(Word::NIL), None, None);
        let (mut time, mut phase) = (index as u64, Phase::Main);
        cursor.literal(b"{")?;
        while blank(cursor)? != b'}' {
            let key = keyword(cursor)?;
            blank(cursor)?;
            match key {
                b"index" => drop(number(cursor)?),
                b"time" => time = number(cursor)?.try_into().ok()?,
                b"type" => kind = Some(quick::kind(keyword(cursor)?)?),
                b"process" => process = Some(client(cursor)?),
                b"f" => function = Some(history.known_function(keyword(cursor)?)?),
                b"value" => value = self.held(history, cursor)?,
                b"node" => node = Some(history.known_node(cursor.text()?)?),
                b"error" => error = Some(failure(cursor)?),
                b"phase" => phase = quick::phase(keyword(cursor)?)?,
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
        Some(())
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
            b':' => history.words.text(keyword(cursor)?),
            b'"' => history.words.text(cursor.text()?),
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
        if close == b']'
            && let Some(list) = cursor.numbers(&mut history.words, b' ')
        {
            return Some(list);
        }
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

/// A word with its colon before it.
fn keyword<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    cursor.literal(b":")?;
    cursor.until(is_delimiter).filter(|word| !word.is_empty())
}

fn client(cursor: &mut Cursor<'_>) -> Option<Process> {
    match cursor.peek()? {
        b':' => quick::special(keyword(cursor)?),
        _ => quick::client(number(cursor)?.try_into().ok()?),
    }
}

/// `:kind`, or `[:kind "text"]`.
fn failure(cursor: &mut Cursor<'_>) -> Option<OpError> {
    if cursor.peek()? == b':' {
        return quick::error(keyword(cursor)?, b"");
    }
    cursor.literal(b"[")?;
    let kind = keyword(cursor)?;
    blank(cursor)?;
    let error = quick::error(kind, cursor.text()?);
    cursor.literal(b"]")?;
    error
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
