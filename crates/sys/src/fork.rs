//! Forking into new namespaces, with a descriptor of the child (clone3).

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Proof that this process had one thread when it was asked.
///
/// After a fork only the calling thread exists in the child: a lock that another thread held
/// (the allocator's, for one) would stay locked for ever. The agents therefore never start threads.
pub struct SingleThreaded(PhantomData<*const ()>);

/// Which side of the fork the caller is on.
pub enum Fork {
    /// The new process.
    Child,
    /// The process that forked.
    Parent {
        /// The child's process id.
        pid: i32,
        /// The child, whatever its number is used for later.
        pidfd: OwnedFd,
    },
}

impl SingleThreaded {
    /// Counts this process's threads; fails if there are several.
    pub fn check() -> io::Result<Self> {
        match std::fs::read_dir("/proc/self/task")?.count() {
            1 => Ok(SingleThreaded(PhantomData)),
            n => Err(io::Error::other(format!("{n} threads where one is needed to fork"))),
        }
    }

    /// Forks; the child is created in the new namespaces that `flags` (CLONE_NEW*) name.
    pub fn fork(&self, flags: libc::c_int) -> io::Result<Fork> {
        let mut pidfd: RawFd = -1;
        // SAFETY: clone_args is plain integers, for which zero means "not asked for".
        let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
        args.flags = flags as u64 | libc::CLONE_PIDFD as u64;
        args.pidfd = &raw mut pidfd as u64;
        args.exit_signal = libc::SIGCHLD as u64;
        // SAFETY: without CLONE_VM and with no stack given this is a fork: the child runs on a copy
        // of this stack. `self` says that no other thread can have held a lock.
        let pid = unsafe {
            libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>())
        };
        match pid {
            0 => Ok(Fork::Child),
            pid if pid < 0 => Err(io::Error::last_os_error()),
            // SAFETY: the kernel has just written a new descriptor there, and nobody else owns it.
            pid => {
                Ok(Fork::Parent { pid: pid as i32, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })
            }
        }
    }
}

/// Closes every descriptor above standard error but these. Only for a process that has opened no
/// others, or that will neither use nor drop them: a fork that is about to execute a program.
pub fn close_all_but(kept: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut kept: Vec<libc::c_uint> = kept.iter().map(|fd| fd.as_raw_fd() as _).collect();
    kept.sort_unstable();
    let mut first: libc::c_uint = 3;
    for end in kept.into_iter().filter(|fd| *fd >= 3).chain([libc::c_uint::MAX]) {
        if first < end {
            // SAFETY: the caller owns no descriptor that is used or dropped after this.
            let closed = unsafe { libc::syscall(libc::SYS_close_range, first, end - 1, 0) };
            if closed < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        first = end.saturating_add(1);
    }
    Ok(())
}
