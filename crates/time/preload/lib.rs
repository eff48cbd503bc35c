//! The preloaded library: every clock of the process is read from the shared page, and every wait registers
//! there with its deadline.
//!
//! A wait sleeps in the kernel for an hour at most; the governor's signal interrupts it when virtual time has
//! come to its deadline. The functions here replace those of the C library of the same names. They may be called
//! from signal handlers, between fork and exec and while a process ends, so they allocate nothing, take no lock
//! and use no standard library.
#![no_std]
#![allow(
    clippy::missing_safety_doc,
    reason = "the C library's manual says what its functions need"
)]

mod c;
mod clocks;
mod locks;
mod masks;
#[path = "../src/page.rs"]
#[allow(dead_code, reason = "the governor's half uses the rest")]
mod page;
mod processes;
mod slots;
mod timers;
mod waits;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    c::abort()
}

/// Runs before the program's own code.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = at_start;

extern "C" fn at_start() {
    c::find();
    slots::begin();
}

/// What the core library's tables name for frames that a panic would unwind. Panics abort here; a thread that is
/// cancelled goes through such frames unhindered.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> core::ffi::c_int {
    const CONTINUE_UNWIND: core::ffi::c_int = 8;
    CONTINUE_UNWIND
}
