//! Quick reading of the plainest notation; what is not plain is left to a reader that knows all.

use super::words::{Word, Words};

/// Deeper nesting is left to others, too: it would end the stack.
const DEPTH_MAX: usize = 32;

/// A place in a text. Every method gives `None` where something else stands there than is looked
/// for, and then the place is of no use any more.
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8], at: usize) -> Cursor<'a> {
        Cursor { text, at }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    /// Passes over exactly this.
    pub(super) fn literal(&mut self, literal: &[u8]) -> Option<()> {
        let found = self.text.get(self.at..)?.starts_with(literal);
        self.at += literal.len();
        found.then_some(())
    }

    /// Passes over this where it stands here.
    pub(super) fn skip(&mut self, literal: &[u8]) -> bool {
        let found = self.text[self.at..].starts_with(literal);
        self.at += if found { literal.len() } else { 0 };
        found
    }

    /// A whole number of at most 18 digits, which cannot overflow.
    pub(super) fn number(&mut self) -> Option<i64> {
        let negative = self.skip(b"-");
        let n = self.natural()? as i64;
        if negative && n == 0 {
            return None;
        }
        Some(if negative { -n } else { n })
    }

    /// A number without a sign or needless zeros.
    pub(super) fn natural(&mut self) -> Option<u64> {
        let (start, mut n) = (self.at, 0u64);
        while let Some(digit) = self.peek().map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
            n = n.wrapping_mul(10).wrapping_add(digit.into());
            self.at += 1;
        }
        let digits = self.at - start;
        let plain = (1..=18).contains(&digits) && (digits == 1 || self.text[start] != b'0');
        plain.then_some(n)
    }

    /// Text in quotes, without any escapes.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        self.literal(b"\"")?;
        let text = self.until(|b| b == b'"' || b == b'\\' || b < 0x20)?;
        self.literal(b"\"")?;
        std::str::from_utf8(text).ok()
    }

    /// What stands before the first byte of which `ends` holds.
    pub(super) fn until(&mut self, ends: impl Fn(u8) -> bool) -> Option<&'a [u8]> {
        let rest = self.text.get(self.at..)?;
        let length = rest.iter().position(|b| ends(*b))?;
        self.at += length;
        Some(&rest[..length])
    }

    /// The rest of a list of numbers in JSON, whose bracket was passed; they are added to `out`.
    pub(super) fn json_numbers(&mut self, out: &mut Vec<i64>) -> Option<()> {
        self.json_rest(|cursor| {
            out.push(cursor.number()?);
            Some(())
        })
    }

    /// The rest of a list in JSON, whose bracket was passed, item by item.
    fn json_rest(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if self.skip(b"]") {
            return Some(());
        }
        loop {
            item(self)?;
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// A value in JSON as this crate writes it; the items of open lists stand on the stack.
    pub(super) fn json(
        &mut self,
        words: &mut Words,
        stack: &mut Vec<Word>,
        depth: usize,
    ) -> Option<Word> {
        if depth == DEPTH_MAX {
            return None;
        }
        match self.peek()? {
            b'n' => self.literal(b"null").map(|()| Word::NIL),
            b't' => self.literal(b"true").map(|()| Word::boolean(true)),
            b'f' => self.literal(b"false").map(|()| Word::boolean(false)),
            b'"' => Some(words.text(self.text()?)),
            b'[' => {
                self.at += 1;
                let from = stack.len();
                self.json_items(words, stack, depth)?;
                let list = words.list(&stack[from..]);
                stack.truncate(from);
                Some(list)
            }
            b'{' if self.skip(b"{\"set\":[") => {
                let mut numbers = Vec::new();
                self.json_numbers(&mut numbers)?;
                self.literal(b"}")?;
                numbers.is_sorted().then(|| words.set(&numbers))
            }
            b'{' if self.skip(b"{\"map\":[") => self.json_map(words, stack, depth),
            _ => Some(words.int(self.number()?)),
        }
    }

    fn json_items(&mut self, words: &mut Words, stack: &mut Vec<Word>, depth: usize) -> Option<()> {
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
