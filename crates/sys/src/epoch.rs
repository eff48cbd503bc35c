//! A value that many threads read per packet and one replaces: after the replacement returns,
//! nobody still acts on the old value.

// The tests put a model checker's in their place.
use super::sync::{AtomicPtr, AtomicU64, AtomicUsize, Mutex, Ordering, Wait, fence};
use std::sync::{Arc, PoisonError};

/// One reader's epoch, odd while it reads, on cache lines of its own.
#[repr(align(128))]
#[derive(Default)]
struct Slot(AtomicU64);

/// A value that is read by many threads, and replaced as a whole.
pub struct EpochCell<T> {
    current: AtomicPtr<T>,
    slots: Box<[Slot]>,
    /// Slots ever handed out: the others need not be looked at.
    used: AtomicUsize,
    free: Mutex<Vec<usize>>,
    writer: Mutex<()>,
}

/// The right to read, for one thread at a time.
pub struct EpochReader<T> {
    cell: Arc<EpochCell<T>>,
    slot: usize,
}

/// What became of the old value.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub enum Replaced {
    /// No reader acts on it any more, and it was dropped.
    Drained,
    /// A reader did not leave it within a second; it was leaked, since dropping it were unsound.
    StillRead,
}

impl<T: Send + Sync> EpochCell<T> {
    /// A cell for at most `readers` readers at the same time.
    pub fn new(value: T, readers: usize) -> Arc<Self> {
        Arc::new(EpochCell {
            current: AtomicPtr::new(Box::into_raw(Box::new(value))),
            slots: (0..readers).map(|_| Slot::default()).collect(),
            used: AtomicUsize::new(0),
            free: Mutex::new((0..readers).rev().collect()),
            writer: Mutex::new(()),
        })
    }

    /// A new reader, or `None` if all slots are taken.
    pub fn reader(self: &Arc<Self>) -> Option<EpochReader<T>> {
        let slot = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        self.used.fetch_max(slot + 1, Ordering::SeqCst);
        Some(EpochReader { cell: Arc::clone(self), slot })
    }

    /// Puts a new value in place and waits until the last reader has left the old one.
    pub fn replace(&self, value: T) -> Replaced {
        let _one_writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.current.swap(Box::into_raw(Box::new(value)), Ordering::SeqCst);
        fence(Ordering::SeqCst);
        for slot in &self.slots[..self.used.load(Ordering::SeqCst)] {
            let seen = slot.0.load(Ordering::SeqCst);
            if seen % 2 == 1 && !left(&slot.0, seen) {
                return Replaced::StillRead;
            }
        }
        // SAFETY: `old` came from Box::into_raw. A reader announces itself (odd epoch) before it
        // loads the pointer, with a fence between; a writer replaces the pointer before it looks for
        // readers, with a fence between. So every reader either was seen above and has left, or has
        // loaded the new pointer.
        drop(unsafe { Box::from_raw(old) });
        Replaced::Drained
    }
}

/// Waits until a slot shows another epoch.
fn left(slot: &AtomicU64, seen: u64) -> bool {
    let mut wait = Wait::default();
    while slot.load(Ordering::SeqCst) == seen {
        if !wait.more() {
            return false;
        }
    }
    true
}

impl<T: Send + Sync> EpochReader<T> {
    /// Shows the current value to `read`; a replacement waits until `read` returns.
    pub fn with<R>(&mut self, read: impl FnOnce(&T) -> R) -> R {
        let slot = &self.cell.slots[self.slot].0;
        let entered = slot.load(Ordering::Relaxed) + 1;
        slot.store(entered, Ordering::Relaxed);
        fence(Ordering::SeqCst);
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
        drop(unsafe { Box::from_raw(self.current.load(Ordering::Relaxed)) });
    }
}
