//! Masks of signals: whoever blocks all signals still gets the governor's.

use core::ffi::c_int;

use super::c::{nr, raw4, set_errno};
use super::waits::open_mask;

/// `how` of a call that unblocks.
const SIG_UNBLOCK: c_int = 1;

/// Those that the C library keeps for itself: it leaves them out of every mask.
const OF_THE_LIBRARY: u64 = 1 << 31 | 1 << 32;

/// Gives the number of the error, or 0.
fn change(how: c_int, set: *const u64, old: *mut u64) -> c_int {
    let own = match how {
        SIG_UNBLOCK => unsafe { set.as_ref() }.copied(),
        _ => open_mask(set).map(|mask| mask & !OF_THE_LIBRARY),
    };
    let place = own.as_ref().map_or(0, |mask| core::ptr::from_ref(mask) as usize);
    -unsafe { raw4(nr::RT_SIGPROCMASK, how as usize, place, old as usize, 8) } as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_sigmask(how: c_int, set: *const u64, old: *mut u64) -> c_int {
    change(how, set, old)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigprocmask(how: c_int, set: *const u64, old: *mut u64) -> c_int {
    match change(how, set, old) {
        0 => 0,
        error => {
            set_errno(error);
            -1
        }
    }
}
