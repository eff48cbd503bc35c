//! Waking the threads that wait for the clock.

use super::Inner;
use super::look;
use super::page::{SIGNAL, Slot, state};
use fuzz_dist_sys::signals::signal_thread;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

impl Inner {
    /// Wakes the thread of a slot, where it waits.
    pub(crate) fn kick(&self, index: usize) {
        let slot = &self.shared.slots[index];
        let [pid, tid] = [&slot.outer_pid, &slot.outer_tid].map(|id| id.load(SeqCst));
        if tid > 0 && slot.state.load(SeqCst) == state::WAIT {
            self.counts.wakes.fetch_add(1, Relaxed);
            // One that is gone is found at the next look.
            let _ = signal_thread(pid, tid, SIGNAL);
        }
    }

    /// The ids by which this process knows a slot's thread.
    pub(crate) fn outer_ids(&self, slot: &Slot) -> Option<(i32, i32)> {
        let [pid, tid] = [&slot.pid, &slot.tid].map(|id| id.load(SeqCst));
        let space = slot.space.load(SeqCst);
        if space == self.space {
            return std::fs::exists(format!("/proc/{pid}/task/{tid}")).ok()?.then_some((pid, tid));
        }
        look::resolve(space, tid)
    }
}
