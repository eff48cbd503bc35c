//! A process that exits in the middle of a trial fails, whatever code it exits with: `exit(0)` in a client
//! would otherwise pass for a suite that passed.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use fuzz_dist_sys::exit::{at_exit, exit_at_once};

/// What libtest exits with when something failed.
const FAILED: i32 = 101;

/// The trials that run now.
static RUNNING: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Whether the harness itself ends the process.
static EXPECTED: AtomicBool = AtomicBool::new(false);

/// The process that is watched: copies of it end as they like.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Watches this process's end.
pub(super) fn watch() {
    PROCESS.store(std::process::id(), Ordering::SeqCst);
    if let Err(error) = at_exit(exits) {
        fuzz_dist_sys::say!(
            "fuzz_dist: an exit in the middle of a trial will not be noticed: {error}"
        );
    }
}

/// Says that the harness itself ends the process now.
pub(super) fn expected() {
    EXPECTED.store(true, Ordering::SeqCst);
}

/// A trial that runs, until it is dropped.
pub(super) struct Trial(String);

impl Trial {
    pub(super) fn begins(name: &str) -> Trial {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).push(name.into());
        Trial(name.into())
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = running.iter().position(|name| *name == self.0) {
            running.swap_remove(at);
        }
    }
}

extern "C" fn exits() {
    let own = PROCESS.load(Ordering::SeqCst) == std::process::id();
    if !own || EXPECTED.load(Ordering::SeqCst) {
        return;
    }
    // Whoever exits while it is locked has a trial running: that is the answer as well.
    let running = RUNNING.try_lock().map(|running| running.join(", "));
    if running.as_ref().is_ok_and(String::is_empty) {
        return;
    }
    let _ = writeln!(
        std::io::stderr(),
        "fuzz_dist: something called `exit` while {} was running; its history is kept, without a verdict",
        running.unwrap_or_else(|_| "a trial".into())
    );
    exit_at_once(FAILED);
}
