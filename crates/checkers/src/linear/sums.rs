//! Looks for an order of a counter's operations that explains all reads.
//!
//! The state is the sum of what has taken effect, so that a configuration is the set of pending
//! operations that have: increments that had to before they completed, and reads that are
//! explained. No states are interned. Increments can take effect in any order, and those that
//! are pending at any time, so a configuration in which fewer did and more reads are explained
//! can do all that the other can, which is dropped: mostly one is left. Of equal increments that
//! are pending, the one that completes first can take effect first: in any order in which another
//! one does, the two can change places. So what matters is hardly more than how many of each size
//! took effect. Increments of unknown outcome never complete, so that of each size they are only
//! counted. Where there are too many configurations, some are left out: an order that is found is one
//! all the same, but that none is found proves nothing then.

use super::configurations::{self, Seen};
use fuzz_dist_history::op::Kind;
use fuzz_dist_history::{History, Word};

/// The most operations that can be pending at a time.
const SLOTS: usize = u64::BITS as usize;

/// Increments of unknown outcome of so many sizes are counted, others take a slot for ever as long as
/// no more slots are taken than these.
const SIZES: usize = 6;
const UNKNOWN_MAX: usize = 48;

/// The most configurations that are kept; where there are more, so many go on.
const CONFIGURATIONS_MAX: usize = 1024;
const CONFIGURATIONS_LEFT: usize = 64;
/// And from then on only one in so many is looked at, or each completion would cost as much.
const CROWDED: usize = 8;

/// The most configurations that are looked at for one completion.
const SEEN_MAX: usize = 1 << 16;

/// "No slot" for operations that nothing depends on.
const NO_SLOT: u8 = u8::MAX;

/// How a search ended, and what it took.
pub(super) struct Ended {
    pub(super) end: End,
    pub(super) operations: usize,
    pub(super) steps: u64,
    pub(super) peak: usize,
}

/// How a search ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// An order explains the history.
    Explained,
    /// None explains what happened until the operation that was invoked at the first of these
    /// events completed, at the second.
    Stuck {
        invoked: usize,
        completed: usize,
        /// The sums that were possible before that, where they are known.
        sums: Vec<i64>,
        /// The last event at which nothing was pending, and the sums that were possible then.
        quiet: (usize, Vec<i64>),
    },
    /// Out of budget or of slots, something is no operation of a counter, or nothing succeeded.
    Unknown,
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
    /// Per size: how many increments of unknown outcome took effect.
    used: [u16; SIZES],
}

/// Increments of unknown outcome of one size. They are pending for ever, so it does not matter which
/// of them took effect.
#[derive(Clone, Copy)]
struct Size {
    number: i64,
    begun: u16,
    /// The slots of equal increments that complete, and so can come first.
    twins: u64,
}

pub(super) struct Search {
    /// Does nothing ever make the sum smaller?
    only_grows: bool,
    /// Per slot: what the increment adds, or what the read gave.
    number: [i64; SLOTS],
    /// Per slot: when the operation completes, if it does; and the slots of equal increments that
    /// do so earlier.
    deadline: [usize; SLOTS],
    twins: [u64; SLOTS],
    /// The slots of pending increments, and of reads.
    adds: u64,
    reads: u64,
    /// Increments of unknown outcome.
    sizes: Vec<Size>,
    /// Was something left out, so that there may be an order where none was found?
    incomplete: bool,
    /// Were there too many configurations?
    crowded: bool,
    configurations: Vec<Configuration>,
    /// When nothing was pending, and the sums that were possible.
    quiet: (usize, Vec<i64>),
    operations: usize,
    steps: u64,
    peak: usize,
    /// What completions work on, kept between them.
    kept: Vec<Configuration>,
    stack: Vec<(Configuration, bool)>,
    seen: Seen,
}

/// Looks for an order that explains the history, in at most so many steps.
pub(super) fn explained(history: &History, steps_max: u64) -> Ended {
    // Most counters only grow, which excludes much.
    let mut search = Search::new(true);
    let mut end = search.run(history, steps_max);
    if matches!(end, Err(Shrinks) | Ok(End::Stuck { .. })) {
        // It does not; or it has to be found which event is the first that nothing explains.
        let mut again = Search::new(false);
        let second = again.run(history, steps_max);
        if end.is_err() || second != Ok(End::Unknown) {
            (search, end) = (again, second);
        }
    }
    let Search { operations, steps, peak, .. } = search;
    Ended { end: end.unwrap_or(End::Unknown), operations, steps, peak }
}

/// Something makes the sum smaller, which was excluded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shrinks;

/// Does anything make the sum smaller that is invoked after this event?
fn shrinks(history: &History, roles: &[Role], event: usize) -> bool {
    let mut later = (event..history.len()).filter(|i| history.kind(*i) == Kind::Invoke);
    later.any(|i| match roles[history.function_index(i)] {
        Role::Add => size(history, i).is_some_and(|n| n < 0),
        Role::Subtract => size(history, i).is_some_and(|n| n > 0),
        Role::Read | Role::Unknown => false,
    })
}

/// What the operation that was invoked at event `i` is: whether it reads, and what it gave or adds.
/// `None` where it is no operation of a counter.
fn number(history: &History, role: Role, i: usize, done: Option<usize>) -> Option<(bool, i64)> {
    match (role, done) {
        (Role::Read, Some(done)) => history.int(done).map(|n| (true, n)),
        (Role::Add, _) => size(history, i).map(|n| (false, n)),
        (Role::Subtract, _) => size(history, i)?.checked_neg().map(|n| (false, n)),
        (Role::Read, None) | (Role::Unknown, _) => None,
    }
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
        let used = |sizes: std::ops::Range<usize>| {
            c.used[sizes].iter().rev().fold(0u64, |all, used| all << 16 | u64::from(*used))
        };
        let done = u128::from(c.done) | u128::from(used(0..4)) << 64;
        Self { done, state: used(4..SIZES) as u32, ..Self::default() }
    }
}

impl Search {
    pub(super) fn new(only_grows: bool) -> Search {
        Search {
            only_grows,
            number: [0; SLOTS],
            deadline: [0; SLOTS],
            twins: [0; SLOTS],
            adds: 0,
            reads: 0,
            sizes: Vec::new(),
            incomplete: false,
            crowded: false,
            configurations: vec![Configuration { done: 0, sum: 0, used: [0; SIZES] }],
            quiet: (0, vec![0]),
            operations: 0,
            steps: 0,
            peak: 1,
            kept: Vec::new(),
            stack: Vec::new(),
            seen: Seen::default(),
        }
    }

    pub(super) fn run(&mut self, history: &History, steps_max: u64) -> Result<End, Shrinks> {
        let roles: Vec<Role> = history.functions().iter().map(|f| Role::of(f)).collect();
        let mut slots = vec![NO_SLOT; history.len()];
        let mut acknowledged = 0;
        // No sum of some of the increments is farther from zero.
        let mut farthest = 0i128;
        for i in (0..history.len()).filter(|i| history.process(*i).is_client()) {
            if history.kind(i) != Kind::Invoke {
                let invoked = history.invocation(i).unwrap_or(i);
                let slot = slots[invoked];
                if slot == NO_SLOT || history.kind(i) != Kind::Ok {
                    continue;
                }
                match self.complete(slot.into()) {
                    true if self.steps <= steps_max => continue,
                    true => return Ok(End::Unknown),
                    // What is under way may be explained by what makes the sum smaller later on.
                    false if self.only_grows && shrinks(history, &roles, i) => {
                        return Err(Shrinks);
                    }
                    false if self.incomplete => return Ok(End::Unknown),
                    false => return Ok(self.stuck(history, invoked, i)),
                }
            }
            let done = history.completion(i);
            let outcome = done.map_or(Kind::Info, |done| history.kind(done));
            let role = roles[history.function_index(i)];
            if outcome == Kind::Fail || matches!(role, Role::Read) && outcome != Kind::Ok {
                continue;
            }
            let Some((is_read, number)) = number(history, role, i, done) else {
                return Ok(End::Unknown);
            };
            self.operations += 1;
            acknowledged += usize::from(outcome == Kind::Ok);
            if self.adds | self.reads == 0 && self.sizes.is_empty() {
                self.quiet.0 = i;
                self.quiet.1.clear();
                self.quiet.1.extend(self.configurations.iter().map(|c| c.sum));
            }
            if !is_read {
                farthest += i128::from(number.unsigned_abs());
                if farthest > i64::MAX.into() {
                    return Ok(End::Unknown);
                }
                if self.only_grows && number < 0 {
                    return Err(Shrinks);
                }
                if outcome != Kind::Ok && self.count(number) {
                    continue;
                }
            }
            let slot = (!(self.adds | self.reads)).trailing_zeros() as usize;
            let taken = (self.adds | self.reads).count_ones() as usize;
            if outcome != Kind::Ok && taken >= UNKNOWN_MAX {
                // It may never take effect, and would take up the room of what does.
                self.incomplete = true;
                continue;
            }
            if slot == SLOTS {
                return Ok(End::Unknown);
            }
            slots[i] = slot as u8;
            match is_read {
                true => self.read(slot, number, done.unwrap_or(i)),
                false => self.add(slot, number, done.filter(|_| outcome == Kind::Ok)),
            }
        }
        Ok(if acknowledged > 0 { End::Explained } else { End::Unknown })
    }

    /// Nothing is left when the operation completes that was invoked at the first of these events.
    fn stuck(&self, history: &History, invoked: usize, completed: usize) -> End {
        let quiet = self.quiet.clone();
        if self.only_grows {
            // What excludes all may be reads that complete later.
            let last = bits(self.reads).map(|read| self.deadline[read]).max();
            let completed = last.map_or(completed, |last| last.max(completed));
            let invoked = history.invocation(completed).unwrap_or(invoked);
            return End::Stuck { invoked, completed, sums: Vec::new(), quiet };
        }
        let mut sums: Vec<i64> = self.configurations.iter().map(|c| c.sum).collect();
        sums.sort_unstable();
        sums.dedup();
        End::Stuck { invoked, completed, sums, quiet }
    }

    /// Counts an increment of unknown outcome, unless there are too many sizes, or of that size.
    fn count(&mut self, number: i64) -> bool {
        if let Some(size) = self.sizes.iter_mut().find(|size| size.number == number) {
            let room = size.begun < u16::MAX;
            size.begun += u16::from(room);
            return room;
        }
        if self.sizes.len() == SIZES {
            return false;
        }
        let equal = bits(self.adds).filter(|add| self.number[*add] == number);
        let twins = equal.fold(0, |twins, add| twins | 1 << add);
        self.sizes.push(Size { number, begun: 1, twins });
        true
    }

    fn add(&mut self, slot: usize, number: i64, completed: Option<usize>) {
        let (bit, deadline) = (1 << slot, completed.unwrap_or(usize::MAX));
        for size in &mut self.sizes {
            size.twins = size.twins & !bit | if size.number == number { bit } else { 0 };
        }
        (self.number[slot], self.deadline[slot], self.twins[slot]) = (number, deadline, 0);
        for other in bits(self.adds) {
            self.twins[other] &= !bit;
            if self.number[other] != number {
            } else if self.deadline[other] <= deadline {
                self.twins[slot] |= 1 << other;
            } else {
                self.twins[other] |= bit;
            }
        }
        self.adds |= bit;
    }

    fn read(&mut self, slot: usize, number: i64, completed: usize) {
        (self.number[slot], self.deadline[slot]) = (number, completed);
        self.reads |= 1 << slot;
        for configuration in &mut self.configurations {
            configuration.done |= u64::from(configuration.sum == number) << slot;
        }
    }

    /// Keeps what explains the history with the operation done by now. Is anything left?
    fn complete(&mut self, slot: usize) -> bool {
        let bit = 1 << slot;
        if self.configurations.iter().any(|c| c.done & bit == 0) && !self.catch_up(slot) {
            return false;
        }
        self.configurations.iter_mut().for_each(|c| c.done &= !bit);
        self.adds &= !bit;
        self.reads &= !bit;
        true
    }

    /// Does the operation in all configurations that have not, in every way that matters.
    fn catch_up(&mut self, slot: usize) -> bool {
        let bit = 1u64 << slot;
        let is_read = self.reads & bit != 0;
        self.kept.clear();
        self.stack.clear();
        self.seen.clear();
        for at in 0..self.configurations.len() {
            match self.configurations[at] {
                c if c.done & bit != 0 => self.keep(c),
                c => self.stack.push((c, true)),
            }
        }
        while let Some((c, fresh)) = self.stack.pop() {
            if !is_read {
                // Where the last one that came first explained nothing, it could as well come later.
                let to = self.after(c, slot);
                if fresh || (to.done ^ c.done) & self.reads != 0 {
                    self.keep(to);
                }
            }
            // Others need to be first only where that explains a read.
            let others = self.adds & !c.done & !bit;
            let wanted = if is_read { bit } else { self.reads & !c.done };
            if !self.can_explain(c, others, wanted) {
                continue;
            }
            for next in bits(others) {
                if self.twins[next] & self.adds & !c.done != 0 {
                    continue;
                }
                self.steps += 1;
                let to = self.after(c, next);
                if to.done & bit != 0 {
                    self.keep(to);
                } else if !self.is_past(to) && self.seen.insert(to.into()) {
                    self.stack.push((to, (to.done ^ c.done) & self.reads != 0));
                }
            }
            for size in 0..self.sizes.len() {
                let Size { begun, twins, .. } = self.sizes[size];
                if c.used[size] == begun || twins & self.adds & !c.done != 0 {
                    continue;
                }
                self.steps += 1;
                let to = self.after_unknown(c, size);
                if to.done & bit != 0 {
                    self.keep(to);
                } else if !self.is_past(to) && self.seen.insert(to.into()) {
                    self.stack.push((to, (to.done ^ c.done) & self.reads != 0));
                }
            }
            let less = if self.crowded { CROWDED } else { 1 };
            if self.kept.len() > CONFIGURATIONS_MAX / less || self.seen.len() > SEEN_MAX / less {
                // Those with most left to take effect can explain most.
                (self.incomplete, self.crowded) = (true, true);
                self.kept.sort_by_key(|c| c.used.iter().map(|n| u64::from(*n)).sum::<u64>());
                self.kept.truncate(CONFIGURATIONS_LEFT);
                break;
            }
        }
        if self.kept.is_empty() {
            return false;
        }
        std::mem::swap(&mut self.configurations, &mut self.kept);
        self.peak = self.peak.max(self.configurations.len());
        true
    }

    /// The configuration in which this increment has taken effect, too.
    fn after(&self, c: Configuration, add: usize) -> Configuration {
        self.explained(Configuration {
            done: c.done | 1 << add,
            sum: c.sum + self.number[add],
            ..c
        })
    }

    /// The same for one of unknown outcome, of this size.
    fn after_unknown(&self, mut c: Configuration, size: usize) -> Configuration {
        c.used[size] += 1;
        c.sum += self.sizes[size].number;
        self.explained(c)
    }

    /// With the reads that gave its sum.
    fn explained(&self, mut c: Configuration) -> Configuration {
        for read in bits(self.reads & !c.done) {
            c.done |= u64::from(self.number[read] == c.sum) << read;
        }
        c
    }

    /// Is one of these reads among the sums that some of these increments can make?
    fn can_explain(&self, c: Configuration, adds: u64, reads: u64) -> bool {
        let (mut low, mut high) = (c.sum, c.sum);
        for add in bits(adds) {
            low += self.number[add].min(0);
            high += self.number[add].max(0);
        }
        for (size, used) in self.sizes.iter().zip(c.used) {
            let all = size.number * i64::from(size.begun - used);
            low += all.min(0);
            high += all.max(0);
        }
        bits(reads).any(|read| (low..=high).contains(&self.number[read]))
    }

    /// Is a read unexplained that can only have seen less?
    fn is_past(&self, c: Configuration) -> bool {
        self.only_grows && bits(self.reads & !c.done).any(|read| self.number[read] < c.sum)
    }

    fn keep(&mut self, new: Configuration) {
        if self.is_past(new) {
            return;
        }
        let (adds, reads) = (self.adds, self.reads);
        let can_all = |a: &Configuration, b: &Configuration| {
            a.done & !b.done & adds | b.done & !a.done & reads == 0
                && a.used.iter().zip(b.used).all(|(a, b)| *a <= b)
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
