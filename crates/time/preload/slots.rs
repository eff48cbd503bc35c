//! This process's view of the page: its slots, the virtual clock, and the governor's signal.

use crate::c::{self, Sigaction, nr, raw4};
use crate::page::{
    MAGIC, NEVER, ORDER_VARIABLE, PAGE_VARIABLE, Page, SIGNAL, Slot, refused, state,
};
use core::ffi::{c_int, c_void};
use core::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, fence};

static PAGE: AtomicPtr<Page> = AtomicPtr::new(core::ptr::null_mut());
static KEY: AtomicU32 = AtomicU32::new(0);
static ORDER: AtomicU32 = AtomicU32::new(0);
static SPACE: AtomicU64 = AtomicU64::new(0);

/// The page, or nothing where this process is in real time.
#[inline]
pub fn page() -> Option<&'static Page> {
    unsafe { PAGE.load(Relaxed).as_ref() }
}

/// Maps the page that the environment names, and registers the thread.
pub fn begin() {
    let name = |name: &str, to: &mut [u8; 32]| to[..name.len()].copy_from_slice(name.as_bytes());
    let [mut path, mut order] = [[0_u8; 32]; 2];
    name(PAGE_VARIABLE, &mut path);
    name(ORDER_VARIABLE, &mut order);
    let path = unsafe { c::getenv(path.as_ptr().cast()) };
    if path.is_null() {
        return;
    }
    ORDER.store(number(unsafe { c::getenv(order.as_ptr().cast()) }) as u32, Relaxed);
    let mapped = c::map(path, size_of::<Page>()).cast::<Page>();
    // A page of another version, or none: the governor finds that nobody has registered.
    let Some(page) = (unsafe { mapped.as_ref() }).filter(|page| page.magic.load(Acquire) == MAGIC)
    else {
        return;
    };
    // With SA_RESTART a signal that hits any other call is not seen; calls that wait for a time return all the same.
    const SA_RESTART_ONSTACK: c_int = 0x1800_0000;
    let action =
        Sigaction { handler: kicked, mask: [!0; 16], flags: SA_RESTART_ONSTACK, restorer: 0 };
    let mut key = 0;
    unsafe {
        c::sigaction(SIGNAL, &raw const action, core::ptr::null_mut());
        if c::pthread_key_create(&raw mut key, gone) != 0 {
            return;
        }
    }
    KEY.store(key, Relaxed);
    find_space();
    PAGE.store(mapped, SeqCst);
    let _ = page;
    claim();
}

fn number(text: *const core::ffi::c_char) -> u64 {
    let mut value = 0_u64;
    let mut at = text.cast::<u8>();
    if text.is_null() {
        return 0;
    }
    loop {
        let digit = unsafe { *at };
        if !digit.is_ascii_digit() {
            return value;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        at = unsafe { at.add(1) };
    }
}

/// The pid namespace, from what /proc/self/ns/pid leads to: `pid:[4026531836]`.
fn find_space() {
    let mut text = [0_u8; 64];
    let path = c"/proc/self/ns/pid".as_ptr() as usize;
    let length = unsafe { raw4(nr::READLINK, path, text.as_mut_ptr() as usize, 63, 0) };
    let space = if length > 5 { number(text[5..].as_ptr().cast()) } else { 0 };
    SPACE.store(space, Relaxed);
}

pub fn space() -> u64 {
    SPACE.load(Relaxed)
}

/// The governor's signal. A thread that waits on a condition variable is woken through it, since the C library
/// hides interruptions there; whoever waits on one expects to be woken for no reason.
extern "C" fn kicked(_: c_int) {
    let error = c::errno();
    if let Some(slot) = mine() {
        slot.kicked.store(1, SeqCst);
        let cond = slot.cond.load(SeqCst);
        if cond != 0 && slot.state.load(SeqCst) == state::WAIT {
            crate::locks::broadcast(cond);
        }
    }
    c::set_errno(error);
}

/// The thread ends. Its slot stays until the governor sees that it is gone.
extern "C" fn gone(slot: *mut c_void) {
    if let Some(slot) = unsafe { slot.cast::<Slot>().as_ref() } {
        slot.seq.fetch_add(1, SeqCst);
        slot.state.store(state::LEAVE, SeqCst);
    }
}

/// This thread's slot, if it has one.
pub fn mine() -> Option<&'static Slot> {
    page()?;
    unsafe { c::pthread_getspecific(KEY.load(Relaxed)).cast::<Slot>().as_ref() }
}

/// This thread's slot, which it takes if it has none.
pub fn mine_or_claim() -> Option<&'static Slot> {
    mine().or_else(claim)
}

/// Registers this thread as running.
pub fn claim() -> Option<&'static Slot> {
    let [tid, pid] = [nr::GETTID, nr::GETPID].map(|n| unsafe { raw4(n, 0, 0, 0, 0) } as c_int);
    let slot = take(pid, tid, state::RUN)?;
    let own = 1_u64 << (SIGNAL - 1);
    const SIG_UNBLOCK: usize = 1;
    unsafe {
        raw4(nr::RT_SIGPROCMASK, SIG_UNBLOCK, &raw const own as usize, 0, 8);
        c::pthread_setspecific(KEY.load(Relaxed), core::ptr::from_ref(slot).cast());
    }
    Some(slot)
}

/// The slot of a thread: the one that it has (an executed program has the id of its predecessor, a child was
/// registered by its parent), or a free one.
fn take(pid: c_int, tid: c_int, to: u32) -> Option<&'static Slot> {
    let page = page()?;
    let high = page.high.load(SeqCst) as usize;
    let known = |slot: &&Slot| slot.tid.load(SeqCst) == tid && slot.space.load(SeqCst) == space();
    let slot = page.slots.iter().take(high).find(known);
    if to == state::ADOPTED && slot.is_some() {
        return slot;
    }
    let free = |slot: &&Slot| slot.tid.compare_exchange(0, -1, SeqCst, SeqCst).is_ok();
    let Some(slot) = slot.or_else(|| page.slots.iter().find(free)) else {
        page.refused.fetch_or(refused::FULL, SeqCst);
        return None;
    };
    if slot.tid.load(SeqCst) == -1 {
        slot.outer_tid.store(0, SeqCst);
    }
    slot.deadline.store(NEVER, SeqCst);
    slot.order.store(ORDER.load(Relaxed), SeqCst);
    slot.kicked.store(0, SeqCst);
    slot.cond.store(0, SeqCst);
    slot.pid.store(pid, SeqCst);
    slot.space.store(space(), SeqCst);
    slot.state.store(to, SeqCst);
    slot.seq.fetch_add(1, SeqCst);
    let index =
        (core::ptr::from_ref(slot) as usize - page.slots.as_ptr() as usize) / size_of::<Slot>();
    page.high.fetch_max(index as u32 + 1, SeqCst);
    // Last: until now it was "being made", which counts as busy.
    slot.tid.store(tid, SeqCst);
    Some(slot)
}

/// Registers a child before its parent goes on: it may not have run yet.
pub fn adopt(pid: c_int) {
    if pid > 0 {
        take(pid, pid, state::ADOPTED);
    }
}

/// In a child after fork: the only thread has another id and perhaps another pid namespace.
pub fn in_child() {
    if page().is_none() {
        return;
    }
    unsafe { c::pthread_setspecific(KEY.load(Relaxed), core::ptr::null()) };
    if unsafe { raw4(nr::GETPID, 0, 0, 0, 0) } == 1 {
        find_space();
    }
    claim();
}

/// Notes a call that is not simulated.
pub fn refuse(what: u32) {
    if let Some(page) = page() {
        page.refused_pid.store(unsafe { raw4(nr::GETPID, 0, 0, 0, 0) } as c_int, SeqCst);
        page.refused.fetch_or(what, SeqCst);
    }
}

/// The virtual `CLOCK_MONOTONIC`.
#[inline]
pub fn now(page: &Page) -> i64 {
    loop {
        let seq = page.seq.load(Acquire);
        let (mut now, speed) = (page.base_virtual.load(Relaxed), page.speed.load(Relaxed));
        let since = page.base_real.load(Relaxed);
        fence(Acquire);
        if seq & 1 == 0 && seq == page.seq.load(Relaxed) {
            if speed != 0 {
                now += crate::page::scaled((c::machine_now() - since).max(0), speed);
            }
            return now;
        }
    }
}
