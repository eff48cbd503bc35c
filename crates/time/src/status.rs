//! How far simulated time is, and who holds it: for people.

use super::Inner;
use super::governor::Busy;
use super::look::{self, Found, Thread};
use super::page::{refused, state};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

/// What the governor counts.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) leaps: AtomicU64,
    pub(crate) wakes: AtomicU64,
    pub(crate) looks: AtomicU64,
    pub(crate) guarded_ns: AtomicU64,
}

/// How far simulated time is, see [`Simulation::status`](super::Simulation::status).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// What the clock reads, in nanoseconds.
    pub reading_ns: u64,
    /// How often time leapt.
    pub leaps: u64,
    /// How often a thread was woken since its time had come.
    pub wakes: u64,
    /// How often the governor looked at all threads.
    pub looks: u64,
    /// Virtual time that passed at the machine's speed since a thread ran without ever waiting.
    pub guarded: Duration,
    /// How many threads are registered.
    pub threads: usize,
    /// Who kept time from leaping at the last look.
    pub holder: Option<String>,
    /// Threads that are working now, with process, program and where they are in the kernel.
    pub working: Vec<String>,
    /// Processes whose parent has registered them, and which have not reported: static programs, or such without the
    /// library in their environment.
    pub unregistered: Vec<String>,
    /// Why time passes at the machine's speed although it was to be simulated.
    pub broken: Option<String>,
    /// What was asked for and is not simulated.
    pub refused: Vec<String>,
}

impl Inner {
    pub(crate) fn status(&self) -> Status {
        let mut status = Status {
            reading_ns: self.shared.now().unsigned_abs(),
            leaps: self.counts.leaps.load(Relaxed),
            wakes: self.counts.wakes.load(Relaxed),
            looks: self.counts.looks.load(Relaxed),
            guarded: Duration::from_nanos(self.counts.guarded_ns.load(Relaxed)),
            threads: 0,
            holder: self.holder(),
            working: Vec::new(),
            unregistered: Vec::new(),
            broken: self.control().broken.clone(),
            refused: self.refused(),
        };
        for slot in self.shared.used().iter().filter(|slot| slot.tid.load(SeqCst) != 0) {
            status.threads += 1;
            let [pid, tid] = [&slot.outer_pid, &slot.outer_tid].map(|id| id.load(SeqCst));
            let state = slot.state.load(SeqCst);
            let found = Thread::open(pid, tid).map_or(Found::Gone, |thread| thread.look());
            if found == Found::Busy || state == state::HOLD {
                status.working.push(look::describe(pid, tid));
            }
            if state == state::ADOPTED && found != Found::Gone {
                status.unregistered.push(look::describe(pid, tid));
            }
        }
        status
    }

    fn holder(&self) -> Option<String> {
        let busy = self.control().busy?;
        Some(match busy {
            Busy::Slot(index, what) => {
                let slot = &self.shared.slots[index];
                let [pid, tid] = [&slot.outer_pid, &slot.outer_tid].map(|id| id.load(SeqCst));
                let [inner_pid, inner_tid, state] =
                    [slot.pid.load(SeqCst), slot.tid.load(SeqCst), slot.state.load(SeqCst) as i32];
                format!(
                    "{} {what} (slot {index}, {inner_pid}/{inner_tid} in its host, state {state})",
                    look::describe(pid, tid)
                )
            }
            Busy::Thread(tid) => format!("{} runs", look::describe(tid, tid)),
            Busy::Other(what) => what.into(),
        })
    }

    fn refused(&self) -> Vec<String> {
        let bits = self.shared.refused.load(SeqCst);
        let pid = self.shared.refused_pid.load(SeqCst);
        let all = [
            (refused::ITIMER, "setitimer or alarm: its signal comes in real time"),
            (refused::TIMER_CREATE, "timer_create: its signals come in real time"),
            (refused::FULL, "more threads than the page has room for"),
            (refused::TIMERFD, "more timer descriptors than the library has room for"),
        ];
        let asked = all.iter().filter(|(bit, _)| bits & bit != 0);
        asked.map(|(_, what)| format!("{what} (last in process {pid} of its host)")).collect()
    }
}
