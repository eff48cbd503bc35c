//! Shares the machine between cluster tests of all processes: one file lock per lab.
//!
//! nextest runs every trial in a process of its own, and several checkouts may test at once.
//! The kernel drops a lock with its process, so nothing has to be cleaned up after a SIGKILL.

use crate::db::Load;
use crate::test::cancel;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a trial waits for its turn, unless `FUZZ_DIST_WAIT_LIMIT` says otherwise.
const WAIT_LIMIT: Duration = Duration::from_secs(3600);

/// Waiting is said after this long: most waits are over before.
const SAY_AFTER: Duration = Duration::from_secs(2);

/// How often a taken lock is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// Memory that one heavy lab may take.
const LAB_BYTES: u64 = 1 << 30;

/// Into how many parts a heavy lab's share is divided, each of which carries a light one.
const PARTS: usize = 4;

/// How much of the machine a trial takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// What one lab takes.
    Lab(Load),
    /// All of it, so that nothing disturbs the timing.
    Machine,
}

/// The right to run labs; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    // Held for the locks that end with them.
    _locks: Vec<File>,
}

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
pub(super) enum LeaseError {
    /// The folder of the locks cannot be used.
    #[error("cannot use {path} to share the machine with other tests: {reason}")]
    Folder { path: PathBuf, reason: String },
    /// Others never finished.
    #[error(
        "waited {waited_s} s for a turn on this machine, which these have: {holders}; end them, or allow longer by FUZZ_DIST_WAIT_LIMIT=2h"
    )]
    Waited { waited_s: u64, holders: String },
    /// Told to stop while waiting.
    #[error("stopped by {0} while waiting for a turn on this machine")]
    Cancelled(&'static str),
}

/// How many light labs this machine carries at once.
///
/// The same on every call and in every process, since all must agree on the files.
pub(super) fn slots() -> usize {
    heavy_labs() * PARTS
}

/// How many heavy labs it carries: half its cores, as far as its memory goes.
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

/// Waits for a share of the machine.
pub(super) fn take(trial: &str, share: Share) -> Result<Lease, LeaseError> {
    let limit = std::env::var("FUZZ_DIST_WAIT_LIMIT").ok();
    let limit =
        limit.and_then(|text| crate::time::parse_duration(&text).ok()).unwrap_or(WAIT_LIMIT);
    let folder = folder()?;
    Queue { folder: &folder, slots: slots(), trial, limit, started: Instant::now(), said: false }
        .take(match share {
            Share::Lab(Load::Light) => 1,
            Share::Lab(Load::Moderate) => PARTS / 2,
            Share::Lab(Load::Heavy) => PARTS,
            Share::Machine => slots(),
        })
}

/// One trial's wait.
struct Queue<'a> {
    folder: &'a Path,
    slots: usize,
    trial: &'a str,
    limit: Duration,
    started: Instant,
    said: bool,
}

impl Queue<'_> {
    /// Holds the gate while it collects locks: behind one that wants many nobody slips in, and two
    /// of those cannot wait for each other.
    fn take(&mut self, wanted: usize) -> Result<Lease, LeaseError> {
        let gate = self.open("gate")?;
        while !locked(&gate) {
            self.wait()?;
        }
        let mut waiting = (0..self.slots)
            .map(|slot| self.open(&format!("lab-{slot}")))
            .collect::<Result<Vec<File>, _>>()?;
        let mut locks = Vec::new();
        loop {
            for file in std::mem::take(&mut waiting) {
                // No more than wanted: to try a lock is to have it.
                let list = match locks.len() < wanted && locked(&file) {
                    true => &mut locks,
                    false => &mut waiting,
                };
                list.push(file);
            }
            if locks.len() == wanted {
                break;
            }
            self.wait()?;
        }
        locks.iter_mut().for_each(|lock| self.sign(lock));
        Ok(Lease { _locks: locks })
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

    fn wait(&mut self) -> Result<(), LeaseError> {
        if let Some(why) = cancel::requested() {
            return Err(LeaseError::Cancelled(why));
        }
        let waited = self.started.elapsed();
        if waited >= self.limit {
            let (waited_s, holders) = (waited.as_secs(), self.holders());
            return Err(LeaseError::Waited { waited_s, holders });
        }
        if waited >= SAY_AFTER && !self.said {
            self.said = true;
            let (trial, holders) = (self.trial, self.holders());
            // That trials of one run take turns is no news.
            if !holders.split(", ").all(|holder| holder.ends_with(&self.process())) {
                eprintln!(
                    "{trial} waits for its turn on this machine, which these have: {holders}"
                );
            }
        }
        std::thread::sleep(RETRY);
        Ok(())
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
        if holders.is_empty() { "others that wait, too".into() } else { holders.join(", ") }
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
