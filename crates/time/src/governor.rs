//! The governor: finds out whether everybody waits, and then moves the clock to the next deadline.
//!
//! A look goes in this order, so that nothing which goes on is missed. First everybody's counters are read (waits of
//! registered threads, runs of others), then each thread must be asleep in the kernel, then the counters must be the
//! same. A thread that was woken and has not had a processor yet is not asleep, so a loaded machine cannot make a busy
//! cluster look idle; and whoever woke another after that one was looked at has run itself, which its counter shows.

use super::look::{Found, Process, Thread, interrupts};
use super::page::{NEVER, state};
use super::shared::machine_now;
use super::{Inner, Pace};
use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const NAP_MIN_NS: i64 = 20_000;
const NAP_MAX_NS: i64 = 200_000;
/// The longest nap while everybody waits for something else than time: a trial in a queue, say.
const IDLE_NAP_MAX_NS: i64 = 10_000_000;
/// A thread that has used a processor for so long without a wait may be waiting for the clock in a loop.
const SPIN_NS: u64 = 1_000_000_000;
/// When all together have used so much since anybody was idle, a loop may move between threads.
const SPIN_OF_ALL_NS: u64 = 10 * SPIN_NS;
/// How long time stands still before anybody looks for loops.
const LOOK_FOR_LOOPS_NS: i64 = 1_000_000_000;
/// How often flowing time looks for who is due.
const FLOW_NS: i64 = 50_000;

/// The usual reason why a thread that lives cannot be looked at.
const CANNOT_LOOK: &str = "cannot be looked at: too many open files in this process? (ulimit -n)";

/// How long to nap after so long of it.
fn nap_of_idle(since_ns: i64) -> i64 {
    (since_ns / 4).clamp(2 * NAP_MIN_NS, IDLE_NAP_MAX_NS)
}

/// The governors of this process: they are always at work, and hold nobody's time.
static GOVERNORS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

fn governors() -> MutexGuard<'static, BTreeSet<i32>> {
    GOVERNORS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why time does not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    /// The thread of this slot, and what was found.
    Slot(usize, &'static str),
    /// A thread of this process or of a watched one.
    Thread(i32),
    /// Something else.
    Other(&'static str),
}

/// What the governor knows of a slot.
#[derive(Default)]
struct Known {
    tid: i32,
    thread: Option<Thread>,
    stopped: bool,
    seq: u32,
    runs: u64,
    /// For the guard: the counter when it was last seen to change, and the processor time then.
    still: Option<(u32, u64)>,
    /// The processor time when all began to be busy, and when that was.
    busy: Option<(i64, u64)>,
}

pub(crate) struct Governor {
    inner: Arc<Inner>,
    tid: i32,
    slots: Vec<Known>,
    own: Process,
    watched: Vec<Process>,
    interrupts: Vec<Thread>,
    /// Who held time at the last look, or was woken since.
    holder: Option<Busy>,
    busy_since: Option<i64>,
    idle_since: Option<i64>,
    guarded_until: i64,
    flowed: i64,
}

impl Governor {
    pub(crate) fn new(inner: Arc<Inner>) -> Governor {
        let tid = rustix::thread::gettid().as_raw_nonzero().get();
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        governors().insert(tid);
        Governor {
            inner,
            tid,
            slots: Vec::new(),
            own: Process::new(pid),
            watched: Vec::new(),
            interrupts: interrupts(),
            holder: None,
            busy_since: None,
            idle_since: None,
            guarded_until: 0,
            flowed: 0,
        }
    }

    /// Moves the clock until it is told to stop. After that, simulated time passes at the machine's speed, so that
    /// waits of processes still end.
    pub(crate) fn run(mut self) {
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        while !self.inner.stopping.load(SeqCst) {
            let nap = self.turn();
            if nap > 0 {
                std::thread::sleep(Duration::from_nanos(nap as u64));
            }
        }
    }

    /// One look, and what follows from it; how long to nap until the next.
    fn turn(&mut self) -> i64 {
        let t = machine_now();
        self.pace();
        if self.inner.shared.speed.load(SeqCst) != 0 {
            self.flow(t);
        }
        // Before the look: whoever sets a limit later may have started a process, which the look did not see.
        let (leaps, limit, round) = {
            let control = self.inner.control();
            (control.pace.leaps(), control.limit, control.round)
        };
        if limit == NEVER && self.has_nobody() {
            let since = *self.idle_since.get_or_insert(t);
            return nap_of_idle(t - since);
        }
        let looked = if leaps { self.look_anew() } else { Err(Busy::Other("time flows")) };
        self.holder = looked.err();
        self.inner.control().busy = self.holder;
        match looked {
            Ok(next) => {
                self.busy_since = None;
                if self.idle(next, limit, round) {
                    let since = *self.idle_since.get_or_insert(t);
                    return nap_of_idle(t - since);
                }
                self.idle_since = None;
                0
            }
            Err(busy) => {
                self.idle_since = None;
                let since = *self.busy_since.get_or_insert(t);
                self.guard(busy, t, since);
                ((t - since) / 8).clamp(NAP_MIN_NS, NAP_MAX_NS)
            }
        }
    }

    /// Whether nobody is in simulated time yet: a trial in a queue, say.
    fn has_nobody(&self) -> bool {
        let shared = &self.inner.shared;
        shared.speed.load(SeqCst) == 0
            && self.inner.manual.next_ns().is_none()
            && shared.used().iter().all(|slot| slot.tid.load(SeqCst) == 0)
    }

    /// Puts another pace into force.
    fn pace(&mut self) {
        let speed = self.inner.control().pace.speed();
        let shared = &self.inner.shared;
        if shared.speed.load(SeqCst) != speed {
            shared.set_clock(shared.now(), speed);
            // Whoever waits computes anew how long.
            for index in 0..shared.used().len() {
                self.kick(index);
            }
        }
    }

    /// Time passes by itself: those that are due and did not notice are woken.
    fn flow(&mut self, t: i64) {
        if t - self.flowed < FLOW_NS {
            return;
        }
        self.flowed = t;
        let now = self.inner.shared.now();
        self.inner.manual.advance_to_ns(now.unsigned_abs());
        for index in 0..self.inner.shared.used().len() {
            if self.inner.shared.slots[index].waits_until().is_some_and(|until| until < now) {
                self.kick(index);
            }
        }
    }

    /// Everybody waits, the first until `next`; gives whether time has nowhere to go.
    fn idle(&mut self, next: i64, limit: i64, round: u64) -> bool {
        let shared = &self.inner.shared;
        let now = shared.now();
        // Who is due and has not noticed: the harness first, then one thread after the other.
        if self.inner.manual.advance_to_ns(now.unsigned_abs()) {
            return false;
        }
        if next <= now {
            self.wake_first(now);
            return false;
        }
        if next > limit || next == NEVER {
            if limit != NEVER && limit > now {
                shared.set_clock(limit, shared.speed.load(SeqCst));
                return false;
            }
            self.inner.reached(now, round);
            return true;
        }
        self.inner.counts.leaps.fetch_add(1, Relaxed);
        shared.set_clock(next, shared.speed.load(SeqCst));
        if !self.inner.manual.advance_to_ns(next.unsigned_abs()) {
            self.wake_first(next);
        }
        false
    }

    /// Of those that are due, the first by deadline and host alone: the others once it waits again. So what happens
    /// at one instant happens in one order.
    fn wake_first(&mut self, now: i64) {
        let due = |index: &usize| {
            let slot = &self.inner.shared.slots[*index];
            let until = slot.waits_until().filter(|until| *until <= now)?;
            let known = &self.slots[*index];
            (slot.tid.load(SeqCst) > 0 && !known.stopped)
                .then(|| (until, slot.order.load(SeqCst), *index))
        };
        let first = (0..self.slots.len()).filter_map(|index| due(&index)).min();
        if let Some((.., index)) = first {
            self.kick(index);
            self.holder = Some(Busy::Slot(index, "runs"));
        }
    }

    fn kick(&self, index: usize) {
        self.inner.kick(index);
    }

    /// [`look`](Self::look), but who held time at the last look is looked at first: mostly it still works, and a
    /// look at all takes a hundred times as long.
    fn look_anew(&mut self) -> Result<i64, Busy> {
        self.inner.counts.looks.fetch_add(1, Relaxed);
        match self.holder {
            Some(held @ Busy::Slot(index, _)) if index < self.slots.len() => {
                let is_known =
                    self.inner.shared.slots[index].tid.load(SeqCst) == self.slots[index].tid;
                if is_known && self.is_busy(index) {
                    return Err(held);
                }
            }
            Some(held @ Busy::Thread(tid)) => {
                let processes = std::iter::once(&self.own).chain(&self.watched);
                if processes.filter_map(|p| p.thread(tid)).any(|t| t.look_closely() == Found::Busy)
                {
                    return Err(held);
                }
            }
            _ => {}
        }
        self.look()
    }

    /// Whether everybody waits, and the first deadline.
    fn look(&mut self) -> Result<i64, Busy> {
        if self.inner.manual.is_held() {
            return Err(Busy::Other("something holds the clock"));
        }
        let count = self.inner.shared.used().len();
        while self.slots.len() < count {
            self.slots.push(Known::default());
        }
        // Those that say that they run are most probably right.
        for index in 0..count {
            self.begin_look(index)?;
        }
        let before = self.others()?;
        let mut next =
            i64::try_from(self.inner.manual.next_ns().unwrap_or(u64::MAX)).unwrap_or(NEVER);
        for index in 0..count {
            if self.is_busy(index) {
                return Err(Busy::Slot(index, "runs"));
            }
        }
        if self.interrupts.iter().any(|thread| thread.look() == Found::Busy) {
            return Err(Busy::Other("the kernel handles interrupts"));
        }
        if !self.others_are_still(&before) {
            return Err(Busy::Other("something has run meanwhile"));
        }
        for index in 0..count {
            let (slot, known) = (&self.inner.shared.slots[index], &self.slots[index]);
            let tid = slot.tid.load(SeqCst);
            if tid == 0 && known.tid == 0 {
                continue;
            }
            if tid != known.tid || slot.seq.load(SeqCst) != known.seq {
                return Err(Busy::Slot(index, "has waited meanwhile"));
            }
            if slot.state.load(SeqCst) != state::WAIT {
                // One that was woken and has no processor yet is not asleep.
                let asleep = [Some(Found::Asleep), Some(Found::Stopped)];
                let found = known.thread.as_ref().map(Thread::look_closely);
                if !asleep.contains(&found) || self.runs(index) != known.runs {
                    return Err(Busy::Slot(index, "has run meanwhile"));
                }
            } else if let Some(until) = slot.waits_until()
                && !known.stopped
            {
                next = next.min(until);
            }
        }
        let changed = self.inner.shared.used().len() != count || self.inner.manual.is_held();
        if changed { Err(Busy::Other("something has run meanwhile")) } else { Ok(next) }
    }

    /// Reads a slot's counters, and finds the thread behind it.
    fn begin_look(&mut self, index: usize) -> Result<(), Busy> {
        let slot = &self.inner.shared.slots[index];
        let tid = slot.tid.load(SeqCst);
        let known = &mut self.slots[index];
        if tid == 0 {
            *known = Known::default();
            return Ok(());
        }
        let state = slot.state.load(SeqCst);
        if tid < 0 || state == state::HOLD {
            return Err(Busy::Slot(index, "is about to go on"));
        }
        known.seq = slot.seq.load(SeqCst);
        if known.tid != tid || known.thread.is_none() || slot.outer_tid.load(SeqCst) == 0 {
            *known = Known { tid, seq: known.seq, ..Known::default() };
            let Some((pid, tid)) = self.inner.outer_ids(slot) else {
                // It ended before anybody looked, or is just being made.
                self.forget_if_gone(index, tid);
                return Err(Busy::Slot(index, "is not to be found"));
            };
            slot.outer_pid.store(pid, SeqCst);
            slot.outer_tid.store(tid, SeqCst);
            match Thread::open(pid, tid) {
                Ok(thread) => self.slots[index].thread = Some(thread),
                // One that has ended is forgotten at the next look.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(Busy::Slot(index, "has just ended"));
                }
                Err(_) => return Err(Busy::Slot(index, CANNOT_LOOK)),
            }
        }
        if state != state::WAIT {
            self.slots[index].runs = self.runs(index);
            if self.is_busy(index) {
                return Err(Busy::Slot(index, "runs"));
            }
        }
        Ok(())
    }

    /// Frees the slot of a thread that nobody finds: who registered has lived, so it has ended.
    fn forget_if_gone(&self, index: usize, tid: i32) {
        let slot = &self.inner.shared.slots[index];
        if self.inner.outer_ids(slot).is_none() {
            let _ = slot.tid.compare_exchange(tid, 0, SeqCst, SeqCst);
        }
    }

    fn runs(&self, index: usize) -> u64 {
        self.slots[index].thread.as_ref().map_or(0, Thread::runs)
    }

    /// Whether the thread of a slot is awake; frees the slot of one that is gone, which counts as awake once more:
    /// whoever waited for its end is about to run.
    fn is_busy(&mut self, index: usize) -> bool {
        let known = &mut self.slots[index];
        if known.tid == 0 {
            return false;
        }
        let slot = &self.inner.shared.slots[index];
        let found = known.thread.as_ref().map_or(Found::Gone, Thread::look_closely);
        known.stopped = found == Found::Stopped;
        if found == Found::Gone {
            let _ = slot.tid.compare_exchange(known.tid, 0, SeqCst, SeqCst);
            *known = Known::default();
        }
        matches!(found, Found::Busy | Found::Gone)
    }

    /// The counters of everybody who is not registered, all of whom must be asleep.
    fn others(&mut self) -> Result<Vec<(i32, u64)>, Busy> {
        for pid in std::mem::take(&mut self.inner.control().watch) {
            self.watched.push(Process::new(pid));
        }
        let mut runs = Vec::new();
        let governors = governors().clone();
        for process in std::iter::once(&mut self.own).chain(&mut self.watched) {
            for thread in process.threads().filter(|thread| !governors.contains(&thread.tid)) {
                // First: one that is asleep after that, with the same count at the end, has slept all the while.
                let count = thread.runs();
                match thread.look_closely() {
                    Found::Busy => return Err(Busy::Thread(thread.tid)),
                    Found::Gone => {}
                    Found::Asleep | Found::Stopped => runs.push((thread.tid, count)),
                }
            }
        }
        Ok(runs)
    }

    /// Whether none of them has run since, and none is about to.
    fn others_are_still(&mut self, before: &[(i32, u64)]) -> bool {
        let governors = governors().clone();
        let mut before = before.iter().peekable();
        for process in std::iter::once(&mut self.own).chain(&mut self.watched) {
            for thread in process.threads().filter(|thread| !governors.contains(&thread.tid)) {
                let is_off = thread.is_off();
                let is_next = before.next_if(|next| **next == (thread.tid, thread.runs()));
                if !(is_off && is_next.is_some()) && thread.look() != Found::Gone {
                    return false;
                }
            }
        }
        before.next().is_none()
    }

    /// Somebody may be running until time passes: then it passes at the machine's speed, which is counted.
    ///
    /// Only for a thread that runs and has not waited once for a while: a cluster that is merely slow waits all the
    /// time, and must not see time pass.
    fn guard(&mut self, busy: Busy, t: i64, since: i64) {
        if !matches!(busy, Busy::Slot(..))
            || self.inner.control().pace != Pace::Still
            || t - since < LOOK_FOR_LOOPS_NS
        {
            return;
        }
        // Processor time, since on a loaded machine everything takes long.
        let (mut spins, mut all) = (false, 0);
        for (slot, known) in self.inner.shared.used().iter().zip(&mut self.slots) {
            let Some(thread) = known.thread.as_ref().filter(|_| slot.tid.load(SeqCst) > 0) else {
                continue;
            };
            let (seq, ran) = (slot.seq.load(SeqCst), thread.ran_ns());
            let began = known.busy.filter(|(began, _)| *began == since);
            let (_, before) = *known.busy.insert(began.unwrap_or((since, ran)));
            all += ran.saturating_sub(before);
            let runs = slot.state.load(SeqCst) != state::WAIT;
            let still = known.still.filter(|(before, _)| runs && *before == seq);
            let (_, before) = *known.still.insert(still.unwrap_or((seq, ran)));
            spins |= runs && ran.saturating_sub(before) > SPIN_NS && thread.look() == Found::Busy;
        }
        spins |= all > SPIN_OF_ALL_NS;
        let step = t - self.guarded_until;
        if !spins || step > LOOK_FOR_LOOPS_NS {
            self.guarded_until = t;
        } else if step >= 1_000_000 {
            self.guarded_until = t;
            let shared = &self.inner.shared;
            let to = (shared.now() + step).min(self.inner.control().limit.max(shared.now()));
            self.inner.counts.guarded_ns.fetch_add(step.unsigned_abs(), Relaxed);
            shared.set_clock(to, 0);
            if !self.inner.manual.advance_to_ns(to.unsigned_abs()) {
                self.wake_first(to);
            }
        }
    }
}

impl Drop for Governor {
    /// However it ends, time goes on: at the machine's speed.
    fn drop(&mut self) {
        governors().remove(&self.tid);
        self.inner.control().pace = Pace::Flowing(1_000_000);
        let shared = &self.inner.shared;
        shared.set_clock(shared.now(), 1_000_000);
        for index in 0..shared.used().len() {
            self.kick(index);
        }
        self.inner.ended();
    }
}
