//! Dense numbers for the values and clients of a history, so that checkers work on arrays.

use fuzz_dist_history::hash::FastMap;
use fuzz_dist_history::op::{Process, Value};
use fuzz_dist_history::{ByProcess, Column, History, Word};

/// "No number", "no event" in arrays.
pub(crate) const NONE: u32 = u32::MAX;

/// Numbers values in the order of their first appearance: whole numbers by [`Ints`], others and
/// text by their word, lists and the like by what they hold.
#[derive(Debug)]
pub(crate) struct Dense<'a> {
    history: &'a History,
    ints: Ints,
    words: FastMap<Word, u32>,
    /// By the hash of what the word stands for, or the next number that is free.
    compounds: FastMap<u64, u32>,
    values: Values<'a>,
}

/// The values that have a number, by number.
#[derive(Debug)]
pub(crate) struct Values<'a> {
    history: &'a History,
    /// The bits of words; 0 for the numbers that no word is.
    words: Column<i32, i64>,
    large: FastMap<u32, i64>,
}

impl Values<'_> {
    fn push(&mut self, word: Word) {
        self.words.push(word.bits() as i64);
    }

    fn push_int(&mut self, n: i64) {
        let word = Word::small(n);
        if word.is_none() {
            self.large.insert(self.words.len() as u32, n);
        }
        self.push(word.unwrap_or(Word::of_bits(0)));
    }

    fn word(&self, id: u32) -> Word {
        Word::of_bits(self.words.get(id as usize))
    }

    /// The value of a number.
    pub(crate) fn get(&self, id: u32) -> Value {
        match self.large.get(&id) {
            Some(n) => Value::Int(*n),
            None => self.history.value_of(self.word(id)),
        }
    }
}

impl<'a> Dense<'a> {
    /// Makes room for what is expected, without numbering it yet.
    pub(crate) fn expecting(history: &'a History, expected: Expected) -> Dense<'a> {
        let mut words = Column::default();
        words.reserve(expected.count);
        Dense {
            history,
            ints: Ints::expecting(expected),
            words: FastMap::default(),
            compounds: FastMap::default(),
            values: Values { history, words, large: FastMap::default() },
        }
    }

    /// Makes room for the values of these events.
    pub(crate) fn of_events(history: &'a History, events: &[u32]) -> Dense<'a> {
        Dense::expecting(history, events.iter().map(|i| history.word(*i as usize)).collect())
    }

    /// How many values have a number.
    pub(crate) fn len(&self) -> usize {
        self.values.words.len()
    }

    /// The number of a value; the next one where it is new.
    pub(crate) fn word(&mut self, word: Word) -> u32 {
        match word.as_small() {
            Some(n) => self.int(n),
            None => self.other(word),
        }
    }

    /// The number of the value of an event; the next one where it is new.
    pub(crate) fn event(&mut self, i: usize) -> u32 {
        self.word(self.history.word(i))
    }

    /// The number of a whole number; the next one where it is new.
    pub(crate) fn int(&mut self, n: i64) -> u32 {
        let new = self.len() as u32;
        let slot = self.ints.slot(n);
        if *slot == NONE {
            *slot = new;
            self.values.push_int(n);
        }
        *slot
    }

    /// The number of a whole number, where it has one.
    pub(crate) fn find_int(&self, n: i64) -> Option<u32> {
        Some(self.ints.get(n)).filter(|id| *id != NONE)
    }

    fn other(&mut self, word: Word) -> u32 {
        if let Some(n) = self.history.int_of(word) {
            return self.int(n);
        }
        let new = self.len() as u32;
        let id = match word.is_compound() {
            true => self.compound(word, new),
            false => *self.words.entry(word).or_insert(new),
        };
        if id == new {
            self.values.push(word);
        }
        id
    }

    fn compound(&mut self, word: Word, new: u32) -> u32 {
        let mut hash = self.history.hash_of(word);
        loop {
            let id = *self.compounds.entry(hash).or_insert(new);
            if id == new || self.history.same(self.values.word(id), word) {
                return id;
            }
            hash = hash.wrapping_add(1);
        }
    }

    /// The value of a number.
    pub(crate) fn value(&self, id: u32) -> Value {
        self.values.get(id)
    }

    /// All values by number, without what numbers others.
    pub(crate) fn into_values(self) -> Values<'a> {
        self.values
    }
}

/// How many values there will be, and where the whole numbers among them lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    low: i64,
    high: i64,
    pub(crate) count: usize,
}

impl Default for Expected {
    fn default() -> Expected {
        Expected { low: i64::MAX, high: i64::MIN, count: 0 }
    }
}

impl Expected {
    /// One more value.
    #[inline]
    pub(crate) fn add(&mut self, word: Word) {
        self.count += 1;
        if let Some(n) = word.as_small() {
            (self.low, self.high) = (self.low.min(n), self.high.max(n));
        }
    }
}

impl FromIterator<Word> for Expected {
    fn from_iter<I: IntoIterator<Item = Word>>(words: I) -> Expected {
        let mut expected = Expected::default();
        words.into_iter().for_each(|word| expected.add(word));
        expected
    }
}

/// What is known by whole numbers: by a table where these lie close together, by a hash otherwise.
#[derive(Debug)]
pub(crate) struct Ints {
    low: i64,
    table: Vec<u32>,
    far: FastMap<i64, u32>,
}

impl Ints {
    /// Makes room; others than those that are expected can be kept, too.
    pub(crate) fn expecting(Expected { low, high, count }: Expected) -> Ints {
        let span = i128::from(high) - i128::from(low) + 1;
        let close = (1..=8 * count as i128 + 4096).contains(&span);
        let (near, far) = if close { (span as usize, 0) } else { (0, count) };
        let far = FastMap::with_capacity_and_hasher(far, Default::default());
        Ints { low, table: vec![NONE; near], far }
    }

    /// What is known by a number; [`NONE`] at first.
    #[inline]
    pub(crate) fn slot(&mut self, n: i64) -> &mut u32 {
        match self.table.get_mut(n.wrapping_sub(self.low) as u64 as usize) {
            Some(slot) => slot,
            None => self.far.entry(n).or_insert(NONE),
        }
    }

    /// What is known by a number, [`NONE`] where that is nothing.
    #[inline]
    pub(crate) fn get(&self, n: i64) -> u32 {
        let near = self.table.get(n.wrapping_sub(self.low) as u64 as usize).copied();
        near.or_else(|| self.far.get(&n).copied()).unwrap_or(NONE)
    }

    /// What is known, by ascending numbers.
    pub(crate) fn ascending(&self) -> Vec<(i64, u32)> {
        let near = self.table.iter().enumerate().map(|(i, known)| (self.low + i as i64, *known));
        let far = self.far.iter().map(|(n, known)| (*n, *known));
        let mut all: Vec<(i64, u32)> = near.chain(far).filter(|(_, id)| *id != NONE).collect();
        all.sort_unstable_by_key(|(n, _)| *n);
        all
    }
}

/// Numbers clients in the order of their first appearance.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    numbers: ByProcess,
    count: u32,
}

impl Clients {
    /// The number of a client; the next one where it is new.
    #[inline]
    pub(crate) fn number(&mut self, process: Process) -> usize {
        match self.numbers.get(process.0) {
            Some(number) => number as usize,
            None => self.new_number(process),
        }
    }

    #[cold]
    fn new_number(&mut self, process: Process) -> usize {
        self.numbers.set(process.0, self.count);
        self.count += 1;
        self.count as usize - 1
    }
}

/// The place of a client in a table, which grows as far as is needed.
#[inline]
pub(crate) fn place<T: Default>(table: &mut Vec<T>, number: usize) -> &mut T {
    if table.len() <= number {
        table.resize_with(number + 1, T::default);
    }
    &mut table[number]
}

#[cfg(test)]
mod tests {
    use super::super::histories::Recorder;
    use super::*;
    use fuzz_dist_random::Seed;

    #[test]
    fn equal_values_have_equal_numbers_and_others_have_not() {
        for seed in 0..2_000 {
            let mut s = Seed(seed).stream("dense");
            let far = s.chance(0.5);
            let mut r = Recorder::new(["n1"]);
            for _ in 0..s.index(30) {
                let n = s.below(6) as i64 - 3;
                let value = match s.index(9) {
                    0 => Value::Nil,
                    1 => Value::Bool(n > 0),
                    2 => Value::from(format!("{n}")),
                    3 => Value::list([n, 1]),
                    4 => Value::set([n, 1]),
                    5 => Value::map([("k", n.into())]),
                    6 if far => Value::Int(n << 61),
                    7 => Value::list([Value::set([n])]),
                    _ => Value::Int(n),
                };
                r.invoke(0, "write", value);
                r.done(0);
            }
            let history = r.history();
            let events: Vec<u32> = (0..history.len() as u32).step_by(2).collect();
            let mut dense = Dense::of_events(&history, &events);
            let mut oracle: Vec<Value> = Vec::new();
            for i in events {
                let value = history.value(i as usize);
                let expected = oracle.iter().position(|v| *v == value).unwrap_or_else(|| {
                    oracle.push(value.clone());
                    oracle.len() - 1
                });
                let id = dense.event(i as usize);
                assert_eq!((id as usize, dense.value(id)), (expected, value), "seed {seed}");
            }
            assert_eq!(dense.len(), oracle.len());
        }
    }
}
