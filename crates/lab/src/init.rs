//! The lab's init: PID 1 of the lab, builds the common root file system and makes hosts.

use super::host_init;
use super::protocol::{At, Begin, Failure, HostPlan, Reply, Request, Step, VERSION};
use super::root;
use super::wire::{self, Received, Receiver};
use fuzz_dist_sys::fork::{Fork, SingleThreaded};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal, WaitOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Serves the lab until the harness or the outer agent is gone.
pub(super) fn main(
    control: OwnedFd,
    agent: OwnedFd,
    single: &SingleThreaded,
    id: u64,
    begin: Begin,
) -> ! {
    // The signals that a terminal or `timeout` sends to a whole group or session are the harness's.
    let _ = rustix::process::setsid();
    // The agent is single-threaded, so that this follows the process.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let reply = match root::build(&begin.hosts_file) {
        Ok(()) => Reply::Begun { version: VERSION },
        Err(failure) => Reply::Failed(failure),
    };
    let begun = matches!(reply, Reply::Begun { .. });
    let served = wire::send(&control, id, reply, &[]).and_then(|()| match begun {
        true => serve(control, agent, single),
        false => Ok(()),
    });
    if let Err(error) = served {
        fuzz_dist_sys::say!("fuzz_dist lab init: {error}");
    }
    std::process::exit(0)
}

fn serve(control: OwnedFd, agent: OwnedFd, single: &SingleThreaded) -> io::Result<()> {
    let mut receiver = Receiver::new();
    loop {
        let mut ends = [PollFd::new(&control, PollFlags::IN), PollFd::new(&agent, PollFlags::IN)];
        rustix::io::retry_on_intr(|| poll(&mut ends, None))?;
        // The agent may have died before the parent-death signal was asked for.
        if !ends[1].revents().is_empty() {
            return Ok(());
        }
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        let message = match receiver.receive::<Request>(&control)? {
            Received::Message(message, _) => message,
            Received::Closed => return Ok(()),
        };
        match message.body {
            Request::AddHost(plan) => match add_host(plan, single) {
                Ok(Added::Child(plan, own)) => {
                    drop((control, agent, receiver));
                    host_init::main(own, single, plan)
                }
                Ok(Added::Parent { socket, pidfd }) => {
                    let fds = [socket.as_fd(), pidfd.as_fd()];
                    wire::send(&control, message.id, Reply::Added, &fds)?;
                }
                Err(failure) => {
                    wire::send(&control, message.id, Reply::Failed(failure), &[])?;
                }
            },
            Request::WriteHosts { content } => {
                let reply = match root::write_hosts(&content) {
                    Ok(()) => Reply::Done,
                    Err(failure) => Reply::Failed(failure),
                };
                wire::send(&control, message.id, reply, &[])?;
            }
            other => {
                let text = format!("{other:?} is no request to the lab's init");
                let step = Step::Other("understand a request".into());
                let failure = Failure { step, errno: 0, text };
                wire::send(&control, message.id, Reply::Failed(failure), &[])?;
            }
        }
    }
}

enum Added {
    Child(HostPlan, OwnedFd),
    Parent { socket: OwnedFd, pidfd: OwnedFd },
}

/// Forks the host's init. It makes its other namespaces by itself, so that those of several hosts
/// are made side by side.
fn add_host(plan: HostPlan, single: &SingleThreaded) -> Result<Added, Failure> {
    let (ours, theirs) = wire::pair().at(Step::Other("make a socket pair".into()))?;
    match single.fork(libc::CLONE_NEWPID).at(Step::Fork)? {
        Fork::Child => Ok(Added::Child(plan, theirs)),
        Fork::Parent { pidfd, .. } => Ok(Added::Parent { socket: ours, pidfd }),
    }
}
