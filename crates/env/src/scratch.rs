//! Temporary folders with unpredictable names that only this user can enter, and that do not
//! outlive their process for long.

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};
use tempfile::TempDir;

/// A temporary folder, removed when this is dropped.
///
/// The process holds a lock on it. Where the process is killed, the lab's agent removes the folder,
/// or else the first process that makes one later and finds it without a lock.
#[derive(Debug)]
#[doc(hidden)]
pub struct Scratch {
    folder: TempDir,
    /// The folder, open: the lock lives as long as this.
    _lock: File,
}

/// The folders that this process has now.
static PRESENT: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

impl Scratch {
    /// Makes a folder below the system's folder for temporary files.
    ///
    /// # Errors
    /// When that folder is full or may not be written to.
    #[doc(hidden)]
    pub fn new() -> io::Result<Scratch> {
        static SWEEP: Once = Once::new();
        let all = std::env::temp_dir();
        SWEEP.call_once(|| sweep(&all));
        Scratch::below(&all)
    }

    fn below(all: &Path) -> io::Result<Scratch> {
        loop {
            let folder = tempfile::Builder::new()
                .prefix(&prefix())
                .permissions(fs::Permissions::from_mode(0o700))
                .tempdir_in(all)?;
            let lock = File::open(folder.path())?;
            // Another process may take the new folder for one that was left, in the instant before
            // it is locked.
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()
                && folder.path().exists()
            {
                present(|paths| paths.push(folder.path().to_owned()));
                return Ok(Scratch { folder, _lock: lock });
            }
        }
    }

    /// Where it is.
    #[doc(hidden)]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// All folders that this process has now.
    #[doc(hidden)]
    pub fn all() -> Vec<PathBuf> {
        present(|paths| paths.clone())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        present(|paths| paths.retain(|path| path != self.folder.path()));
    }
}

fn present<T>(with: impl FnOnce(&mut Vec<PathBuf>) -> T) -> T {
    with(&mut PRESENT.lock().unwrap_or_else(PoisonError::into_inner))
}

fn prefix() -> String {
    format!("fuzz_dist-{}-", rustix::process::geteuid().as_raw())
}

/// Removes the folders of this user's processes that are gone.
fn sweep(all: &Path) {
    let (prefix, user) = (prefix(), rustix::process::geteuid().as_raw());
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix))
            && entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == user);
        // Others have all kinds of files here: to open a pipe waits for who writes into it.
        let lock = if ours { open_folder(&entry.path()) } else { None };
        if lock.is_some_and(|l| flock(&l, FlockOperation::NonBlockingLockExclusive).is_ok()) {
            // Whoever removes it at the same time is welcome.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A folder, and nothing that took its place meanwhile.
fn open_folder(path: &Path) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).ok().map(File::from)
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType};

    use super::*;

    #[test]
    fn a_folder_is_private_and_ends_with_its_value() {
        let all = tempfile::tempdir().unwrap();
        let [one, other] = [0, 1].map(|_| Scratch::below(all.path()).unwrap());
        assert_ne!(one.path(), other.path());
        assert_eq!(fs::metadata(one.path()).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(Scratch::all().contains(&one.path().to_owned()));
        let path = one.path().to_owned();
        fs::write(path.join("file"), "content").unwrap();
        drop(one);
        assert!(!path.exists() && !Scratch::all().contains(&path));
    }

    #[test]
    fn folders_of_processes_that_are_gone_are_swept_and_no_others() {
        let all = tempfile::tempdir().unwrap();
        let alive = Scratch::below(all.path()).unwrap();
        // As after a SIGKILL: the folder is there, the lock is not.
        let left = all.path().join(format!("{}left", prefix()));
        fs::create_dir_all(left.join("ebin")).unwrap();
        let (others, file) = (all.path().join("others"), all.path().join(format!("{}f", prefix())));
        fs::create_dir(&others).unwrap();
        fs::write(&file, "").unwrap();
        // Nobody will ever write into these.
        for pipe in ["pipe".to_owned(), format!("{}pipe", prefix())] {
            let mode = Mode::RUSR | Mode::WUSR;
            rustix::fs::mknodat(CWD, all.path().join(pipe), FileType::Fifo, mode, 0).unwrap();
        }
        sweep(all.path());
        assert!(alive.path().exists() && others.exists() && file.exists());
        assert!(!left.exists());
    }
}
