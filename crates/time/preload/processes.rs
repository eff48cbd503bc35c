//! New threads and processes are registered before whoever made them goes on: otherwise time might leap while they
//! have not had a processor yet.

use crate::c::{self, nr, raw4};
use crate::next;
use crate::page::state;
use crate::slots::{adopt, claim, in_child, mine, page};
use core::ffi::{c_char, c_int, c_void};
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::SeqCst;

type Body = unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void;

/// What a new thread is given first.
struct Start {
    body: Body,
    argument: *mut c_void,
    /// On the creator's stack, which waits for it.
    registered: *const AtomicU32,
}

const FUTEX_WAIT_PRIVATE: usize = 128;
const FUTEX_WAKE_PRIVATE: usize = 129;

unsafe extern "C-unwind" fn first(start: *mut c_void) -> *mut c_void {
    let start = start.cast::<Start>();
    let Start { body, argument, registered } = unsafe { start.read() };
    unsafe { c::free(start.cast()) };
    claim();
    unsafe {
        let word = registered as usize;
        (*registered).store(1, SeqCst);
        // Whoever is woken for no reason looks again; the word may be gone by now, which the kernel does not mind.
        raw4(nr::FUTEX, word, FUTEX_WAKE_PRIVATE, 1, 0);
        body(argument)
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn pthread_create(
    thread: *mut c_void,
    attributes: *const c_void,
    body: Body,
    argument: *mut c_void,
) -> c_int {
    let create = |body: Body, argument: *mut c_void| {
        next!(
            c"pthread_create",
            fn(*mut c_void, *const c_void, Body, *mut c_void) -> c_int,
            thread,
            attributes,
            body,
            argument
        )
    };
    let start = match page() {
        Some(_) => unsafe { c::malloc(size_of::<Start>()) }.cast::<Start>(),
        None => core::ptr::null_mut(),
    };
    if start.is_null() {
        return create(body, argument);
    }
    let registered = AtomicU32::new(0);
    unsafe { start.write(Start { body, argument, registered: &raw const registered }) };
    let hold = |to: u32| {
        if let Some(slot) = mine() {
            slot.state.store(to, SeqCst);
        }
    };
    hold(state::HOLD);
    let failed = create(first, start.cast());
    if failed != 0 {
        unsafe { c::free(start.cast()) };
    }
    while failed == 0 && registered.load(SeqCst) == 0 {
        unsafe { raw4(nr::FUTEX, registered.as_ptr() as usize, FUTEX_WAIT_PRIVATE, 0, 0) };
    }
    hold(state::RUN);
    failed
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fork() -> c_int {
    let pid = next!(c"fork", fn() -> c_int,);
    if pid == 0 {
        in_child();
    } else {
        adopt(pid);
    }
    pid
}

/// A child that shares its parent's memory could not register: it is made a copy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vfork() -> c_int {
    unsafe { fork() }
}

type Strings = *const *const c_char;

/// Both forms of `posix_spawn`: by path, and by name.
macro_rules! spawn {
    ($function:ident, $name:literal) => {
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $function(
            pid: *mut c_int,
            program: *const c_char,
            actions: *const c_void,
            attributes: *const c_void,
            arguments: Strings,
            environment: Strings,
        ) -> c_int {
            let mut child: c_int = 0;
            let failed = next!(
                $name,
                fn(
                    *mut c_int,
                    *const c_char,
                    *const c_void,
                    *const c_void,
                    Strings,
                    Strings,
                ) -> c_int,
                &raw mut child,
                program,
                actions,
                attributes,
                arguments,
                environment
            );
            if failed == 0 {
                adopt(child);
                if let Some(pid) = unsafe { pid.as_mut() } {
                    *pid = child;
                }
            }
            failed
        }
    };
}

spawn!(posix_spawn, c"posix_spawn");
spawn!(posix_spawnp, c"posix_spawnp");
