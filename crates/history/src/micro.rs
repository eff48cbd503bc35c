//! The micro-operations of transactions, read without a detour: they are most of such histories.

use super::cursor::{Cursor, Ends, Quoted};
use super::word::Word;
use super::words::Words;

/// How values are written.
pub(super) trait Notation {
    /// What stands between the items of a list.
    const SEPARATOR: u8;
    /// How a function that is not in quotes ends, or text that is.
    type Function: Ends;
    /// Passes over what begins a list whose first item is a function.
    fn open(cursor: &mut Cursor<'_>) -> Option<()>;
    fn nil(cursor: &mut Cursor<'_>) -> Option<()>;
}

/// `["append",3,1]`.
pub(super) struct Json;

impl Notation for Json {
    const SEPARATOR: u8 = b',';
    type Function = Quoted;
    #[inline]
    fn open(cursor: &mut Cursor<'_>) -> Option<()> {
        cursor.literal(b"[\"")
    }
    #[inline]
    fn nil(cursor: &mut Cursor<'_>) -> Option<()> {
        cursor.literal(b"null")
    }
}

impl Cursor<'_> {
    /// The rest of a list of micro-operations `[f key value]`, whose bracket was passed; where it
    /// is another list, or one that is not plain, the place stays as it was.
    pub(super) fn transaction<N: Notation>(
        &mut self,
        words: &mut Words,
        stack: &mut Vec<Word>,
    ) -> Option<Word> {
        let (before, mark, from) = (*self, words.mark(), stack.len());
        let read = self.micro_ops::<N>(words, stack);
        let list = read.map(|()| words.transaction(&stack[from..]));
        stack.truncate(from);
        if list.is_none() {
            *self = before;
            words.rewind(mark);
        }
        list
    }

    fn micro_ops<N: Notation>(&mut self, words: &mut Words, stack: &mut Vec<Word>) -> Option<()> {
        loop {
            N::open(self)?;
            let f = words.text::<N::Function>(self)?;
            self.byte(N::SEPARATOR)?;
            let key = self.part::<N>(words)?;
            self.byte(N::SEPARATOR)?;
            let value = self.value_of::<N>(words, key)?;
            self.byte(b']')?;
            stack.extend_from_slice(&[f, key, value]);
            match self.peek()? {
                b']' => {
                    self.advance();
                    return Some(());
                }
                _ => self.byte(N::SEPARATOR)?,
            }
        }
    }

    /// A value of a key: a list mostly begins as the last one of the same key.
    #[inline]
    fn value_of<N: Notation>(&mut self, words: &mut Words, key: Word) -> Option<Word> {
        if self.peek()? != b'[' {
            return self.part::<N>(words);
        }
        self.advance();
        match self.skip(b"]") {
            true => Some(words.list(&[])),
            false => self.grown_numbers(words, key, N::SEPARATOR),
        }
    }

    /// A key, or a value: whoever asks looks at what follows.
    #[inline]
    fn part<N: Notation>(&mut self, words: &mut Words) -> Option<Word> {
        match self.peek()? {
            b'0'..=b'9' | b'-' => Some(words.int(self.number()?)),
            b'[' => {
                self.advance();
                match self.skip(b"]") {
                    true => Some(words.list(&[])),
                    false => self.numbers(words, N::SEPARATOR),
                }
            }
            b'"' => {
                self.advance();
                words.text::<Quoted>(self)
            }
            b'n' => N::nil(self).map(|()| Word::NIL),
            _ => None,
        }
    }
}
