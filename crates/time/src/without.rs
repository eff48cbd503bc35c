//! What goes on where the governor has panicked: time passes, and whoever is due is woken.

use super::Inner;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// How often is looked for who is due.
const EVERY: Duration = Duration::from_millis(1);

/// Time passes at the machine's speed, without a governor: whoever is due is woken, so that whatever waits ends.
pub(crate) fn go_on(inner: &Inner) {
    while !inner.stopping.load(SeqCst) {
        let now = inner.shared.now();
        // What made the governor panic may be one of those that wait.
        let advance = || inner.manual.advance_to_ns(now.unsigned_abs());
        let _ = catch_unwind(AssertUnwindSafe(advance));
        for index in 0..inner.shared.used().len() {
            if inner.shared.slots[index].waits_until().is_some_and(|until| until < now) {
                inner.kick(index);
            }
        }
        std::thread::sleep(EVERY);
    }
}
