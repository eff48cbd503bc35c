//! Descriptors of timers. The kernel's are never armed: whoever waits for a set of descriptors takes the deadlines of
//! the timers in this set as its own, and makes them readable when they are due.
//!
//! A timer in an epoll set is made readable by a thread that waits for that set: its owner may disarm it at any
//! time, and another thread must not touch it meanwhile.

use crate::c::{self, Itimerspec, Pollfd, nr, ns, raw, raw4, result, timespec};
use crate::clocks::absolute;
use crate::next;
use crate::page::{NEVER, refused, state};
use crate::slots::{mine, now, page, refuse};
use crate::waits;
use core::ffi::{c_int, c_void};
use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicI32, AtomicI64, AtomicU32};

/// A timer's descriptor; 0 in `fd` and `set` is none, so that both are one more than the descriptor.
struct Timer {
    fd: AtomicI32,
    /// The epoll set that it is in.
    set: AtomicI32,
    /// 0: not armed.
    deadline: AtomicI64,
    interval: AtomicI64,
}

const TIMERS: usize = 64;
static ALL: [Timer; TIMERS] = [const {
    Timer {
        fd: AtomicI32::new(0),
        set: AtomicI32::new(0),
        deadline: AtomicI64::new(0),
        interval: AtomicI64::new(0),
    }
}; TIMERS];
/// How many places of [`ALL`] have ever been used: few programs have such timers.
static USED: AtomicU32 = AtomicU32::new(0);

fn used() -> &'static [Timer] {
    &ALL[..(USED.load(SeqCst) as usize).min(TIMERS)]
}

fn find(fd: c_int) -> Option<&'static Timer> {
    used().iter().find(|timer| timer.fd.load(SeqCst) == fd + 1)
}

fn is_among(timer: &Timer, fds: &[c_int]) -> bool {
    let (fd, set) = (timer.fd.load(SeqCst), timer.set.load(SeqCst));
    fd != 0 && fds.iter().any(|given| *given >= 0 && (given + 1 == fd || given + 1 == set))
}

/// When the first of the timers among these descriptors is due.
pub fn earliest(fds: &[c_int]) -> i64 {
    let armed = used().iter().filter(|timer| is_among(timer, fds));
    armed.map(|timer| timer.deadline.load(SeqCst)).filter(|d| *d != 0).min().unwrap_or(NEVER)
}

/// Makes those readable that are due.
pub fn fire(fds: &[c_int], time: i64) {
    for timer in used().iter().filter(|timer| is_among(timer, fds)) {
        let deadline = timer.deadline.load(SeqCst);
        let interval = timer.interval.load(SeqCst);
        let next = if interval > 0 { deadline + interval } else { 0 };
        if deadline == 0
            || deadline > time
            || timer.deadline.compare_exchange(deadline, next, SeqCst, SeqCst).is_err()
        {
            continue;
        }
        let fd = timer.fd.load(SeqCst) - 1;
        let soon = Itimerspec { value: timespec(1), ..Itimerspec::default() };
        let mut poll = Pollfd { fd, events: 1, revents: 0 };
        // Until it really is readable: a thread that sleeps here is not idle.
        let slot = mine();
        if let Some(slot) = slot {
            slot.state.store(state::HOLD, SeqCst);
        }
        unsafe {
            const TIMER_ABSTIME: usize = 1;
            raw4(nr::TIMERFD_SETTIME, fd as usize, TIMER_ABSTIME, &raw const soon as usize, 0);
            raw4(nr::POLL, &raw mut poll as usize, 1, 50, 0);
        }
        if let Some(slot) = slot {
            slot.state.store(state::RUN, SeqCst);
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn timerfd_create(clock: c_int, flags: c_int) -> c_int {
    let fd =
        result(unsafe { raw4(nr::TIMERFD_CREATE, clock as usize, flags as usize, 0, 0) }) as c_int;
    if page().is_none() || fd < 0 || find(fd).is_some() {
        return fd;
    }
    for (index, timer) in ALL.iter().enumerate() {
        if timer.fd.compare_exchange(0, fd + 1, SeqCst, SeqCst).is_ok() {
            timer.set.store(0, SeqCst);
            timer.deadline.store(0, SeqCst);
            USED.fetch_max(index as u32 + 1, SeqCst);
            return fd;
        }
    }
    refuse(refused::TIMERFD);
    fd
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn timerfd_settime(
    fd: c_int,
    flags: c_int,
    new: *const Itimerspec,
    old: *mut Itimerspec,
) -> c_int {
    const TIMER_ABSTIME: c_int = 1;
    let real = |flags: c_int, new: *const Itimerspec| unsafe {
        raw4(nr::TIMERFD_SETTIME, fd as usize, flags as usize, new as usize, old as usize)
    };
    let (Some(page), Some(timer), Some(asked)) = (page(), find(fd), unsafe { new.as_ref() }) else {
        return result(real(flags, new)) as c_int;
    };
    let before = timer.deadline.swap(0, SeqCst);
    // Disarms the kernel's, which also takes back an expiry that nobody has read.
    let disarmed = real(0, &Itimerspec::default());
    if disarmed < 0 {
        return result(disarmed) as c_int;
    }
    let time = now(page);
    if let Some(old) = unsafe { old.as_mut() } {
        old.interval = timespec(timer.interval.load(SeqCst));
        old.value = timespec(if before == 0 { 0 } else { (before - time).max(1) });
    }
    timer.interval.store(ns(&asked.interval), SeqCst);
    let value = ns(&asked.value);
    let deadline = match value {
        0 => 0,
        _ if flags & TIMER_ABSTIME != 0 => absolute(&asked.value).max(1),
        _ => time.saturating_add(value),
    };
    timer.deadline.store(deadline, SeqCst);
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn timerfd_gettime(fd: c_int, to: *mut Itimerspec) -> c_int {
    let (Some(page), Some(timer), Some(to)) = (page(), find(fd), unsafe { to.as_mut() }) else {
        return result(unsafe { raw4(nr::TIMERFD_GETTIME, fd as usize, to as usize, 0, 0) })
            as c_int;
    };
    let deadline = timer.deadline.load(SeqCst);
    to.interval = timespec(timer.interval.load(SeqCst));
    to.value = timespec(if deadline == 0 { 0 } else { (deadline - now(page)).max(1) });
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn epoll_ctl(
    set: c_int,
    what: c_int,
    fd: c_int,
    event: *mut c_void,
) -> c_int {
    const ADD: c_int = 1;
    const REMOVE: c_int = 2;
    match find(fd) {
        Some(timer) if what == ADD => timer.set.store(set + 1, SeqCst),
        Some(timer) if what == REMOVE => timer.set.store(0, SeqCst),
        _ => {}
    }
    let arguments = [set as usize, what as usize, fd as usize, event as usize, 0, 0];
    result(unsafe { raw(nr::EPOLL_CTL, arguments) }) as c_int
}

/// A blocking read of a timer waits for it.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn read(fd: c_int, to: *mut c_void, size: usize) -> isize {
    if USED.load(SeqCst) > 0 && page().is_some() && find(fd).is_some() && is_blocking(fd) {
        let mut poll = Pollfd { fd, events: 1, revents: 0 };
        unsafe { waits::poll(&raw mut poll, 1, -1) };
    }
    next!(c"read", fn(c_int, *mut c_void, usize) -> isize, fd, to, size)
}

fn is_blocking(fd: c_int) -> bool {
    const FCNTL: usize = 72;
    const GETFL: usize = 3;
    const O_NONBLOCK: isize = 0o4000;
    unsafe { raw4(FCNTL, fd as usize, GETFL, 0, 0) & O_NONBLOCK == 0 }
}

/// A descriptor that is closed is no timer any more.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn close(fd: c_int) -> c_int {
    if let Some(timer) = find(fd) {
        timer.deadline.store(0, SeqCst);
        timer.set.store(0, SeqCst);
        timer.fd.store(0, SeqCst);
    }
    next!(c"close", fn(c_int) -> c_int, fd)
}

/// What takes signals from the kernel's clock is noted: the governor names it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setitimer(which: c_int, new: *const c_void, old: *mut c_void) -> c_int {
    const REAL: c_int = 0;
    if which == REAL && !new.is_null() {
        refuse(refused::ITIMER);
    }
    next!(c"setitimer", fn(c_int, *const c_void, *mut c_void) -> c_int, which, new, old)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alarm(seconds: u32) -> u32 {
    if seconds > 0 {
        refuse(refused::ITIMER);
    }
    next!(c"alarm", fn(u32) -> u32, seconds)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn timer_create(clock: c_int, event: *mut c_void, to: *mut c_void) -> c_int {
    if clock == c::CLOCK_REALTIME || clock == c::CLOCK_MONOTONIC {
        refuse(refused::TIMER_CREATE);
    }
    next!(c"timer_create", fn(c_int, *mut c_void, *mut c_void) -> c_int, clock, event, to)
}
