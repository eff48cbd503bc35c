//! What must come before what in every order, where the object is registers and it is known whose
//! write a read saw: what lies between a write and its reader lies before the one or after the other.
//!
//! Deriving until nothing new follows is polynomial; it decides nearly all histories whose written
//! values are distinct, and it narrows the search for the rest (Gibbons and Korach 1997; "saturation"
//! in Biswas and Enea, "On the complexity of checking transactional consistency", 2019).

use super::graph::{Graph, Why};
use super::lanes::Lanes;
use super::queue::Queue;
use super::reads::{Read, Reads};
use super::rows::Rows;

/// No order is possible.
pub(super) struct Contradiction {
    /// Of these operations alone.
    pub(super) needed: Vec<usize>,
    /// If things are assumed: the most time that lies between two of which one is taken to come
    /// after the other.
    pub(super) assumed: Option<usize>,
}

pub(super) struct Known<'a> {
    pub(super) lanes: &'a Lanes,
    pub(super) reads: &'a Reads,
    pub(super) times: &'a [usize],
    /// Operations by time, and the place of each among these.
    by_time: Vec<u32>,
    ranks: Vec<u32>,
    /// Per key: the lanes that write it, ascending, and the places there, ascending.
    writes: Vec<Vec<(usize, Vec<u32>)>>,
    pub(super) graph: Graph,
    /// For each operation: how many of each lane come before it, and how many, from the end, after
    /// it.
    before: Rows,
    after: Rows,
    /// What has to be passed on to others, by rank; the latter from the last one on.
    forward: Queue,
    backward: Queue,
    /// Reads from which something may follow.
    open: Queue,
}

/// Where a way of edges leads: among what comes before an operation, or after one.
#[derive(Clone, Copy)]
pub(super) enum Within {
    Before(usize),
    After(usize),
}

/// Derives as long as something new follows and `bytes_max` is enough for it. Every order, if there
/// is one that keeps what the lanes assume, keeps what it gives.
pub(super) fn derive(
    lanes: &Lanes,
    reads: &Reads,
    times: &[usize],
    bytes_max: usize,
) -> Result<Graph, Contradiction> {
    let graph = linked(lanes, reads);
    if graph.bytes() + 2 * Rows::bytes_least(times.len(), lanes.len()) > bytes_max {
        return Ok(graph);
    }
    let mut known = Known::new(lanes, reads, times, graph);
    known.settle(bytes_max)?;
    Ok(known.graph)
}

/// What is known before anything is derived.
pub(super) fn linked(lanes: &Lanes, reads: &Reads) -> Graph {
    let mut graph = Graph::new(reads.counted.len());
    for (from, to, assumed) in lanes.links() {
        graph.add(from, to, if assumed { Why::Assumed } else { Why::Session });
    }
    for (from, to) in reads.known.iter().filter_map(|r| Some((r.from?, r.op))) {
        graph.add(from, to, Why::ReadFrom);
    }
    graph
}

impl<'a> Known<'a> {
    fn new(lanes: &'a Lanes, reads: &'a Reads, times: &'a [usize], graph: Graph) -> Known<'a> {
        let mut writes = vec![Vec::new(); reads.clear.len()];
        for (lane, ops) in lanes.lanes.iter().enumerate() {
            for (place, op) in ops.iter().enumerate().filter(|(_, op)| reads.counted[**op as usize])
            {
                let Some(key) = reads.written[*op as usize] else { continue };
                let of_key: &mut Vec<(usize, Vec<u32>)> = &mut writes[key];
                if of_key.last().is_none_or(|(last, _)| *last != lane) {
                    of_key.push((lane, Vec::new()));
                }
                of_key.last_mut().expect("just pushed").1.push(place as u32);
            }
        }
        let mut by_time: Vec<u32> = lanes.operations().map(|i| i as u32).collect();
        by_time.sort_by_key(|i| times[*i as usize]);
        let mut ranks = vec![0; times.len()];
        by_time.iter().enumerate().for_each(|(rank, i)| ranks[*i as usize] = rank as u32);
        let queue = || Queue::new(by_time.len());
        let mut known = Known {
            lanes,
            reads,
            times,
            writes,
            graph,
            before: Rows::new(times.len(), lanes.len()),
            after: Rows::new(times.len(), lanes.len()),
            forward: queue(),
            backward: queue(),
            open: queue(),
            by_time,
            ranks,
        };
        for rank in 0..known.by_time.len() {
            known.forward.push(rank);
            known.backward.push(rank);
        }
        reads.known.iter().for_each(|read| known.open.push(known.ranks[read.op] as usize));
        known
    }

    fn bytes(&self) -> usize {
        self.graph.bytes() + self.before.bytes() + self.after.bytes()
    }

    /// Derives until nothing new follows: all is passed on before what follows is looked for,
    /// since what follows from less is mostly known later on.
    fn settle(&mut self, bytes_max: usize) -> Result<(), Contradiction> {
        let mut fresh = true;
        while fresh && self.bytes() <= bytes_max {
            while self.bytes() <= bytes_max
                && let Some(rank) = self.forward.pop()
            {
                let from = self.by_time[rank] as usize;
                let mut next = self.graph.first_out(from);
                while let Some(edge) = next {
                    self.pass_forward(from, self.graph.edges[edge].to as usize)?;
                    next = self.graph.next_out(edge);
                }
            }
            while self.bytes() <= bytes_max
                && let Some(rank) = self.backward.pop()
            {
                let to = self.by_time[self.by_time.len() - 1 - rank] as usize;
                let mut next = self.graph.first_into(to);
                while let Some(edge) = next {
                    self.pass_backward(self.graph.edges[edge].from as usize, to)?;
                    next = self.graph.next_into(edge);
                }
            }
            fresh = false;
            while self.bytes() <= bytes_max
                && let Some(rank) = self.open.pop()
            {
                self.imply(self.reads.of(self.by_time[rank] as usize).expect("a read"))?;
                fresh = true;
            }
        }
        Ok(())
    }

    fn pass_forward(&mut self, from: usize, to: usize) -> Result<(), Contradiction> {
        let (lane, place) = self.lanes.of(from);
        if !self.before.join(to, from, lane, place + 1) {
            return Ok(());
        }
        self.forward.push(self.ranks[to] as usize);
        self.reopen(to);
        match self.is_before(to, to) {
            true => Err(self.contradiction(to, Within::Before(to))),
            false => Ok(()),
        }
    }

    fn pass_backward(&mut self, from: usize, to: usize) -> Result<(), Contradiction> {
        let (lane, place) = self.lanes.of(to);
        let places = self.lanes.lanes[lane].len() as u32;
        if !self.after.join(from, to, lane, places - place) {
            return Ok(());
        }
        self.backward.push(self.by_time.len() - 1 - self.ranks[from] as usize);
        self.reopen(from);
        match self.is_after(from, from) {
            true => Err(self.contradiction(from, Within::After(from))),
            false => Ok(()),
        }
    }

    /// What is known of it has changed.
    fn reopen(&mut self, i: usize) {
        if self.reads.of(i).is_some() {
            self.open.push(self.ranks[i] as usize);
        }
        for reader in self.reads.readers(i) {
            self.open.push(self.ranks[*reader as usize] as usize);
        }
    }

    /// Is it known that the one comes before the other? It may have to be passed on yet.
    fn is_before(&self, one: usize, other: usize) -> bool {
        let (lane, place) = self.lanes.of(one);
        self.before.get(other, lane) > place
    }

    fn is_after(&self, one: usize, other: usize) -> bool {
        let (lane, place) = self.lanes.of(one);
        self.first_after(other, lane) <= place
    }

    /// The place of the first one of a lane that comes after an operation.
    fn first_after(&self, i: usize, lane: usize) -> u32 {
        self.lanes.lanes[lane].len() as u32 - self.after.get(i, lane)
    }

    pub(super) fn is_within(&self, i: usize, within: Within) -> bool {
        match within {
            Within::Before(other) => i == other || self.is_before(i, other),
            Within::After(other) => i == other || self.is_after(i, other),
        }
    }

    /// Adds what follows: between a write and its read there is no other write. Where as many of a
    /// lane come before the read as before the write, none of that lane lies between them.
    fn imply(&mut self, read: Read) -> Result<(), Contradiction> {
        let mut fresh: Vec<(usize, usize, Why)> = Vec::new();
        let of_key = &self.writes[read.key];
        let within = |lanes: &std::ops::Range<usize>| {
            let from = of_key.partition_point(|(lane, _)| *lane < lanes.start);
            let to = of_key.partition_point(|(lane, _)| *lane < lanes.end);
            &of_key[from..to]
        };
        let write = |lane: usize, place: u32| self.lanes.lanes[lane][place as usize] as usize;
        let why = read.from.map_or(Why::AfterBeginning, |from| Why::AfterWrite(from as u32));
        let mut later = |lane: usize, places: &[u32], first: u32| {
            let known = self.first_after(read.op, lane);
            if first >= known {
                return;
            }
            let later = places[places.partition_point(|place| *place < first)..].iter();
            let mut later = later.map(|place| (*place, write(lane, *place)));
            if let Some((place, other)) = later.find(|(_, other)| *other != read.op)
                && place < known
            {
                fresh.push((read.op, other, why));
            }
        };
        if let Some(from) = read.from {
            for lanes in self.after.differing(from, read.op) {
                for (lane, places) in within(&lanes) {
                    later(*lane, places, self.first_after(from, *lane));
                }
            }
            for lanes in self.before.differing(from, read.op) {
                for (lane, places) in within(&lanes) {
                    let done = self.before.get(read.op, *lane);
                    let known = self.before.get(from, *lane);
                    if known >= done {
                        continue;
                    }
                    let earlier = places.partition_point(|place| *place < done);
                    let last = earlier.checked_sub(1).map(|at| places[at]);
                    let between = last.filter(|place| *place >= known);
                    let other = between.map(|place| write(*lane, place));
                    if let Some(other) = other.filter(|other| *other != from) {
                        fresh.push((other, from, Why::BeforeRead(read.op as u32)));
                    }
                }
            }
        } else {
            for (lane, places) in of_key {
                later(*lane, places, 0);
            }
        }
        for (from, to, why) in fresh {
            if !self.is_before(from, to) && !self.is_after(to, from) {
                self.graph.add(from, to, why);
                self.pass_forward(from, to)?;
                self.pass_backward(from, to)?;
            }
        }
        Ok(())
    }
}
