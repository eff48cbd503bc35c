//! EDN, and JSON as far as histories need it: from bytes to values.

use std::sync::Arc;

use crate::op::{IntSet, Value};

/// Deeper nesting is a mistake or an attack, and would end the stack.
const DEPTH_MAX: usize = 64;
/// How many short words are kept for sharing.
const WORDS: usize = 512;

/// Why no value was had.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The text ends within a value.
    More,
    /// What stands at this place is not what was expected.
    Wrong(usize, String),
}

pub(crate) struct Scanner {
    at: usize,
    /// Is the end of the text that of the source?
    ended: bool,
    json: bool,
    /// How many lists, maps and the like are open.
    depth: usize,
    /// The items of all lists that are not closed yet.
    stack: Vec<Value>,
    words: Vec<Option<Arc<str>>>,
}

impl Scanner {
    pub(crate) fn new(json: bool) -> Scanner {
        Scanner { at: 0, ended: true, json, depth: 0, stack: Vec::new(), words: vec![None; WORDS] }
    }

    /// The one value of a text.
    pub(crate) fn whole(&mut self, text: &[u8]) -> Result<Value, Stop> {
        self.start(0, true);
        let value = self.value(text)?;
        match self.next_byte(text)? {
            None => Ok(value),
            Some(_) => Err(Stop::Wrong(self.at, "nothing after the value".into())),
        }
    }

    pub(super) fn start(&mut self, at: usize, ended: bool) {
        (self.at, self.ended, self.depth) = (at, ended, 0);
        self.stack.clear();
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    fn wrong<T>(&self, expected: impl Into<String>) -> Result<T, Stop> {
        Err(Stop::Wrong(self.at, expected.into()))
    }

    /// The next byte that is neither white nor part of a comment; `None` at the end.
    pub(super) fn next_byte(&mut self, text: &[u8]) -> Result<Option<u8>, Stop> {
        loop {
            match text.get(self.at) {
                Some(b' ' | b',' | b'\n' | b'\t' | b'\r' | 0x0b | 0x0c) => self.at += 1,
                Some(b':') if self.json => self.at += 1,
                Some(b';') => match text[self.at..].iter().position(|b| *b == b'\n') {
                    Some(end) => self.at += end + 1,
                    None if self.ended => self.at = text.len(),
                    None => return Err(Stop::More),
                },
                Some(b'#') if text.get(self.at + 1) == Some(&b'_') => {
                    self.at += 2;
                    self.value(text)?;
                }
                Some(b'#') if self.at + 1 == text.len() && !self.ended => return Err(Stop::More),
                Some(byte) => return Ok(Some(*byte)),
                None if self.ended => return Ok(None),
                None => return Err(Stop::More),
            }
        }
    }

    fn need(&mut self, text: &[u8]) -> Result<u8, Stop> {
        self.next_byte(text)?.ok_or(Stop::More)
    }

    /// Passes over a tag, and gives nothing: what it tags stands for itself.
    pub(super) fn tag(&mut self, text: &[u8]) -> Result<(), Stop> {
        self.at += 1;
        self.token(text).map(drop)
    }

    /// Enters a map.
    pub(super) fn open(&mut self) {
        self.at += 1;
    }

    /// The word of the next key of a map, as a range; `None` at its end.
    pub(super) fn key(&mut self, text: &[u8]) -> Result<Option<(usize, usize)>, Stop> {
        match self.need(text)? {
            b'}' => {
                self.at += 1;
                Ok(None)
            }
            b':' => {
                self.at += 1;
                Ok(Some(self.token(text)?))
            }
            b'"' => {
                let start = self.at + 1;
                let (end, _) = self.string_end(text)?;
                self.at = end + 1;
                Ok(Some((start, end)))
            }
            _ => self.wrong("a key such as :type, or } at the end of the operation"),
        }
    }

    /// Letters up to the next delimiter.
    fn token(&mut self, text: &[u8]) -> Result<(usize, usize), Stop> {
        let start = self.at;
        let length = text[start..].iter().position(|b| is_delimiter(*b));
        match length {
            Some(length) => self.at += length,
            None if self.ended => self.at = text.len(),
            None => return Err(Stop::More),
        }
        Ok((start, self.at))
    }

    /// The next value.
    pub(super) fn value(&mut self, text: &[u8]) -> Result<Value, Stop> {
        if self.depth == DEPTH_MAX {
            return self.wrong("a value that is nested at most 64 deep");
        }
        // Whoever fails begins again from `start`, so that only success has to undo this.
        self.depth += 1;
        let value = self.any(text)?;
        self.depth -= 1;
        Ok(value)
    }

    fn any(&mut self, text: &[u8]) -> Result<Value, Stop> {
        match self.need(text)? {
            b'0'..=b'9' | b'-' | b'+' => self.number(text),
            b':' => {
                self.at += 1;
                let (start, end) = self.token(text)?;
                self.word(&text[start..end]).map(Value::Text)
            }
            b'"' => self.string(text).map(Value::Text),
            b'[' => self.list(text, b']'),
            b'(' => self.list(text, b')'),
            b'{' => self.map(text),
            b'#' => self.tagged(text),
            b'\\' => {
                self.at += 1;
                // A character may be a delimiter itself.
                let start = self.at;
                if start >= text.len() {
                    return Err(Stop::More);
                }
                self.at += 1;
                let (_, end) = self.token(text)?;
                self.word(&text[start..end]).map(Value::Text)
            }
            b'^' => {
                self.at += 1;
                self.value(text)?;
                self.value(text)
            }
            b'\'' => {
                self.at += 1;
                self.value(text)
            }
            b']' | b')' | b'}' => self.wrong("a value, not the end of what is around it"),
            _ => {
                let (start, end) = self.token(text)?;
                Ok(match &text[start..end] {
                    b"nil" => Value::Nil,
                    b"null" if self.json => Value::Nil,
                    b"true" => Value::Bool(true),
                    b"false" => Value::Bool(false),
                    b"" => return self.wrong("a value"),
                    symbol => Value::Text(self.word(symbol)?),
                })
            }
        }
    }

    fn number(&mut self, text: &[u8]) -> Result<Value, Stop> {
        let start = self.at;
        let negative = text[start] == b'-';
        let first = start + usize::from(!text[start].is_ascii_digit());
        let (mut n, mut i) = (0u64, first);
        // Eighteen digits cannot overflow.
        while let Some(digit) = text.get(i).filter(|b| b.is_ascii_digit() && i < first + 18) {
            n = n * 10 + u64::from(digit - b'0');
            i += 1;
        }
        if i > first && text.get(i).is_some_and(|b| is_delimiter(*b)) {
            self.at = i;
            return Ok(Value::Int(if negative { -(n as i64) } else { n as i64 }));
        }
        let (start, end) = self.token(text)?;
        let word = &text[start..end];
        let digits = word.strip_suffix(b"N").unwrap_or(word);
        let number = std::str::from_utf8(digits).ok().and_then(|d| d.parse::<i64>().ok());
        match number {
            Some(n) => Ok(Value::Int(n)),
            // Neither whole nor of 64 bits, or a symbol such as `-`: kept as it stands.
            None => self.word(word).map(Value::Text),
        }
    }

    fn list(&mut self, text: &[u8], close: u8) -> Result<Value, Stop> {
        self.at += 1;
        let from = self.stack.len();
        loop {
            match self.need(text)? {
                byte if byte == close => {
                    self.at += 1;
                    return Ok(Value::List(self.stack.drain(from..).collect()));
                }
                _ => {
                    let value = self.value(text)?;
                    self.stack.push(value);
                }
            }
        }
    }

    fn map(&mut self, text: &[u8]) -> Result<Value, Stop> {
        self.at += 1;
        let mut entries = Vec::new();
        while self.need(text)? != b'}' {
            let key = self.value(text)?;
            if self.need(text)? == b'}' {
                return self.wrong("a value for the last key of the map");
            }
            entries.push((key, self.value(text)?));
        }
        self.at += 1;
        Ok(Value::Map(entries.into()))
    }

    fn tagged(&mut self, text: &[u8]) -> Result<Value, Stop> {
        match text.get(self.at + 1) {
            Some(b'{') => self.set(text),
            // `##Inf` and `##NaN`.
            Some(b'#') => {
                let (start, end) = {
                    self.at += 2;
                    self.token(text)?
                };
                self.word(&text[start..end]).map(Value::Text)
            }
            Some(_) => {
                self.at += 1;
                let (start, end) = self.token(text)?;
                if start == end {
                    return self.wrong("a tag");
                }
                let multiset = text[start..end] == *super::write::MULTISET;
                match (multiset, self.value(text)?) {
                    (true, Value::List(items)) => {
                        let items: Option<IntSet> = items.iter().map(Value::as_int).collect();
                        items.map(Value::Set).map_or_else(|| self.wrong("whole numbers"), Ok)
                    }
                    (_, value) => Ok(value),
                }
            }
            None if self.ended => self.wrong("a tag or a set"),
            None => Err(Stop::More),
        }
    }

    fn set(&mut self, text: &[u8]) -> Result<Value, Stop> {
        self.at += 2;
        let mut numbers: Vec<i64> = Vec::new();
        let from = self.stack.len();
        loop {
            if self.need(text)? == b'}' {
                self.at += 1;
                break;
            }
            match self.value(text)? {
                Value::Int(n) if self.stack.len() == from => numbers.push(n),
                other => {
                    self.stack.extend(numbers.drain(..).map(Value::Int));
                    self.stack.push(other);
                }
            }
        }
        if self.stack.len() == from {
            return Ok(Value::Set(numbers.into_iter().collect()));
        }
        Ok(Value::List(self.stack.drain(from..).collect()))
    }

    /// Where a string ends, and whether it contains escapes.
    fn string_end(&self, text: &[u8]) -> Result<(usize, bool), Stop> {
        let (mut i, mut escapes) = (self.at + 1, false);
        loop {
            match text.get(i) {
                Some(b'"') => return Ok((i, escapes)),
                Some(b'\\') => {
                    i += 2;
                    escapes = true;
                }
                Some(_) => i += 1,
                None => return Err(Stop::More),
            }
        }
    }

    fn string(&mut self, text: &[u8]) -> Result<Arc<str>, Stop> {
        let start = self.at + 1;
        let (end, escapes) = self.string_end(text)?;
        let word = if escapes {
            let plain = unescape(&text[start..end]);
            let plain = plain.map_err(|i| Stop::Wrong(start + i, "an escape of text".into()))?;
            self.word(&plain)?
        } else {
            self.word(&text[start..end])?
        };
        self.at = end + 1;
        Ok(word)
    }

    /// Text that is shared with its last occurrence, where that is not long ago.
    pub(super) fn word(&mut self, bytes: &[u8]) -> Result<Arc<str>, Stop> {
        let mut hash = bytes.len();
        for byte in bytes.iter().take(8).chain(bytes.last()) {
            hash = hash.wrapping_mul(31).wrapping_add(usize::from(*byte));
        }
        let place = &mut self.words[hash % WORDS];
        if let Some(word) = place.as_ref().filter(|w| w.as_bytes() == bytes) {
            return Ok(word.clone());
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(place.insert(text.into()).clone()),
            Err(_) => self.wrong("text in UTF-8"),
        }
    }
}

const DELIMITERS: [bool; 256] = {
    let (mut table, all) = ([false; 256], b" ,\n\t\r\x0b\x0c[](){}\";");
    let mut i = 0;
    while i < all.len() {
        table[all[i] as usize] = true;
        i += 1;
    }
    table
};

#[inline]
pub(super) fn is_delimiter(byte: u8) -> bool {
    DELIMITERS[usize::from(byte)]
}

/// Text without its escapes; the place of one that means nothing otherwise.
fn unescape(text: &[u8]) -> Result<Vec<u8>, usize> {
    let mut plain = Vec::with_capacity(text.len());
    let mut i = 0;
    while i < text.len() {
        if text[i] != b'\\' {
            plain.push(text[i]);
            i += 1;
            continue;
        }
        let at = i;
        i += 2;
        let unit = |i: usize| {
            let digits = text.get(i..i + 4).and_then(|d| std::str::from_utf8(d).ok())?;
            u32::from_str_radix(digits, 16).ok()
        };
        match text.get(at + 1).ok_or(at)? {
            b'n' => plain.push(b'\n'),
            b't' => plain.push(b'\t'),
            b'r' => plain.push(b'\r'),
            b'b' => plain.push(8),
            b'f' => plain.push(12),
            b'u' => {
                let mut code = unit(i).ok_or(at)?;
                i += 4;
                if (0xd800..0xdc00).contains(&code) && text.get(i..i + 2) == Some(b"\\u") {
                    let low = unit(i + 2).filter(|l| (0xdc00..0xe000).contains(l)).ok_or(at)?;
                    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                    i += 6;
                }
                let letter = char::from_u32(code).ok_or(at)?;
                plain.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            }
            literal @ (b'"' | b'\\' | b'/' | b'\'') => plain.push(*literal),
            _ => return Err(at),
        }
    }
    Ok(plain)
}
