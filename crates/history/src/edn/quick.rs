//! Operation maps in their usual form, read without a detour by values.
//!
//! Whatever is not usual (escapes, tags, comments, metadata, names that are new, anything wrong)
//! is left to the reader that knows all of EDN, so that there is one place where errors are worded.

use super::scan::is_delimiter;
use crate::cursor::{Cursor, Ends, Quoted};
use crate::micro::Notation;
use crate::op::{IntSet, NodeId, OpError, Phase, Process};
use crate::quick::Names;
use crate::short::Short;
use crate::word::Word;
use crate::{History, Row, quick};

/// Deeper nesting is not usual.
const DEPTH_MAX: usize = 32;

/// What is kept between operations, so that nothing is allocated for each.
#[derive(Default)]
pub(super) struct Quick {
    stack: Vec<Word>,
    names: Names,
}

/// A keyword, whose colon was passed; what ends it stays where it is.
struct Keyword;

impl Ends for Keyword {
    const BELOW: u8 = b',' + 1;
    const QUOTED: bool = false;

    #[inline]
    fn end(cursor: &mut Cursor<'_>) -> Option<()> {
        cursor.peek().filter(|b| is_delimiter(*b)).map(drop)
    }

    fn rest<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
        cursor.until(is_delimiter).filter(|word| !word.is_empty())
    }
}

/// `[:append 3 1]`.
struct Edn;

impl Notation for Edn {
    const SEPARATOR: u8 = b' ';
    type Function = Keyword;
    #[inline]
    fn open(cursor: &mut Cursor<'_>) -> Option<()> {
        cursor.literal(b"[:")
    }
    #[inline]
    fn nil(cursor: &mut Cursor<'_>) -> Option<()> {
        cursor.literal(b"nil")
    }
}

/// The keys that mean something here, and are no more than usual.
mod key {
    use super::Short;

    pub(super) const INDEX: Short = Short::new("index");
    pub(super) const TIME: Short = Short::new("time");
    pub(super) const TYPE: Short = Short::new("type");
    pub(super) const PROCESS: Short = Short::new("process");
    pub(super) const F: Short = Short::new("f");
    pub(super) const VALUE: Short = Short::new("value");
    pub(super) const NODE: Short = Short::new("node");
    pub(super) const ERROR: Short = Short::new("error");
    pub(super) const PHASE: Short = Short::new("phase");
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
        while cursor.skip(b", :") || colon(cursor)? {
            let key = cursor.short::<Keyword>()?;
            if !cursor.skip(b" ") {
                blank(cursor)?;
            }
            match key {
                key::INDEX => drop(natural(cursor)?),
                key::TIME => time = natural(cursor)?,
                key::TYPE => kind = Some(quick::kind(keyword(cursor)?)?),
                key::PROCESS => process = Some(client(cursor)?),
                key::F => function = Some(self.function(history, cursor)?),
                key::VALUE => value = self.held(history, cursor)?,
                key::NODE => node = Some(self.node(history, cursor)?),
                key::ERROR => error = Some(failure(cursor)?),
                key::PHASE => phase = quick::phase(keyword(cursor)?)?,
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

    fn function(&mut self, history: &History, cursor: &mut Cursor<'_>) -> Option<u16> {
        cursor.byte(b':')?;
        self.names.function::<Keyword>(history, cursor)
    }

    fn node(&mut self, history: &History, cursor: &mut Cursor<'_>) -> Option<NodeId> {
        cursor.byte(b'"')?;
        self.names.node::<Quoted>(history, cursor)
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
            b':' => {
                cursor.advance();
                history.words.text::<Keyword>(cursor)
            }
            b'"' => {
                cursor.advance();
                history.words.text::<Quoted>(cursor)
            }
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
        if close == b']' {
            let words = &mut history.words;
            let quick = match cursor.peek()? {
                b'[' => cursor.transaction::<Edn>(words, &mut self.stack),
                _ => cursor.numbers(words, b' '),
            };
            if quick.is_some() {
                return quick;
            }
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

fn natural(cursor: &mut Cursor<'_>) -> Option<u64> {
    let n = cursor.natural()?;
    Keyword::end(cursor).map(|()| n)
}

#[inline]
fn number(cursor: &mut Cursor<'_>) -> Option<i64> {
    let n = cursor.number()?;
    Keyword::end(cursor).map(|()| n)
}

/// Passes over the colon of the next key; gives whether there is one, or else the end of the map.
fn colon(cursor: &mut Cursor<'_>) -> Option<bool> {
    match blank(cursor)? {
        b'}' => Some(false),
        _ => cursor.byte(b':').map(|()| true),
    }
}

/// A short word with its colon before it.
fn keyword(cursor: &mut Cursor<'_>) -> Option<Short> {
    cursor.byte(b':')?;
    cursor.short::<Keyword>()
}

/// Any word with its colon before it.
fn any_keyword<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    cursor.byte(b':')?;
    Keyword::rest(cursor)
}

fn client(cursor: &mut Cursor<'_>) -> Option<Process> {
    match cursor.peek()? {
        b':' => quick::special(any_keyword(cursor)?),
        _ => quick::client(natural(cursor)?),
    }
}

/// `:kind`, or `[:kind "text"]`.
fn failure(cursor: &mut Cursor<'_>) -> Option<OpError> {
    if cursor.peek()? == b':' {
        return quick::error(any_keyword(cursor)?, b"");
    }
    cursor.byte(b'[')?;
    let kind = any_keyword(cursor)?;
    blank(cursor)?;
    let error = quick::error(kind, cursor.text()?);
    cursor.byte(b']')?;
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
