//! Elements of sets as dense numbers, in the order in which their adds were invoked.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::super::calls::{Outcome, calls};
use super::NONE;
use crate::history::History;
use crate::op::{Process, Value};

/// The adds of a history by element; the element's number is the place in each list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Adds {
    /// The invocations.
    pub(crate) invoked: Vec<u32>,
    /// The completions, [`NONE`] where there is none.
    pub(crate) completed: Vec<u32>,
    /// What became of them.
    pub(crate) outcome: Vec<Outcome>,
}

impl Adds {
    /// How many elements were added, or were attempted to be.
    pub(crate) fn len(&self) -> usize {
        self.invoked.len()
    }

    /// The event that acknowledged element `id`, [`NONE`] where none did.
    pub(crate) fn acknowledged(&self, id: usize) -> u32 {
        if self.outcome[id] == Outcome::Acknowledged { self.completed[id] } else { NONE }
    }

    /// The process that added element `id`.
    pub(crate) fn process(&self, history: &History, id: usize) -> Process {
        history.process(self.invoked[id] as usize)
    }
}

/// The numbers of elements. Whole numbers that lie close together are looked up in a table.
#[derive(Debug)]
pub(crate) struct Elements {
    low: i64,
    table: Vec<u32>,
    ints: HashMap<i64, u32, BuildHasherDefault<Mix>>,
    others: HashMap<Value, u32>,
    /// What was read and never added, numbered from the number of adds on.
    strangers: Vec<Value>,
    adds: u32,
}

impl Elements {
    /// Numbers the elements of all invocations of `add`.
    ///
    /// # Errors
    ///
    /// The two invocations that add the same element.
    pub(crate) fn added(history: &History, add: &str) -> Result<(Elements, Adds), (usize, usize)> {
        let mut adds = Adds::default();
        for call in calls(history, &[add]) {
            adds.invoked.push(call.invoked as u32);
            adds.completed.push(call.completed.map_or(NONE, |c| c as u32));
            adds.outcome.push(call.outcome);
        }
        let elements = Elements::number(history, &adds.invoked)?;
        Ok((elements, adds))
    }

    /// Numbers the values of invocations, of which several may be equal; gives the number of
    /// each.
    pub(crate) fn of_values(history: &History, invoked: &[u32]) -> (Elements, Vec<u32>) {
        let mut ints: HashMap<i64, u32, BuildHasherDefault<Mix>> = HashMap::default();
        let mut others: HashMap<Value, u32> = HashMap::new();
        let mut distinct: Vec<u32> = Vec::new();
        let mut ids = Vec::with_capacity(invoked.len());
        for i in invoked {
            let new = || {
                distinct.push(*i);
                distinct.len() as u32 - 1
            };
            // Numbers without a detour by values: they are what most sets consist of.
            let id = match history.int(*i as usize) {
                Some(n) => *ints.entry(n).or_insert_with(new),
                None => *others.entry(history.value(*i as usize)).or_insert_with(new),
            };
            ids.push(id);
        }
        let elements = Elements::number(history, &distinct);
        (elements.unwrap_or_else(|_| unreachable!("the values are distinct")), ids)
    }

    fn number(history: &History, invoked: &[u32]) -> Result<Elements, (usize, usize)> {
        let ints = || invoked.iter().filter_map(|i| history.int(*i as usize));
        let (low, high) = (ints().min().unwrap_or(0), ints().max().unwrap_or(-1));
        let span = i128::from(high) - i128::from(low) + 1;
        let dense = span <= 8 * invoked.len() as i128 + 4096;
        let mut elements = Elements {
            low,
            table: vec![NONE; if dense { span as usize } else { 0 }],
            ints: HashMap::default(),
            others: HashMap::new(),
            strangers: Vec::new(),
            adds: invoked.len() as u32,
        };
        for (id, i) in invoked.iter().enumerate() {
            let former = match history.int(*i as usize) {
                Some(n) => elements.insert_int(n, id as u32),
                None => elements.others.insert(history.value(*i as usize), id as u32),
            };
            if let Some(former) = former {
                return Err((invoked[former as usize] as usize, *i as usize));
            }
        }
        Ok(elements)
    }

    fn insert_int(&mut self, n: i64, id: u32) -> Option<u32> {
        match self.table.get_mut(n.wrapping_sub(self.low) as u64 as usize) {
            Some(slot) => {
                let former = std::mem::replace(slot, id);
                (former != NONE).then_some(former)
            }
            None => self.ints.insert(n, id),
        }
    }

    /// The number of a whole number; a new one where it was never added.
    pub(crate) fn int(&mut self, n: i64) -> u32 {
        if let Some(id) = self.table.get(n.wrapping_sub(self.low) as u64 as usize)
            && *id != NONE
        {
            return *id;
        }
        if let Some(id) = self.ints.get(&n) {
            return *id;
        }
        let id = self.adds + self.strangers.len() as u32;
        self.strangers.push(Value::Int(n));
        self.ints.insert(n, id);
        id
    }

    /// The number of any value; a new one where it was never added.
    pub(crate) fn value(&mut self, value: &Value) -> u32 {
        if let Value::Int(n) = value {
            return self.int(*n);
        }
        if let Some(id) = self.others.get(value) {
            return *id;
        }
        let id = self.adds + self.strangers.len() as u32;
        self.strangers.push(value.clone());
        self.others.insert(value.clone(), id);
        id
    }

    /// How many elements were added or read.
    pub(crate) fn len(&self) -> usize {
        self.adds as usize + self.strangers.len()
    }

    /// Tells the elements that were read and never added, with their numbers.
    pub(crate) fn strangers(&self, mut tell: impl FnMut(usize, &Value)) {
        for (i, value) in self.strangers.iter().enumerate() {
            tell(self.adds as usize + i, value);
        }
    }

    /// The element itself.
    pub(crate) fn name(&self, history: &History, adds: &Adds, id: usize) -> Value {
        match adds.invoked.get(id) {
            Some(i) => history.value(*i as usize),
            None => self.strangers[id - adds.len()].clone(),
        }
    }
}

/// A hasher for whole numbers: one multiplication and a shift (Fibonacci hashing, Knuth, The
/// Art of Computer Programming 3, 6.4), since elements are not chosen by an adversary.
#[derive(Default)]
pub(crate) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.write_u64(u64::from(*b));
        }
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    fn write_i64(&mut self, n: i64) {
        self.write_u64(n as u64);
    }
    fn write_u128(&mut self, n: u128) {
        self.write_u64(n as u64);
        self.write_u64((n >> 64) as u64);
    }
    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }
    fn write_u32(&mut self, n: u32) {
        self.write_u64(u64::from(n));
    }
}
