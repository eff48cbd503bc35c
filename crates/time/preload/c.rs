//! Raw system calls, and the few functions and types of the C library that are needed.

use core::arch::asm;
use core::ffi::{c_char, c_int, c_long, c_void};
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Timespec {
    pub sec: i64,
    pub nsec: i64,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Timeval {
    pub sec: i64,
    pub usec: i64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Pollfd {
    pub fd: c_int,
    pub events: i16,
    pub revents: i16,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Itimerspec {
    pub interval: Timespec,
    pub value: Timespec,
}

/// As the C library has it on this architecture.
#[repr(C)]
pub struct Sigaction {
    pub handler: extern "C" fn(c_int),
    pub mask: [u64; 16],
    pub flags: c_int,
    pub restorer: usize,
}

pub const EINTR: isize = -4;
pub const ETIMEDOUT: c_int = 110;
pub const EINVAL: c_int = 22;

pub const CLOCK_REALTIME: c_int = 0;
pub const CLOCK_MONOTONIC: c_int = 1;

pub mod nr {
    pub const POLL: usize = 7;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const NANOSLEEP: usize = 35;
    pub const GETPID: usize = 39;
    pub const READLINK: usize = 89;
    pub const GETTID: usize = 186;
    pub const FUTEX: usize = 202;
    pub const CLOCK_GETTIME: usize = 228;
    pub const CLOCK_NANOSLEEP: usize = 230;
    pub const EPOLL_CTL: usize = 233;
    pub const PSELECT6: usize = 270;
    pub const PPOLL: usize = 271;
    pub const TIMERFD_CREATE: usize = 283;
    pub const TIMERFD_SETTIME: usize = 286;
    pub const TIMERFD_GETTIME: usize = 287;
    pub const EPOLL_PWAIT2: usize = 441;
}

unsafe extern "C" {
    pub fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    pub fn getenv(name: *const c_char) -> *const c_char;
    pub fn sigaction(number: c_int, new: *const Sigaction, old: *mut Sigaction) -> c_int;
    pub fn pthread_key_create(key: *mut u32, gone: extern "C" fn(*mut c_void)) -> c_int;
    pub fn pthread_getspecific(key: u32) -> *mut c_void;
    pub fn pthread_setspecific(key: u32, value: *const c_void) -> c_int;
    pub fn malloc(size: usize) -> *mut c_void;
    pub fn free(memory: *mut c_void);
    fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    fn close(fd: c_int) -> c_int;
    fn mmap(
        at: *mut c_void,
        size: usize,
        prot: c_int,
        flags: c_int,
        fd: c_int,
        offset: i64,
    ) -> *mut c_void;
    fn __errno_location() -> *mut c_int;
    #[link_name = "abort"]
    safe fn c_abort() -> !;
}

pub fn abort() -> ! {
    c_abort()
}

/// A system call with what the kernel gives: a negative error number where it fails.
pub unsafe fn raw(number: usize, a: [usize; 6]) -> isize {
    let result: isize;
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a[0], in("rsi") a[1],
            in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// The same with fewer arguments.
pub unsafe fn raw4(number: usize, a: usize, b: usize, c: usize, d: usize) -> isize {
    unsafe { raw(number, [a, b, c, d, 0, 0]) }
}

/// Turns the kernel's result into the C library's.
pub fn result(value: isize) -> c_long {
    if (-4095..0).contains(&value) {
        set_errno(-value as c_int);
        return -1;
    }
    value as c_long
}

pub fn set_errno(error: c_int) {
    unsafe { *__errno_location() = error }
}

pub fn errno() -> c_int {
    unsafe { *__errno_location() }
}

/// Functions that this library replaces, as the next library has them.
pub struct Next {
    name: &'static core::ffi::CStr,
    found: AtomicPtr<c_void>,
}

impl Next {
    pub const fn new(name: &'static core::ffi::CStr) -> Next {
        Next { name, found: AtomicPtr::new(core::ptr::null_mut()) }
    }

    /// Null where no library has it.
    pub fn get(&self) -> *mut c_void {
        let found = self.found.load(Relaxed);
        if !found.is_null() {
            return found;
        }
        const RTLD_NEXT: *mut c_void = -1_isize as *mut c_void;
        let found = unsafe { dlsym(RTLD_NEXT, self.name.as_ptr()) };
        self.found.store(found, Relaxed);
        found
    }
}

/// Calls the next library's function of this name and type; the program would not have been linked without it.
#[macro_export]
macro_rules! next {
    ($name:literal, fn($($type:ty),* $(,)?) -> $result:ty, $($argument:expr),* $(,)?) => {{
        static NEXT: $crate::c::Next = $crate::c::Next::new($name);
        let found = NEXT.get();
        if found.is_null() {
            $crate::c::abort();
        }
        let call: unsafe extern "C-unwind" fn($($type),*) -> $result =
            unsafe { core::mem::transmute(found) };
        #[allow(unused_unsafe, reason = "some callers are unsafe already")]
        unsafe { call($($argument),*) }
    }};
}

type ReadClock = unsafe extern "C" fn(c_int, *mut Timespec) -> c_int;

static CLOCK: Next = Next::new(c"clock_gettime");
static CANCEL_TYPE: Next = Next::new(c"pthread_setcanceltype");

/// Finds what is needed where looking for it would not be safe.
pub fn find() {
    CLOCK.get();
    CANCEL_TYPE.get();
}

/// A clock of the machine.
pub fn machine_clock(clock: c_int, to: *mut Timespec) -> c_int {
    let found = CLOCK.get();
    if found.is_null() {
        return result(unsafe { raw4(nr::CLOCK_GETTIME, clock as usize, to as usize, 0, 0) })
            as c_int;
    }
    // The vDSO's, without a system call.
    let read: ReadClock = unsafe { core::mem::transmute(found) };
    unsafe { read(clock, to) }
}

/// The machine's monotonic clock in nanoseconds.
pub fn machine_now() -> i64 {
    let mut now = Timespec::default();
    machine_clock(CLOCK_MONOTONIC, &raw mut now);
    ns(&now)
}

/// Runs a wait that is ended where somebody cancels the thread, as the C library's own are: only while a thread is
/// set to be cancelled at any time does the C library send it a signal. Then the stack is unwound.
pub fn cancellable<T>(wait: impl FnOnce() -> T) -> T {
    const ASYNCHRONOUS: c_int = 1;
    let found = CANCEL_TYPE.get();
    if found.is_null() {
        return wait();
    }
    let set: unsafe extern "C-unwind" fn(c_int, *mut c_int) -> c_int =
        unsafe { core::mem::transmute(found) };
    let mut before = 0;
    unsafe { set(ASYNCHRONOUS, &raw mut before) };
    let value = wait();
    unsafe { set(before, core::ptr::null_mut()) };
    value
}

pub fn ns(time: &Timespec) -> i64 {
    time.sec.saturating_mul(1_000_000_000).saturating_add(time.nsec)
}

pub fn timespec(ns: i64) -> Timespec {
    let ns = ns.max(0);
    Timespec { sec: ns / 1_000_000_000, nsec: ns % 1_000_000_000 }
}

/// Maps a file that several processes write to; null if that fails.
pub fn map(path: *const c_char, size: usize) -> *mut c_void {
    const O_RDWR_CLOEXEC: c_int = 0o2_000_002;
    const READ_WRITE: c_int = 3;
    const SHARED: c_int = 1;
    unsafe {
        let fd = open(path, O_RDWR_CLOEXEC);
        if fd < 0 {
            return core::ptr::null_mut();
        }
        let mapped = mmap(core::ptr::null_mut(), size, READ_WRITE, SHARED, fd, 0);
        close(fd);
        if mapped as isize == -1 { core::ptr::null_mut() } else { mapped }
    }
}
