//! Values as words of 64 bits: small ones as they are, text by its number, lists in an arena.

use super::cells::{Cell, Cells, Kept};
use super::cursor::{Cursor, Ends};
use super::grown::{Beginning, Grown};
use super::hash::{FastMap, mix};
use super::texts::Texts;
use super::view::View;
use super::word::{Form, Word};
use crate::op::{Name, Value};

/// What the words of a history stand for.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    /// Segments that others filled, and the one that is being filled.
    sealed: Vec<Segment>,
    current: Segment,
    /// The place at which the current segment begins.
    base: usize,
    texts: Texts,
    /// Whole numbers of more than 63 bits.
    large: Vec<i64>,
    large_ids: FastMap<i64, u32>,
    /// What is in the current segment of lists that will be longer.
    pub(super) grown: Grown,
    /// The function of micro-operations that read, for [`Words::asked`].
    pub(super) reads: Option<Cell>,
}

/// Where lists, maps and sets stand. Places have the number of the segment above
/// [`SEGMENT_SHIFT`], so that several threads can each fill one.
#[derive(Clone, Debug, Default)]
pub(super) struct Segment {
    /// Each list or map as its length and its items; those of a map are keys and values by turns.
    arena: Vec<Word>,
    /// Each set within another value as its size and its numbers.
    numbers: Vec<i64>,
    cells: Vec<Cell>,
}

const SEGMENT_SHIFT: u32 = 36;

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
                    let word = self.value(item);
                    self.current.arena[place + 1 + i] = word;
                }
                Word::of(Form::List, self.here(place))
            }
            Value::Map(entries) => {
                let place = self.reserve(entries.len(), 2 * entries.len());
                for (i, (key, value)) in entries.iter().enumerate() {
                    let (key, value) = (self.value(key), self.value(value));
                    self.current.arena[place + 1 + 2 * i] = key;
                    self.current.arena[place + 2 + 2 * i] = value;
                }
                Word::of(Form::Map, self.here(place))
            }
        }
    }

    fn reserve(&mut self, length: usize, words: usize) -> usize {
        let arena = &mut self.current.arena;
        let place = arena.len();
        arena.push(Word::length(length));
        arena.resize(place + 1 + words, Word::NIL);
        place
    }

    /// A place in the current segment as a place among all.
    #[inline]
    pub(super) fn here(&self, place: usize) -> usize {
        self.base | place
    }

    /// The cells from a place on, to be changed.
    pub(super) fn cells_at_mut(&mut self, place: usize) -> &mut [Cell] {
        let number = place >> SEGMENT_SHIFT;
        let segment = match number == self.base >> SEGMENT_SHIFT {
            true => &mut self.current,
            false => &mut self.sealed[number - 1],
        };
        &mut segment.cells[place & ((1 << SEGMENT_SHIFT) - 1)..]
    }

    /// The segment of a place, and the place in it.
    #[inline]
    fn segment(&self, place: usize) -> (&Segment, usize) {
        let number = place >> SEGMENT_SHIFT;
        let segment = match number == self.base >> SEGMENT_SHIFT {
            true => &self.current,
            false => &self.sealed[number - 1],
        };
        (segment, place & ((1 << SEGMENT_SHIFT) - 1))
    }

    #[inline]
    pub(super) fn cells(&mut self) -> &mut Vec<Cell> {
        &mut self.current.cells
    }

    /// The cells from a place on.
    #[inline]
    pub(super) fn cells_at(&self, place: usize) -> &[Cell] {
        let (segment, place) = self.segment(place);
        &segment.cells[place..]
    }

    /// The word of a set within another value, from ascending numbers.
    pub(super) fn set(&mut self, numbers: &[i64]) -> Word {
        let place = self.current.numbers.len();
        self.current.numbers.push(numbers.len() as i64);
        self.current.numbers.extend_from_slice(numbers);
        Word::of(Form::Set, self.here(place))
    }

    /// The word of a list of words.
    pub(super) fn list(&mut self, items: &[Word]) -> Word {
        if let Some(word) = self.short_list(items) {
            return word;
        }
        let place = self.reserve(items.len(), 0);
        self.current.arena.extend_from_slice(items);
        Word::of(Form::List, self.here(place))
    }

    /// The word of a list of numbers: `next` gives each, and whether it is the last one. Nothing
    /// is kept where it gives `None`.
    #[inline(always)]
    pub(super) fn list_of(
        &mut self,
        mut next: impl FnMut() -> Option<(i64, bool)>,
    ) -> Option<Word> {
        let place = self.current.cells.len();
        self.current.cells.push(Cell(0));
        self.rest_of_list(place, &mut next)
    }

    /// The list of a beginning alone: the one that it was found in.
    #[inline]
    pub(super) fn list_again(&self, begins: Beginning) -> Word {
        Word::kept(Kept::List, self.here(begins.place - 1))
    }

    /// The list of a beginning and of what `next` gives.
    #[inline]
    pub(super) fn grown_list_of(
        &mut self,
        begins: Beginning,
        mut next: impl FnMut() -> Option<(i64, bool)>,
    ) -> Option<Word> {
        let place = self.current.cells.len();
        self.current.cells.push(Cell(0));
        let items = begins.place..begins.place + begins.count;
        self.current.cells.extend_from_within(items);
        self.rest_of_list(place, &mut next)
    }

    /// The rest of a list that begins at `place` in the cells.
    #[inline(always)]
    fn rest_of_list(
        &mut self,
        place: usize,
        next: &mut impl FnMut() -> Option<(i64, bool)>,
    ) -> Option<Word> {
        loop {
            let Some((n, last)) = next() else {
                self.current.cells.truncate(place);
                return None;
            };
            match Cell::int(n) {
                Some(cell) => self.current.cells.push(cell),
                None => return self.wide_list_of(place, (n, last), next),
            }
            if last {
                let length = self.current.cells.len() - place - 1;
                self.current.cells[place] = Cell::length(length);
                return Some(Word::kept(Kept::List, self.here(place)));
            }
        }
    }

    /// The same with a number that does not fit into a cell behind those that begin at `place`.
    #[cold]
    #[inline(never)]
    fn wide_list_of(
        &mut self,
        place: usize,
        first: (i64, bool),
        next: &mut impl FnMut() -> Option<(i64, bool)>,
    ) -> Option<Word> {
        let mut items: Vec<Word> =
            self.current.cells[place + 1..].iter().map(|cell| cell.word()).collect();
        self.current.cells.truncate(place);
        let (mut n, mut last) = first;
        loop {
            items.push(self.int(n));
            if last {
                return Some(self.list(&items));
            }
            (n, last) = next()?;
        }
    }

    /// The words of segment `number`, which knows the texts and numbers that these know.
    pub(super) fn segment_of(&self, number: usize) -> Words {
        Words {
            base: number << SEGMENT_SHIFT,
            texts: self.texts.clone(),
            large: self.large.clone(),
            large_ids: self.large_ids.clone(),
            ..Words::default()
        }
    }

    /// How many texts and large numbers are known.
    pub(super) fn interned(&self) -> [usize; 2] {
        [self.texts.len(), self.large.len()]
    }

    /// Do all texts and numbers of both fit into cells, whatever their numbers will be?
    pub(super) fn has_room_for(&self, other: &Words) -> bool {
        let both = self.interned().into_iter().zip(other.interned());
        both.into_iter().all(|(here, there)| here + there <= Cell::ID_MAX)
    }

    /// Takes over the next segment, which knew so many texts and numbers at first, and gives what its
    /// words are here.
    pub(super) fn adopt(&mut self, mut other: Words, [texts, large]: [usize; 2]) -> Adopted {
        let texts_here = other.texts.from(texts).iter().map(|text| self.texts.name(text)).collect();
        let large_here = other.large[large..].iter().map(|n| self.int(*n)).collect();
        let adopted = Adopted { texts, texts_here, large, large_here };
        if !adopted.is_same() {
            let Segment { arena, cells, .. } = &mut other.current;
            arena.iter_mut().for_each(|word| *word = adopted.word(*word));
            for cell in cells {
                if let Some(here) = Cell::of(adopted.word(cell.word())) {
                    *cell = here;
                }
            }
        }
        self.sealed.push(other.current);
        adopted
    }

    /// How much is kept, for [`Words::rewind`].
    pub(super) fn mark(&self) -> Mark {
        let Segment { arena, numbers, cells } = &self.current;
        Mark { arena: arena.len(), numbers: numbers.len(), cells: cells.len() }
    }

    /// Forgets the lists, maps and sets since a mark, of which no word may be in use.
    pub(super) fn rewind(&mut self, mark: Mark) {
        self.current.arena.truncate(mark.arena);
        self.current.numbers.truncate(mark.numbers);
        self.current.cells.truncate(mark.cells);
        self.grown.rewind(mark.cells);
    }

    /// Keeps a list of numbers that a key has, of whose text so many bytes were known, for those of the
    /// same key that go on where it ends.
    #[inline]
    pub(super) fn keep_grown(&mut self, key: Word, list: Word, text: &[u8], known: usize) {
        // A place before the current segment's is none of this one.
        if let Some((Kept::List, place)) = list.cells_place()
            && let Some(place) = place.checked_sub(self.base)
        {
            let count = self.current.cells[place].as_length();
            self.grown.keep(key, text, known, place + 1, count);
        }
    }

    /// The word of a map, from keys and values by turns.
    pub(super) fn map(&mut self, entries: &[Word]) -> Word {
        let place = self.reserve(entries.len() / 2, 0);
        self.current.arena.extend_from_slice(entries);
        Word::of(Form::Map, self.here(place))
    }

    /// What a word stands for, unless that is in the column of sets.
    #[inline]
    pub(super) fn view(&self, word: Word) -> View<'_> {
        match word.parts() {
            None => View::Int(word.0 >> 1),
            Some((Form::Cells, place)) => View::cells(self, Cells::view(self, place)),
            Some((form, place)) => self.view_of(word, form, place),
        }
    }

    fn view_of(&self, word: Word, form: Form, place: usize) -> View<'_> {
        let items = |width: usize| {
            let (segment, place) = self.segment(place);
            let length = segment.arena[place].0 as usize / 2 * width;
            &segment.arena[place + 1..place + 1 + length]
        };
        match form {
            Form::Simple if word == Word::NIL => View::Nil,
            Form::Simple => View::Bool(word == Word::TRUE),
            Form::Text => View::Text(self.texts.get(place)),
            Form::Int => View::Int(self.large[place]),
            Form::List => View::list(self, items(1)),
            Form::Map => View::map(self, items(2)),
            Form::Set => {
                let (segment, place) = self.segment(place);
                let size = segment.numbers[place] as usize;
                View::Set(&segment.numbers[place + 1..place + 1 + size])
            }
            Form::Cells => View::cells(self, Cells::view(self, place)),
            Form::Read => unreachable!("sets within values stand in the arena"),
        }
    }

    /// The number that a word stands for, where it is one.
    #[inline]
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
            (true, View::Map(entries)) => self.hash_all(2, entries.words().iter().copied()),
            (true, View::Set(numbers)) => hash_numbers(numbers),
            _ => mix(0, word.bits()),
        }
    }

    fn hash_all(&self, seed: u64, items: impl ExactSizeIterator<Item = Word>) -> u64 {
        let seed = mix(seed, items.len() as u64);
        items.fold(seed, |hash, item| mix(hash, self.hash(item)))
    }

    /// Do both stand for the same value?
    pub(super) fn same(&self, a: Word, b: Word) -> bool {
        if a == b || !a.is_compound() || !b.is_compound() {
            return a == b;
        }
        match (self.view(a), self.view(b)) {
            (View::List(a), View::List(b)) => {
                a.len() == b.len() && a.words().zip(b.words()).all(|(a, b)| self.same(a, b))
            }
            (View::Map(a), View::Map(b)) => {
                let pairs = a.words().iter().zip(b.words());
                a.len() == b.len() && pairs.into_iter().all(|(a, b)| self.same(*a, *b))
            }
            (View::Set(a), View::Set(b)) => a == b,
            _ => false,
        }
    }

    /// The word of a text, where it occurs.
    pub(super) fn find(&self, text: &str) -> Option<Word> {
        self.texts.find(text).map(|id| Word::of(Form::Text, id as usize))
    }
}

/// What the words of a segment are where it was taken over.
pub(super) struct Adopted {
    texts: usize,
    texts_here: Vec<u32>,
    large: usize,
    large_here: Vec<Word>,
}

impl Adopted {
    fn is_same(&self) -> bool {
        let text = |(i, here): (usize, &u32)| self.texts + i == *here as usize;
        let large = |(i, here): (usize, &Word)| Word::of(Form::Int, self.large + i) == *here;
        self.texts_here.iter().enumerate().all(text)
            && self.large_here.iter().enumerate().all(large)
    }

    pub(super) fn word(&self, word: Word) -> Word {
        match word.parts() {
            Some((Form::Text, id)) if id >= self.texts => {
                Word::of(Form::Text, self.texts_here[id - self.texts] as usize)
            }
            Some((Form::Int, id)) if id >= self.large => self.large_here[id - self.large],
            _ => word,
        }
    }
}

/// How much a segment held; see [`Words::mark`].
#[derive(Clone, Copy)]
pub(super) struct Mark {
    arena: usize,
    numbers: usize,
    cells: usize,
}

pub(super) fn hash_numbers(numbers: &[i64]) -> u64 {
    numbers.iter().fold(mix(3, numbers.len() as u64), |hash, n| mix(hash, *n as u64))
}
