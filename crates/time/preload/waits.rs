//! Waits with a time: for descriptors, for a duration, on a futex.

use crate::c::{
    self, EINTR, Pollfd, Timespec, Timeval, machine_now, nr, ns, raw, result, timespec,
};
use crate::clocks::absolute;
use crate::page::{NEVER, Page, state};
use crate::slots::{mine_or_claim, now, page};
use crate::timers;
use core::ffi::{c_int, c_long, c_void};
use core::sync::atomic::Ordering::SeqCst;

/// How long the kernel lets a wait sleep at most. Its own clock ends no wait while virtual time stands still.
const FAR_NS: i64 = 3_600_000_000_000;

/// What a wait needs to be known of.
pub struct Wait<'a> {
    pub deadline: i64,
    /// Descriptors whose timers count, see `timers`.
    pub fds: &'a [c_int],
    /// Whether 0 from the kernel is a time-out, as it is for descriptors.
    pub zero_is_timeout: bool,
    /// What the call gives when its time is over.
    pub over: isize,
    /// Whether the thread can be cancelled meanwhile.
    pub is_cancellable: bool,
}

/// How long the kernel may sleep: until the deadline where virtual time flows, or (nearly) for ever.
pub fn slice(page: &Page, deadline: i64) -> i64 {
    let speed = page.speed.load(SeqCst);
    if speed == 0 || deadline == NEVER {
        return FAR_NS;
    }
    let left = i128::from(deadline - now(page)) * 1_000_000 / i128::from(speed);
    left.clamp(0, i128::from(FAR_NS)) as i64
}

/// Registers the thread as waiting, runs the call, and registers it as running.
pub fn waiting<T>(deadline: i64, call: impl FnOnce() -> T) -> (T, bool) {
    let Some(slot) = mine_or_claim() else { return (call(), false) };
    slot.kicked.store(0, SeqCst);
    slot.deadline.store(deadline, SeqCst);
    slot.seq.fetch_add(1, SeqCst);
    slot.state.store(state::WAIT, SeqCst);
    let value = call();
    slot.state.store(state::RUN, SeqCst);
    slot.seq.fetch_add(1, SeqCst);
    (value, slot.kicked.load(SeqCst) != 0)
}

/// One wait in the kernel, which is begun again until something happens or its virtual time has come.
fn wait(page: &Page, wait: &Wait<'_>, mut call: impl FnMut(*mut Timespec) -> isize) -> isize {
    loop {
        let timer = timers::earliest(wait.fds);
        let end = timer.min(wait.deadline);
        let mut left = timespec(slice(page, end));
        let (value, kicked) = waiting(end, || match wait.is_cancellable {
            true => c::cancellable(|| call(&raw mut left)),
            false => call(&raw mut left),
        });
        let timed_out = value == -(c::ETIMEDOUT as isize) || (value == 0 && wait.zero_is_timeout);
        if value != EINTR && !timed_out {
            return value;
        }
        let time = now(page);
        if timer <= time {
            timers::fire(wait.fds, time);
            if wait.deadline > time {
                continue;
            }
        }
        if wait.deadline <= time {
            return wait.over;
        }
        if value == EINTR && !kicked {
            // A signal of somebody else's.
            return EINTR;
        }
    }
}

fn after(page: &Page, duration: i64) -> i64 {
    now(page).saturating_add(duration.max(0))
}

/// For calls on descriptors: no time means for ever.
fn deadline(page: &Page, duration: Option<i64>) -> i64 {
    duration.map_or(NEVER, |duration| after(page, duration))
}

fn millis(timeout: c_int) -> Option<i64> {
    (timeout >= 0).then(|| i64::from(timeout) * 1_000_000)
}

/// A mask of signals without the governor's, which must come through.
pub fn open_mask(mask: *const u64) -> Option<u64> {
    unsafe { mask.as_ref() }.map(|mask| mask & !(1 << (crate::page::SIGNAL - 1)))
}

fn address(mask: &Option<u64>) -> usize {
    mask.as_ref().map_or(0, |mask| core::ptr::from_ref(mask) as usize)
}

/// Waits for descriptors in virtual time, and in the kernel's where there is no page or nothing to wait for.
fn on_descriptors(
    time: Option<i64>,
    fds: &[c_int],
    call: impl Fn(*mut Timespec) -> isize,
) -> c_int {
    let value = match (page(), time) {
        (Some(page), time) if time != Some(0) => {
            let deadline = deadline(page, time);
            let wait_of =
                Wait { deadline, fds, zero_is_timeout: true, over: 0, is_cancellable: true };
            wait(page, &wait_of, call)
        }
        (_, None) => call(core::ptr::null_mut()),
        (_, Some(time)) => call(&mut timespec(time)),
    };
    result(value) as c_int
}

fn epoll(
    fd: c_int,
    events: *mut c_void,
    most: c_int,
    time: Option<i64>,
    mask: *const u64,
) -> c_int {
    let mask = open_mask(mask);
    let arguments =
        |time: usize| [fd as usize, events as usize, most as usize, time, address(&mask), 8];
    let call = |time: *mut Timespec| unsafe { raw(nr::EPOLL_PWAIT2, arguments(time as usize)) };
    on_descriptors(time, &[fd], call)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn epoll_wait(fd: c_int, to: *mut c_void, most: c_int, time: c_int) -> c_int {
    epoll(fd, to, most, millis(time), core::ptr::null())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn epoll_pwait(
    fd: c_int,
    to: *mut c_void,
    most: c_int,
    time: c_int,
    mask: *const u64,
) -> c_int {
    epoll(fd, to, most, millis(time), mask)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn epoll_pwait2(
    fd: c_int,
    to: *mut c_void,
    most: c_int,
    time: *const Timespec,
    mask: *const u64,
) -> c_int {
    epoll(fd, to, most, unsafe { time.as_ref() }.map(ns), mask)
}

/// How many descriptors of a set can be looked up among timers.
const LOOKED_AT: usize = 16;

fn poll_for(fds: *mut Pollfd, count: u64, time: Option<i64>, mask: *const u64) -> c_int {
    let mask = open_mask(mask);
    let call = |time: *mut Timespec| unsafe {
        raw(nr::PPOLL, [fds as usize, count as usize, time as usize, address(&mask), 8, 0])
    };
    let mut known = [-1; LOOKED_AT];
    if count > 0 && !fds.is_null() {
        let given = unsafe { core::slice::from_raw_parts(fds, count as usize) };
        for (to, from) in known.iter_mut().zip(given) {
            *to = from.fd;
        }
    }
    on_descriptors(time, &known, call)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn poll(fds: *mut Pollfd, count: u64, time: c_int) -> c_int {
    poll_for(fds, count, millis(time), core::ptr::null())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ppoll(
    fds: *mut Pollfd,
    count: u64,
    time: *const Timespec,
    mask: *const u64,
) -> c_int {
    poll_for(fds, count, unsafe { time.as_ref() }.map(ns), mask)
}

/// The three sets of `select`, in words. A time-out empties them, so they are put back before each wait.
const SET: usize = 16;

fn select_for(count: c_int, sets: [*mut u64; 3], time: Option<i64>, mask: *const u64) -> c_int {
    let mask = open_mask(mask);
    let words = (count.max(0) as usize).div_ceil(64);
    let given = (address(&mask), 8_usize);
    let call = |time: *mut Timespec| unsafe {
        let [r, w, x] = sets.map(|set| set as usize);
        raw(nr::PSELECT6, [count as usize, r, w, x, time as usize, &raw const given as usize])
    };
    let value = match (page(), time) {
        // Larger sets than the type's own are waited for in real time.
        (Some(page), time) if time != Some(0) && words <= SET => {
            let mut kept = [[0_u64; SET]; 3];
            for (kept, set) in kept.iter_mut().zip(sets) {
                if !set.is_null() {
                    unsafe { set.copy_to(kept.as_mut_ptr(), words) };
                }
            }
            let deadline = deadline(page, time);
            let what =
                Wait { deadline, fds: &[], zero_is_timeout: true, over: 0, is_cancellable: true };
            let value = wait(page, &what, |time| {
                for (kept, set) in kept.iter().zip(sets) {
                    if !set.is_null() {
                        unsafe { set.copy_from(kept.as_ptr(), words) };
                    }
                }
                call(time)
            });
            // Nothing is ready; where the governor ended the wait, the kernel has left the sets as they were.
            for set in sets.into_iter().filter(|set| value == 0 && !set.is_null()) {
                unsafe { set.write_bytes(0, words) };
            }
            value
        }
        (_, None) => call(core::ptr::null_mut()),
        (_, Some(time)) => call(&mut timespec(time)),
    };
    result(value) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn select(
    count: c_int,
    read: *mut u64,
    write: *mut u64,
    except: *mut u64,
    time: *const Timeval,
) -> c_int {
    let time = unsafe { time.as_ref() };
    let time = time.map(|t| t.sec.saturating_mul(1_000_000_000).saturating_add(t.usec * 1000));
    select_for(count, [read, write, except], time, core::ptr::null())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pselect(
    count: c_int,
    read: *mut u64,
    write: *mut u64,
    except: *mut u64,
    time: *const Timespec,
    mask: *const u64,
) -> c_int {
    let time = unsafe { time.as_ref() }.map(ns);
    select_for(count, [read, write, except], time, mask)
}

/// Sleeps until a virtual time; what is left where a signal came.
fn sleep_until(page: &Page, deadline: i64) -> Result<(), i64> {
    let sleep = |time: *mut Timespec| unsafe { raw(nr::NANOSLEEP, [time as usize, 0, 0, 0, 0, 0]) };
    let what = Wait { deadline, fds: &[], zero_is_timeout: true, over: 0, is_cancellable: true };
    match wait(page, &what, sleep) {
        0 => Ok(()),
        _ => Err((deadline - now(page)).max(0)),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_nanosleep(
    clock: c_int,
    flags: c_int,
    time: *const Timespec,
    left: *mut Timespec,
) -> c_int {
    const TIMER_ABSTIME: c_int = 1;
    let (Some(page), Some(asked)) = (page(), unsafe { time.as_ref() }) else {
        let arguments = [clock as usize, flags as usize, time as usize, left as usize, 0, 0];
        return -unsafe { raw(nr::CLOCK_NANOSLEEP, arguments) } as c_int;
    };
    if asked.nsec < 0 || asked.nsec >= 1_000_000_000 || asked.sec < 0 {
        return c::EINVAL;
    }
    let is_absolute = flags & TIMER_ABSTIME != 0;
    let deadline = if is_absolute { absolute(asked) } else { after(page, ns(asked)) };
    if deadline <= now(page) {
        return 0;
    }
    match sleep_until(page, deadline) {
        Ok(()) => 0,
        Err(rest) => {
            if let Some(left) = unsafe { left.as_mut() }.filter(|_| !is_absolute) {
                *left = timespec(rest);
            }
            -EINTR as c_int
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nanosleep(time: *const Timespec, left: *mut Timespec) -> c_int {
    match unsafe { clock_nanosleep(c::CLOCK_MONOTONIC, 0, time, left) } {
        0 => 0,
        error => {
            c::set_errno(error);
            -1
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn usleep(micros: u32) -> c_int {
    unsafe { nanosleep(&timespec(i64::from(micros) * 1000), core::ptr::null_mut()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sleep(seconds: u32) -> u32 {
    let mut left = Timespec::default();
    let time = timespec(i64::from(seconds) * 1_000_000_000);
    match unsafe { nanosleep(&raw const time, &raw mut left) } {
        0 => 0,
        _ => left.sec as u32,
    }
}

/// A wait on a futex. With a (long) time the kernel does not hide an interruption.
fn futex_wait(page: &Page, word: usize, operation: usize, value: usize, deadline: i64) -> isize {
    const PRIVATE: usize = 128;
    let call = |time: *mut Timespec| unsafe {
        raw(nr::FUTEX, [word, operation & PRIVATE, value, time as usize, 0, 0])
    };
    let over = -(c::ETIMEDOUT as isize);
    wait(
        page,
        &Wait { deadline, fds: &[], zero_is_timeout: false, over, is_cancellable: false },
        call,
    )
}

/// The system calls that programs make by number: ERTS waits on futexes in this way. The function takes any number
/// of arguments in C; all of them are words, and are passed in the same places.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    const COMMAND: usize = 127;
    const WAIT: usize = 0;
    const WAIT_BITSET: usize = 9;
    const REALTIME: usize = 256;
    if let Some(page) = page() {
        let time = d as *const Timespec;
        if number as usize == nr::FUTEX && b & COMMAND == WAIT {
            let deadline = deadline(page, unsafe { time.as_ref() }.map(ns));
            return result(futex_wait(page, a, b, c, deadline));
        }
        if number as usize == nr::FUTEX && b & COMMAND == WAIT_BITSET && f as u32 == u32::MAX {
            let end = unsafe { time.as_ref() }.map_or(NEVER, |time| match b & REALTIME {
                0 => ns(time),
                _ => absolute(time),
            });
            return result(futex_wait(page, a, b, c, end));
        }
        if number as usize == nr::CLOCK_GETTIME {
            return unsafe { crate::clocks::clock_gettime(a as c_int, b as *mut Timespec) }.into();
        }
    }
    result(unsafe { raw(number as usize, [a, b, c, d, e, f]) })
}

/// Waits in slices of real time, for functions that hide interruptions: `call` gets the end of its slice by the
/// machine's monotonic clock, and its result is returned unless the slice is over.
pub fn in_slices(
    page: &Page,
    deadline: i64,
    mut call: impl FnMut(*const Timespec) -> c_int,
) -> c_int {
    const SLICE_NS: i64 = 1_000_000;
    loop {
        let end = timespec(machine_now() + slice(page, deadline).min(SLICE_NS));
        let (value, _) = waiting(deadline, || call(&raw const end));
        if value != c::ETIMEDOUT {
            return value;
        }
        if now(page) >= deadline {
            return c::ETIMEDOUT;
        }
    }
}
