//! Looks for an order of a counter's operations that explains all reads.
//!
//! The state is the sum of what has taken effect, so that a configuration is the set of pending
//! operations that have: increments that had to before they completed, and reads that are
//! explained. No states are interned. Increments can take effect in any order, and those that
//! are pending at any time, so a configuration in which fewer did and more reads are explained
//! can do all that the other can, which is dropped: mostly one is left.

use super::configurations::{self, Seen};
use crate::history::{History, Word};
use crate::op::Kind;

/// The most operations that can be pending at a time, those of unknown outcome included.
const SLOTS: usize = u64::BITS as usize;

/// The most configurations that are kept.
const CONFIGURATIONS_MAX: usize = 1024;

/// The most configurations that are looked at for one completion.
const SEEN_MAX: usize = 1 << 16;

/// "No slot" for operations that nothing depends on.
const NO_SLOT: u8 = u8::MAX;

/// What it took to explain a history.
pub(super) struct Explained {
    pub(super) operations: usize,
    pub(super) steps: u64,
    pub(super) peak: usize,
}

/// What a function of the history does.
#[derive(Clone, Copy)]
enum Role {
    Add,
    Subtract,
    Read,
    Unknown,
}

impl Role {
    fn of(function: &str) -> Role {
        match function {
            "add" | "increment" | "inc" => Role::Add,
            "decrement" | "dec" => Role::Subtract,
            "read" => Role::Read,
            _ => Role::Unknown,
        }
    }
}

#[derive(Clone, Copy)]
struct Configuration {
    /// The slots of pending increments that took effect, and of pending reads that are explained.
    done: u64,
    sum: i64,
}

struct Search {
    /// Per slot: what the increment adds, or what the read gave.
    number: [i64; SLOTS],
    /// Per slot: equal increments of unknown outcome that were invoked earlier.
    twins: [u64; SLOTS],
    /// The slots of pending increments, those among them whose outcome is unknown, and of reads.
    adds: u64,
    open: u64,
    reads: u64,
    configurations: Vec<Configuration>,
    steps: u64,
    peak: usize,
    /// What completions work on, kept between them.
    kept: Vec<Configuration>,
    stack: Vec<Configuration>,
    seen: Seen,
}

/// An order explains the history; `None` where there is none, where it would take more than so
/// many steps to find it, and where something is no operation of a counter.
pub(super) fn explained(history: &History, steps_max: u64) -> Option<Explained> {
    let roles: Vec<Role> = history.functions().iter().map(|f| Role::of(f)).collect();
    let mut slots = vec![NO_SLOT; history.len()];
    let mut search = Search {
        number: [0; SLOTS],
        twins: [0; SLOTS],
        adds: 0,
        open: 0,
        reads: 0,
        configurations: vec![Configuration { done: 0, sum: 0 }],
        steps: 0,
        peak: 1,
        kept: Vec::new(),
        stack: Vec::new(),
        seen: Seen::default(),
    };
    let (mut operations, mut acknowledged) = (0, 0);
    // No sum of some of the increments is farther from zero.
    let mut farthest = 0i128;
    for i in 0..history.len() {
        if !history.process(i).is_client() {
            continue;
        }
        if history.kind(i) != Kind::Invoke {
            let slot = history.invocation(i).map_or(NO_SLOT, |invoked| slots[invoked]);
            if slot != NO_SLOT && history.kind(i) == Kind::Ok {
                search.complete(slot.into())?;
                if search.steps > steps_max {
                    return None;
                }
            }
            continue;
        }
        let done = history.completion(i);
        let outcome = done.map_or(Kind::Info, |done| history.kind(done));
        let role = roles[history.function_index(i)];
        let number = match (role, done) {
            (Role::Read, Some(done)) if outcome == Kind::Ok => history.int(done)?,
            (Role::Read, _) => continue,
            (Role::Unknown, _) if outcome == Kind::Fail => continue,
            (Role::Unknown, _) => return None,
            (Role::Add, _) => size(history, i)?,
            (Role::Subtract, _) => size(history, i)?.checked_neg()?,
        };
        if outcome == Kind::Fail {
            continue;
        }
        operations += 1;
        acknowledged += usize::from(outcome == Kind::Ok);
        let slot = (!(search.adds | search.reads)).trailing_zeros() as usize;
        if slot >= SLOTS {
            return None;
        }
        slots[i] = slot as u8;
        if let Role::Read = role {
            search.read(slot, number);
        } else {
            farthest += i128::from(number.unsigned_abs());
            i64::try_from(farthest).ok()?;
            search.add(slot, number, outcome != Kind::Ok);
        }
    }
    let (steps, peak) = (search.steps, search.peak);
    (acknowledged > 0).then_some(Explained { operations, steps, peak })
}

/// How much the operation that was invoked at event `i` changes the counter by.
fn size(history: &History, i: usize) -> Option<i64> {
    match history.word(i) {
        Word::NIL => Some(1),
        word => history.int_of(word),
    }
}

impl From<Configuration> for configurations::Configuration {
    /// The sum follows from what is done.
    fn from(c: Configuration) -> Self {
        Self { done: c.done.into(), ..Self::default() }
    }
}

impl Search {
    fn add(&mut self, slot: usize, number: i64, open: bool) {
        self.number[slot] = number;
        self.twins[slot] = 0;
        self.adds |= 1 << slot;
        if open {
            let same = bits(self.open).filter(|s| self.number[*s] == number);
            self.twins[slot] = same.map(|s| 1 << s).sum();
            self.open |= 1 << slot;
        }
    }

    fn read(&mut self, slot: usize, number: i64) {
        self.number[slot] = number;
        self.reads |= 1 << slot;
        for configuration in &mut self.configurations {
            configuration.done |= u64::from(configuration.sum == number) << slot;
        }
    }

    /// Keeps what explains the history with the operation done by now.
    fn complete(&mut self, slot: usize) -> Option<()> {
        let bit = 1 << slot;
        if self.configurations.iter().any(|c| c.done & bit == 0) {
            self.catch_up(slot)?;
        }
        self.configurations.iter_mut().for_each(|c| c.done &= !bit);
        self.adds &= !bit;
        self.reads &= !bit;
        Some(())
    }

    /// Does the operation in all configurations that have not, in every way that matters.
    fn catch_up(&mut self, slot: usize) -> Option<()> {
        let bit = 1u64 << slot;
        let is_read = self.reads & bit != 0;
        self.kept.clear();
        self.stack.clear();
        self.seen.clear();
        for at in 0..self.configurations.len() {
            match self.configurations[at] {
                c if c.done & bit != 0 => self.keep(c),
                c => self.stack.push(c),
            }
        }
        while let Some(c) = self.stack.pop() {
            if !is_read {
                self.keep(self.after(c, slot));
            }
            // Others need to be first only where that explains a read.
            let others = self.adds & !c.done & !bit;
            let wanted = if is_read { bit } else { self.reads & !c.done };
            if !self.can_explain(c, others, wanted) {
                continue;
            }
            for next in bits(others) {
                if self.twins[next] & !c.done != 0 {
                    continue;
                }
                self.steps += 1;
                let to = self.after(c, next);
                if to.done & bit != 0 {
                    self.keep(to);
                } else if self.seen.insert(to.into()) {
                    self.stack.push(to);
                }
            }
            if self.kept.len() > CONFIGURATIONS_MAX || self.seen.len() > SEEN_MAX {
                return None;
            }
        }
        std::mem::swap(&mut self.configurations, &mut self.kept);
        self.peak = self.peak.max(self.configurations.len());
        (!self.configurations.is_empty()).then_some(())
    }

    /// The configuration in which this increment has taken effect, too.
    fn after(&self, c: Configuration, add: usize) -> Configuration {
        let (mut done, sum) = (c.done | 1 << add, c.sum + self.number[add]);
        for read in bits(self.reads & !done) {
            done |= u64::from(self.number[read] == sum) << read;
        }
        Configuration { done, sum }
    }

    /// Is one of these reads among the sums that some of these increments can make?
    fn can_explain(&self, c: Configuration, adds: u64, reads: u64) -> bool {
        let (mut low, mut high) = (c.sum, c.sum);
        for add in bits(adds) {
            low += self.number[add].min(0);
            high += self.number[add].max(0);
        }
        bits(reads).any(|read| (low..=high).contains(&self.number[read]))
    }

    fn keep(&mut self, new: Configuration) {
        let (adds, reads) = (self.adds, self.reads);
        let can_all = |a: &Configuration, b: &Configuration| {
            a.done & !b.done & adds | b.done & !a.done & reads == 0
        };
        if !self.kept.iter().any(|known| can_all(known, &new)) {
            self.kept.retain(|known| !can_all(&new, known));
            self.kept.push(new);
        }
    }
}

/// The places of the bits that are set.
fn bits(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = mask.trailing_zeros() as usize;
        mask &= mask.wrapping_sub(1);
        (bit < SLOTS).then_some(bit)
    })
}
