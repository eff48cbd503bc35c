//! Programs that end when this process does, however it ends, with everything that they started.

use std::io;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::{checked, signals};

/// Has the program run under a small supervisor: the child that is spawned, the leader of a process
/// group of its own, which the program and what it starts belong to. It ends the group when this
/// process has ended, and ends as the program did.
///
/// A death signal alone would leave alive what the program has started, and it follows the thread
/// that started the program.
pub fn supervised(command: &mut Command) {
    let harness = std::process::id() as libc::pid_t;
    // SAFETY: `supervise` makes system calls only: it neither allocates nor takes locks.
    unsafe { command.pre_exec(move || supervise(harness)) };
}

/// Runs between fork and exec. Returns in the program's own process; the supervisor never does.
fn supervise(harness: libc::pid_t) -> io::Result<()> {
    signals::as_for_a_new_program()?;
    // SAFETY: none of these touches memory of this process. clone without flags and stack is a fork,
    // whose child runs on a copy of this stack.
    unsafe {
        checked(libc::setpgid(0, 0))?;
        let harness_fd = pidfd(harness)?;
        // It may have ended before, and its number may be another's.
        if libc::getppid() != harness {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let supervisor = libc::getpid();
        let child = libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) as libc::pid_t;
        if checked(child)? != 0 {
            watch(harness_fd, child);
        }
        // The supervisor has one thread, so that this signal means what it says.
        checked(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
        if libc::getppid() != supervisor {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
    }
    Ok(())
}

/// # Safety
///
/// None is needed; it is unsafe as the system call is.
unsafe fn pidfd(pid: libc::pid_t) -> io::Result<RawFd> {
    // SAFETY: it makes a descriptor, which is closed at exec.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as libc::c_int;
    checked(fd)
}

/// The supervisor: waits for the end of the harness, or of the program.
///
/// # Safety
///
/// Only for a process with one thread that uses none of its descriptors any more.
unsafe fn watch(harness: RawFd, child: libc::pid_t) -> ! {
    // SAFETY: pollfd and status live on this stack; everything else touches no memory.
    unsafe {
        // Who started this process waits for the end of a pipe that it has inherited.
        let unsigned = |fd: RawFd| fd as libc::c_uint;
        libc::syscall(libc::SYS_close_range, 3, unsigned(harness) - 1, 0);
        libc::syscall(libc::SYS_close_range, unsigned(harness) + 1, libc::c_uint::MAX, 0);
        let program = pidfd(child).unwrap_or(-1);
        let ends = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut both = [ends(harness), ends(program)];
        while libc::poll(both.as_mut_ptr(), 2, -1) < 0 {}
        if both[0].revents != 0 || program < 0 {
            // This process belongs to the group, too.
            libc::kill(0, libc::SIGKILL);
        }
        let mut status = 0;
        while libc::waitpid(child, &raw mut status, 0) < 0 {}
        if libc::WIFSIGNALED(status) {
            libc::kill(libc::getpid(), libc::WTERMSIG(status));
        }
        libc::_exit(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 });
    }
}
