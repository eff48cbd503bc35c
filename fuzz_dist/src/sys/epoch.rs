//! A value that many threads read per packet and one replaces: after the replacement returns,
//! nobody still acts on the old value.

use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The longest wait for readers that are in the middle of a value; they take microseconds.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// One reader's epoch, odd while it reads, on cache lines of its own.
#[repr(align(128))]
#[derive(Default)]
struct Slot(AtomicU64);

pub(crate) struct EpochCell<T> {
    current: AtomicPtr<T>,
    slots: Box<[Slot]>,
    /// Slots ever handed out: the others need not be looked at.
    used: AtomicUsize,
    free: Mutex<Vec<usize>>,
    writer: Mutex<()>,
}

/// The right to read, for one thread at a time.
pub(crate) struct EpochReader<T> {
    cell: Arc<EpochCell<T>>,
    slot: usize,
}

/// What became of the old value.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Replaced {
    /// No reader acts on it any more, and it was dropped.
    Drained,
    /// A reader did not leave it within a second; it was leaked, since dropping it were unsound.
    StillRead,
}

impl<T: Send + Sync> EpochCell<T> {
    /// A cell for at most `readers` readers at the same time.
    pub(crate) fn new(value: T, readers: usize) -> Arc<Self> {
        Arc::new(EpochCell {
            current: AtomicPtr::new(Box::into_raw(Box::new(value))),
            slots: (0..readers).map(|_| Slot::default()).collect(),
            used: AtomicUsize::new(0),
            free: Mutex::new((0..readers).rev().collect()),
            writer: Mutex::new(()),
        })
    }

    /// A new reader, or `None` if all slots are taken.
    pub(crate) fn reader(self: &Arc<Self>) -> Option<EpochReader<T>> {
        let slot = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        self.used.fetch_max(slot + 1, Ordering::SeqCst);
        Some(EpochReader { cell: Arc::clone(self), slot })
    }

    /// Puts a new value in place and waits until the last reader has left the old one.
    pub(crate) fn replace(&self, value: T) -> Replaced {
        let _one_writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.current.swap(Box::into_raw(Box::new(value)), Ordering::SeqCst);
        fence(Ordering::SeqCst);
        for slot in &self.slots[..self.used.load(Ordering::SeqCst)] {
            let seen = slot.0.load(Ordering::SeqCst);
            if seen % 2 == 1 && !left(&slot.0, seen) {
                return Replaced::StillRead;
            }
        }
        // SAFETY: `old` came from Box::into_raw. A reader announces itself (odd epoch, sequentially
        // consistent) before it loads the pointer, so that every reader either was seen above and
        // has left, or has loaded the new pointer.
        drop(unsafe { Box::from_raw(old) });
        Replaced::Drained
    }
}

/// Waits until a slot shows another epoch: spins first, since a packet takes a microsecond or two.
fn left(slot: &AtomicU64, seen: u64) -> bool {
    let mut spins = 0_u32;
    let mut started = None;
    while slot.load(Ordering::SeqCst) == seen {
        spins += 1;
        if spins < 200 {
            std::hint::spin_loop();
            continue;
        }
        std::thread::yield_now();
        if started.get_or_insert_with(Instant::now).elapsed() > WAIT_MAX {
            return false;
        }
    }
    true
}

impl<T: Send + Sync> EpochReader<T> {
    /// Shows the current value to `read`; a replacement waits until `read` returns.
    pub(crate) fn with<R>(&mut self, read: impl FnOnce(&T) -> R) -> R {
        let slot = &self.cell.slots[self.slot].0;
        let entered = slot.load(Ordering::Relaxed) + 1;
        slot.swap(entered, Ordering::SeqCst);
        let _leave = Leave { slot, epoch: entered + 1 };
        let current = self.cell.current.load(Ordering::SeqCst);
        // SAFETY: the pointer is never null, and a writer that takes it out waits for this slot's
        // epoch to change before it drops the value.
        read(unsafe { &*current })
    }
}

/// Leaves the epoch, also when the reader panics, or a writer would wait in vain.
struct Leave<'a> {
    slot: &'a AtomicU64,
    epoch: u64,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.slot.store(self.epoch, Ordering::SeqCst);
    }
}

impl<T> Drop for EpochReader<T> {
    fn drop(&mut self) {
        self.cell.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.slot);
    }
}

impl<T> Drop for EpochCell<T> {
    fn drop(&mut self) {
        // SAFETY: readers hold an Arc of the cell, so that none is left.
        drop(unsafe { Box::from_raw(*self.current.get_mut()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn after_a_replacement_nobody_acts_on_the_old_value() {
        let cell = EpochCell::new(0_u64, 4);
        let (stop, newest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (mut reader, stop, newest) =
                    (cell.reader().unwrap(), Arc::clone(&stop), Arc::clone(&newest));
                std::thread::spawn(move || {
                    while !stop.load(Ordering::SeqCst) {
                        reader.with(|value| {
                            let first = newest.load(Ordering::SeqCst);
                            std::hint::spin_loop();
                            let second = newest.load(Ordering::SeqCst);
                            // `newest` is published after the replacement returned.
                            assert!(*value >= first && *value >= second, "acted on an old value");
                        });
                    }
                })
            })
            .collect();
        for value in 1..20_000 {
            assert_eq!(cell.replace(value), Replaced::Drained);
            newest.store(value, Ordering::SeqCst);
        }
        stop.store(true, Ordering::SeqCst);
        for reader in readers {
            reader.join().unwrap();
        }
    }

    #[test]
    fn readers_are_limited_and_their_slots_are_used_again() {
        let cell = EpochCell::new((), 1);
        let reader = cell.reader();
        assert!(reader.is_some() && cell.reader().is_none());
        drop(reader);
        assert!(cell.reader().is_some());
    }

    #[test]
    fn a_panic_while_reading_does_not_block_writers() {
        let cell = EpochCell::new(1, 1);
        let mut reader = cell.reader().unwrap();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            reader.with(|_| panic!("expected by this test"));
        }));
        assert!(panicked.is_err());
        assert_eq!(cell.replace(2), Replaced::Drained);
        assert_eq!(reader.with(|value| *value), 2);
    }
}
