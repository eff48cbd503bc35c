//! Whose write a read of a register saw, where only one can have been it.

use std::collections::HashSet;

use super::super::Model;
use super::Work;
use fuzz_dist_history::hash::FastMap;
use fuzz_dist_history::op::Value;

/// A read whose writer is known; `None` is the beginning.
#[derive(Clone, Copy)]
pub(super) struct Read {
    pub(super) op: usize,
    pub(super) from: Option<usize>,
    pub(super) key: usize,
}

/// What the operations did with registers.
pub(super) struct Reads {
    pub(super) known: Vec<Read>,
    /// Per operation: which of these it is; and where its own readers begin in `readers`.
    of: Vec<Option<u32>>,
    starts: Vec<u32>,
    readers: Vec<u32>,
    /// A read of what no client wrote.
    pub(super) unwritten: Option<usize>,
    /// Did it certainly take effect? And if only a read says so, which.
    pub(super) counted: Vec<bool>,
    pub(super) observer: Vec<Option<usize>>,
    /// Of unknown outcome, and nobody can have seen it: if there is an order, there is one without.
    pub(super) idle: Vec<bool>,
    /// The register that it writes, if it is one.
    pub(super) written: Vec<Option<usize>>,
    /// Per register: is it known of all reads whose write they saw?
    pub(super) clear: Vec<bool>,
}

/// What an operation read and wrote of which register: the number of the version, which is 0 for
/// nil, which all registers begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Numbered {
    pub(super) key: usize,
    pub(super) read: Option<u32>,
    pub(super) write: Option<u32>,
}

/// What all operations did with registers, where a model says so.
pub(super) struct Accesses {
    pub(super) of: Vec<Option<Numbered>>,
    /// How many registers there are.
    pub(super) keys: usize,
    /// How many versions, nil of each register included.
    versions: usize,
}

#[derive(Default)]
struct Numbers {
    keys: FastMap<Value, usize>,
    /// By key and value.
    versions: FastMap<(usize, Value), u32>,
}

impl Numbers {
    fn of<M: Model>(&mut self, model: &M, op: &M::Op) -> Option<Numbered> {
        let access = model.access(op)?;
        let next = self.keys.len();
        let key = *self.keys.entry(access.key).or_insert(next);
        let mut version = |value: Value| {
            let next = self.versions.len() as u32 + 1;
            if value.is_nil() { 0 } else { *self.versions.entry((key, value)).or_insert(next) }
        };
        let (read, write) = (access.read.map(&mut version), access.write.map(&mut version));
        Some(Numbered { key, read, write })
    }
}

impl Accesses {
    pub(super) fn new<M: Model>(model: &M, work: &[Work<M::Op>]) -> Accesses {
        let mut numbers = Numbers::default();
        let of = work.iter().map(|w| numbers.of(model, &w.op)).collect();
        let (keys, versions) = (numbers.keys.len(), numbers.versions.len());
        Accesses { of, keys, versions: keys + versions }
    }

    /// The place of a version among those of all registers.
    fn place(&self, key: usize, version: u32) -> usize {
        if version == 0 { key } else { self.keys + version as usize - 1 }
    }

    fn read(&self, i: usize) -> Option<usize> {
        let access = self.of[i]?;
        Some(self.place(access.key, access.read?))
    }

    fn written(&self, i: usize) -> Option<usize> {
        let access = self.of[i]?;
        Some(self.place(access.key, access.write?))
    }
}

impl Reads {
    pub(super) fn new<O>(work: &[Work<O>], accesses: &Accesses) -> Reads {
        let mut reads = Reads {
            known: Vec::new(),
            of: vec![None; work.len()],
            starts: vec![0; work.len() + 1],
            readers: Vec::new(),
            unwritten: None,
            counted: work.iter().map(|w| w.completed.is_some()).collect(),
            observer: vec![None; work.len()],
            idle: idle(work, accesses),
            written: (accesses.of.iter())
                .map(|a| a.filter(|a| a.write.is_some()).map(|a| a.key))
                .collect(),
            clear: vec![true; accesses.keys],
        };
        reads.find_writers(accesses);
        reads.index();
        for (i, access) in accesses.of.iter().enumerate() {
            if let Some(access) =
                access.filter(|a| a.read.is_some() && reads.of[i].is_none() && !reads.idle[i])
            {
                reads.clear[access.key] = false;
            }
        }
        reads
    }

    fn find_writers(&mut self, accesses: &Accesses) {
        // Per version: who wrote it, if only one did.
        let mut writers = vec![Writer::Nobody; accesses.versions];
        for i in 0..accesses.of.len() {
            if let Some(version) = accesses.written(i) {
                writers[version] = match writers[version] {
                    Writer::Nobody => Writer::One(i as u32),
                    _ => Writer::Several,
                };
            }
        }
        let mut left: Vec<usize> = (0..accesses.of.len()).filter(|i| self.counted[*i]).collect();
        while let Some(op) = left.pop() {
            let Some(Numbered { key, read: Some(version), .. }) = accesses.of[op] else { continue };
            let from = match (writers[accesses.place(key, version)], version) {
                (Writer::Nobody, 0) => None,
                // It may also be what the register began with, or each of several.
                (_, 0) | (Writer::Several, _) => continue,
                (Writer::One(writer), _) if writer as usize != op => Some(writer as usize),
                // Nobody wrote it, or nobody but itself.
                (Writer::Nobody | Writer::One(_), _) => {
                    self.unwritten = Some(op);
                    return;
                }
            };
            if let Some(writer) = from
                && !std::mem::replace(&mut self.counted[writer], true)
            {
                self.observer[writer] = Some(op);
                left.push(writer);
            }
            self.known.push(Read { op, from, key });
        }
    }

    fn index(&mut self) {
        for (at, read) in self.known.iter().enumerate() {
            self.of[read.op] = Some(at as u32);
            if let Some(from) = read.from {
                self.starts[from + 1] += 1;
            }
        }
        for i in 1..self.starts.len() {
            self.starts[i] += self.starts[i - 1];
        }
        let mut next = self.starts.clone();
        self.readers = vec![0; next.last().map_or(0, |n| *n as usize)];
        for (from, op) in self.known.iter().filter_map(|read| Some((read.from?, read.op))) {
            self.readers[next[from] as usize] = op as u32;
            next[from] += 1;
        }
    }

    /// What an operation read, where that is known.
    pub(super) fn of(&self, i: usize) -> Option<Read> {
        self.of[i].map(|at| self.known[at as usize])
    }

    /// Those that are known to have read what it wrote.
    pub(super) fn readers(&self, i: usize) -> &[u32] {
        &self.readers[self.starts[i] as usize..self.starts[i + 1] as usize]
    }

    /// With the reads without which an operation of unknown outcome might not have happened.
    pub(super) fn with_observers(&self, mut ops: HashSet<usize>) -> Vec<usize> {
        let mut left: Vec<usize> = ops.iter().copied().collect();
        while let Some(observer) = left.pop().map(|op| self.observer[op]) {
            left.extend(observer.filter(|observer| ops.insert(*observer)));
        }
        let mut ops: Vec<usize> = ops.into_iter().collect();
        ops.sort_unstable();
        ops
    }
}

/// Who wrote a version.
#[derive(Clone, Copy)]
enum Writer {
    Nobody,
    One(u32),
    Several,
}

/// Those whose effect nobody saw but others of which nobody saw anything.
fn idle<O>(work: &[Work<O>], accesses: &Accesses) -> Vec<bool> {
    let mut idle = vec![false; work.len()];
    let mut readers = vec![0u32; accesses.versions];
    (0..work.len()).filter_map(|i| accesses.read(i)).for_each(|v| readers[v] += 1);
    let mut left: Vec<usize> = (0..work.len()).filter(|i| work[*i].completed.is_none()).collect();
    let mut writers: FastMap<usize, Vec<usize>> = FastMap::default();
    for i in &left {
        if let Some(version) = accesses.written(*i) {
            writers.entry(version).or_default().push(*i);
        }
    }
    while let Some(i) = left.pop() {
        if accesses.of[i].is_none() || idle[i] {
            continue;
        }
        if accesses.written(i).is_some_and(|version| readers[version] > 0) {
            continue;
        }
        idle[i] = true;
        if let Some(read) = accesses.read(i) {
            readers[read] -= 1;
            left.extend(writers.get(&read).into_iter().flatten().filter(|_| readers[read] == 0));
        }
    }
    idle
}
