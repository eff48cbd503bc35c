//! Waits of threads for each other that have a time: condition variables, semaphores, locks.

use crate::c::{self, CLOCK_MONOTONIC, ETIMEDOUT, Next, Timespec, machine_now, timespec};
use crate::clocks::absolute;
use crate::next;
use crate::page::Page;
use crate::slots::{mine_or_claim, now, page};
use crate::waits::{in_slices, slice, waiting};
use core::ffi::{c_int, c_void};
use core::sync::atomic::Ordering::SeqCst;

static BROADCAST: Next = Next::new(c"pthread_cond_broadcast");

/// Wakes whoever waits on the condition variable at this address, from the governor's signal.
pub fn broadcast(cond: u64) {
    let found = BROADCAST.get();
    if !found.is_null() {
        let wake: unsafe extern "C" fn(*mut c_void) -> c_int =
            unsafe { core::mem::transmute(found) };
        unsafe { wake(cond as *mut c_void) };
    }
}

/// A wait on a condition variable until a virtual time. The governor's signal wakes it with a broadcast.
fn cond_wait(page: &Page, cond: *mut c_void, mutex: *mut c_void, deadline: i64) -> c_int {
    // Looked for here, since it is not safe in a signal handler.
    BROADCAST.get();
    if now(page) >= deadline {
        return ETIMEDOUT;
    }
    let Some(slot) = mine_or_claim() else {
        return next!(c"pthread_cond_wait", fn(*mut c_void, *mut c_void) -> c_int, cond, mutex);
    };
    let end = timespec(machine_now() + slice(page, deadline));
    slot.cond.store(cond as u64, SeqCst);
    let (value, _) = waiting(deadline, || {
        next!(
            c"pthread_cond_clockwait",
            fn(*mut c_void, *mut c_void, c_int, *const Timespec) -> c_int,
            cond,
            mutex,
            CLOCK_MONOTONIC,
            &raw const end
        )
    });
    slot.cond.store(0, SeqCst);
    match value {
        // Woken: by somebody, or since it is time. A slice that ended too early is a wake-up for no reason.
        0 | ETIMEDOUT if now(page) >= deadline => ETIMEDOUT,
        0 | ETIMEDOUT => 0,
        error => error,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn pthread_cond_timedwait(
    cond: *mut c_void,
    mutex: *mut c_void,
    time: *const Timespec,
) -> c_int {
    match (page(), unsafe { time.as_ref() }) {
        (Some(page), Some(time)) => cond_wait(page, cond, mutex, absolute(time)),
        _ => next!(
            c"pthread_cond_timedwait",
            fn(*mut c_void, *mut c_void, *const Timespec) -> c_int,
            cond,
            mutex,
            time
        ),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn pthread_cond_clockwait(
    cond: *mut c_void,
    mutex: *mut c_void,
    clock: c_int,
    time: *const Timespec,
) -> c_int {
    match (page(), unsafe { time.as_ref() }) {
        (Some(page), Some(time)) => cond_wait(page, cond, mutex, absolute(time)),
        _ => next!(
            c"pthread_cond_clockwait",
            fn(*mut c_void, *mut c_void, c_int, *const Timespec) -> c_int,
            cond,
            mutex,
            clock,
            time
        ),
    }
}

/// A semaphore's wait gives an interruption back.
fn sem_wait(page: &Page, sem: *mut c_void, deadline: i64) -> c_int {
    loop {
        let end = timespec(machine_now() + slice(page, deadline));
        let (value, kicked) = waiting(deadline, || {
            next!(
                c"sem_clockwait",
                fn(*mut c_void, c_int, *const Timespec) -> c_int,
                sem,
                CLOCK_MONOTONIC,
                &raw const end
            )
        });
        if value == 0 {
            return 0;
        }
        let error = c::errno();
        let over = now(page) >= deadline;
        let interrupted = error == -c::EINTR as c_int;
        if (interrupted && kicked || error == ETIMEDOUT) && over {
            c::set_errno(ETIMEDOUT);
            return -1;
        }
        if error != ETIMEDOUT && !(interrupted && kicked) {
            return -1;
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn sem_timedwait(sem: *mut c_void, time: *const Timespec) -> c_int {
    match (page(), unsafe { time.as_ref() }) {
        (Some(page), Some(time)) => sem_wait(page, sem, absolute(time)),
        _ => next!(c"sem_timedwait", fn(*mut c_void, *const Timespec) -> c_int, sem, time),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn sem_clockwait(
    sem: *mut c_void,
    clock: c_int,
    time: *const Timespec,
) -> c_int {
    match (page(), unsafe { time.as_ref() }) {
        (Some(page), Some(time)) => sem_wait(page, sem, absolute(time)),
        _ => next!(
            c"sem_clockwait",
            fn(*mut c_void, c_int, *const Timespec) -> c_int,
            sem,
            clock,
            time
        ),
    }
}

/// Locks that are taken until a time: two forms of each, of which the second names its clock.
macro_rules! timed_lock {
    ($timed:ident, $timed_name:literal, $clocked:ident, $clocked_name:literal) => {
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $timed(lock: *mut c_void, time: *const Timespec) -> c_int {
            match (page(), unsafe { time.as_ref() }) {
                (Some(page), Some(time)) => in_slices(page, absolute(time), |end| {
                    next!(
                        $clocked_name,
                        fn(*mut c_void, c_int, *const Timespec) -> c_int,
                        lock,
                        CLOCK_MONOTONIC,
                        end
                    )
                }),
                _ => next!($timed_name, fn(*mut c_void, *const Timespec) -> c_int, lock, time),
            }
        }

        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $clocked(
            lock: *mut c_void,
            clock: c_int,
            time: *const Timespec,
        ) -> c_int {
            if page().is_some() {
                return unsafe { $timed(lock, time) };
            }
            next!(
                $clocked_name,
                fn(*mut c_void, c_int, *const Timespec) -> c_int,
                lock,
                clock,
                time
            )
        }
    };
}

timed_lock!(
    pthread_mutex_timedlock,
    c"pthread_mutex_timedlock",
    pthread_mutex_clocklock,
    c"pthread_mutex_clocklock"
);
timed_lock!(
    pthread_rwlock_timedrdlock,
    c"pthread_rwlock_timedrdlock",
    pthread_rwlock_clockrdlock,
    c"pthread_rwlock_clockrdlock"
);
timed_lock!(
    pthread_rwlock_timedwrlock,
    c"pthread_rwlock_timedwrlock",
    pthread_rwlock_clockwrlock,
    c"pthread_rwlock_clockwrlock"
);
