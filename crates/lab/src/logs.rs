//! A limit for what processes write to their logs: the beginning and the end are kept, the middle
//! is dropped.
//!
//! Processes write to files, not to pipes, so that nobody has to keep up with them. A thread looks
//! at the files' sizes and gives the middle of large ones back to the file system as a hole, which
//! loses nothing of what is written meanwhile. When the lab is over, the hole becomes one line.

use super::lock;
use rustix::fs::{FallocateFlags, fallocate};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The limit of a log where nobody says another.
pub(super) const LIMIT: u64 = 64 << 20;

/// How often sizes are looked at: a process writes some 100 MB meanwhile at most.
const PERIOD: Duration = Duration::from_millis(100);

/// How far a cut is moved to fall between two lines.
const LINE_MAX: usize = 64 << 10;

/// The logs of a lab, and the thread that watches them.
pub(super) struct Logs {
    shared: Arc<Shared>,
    limit: u64,
    thread: Option<JoinHandle<()>>,
}

/// A file in memory is watched until this is dropped.
pub(super) struct Kept {
    shared: Arc<Shared>,
    id: u64,
}

struct Shared {
    files: Mutex<Vec<Watched>>,
    next_id: AtomicU64,
    stop: Mutex<bool>,
    wake: Condvar,
}

/// A file that processes append to.
struct Watched {
    id: u64,
    file: File,
    /// Where it is; nowhere for one in memory.
    path: Option<PathBuf>,
    head_bytes: u64,
    tail_bytes: u64,
    /// What was dropped so far: from here to there.
    hole: Option<(u64, u64)>,
    refused: Option<io::Error>,
}

impl Logs {
    /// Watches nothing yet; every log will keep about `limit` bytes.
    pub(super) fn new(limit: u64) -> io::Result<Logs> {
        let shared = Arc::new(Shared {
            files: Mutex::default(),
            next_id: AtomicU64::new(0),
            stop: Mutex::new(false),
            wake: Condvar::new(),
        });
        let run = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("lab logs".into()).spawn(move || run.serve())?;
        Ok(Logs { shared, limit, thread: Some(thread) })
    }

    /// Opens a log to append to; it is watched until the lab ends.
    pub(super) fn open(&self, path: &Path) -> io::Result<File> {
        let file = File::options().create(true).append(true).read(true).open(path)?;
        let is_it = |watched: &Watched| watched.path.as_deref() == Some(path);
        if !lock(&self.shared.files).iter().any(is_it) {
            self.shared.watch(Watched {
                id: 0,
                file: file.try_clone()?,
                path: Some(path.to_owned()),
                head_bytes: self.limit / 2,
                tail_bytes: self.limit / 4,
                hole: None,
                refused: None,
            });
        }
        Ok(file)
    }

    /// Keeps only the first bytes of a file in memory, until the guard is dropped.
    pub(super) fn keep_head(&self, file: &File, head_bytes: u64) -> io::Result<Kept> {
        let id = self.shared.watch(Watched {
            id: 0,
            file: file.try_clone()?,
            path: None,
            head_bytes,
            tail_bytes: 0,
            hole: None,
            refused: None,
        });
        Ok(Kept { shared: Arc::clone(&self.shared), id })
    }

    /// What people should know: which logs are not whole.
    pub(super) fn notes(&self) -> Vec<String> {
        let files = lock(&self.shared.files);
        files.iter().filter_map(|watched| watched.note(self.limit)).collect()
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        *lock(&self.shared.stop) = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        for watched in lock(&self.shared.files).iter_mut() {
            watched.shorten();
            // The hole stays where the disk has no room: the log says the same, in zeros.
            let _ = watched.close_hole();
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        lock(&self.shared.files).retain(|watched| watched.id != self.id);
    }
}

impl Shared {
    fn watch(&self, file: Watched) -> u64 {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        lock(&self.files).push(Watched { id, ..file });
        id
    }

    fn serve(&self) {
        let mut stop = lock(&self.stop);
        while !*stop {
            let waited = self.wake.wait_timeout(stop, PERIOD);
            stop = waited.unwrap_or_else(PoisonError::into_inner).0;
            for watched in lock(&self.files).iter_mut() {
                watched.shorten();
            }
        }
    }
}

impl Watched {
    /// Drops the middle if the file takes more room than it should.
    fn shorten(&mut self) {
        let Ok(size) = self.file.metadata().map(|found| found.len()) else { return };
        let (mut from, done) = self.hole.unwrap_or((self.head_bytes, self.head_bytes));
        // Twice the tail, so that a hole is made now and then and not with every line.
        let slack = 2 * self.tail_bytes;
        if self.refused.is_some() || size.saturating_sub(done) <= slack {
            return;
        }
        let mut to = size - self.tail_bytes;
        if self.path.is_some() {
            if self.hole.is_none() {
                from = self.line_end_before(from);
            }
            to = self.line_end_after(to, size);
        }
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(&self.file, punch, from, to - from) {
            Ok(()) => self.hole = Some((from, to)),
            Err(error) => self.refused = Some(error.into()),
        }
    }

    fn line_end_before(&self, at: u64) -> u64 {
        let from = at.saturating_sub(LINE_MAX as u64);
        let mut bytes = vec![0; (at - from) as usize];
        let read = self.file.read_at(&mut bytes, from).unwrap_or(0);
        let end = bytes[..read].iter().rposition(|byte| *byte == b'\n');
        end.map_or(at, |end| from + end as u64 + 1)
    }

    fn line_end_after(&self, at: u64, size: u64) -> u64 {
        let mut bytes = vec![0; LINE_MAX.min((size - at) as usize)];
        let read = self.file.read_at(&mut bytes, at).unwrap_or(0);
        let end = bytes[..read].iter().position(|byte| *byte == b'\n');
        end.map_or(at, |end| at + end as u64 + 1)
    }

    /// Puts one line in the place of what was dropped. Nobody writes to the file any more.
    fn close_hole(&mut self) -> io::Result<()> {
        let (Some((from, to)), Some(path)) = (self.hole, &self.path) else { return Ok(()) };
        let mut beside = path.clone().into_os_string();
        beside.push(".shortened");
        let mut whole = File::open(path)?;
        let mut short = File::create(&beside)?;
        io::copy(&mut (&mut whole).take(from), &mut short)?;
        writeln!(short, "[fuzz_dist: {} bytes of this log were dropped here]", to - from)?;
        whole.seek(SeekFrom::Start(to))?;
        io::copy(&mut whole, &mut short)?;
        fs::rename(&beside, path)
    }

    fn note(&self, limit: u64) -> Option<String> {
        let path = self.path.as_ref()?.display();
        if let Some(error) = &self.refused {
            return Some(format!("the size of {path} could not be limited: {error}"));
        }
        let (from, to) = self.hole?;
        Some(format!(
            "{} bytes in the middle of {path} were dropped; FUZZ_DIST_LOG_LIMIT (now {} MiB) sets \
             what each log keeps",
            to - from,
            limit >> 20
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.out");
        let logs = Logs::new(64 << 10).unwrap();
        let mut file = logs.open(&path).unwrap();
        for line in 0..100_000 {
            writeln!(file, "line {line}").unwrap();
        }
        // Opened again, as by the next process of the same name.
        writeln!(logs.open(&path).unwrap(), "the last line").unwrap();
        drop(logs);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.len() < 66 << 10, "{} bytes are left", text.len());
        let (head, tail) = text.split_once("[fuzz_dist: ").unwrap();
        let (dropped, tail) = tail.split_once(" bytes of this log were dropped here]\n").unwrap();
        assert!(head.starts_with("line 0\n") && head.ends_with('\n'), "{head}");
        assert!(tail.starts_with("line ") && tail.ends_with("\nline 99999\nthe last line\n"));
        let whole = (0..100_000).map(|line| format!("line {line}\n").len()).sum::<usize>() + 14;
        assert_eq!(head.len() + tail.len() + dropped.parse::<usize>().unwrap(), whole);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_short_log_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.out");
        let logs = Logs::new(64 << 10).unwrap();
        logs.open(&path).unwrap().write_all(&[b'x'; 40 << 10]).unwrap();
        assert!(logs.notes().is_empty());
        drop(logs);
        assert_eq!(fs::read(&path).unwrap(), [b'x'; 40 << 10]);
    }
}
