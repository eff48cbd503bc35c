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
    /// How many of each lane are done; and a number that nearly tells such beginnings apart.
    places: Vec<u32>,
    hash: u64,
    /// Per operation: how often something is not done that comes before it.
    waits: Vec<u32>,
    /// What waits for nothing, by invocation: pure operations, and others.
    pure: BTreeSet<usize>,
    others: BTreeSet<usize>,
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
            others: BTreeSet::new(),
            open: vec![0; order.reads.clear.len()],
        };
        for read in &order.reads.known {
            begun.open[read.key] += u32::from(read.from.is_none());
        }
        for i in order.lanes.operations().filter(|i| begun.waits[*i] == 0).collect::<Vec<_>>() {
            begun.ready(i).insert(i);
        }
        begun
    }

    pub(super) fn bytes(&self) -> usize {
        self.done.capacity() * size_of::<usize>() + self.waits.len() * 6
    }

    fn ready(&mut self, i: usize) -> &mut BTreeSet<usize> {
        if self.is_pure[i] { &mut self.pure } else { &mut self.others }
    }

    /// What takes no possibility away, if its result fits: pure operations, and writes whose readers
    /// can all come right after them.
    pub(super) fn free(&self) -> impl Iterator<Item = usize> {
        let writes = self.others.iter().copied().filter(|i| self.allows(*i) && self.is_free(*i));
        self.pure.iter().copied().chain(writes)
    }

    /// What may come next, by invocation, after what was tried before.
    pub(super) fn choices(&self, tried: Option<usize>) -> impl Iterator<Item = usize> {
        let from = tried.map_or(0, |i| i + 1);
        self.others.range(from..).copied().filter(|i| self.allows(*i))
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
        self.ready(i).remove(&i);
        self.done.push(i);
        self.left -= usize::from(self.is_certain[i]);
        self.places[self.order.lanes.of(i).0] += 1;
        self.hash = self.hash.wrapping_add(spread(i));
        if let Some(key) = self.read(i) {
            self.open[key] -= 1;
        }
        if let Some(key) = self.order.reads.written[i] {
            self.open[key] += self.order.reads.readers(i).len() as u32;
        }
        let order = self.order;
        for next in order.known.after(i) {
            self.waits[next] -= 1;
            if self.waits[next] == 0 {
                self.ready(next).insert(next);
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
                self.ready(next).remove(&next);
            }
            self.waits[next] += 1;
        }
        if let Some(key) = order.reads.written[i] {
            self.open[key] -= self.order.reads.readers(i).len() as u32;
        }
        if let Some(key) = self.read(i) {
            self.open[key] += 1;
        }
        self.hash = self.hash.wrapping_sub(spread(i));
        self.places[order.lanes.of(i).0] -= 1;
        self.left += usize::from(self.is_certain[i]);
        self.ready(i).insert(i);
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
