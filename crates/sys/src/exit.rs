//! The end of this process: what is done at it, and ending without any of that.

use std::io;

/// Has `handler` called when the process exits in any ordinary way.
pub fn at_exit(handler: extern "C" fn()) -> io::Result<()> {
    // SAFETY: the handler is a function of this program, which is there until its end.
    match unsafe { libc::atexit(handler) } {
        0 => Ok(()),
        _ => Err(io::ErrorKind::OutOfMemory.into()),
    }
}

/// Ends the process at once: nothing is flushed, nothing registered is called.
pub fn exit_at_once(code: i32) -> ! {
    // SAFETY: it touches no memory of this process.
    unsafe { libc::_exit(code) }
}
