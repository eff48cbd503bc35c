//! Signals to groups of processes, and a descriptor for the death of children.

use super::checked;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Signals every process of this pid namespace but its init, which is the caller.
pub fn signal_everybody(signal: i32) -> io::Result<()> {
    // SAFETY: kill touches no memory of this process.
    match checked(unsafe { libc::kill(-1, signal) }) {
        // Nobody is there: nobody is left to be signalled.
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        other => other.map(drop),
    }
}

/// Signals one process group of this pid namespace.
pub fn signal_group(pgid: i32, signal: i32) -> io::Result<()> {
    if pgid <= 1 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: kill touches no memory of this process.
    checked(unsafe { libc::kill(-pgid, signal) }).map(drop)
}

/// What a signal through a pidfd is meant for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The process alone.
    Process,
    /// The process group that the process leads (Linux 6.9; EINVAL before).
    Group,
}

/// Signals the process behind a pidfd, or its group: never a later process of the same number.
pub fn signal_pidfd(pidfd: BorrowedFd<'_>, signal: i32, scope: Scope) -> io::Result<()> {
    const PIDFD_SIGNAL_PROCESS_GROUP: libc::c_uint = 4;
    let flags = if scope == Scope::Group { PIDFD_SIGNAL_PROCESS_GROUP } else { 0 };
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo asks the kernel to fill it in as kill does.
    let result = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, flags)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Blocks SIGCHLD and gives a descriptor that is readable when one is pending.
pub fn child_deaths() -> io::Result<OwnedFd> {
    // SAFETY: sigset_t is plain data, initialised by sigemptyset before use; signalfd's new
    // descriptor is owned by nobody else.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        checked(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()))?;
        let fd =
            checked(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Lets every signal through and handles none, as a program expects that is about to be executed:
/// a shell's background job, for one, starts with interrupts ignored.
pub fn as_for_a_new_program() -> io::Result<()> {
    for signal in 1..=64 {
        // SAFETY: no handler is installed. Signals that cannot be set (KILL, STOP, those that the C
        // library keeps for itself) are refused, which is as good.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: as in `child_deaths`.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        checked(libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()))?;
    }
    Ok(())
}

/// Signals one thread of a process, by the ids that this process sees.
pub fn signal_thread(pid: i32, tid: i32, signal: i32) -> io::Result<()> {
    if pid <= 0 || tid <= 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: tgkill touches no memory of this process.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, signal) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
