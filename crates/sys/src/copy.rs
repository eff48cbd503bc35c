//! A copy of this process that computes something: whatever becomes of it, this process goes on.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// How often the caller is asked whether the copy may go on.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// How a copy ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// It wrote this, and ended.
    Output(Vec<u8>),
    /// It exited without having written all, with this code.
    Exited(i32),
    /// A signal ended it: an abort, a stack overflow, the kernel when memory ran out.
    Signalled(i32),
    /// It was not allowed to go on.
    Stopped,
}

/// Runs `compute` in a forked copy of this process, which shares no memory with it.
///
/// The copy has the calling thread alone. A lock that another thread held at the fork stays locked in
/// it; those of the allocator and of standard output and error are taken over properly, and for all
/// others there is `goes_on`: asked again and again, it says whether the copy may live.
pub fn in_a_copy(
    compute: impl FnOnce() -> Vec<u8>,
    mut goes_on: impl FnMut() -> bool,
) -> io::Result<Ended> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let parent = rustix::process::getpid();
    // Nobody else holds them now, so that the copy can write.
    let locks = (io::stdout().lock(), io::stderr().lock());
    // SAFETY: the C library's fork prepares its own locks, the allocator's among them. The child
    // uses only what it computes with, and leaves by _exit: nothing of this process is ended twice.
    let pid = super::checked(unsafe { libc::fork() })?;
    drop(locks);
    if pid == 0 {
        drop(reader);
        let code = child(parent, writer, compute).map_or(1, |()| 0);
        super::exit::exit_at_once(code);
    }
    drop(writer);
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    let read = read(reader, &mut goes_on);
    if !matches!(read, Ok(Some(_))) {
        let _ = kill_process(pid, Signal::KILL);
    }
    let status = loop {
        match waitpid(Some(pid), WaitOptions::empty()) {
            Ok(Some((_, status))) => break status,
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    Ok(match (read?, status.exit_status(), status.terminating_signal()) {
        (None, _, _) => Ended::Stopped,
        (Some(output), Some(0), _) if !output.is_empty() => Ended::Output(output),
        (_, Some(code), _) => Ended::Exited(code),
        (_, None, signal) => Ended::Signalled(signal.unwrap_or_default()),
    })
}

fn child(parent: Pid, writer: OwnedFd, compute: impl FnOnce() -> Vec<u8>) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != Some(parent) {
        // It died before that.
        return Err(io::ErrorKind::NotConnected.into());
    }
    // Descriptors keep hosts and locks alive. The one that is needed lies between the two ranges.
    let kept = writer.as_raw_fd() as libc::c_uint;
    for (first, last) in [(3, kept.saturating_sub(1)), (kept.max(2) + 1, libc::c_uint::MAX)] {
        if first <= last {
            // SAFETY: nothing of this copy uses them, and _exit drops no owner of them.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
    }
    // Who interrupts a run wants its history judged; the parent decides how long that may take.
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: no handler is installed.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    let output = compute();
    std::fs::File::from(writer).write_all(&output)
}

/// All that comes until the end; `None` where that may not be waited for any more.
fn read(reader: OwnedFd, goes_on: &mut impl FnMut() -> bool) -> io::Result<Option<Vec<u8>>> {
    let mut reader = std::fs::File::from(reader);
    let mut output = Vec::new();
    let mut chunk = vec![0; 1 << 16];
    let wait = Timespec::try_from(ASK_EVERY).map_err(io::Error::other)?;
    while goes_on() {
        let mut fds = [PollFd::new(&reader, PollFlags::IN)];
        match poll(&mut fds, Some(&wait)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        match reader.read(&mut chunk)? {
            0 => return Ok(Some(output)),
            n => output.extend_from_slice(&chunk[..n]),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_copy_does_this_process_goes_on() {
        let check = |compute: fn() -> Vec<u8>, expected: Ended| {
            assert_eq!(in_a_copy(compute, || true).unwrap(), expected);
        };
        check(|| vec![7; 1 << 20], Ended::Output(vec![7; 1 << 20]));
        check(|| std::process::exit(0), Ended::Exited(0));
        check(|| std::process::exit(3), Ended::Exited(3));
        check(|| std::process::abort(), Ended::Signalled(libc::SIGABRT));
    }

    #[test]
    fn one_that_never_ends_is_ended() {
        let forever = || loop {
            std::thread::sleep(Duration::from_secs(1));
        };
        let mut asked = 0;
        let ended = in_a_copy(forever, || {
            asked += 1;
            asked < 3
        });
        assert_eq!(ended.unwrap(), Ended::Stopped);
    }

    #[test]
    fn copies_of_several_threads_do_not_wait_for_each_other() {
        let sum = |n: u64| (0..n).sum::<u64>().to_string();
        std::thread::scope(|scope| {
            for n in 0..16 {
                scope.spawn(move || {
                    let ended = in_a_copy(
                        || {
                            eprint!("");
                            sum(n).into_bytes()
                        },
                        || true,
                    );
                    assert_eq!(ended.unwrap(), Ended::Output(sum(n).into_bytes()));
                });
            }
        });
    }
}
