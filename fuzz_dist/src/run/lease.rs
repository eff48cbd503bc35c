//! Shares the machine between cluster tests of all processes: one file lock per cluster, and a queue.
//!
//! nextest runs every trial in a process of its own, and several checkouts may test at once.
//! The kernel drops a lock with its process, so nothing has to be cleaned up after a SIGKILL.

use crate::clock::Clock;
use crate::db::Load;
use crate::run::cancel;
use crate::time::Time;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a trial waits in the queue, unless `FUZZ_DIST_WAIT_LIMIT` says otherwise.
pub(super) const WAIT_LIMIT: Duration = Duration::from_secs(3600);

/// A wait is reported after this long, since most end before, and again when others run by then.
const SAY_AFTER: Duration = Duration::from_secs(2);

/// The line about who is running is written anew at most this often.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// How often a taken lock is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// The counter of tickets; whoever changes it holds its lock.
const COUNTER: &str = "tickets";

/// What the file of a place in the queue begins with.
const TICKET: &str = "ticket-";

/// Memory that one heavy cluster may take.
const LAB_BYTES: u64 = 1 << 30;

/// Into how many parts a heavy cluster's share is divided, each of which carries a light one.
const PARTS: usize = 4;

/// How much of the machine a trial takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// What one cluster takes.
    Cluster(Load),
    /// All of it, so that nothing disturbs the timing.
    Machine,
}

/// The right to run clusters; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    // Held for the locks that end with them.
    _locks: Vec<File>,
}

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaseError {
    /// The folder of the locks cannot be used.
    #[error("cannot use {path} to share the machine with other tests: {reason}")]
    Folder { path: PathBuf, reason: String },
    /// Others never finished.
    #[error(
        "queued for {waited_s} s; running now: {holders}; end these, or allow a longer wait by FUZZ_DIST_WAIT_LIMIT=2h"
    )]
    Waited { waited_s: u64, holders: String },
    /// Interrupted while waiting.
    #[error("stopped by {0} while queued")]
    Cancelled(&'static str),
}

/// How many light clusters this machine carries at once.
///
/// The same on every call and in every process, since all must agree on the files.
pub(crate) fn slots() -> usize {
    heavy_labs() * PARTS
}

/// How many heavy clusters it carries: half its cores, as far as its memory goes.
fn heavy_labs() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let by_memory = total_memory_bytes().map_or(usize::MAX, |bytes| (bytes / LAB_BYTES) as usize);
    (cores / 2).min(by_memory).max(1)
}

fn total_memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Waits for a share of the machine: first come, first served. Other processes wait as well, so that the
/// clock is the machine's.
pub(super) async fn take(
    trial: &str,
    share: Share,
    limit: Duration,
    clock: &Clock,
) -> Result<Lease, LeaseError> {
    let wanted = match share {
        Share::Cluster(Load::Light) => 1,
        Share::Cluster(Load::Moderate) => PARTS / 2,
        Share::Cluster(Load::Heavy) => PARTS,
        Share::Machine => slots(),
    };
    Queue::new(&folder()?, slots(), trial, limit, clock).take(wanted).await
}

/// One trial's wait.
struct Queue<'a> {
    folder: &'a Path,
    slots: usize,
    trial: &'a str,
    limit: Duration,
    clock: &'a Clock,
    started: Time,
    said: Option<(String, Time)>,
}

/// A place in the queue, which ends when this is dropped or its process dies.
struct Ticket {
    number: u64,
    path: PathBuf,
    // Whoever waits behind tries this lock: free, its owner is dead.
    _lock: File,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl<'a> Queue<'a> {
    fn new(
        folder: &'a Path,
        slots: usize,
        trial: &'a str,
        limit: Duration,
        clock: &'a Clock,
    ) -> Self {
        Queue { folder, slots, trial, limit, clock, started: clock.now(), said: None }
    }

    /// Only the first in the queue collects locks: behind one that wants many nobody slips in, and
    /// two of those cannot wait for each other.
    async fn take(&mut self, wanted: usize) -> Result<Lease, LeaseError> {
        let ticket = self.draw().await?;
        while !self.is_first(&ticket)? {
            self.wait().await?;
        }
        let mut waiting = (0..self.slots)
            .map(|slot| self.open(&format!("lab-{slot}")))
            .collect::<Result<Vec<File>, _>>()?;
        let mut locks = Vec::new();
        loop {
            for file in std::mem::take(&mut waiting) {
                // No more than wanted: to try a lock is to have it.
                if locks.len() < wanted && locked(&file) {
                    // The name of the former owner must not stand there as that of who runs.
                    let _ = file.set_len(0);
                    locks.push(file);
                } else {
                    waiting.push(file);
                }
            }
            if locks.len() == wanted {
                break;
            }
            self.wait().await?;
        }
        locks.iter_mut().for_each(|lock| self.sign(lock));
        Ok(Lease { _locks: locks })
    }

    /// Goes to the end of the queue.
    async fn draw(&mut self) -> Result<Ticket, LeaseError> {
        let mut counter = self.open(COUNTER)?;
        while !locked(&counter) {
            self.wait().await?;
        }
        let mut last = String::new();
        let _ = counter.read_to_string(&mut last);
        // A counter that was lost must not put anybody before those who wait already.
        let waiting = self.tickets()?.into_iter().map(|(number, _)| number).max();
        let number = last.trim().parse().unwrap_or(0).max(waiting.unwrap_or(0)) + 1;
        // Locked before it has the name that others look for: they take an unlocked one for dead.
        let new = self.open("new-ticket")?;
        let path = self.folder.join(format!("{TICKET}{number:012}"));
        let done = flock(&new, FlockOperation::NonBlockingLockExclusive)
            .map_err(std::io::Error::from)
            .and_then(|()| std::fs::rename(self.folder.join("new-ticket"), &path))
            .and_then(|()| counter.rewind())
            .and_then(|()| counter.set_len(0))
            .and_then(|()| counter.write_all(number.to_string().as_bytes()));
        match done {
            Ok(()) => Ok(Ticket { number, path, _lock: new }),
            Err(error) => Err(LeaseError::Folder { path, reason: error.to_string() }),
        }
    }

    /// All places in the queue, those of killed processes among them.
    fn tickets(&self) -> Result<Vec<(u64, PathBuf)>, LeaseError> {
        let refused = |error: std::io::Error| LeaseError::Folder {
            path: self.folder.into(),
            reason: error.to_string(),
        };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.folder).map_err(refused)? {
            let path = entry.map_err(refused)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(number) = name.strip_prefix(TICKET).and_then(|n| n.parse().ok()) {
                found.push((number, path));
            }
        }
        Ok(found)
    }

    /// Whether nobody alive came before; removes what dead ones left.
    fn is_first(&self, mine: &Ticket) -> Result<bool, LeaseError> {
        let before = self.tickets()?.into_iter().filter(|(number, _)| *number < mine.number);
        let mut first = true;
        for (_, path) in before {
            match File::open(&path) {
                Ok(file) if locked(&file) => drop(std::fs::remove_file(&path)),
                Ok(_) => first = false,
                // It was removed just now.
                Err(_) => {}
            }
        }
        Ok(first)
    }

    fn open(&self, name: &str) -> Result<File, LeaseError> {
        let path = self.folder.join(name);
        let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW;
        std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(Mode::from(0o600).bits())
            .custom_flags(flags.bits() as i32)
            .open(&path)
            .map_err(|error| LeaseError::Folder { path, reason: error.to_string() })
    }

    async fn wait(&mut self) -> Result<(), LeaseError> {
        if let Some(why) = cancel::requested() {
            return Err(LeaseError::Cancelled(why));
        }
        let waited = self.clock.now().since(self.started);
        if waited >= self.limit {
            let (waited_s, holders) = (waited.as_secs(), self.holders());
            return Err(LeaseError::Waited { waited_s, holders });
        }
        if waited >= SAY_AFTER {
            self.say();
        }
        self.clock.sleep(RETRY).await;
        Ok(())
    }

    /// Writes who is running, again when that has changed.
    fn say(&mut self) {
        let now = self.clock.now();
        if self.said.as_ref().is_some_and(|(_, at)| now.since(*at) < SAY_EVERY) {
            return;
        }
        let holders = self.holders();
        // That trials of one run take turns is no news.
        let news = !holders.split(", ").all(|holder| holder.ends_with(&self.process()));
        if news && self.said.as_ref().is_none_or(|(said, _)| *said != holders) {
            fuzz_dist_sys::say!("{}: queued; running now: {holders}", self.trial);
            self.said = Some((holders, now));
        }
    }

    /// Writes into a lock who has it, for those who wait. A best effort: the lock is what counts.
    fn sign(&self, lock: &mut File) {
        let text = format!("{} {}", self.trial, self.process());
        let _ = lock
            .set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| lock.write_all(text.as_bytes()));
    }

    fn process(&self) -> String {
        format!("(process {})", std::process::id())
    }

    fn holders(&self) -> String {
        let mut holders: Vec<String> = Vec::new();
        for slot in 0..self.slots {
            let mut text = String::new();
            let Ok(mut file) = self.open(&format!("lab-{slot}")) else { continue };
            if locked(&file) {
                continue;
            }
            let _ = file.read_to_string(&mut text);
            if !text.is_empty() && !holders.contains(&text) {
                holders.push(text);
            }
        }
        if holders.is_empty() {
            "nothing yet (trials ahead in the queue)".into()
        } else {
            holders.join(", ")
        }
    }
}

/// Tries to lock; the lock belongs to the open file, so two threads of a process differ, too.
fn locked(file: &File) -> bool {
    flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// The user's own folder for things that end with a session.
fn folder() -> Result<PathBuf, LeaseError> {
    let user = rustix::process::geteuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let usable = |path: &PathBuf| {
        path.is_absolute() && path.metadata().is_ok_and(|m| m.is_dir() && m.uid() == user)
    };
    let path = match runtime.filter(usable) {
        Some(runtime) => runtime.join("fuzz_dist"),
        None => std::env::temp_dir().join(format!("fuzz_dist-{user}")),
    };
    private_folder(&path, user)?;
    Ok(path)
}

/// Everybody may write into /tmp: a folder of somebody else's with our name is refused.
fn private_folder(path: &Path, user: u32) -> Result<(), LeaseError> {
    let refused = |reason: String| LeaseError::Folder { path: path.into(), reason };
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(refused(error.to_string()));
        }
        _ => {}
    }
    let found = path.symlink_metadata().map_err(|error| refused(error.to_string()))?;
    if !found.is_dir() || found.uid() != user {
        return Err(refused("it is no folder of this user's; remove it".into()));
    }
    Ok(())
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
