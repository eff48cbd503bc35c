//! Dense numbers for keys and for versions (a value under a key).

pub(crate) use fuzz_dist_history::hash::FastMap;
use fuzz_dist_history::hash::mix;
use fuzz_dist_history::op::Value;
use fuzz_dist_history::{List, Word};

/// A number for each of the values seen, in the order of their first appearance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interner {
    ids: FastMap<Value, u32>,
    values: Vec<Value>,
}

impl Interner {
    pub(crate) fn id(&mut self, value: &Value) -> u32 {
        if let Some(id) = self.ids.get(value) {
            return *id;
        }
        let id = self.values.len() as u32;
        self.ids.insert(value.clone(), id);
        self.values.push(value.clone());
        id
    }

    pub(crate) fn get(&self, id: u32) -> &Value {
        &self.values[id as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }
}

/// Words that are equal exactly if the values are: those of the history, where of equal lists the
/// first one stands for all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    /// What the words stand for that are no small numbers.
    values: FastMap<Word, Value>,
    compound: FastMap<Value, Word>,
}

impl Words {
    /// The word for all words that are equal to this one of the list's history.
    #[inline]
    pub(crate) fn word(&mut self, items: List<'_>, word: Word) -> Word {
        match word.as_small() {
            Some(_) => word,
            None => self.other(items, word),
        }
    }

    fn other(&mut self, items: List<'_>, word: Word) -> Word {
        if !word.is_compound() && self.values.contains_key(&word) {
            return word;
        }
        let value = items.view(word).to_value();
        let first = match word.is_compound() {
            true => *self.compound.entry(value.clone()).or_insert(word),
            false => word,
        };
        self.values.entry(first).or_insert(value);
        first
    }

    pub(crate) fn value(&self, word: Word) -> Value {
        match word.as_small() {
            Some(n) => Value::Int(n),
            None => self.values[&word].clone(),
        }
    }
}

/// Whole numbers up to this are found in a table: they are what keys mostly are.
const TABLE: i64 = 1 << 20;

/// Dense numbers of keys, in the order of their first appearance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    /// One more than the number of a key that is a whole number.
    table: Vec<u32>,
    ids: FastMap<Word, u32>,
    keys: Vec<Value>,
}

impl Keys {
    /// The number of the key with this word.
    pub(crate) fn id(&mut self, words: &Words, word: Word) -> u32 {
        let new = self.keys.len() as u32;
        let id = match word.as_small() {
            Some(n @ 0..TABLE) => {
                if self.table.len() <= n as usize {
                    self.table.resize((n as usize + 1).next_power_of_two(), 0);
                }
                let id = &mut self.table[n as usize];
                if *id == 0 {
                    *id = new + 1;
                }
                *id - 1
            }
            _ => *self.ids.entry(word).or_insert(new),
        };
        if id == new {
            self.keys.push(words.value(word));
        }
        id
    }

    pub(crate) fn get(&self, id: u32) -> &Value {
        &self.keys[id as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}

/// From (key, word) to a dense number: open addressing over cells of 4 bytes, since of many versions
/// the table does not fit into the caches. A cell has a number and, in the bits that numbers leave
/// free, some of the hash, so that hardly any other cell is taken for the one that is looked for.
#[derive(Clone, Debug)]
pub(crate) struct Versions {
    /// One more than the number, and bits of the hash above those of `mask`; 0 is free.
    cells: Vec<u32>,
    /// One less than the number of cells, a power of two.
    mask: u32,
    words: Vec<Word>,
    keys: Vec<u32>,
}

/// The bits of the hash that can stand in a cell; in tests so few that different versions share them.
const HASH: u32 = if cfg!(test) { 3 << 30 } else { u32::MAX };

impl Default for Versions {
    fn default() -> Versions {
        Versions { cells: vec![0; 16], mask: 15, words: Vec::new(), keys: Vec::new() }
    }
}

impl Versions {
    /// Makes room for so many, so that the table does not have to grow step by step.
    pub(crate) fn expect(&mut self, count: usize) {
        while self.cells.len() * 3 < count * 4 {
            self.resize((count * 4 / 3 + 1).next_power_of_two());
        }
        self.words.reserve(count.saturating_sub(self.words.len()));
        self.keys.reserve(count.saturating_sub(self.keys.len()));
    }

    pub(crate) fn id(&mut self, key: u32, word: Word) -> u32 {
        if self.words.len() * 4 >= self.cells.len() * 3 {
            self.resize(self.cells.len() * 2);
        }
        let (mut at, some) = self.home(key, word);
        loop {
            let cell = self.cells[at];
            if cell == 0 {
                let id = self.words.len() as u32;
                self.cells[at] = some | (id + 1);
                self.words.push(word);
                self.keys.push(key);
                return id;
            }
            if cell & !self.mask == some {
                let id = (cell & self.mask) - 1;
                if self.words[id as usize] == word && self.keys[id as usize] == key {
                    return id;
                }
            }
            at = (at + 1) & self.mask as usize;
        }
    }

    /// Something of the cell where a look-up begins, so that it is in the cache for one.
    #[inline]
    pub(crate) fn touch(&self, key: u32, word: Word) -> u32 {
        self.cells[self.home(key, word).0]
    }

    pub(crate) fn word(&self, id: u32) -> Word {
        self.words[id as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.words.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        (self.cells.capacity() + self.keys.capacity()) * 4 + self.words.capacity() * 8
    }

    /// Where a look-up begins, and the bits of the hash that stand in the cell.
    #[inline]
    fn home(&self, key: u32, word: Word) -> (usize, u32) {
        let hash = mix(word.bits(), u64::from(key) << 32 | 0x5bd1);
        ((hash as u32 & self.mask) as usize, (hash >> 32) as u32 & HASH & !self.mask)
    }

    fn resize(&mut self, cells: usize) {
        self.cells = vec![0; cells];
        self.mask = (cells - 1) as u32;
        for id in 0..self.words.len() {
            let (mut at, some) = self.home(self.keys[id], self.words[id]);
            while self.cells[at] != 0 {
                at = (at + 1) & self.mask as usize;
            }
            self.cells[at] = some | (id as u32 + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::histories::Recorder;
    use fuzz_dist_random::Seed;

    #[test]
    fn versions_are_numbered_in_the_order_of_their_first_appearance() {
        let mut r = Recorder::new(["n1"]);
        r.invoke(0, "txn", Value::list((0..400).map(Value::Int)));
        let history = r.history();
        let list = history.view(0).and_then(|v| v.as_list()).expect("a list");
        for seed in 0..40 {
            let mut s = Seed(seed).stream("versions");
            let (mut versions, mut known) = (Versions::default(), HashMap::new());
            for _ in 0..3_000 {
                // Few versions of most keys, and many of some.
                let key = if s.chance(0.5) { s.index(3) } else { s.index(300) } as u32;
                let word = list.word(s.index(if seed % 2 == 0 { 400 } else { 14 }));
                versions.touch(key, word);
                let new = known.len() as u32;
                let id = *known.entry((key, word)).or_insert(new);
                assert_eq!(versions.id(key, word), id, "seed {seed}");
                assert_eq!((versions.word(id), versions.len()), (word, known.len()));
            }
        }
    }
}
