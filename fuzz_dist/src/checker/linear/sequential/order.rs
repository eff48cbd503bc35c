//! What must come before what in every order, where the object is registers and it is known whose
//! write a read saw: what lies between a write and its reader lies before the one or after the other.
//!
//! Deriving until nothing new follows is polynomial; it decides nearly all histories whose written
//! values are distinct, and it narrows the search for the rest (Gibbons and Korach 1997; "saturation"
//! in Biswas and Enea, "On the complexity of checking transactional consistency", 2019).

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::super::Model;
use super::Work;
use super::lanes::Lanes;
use crate::op::Value;

/// What follows from a history without a search.
pub(super) enum Derived {
    /// Every order, if there is one, keeps this.
    Order(Order),
    /// These operations have none.
    Impossible(Vec<usize>),
}

/// For each operation, how many of each lane come before it; and who has to read a value before it
/// is overwritten.
pub(super) struct Order {
    width: usize,
    before: Vec<u32>,
    readers: Readers,
}

/// Reads whose writer is known.
#[derive(Default)]
struct Readers {
    /// Per operation: the key that it writes.
    written: Vec<Option<usize>>,
    /// Per key and lane that reads it: the reads, by ascending places.
    reads: Vec<Vec<(usize, Vec<KnownRead>)>>,
}

/// The place of a read, and the lane and place of its writer; `None` is the beginning.
type KnownRead = (u32, Option<(usize, u32)>);

impl Readers {
    /// Would the operation overwrite what somebody still has to read?
    fn miss(&self, i: usize, own: (usize, u32), places: &[u32]) -> bool {
        let Some(key) = self.written.get(i).copied().flatten() else { return false };
        self.reads[key].iter().any(|(lane, reads)| {
            let next = reads.partition_point(|(place, _)| *place < places[*lane]);
            reads.get(next).is_some_and(|(place, from)| {
                (*lane, *place) != own && from.is_none_or(|(lane, place)| places[lane] > place)
            })
        })
    }
}

impl Order {
    /// Nothing is known.
    pub(super) fn none() -> Order {
        Order { width: 0, before: Vec::new(), readers: Readers::default() }
    }

    /// May the operation come next, where so much of each lane is done?
    pub(super) fn allows(&self, i: usize, lanes: &Lanes, places: &[u32]) -> bool {
        self.row(i).iter().zip(places).all(|(before, place)| place >= before)
            && !self.readers.miss(i, lanes.of[i], places)
    }

    fn row(&self, i: usize) -> &[u32] {
        &self.before[i * self.width..(i + 1) * self.width]
    }
}

/// Derives as long as something new follows, within `bytes_max`.
pub(super) fn derive<M: Model>(
    model: &M,
    work: &[Work<M::Op>],
    lanes: &Lanes,
    bytes_max: usize,
) -> Derived {
    if work.len() * lanes.len() * size_of::<u32>() > bytes_max {
        return Derived::Order(Order::none());
    }
    let mut known = Known::new(model, work, lanes);
    if let Some(read) = known.unwritten {
        return Derived::Impossible(known.with_observers([read].into()));
    }
    for round in 1.. {
        let order = match known.sorted() {
            Ok(order) => order,
            Err(cycle) => return Derived::Impossible(known.needed(cycle)),
        };
        let before = known.edges.len();
        known.imply(&order, round);
        if known.edges.len() == before {
            return Derived::Order(known.without_idle(Order { readers: known.readers(), ..order }));
        }
    }
    unreachable!("each round adds a pair that was not known")
}

/// Why one operation comes before another one.
#[derive(Clone, Copy)]
enum Why {
    /// Their session did them in this order.
    Session,
    /// The second read what the first wrote.
    ReadFrom,
    /// The first is a write before this read, which read from the second.
    BeforeRead(usize),
    /// The second is a write after this one, from which the first read; `None` is the beginning.
    AfterWrite(Option<usize>),
}

struct Edge {
    from: usize,
    to: usize,
    why: Why,
    /// It follows from edges of earlier rounds.
    round: u32,
}

/// A read whose writer is known; `None` is the beginning.
struct Read {
    op: usize,
    from: Option<usize>,
    key: usize,
}

struct Known<'a> {
    lanes: &'a Lanes,
    /// Did it certainly take effect? And if only a read says so, which.
    counted: Vec<bool>,
    observer: Vec<Option<usize>>,
    /// Of unknown outcome, and nobody can have seen it.
    idle: Vec<bool>,
    reads: Vec<Read>,
    /// Per key and lane that writes it: the places there, ascending.
    writes: Vec<Vec<(usize, Vec<u32>)>>,
    /// A read of what nobody wrote.
    unwritten: Option<usize>,
    edges: Vec<Edge>,
    /// Per operation: the edges from it.
    out: Vec<Vec<usize>>,
}

impl<'a> Known<'a> {
    fn new<M: Model>(model: &M, work: &[Work<M::Op>], lanes: &'a Lanes) -> Known<'a> {
        let mut keys: HashMap<Value, usize> = HashMap::new();
        let mut key_of = |key: Value| {
            let next = keys.len();
            *keys.entry(key).or_insert(next)
        };
        let accesses: Vec<_> = (work.iter())
            .map(|w| model.access(&w.op).map(|a| (key_of(a.key), a.read, a.write)))
            .collect();
        // Who wrote a value; `None` where several did.
        let mut writers: HashMap<(usize, &Value), Option<usize>> = HashMap::new();
        let mut seen: HashSet<(usize, &Value)> = HashSet::new();
        for (i, (key, read, write)) in
            accesses.iter().enumerate().filter_map(|(i, a)| Some((i, a.as_ref()?)))
        {
            if let Some(value) = write {
                writers.entry((*key, value)).and_modify(|w| *w = None).or_insert(Some(i));
            }
            seen.extend(read.as_ref().map(|value| (*key, value)));
        }
        let is_idle = |i: usize| {
            let Some((key, _, write)) = &accesses[i] else { return false };
            work[i].completed.is_none()
                && write.as_ref().is_none_or(|value| !seen.contains(&(*key, value)))
        };
        let mut known = Known {
            lanes,
            counted: work.iter().map(|w| w.completed.is_some()).collect(),
            observer: vec![None; work.len()],
            idle: (0..work.len()).map(is_idle).collect(),
            reads: Vec::new(),
            writes: vec![Vec::new(); keys.len()],
            unwritten: None,
            edges: Vec::new(),
            out: vec![Vec::new(); work.len()],
        };
        let mut left: Vec<usize> = (0..work.len()).filter(|i| known.counted[*i]).collect();
        while let Some(op) = left.pop() {
            let Some((key, Some(value), _)) = &accesses[op] else { continue };
            let from = match writers.get(&(*key, value)) {
                None if value.is_nil() => None,
                // It may also be what the register began with, or each of several.
                Some(_) if value.is_nil() => continue,
                Some(None) => continue,
                Some(Some(writer)) if *writer != op => Some(*writer),
                // Nobody wrote it, or nobody but itself.
                None | Some(Some(_)) => {
                    known.unwritten = Some(op);
                    break;
                }
            };
            if let Some(writer) = from
                && !std::mem::replace(&mut known.counted[writer], true)
            {
                known.observer[writer] = Some(op);
                left.push(writer);
            }
            known.reads.push(Read { op, from, key: *key });
        }
        for (lane, ops) in lanes.lanes.iter().enumerate() {
            for (place, op) in ops.iter().enumerate().filter(|(_, op)| known.counted[**op]) {
                let Some((key, _, Some(_))) = &accesses[*op] else { continue };
                let of_key = &mut known.writes[*key];
                if of_key.last().is_none_or(|(last, _)| *last != lane) {
                    of_key.push((lane, Vec::new()));
                }
                of_key.last_mut().expect("just pushed").1.push(place as u32);
            }
        }
        for i in (0..work.len()).filter(|i| known.counted[*i]).collect::<Vec<_>>() {
            if let Some(previous) = lanes.previous(i) {
                known.add(previous, i, Why::Session, 0);
            }
        }
        for (from, to) in
            known.reads.iter().filter_map(|r| Some((r.from?, r.op))).collect::<Vec<_>>()
        {
            known.add(from, to, Why::ReadFrom, 0);
        }
        known
    }

    fn add(&mut self, from: usize, to: usize, why: Why, round: u32) {
        self.out[from].push(self.edges.len());
        self.edges.push(Edge { from, to, why, round });
    }

    /// What comes before each operation, by all that is known so far; or the edges of a cycle.
    fn sorted(&self) -> Result<Order, Vec<usize>> {
        let (count, width) = (self.counted.len(), self.lanes.len());
        let before = vec![0; count * width];
        let mut order = Order { width, before, readers: Readers::default() };
        let mut waits = vec![0u32; count];
        self.edges.iter().for_each(|edge| waits[edge.to] += 1);
        let mut ready: Vec<usize> = (0..count).filter(|i| waits[*i] == 0).collect();
        while let Some(i) = ready.pop() {
            let (lane, place) = self.lanes.of[i];
            for edge in &self.out[i] {
                let to = self.edges[*edge].to;
                for l in 0..width {
                    let before = order.before[i * width + l].max(order.before[to * width + l]);
                    order.before[to * width + l] = before;
                }
                let own = &mut order.before[to * width + lane];
                *own = (*own).max(place + 1);
                waits[to] -= 1;
                if waits[to] == 0 {
                    ready.push(to);
                }
            }
        }
        match waits.iter().position(|w| *w > 0) {
            None => Ok(order),
            Some(stuck) => Err(self.cycle(stuck, &waits)),
        }
    }

    /// A cycle among operations that still wait: whoever waits, waits for one that waits.
    fn cycle(&self, stuck: usize, waits: &[u32]) -> Vec<usize> {
        let mut into: Vec<Option<usize>> = vec![None; waits.len()];
        for (i, edge) in self.edges.iter().enumerate() {
            if waits[edge.from] > 0 && waits[edge.to] > 0 {
                into[edge.to] = Some(i);
            }
        }
        let back = |to: usize| into[to].expect("who waits, waits for one that waits");
        let (mut edge, mut edges, mut met) = (back(stuck), Vec::new(), HashSet::new());
        while met.insert(edge) {
            edges.push(edge);
            edge = back(self.edges[edge].from);
        }
        let first = edges.iter().position(|e| *e == edge).unwrap_or(0);
        edges.split_off(first)
    }

    /// Adds what follows from an order: between a write and its read there is no other write.
    fn imply(&mut self, order: &Order, round: u32) {
        let mut fresh: Vec<(usize, usize, Why)> = Vec::new();
        let precedes = |first: usize, then: usize| {
            let (lane, place) = self.lanes.of[first];
            order.row(then)[lane] > place
        };
        for read in &self.reads {
            for (lane, places) in &self.writes[read.key] {
                let write = |place: &u32| self.lanes.lanes[*lane][*place as usize];
                let later = match read.from {
                    None => 0,
                    Some(from) => {
                        let done = order.row(read.op)[*lane];
                        let earlier = places.partition_point(|place| *place < done);
                        let last = earlier.checked_sub(1).map(|at| write(&places[at]));
                        if let Some(other) = last.filter(|o| *o != from && !precedes(*o, from)) {
                            fresh.push((other, from, Why::BeforeRead(read.op)));
                        }
                        places.partition_point(|place| !precedes(from, write(place)))
                    }
                };
                let other = places[later..].iter().map(write).find(|other| *other != read.op);
                if let Some(other) = other.filter(|other| !precedes(read.op, *other)) {
                    fresh.push((read.op, other, Why::AfterWrite(read.from)));
                }
            }
        }
        for (from, to, why) in fresh {
            self.add(from, to, why, round);
        }
    }

    /// The operations that a cycle is about, and those from which it follows.
    fn needed(&self, cycle: Vec<usize>) -> Vec<usize> {
        let (mut ops, mut met, mut left) = (HashSet::new(), HashSet::new(), cycle);
        while let Some(i) = left.pop() {
            let edge = &self.edges[i];
            if !met.insert(i) || matches!(edge.why, Why::Session) {
                continue;
            }
            ops.extend([edge.from, edge.to]);
            match edge.why {
                Why::BeforeRead(read) => {
                    ops.insert(read);
                    left.extend(self.path(edge.from, read, edge.round));
                }
                Why::AfterWrite(Some(write)) => {
                    ops.insert(write);
                    left.extend(self.path(write, edge.to, edge.round));
                }
                Why::Session | Why::ReadFrom | Why::AfterWrite(None) => {}
            }
        }
        self.with_observers(ops)
    }

    /// With the reads without which an operation of unknown outcome might not have happened.
    fn with_observers(&self, mut ops: HashSet<usize>) -> Vec<usize> {
        let mut left: Vec<usize> = ops.iter().copied().collect();
        while let Some(observer) = left.pop().map(|op| self.observer[op]) {
            left.extend(observer.filter(|observer| ops.insert(*observer)));
        }
        let mut ops: Vec<usize> = ops.into_iter().collect();
        ops.sort_unstable();
        ops
    }

    /// The edges of a way from one operation to another one, older than `round`, of which as few as
    /// can be lead from one session to another one.
    fn path(&self, from: usize, to: usize, round: u32) -> Vec<usize> {
        let mut into: HashMap<usize, usize> = HashMap::new();
        let mut done = HashSet::new();
        let mut queue = VecDeque::from([(from, None)]);
        while let Some((at, edge)) = queue.pop_front() {
            if !done.insert(at) {
                continue;
            }
            into.extend(edge.map(|edge| (at, edge)));
            if at == to {
                break;
            }
            for next in self.out[at].iter().filter(|e| self.edges[**e].round < round) {
                let then = (self.edges[*next].to, Some(*next));
                match self.edges[*next].why {
                    Why::Session => queue.push_front(then),
                    _ => queue.push_back(then),
                }
            }
        }
        let back = std::iter::successors(into.get(&to), |edge| into.get(&self.edges[**edge].from));
        back.copied().collect()
    }

    fn readers(&self) -> Readers {
        let mut readers = Readers { written: vec![None; self.counted.len()], reads: Vec::new() };
        for (key, lanes) in self.writes.iter().enumerate() {
            for (lane, places) in lanes {
                for place in places {
                    readers.written[self.lanes.lanes[*lane][*place as usize]] = Some(key);
                }
            }
        }
        let mut of: Vec<BTreeMap<usize, Vec<_>>> = vec![BTreeMap::new(); self.writes.len()];
        for read in &self.reads {
            let (lane, place) = self.lanes.of[read.op];
            let from = read.from.map(|from| self.lanes.of[from]);
            of[read.key].entry(lane).or_default().push((place, from));
        }
        of.iter_mut().flat_map(BTreeMap::values_mut).for_each(|reads| reads.sort_unstable());
        readers.reads = of.into_iter().map(|lanes| lanes.into_iter().collect()).collect();
        readers
    }

    /// What nobody can have seen does not come at all.
    fn without_idle(&self, mut order: Order) -> Order {
        for i in (0..self.idle.len()).filter(|i| self.idle[*i]) {
            order.before[i * order.width..(i + 1) * order.width].fill(u32::MAX);
        }
        order
    }
}
