//! What a generator knows when it is asked: the time, the threads, the processes on them.

use std::fmt;

use crate::op::{NodeId, Process};
use crate::time::Time;

/// One of the interpreter's threads; thread `i` speaks to node `i mod n`, until nodes join or leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thread(pub u16);

impl Thread {
    /// The thread's number as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

const WORDS: usize = ThreadSet::CAPACITY / 64;

/// A set of threads.
///
/// It has a fixed size, so that a context can be narrowed without an allocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ThreadSet([u64; WORDS]);

impl ThreadSet {
    /// No test has more threads than this.
    pub const CAPACITY: usize = 1024;

    /// No threads.
    pub const fn empty() -> ThreadSet {
        ThreadSet([0; WORDS])
    }

    /// Threads `from` to `to - 1`.
    ///
    /// # Panics
    ///
    /// When `to` is above [`ThreadSet::CAPACITY`].
    pub fn range(from: usize, to: usize) -> ThreadSet {
        assert!(to <= ThreadSet::CAPACITY, "a test has at most {} threads", ThreadSet::CAPACITY);
        (from..to).map(|i| Thread(i as u16)).collect()
    }

    /// One thread.
    pub fn one(thread: Thread) -> ThreadSet {
        let mut set = ThreadSet::empty();
        set.insert(thread);
        set
    }

    /// Adds a thread.
    ///
    /// # Panics
    ///
    /// When its number is not below [`ThreadSet::CAPACITY`].
    pub fn insert(&mut self, thread: Thread) {
        self.0[thread.index() / 64] |= 1 << (thread.0 % 64);
    }

    /// Removes a thread; was it there?
    pub fn remove(&mut self, thread: Thread) -> bool {
        let was = self.contains(thread);
        if was {
            self.0[thread.index() / 64] &= !(1 << (thread.0 % 64));
        }
        was
    }

    /// Is the thread in the set?
    pub fn contains(&self, thread: Thread) -> bool {
        self.0.get(thread.index() / 64).is_some_and(|w| w >> (thread.0 % 64) & 1 == 1)
    }

    /// How many threads there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|w| *w == 0)
    }

    /// The threads that are in both sets.
    #[must_use]
    pub fn and(mut self, other: &ThreadSet) -> ThreadSet {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a &= b;
        }
        self
    }

    /// The threads in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Thread> + '_ {
        self.0.iter().enumerate().flat_map(|(i, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(Thread((i * 64) as u16 + bit as u16))
            })
        })
    }

    /// The first thread at or after `from`, or else the first of all.
    pub fn next_from(&self, from: Thread) -> Option<Thread> {
        let start = from.index() / 64 % WORDS;
        let upper = u64::MAX << (from.0 % 64);
        for step in 0..=WORDS {
            let i = (start + step) % WORDS;
            let word = match step {
                0 => self.0[i] & upper,
                WORDS => self.0[i] & !upper,
                _ => self.0[i],
            };
            if word != 0 {
                return Some(Thread((i * 64) as u16 + word.trailing_zeros() as u16));
            }
        }
        None
    }
}

impl FromIterator<Thread> for ThreadSet {
    fn from_iter<I: IntoIterator<Item = Thread>>(threads: I) -> ThreadSet {
        let mut set = ThreadSet::empty();
        threads.into_iter().for_each(|t| set.insert(t));
        set
    }
}

impl fmt::Debug for ThreadSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|t| t.0)).finish()
    }
}

/// The situation in which a generator is asked.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Now.
    pub time: Time,
    /// The threads that this generator may use.
    pub all: ThreadSet,
    /// Those of them that are free.
    pub free: ThreadSet,
    processes: &'a [Process],
    nodes: u16,
    /// The node of each thread, where that is not its place among the nodes.
    bound: Option<&'a [NodeId]>,
    cursor: Thread,
}

impl<'a> Context<'a> {
    /// A context in which thread `i` runs `processes[i]`, and all threads are free.
    ///
    /// # Panics
    ///
    /// When there are more than [`ThreadSet::CAPACITY`] threads or no node.
    pub fn new(time: Time, processes: &'a [Process], nodes: u16) -> Context<'a> {
        assert!(nodes > 0, "a test has at least one node");
        let all = ThreadSet::range(0, processes.len());
        Context { time, all, free: all, processes, nodes, bound: None, cursor: Thread(0) }
    }

    /// The same where thread `i` speaks to node `bound[i]`.
    #[must_use]
    pub(crate) fn with_bound(mut self, bound: &'a [NodeId]) -> Context<'a> {
        self.bound = Some(bound);
        self
    }

    /// The same with these threads free.
    #[must_use]
    pub fn with_free(mut self, free: ThreadSet) -> Context<'a> {
        self.free = free.and(&self.all);
        self
    }

    /// The same with the search for a free thread starting at `cursor`: whoever runs the
    /// generator moves it on, so that threads and nodes take turns.
    #[must_use]
    pub fn with_cursor(mut self, cursor: Thread) -> Context<'a> {
        self.cursor = cursor;
        self
    }

    /// The same, seen by a generator that may use only some threads.
    #[must_use]
    pub fn narrowed(mut self, threads: &ThreadSet) -> Context<'a> {
        self.all = self.all.and(threads);
        self.free = self.free.and(threads);
        self
    }

    /// A free thread, taken in turns.
    pub fn some_free(&self) -> Option<Thread> {
        self.free.next_from(self.cursor)
    }

    /// Where the search for a free thread starts.
    pub fn cursor(&self) -> Thread {
        self.cursor
    }

    /// Are all threads free that this generator may use?
    pub fn all_free(&self) -> bool {
        self.all == self.free
    }

    /// The process that a thread runs.
    pub fn process(&self, thread: Thread) -> Process {
        self.processes[thread.index()]
    }

    /// The node that a thread speaks to.
    pub fn node(&self, thread: Thread) -> NodeId {
        self.bound.map_or(NodeId(thread.0 % self.nodes), |bound| bound[thread.index()])
    }

    /// The number of nodes that take part.
    pub fn nodes(&self) -> u16 {
        self.nodes
    }

    /// The number of threads of the whole test.
    pub fn concurrency(&self) -> usize {
        self.processes.len()
    }
}
