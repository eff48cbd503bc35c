//! Whose write a read of a register saw, where only one can have been it.

use std::collections::{HashMap, HashSet};

use super::super::Model;
use super::Work;
use crate::op::Value;

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
    /// A read of what nobody wrote.
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

/// What an operation read and wrote of which register, as numbers.
#[derive(Clone, Copy)]
struct Numbered {
    key: usize,
    read: Option<usize>,
    write: Option<usize>,
}

#[derive(Default)]
struct Numbers {
    keys: HashMap<Value, usize>,
    /// By key and value.
    versions: HashMap<(usize, Value), usize>,
    /// Per version: is it nil, which the register may have begun with?
    nil: Vec<bool>,
}

impl Numbers {
    fn version(&mut self, key: usize, value: Value) -> usize {
        let is_nil = value.is_nil();
        let next = self.versions.len();
        let version = *self.versions.entry((key, value)).or_insert(next);
        if version == next {
            self.nil.push(is_nil);
        }
        version
    }

    fn of<M: Model>(&mut self, model: &M, op: &M::Op) -> Option<Numbered> {
        let access = model.access(op)?;
        let next = self.keys.len();
        let key = *self.keys.entry(access.key).or_insert(next);
        let mut version = |value: Option<Value>| value.map(|value| self.version(key, value));
        Some(Numbered { key, read: version(access.read), write: version(access.write) })
    }
}

impl Reads {
    pub(super) fn new<M: Model>(model: &M, work: &[Work<M::Op>]) -> Reads {
        let mut numbers = Numbers::default();
        let accesses: Vec<Option<Numbered>> =
            work.iter().map(|w| numbers.of(model, &w.op)).collect();
        let mut reads = Reads {
            known: Vec::new(),
            of: vec![None; work.len()],
            starts: vec![0; work.len() + 1],
            readers: Vec::new(),
            unwritten: None,
            counted: work.iter().map(|w| w.completed.is_some()).collect(),
            observer: vec![None; work.len()],
            idle: idle(work, &accesses, numbers.nil.len()),
            written: accesses
                .iter()
                .map(|a| a.filter(|a| a.write.is_some()).map(|a| a.key))
                .collect(),
            clear: vec![true; numbers.keys.len()],
        };
        reads.find_writers(&accesses, &numbers.nil);
        reads.index();
        for (i, access) in accesses.iter().enumerate() {
            if let Some(access) =
                access.filter(|a| a.read.is_some() && reads.of[i].is_none() && !reads.idle[i])
            {
                reads.clear[access.key] = false;
            }
        }
        reads
    }

    fn find_writers(&mut self, accesses: &[Option<Numbered>], nil: &[bool]) {
        // Per version: who wrote it.
        let mut writers: Vec<Vec<usize>> = vec![Vec::new(); nil.len()];
        for (i, access) in accesses.iter().enumerate() {
            if let Some(version) = access.and_then(|a| a.write) {
                writers[version].push(i);
            }
        }
        let mut left: Vec<usize> = (0..accesses.len()).filter(|i| self.counted[*i]).collect();
        while let Some(op) = left.pop() {
            let Some(Numbered { key, read: Some(version), .. }) = accesses[op] else { continue };
            let from = match writers[version][..] {
                [] if nil[version] => None,
                // It may also be what the register began with, or each of several.
                [_, ..] if nil[version] => continue,
                [_, _, ..] => continue,
                [writer] if writer != op => Some(writer),
                // Nobody wrote it, or nobody but itself.
                [] | [_] => {
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

/// Those whose effect nobody saw but others of which nobody saw anything.
fn idle<O>(work: &[Work<O>], accesses: &[Option<Numbered>], versions: usize) -> Vec<bool> {
    let mut idle = vec![false; work.len()];
    let mut readers = vec![0u32; versions];
    accesses.iter().flatten().filter_map(|a| a.read).for_each(|v| readers[v] += 1);
    let mut left: Vec<usize> = (0..work.len()).filter(|i| work[*i].completed.is_none()).collect();
    let mut writers: HashMap<usize, Vec<usize>> = HashMap::new();
    for i in &left {
        if let Some(version) = accesses[*i].and_then(|a| a.write) {
            writers.entry(version).or_default().push(*i);
        }
    }
    while let Some(i) = left.pop() {
        let Some(access) = accesses[i].filter(|_| !idle[i]) else { continue };
        if access.write.is_some_and(|version| readers[version] > 0) {
            continue;
        }
        idle[i] = true;
        if let Some(read) = access.read {
            readers[read] -= 1;
            left.extend(writers.get(&read).into_iter().flatten().filter(|_| readers[read] == 0));
        }
    }
    idle
}
