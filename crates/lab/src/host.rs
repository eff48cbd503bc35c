//! A host as the harness holds it: its init, its socket, and the processes started on it.

use super::control::{Connection, Listener, Lost};
use super::host_init::parse_stat;
use super::lock;
use super::protocol::{Failure, Reply, Request, Step};
use fuzz_dist_env::local::HostFolder;
use fuzz_dist_env::{BoxFuture, Error, HostSpec, ProcessControl, ProcessState, Signal};
use fuzz_dist_sys::signals::{Scope, signal_pidfd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// A present host.
pub(super) struct Host {
    pub(super) spec: HostSpec,
    pub(super) address: Ipv4Addr,
    pub(super) folder: HostFolder,
    /// A pidfd of its init: when that has ended, everything on the host has.
    pub(super) init: OwnedFd,
    pub(super) connection: Arc<Connection>,
    pub(super) events: Arc<HostEvents>,
    pub(super) notes: Vec<String>,
}

impl Host {
    /// Whether everything on the host has ended, within a limit.
    pub(super) fn ended_within(&self, limit: Duration) -> bool {
        let limit =
            Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() };
        poll(&mut [PollFd::new(&self.init, PollFlags::IN)], Some(&limit)).is_ok_and(|n| n > 0)
    }
}

/// A host's answer to being set up: its TUN device, and what it had to do otherwise.
pub(super) type Ready = Result<(OwnedFd, Vec<String>), Lost>;

/// What a host's init reports.
pub(super) struct HostEvents {
    ready: Mutex<Option<oneshot::Sender<Ready>>>,
    processes: Mutex<BTreeMap<i32, Entry>>,
}

struct Entry {
    running: Arc<Running>,
    /// Whether who started it has heard of it.
    claimed: bool,
}

/// A process that was started.
struct Running {
    pidfd: OwnedFd,
    status: watch::Sender<Option<ExitStatus>>,
}

impl HostEvents {
    pub(super) fn new() -> (Arc<Self>, oneshot::Receiver<Ready>) {
        let (sender, receiver) = oneshot::channel();
        let ready = Mutex::new(Some(sender));
        (Arc::new(HostEvents { ready, processes: Mutex::default() }), receiver)
    }

    /// The handle to a process whose start was answered.
    pub(super) fn claim(&self, pid: i32, connection: &Arc<Connection>) -> Option<Arc<Handle>> {
        let mut processes = lock(&self.processes);
        let entry = processes.get_mut(&pid)?;
        entry.claimed = true;
        let running = Arc::clone(&entry.running);
        if running.status.borrow().is_some() {
            processes.remove(&pid);
        }
        Some(Arc::new(Handle { pid, running, connection: Arc::downgrade(connection) }))
    }

    fn become_ready(&self, ready: Ready) {
        if let Some(sender) = lock(&self.ready).take() {
            let _ = sender.send(ready);
        }
    }
}

impl Listener for HostEvents {
    fn hear(&self, reply: &mut Reply, fds: &mut Vec<OwnedFd>) {
        match reply {
            Reply::Ready { notes } => self.become_ready(match fds.pop() {
                Some(tun) => Ok((tun, std::mem::take(notes))),
                None => Err(Lost::Closed),
            }),
            // An answer's failure is its asker's; before the host is ready nobody asks.
            Reply::Failed(failure) if lock(&self.ready).is_some() => {
                let step = failure.step.clone();
                let (errno, text) = (failure.errno, std::mem::take(&mut failure.text));
                self.become_ready(Err(Lost::Failed(Failure { step, errno, text })));
            }
            Reply::Started { pid } => {
                if let Some(pidfd) = fds.pop() {
                    let running = Arc::new(Running { pidfd, status: watch::Sender::new(None) });
                    lock(&self.processes).insert(*pid, Entry { running, claimed: false });
                }
            }
            Reply::Exited { pid, status } => {
                let mut processes = lock(&self.processes);
                if let Some(entry) = processes.get(pid) {
                    entry.running.status.send_replace(Some(ExitStatus::from_raw(*status)));
                    if entry.claimed {
                        processes.remove(pid);
                    }
                }
            }
            _ => {}
        }
    }

    fn closed(&self) {
        self.become_ready(Err(Lost::Closed));
        let killed = ExitStatus::from_raw(libc::SIGKILL);
        for entry in lock(&self.processes).values() {
            entry.running.status.send_if_modified(|status| status.replace(killed).is_none());
        }
    }
}

impl Handle {
    /// The process's number in this process's eyes, while it lives.
    pub(super) fn outer_pid(&self) -> Option<i32> {
        pid_of(&self.running.pidfd).ok().flatten()
    }
}

/// The means of control behind a process's handle.
pub(super) struct Handle {
    pid: i32,
    running: Arc<Running>,
    connection: Weak<Connection>,
}

impl Handle {
    fn gone(&self) -> Error {
        Error::Gone(format!("process {}", self.pid))
    }

    /// For kernels that know no signals to a group through a pidfd: the host's init sends it.
    async fn signal_by_init(&self, signal: i32) -> Result<(), Error> {
        let connection = self.connection.upgrade().ok_or_else(|| self.gone())?;
        match connection.ask(Request::SignalGroup { pgid: self.pid, signal }, &[]).await {
            Ok(_) => Ok(()),
            Err(Lost::Failed(failure)) if failure.errno == libc::ESRCH => Err(self.gone()),
            Err(Lost::Failed(failure)) => {
                Err(Error::io(format!("signal process {}", self.pid))(failure.source()))
            }
            Err(_) => Err(self.gone()),
        }
    }
}

impl ProcessControl for Handle {
    fn signal(&self, signal: Signal) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let pidfd = self.running.pidfd.as_fd();
            match signal_pidfd(pidfd, signal.number(), Scope::Group) {
                Ok(()) => Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Err(self.gone()),
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                    self.signal_by_init(signal.number()).await
                }
                Err(error) => Err(Error::io(format!("signal process {}", self.pid))(error)),
            }
        })
    }

    fn wait(&self) -> BoxFuture<'_, ExitStatus> {
        let mut status = self.running.status.subscribe();
        Box::pin(async move {
            let ended = status.wait_for(Option::is_some).await;
            // The sender lives as long as `self`, so that only its value can end the wait.
            ended
                .ok()
                .and_then(|status| *status)
                .unwrap_or_else(|| ExitStatus::from_raw(libc::SIGKILL))
        })
    }

    fn ended(&self) -> Option<ExitStatus> {
        *self.running.status.borrow()
    }

    fn state(&self) -> BoxFuture<'_, Result<ProcessState, Error>> {
        Box::pin(async move {
            state_of(&self.running.pidfd)
                .map_err(Error::io(format!("look at process {}", self.pid)))
        })
    }
}

/// The state of the process behind a pidfd, whatever number it has in this process's eyes.
fn state_of(pidfd: &OwnedFd) -> std::io::Result<ProcessState> {
    let Some(pid) = pid_of(pidfd)? else { return Ok(ProcessState::Dead) };
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => Ok(parse_stat(&stat)
            .map_or(ProcessState::Dead, |(_, letter)| ProcessState::from_letter(letter))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(ProcessState::Dead),
        Err(error) => Err(error),
    }
}

/// The number that the process behind a pidfd has in this process's eyes; none when it is gone.
pub(super) fn pid_of(pidfd: &OwnedFd) -> std::io::Result<Option<i32>> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse::<i32>().ok());
    Ok(pid.filter(|pid| *pid > 0))
}

/// Turns what an agent could not do into what the caller should know.
pub(super) fn explain(lost: Lost, what: &str) -> Error {
    match lost {
        Lost::Failed(failure) => refused(&failure),
        Lost::TimedOut => {
            Error::TimedOut { what: what.to_owned(), limit: super::control::ANSWER_MAX }
        }
        Lost::Closed => Error::Gone(format!("the agent asked to {what}")),
        Lost::NotSent(error) => Error::io(what)(error),
    }
}

pub(super) fn refused(failure: &Failure) -> Error {
    let machine = super::remedy::Machine::look();
    Error::Refused {
        step: super::remedy::describe(&failure.step),
        source: failure.source(),
        remedy: super::remedy::remedy(&failure.step, failure.errno, &machine),
    }
}

/// Whether a failure is the program's or its command's, and not the system's refusal.
pub(super) fn is_programs_own(step: &Step) -> bool {
    matches!(step, Step::Execute | Step::WorkingDir)
}
