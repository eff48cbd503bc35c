//! What the epoch is built on; its tests build it on a model checker's instead.

pub(super) use std::sync::Mutex;
pub(super) use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};
use std::time::{Duration, Instant};

/// A wait for a reader that is in the middle of a value: spins first, since a packet takes a
/// microsecond or two.
#[derive(Default)]
pub(super) struct Wait {
    spins: u32,
    started: Option<Instant>,
}

impl Wait {
    /// The longest wait.
    const MAX: Duration = Duration::from_secs(1);

    /// Waits a little; false when it has taken too long.
    pub(super) fn more(&mut self) -> bool {
        self.spins += 1;
        if self.spins < 200 {
            std::hint::spin_loop();
            return true;
        }
        std::thread::yield_now();
        self.started.get_or_insert_with(Instant::now).elapsed() <= Wait::MAX
    }
}
