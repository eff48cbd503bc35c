//! Dense numbers for keys and for versions (a value under a key).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::op::Value;

/// Mixes by folded multiplication: histories are made by tests and not by attackers, and the
/// standard library's hasher would take a third of a check's time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FastHasher(u64);

pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let wide = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b ^ 0xd1b5_4a32_d192_ed03);
    (wide as u64) ^ ((wide >> 64) as u64)
}

impl Hasher for FastHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word) ^ ((chunk.len() as u64) << 56));
        }
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = mix(self.0, n);
    }
    fn write_i64(&mut self, n: i64) {
        self.write_u64(n as u64);
    }
    fn write_isize(&mut self, n: isize) {
        self.write_u64(n as u64);
    }
    fn write_u32(&mut self, n: u32) {
        self.write_u64(n.into());
    }
}

pub(crate) type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<FastHasher>>;

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

/// Values as words: whole numbers as they are, everything else through a table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    others: Interner,
}

impl Words {
    pub(crate) fn word(&mut self, value: &Value) -> u64 {
        match value {
            Value::Int(n) if (-(1 << 62)..1 << 62).contains(n) => (*n as u64) << 1,
            other => u64::from(self.others.id(other)) << 1 | 1,
        }
    }

    pub(crate) fn value(&self, word: u64) -> Value {
        if word & 1 == 0 {
            Value::Int((word as i64) >> 1)
        } else {
            self.others.get((word >> 1) as u32).clone()
        }
    }
}

/// From (key, word) to a dense number: open addressing over cells of 16 bytes, so that a look-up
/// costs one cache line.
#[derive(Clone, Debug)]
pub(crate) struct Versions {
    cells: Vec<Cell>,
    words: Vec<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    word: u64,
    key: u32,
    id: u32,
}

const FREE: Cell = Cell { word: 0, key: 0, id: u32::MAX };

impl Default for Versions {
    fn default() -> Versions {
        Versions { cells: vec![FREE; 16], words: Vec::new() }
    }
}

impl Versions {
    pub(crate) fn id(&mut self, key: u32, word: u64) -> u32 {
        if self.words.len() * 4 >= self.cells.len() * 3 {
            self.grow();
        }
        let mut at = self.home(key, word);
        loop {
            let cell = self.cells[at];
            if cell.id == u32::MAX {
                let id = self.words.len() as u32;
                self.cells[at] = Cell { word, key, id };
                self.words.push(word);
                return id;
            }
            if cell.word == word && cell.key == key {
                return cell.id;
            }
            at = (at + 1) & (self.cells.len() - 1);
        }
    }

    pub(crate) fn word(&self, id: u32) -> u64 {
        self.words[id as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.words.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Cell>() + self.words.capacity() * 8
    }

    fn home(&self, key: u32, word: u64) -> usize {
        mix(word, u64::from(key) << 32 | 0x5bd1) as usize & (self.cells.len() - 1)
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.cells);
        self.cells = vec![FREE; old.len() * 2];
        for cell in old.into_iter().filter(|c| c.id != u32::MAX) {
            let mut at = self.home(cell.key, cell.word);
            while self.cells[at].id != u32::MAX {
                at = (at + 1) & (self.cells.len() - 1);
            }
            self.cells[at] = cell;
        }
    }
}
