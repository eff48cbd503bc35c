//! The column of sets: each read as a difference to the former one of the same node.

use std::borrow::Cow;

use super::hash::FastMap;
use super::runs::{Packed, pack};
use super::word::Form;
use super::{History, NONE};
use crate::op::{IntSet, NodeId};

/// After so many differences in a row, or as soon as they have grown to the size of the set
/// itself, a read is stored whole: putting a read together stays cheap, and all whole reads
/// together cost no more than the differences between them.
const CHAIN_MAX: u32 = 256;

/// A read of a set as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetRead<'a> {
    /// The event whose set this one differs from; `None` where `added` is the whole set.
    pub base: Option<usize>,
    /// What this read has and its base does not, ascending; once for each multiplicity.
    pub added: Cow<'a, [i64]>,
    /// What the base has and this read does not, ascending.
    pub removed: Cow<'a, [i64]>,
    /// The size of the whole set, multiplicities counted.
    pub len: usize,
}

/// A set as a file holds it; whoever gives it has made sure that it makes sense.
pub(super) struct StoredSet<'a> {
    pub(super) event: u32,
    /// The record that this one differs from.
    pub(super) base: Option<u32>,
    pub(super) added: &'a [i64],
    pub(super) removed: &'a [i64],
    pub(super) len: usize,
}

#[derive(Clone, Debug, Default)]
pub(super) struct SetColumn {
    records: Vec<Record>,
    /// The numbers of all records, packed.
    elements: Vec<u8>,
    last: FastMap<(Option<NodeId>, u16), Last>,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    event: u32,
    /// Index of the record that this one differs from.
    base: u32,
    /// Where its numbers begin.
    start: u64,
    added: u32,
    removed: u32,
    len: u32,
}

#[derive(Clone, Debug)]
struct Last {
    record: u32,
    set: IntSet,
    chain: u32,
    changes: usize,
}

impl SetColumn {
    pub(super) fn push(&mut self, event: u32, node: Option<NodeId>, f: u16, set: IntSet) -> u32 {
        let len = set.as_slice().len();
        let key = (node, f);
        let mut next = Last { record: self.records.len() as u32, set, chain: 0, changes: 0 };
        let mut base = None;
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        if let Some(last) = self.last.get(&key).filter(|l| l.chain < CHAIN_MAX) {
            let budget = len.saturating_sub(last.changes);
            if difference(
                last.set.as_slice(),
                next.set.as_slice(),
                &mut added,
                &mut removed,
                budget,
            ) {
                base = Some(last.record);
                next.chain = last.chain + 1;
                next.changes = last.changes + added.len() + removed.len();
            }
        }
        let (added, removed) = match base {
            None => (next.set.as_slice(), &[][..]),
            Some(_) => (&added[..], &removed[..]),
        };
        let id = self.push_stored(StoredSet { event, base, added, removed, len });
        self.last.insert(key, next);
        id
    }

    /// Keeps a set in the form in which a file holds it. The next read of the same node and
    /// function through [`SetColumn::push`] is stored whole.
    pub(super) fn push_stored(&mut self, set: StoredSet<'_>) -> u32 {
        let id = self.records.len() as u32;
        let start = self.elements.len() as u64;
        pack(set.added, &mut self.elements);
        pack(set.removed, &mut self.elements);
        self.records.push(Record {
            event: set.event,
            base: set.base.unwrap_or(NONE),
            start,
            added: set.added.len() as u32,
            removed: set.removed.len() as u32,
            len: set.len as u32,
        });
        id
    }

    pub(super) fn get(&self, id: u32) -> SetRead<'_> {
        let r = self.records[id as usize];
        let mut packed = Packed::new(r.added as usize, &self.elements[r.start as usize..]);
        let added = Cow::Owned(packed.by_ref().collect());
        let removed = Cow::Owned(packed.then(r.removed as usize).collect());
        let base = self.base(id);
        SetRead { base, added, removed, len: r.len as usize }
    }

    /// The event whose set this one differs from.
    pub(super) fn base(&self, id: u32) -> Option<usize> {
        let base = self.records[id as usize].base;
        (base != NONE).then(|| self.records[base as usize].event as usize)
    }

    /// The size of the whole set.
    pub(super) fn size(&self, id: u32) -> usize {
        self.records[id as usize].len as usize
    }

    /// Is a number among what this read has and its base does not, and the other way round?
    pub(super) fn changes(&self, id: u32, n: i64) -> (bool, bool) {
        let r = self.records[id as usize];
        let mut packed = Packed::new(r.added as usize, &self.elements[r.start as usize..]);
        let came = packed.by_ref().any(|m| m == n);
        packed.by_ref().for_each(drop);
        (came, packed.then(r.removed as usize).any(|m| m == n))
    }

    /// The whole set, ascending.
    pub(super) fn materialize(&self, id: u32) -> Vec<i64> {
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        let mut next = id;
        while next != NONE {
            let read = self.get(next);
            added.extend_from_slice(&read.added);
            removed.extend_from_slice(&read.removed);
            next = self.records[next as usize].base;
        }
        // Both consist of few ascending runs, which is what this way of sorting is quick at.
        added.sort();
        removed.sort();
        let mut gone = removed.into_iter().peekable();
        added.retain(|n| gone.next_if_eq(n).is_none());
        added
    }
}

impl History {
    /// The size of the set of event `i`.
    #[doc(hidden)]
    pub fn set_size(&self, i: usize) -> Option<usize> {
        match self.word(i).parts() {
            Some((Form::Read, id)) => Some(self.sets.size(id as u32)),
            _ => None,
        }
    }

    /// Of the set of event `i`: the event whose set it differs from, and whether a number is among
    /// what it has in addition, and what it lacks; see [`History::set_read`].
    #[doc(hidden)]
    pub fn set_change(&self, i: usize, n: i64) -> Option<(Option<usize>, bool, bool)> {
        match self.word(i).parts() {
            Some((Form::Read, id)) => {
                let (came, gone) = self.sets.changes(id as u32, n);
                Some((self.sets.base(id as u32), came, gone))
            }
            _ => None,
        }
    }
}

/// Whole sets, for whoever walks all of a history's: each from the former one of its node.
#[derive(Default)]
pub(super) struct Wholes {
    last: FastMap<(Option<NodeId>, u16), (usize, Vec<i64>)>,
}

impl Wholes {
    /// The set of event `i`, empty where it has none; all events before it were asked for.
    pub(super) fn next(&mut self, history: &History, i: usize) -> &[i64] {
        let key = (history.node(i), history.function.get(i));
        let (event, set) = self.last.entry(key).or_insert_with(|| (usize::MAX, Vec::new()));
        let Some((Form::Read, id)) = history.word(i).parts() else { return &[] };
        let read = history.sets.get(id as u32);
        if read.base != Some(*event) {
            *set = history.sets.materialize(id as u32);
        } else {
            if !read.removed.is_empty() {
                let mut gone = read.removed.iter().copied().peekable();
                set.retain(|n| gone.next_if_eq(n).is_none());
            }
            // Two ascending runs, which are merged.
            set.extend_from_slice(&read.added);
            set.sort();
        }
        *event = i;
        set
    }
}

/// Merges two ascending lists into what was added and what was removed; gives up with `false`
/// as soon as more than `budget` changes are found.
fn difference(
    old: &[i64],
    new: &[i64],
    added: &mut Vec<i64>,
    removed: &mut Vec<i64>,
    budget: usize,
) -> bool {
    let (mut i, mut j, mut changes) = (0, 0, 0);
    loop {
        let same = common(&old[i..], &new[j..]);
        i += same;
        j += same;
        match (old.get(i), new.get(j)) {
            (None, None) => return true,
            (Some(a), b) if b.is_none_or(|b| a < b) => {
                removed.push(*a);
                i += 1;
            }
            _ => {
                added.push(new[j]);
                j += 1;
            }
        }
        changes += 1;
        if changes > budget {
            return false;
        }
    }
}

/// How many items both begin with.
#[inline]
fn common(a: &[i64], b: &[i64]) -> usize {
    // Reads mostly repeat the former one, so that most of their items are compared by the block.
    const BLOCK: usize = 16;
    let same = |(a, b): &(&[i64; BLOCK], &[i64; BLOCK])| a == b;
    let blocks = a.as_chunks().0.iter().zip(b.as_chunks().0).take_while(same).count();
    let rest = a[blocks * BLOCK..].iter().zip(&b[blocks * BLOCK..]);
    blocks * BLOCK + rest.take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What `a` has and `b` does not, by taking each item of `b` out of `a` once.
    fn without(a: &[i64], b: &[i64]) -> Vec<i64> {
        let mut left = a.to_vec();
        for item in b {
            if let Some(at) = left.iter().position(|n| n == item) {
                left.remove(at);
            }
        }
        left
    }

    proptest! {
        #[test]
        fn differences_are_what_an_obvious_search_finds(
            // Long enough for several blocks, with items that stand there twice.
            mut old in prop::collection::vec(0i64..60, 0..100),
            changes in prop::collection::vec((0i64..60, any::<bool>()), 0..5),
            budget in 0usize..8,
        ) {
            old.sort();
            let mut new = old.clone();
            for (item, add) in changes {
                match new.iter().position(|n| *n == item) {
                    Some(at) if !add => drop(new.remove(at)),
                    _ => new.push(item),
                }
            }
            new.sort();
            let (mut added, mut removed) = (Vec::new(), Vec::new());
            let within = difference(&old, &new, &mut added, &mut removed, budget);
            let expected = (without(&new, &old), without(&old, &new));
            prop_assert_eq!(within, expected.0.len() + expected.1.len() <= budget);
            if within {
                prop_assert_eq!((added, removed), expected);
            }
        }
    }
}
