//! Values as words of 64 bits: small ones as they are, text by its number, lists in an arena.

use super::cursor::{Cursor, Ends};
use super::hash::{FastMap, mix};
use super::texts::Texts;
use super::view::View;
use crate::op::{Name, Value};

/// A value as one word. Whole numbers have a low bit of zero; everything else has a form in the
/// next three bits and, above these, a number or a place in the arena.
///
/// Equal words of one history are equal values. The converse holds for all values but lists,
/// maps and sets: text and large numbers are interned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Word(i64);

/// What a word that is no small number is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Simple = 0,
    Text = 1,
    Int = 2,
    List = 3,
    Map = 4,
    /// A set within another value.
    Set = 5,
    /// A set that is the value of an event, and so stands in the column of sets.
    Read = 6,
}

const FORMS: [Form; 7] =
    [Form::Simple, Form::Text, Form::Int, Form::List, Form::Map, Form::Set, Form::Read];

impl Word {
    pub(crate) const NIL: Word = Word(0b0001);
    const FALSE: Word = Word(0b01_0001);
    const TRUE: Word = Word(0b10_0001);

    /// A number that fits, with its low bit of zero.
    fn small(n: i64) -> Option<Word> {
        let word = n << 1;
        (word >> 1 == n).then_some(Word(word))
    }

    /// The length of a list, before its items.
    fn length(length: usize) -> Word {
        Word((length as i64) << 1)
    }

    pub(super) fn boolean(b: bool) -> Word {
        if b { Word::TRUE } else { Word::FALSE }
    }

    pub(super) fn of(form: Form, place: usize) -> Word {
        Word((place as i64) << 4 | (form as i64) << 1 | 1)
    }

    /// The number, where it is a small one.
    pub(crate) fn as_small(self) -> Option<i64> {
        (self.0 & 1 == 0).then_some(self.0 >> 1)
    }

    /// The form and the number above it, where this is no small number.
    pub(super) fn parts(self) -> Option<(Form, usize)> {
        let form = FORMS.get((self.0 as usize >> 1) & 7);
        form.filter(|_| self.0 & 1 == 1).map(|form| (*form, (self.0 >> 4) as usize))
    }

    /// Equal for equal words only.
    pub(crate) fn bits(self) -> u64 {
        self.0 as u64
    }

    /// Do other words stand for the same value? Then it must be compared item by item.
    pub(crate) fn is_compound(self) -> bool {
        self.0 & 1 == 1 && (self.0 >> 1) & 7 >= Form::List as i64
    }
}

/// What the words of a history stand for.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    /// Each list or map as its length and its items; those of a map are keys and values by turns.
    arena: Vec<Word>,
    /// Each set within another value as its size and its numbers.
    numbers: Vec<i64>,
    texts: Texts,
    /// Whole numbers of more than 63 bits.
    large: Vec<i64>,
    large_ids: FastMap<i64, u32>,
}

impl Words {
    #[inline]
    pub(super) fn int(&mut self, n: i64) -> Word {
        match Word::small(n) {
            Some(word) => word,
            None => self.large(n),
        }
    }

    #[cold]
    fn large(&mut self, n: i64) -> Word {
        let id = *self.large_ids.entry(n).or_insert_with(|| {
            self.large.push(n);
            self.large.len() as u32 - 1
        });
        Word::of(Form::Int, id as usize)
    }

    /// The word of a text that is shared.
    pub(super) fn name(&mut self, text: &Name) -> Word {
        Word::of(Form::Text, self.texts.name(text) as usize)
    }

    /// The word of the text that stands at the cursor, unless it is none.
    #[inline]
    pub(super) fn text<E: Ends>(&mut self, cursor: &mut Cursor<'_>) -> Option<Word> {
        Some(Word::of(Form::Text, self.texts.read::<E>(cursor)? as usize))
    }

    /// The word of a value, sets included.
    pub(super) fn value(&mut self, value: &Value) -> Word {
        match value {
            Value::Nil => Word::NIL,
            Value::Bool(b) => Word::boolean(*b),
            Value::Int(n) => self.int(*n),
            Value::Text(text) => self.name(text),
            Value::Set(set) => self.set(set.as_slice()),
            Value::List(items) => {
                let place = self.reserve(items.len(), items.len());
                for (i, item) in items.iter().enumerate() {
                    self.arena[place + 1 + i] = self.value(item);
                }
                Word::of(Form::List, place)
            }
            Value::Map(entries) => {
                let place = self.reserve(entries.len(), 2 * entries.len());
                for (i, (key, value)) in entries.iter().enumerate() {
                    self.arena[place + 1 + 2 * i] = self.value(key);
                    self.arena[place + 2 + 2 * i] = self.value(value);
                }
                Word::of(Form::Map, place)
            }
        }
    }

    fn reserve(&mut self, length: usize, words: usize) -> usize {
        let place = self.arena.len();
        self.arena.push(Word::length(length));
        self.arena.resize(place + 1 + words, Word::NIL);
        place
    }

    /// The word of a set within another value, from ascending numbers.
    pub(super) fn set(&mut self, numbers: &[i64]) -> Word {
        let place = self.numbers.len();
        self.numbers.push(numbers.len() as i64);
        self.numbers.extend_from_slice(numbers);
        Word::of(Form::Set, place)
    }

    /// The word of a list of words.
    pub(super) fn list(&mut self, items: &[Word]) -> Word {
        let place = self.reserve(items.len(), 0);
        self.arena.extend_from_slice(items);
        Word::of(Form::List, place)
    }

    /// The word of a list of three words.
    #[inline]
    pub(super) fn triple(&mut self, [a, b, c]: [Word; 3]) -> Word {
        let place = self.arena.len();
        self.arena.extend_from_slice(&[Word::length(3), a, b, c]);
        Word::of(Form::List, place)
    }

    /// The word of a list of numbers: `next` gives each, and whether it is the last one. Nothing
    /// is kept where it gives `None`.
    #[inline(always)]
    pub(super) fn list_of(
        &mut self,
        mut next: impl FnMut() -> Option<(i64, bool)>,
    ) -> Option<Word> {
        let place = self.arena.len();
        self.arena.push(Word::length(0));
        loop {
            let Some((n, last)) = next() else {
                self.arena.truncate(place);
                return None;
            };
            let word = self.int(n);
            self.arena.push(word);
            if last {
                self.arena[place] = Word::length(self.arena.len() - place - 1);
                return Some(Word::of(Form::List, place));
            }
        }
    }

    /// How much is kept, for [`Words::rewind`].
    pub(super) fn mark(&self) -> (usize, usize) {
        (self.arena.len(), self.numbers.len())
    }

    /// Forgets the lists, maps and sets since a mark, of which no word may be in use.
    pub(super) fn rewind(&mut self, (arena, numbers): (usize, usize)) {
        self.arena.truncate(arena);
        self.numbers.truncate(numbers);
    }

    /// The word of a map, from keys and values by turns.
    pub(super) fn map(&mut self, entries: &[Word]) -> Word {
        let place = self.reserve(entries.len() / 2, 0);
        self.arena.extend_from_slice(entries);
        Word::of(Form::Map, place)
    }

    /// What a word stands for, unless that is in the column of sets.
    pub(super) fn view(&self, word: Word) -> View<'_> {
        let Some((form, place)) = word.parts() else { return View::Int(word.0 >> 1) };
        let items = |width: usize| {
            let length = self.arena[place].0 as usize / 2 * width;
            &self.arena[place + 1..place + 1 + length]
        };
        match form {
            Form::Simple if word == Word::NIL => View::Nil,
            Form::Simple => View::Bool(word == Word::TRUE),
            Form::Text => View::Text(self.texts.get(place)),
            Form::Int => View::Int(self.large[place]),
            Form::List => View::list(self, items(1)),
            Form::Map => View::map(self, items(2)),
            Form::Set => {
                let size = self.numbers[place] as usize;
                View::Set(&self.numbers[place + 1..place + 1 + size])
            }
            Form::Read => unreachable!("sets within values stand in the arena"),
        }
    }

    /// The number that a word stands for, where it is one.
    pub(super) fn as_int(&self, word: Word) -> Option<i64> {
        if let Some(n) = word.as_small() {
            return Some(n);
        }
        match word.parts() {
            Some((Form::Int, id)) => Some(self.large[id]),
            _ => None,
        }
    }

    /// Equal for words that stand for the same value.
    pub(super) fn hash(&self, word: Word) -> u64 {
        match (word.is_compound(), self.view(word)) {
            (true, View::List(items)) => self.hash_all(1, items.words()),
            (true, View::Map(entries)) => self.hash_all(2, entries.words()),
            (true, View::Set(numbers)) => hash_numbers(numbers),
            _ => mix(0, word.bits()),
        }
    }

    fn hash_all(&self, seed: u64, items: &[Word]) -> u64 {
        let seed = mix(seed, items.len() as u64);
        items.iter().fold(seed, |hash, item| mix(hash, self.hash(*item)))
    }

    /// Do both stand for the same value?
    pub(super) fn same(&self, a: Word, b: Word) -> bool {
        let all = |a: &[Word], b: &[Word]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.same(*a, *b))
        };
        if a == b || !a.is_compound() || !b.is_compound() {
            return a == b;
        }
        match (self.view(a), self.view(b)) {
            (View::List(a), View::List(b)) => all(a.words(), b.words()),
            (View::Map(a), View::Map(b)) => all(a.words(), b.words()),
            (View::Set(a), View::Set(b)) => a == b,
            _ => false,
        }
    }

    /// The word of a text, where it occurs.
    pub(super) fn find(&self, text: &str) -> Option<Word> {
        self.texts.find(text).map(|id| Word::of(Form::Text, id as usize))
    }
}

pub(super) fn hash_numbers(numbers: &[i64]) -> u64 {
    numbers.iter().fold(mix(3, numbers.len() as u64), |hash, n| mix(hash, *n as u64))
}
