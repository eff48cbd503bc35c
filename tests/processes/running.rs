//! One process of a host and its group, and the guardian that ends all groups when the harness dies.

use std::fs;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use fuzz_dist::env::{BoxFuture, Error, ProcessControl, ProcessState, Signal};
use rustix::process::{Pid, Signal as System, kill_process_group};
use tokio::sync::watch;

/// A process that leads a group of its own.
pub(super) struct Running {
    group: Pid,
    status: watch::Sender<Option<ExitStatus>>,
}

impl Running {
    /// Waits for the process's end in a thread of its own.
    pub(super) fn new(mut child: Child) -> Arc<Running> {
        let group = Pid::from_child(&child);
        let running = Arc::new(Running { group, status: watch::Sender::new(None) });
        let ended = running.clone();
        std::thread::spawn(move || {
            let status = child.wait().unwrap_or_else(|_| ExitStatus::from_raw(9));
            ended.status.send_replace(Some(status));
        });
        running
    }

    pub(super) fn pid(&self) -> u32 {
        self.group.as_raw_nonzero().get().cast_unsigned()
    }

    /// Signals the whole group; `false` if nothing of it is left.
    pub(super) fn signal_group(&self, signal: Signal) -> io::Result<bool> {
        let signal = match signal {
            Signal::Hup => System::HUP,
            Signal::Int => System::INT,
            Signal::Quit => System::QUIT,
            Signal::Kill => System::KILL,
            Signal::Usr1 => System::USR1,
            Signal::Usr2 => System::USR2,
            Signal::Term => System::TERM,
            Signal::Cont => System::CONT,
            Signal::Stop => System::STOP,
        };
        match kill_process_group(self.group, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl ProcessControl for Running {
    fn signal(&self, signal: Signal) -> BoxFuture<'_, Result<(), Error>> {
        let sent = self.signal_group(signal);
        let what = format!("process {}", self.pid());
        Box::pin(async move {
            match sent {
                Ok(true) => Ok(()),
                Ok(false) => Err(Error::Gone(what)),
                Err(source) => Err(Error::Io { what: format!("signal {what}"), source }),
            }
        })
    }

    fn wait(&self) -> BoxFuture<'_, ExitStatus> {
        let mut status = self.status.subscribe();
        Box::pin(async move {
            let ended = status.wait_for(Option::is_some).await.ok().and_then(|status| *status);
            ended.unwrap_or_else(|| ExitStatus::from_raw(9))
        })
    }

    fn ended(&self) -> Option<ExitStatus> {
        *self.status.borrow()
    }

    fn state(&self) -> BoxFuture<'_, Result<ProcessState, Error>> {
        let found = all().into_iter().find(|found| found.pid == self.pid());
        Box::pin(async move { Ok(found.map_or(ProcessState::Dead, |found| found.state)) })
    }
}

/// A process of this machine.
pub(super) struct Found {
    pub(super) pid: u32,
    pub(super) group: u32,
    pub(super) program: String,
    pub(super) state: ProcessState,
}

/// All processes of this machine.
pub(super) fn all() -> Vec<Found> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    stats.filter_map(|stat| parse(&stat)).collect()
}

/// `pid (program) state parent group …`; the program's name may hold anything.
fn parse(stat: &str) -> Option<Found> {
    let (pid, rest) = stat.split_once(" (")?;
    let (program, rest) = rest.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    let state = ProcessState::from_letter(words.next()?.chars().next()?);
    let (pid, group) = (pid.parse().ok()?, words.nth(1)?.parse().ok()?);
    Some(Found { pid, group, program: program.into(), state })
}

/// Kills the process groups on its list when its standard input closes, that is, when the harness has ended.
pub(super) struct Guardian {
    child: Child,
    groups: Mutex<ChildStdin>,
}

impl Guardian {
    pub(super) fn start() -> io::Result<Guardian> {
        let script = "while read g; do all=\"$all -$g\"; done; [ -z \"$all\" ] || kill -KILL $all";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).process_group(0).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let groups = child.stdin.take().expect("it is piped");
        Ok(Guardian { child, groups: Mutex::new(groups) })
    }

    pub(super) fn watch(&self, running: &Running) -> io::Result<()> {
        writeln!(self.groups.lock().expect("a pipe"), "{}", running.pid())
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        // All groups have ended, and their numbers may become others'.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
