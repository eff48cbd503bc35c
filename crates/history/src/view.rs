//! Values of a history, looked at where they stand.

use std::fmt;

use super::cells::Cells;
use super::word::Word;
use super::words::Words;
use crate::op::{IntSet, Name, Value};

/// A value of a history, without a copy of it: what [`Value`] is for values that stand alone.
///
/// ```
/// # use fuzz_dist_history::{History, View};
/// # use fuzz_dist_history::op::*;
/// # use fuzz_dist_history::time::Time;
/// let mut history = History::new(["n1"]);
/// let i = history.push(Event {
///     time: Time(1), process: Process(0), node: None, kind: Kind::Invoke, f: "cas".into(),
///     value: Value::list([1, 2]), error: None, phase: Phase::Main,
/// }).unwrap();
/// let Some(View::List(items)) = history.view(i) else { panic!("a list was recorded") };
/// assert_eq!(items.array().map(|[old, new]| (old.as_int(), new.as_int())), Some((Some(1), Some(2))));
/// ```
#[derive(Clone, Copy, Debug)]
pub enum View<'a> {
    /// Nothing.
    Nil,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Text.
    Text(&'a Name),
    /// A set of whole numbers, ascending, multiplicities kept.
    Set(&'a [i64]),
    /// A list.
    List(List<'a>),
    /// Pairs of keys and values.
    Map(Entries<'a>),
}

/// The items of a list.
#[derive(Clone, Copy)]
pub struct List<'a> {
    words: &'a Words,
    items: Items<'a>,
}

#[derive(Clone, Copy)]
enum Items<'a> {
    Words(&'a [Word]),
    Cells(Cells<'a>),
}

/// The keys and values of a map.
#[derive(Clone, Copy)]
pub struct Entries<'a> {
    words: &'a Words,
    /// Keys and values by turns.
    items: &'a [Word],
}

impl<'a> View<'a> {
    pub(super) fn list(words: &'a Words, items: &'a [Word]) -> View<'a> {
        View::List(List { words, items: Items::Words(items) })
    }

    #[inline]
    pub(super) fn cells(words: &'a Words, cells: Cells<'a>) -> View<'a> {
        View::List(List { words, items: Items::Cells(cells) })
    }

    pub(super) fn map(words: &'a Words, items: &'a [Word]) -> View<'a> {
        View::Map(Entries { words, items })
    }

    /// The number, where this is one.
    pub fn as_int(self) -> Option<i64> {
        if let View::Int(n) = self { Some(n) } else { None }
    }

    /// The truth value, where this is one.
    pub fn as_bool(self) -> Option<bool> {
        if let View::Bool(b) = self { Some(b) } else { None }
    }

    /// The text, where this is one.
    pub fn as_text(self) -> Option<&'a str> {
        if let View::Text(text) = self { Some(text) } else { None }
    }

    /// The items, where this is a list.
    pub fn as_list(self) -> Option<List<'a>> {
        if let View::List(items) = self { Some(items) } else { None }
    }

    /// The items of a list of so many.
    pub fn as_array<const N: usize>(self) -> Option<[View<'a>; N]> {
        self.as_list()?.array()
    }

    /// The value under a text key, where this is a map.
    pub fn get(self, key: &str) -> Option<View<'a>> {
        let View::Map(entries) = self else { return None };
        entries.iter().find(|(k, _)| k.as_text() == Some(key)).map(|(_, v)| v)
    }

    /// Is there nothing?
    pub fn is_nil(self) -> bool {
        matches!(self, View::Nil)
    }

    /// A copy that stands alone.
    pub fn to_value(self) -> Value {
        match self {
            View::Nil => Value::Nil,
            View::Bool(b) => Value::Bool(b),
            View::Int(n) => Value::Int(n),
            View::Text(text) => Value::Text(text.clone()),
            View::Set(numbers) => Value::Set(IntSet::from_sorted(numbers.to_vec())),
            View::List(items) => Value::List(items.iter().map(View::to_value).collect()),
            View::Map(entries) => {
                Value::Map(entries.iter().map(|(k, v)| (k.to_value(), v.to_value())).collect())
            }
        }
    }
}

impl<'a> List<'a> {
    /// How many items there are.
    pub fn len(self) -> usize {
        match self.items {
            Items::Words(items) => items.len(),
            Items::Cells(cells) => cells.len(),
        }
    }

    /// Are there none?
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The items in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = View<'a>> {
        self.words().map(move |word| self.words.view(word))
    }

    /// The items, where there are so many.
    pub fn array<const N: usize>(self) -> Option<[View<'a>; N]> {
        self.word_array().map(|words| words.map(|word| self.words.view(word)))
    }

    /// The items as words.
    #[inline]
    #[doc(hidden)]
    pub fn words(self) -> impl ExactSizeIterator<Item = Word> + Clone + use<'a> {
        (0..self.len()).map(move |i| self.word(i))
    }

    /// The items as words, where there are so many.
    #[inline]
    #[doc(hidden)]
    pub fn word_array<const N: usize>(self) -> Option<[Word; N]> {
        (self.len() == N).then(|| std::array::from_fn(|i| self.word(i)))
    }

    /// Item `i` as a word.
    #[inline]
    #[doc(hidden)]
    pub fn word(self, i: usize) -> Word {
        match self.items {
            Items::Words(items) => items[i],
            Items::Cells(cells) => cells.word(self.words, i),
        }
    }

    /// The parts of item `i`, where that is a list of three.
    #[inline]
    #[doc(hidden)]
    pub fn triple(self, i: usize) -> Option<[Word; 3]> {
        if let Items::Cells(cells) = self.items
            && let Some(parts) = cells.triple(self.words, i)
        {
            return Some(parts);
        }
        self.words.view(self.word(i)).as_list()?.word_array()
    }

    /// The first that `visit` gives for the parts of an item that is a list of three.
    #[inline]
    #[doc(hidden)]
    pub fn find_triple<T>(self, mut visit: impl FnMut([Word; 3]) -> Option<T>) -> Option<T> {
        match self.items {
            // What the items are is looked at once, not for each.
            Items::Cells(cells @ Cells::Transaction(..)) => {
                (0..cells.len()).find_map(|i| visit(cells.triple(self.words, i)?))
            }
            _ => (0..self.len()).find_map(|i| visit(self.triple(i)?)),
        }
    }

    /// Are all items small numbers?
    #[inline]
    #[doc(hidden)]
    pub fn is_numbers(self) -> bool {
        // The lowest bit of no small number is set.
        match self.items {
            Items::Words(items) => items.iter().fold(0, |all, word| all | word.bits()) & 1 == 0,
            Items::Cells(Cells::List(cells)) => {
                cells.iter().fold(0, |all, cell| all | cell.0) & 1 == 0
            }
            Items::Cells(_) => self.words().all(|word| word.as_small().is_some()),
        }
    }

    /// Is it a list of small numbers that stands in cells?
    #[inline]
    #[doc(hidden)]
    pub fn is_short_numbers(self) -> bool {
        matches!(self.items, Items::Cells(Cells::List(_))) && self.is_numbers()
    }

    /// Do both begin alike, as far as the shorter one goes? `None` unless both are lists in cells.
    #[inline]
    #[doc(hidden)]
    pub fn begins_as(self, other: List<'_>) -> Option<bool> {
        let (Items::Cells(Cells::List(a)), Items::Cells(Cells::List(b))) =
            (self.items, other.items)
        else {
            return None;
        };
        // Without an early end several cells are compared at a time.
        Some(a.iter().zip(b).fold(0, |all, (a, b)| all | (a.0 ^ b.0)) == 0)
    }

    /// What a word of this history stands for.
    #[inline]
    #[doc(hidden)]
    pub fn view(self, word: Word) -> View<'a> {
        self.words.view(word)
    }
}

impl<'a> Entries<'a> {
    /// How many there are.
    pub fn len(self) -> usize {
        self.items.len() / 2
    }

    /// Are there none?
    pub fn is_empty(self) -> bool {
        self.items.is_empty()
    }

    /// Keys and values by turns, as words.
    #[doc(hidden)]
    pub fn words(self) -> &'a [Word] {
        self.items
    }

    /// Keys and values in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = (View<'a>, View<'a>)> {
        let pairs = self.items.chunks_exact(2);
        pairs.map(move |pair| (self.words.view(pair[0]), self.words.view(pair[1])))
    }
}

/// As [`Value`] is shown.
impl fmt::Display for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_value().fmt(f)
    }
}

impl fmt::Debug for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Debug for Entries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
