//! What must come before what in every order, where the object is registers and it is known whose
//! write a read saw: what lies between a write and its reader lies before the one or after the other.
//!
//! Deriving until nothing new follows is polynomial; it decides nearly all histories whose written
//! values are distinct, and it narrows the search for the rest (Gibbons and Korach 1997; "saturation"
//! in Biswas and Enea, "On the complexity of checking transactional consistency", 2019).

use super::super::Model;
use super::Work;
use super::lanes::Lanes;
use super::reads::Reads;
use super::rows::Rows;

/// What every order keeps.
pub(super) struct Order {
    pub(super) lanes: Lanes,
    pub(super) reads: Reads,
    /// Per operation: those that come after it, maybe repeatedly; and how often it is one of these.
    pub(super) after: Vec<Vec<u32>>,
    pub(super) waits: Vec<u32>,
}

/// Derives as long as something new follows and `bytes_max` is enough for it. Every order, if there
/// is one, keeps what it gives; or there is none of the operations that it names.
pub(super) fn derive<M: Model>(
    model: &M,
    work: &[Work<M::Op>],
    bytes_max: usize,
) -> Result<Order, Vec<usize>> {
    let reads = Reads::new(model, work);
    if let Some(read) = reads.unwritten {
        return Err(reads.with_observers([read].into()));
    }
    let lanes = Lanes::new(work, |i| reads.idle[i]);
    let mut known = Known::new(&lanes, &reads);
    for round in 1.. {
        let reach = match known.reach(bytes_max) {
            Ok(Some(reach)) => reach,
            Ok(None) => break,
            Err(cycle) => return Err(known.needed(cycle)),
        };
        let before = known.edges.len();
        known.imply(&reach, round);
        if known.edges.len() == before {
            break;
        }
    }
    let (after, waits) = known.into_neighbours();
    Ok(Order { lanes, reads, after, waits })
}

/// Why one operation comes before another one.
#[derive(Clone, Copy)]
pub(super) enum Why {
    /// Their session did them in this order.
    Session,
    /// The second read what the first wrote.
    ReadFrom,
    /// The first is a write before this read, which read from the second.
    BeforeRead(usize),
    /// The second is a write after this one, from which the first read; `None` is the beginning.
    AfterWrite(Option<usize>),
}

pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) why: Why,
    /// It follows from edges of earlier rounds.
    pub(super) round: u32,
}

pub(super) struct Known<'a> {
    lanes: &'a Lanes,
    pub(super) reads: &'a Reads,
    /// Per key: the lanes that write it, ascending, and the places there, ascending.
    writes: Vec<Vec<(usize, Vec<u32>)>>,
    pub(super) edges: Vec<Edge>,
    /// Per operation: the edges from it.
    pub(super) out: Vec<Vec<u32>>,
}

/// For each operation: how many of each lane come before it, and how many, from the end, after it.
struct Reach {
    before: Rows,
    after: Rows,
}

impl<'a> Known<'a> {
    fn new(lanes: &'a Lanes, reads: &'a Reads) -> Known<'a> {
        let mut writes = vec![Vec::new(); reads.clear.len()];
        for (lane, ops) in lanes.lanes.iter().enumerate() {
            for (place, op) in ops.iter().enumerate().filter(|(_, op)| reads.counted[**op]) {
                let Some(key) = reads.written[*op] else { continue };
                let of_key: &mut Vec<(usize, Vec<u32>)> = &mut writes[key];
                if of_key.last().is_none_or(|(last, _)| *last != lane) {
                    of_key.push((lane, Vec::new()));
                }
                of_key.last_mut().expect("just pushed").1.push(place as u32);
            }
        }
        let out = vec![Vec::new(); reads.counted.len()];
        let mut known = Known { lanes, reads, writes, edges: Vec::new(), out };
        for i in lanes.operations() {
            if let Some(previous) = lanes.previous(i) {
                known.add(previous, i, Why::Session, 0);
            }
        }
        for (from, to) in reads.known.iter().filter_map(|r| Some((r.from?, r.op))) {
            known.add(from, to, Why::ReadFrom, 0);
        }
        known
    }

    fn add(&mut self, from: usize, to: usize, why: Why, round: u32) {
        self.out[from].push(self.edges.len() as u32);
        self.edges.push(Edge { from, to, why, round });
    }

    fn edges_from(&self, i: usize) -> impl Iterator<Item = &Edge> {
        self.out[i].iter().map(|edge| &self.edges[*edge as usize])
    }

    fn waits(&self) -> Vec<u32> {
        let mut waits = vec![0u32; self.out.len()];
        self.edges.iter().for_each(|edge| waits[edge.to] += 1);
        waits
    }

    /// All operations in an order that keeps the edges; or the edges of a cycle.
    fn sorted(&self) -> Result<Vec<usize>, Vec<usize>> {
        let mut waits = self.waits();
        let mut sorted: Vec<usize> = self.lanes.operations().filter(|i| waits[*i] == 0).collect();
        let mut at = 0;
        while let Some(i) = sorted.get(at).copied() {
            at += 1;
            for edge in self.edges_from(i) {
                waits[edge.to] -= 1;
                if waits[edge.to] == 0 {
                    sorted.push(edge.to);
                }
            }
        }
        match waits.iter().position(|w| *w > 0) {
            None => Ok(sorted),
            Some(stuck) => Err(self.cycle(stuck, &waits)),
        }
    }

    /// What comes before and after each operation, by all that is known so far; `None` where that
    /// takes more than `bytes_max`.
    fn reach(&self, bytes_max: usize) -> Result<Option<Reach>, Vec<usize>> {
        let sorted = self.sorted()?;
        let (count, width) = (self.out.len(), self.lanes.len());
        if 2 * Rows::bytes_least(count, width) > bytes_max {
            return Ok(None);
        }
        let (mut before, mut after) = (Rows::new(count, width), Rows::new(count, width));
        for i in &sorted {
            let (lane, place) = self.lanes.of(*i);
            for edge in self.edges_from(*i) {
                before.join(edge.to, *i);
                before.raise(edge.to, lane, place + 1);
            }
            if before.bytes() + after.bytes() > bytes_max {
                return Ok(None);
            }
        }
        for i in sorted.iter().rev() {
            for edge in self.edges_from(*i) {
                let (lane, place) = self.lanes.of(edge.to);
                after.join(*i, edge.to);
                after.raise(*i, lane, self.lanes.lanes[lane].len() as u32 - place);
            }
            if before.bytes() + after.bytes() > bytes_max {
                return Ok(None);
            }
        }
        Ok(Some(Reach { before, after }))
    }

    /// Adds what follows: between a write and its read there is no other write. Where as many of a
    /// lane come before the read as before the write, none of that lane lies between them.
    fn imply(&mut self, reach: &Reach, round: u32) {
        let mut fresh: Vec<(usize, usize, Why)> = Vec::new();
        for read in &self.reads.known {
            let of_key = &self.writes[read.key];
            let within = |lanes: &std::ops::Range<usize>| {
                let from = of_key.partition_point(|(lane, _)| *lane < lanes.start);
                let to = of_key.partition_point(|(lane, _)| *lane < lanes.end);
                &of_key[from..to]
            };
            let write = |lane: usize, place: u32| self.lanes.lanes[lane][place as usize];
            let mut later = |lane: usize, places: &[u32], first: u32, known: u32| {
                let later = places[places.partition_point(|place| *place < first)..].iter();
                let mut later = later.map(|place| (*place, write(lane, *place)));
                if let Some((place, other)) = later.find(|(_, other)| *other != read.op)
                    && place < known
                {
                    fresh.push((read.op, other, Why::AfterWrite(read.from)));
                }
            };
            let first = |op: usize, lane: usize| {
                self.lanes.lanes[lane].len() as u32 - reach.after.get(op, lane)
            };
            let Some(from) = read.from else {
                for (lane, places) in of_key {
                    later(*lane, places, 0, first(read.op, *lane));
                }
                continue;
            };
            for lanes in reach.after.differing(from, read.op) {
                for (lane, places) in within(&lanes) {
                    later(*lane, places, first(from, *lane), first(read.op, *lane));
                }
            }
            for lanes in reach.before.differing(from, read.op) {
                for (lane, places) in within(&lanes) {
                    let done = reach.before.get(read.op, *lane);
                    let earlier = places.partition_point(|place| *place < done);
                    let last = earlier.checked_sub(1).map(|at| places[at]);
                    let between = last.filter(|place| *place >= reach.before.get(from, *lane));
                    let other = between.map(|place| write(*lane, place));
                    if let Some(other) = other.filter(|other| *other != from) {
                        fresh.push((other, from, Why::BeforeRead(read.op)));
                    }
                }
            }
        }
        for (from, to, why) in fresh {
            self.add(from, to, why, round);
        }
    }

    fn into_neighbours(self) -> (Vec<Vec<u32>>, Vec<u32>) {
        let waits = self.waits();
        let to = |out: Vec<u32>| out.iter().map(|e| self.edges[*e as usize].to as u32).collect();
        (self.out.into_iter().map(to).collect(), waits)
    }
}
