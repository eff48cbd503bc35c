//! The clocks: all are the page's.

use crate::c::{self, CLOCK_REALTIME, Timespec, Timeval, ns};
use crate::page::EPOCH_NS;
use crate::slots::{now, page};
use core::ffi::{c_int, c_void};

/// Clocks that count from the boot.
const MONOTONIC: [c_int; 5] = [1, 4, 6, 7, 9];
/// Clocks of the date: `CLOCK_REALTIME`, its coarse form, the one with alarms, and atomic time.
const REALTIME: [c_int; 4] = [0, 5, 8, 11];

/// An absolute time of either clock as virtual time: the date is far later than any time since a boot.
pub fn absolute(time: &Timespec) -> i64 {
    let time = ns(time);
    if time >= EPOCH_NS / 2 { time - EPOCH_NS } else { time }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: c_int, to: *mut Timespec) -> c_int {
    let Some(page) = page() else { return c::machine_clock(clock, to) };
    // Before all, since ERTS reads it for every timer.
    let now = if MONOTONIC.contains(&clock) {
        now(page)
    } else if REALTIME.contains(&clock) {
        now(page) + EPOCH_NS
    } else {
        // Of the processor time of a process or thread there is no virtual one.
        return c::machine_clock(clock, to);
    };
    unsafe { to.write(c::timespec(now)) };
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn gettimeofday(to: *mut Timeval, _zone: *mut c_void) -> c_int {
    let mut now = Timespec::default();
    unsafe { clock_gettime(CLOCK_REALTIME, &raw mut now) };
    if let Some(to) = unsafe { to.as_mut() } {
        *to = Timeval { sec: now.sec, usec: now.nsec / 1000 };
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn time(to: *mut i64) -> i64 {
    let mut now = Timespec::default();
    unsafe { clock_gettime(CLOCK_REALTIME, &raw mut now) };
    if let Some(to) = unsafe { to.as_mut() } {
        *to = now.sec;
    }
    now.sec
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn timespec_get(to: *mut Timespec, base: c_int) -> c_int {
    const TIME_UTC: c_int = 1;
    if base != TIME_UTC {
        return 0;
    }
    unsafe { clock_gettime(CLOCK_REALTIME, to) };
    base
}
