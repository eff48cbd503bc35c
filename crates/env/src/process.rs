//! A handle to one process on a host.

use super::{BoxFuture, Error, HostId};
use std::fmt;
use std::process::ExitStatus;
use std::sync::Arc;

/// Signals that faults and shutdowns use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "they are the system's own names")]
pub enum Signal {
    Hup,
    Int,
    Quit,
    Kill,
    Usr1,
    Usr2,
    Term,
    Cont,
    Stop,
}

impl Signal {
    /// The signal's number on this system.
    pub fn number(self) -> i32 {
        match self {
            Signal::Hup => libc::SIGHUP,
            Signal::Int => libc::SIGINT,
            Signal::Quit => libc::SIGQUIT,
            Signal::Kill => libc::SIGKILL,
            Signal::Usr1 => libc::SIGUSR1,
            Signal::Usr2 => libc::SIGUSR2,
            Signal::Term => libc::SIGTERM,
            Signal::Cont => libc::SIGCONT,
            Signal::Stop => libc::SIGSTOP,
        }
    }
}

/// What a process is doing, as the kernel shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProcessState {
    /// `R`: running or ready to.
    Running,
    /// `S` or `I`: waiting for something.
    Sleeping,
    /// `D`: waiting for a device, deaf to signals.
    Blocked,
    /// `T` or `t`: stopped by a signal or a debugger. The evidence of a pause.
    Stopped,
    /// `Z` or `X`, or no longer there.
    Dead,
    /// A letter that this framework does not know.
    Other(char),
}

impl ProcessState {
    /// The state behind the kernel's letter (proc(5), `/proc/pid/stat`).
    pub fn from_letter(letter: char) -> Self {
        match letter {
            'R' => ProcessState::Running,
            'S' | 'I' => ProcessState::Sleeping,
            'D' => ProcessState::Blocked,
            'T' | 't' => ProcessState::Stopped,
            'Z' | 'X' | 'x' => ProcessState::Dead,
            other => ProcessState::Other(other),
        }
    }
}

/// One line of a host's list of processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Its id, as the host's own processes see it.
    pub pid: u32,
    /// The name of its program (15 bytes at most).
    pub program: String,
    /// What it is doing.
    pub state: ProcessState,
}

/// What an environment implements behind a [`Process`].
pub trait ProcessControl: Send + Sync {
    /// Signals the process and its process group.
    fn signal(&self, signal: Signal) -> BoxFuture<'_, Result<(), Error>>;
    /// Completes when the process has ended, with its status.
    fn wait(&self) -> BoxFuture<'_, ExitStatus>;
    /// The status, if the process has ended.
    fn ended(&self) -> Option<ExitStatus>;
    /// Asks the kernel what the process is doing.
    fn state(&self) -> BoxFuture<'_, Result<ProcessState, Error>>;
}

/// A process that was started on a host. Dropping the handle does not end the process.
#[derive(Clone)]
pub struct Process {
    host: HostId,
    name: Arc<str>,
    pid: u32,
    control: Arc<dyn ProcessControl>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Process({} {} on {:?})", self.pid, self.name, self.host)
    }
}

impl Process {
    /// For environments: a handle over their own means of control.
    pub fn new(
        host: HostId,
        name: impl Into<Arc<str>>,
        pid: u32,
        control: Arc<dyn ProcessControl>,
    ) -> Self {
        Process { host, name: name.into(), pid, control }
    }

    /// The host that it runs on.
    pub fn host(&self) -> HostId {
        self.host
    }

    /// The name that its command gave it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id as the host's own processes see it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Signals the process and its process group: a shell around a program does not save it.
    ///
    /// # Errors
    /// [`Error::Gone`] if nothing of it is left, or what the system answered.
    pub async fn kill(&self, signal: Signal) -> Result<(), Error> {
        self.control.signal(signal).await
    }

    /// Stops it (SIGSTOP); its connections stay open, and it notices nothing.
    ///
    /// # Errors
    /// As [`Process::kill`].
    pub async fn pause(&self) -> Result<(), Error> {
        self.kill(Signal::Stop).await
    }

    /// Lets it go on after a pause.
    ///
    /// # Errors
    /// As [`Process::kill`].
    pub async fn resume(&self) -> Result<(), Error> {
        self.kill(Signal::Cont).await
    }

    /// Completes when it has ended. If its host was removed, the status is that of a kill.
    pub async fn wait(&self) -> ExitStatus {
        self.control.wait().await
    }

    /// Its status, if it has ended.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.control.ended()
    }

    /// Whether it has not ended yet; a paused process is alive.
    pub fn is_alive(&self) -> bool {
        self.ended().is_none()
    }

    /// What it is doing now, as the kernel says.
    ///
    /// # Errors
    /// If the kernel cannot be asked.
    pub async fn state(&self) -> Result<ProcessState, Error> {
        self.control.state().await
    }
}
