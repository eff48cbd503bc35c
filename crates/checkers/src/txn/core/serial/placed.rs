//! What has been placed so far, what the keys hold, and what must follow.

use std::collections::BTreeSet;

use super::moments::Moments;
use crate::txn::core::txns::NONE;

pub(super) struct Placed<'a> {
    pub(super) moments: &'a Moments,
    done: Vec<bool>,
    /// How many predecessors are not placed.
    missing: Vec<u32>,
    /// Those without such ones, by about when they are.
    pub(super) ready: BTreeSet<(u32, u32)>,
    /// All of them by their latest time, and where the first one stands that is not placed.
    ends: Vec<u32>,
    end: usize,
    /// Per key the version that it holds, how many readers of each version are still to come, and among
    /// its writers the first one that is.
    pub(super) now: Vec<u32>,
    pub(super) waiting: Vec<u32>,
    unwritten: Vec<u32>,
    /// The keys that were written, with what they held.
    overwritten: Vec<(u32, u32)>,
    /// Keys that hold something that is still to be read, by when they have to be overwritten.
    pub(super) due: BTreeSet<(u32, u32)>,
    due_at: Vec<u32>,
    /// Per key the commit that has to come before any other one that writes it, or [`NONE`].
    pub(super) closed: Vec<u32>,
    /// A hash of who is placed.
    pub(super) hash: u64,
    /// In which look ahead each moment was met; see `ahead`.
    pub(super) met: Vec<u32>,
    pub(super) looks: u32,
    pub(super) queue: Vec<u32>,
    pub(super) found: Vec<u32>,
}

/// One placed moment, and those that could have been placed instead.
pub(super) struct Frame {
    pub(super) moment: u32,
    pub(super) others: Vec<u32>,
    /// How many keys were written before.
    overwritten: usize,
}

/// A number for a moment (the finaliser of SplitMix64).
fn hashed(moment: u32) -> u64 {
    let mut x = u64::from(moment).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Placed<'_> {
    pub(super) fn new(moments: &Moments) -> Placed<'_> {
        let n = moments.len() as u32;
        let missing = moments.next.in_degrees();
        let ready = (0..n).filter(|m| missing[*m as usize] == 0);
        let ready = ready.map(|m| (moments.hint[m as usize], m)).collect();
        let mut ends: Vec<u32> = (0..n).collect();
        ends.sort_unstable_by_key(|m| (moments.latest[*m as usize], *m));
        let versions = 0..moments.readers.len() as u32;
        let mut placed = Placed {
            moments,
            done: vec![false; n as usize],
            missing,
            ready,
            ends,
            end: 0,
            now: moments.initial.clone(),
            waiting: versions.map(|v| moments.readers.of(v).len() as u32).collect(),
            unwritten: vec![0; moments.initial.len()],
            overwritten: Vec::new(),
            due: BTreeSet::new(),
            due_at: vec![NONE; moments.initial.len()],
            closed: vec![NONE; moments.initial.len()],
            hash: 0,
            met: vec![0; n as usize],
            looks: 0,
            queue: Vec::new(),
            found: Vec::new(),
        };
        (0..moments.initial.len() as u32).for_each(|key| placed.refresh(key));
        placed
    }

    pub(super) fn is_done(&self, moment: u32) -> bool {
        self.done[moment as usize]
    }

    /// The latest time of the one that has to be over first.
    pub(super) fn deadline(&self) -> u32 {
        self.ends.get(self.end).map_or(NONE, |m| self.moments.latest[*m as usize])
    }

    /// The writers of a key that are still to come, with their latest times, ascending.
    pub(super) fn unwritten(&self, key: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let moments = self.moments;
        let left = &moments.writers.of(key)[self.unwritten[key as usize] as usize..];
        let left = left.iter().filter(|m| !self.is_done(**m));
        left.map(|m| (moments.latest[*m as usize], *m))
    }

    /// May it come next: does it find what it found, and overwrite nothing that is still to be read?
    pub(super) fn fits(&self, moment: u32) -> bool {
        let free = |key: u32| {
            let by = self.closed[key as usize];
            by == NONE || by == moment
        };
        let opens = self.moments.is_begin(moment);
        self.moments.touches(moment).all(|t| {
            let now = self.now[t.key as usize];
            (t.found == NONE || t.found == now)
                && (t.wrote == NONE
                    || self.waiting[now as usize] == u32::from(t.found == now) && free(t.key))
        }) && (!opens
            || self.moments.all_touches(moment).iter().all(|t| t.wrote == NONE || free(t.key)))
    }

    /// Does something have to follow before others write its keys?
    pub(super) fn binds(&self, moment: u32) -> bool {
        let mut all = self.moments.all_touches(moment).iter();
        match self.moments.is_begin(moment) {
            true => all.any(|t| t.wrote != NONE),
            false => all.any(|t| t.wrote != NONE && self.waiting[t.wrote as usize] > 0),
        }
    }

    pub(super) fn put(&mut self, moment: u32, others: Vec<u32>) -> Frame {
        let moments = self.moments;
        let overwritten = self.overwritten.len();
        self.done[moment as usize] = true;
        while self.ends.get(self.end).is_some_and(|m| self.is_done(*m)) {
            self.end += 1;
        }
        for t in moments.touches(moment) {
            if t.found != NONE {
                self.waiting[t.found as usize] -= 1;
            }
            if t.wrote != NONE {
                let was = std::mem::replace(&mut self.now[t.key as usize], t.wrote);
                self.overwritten.push((t.key, was));
                self.closed[t.key as usize] = NONE;
            }
            self.refresh(t.key);
        }
        self.close(moment, moment + 1);
        self.hash ^= hashed(moment);
        self.ready.remove(&(moments.hint[moment as usize], moment));
        for (_, to) in moments.next.successors(moment) {
            self.missing[to as usize] -= 1;
            if self.missing[to as usize] == 0 {
                self.ready.insert((moments.hint[to as usize], to));
            }
        }
        Frame { moment, others, overwritten }
    }

    pub(super) fn undo(&mut self, frame: &Frame) {
        let (moments, moment) = (self.moments, frame.moment);
        for (_, to) in moments.next.successors(moment) {
            if self.missing[to as usize] == 0 {
                self.ready.remove(&(moments.hint[to as usize], to));
            }
            self.missing[to as usize] += 1;
        }
        self.ready.insert((moments.hint[moment as usize], moment));
        let by_end = |m: &u32| (moments.latest[*m as usize], *m);
        let place = |all: &[u32]| all.partition_point(|m| by_end(m) < by_end(&moment));
        self.end = self.end.min(place(&self.ends));
        self.hash ^= hashed(moment);
        self.done[moment as usize] = false;
        self.close(moment, NONE);
        while self.overwritten.len() > frame.overwritten
            && let Some((key, was)) = self.overwritten.pop()
        {
            self.now[key as usize] = was;
            let first = &mut self.unwritten[key as usize];
            *first = (*first).min(place(moments.writers.of(key)) as u32);
            if moments.is_commit(moment) {
                self.closed[key as usize] = moment;
            }
        }
        for t in moments.touches(moment) {
            if t.found != NONE {
                self.waiting[t.found as usize] += 1;
            }
            self.refresh(t.key);
        }
    }

    /// From the begin of a transaction to its commit nobody else may write its keys.
    fn close(&mut self, moment: u32, by: u32) {
        if self.moments.is_begin(moment) {
            for t in self.moments.all_touches(moment).iter().filter(|t| t.wrote != NONE) {
                self.closed[t.key as usize] = by;
            }
        }
    }

    fn refresh(&mut self, key: u32) {
        let k = key as usize;
        let waits = self.waiting[self.now[k] as usize] > 0;
        let writers = self.moments.writers.of(key);
        while writers.get(self.unwritten[k] as usize).is_some_and(|m| self.is_done(*m)) {
            self.unwritten[k] += 1;
        }
        let first = writers.get(self.unwritten[k] as usize).filter(|_| waits);
        let due = first.map_or(NONE, |m| self.moments.latest[*m as usize]);
        if due != self.due_at[k] {
            self.due.remove(&(self.due_at[k], key));
            self.due_at[k] = due;
            if due != NONE {
                self.due.insert((due, key));
            }
        }
    }
}
