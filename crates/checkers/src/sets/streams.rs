//! The reads of each node as one stream of changes.
//!
//! Reads of large sets are stored as differences to the former read on the same node. A stream
//! keeps that: per read only what appeared and what vanished, so that judging costs about as
//! much as there are changes, and never the number of elements times the number of reads.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::Elements;
use super::numbers::{Growing, Known, Numbers, Stranger};
use super::state::State;
use crate::threads::in_threads;
use fuzz_dist_history::hash::FastMap;
use fuzz_dist_history::op::{Kind, NodeId, Phase, Value};
use fuzz_dist_history::{History, View, Word};

/// The successful reads of a node in the order of their completion, and what changed between them:
/// [`Change`]s one by one, or [`Sights`](super::Sights) by element.
#[derive(Clone, Debug)]
pub(crate) struct Stream<C = Vec<Change>> {
    /// The node that served them.
    pub(crate) node: Option<NodeId>,
    /// The event of each invocation.
    pub(crate) invoked: Vec<u32>,
    /// The event of each completion; ascending.
    pub(crate) completed: Vec<u32>,
    /// What appeared and vanished.
    pub(crate) changes: C,
    /// A number that differs, but for a chance of about 2^-64, where the sets read differ.
    pub(crate) fingerprint: Vec<u64>,
    /// How many of the acknowledged elements each read has.
    pub(crate) acknowledged: Vec<u32>,
    /// For each read, which of it and those before was invoked last.
    latest: Vec<u32>,
}

/// An element appears in a read, or is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) id: u32,
    place: u32,
}

impl Change {
    fn new(id: u32, read: u32, present: bool) -> Change {
        Change { id, place: read << 1 | u32::from(present) }
    }

    /// The place of the read in its stream.
    pub(crate) fn read(self) -> u32 {
        self.place >> 1
    }

    /// Did it appear?
    pub(crate) fn appears(self) -> bool {
        self.place & 1 == 1
    }
}

/// Keeps what appears in a stream's reads and vanishes from them, in the order of the reads.
pub(crate) trait Keep: Send {
    /// Nothing of so many elements yet.
    fn new(elements: usize) -> Self;
    /// An element appears in a read, or is gone.
    fn keep(&mut self, id: u32, read: u32, appears: bool);
    /// There are so many reads.
    fn finish(&mut self, reads: u32);
}

impl Keep for Vec<Change> {
    fn new(_: usize) -> Vec<Change> {
        Vec::new()
    }

    fn keep(&mut self, id: u32, read: u32, appears: bool) {
        self.push(Change::new(id, read, appears));
    }

    fn finish(&mut self, _: u32) {}
}

impl<C> Stream<C> {
    /// How many reads there are.
    pub(crate) fn len(&self) -> usize {
        self.invoked.len()
    }

    /// Which of the reads `from..to` was invoked last; `None` where there are none.
    ///
    /// Reads stand in the order of their completion. A read before `from` that was invoked
    /// after all of `from..to` means that those were all open when it completed, so the loop
    /// takes no more steps than there are clients on the node.
    pub(crate) fn last_invoked(&self, from: u32, to: u32) -> Option<u32> {
        if from >= to {
            return None;
        }
        let latest = self.latest[to as usize - 1];
        if latest >= from {
            return Some(latest);
        }
        (from..to).max_by_key(|r| self.invoked[*r as usize])
    }

    /// The node's last final read, by invocation.
    pub(crate) fn final_read(&self, history: &History) -> Option<u32> {
        (0..self.len() as u32)
            .filter(|r| history.phase(self.invoked[*r as usize] as usize) == Phase::Final)
            .max_by_key(|r| self.invoked[*r as usize])
    }
}

/// The runs of reads that have each element, all in one list.
#[derive(Clone, Debug)]
pub(crate) struct AllRuns {
    start: Vec<u32>,
    runs: Vec<(u32, u32)>,
}

impl AllRuns {
    /// The runs of the elements `0..elements` in a stream.
    pub(crate) fn of(stream: &Stream, elements: usize) -> AllRuns {
        let mut start = vec![0u32; elements + 1];
        for change in stream.changes.iter().filter(|c| c.appears()) {
            start[change.id as usize + 1] += 1;
        }
        for id in 0..elements {
            start[id + 1] += start[id];
        }
        let mut next = start.clone();
        let mut runs = vec![(0, 0); start[elements] as usize];
        for change in &stream.changes {
            let next = &mut next[change.id as usize];
            if change.appears() {
                runs[*next as usize] = (change.read(), stream.len() as u32);
                *next += 1;
            } else {
                runs[*next as usize - 1].1 = change.read();
            }
        }
        AllRuns { start, runs }
    }

    /// The runs of one element, as half-open ranges of places.
    pub(crate) fn get(&self, id: usize) -> &[(u32, u32)] {
        &self.runs[self.start[id] as usize..self.start[id + 1] as usize]
    }
}

/// An element that one read has more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Duplicate {
    /// The first read that has it twice.
    pub(crate) event: u32,
    /// The greatest number of times that a read has it.
    pub(crate) times: u32,
}

impl Duplicate {
    fn join(&mut self, other: Duplicate) {
        self.times = self.times.max(other.times);
        self.event = self.event.min(other.event);
    }
}

/// A successful read whose value is no set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable(pub(crate) usize);

/// All reads of a history.
#[derive(Debug)]
pub(crate) struct Streams<C = Vec<Change>> {
    /// One per node that served a read, in the order of the nodes.
    pub(crate) streams: Vec<Stream<C>>,
    /// Elements that were read more than once at a time.
    pub(crate) duplicates: FastMap<u32, Duplicate>,
}

/// From so many events on the nodes' reads are gathered in parallel; in tests some are that short.
const PARALLEL_MIN: usize = if cfg!(test) { 60 } else { 100_000 };

/// What keeps a stream from being built.
enum Failed {
    Unreadable(Unreadable),
    Stranger,
}

impl From<Stranger> for Failed {
    fn from(Stranger: Stranger) -> Failed {
        Failed::Stranger
    }
}

impl<C: Keep> Streams<C> {
    /// Gathers the successful reads by node; `counted` says which elements are acknowledged.
    ///
    /// # Errors
    ///
    /// The first successful read whose value is neither a set nor a list.
    pub(crate) fn of(
        history: &History,
        read: &str,
        elements: &mut Elements<'_>,
        counted: &[bool],
    ) -> Result<Streams<C>, Unreadable> {
        let nodes = reads_by_node(history, read);
        if history.len() >= PARALLEL_MIN
            && nodes.len() > 1
            && let Some(all) = Streams::in_parallel(history, elements, counted, &nodes)
        {
            return Ok(all);
        }
        let numbers = Growing(elements);
        let mut builder = Builder { history, numbers, counted, state: State::default() };
        let (mut streams, mut duplicates) = (Vec::new(), FastMap::default());
        for (node, events) in nodes {
            match builder.stream(node, events, &mut duplicates) {
                Ok(stream) => streams.push(stream),
                Err(Failed::Unreadable(read)) => return Err(read),
                Err(Failed::Stranger) => unreachable!("strangers are numbered"),
            }
        }
        Ok(Streams { streams, duplicates })
    }

    /// The same by several threads, which number nothing: `None` where something was read that was
    /// never added, or is unreadable.
    fn in_parallel(
        history: &History,
        elements: &Elements<'_>,
        counted: &[bool],
        nodes: &[(Option<NodeId>, Vec<u32>)],
    ) -> Option<Streams<C>> {
        type Built<C> = (usize, Option<Stream<C>>, FastMap<u32, Duplicate>);
        let next = AtomicUsize::new(0);
        let work = || {
            let numbers = Known(elements);
            let mut builder = Builder { history, numbers, counted, state: State::default() };
            let mut built: Vec<Built<C>> = Vec::new();
            while let Some((i, (node, events))) = {
                let i = next.fetch_add(1, Ordering::Relaxed);
                nodes.get(i).map(|node| (i, node))
            } {
                let mut duplicates = FastMap::default();
                let stream = builder.stream(*node, events.clone(), &mut duplicates).ok();
                if stream.is_none() {
                    next.store(nodes.len(), Ordering::Relaxed);
                }
                built.push((i, stream, duplicates));
            }
            built
        };
        let mut built: Vec<Built<C>> =
            in_threads(nodes.len(), &work).into_iter().flatten().collect();
        built.sort_by_key(|(i, ..)| *i);
        let (mut streams, mut duplicates) = (Vec::new(), FastMap::default());
        for (_, stream, found) in built {
            streams.push(stream?);
            for (id, new) in found {
                duplicates.entry(id).or_insert(new).join(new);
            }
        }
        (streams.len() == nodes.len()).then_some(Streams { streams, duplicates })
    }
}

/// The successful reads of each node that served one, by their completion.
fn reads_by_node(history: &History, read: &str) -> Vec<(Option<NodeId>, Vec<u32>)> {
    let mut by_node: Vec<Vec<u32>> = Vec::new();
    let function = history.find_function(read);
    for i in 0..history.len() {
        if Some(history.function_index(i)) == function
            && history.kind(i) == Kind::Ok
            && history.process(i).is_client()
        {
            let slot = history.node(i).map_or(0, |n| n.index() + 1);
            if by_node.len() <= slot {
                by_node.resize_with(slot + 1, Vec::new);
            }
            by_node[slot].push(i as u32);
        }
    }
    let nodes = by_node.into_iter().enumerate().filter(|(_, events)| !events.is_empty());
    nodes.map(|(slot, events)| (slot.checked_sub(1).map(|n| NodeId(n as u16)), events)).collect()
}

struct Builder<'a, N> {
    history: &'a History,
    numbers: N,
    counted: &'a [bool],
    state: State,
}

impl<N: Numbers> Builder<'_, N> {
    fn stream<C: Keep>(
        &mut self,
        node: Option<NodeId>,
        events: Vec<u32>,
        duplicates: &mut FastMap<u32, Duplicate>,
    ) -> Result<Stream<C>, Failed> {
        self.reset();
        let mut stream = Stream {
            node,
            invoked: Vec::with_capacity(events.len()),
            completed: Vec::new(),
            changes: C::new(self.numbers.len()),
            fingerprint: Vec::with_capacity(events.len()),
            acknowledged: Vec::with_capacity(events.len()),
            latest: Vec::with_capacity(events.len()),
        };
        let mut former = None;
        for (place, event) in (0u32..).zip(&events) {
            let i = *event as usize;
            let invoked = self.history.invocation(i).unwrap_or(i) as u32;
            stream.invoked.push(invoked);
            let latest = stream.latest.last().copied().unwrap_or(0);
            let newer = invoked >= stream.invoked[latest as usize];
            stream.latest.push(if newer { place } else { latest });
            let mut sink = Sink { changes: &mut stream.changes, duplicates, place, event: *event };
            match self.history.set_read(i) {
                Some(read) if read.base.is_some() && read.base == former => {
                    self.difference(&read.added, &read.removed, &mut sink)?;
                }
                Some(read) if read.base.is_none() => {
                    self.whole(&read.added, |e, n| e.int(*n), &mut sink)?;
                }
                Some(_) => {
                    let Value::Set(set) = self.history.value(i) else {
                        return Err(Failed::Unreadable(Unreadable(i)));
                    };
                    self.whole(set.as_slice(), |e, n| e.int(*n), &mut sink)?;
                }
                None => {
                    let items = self.history.view(i).and_then(View::as_list);
                    let items = items.ok_or(Failed::Unreadable(Unreadable(i)))?;
                    let items: Vec<Word> = items.words().collect();
                    self.whole(&items, |e, w| e.word(*w), &mut sink)?;
                }
            }
            stream.fingerprint.push(self.state.fingerprint);
            stream.acknowledged.push(self.state.acknowledged);
            former = Some(i);
        }
        stream.changes.finish(events.len() as u32);
        stream.completed = events;
        Ok(stream)
    }

    fn reset(&mut self) {
        self.state.reset();
        self.state.reach(self.numbers.len());
    }

    fn difference(
        &mut self,
        added: &[i64],
        removed: &[i64],
        sink: &mut Sink<'_, impl Keep>,
    ) -> Result<(), Stranger> {
        for n in removed {
            let id = self.numbers.int(*n)?;
            self.state.reach(self.numbers.len());
            let count = self.state.count.get(id as usize).saturating_sub(1);
            self.state.set(id, count, self.counted, sink);
        }
        for n in added {
            let id = self.numbers.int(*n)?;
            self.state.reach(self.numbers.len());
            let count = self.state.count.get(id as usize) + 1;
            if count == 1 {
                self.state.present.push(id, self.numbers.len());
            }
            self.state.set(id, count, self.counted, sink);
        }
        Ok(())
    }

    fn whole<T>(
        &mut self,
        items: &[T],
        number: impl Fn(&mut N, &T) -> Result<u32, Stranger>,
        sink: &mut Sink<'_, impl Keep>,
    ) -> Result<(), Stranger> {
        let mut present = std::mem::take(&mut self.state.spare);
        present.clear();
        let stamp = self.state.next_stamp();
        for item in items {
            let id = number(&mut self.numbers, item)?;
            self.state.reach(self.numbers.len());
            let first = self.state.seen[id as usize] != stamp;
            if first {
                self.state.seen[id as usize] = stamp;
                present.push(id, self.numbers.len());
            }
            let count = self.state.count.get(id as usize);
            if !first || count != 1 {
                // The common case, once before and once now, needs nothing.
                self.state.set(id, if first { 1 } else { count + 1 }, self.counted, sink);
            }
        }
        let former = std::mem::replace(&mut self.state.present, present);
        for id in former.ids() {
            if self.state.seen[id as usize] != stamp && self.state.count.get(id as usize) > 0 {
                self.state.set(id, 0, self.counted, sink);
            }
        }
        self.state.spare = former;
        Ok(())
    }
}

/// Where what changes with a read is kept.
pub(super) struct Sink<'a, C> {
    pub(super) changes: &'a mut C,
    duplicates: &'a mut FastMap<u32, Duplicate>,
    pub(super) place: u32,
    event: u32,
}

impl<C> Sink<'_, C> {
    /// The read has an element so many times.
    pub(super) fn duplicate(&mut self, id: u32, times: u32) {
        let new = Duplicate { event: self.event, times };
        self.duplicates.entry(id).or_insert(new).join(new);
    }
}
