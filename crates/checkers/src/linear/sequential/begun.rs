//! The beginning of an order, and what may come next.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use super::Work;
use super::order::Order;

/// The beginning of an order, and what may come next.
pub(super) struct Begun<'a> {
    order: &'a Order<'a>,
    is_pure: Vec<bool>,
    is_certain: Vec<bool>,
    pub(super) done: Vec<usize>,
    /// How many of those are not done that certainly took effect.
    pub(super) left: usize,
    /// How many of each lane are done; and a number that distinguishes nearly all such beginnings.
    places: Vec<u32>,
    hash: u64,
    /// Per operation: how often something is not done that comes before it.
    waits: Vec<u32>,
    /// What waits for nothing, by invocation: pure operations, and of the others those that would
    /// overwrite nothing that somebody still has to read.
    pure: BTreeSet<usize>,
    allowed: BTreeSet<usize>,
    /// Of the latter those that may be free. What was found not to be is looked at again only after
    /// something happened to it, to its register, or to who reads it.
    fresh: BTreeSet<usize>,
    /// Per register: the operations that would write it and wait for nothing.
    writing: Vec<Vec<u32>>,
    /// Per register: how many still have to read what has been written, or what it began with.
    open: Vec<u32>,
}

impl<'a> Begun<'a> {
    pub(super) fn new<O>(work: &[Work<O>], order: &'a Order<'a>) -> Begun<'a> {
        let is_certain: Vec<bool> = work.iter().map(|w| w.completed.is_some()).collect();
        let mut begun = Begun {
            order,
            is_pure: work.iter().map(|w| w.pure).collect(),
            left: is_certain.iter().filter(|is| **is).count(),
            is_certain,
            done: Vec::new(),
            places: vec![0; order.lanes.len()],
            hash: 0,
            waits: order.known.waits(),
            pure: BTreeSet::new(),
            allowed: BTreeSet::new(),
            fresh: BTreeSet::new(),
            writing: vec![Vec::new(); order.reads.clear.len()],
            open: vec![0; order.reads.clear.len()],
        };
        for read in &order.reads.known {
            begun.open[read.key] += u32::from(read.from.is_none());
        }
        for i in order.lanes.operations().filter(|i| begun.waits[*i] == 0).collect::<Vec<_>>() {
            begun.ready(i);
        }
        begun
    }

    pub(super) fn bytes(&self) -> usize {
        self.done.capacity() * size_of::<usize>() + self.waits.len() * 6
    }

    /// It waits for nothing.
    fn ready(&mut self, i: usize) {
        if self.is_pure[i] {
            self.pure.insert(i);
            return;
        }
        if let Some(key) = self.order.reads.written[i] {
            self.writing[key].push(i as u32);
        }
        if self.allows(i) {
            self.allow(i);
        }
    }

    /// It waits for something, or is done.
    fn unready(&mut self, i: usize) {
        if self.is_pure[i] {
            self.pure.remove(&i);
            return;
        }
        if let Some(key) = self.order.reads.written[i] {
            let at = self.writing[key].iter().position(|other| *other as usize == i);
            at.map(|at| self.writing[key].swap_remove(at));
        }
        self.forbid(i);
    }

    fn allow(&mut self, i: usize) {
        if self.allowed.insert(i) {
            self.fresh.insert(i);
        }
    }

    fn forbid(&mut self, i: usize) {
        if self.allowed.remove(&i) {
            self.fresh.remove(&i);
        }
    }

    /// More or fewer still have to read what a register holds.
    fn opened(&mut self, key: usize, change: impl FnOnce(&mut u32)) {
        let former = self.open[key];
        change(&mut self.open[key]);
        // An operation is allowed if nobody has to, or only itself.
        if former == self.open[key] || former.min(self.open[key]) > 1 {
            return;
        }
        let writing = std::mem::take(&mut self.writing[key]);
        for i in writing.iter().map(|i| *i as usize) {
            if self.allows(i) { self.allow(i) } else { self.forbid(i) }
        }
        self.writing[key] = writing;
    }

    /// The first operation that takes no possibility away, and what `step` gives for it: pure
    /// operations, and writes whose readers can all come right after them.
    pub(super) fn free<T>(
        &mut self,
        mut step: impl FnMut(usize) -> Option<T>,
    ) -> Option<(usize, T)> {
        if let Some(found) = self.pure.iter().find_map(|i| Some((*i, step(*i)?))) {
            return Some(found);
        }
        let mut from = 0;
        while let Some(i) = self.fresh.range(from..).next().copied() {
            from = i + 1;
            if !self.is_free(i) {
                self.fresh.remove(&i);
            } else if let Some(next) = step(i) {
                return Some((i, next));
            }
        }
        None
    }

    /// What may come next, by invocation, after what was tried before.
    pub(super) fn choices(&self, tried: Option<usize>) -> impl Iterator<Item = usize> {
        let from = tried.map_or(0, |i| i + 1);
        self.allowed.range(from..).copied()
    }

    /// The register of which it read a known version.
    fn read(&self, i: usize) -> Option<usize> {
        self.order.reads.of(i).map(|read| read.key)
    }

    /// Would it overwrite nothing that somebody still has to read?
    fn allows(&self, i: usize) -> bool {
        self.order.reads.written[i]
            .is_none_or(|key| self.open[key] == u32::from(self.read(i) == Some(key)))
    }

    /// Where nobody has to read what it overwrites, and all who read what it writes wait for nothing
    /// but it and each other: if an order goes on from here, so does the one in which they come first.
    fn is_free(&self, i: usize) -> bool {
        let own = self.order.reads.readers(i);
        let waits_for_own = |reader: &u32| {
            let after_write =
                self.order.known.after(i).filter(|next| *next == *reader as usize).count();
            let previous = self.order.lanes.previous(*reader as usize);
            let after_reader = previous.is_some_and(|previous| own.contains(&(previous as u32)));
            let waits = self.waits[*reader as usize] as usize;
            self.is_pure[*reader as usize] && waits == after_write + usize::from(after_reader)
        };
        self.order.reads.written[i].is_some_and(|key| self.order.reads.clear[key])
            && own.iter().all(waits_for_own)
    }

    pub(super) fn put(&mut self, i: usize) {
        self.unready(i);
        self.done.push(i);
        self.left -= usize::from(self.is_certain[i]);
        self.places[self.order.lanes.of(i).0] += 1;
        self.hash = self.hash.wrapping_add(spread(i));
        let order = self.order;
        if let Some(key) = self.read(i) {
            self.opened(key, |open| *open -= 1);
        }
        if let Some(key) = order.reads.written[i] {
            self.opened(key, |open| *open += order.reads.readers(i).len() as u32);
        }
        for next in order.known.after(i) {
            self.waits[next] -= 1;
            if self.waits[next] == 0 {
                self.ready(next);
            }
            // Who wrote what it reads may be free now.
            let writer = order.reads.of(next).and_then(|read| read.from);
            if let Some(writer) = writer.filter(|writer| self.allowed.contains(writer)) {
                self.fresh.insert(writer);
            }
        }
    }

    pub(super) fn back_to(&mut self, length: usize) {
        while self.done.len() > length {
            self.take_back();
        }
    }

    fn take_back(&mut self) {
        let Some(i) = self.done.pop() else { return };
        let order = self.order;
        for next in order.known.after(i) {
            if self.waits[next] == 0 {
                self.unready(next);
            }
            self.waits[next] += 1;
        }
        if let Some(key) = order.reads.written[i] {
            self.opened(key, |open| *open -= order.reads.readers(i).len() as u32);
        }
        if let Some(key) = self.read(i) {
            self.opened(key, |open| *open += 1);
        }
        self.hash = self.hash.wrapping_sub(spread(i));
        self.places[order.lanes.of(i).0] -= 1;
        self.left += usize::from(self.is_certain[i]);
        self.ready(i);
    }
}

/// A number that has little to do with another one's.
fn spread(i: usize) -> u64 {
    let mixed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// How far each lane has come, and the number of the state.
type Configuration = (Box<[u32]>, u32);

/// What a configuration takes besides its places: cells of two tables, and what holds the list.
const CONFIGURATION: usize = 160;
/// And a state besides itself.
const STATE: usize = 32;

/// Beginnings with which no order begins.
pub(super) struct Dead<S> {
    by_hash: HashMap<u64, Vec<Configuration>>,
    states: HashMap<S, u32>,
    pub(super) bytes: usize,
}

impl<S> Default for Dead<S> {
    fn default() -> Dead<S> {
        Dead { by_hash: HashMap::new(), states: HashMap::new(), bytes: 0 }
    }
}

impl<S: Clone + Eq + Hash> Dead<S> {
    pub(super) fn contains(&self, begun: &Begun<'_>, state: &S) -> bool {
        let Some(alike) = self.by_hash.get(&begun.hash) else { return false };
        let Some(state) = self.states.get(state) else { return false };
        alike.iter().any(|(places, s)| s == state && **places == *begun.places)
    }

    /// `bytes` is what the state takes.
    pub(super) fn insert(&mut self, begun: &Begun<'_>, state: &S, bytes: usize) {
        let next = self.states.len() as u32;
        let known = self.states.get(state).copied();
        let state = known.unwrap_or_else(|| {
            self.bytes += bytes + STATE;
            *self.states.entry(state.clone()).or_insert(next)
        });
        self.bytes += size_of_val(&begun.places[..]) + CONFIGURATION;
        self.by_hash.entry(begun.hash).or_default().push((begun.places.clone().into(), state));
    }
}
