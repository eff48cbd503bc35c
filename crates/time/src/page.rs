//! What the preloaded library and the governor share: one page of memory, mapped by all.
//!
//! The library compiles this file, too, so that there is one layout. Everything is atomic: processes that
//! die at any moment leave nothing locked.

use core::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64};

/// Says that a file is such a page, and of this version of its layout.
pub(crate) const MAGIC: u32 = 0x6664_7401;

/// How many threads of all processes together can be registered at a time.
pub(crate) const SLOTS: usize = 4096;

/// The signal that ends a wait: one of the real-time signals, which nobody else is expected to use.
pub(crate) const SIGNAL: i32 = 62;

/// A deadline that never comes.
pub(crate) const NEVER: i64 = i64::MAX;

/// `CLOCK_REALTIME` minus `CLOCK_MONOTONIC`: a constant (15 January 2026), so that runs look alike.
pub(crate) const EPOCH_NS: i64 = 1_768_435_200_000_000_000;

/// The environment variable that names the page's file.
pub(crate) const PAGE_VARIABLE: &str = "FUZZ_DIST_TIME_PAGE";

/// The environment variable that says in which order hosts are woken whose deadlines are the same.
pub(crate) const ORDER_VARIABLE: &str = "FUZZ_DIST_TIME_ORDER";

/// What the thread of a slot does.
pub(crate) mod state {
    /// It runs, or sleeps in a call that the library does not know.
    pub(crate) const RUN: u32 = 0;
    /// It waits until its deadline at most.
    pub(crate) const WAIT: u32 = 1;
    /// It counts as busy although it may sleep, since what it waits for comes at once.
    pub(crate) const HOLD: u32 = 2;
    /// It is about to end.
    pub(crate) const LEAVE: u32 = 3;
    /// A process that its parent registered, and whose library has not reported yet.
    pub(crate) const ADOPTED: u32 = 4;
}

/// Calls that are not simulated: bits of [`Page::refused`].
pub(crate) mod refused {
    /// `setitimer(ITIMER_REAL)`, `alarm` and `ualarm`: the signal comes in real time.
    pub(crate) const ITIMER: u32 = 1;
    /// `timer_create`: its signals come in real time.
    pub(crate) const TIMER_CREATE: u32 = 2;
    /// More threads than slots: some are not registered.
    pub(crate) const FULL: u32 = 4;
    /// More timer descriptors than the library has room for.
    pub(crate) const TIMERFD: u32 = 8;
}

/// One registered thread, in a cache line of its own.
#[repr(C, align(64))]
pub(crate) struct Slot {
    /// Its id as its own process knows it; 0: free, -1: being made.
    pub(crate) tid: AtomicI32,
    /// Its process's id, likewise.
    pub(crate) pid: AtomicI32,
    /// Counts every begin and end of a wait: "has it run since I looked?"
    pub(crate) seq: AtomicU32,
    /// See [`state`].
    pub(crate) state: AtomicU32,
    /// The virtual time until which it waits.
    pub(crate) deadline: AtomicI64,
    /// Which host's it is; wakes those of the same deadline in this order.
    pub(crate) order: AtomicU32,
    /// Set when the governor's signal has interrupted it.
    pub(crate) kicked: AtomicU32,
    /// The pid namespace (its inode) in which the ids are valid.
    pub(crate) space: AtomicU64,
    /// For the library alone: the condition variable on which it waits.
    pub(crate) cond: AtomicU64,
    /// For the governor alone: the ids as it sees them.
    pub(crate) outer_tid: AtomicI32,
    /// The same of the process.
    pub(crate) outer_pid: AtomicI32,
}

/// The clock, and everybody who waits for it.
#[repr(C)]
pub(crate) struct Page {
    /// [`MAGIC`], once the page is complete.
    pub(crate) magic: AtomicU32,
    /// Odd while the clock is changed.
    pub(crate) seq: AtomicU32,
    /// The machine's `CLOCK_MONOTONIC` at the last change of the clock.
    pub(crate) base_real: AtomicI64,
    /// The virtual `CLOCK_MONOTONIC` at that moment.
    pub(crate) base_virtual: AtomicI64,
    /// How fast virtual time passes meanwhile, in millionths of real time.
    pub(crate) speed: AtomicI64,
    /// All slots in use are below this index.
    pub(crate) high: AtomicU32,
    /// See [`refused`].
    pub(crate) refused: AtomicU32,
    /// The last process that did what is refused.
    pub(crate) refused_pid: AtomicI32,
    /// Aligns the slots.
    pub(crate) pad: [u32; 3],
    /// The threads.
    pub(crate) slots: [Slot; SLOTS],
}

/// Virtual time that has passed in so much real time at this speed.
pub(crate) fn scaled(real_ns: i64, speed: i64) -> i64 {
    if speed == 0 {
        return 0;
    }
    (i128::from(real_ns) * i128::from(speed) / 1_000_000) as i64
}
