//! Quick reading of the plainest notation; what is not plain is left to a reader that knows all.

use super::digits;
use super::micro::Json;
use super::short::{Recent, Short};
use super::word::Word;
use super::words::Words;

/// Deeper nesting is left to others, too: it would end the stack.
const DEPTH_MAX: usize = 32;

/// A place in a text. Every method gives `None` where something else stands there than is looked
/// for, and then the place is of no use any more.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

/// How a word ends.
pub(super) trait Ends {
    /// No byte of this or above it ends a word.
    const BELOW: u8;
    /// May it contain what ends words that are not in quotes?
    const QUOTED: bool;
    /// Passes over the end of a word, which stands here where this gives something.
    fn end(cursor: &mut Cursor<'_>) -> Option<()>;
    /// Passes over the rest of a word, however long it is, and its end.
    fn rest<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]>;
}

/// Text in quotes without any escapes, of which the first quote was passed.
pub(super) struct Quoted;

impl Ends for Quoted {
    const BELOW: u8 = b'"' + 1;
    const QUOTED: bool = true;

    #[inline]
    fn end(cursor: &mut Cursor<'_>) -> Option<()> {
        cursor.byte(b'"')
    }

    fn rest<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
        let text = cursor.until(|b| b == b'"' || b == b'\\' || b < 0x20)?;
        cursor.byte(b'"')?;
        Some(text)
    }
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8]) -> Cursor<'a> {
        Cursor { rest: text }
    }

    /// How much of the text is left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    #[inline]
    pub(super) fn advance(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    /// Passes over exactly this byte.
    #[inline]
    pub(super) fn byte(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        (*first == byte).then_some(())
    }

    /// Passes over exactly this.
    #[inline]
    pub(super) fn literal<const N: usize>(&mut self, literal: &[u8; N]) -> Option<()> {
        self.skip(literal).then_some(())
    }

    /// Passes over this where it stands here.
    #[inline]
    pub(super) fn skip<const N: usize>(&mut self, literal: &[u8; N]) -> bool {
        match self.rest.split_first_chunk::<N>() {
            Some((found, rest)) if found == literal => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// A whole number of at most 18 digits, which cannot overflow.
    #[inline(always)]
    pub(super) fn number(&mut self) -> Option<i64> {
        let digit = |b: u8| i64::from(b.wrapping_sub(b'0'));
        // Items of lists are mostly so short that counting digits takes longer than reading them.
        if let [a, b, c, ..] = *self.rest
            && digit(a) < 10
        {
            if digit(b) >= 10 {
                self.advance();
                return Some(digit(a));
            } else if digit(c) >= 10 && a != b'0' {
                self.rest = &self.rest[2..];
                return Some(10 * digit(a) + digit(b));
            }
        }
        match self.skip(b"-") {
            false => self.natural().map(|n| n as i64),
            true => self.natural().filter(|n| *n != 0).map(|n| -(n as i64)),
        }
    }

    /// A number without a sign or needless zeros, eight digits at a time.
    #[inline(always)]
    pub(super) fn natural(&mut self) -> Option<u64> {
        let zero = self.peek()? == b'0';
        let (count, n) = self.digits();
        match count {
            0 => None,
            8 => self.longer(n),
            _ => Some(n),
        }
        .filter(|_| !zero || count == 1)
    }

    /// Goes on with a number of which eight digits were read.
    fn longer(&mut self, mut n: u64) -> Option<u64> {
        const POWERS: [u64; 9] =
            [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
        let mut digits = 8;
        for power in [8, 16] {
            let (count, more) = self.digits();
            digits += count;
            n = n.wrapping_mul(POWERS[count]).wrapping_add(more);
            if digits < power + 8 {
                break;
            }
        }
        (digits <= 18).then_some(n)
    }

    /// Passes over up to eight digits; gives how many there are, and their number.
    #[inline]
    fn digits(&mut self) -> (usize, u64) {
        let (count, n) = digits::read(self.eight());
        self.rest = &self.rest[count..];
        (count, n)
    }

    /// The next eight bytes; zeros where there are none.
    #[inline]
    fn eight(&self) -> [u8; 8] {
        match self.rest.first_chunk() {
            Some(eight) => *eight,
            None => self.last_bytes(),
        }
    }

    #[cold]
    fn last_bytes(&self) -> [u8; 8] {
        let mut eight = [0; 8];
        eight[..self.rest.len()].copy_from_slice(self.rest);
        eight
    }

    /// A word of at most seven letters, and its end.
    #[inline]
    pub(super) fn short<E: Ends>(&mut self) -> Option<Short> {
        let word = Short::before(self.eight(), E::BELOW)?;
        self.rest = self.rest.get(word.len()..)?;
        E::end(self)?;
        Some(word)
    }

    /// What a word stands for: one that was met not long ago is found by its letters, any other
    /// by `find`.
    #[inline]
    pub(super) fn known<E: Ends, T: Copy>(
        &mut self,
        recent: &mut Recent<T>,
        find: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let before = *self;
        if let Some(found) = self.short::<E>().and_then(|word| recent.get(word)) {
            return Some(found);
        }
        *self = before;
        self.find::<E, T>(recent, find)
    }

    #[inline(never)]
    fn find<E: Ends, T: Copy>(
        &mut self,
        recent: &mut Recent<T>,
        find: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let text = E::rest(self)?;
        let found = find(text)?;
        if let Some(word) = Short::of(text) {
            recent.keep(word, found);
        }
        Some(found)
    }

    /// Text in quotes, without any escapes.
    #[inline]
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        self.byte(b'"')?;
        Quoted::rest(self)
    }

    /// What stands before the first byte of which `ends` holds.
    #[inline]
    pub(super) fn until(&mut self, ends: impl Fn(u8) -> bool) -> Option<&'a [u8]> {
        let length = self.rest.iter().position(|b| ends(*b))?;
        let (passed, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(passed)
    }

    /// The rest of a list of numbers in JSON, whose bracket was passed; they are added to `out`.
    pub(super) fn json_numbers(&mut self, out: &mut Vec<i64>) -> Option<()> {
        self.json_rest(|cursor| {
            out.push(cursor.number()?);
            Some(())
        })
    }

    /// The rest of a list of numbers with one `separator` between each, whose bracket was passed;
    /// where it is another list, the place stays as it was.
    #[inline]
    pub(super) fn numbers(&mut self, words: &mut Words, separator: u8) -> Option<Word> {
        let before = self.rest;
        let list = words.list_of(|| self.next_number(separator));
        if list.is_none() {
            self.rest = before;
        }
        list
    }

    /// The same of a list that a key has.
    #[inline]
    pub(super) fn grown_numbers(
        &mut self,
        words: &mut Words,
        key: Word,
        separator: u8,
    ) -> Option<Word> {
        let before = self.rest;
        let begins = words.grown.beginning(key, before);
        let begins = begins.and_then(|begins| Some((begins, *before.get(begins.bytes)?)));
        let (list, known) = match begins {
            Some((begins, b']')) => {
                self.rest = &before[begins.bytes + 1..];
                return Some(words.list_again(begins));
            }
            Some((begins, end)) if end == separator => {
                self.rest = &before[begins.bytes + 1..];
                let next = || self.next_number(separator);
                (words.grown_list_of(begins, next), begins.bytes)
            }
            _ => (self.numbers(words, separator), 0),
        };
        match list {
            Some(list) => {
                let read = before.len() - self.rest.len() - 1;
                words.keep_grown(key, list, &before[..read], known);
            }
            None => self.rest = before,
        }
        list
    }

    /// A number of a list, and whether it is the last one.
    #[inline(always)]
    fn next_number(&mut self, separator: u8) -> Option<(i64, bool)> {
        let n = self.number()?;
        let last = match self.peek()? {
            b']' => true,
            other => (other == separator).then_some(false)?,
        };
        self.advance();
        Some((n, last))
    }

    /// The rest of a list in JSON, whose bracket was passed, item by item.
    #[inline]
    fn json_rest(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if self.skip(b"]") {
            return Some(());
        }
        loop {
            item(self)?;
            match self.peek()? {
                b',' => self.advance(),
                b']' => {
                    self.advance();
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// A value in JSON as this crate writes it; the items of open lists stand on the stack.
    #[inline]
    pub(super) fn json(
        &mut self,
        words: &mut Words,
        stack: &mut Vec<Word>,
        depth: usize,
    ) -> Option<Word> {
        match self.peek()? {
            b'0'..=b'9' | b'-' => Some(words.int(self.number()?)),
            b'"' => {
                self.advance();
                words.text::<Quoted>(self)
            }
            b'[' => {
                self.advance();
                let quick = match self.peek()? {
                    b'[' => self.transaction::<Json>(words, stack),
                    _ => self.numbers(words, b','),
                };
                if quick.is_some() {
                    return quick;
                }
                let from = stack.len();
                self.json_items(words, stack, depth)?;
                let list = words.list(&stack[from..]);
                stack.truncate(from);
                Some(list)
            }
            b'n' => self.literal(b"null").map(|()| Word::NIL),
            b't' => self.literal(b"true").map(|()| Word::boolean(true)),
            b'f' => self.literal(b"false").map(|()| Word::boolean(false)),
            b'{' if self.skip(b"{\"set\":[") => {
                let mut numbers = Vec::new();
                self.json_numbers(&mut numbers)?;
                self.literal(b"}")?;
                numbers.is_sorted().then(|| words.set(&numbers))
            }
            b'{' if self.skip(b"{\"map\":[") => self.json_map(words, stack, depth),
            _ => None,
        }
    }

    fn json_items(&mut self, words: &mut Words, stack: &mut Vec<Word>, depth: usize) -> Option<()> {
        if depth == DEPTH_MAX {
            return None;
        }
        self.json_rest(|cursor| {
            let item = cursor.json(words, stack, depth + 1)?;
            stack.push(item);
            Some(())
        })
    }

    /// The pairs of a map, of which all brackets were passed that are open.
    fn json_map(&mut self, words: &mut Words, stack: &mut Vec<Word>, depth: usize) -> Option<Word> {
        let from = stack.len();
        while !self.skip(b"]") {
            if stack.len() > from {
                self.literal(b",")?;
            }
            let pair = stack.len();
            self.literal(b"[")?;
            self.json_items(words, stack, depth)?;
            if stack.len() != pair + 2 {
                return None;
            }
        }
        self.literal(b"}")?;
        let map = words.map(&stack[from..]);
        stack.truncate(from);
        Some(map)
    }
}
