//! The page as the governor has it: made in a file, mapped, and its clock set.
#![allow(unsafe_code)]

use super::page::{MAGIC, NEVER, Page, Slot, scaled, state};
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{Ordering, fence};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The page, mapped for as long as this lives.
pub(crate) struct Shared(NonNull<Page>);

// SAFETY: all of the page is atomic.
unsafe impl Send for Shared {}
// SAFETY: the same.
unsafe impl Sync for Shared {}

impl Shared {
    /// Makes the page in a new file.
    pub(crate) fn create(path: &Path, first_ns: i64) -> io::Result<Shared> {
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        file.set_len(size_of::<Page>() as u64)?;
        let (prot, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a new mapping at an address of the kernel's choice, as long as the file is. Zeros are a page with
        // neither a clock nor threads.
        let mapped = unsafe { mmap(null_mut(), size_of::<Page>(), prot, flags, &file, 0)? };
        let page = NonNull::new(mapped.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let shared = Shared(page);
        shared.set_clock(first_ns, 0);
        shared.magic.store(MAGIC, Ordering::Release);
        Ok(shared)
    }

    /// The virtual monotonic clock.
    pub(crate) fn now(&self) -> i64 {
        loop {
            let seq = self.seq.load(Ordering::Acquire);
            let (now, speed) = (self.base_virtual.load(Relaxed), self.speed.load(Relaxed));
            let since = self.base_real.load(Relaxed);
            fence(Ordering::Acquire);
            if seq & 1 == 0 && seq == self.seq.load(Relaxed) {
                return now + scaled((machine_now() - since).max(0), speed);
            }
        }
    }

    /// Sets the clock, which never goes back. The governor alone does it.
    pub(crate) fn set_clock(&self, now: i64, speed: i64) {
        let now = now.max(self.now());
        self.seq.fetch_add(1, SeqCst);
        self.base_real.store(machine_now(), SeqCst);
        self.base_virtual.store(now, SeqCst);
        self.speed.store(speed, SeqCst);
        self.seq.fetch_add(1, SeqCst);
    }

    /// The slots that were ever in use.
    pub(crate) fn used(&self) -> &[Slot] {
        &self.slots[..self.slots.len().min(self.high.load(SeqCst) as usize)]
    }
}

impl Deref for Shared {
    type Target = Page;
    fn deref(&self) -> &Page {
        // SAFETY: mapped until drop, large enough, aligned to the machine's pages, and atomic throughout.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and nothing borrowed from it is left.
        let _ = unsafe { munmap(self.0.as_ptr().cast(), size_of::<Page>()) };
    }
}

/// The machine's monotonic clock in nanoseconds.
pub(crate) fn machine_now() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

impl Slot {
    /// Until when its thread waits, if it waits.
    pub(crate) fn waits_until(&self) -> Option<i64> {
        let waits = self.state.load(SeqCst) == state::WAIT;
        waits.then(|| self.deadline.load(SeqCst)).filter(|deadline| *deadline != NEVER)
    }
}
