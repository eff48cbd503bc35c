//! The outer agent: this program, executed once more, moves into a user namespace and keeps the
//! lab's life tied to the harness's.

use super::init;
use super::protocol::{At, Begin, Failure, Reply, Step, VERSION};
use super::root::OUTSIDE;
use super::wire::{self, Received, Receiver};
use fuzz_dist_sys::fork::{Fork, SingleThreaded};
use fuzz_dist_sys::namespace;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{PidfdFlags, Signal};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// The hidden first argument.
pub(crate) const ARGUMENT: &str = "__fuzz_dist_agent";

/// Set for agents: a program that does not look for the argument starts no labs within labs.
pub(crate) const VARIABLE: &str = "FUZZ_DIST_AGENT";

/// Becomes the lab's agent, and never returns, if this process was started as one.
///
/// The lab executes the running program once more. `fuzz_dist::main!()` calls this first; programs
/// with a `main` of their own that use a lab must call it before anything else, in particular
/// before they start a thread.
pub fn agent_main_if_asked() {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == ARGUMENT) {
        let code = match run() {
            Ok(()) => 0,
            Err(error) => {
                fuzz_dist_sys::say!("fuzz_dist agent: {error}");
                1
            }
        };
        std::process::exit(code);
    }
}

fn run() -> io::Result<()> {
    // Whatever else the harness was started with (a shell's pipes) is not the hosts' business.
    fuzz_dist_sys::fork::close_all_but(&[])?;
    let control = take_stdin()?;
    let mut receiver = Receiver::new();
    let (id, begin, harness) = match receiver.receive::<Begin>(&control)? {
        Received::Message(message, mut fds) if fds.len() == 1 => {
            (message.id, message.body, fds.remove(0))
        }
        Received::Message(..) => return Err(io::Error::other("no descriptor of the harness")),
        Received::Closed => return Ok(()),
    };
    match enter(&begin) {
        Ok((single, me)) => match single.fork(libc::CLONE_NEWPID) {
            Ok(Fork::Child) => {
                drop(harness);
                init::main(control, me, &single, id, begin)
            }
            Ok(Fork::Parent { pidfd, .. }) => {
                drop(control);
                watch(&harness, &pidfd, &begin.scratch)
            }
            Err(error) => {
                let failure = Failure::new(Step::Fork, &error);
                wire::send(&control, id, Reply::Failed(failure), &[])
            }
        },
        Err(failure) => wire::send(&control, id, Reply::Failed(failure), &[]),
    }
}

/// Makes the inherited socket an ordinary descriptor, which programs started later do not inherit.
fn take_stdin() -> io::Result<OwnedFd> {
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    Ok(control)
}

/// Moves into the user namespace; afterwards this process is root there and nowhere else.
fn enter(begin: &Begin) -> Result<(SingleThreaded, OwnedFd), Failure> {
    if begin.version != VERSION {
        let text = format!("this agent speaks version {VERSION}, not {}", begin.version);
        return Err(Failure { step: Step::Version, errno: 0, text });
    }
    let single = SingleThreaded::check().at(Step::Other("run in a single thread".into()))?;
    let this = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())
        .at(Step::Other("open a pidfd".into()))?;
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    namespace::unshare(libc::CLONE_NEWUSER).at(Step::UserNamespace)?;
    // A group map may only be written by a process that can no longer drop groups: groups may
    // also take rights away.
    std::fs::write("/proc/self/setgroups", "deny").at(Step::IdMap)?;
    std::fs::write("/proc/self/uid_map", format!("0 {uid} 1")).at(Step::IdMap)?;
    std::fs::write("/proc/self/gid_map", format!("0 {gid} 1")).at(Step::IdMap)?;
    namespace::unshare(libc::CLONE_NEWNS).at(Step::Namespaces)?;
    Ok((single, this))
}

/// Ends the lab when the harness or the lab's init ends. A parent-death signal would not do:
/// it follows the thread that started this process, and the harness has many.
fn watch(harness: &OwnedFd, init: &OwnedFd, scratch: &[String]) -> io::Result<()> {
    let mut ends = [PollFd::new(harness, PollFlags::IN), PollFd::new(init, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut ends, None))?;
    let harness_ended = !ends[0].revents().is_empty();
    // With a pid namespace's init everything in it dies, in nested ones too.
    let _ = rustix::process::pidfd_send_signal(init, Signal::KILL);
    let options = rustix::process::WaitOptions::empty();
    let _ = rustix::io::retry_on_intr(|| rustix::process::wait(options));
    // A harness that is gone cannot remove them. They are where the machine's own root is seen now,
    // and may be gone, too.
    if !harness_ended {
        return Ok(());
    }
    for folder in scratch {
        let _ = std::fs::remove_dir_all(format!("{OUTSIDE}{folder}"));
    }
    Ok(())
}
