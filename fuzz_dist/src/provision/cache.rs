//! The folder where what was fetched is kept, shared by all tests of a user.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::error::{ProvisionError, io_error};

/// The user's cache folder for this framework: `$XDG_CACHE_HOME/fuzz_dist`, or `~/.cache/fuzz_dist`.
pub(crate) fn folder() -> Result<PathBuf, ProvisionError> {
    let set =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("fuzz_dist"))
        .ok_or(ProvisionError::NoCache)
}

/// How long one test waits for another that fetches the same thing.
const LOCK_LIMIT: Duration = Duration::from_secs(600);

/// How often a lock that somebody else holds is tried.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// A lock among processes. It ends with the value, and with the process, and with the programs
/// that it was given to as their input.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Takes the lock; `waiting` is called once if somebody else holds it.
    pub(crate) fn take(path: &Path, waiting: impl FnOnce()) -> Result<Lock, ProvisionError> {
        use rustix::fs::{FlockOperation, flock};
        let open = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let file = open.map_err(io_error("create the lock file", path))?;
        let deadline = Instant::now() + LOCK_LIMIT;
        let mut waiting = Some(waiting);
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock(file)),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(io_error("lock", path)(errno.into())),
            }
            if Instant::now() >= deadline {
                return Err(ProvisionError::Locked { lock: path.into(), limit: LOCK_LIMIT });
            }
            if let Some(waiting) = waiting.take() {
                waiting();
            }
            std::thread::sleep(LOCK_POLL);
        }
    }

    /// The lock file as the (empty) input of a program, which then holds the lock as well: where we
    /// are killed, nobody fetches into the same folder before the program has ended.
    pub(crate) fn as_input(&self) -> Stdio {
        self.0.try_clone().map_or_else(|_| Stdio::null(), Stdio::from)
    }
}

pub(crate) fn create_folder(path: &Path) -> Result<(), ProvisionError> {
    fs::create_dir_all(path).map_err(io_error("create", path))
}

/// Removes a folder with all that is in it; that there is none is fine.
pub(crate) fn remove_folder(path: &Path) -> Result<(), ProvisionError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(io_error("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// A folder of this process that nobody else can have made or can write to, gone with the value.
#[derive(Debug)]
pub(crate) struct Private(pub(crate) PathBuf);

impl Private {
    /// Makes one below the system's folder for temporary files.
    pub(crate) fn folder() -> Result<Private, ProvisionError> {
        use std::hash::{BuildHasher, RandomState};
        use std::os::unix::fs::DirBuilderExt;
        let number = RandomState::new().hash_one(std::process::id());
        let path = std::env::temp_dir().join(format!("fuzz_dist-{number:016x}"));
        // It fails where there is one already, be it a link.
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(io_error("create", &path))?;
        Ok(Private(path))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
