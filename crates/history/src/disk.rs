//! The thread that brings lines to the disk within milliseconds.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::recorder::WriteError;

/// Lines are gathered for so long before they are written together: many fewer writes, and
/// well within the 10 ms that are promised.
const GATHER: Duration = Duration::from_millis(2);
/// So much may wait for the disk before those who record have to wait as well.
const BACKLOG_MAX: usize = 16 << 20;
/// A disk that takes nothing for so long counts as broken.
const STALL_MAX: Duration = Duration::from_secs(20);

/// Writes what is appended to a file, from a thread of its own.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    path: std::path::PathBuf,
    state: Mutex<State>,
    /// Something is to be written, or the end has come.
    work: Condvar,
    /// Something was written.
    done: Condvar,
    broken: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// Bytes appended and bytes written since the start.
    appended: u64,
    written: u64,
    hurry: bool,
    ended: bool,
    error: Option<WriteError>,
}

impl Writer {
    /// Makes the file with its first lines.
    pub(super) fn create(path: &Path, first: &[u8]) -> Result<Writer, WriteError> {
        let failed = |why: std::io::Error| WriteError { path: path.into(), why: why.to_string() };
        let mut file = File::create_new(path).map_err(failed)?;
        file.write_all(first).map_err(failed)?;
        Writer::start(path, file)
    }

    fn start(path: &Path, file: File) -> Result<Writer, WriteError> {
        let shared = Arc::new(Shared {
            path: path.into(),
            state: Mutex::default(),
            work: Condvar::new(),
            done: Condvar::new(),
            broken: AtomicBool::new(false),
        });
        let thread = std::thread::Builder::new().name("history".into()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.write_until_ended(file)
        });
        let refused = |why: std::io::Error| WriteError {
            path: path.into(),
            why: format!(
                "no thread to write it: {why}; raise the number of processes and threads that this \
                 user may have (`ulimit -u`)"
            ),
        };
        Ok(Writer { shared, thread: Some(thread.map_err(refused)?) })
    }

    /// Writes to what is there already, such as a device that is always full.
    #[cfg(test)]
    pub(super) fn to_existing(path: &Path) -> std::io::Result<Writer> {
        let file = File::options().write(true).open(path)?;
        Ok(Writer::start(path, file).expect("a thread can be had"))
    }

    /// Is there any use in appending?
    pub(super) fn is_working(&self) -> bool {
        !self.shared.broken.load(Ordering::Relaxed)
    }

    /// Hands lines over; waits where the disk is far behind.
    pub(super) fn append(&self, lines: &[u8]) {
        let mut state = self.shared.lock();
        if state.waiting.len() >= BACKLOG_MAX {
            state = self.shared.wait_while(state, |s| s.waiting.len() >= BACKLOG_MAX);
        }
        if state.error.is_some() {
            return;
        }
        let was_empty = state.waiting.is_empty();
        state.waiting.extend_from_slice(lines);
        state.appended += lines.len() as u64;
        drop(state);
        if was_empty {
            self.shared.work.notify_one();
        }
    }

    /// Waits until everything appended so far is written.
    pub(super) fn flush(&self) -> Result<(), WriteError> {
        let mut state = self.shared.lock();
        let target = state.appended;
        state.hurry = true;
        self.shared.work.notify_one();
        let state = self.shared.wait_while(state, |s| s.written < target);
        state.error.clone().map_or(Ok(()), Err)
    }

    /// What went wrong.
    pub(super) fn error(&self) -> Option<WriteError> {
        self.shared.lock().error.clone()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.work.notify_one();
        // A thread that hangs in a write to a dead disk must not hang the harness too.
        let healthy = self.flush().is_ok();
        if let Some(thread) = self.thread.take().filter(|_| healthy) {
            // It can only have panicked, and said so.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nobody panics while holding it with its fields at odds.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the writing thread while `busy` holds, but not for ever.
    fn wait_while<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        busy: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let (mut since, mut written) = (Instant::now(), state.written);
        while busy(&state) && state.error.is_none() {
            state = self
                .done
                .wait_timeout(state, Duration::from_millis(100))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            if state.written > written {
                (since, written) = (Instant::now(), state.written);
            } else if since.elapsed() > STALL_MAX {
                let why = format!("the disk took nothing for {} s", STALL_MAX.as_secs());
                self.fail(&mut state, why);
            }
        }
        state
    }

    fn fail(&self, state: &mut State, why: String) {
        state.error.get_or_insert(WriteError { path: self.path.clone(), why });
        state.waiting = Vec::new();
        self.broken.store(true, Ordering::Relaxed);
        self.done.notify_all();
    }

    fn write_until_ended(&self, mut file: File) {
        let mut batch = Vec::new();
        loop {
            let mut state = self.lock();
            while state.waiting.is_empty() && !state.ended && state.error.is_none() {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if !state.hurry && !state.ended {
                let gathering = self.work.wait_timeout_while(state, GATHER, |s| {
                    !s.hurry && !s.ended && s.waiting.len() < BACKLOG_MAX / 2
                });
                state = gathering.unwrap_or_else(PoisonError::into_inner).0;
            }
            state.hurry = false;
            if state.error.is_some() || (state.waiting.is_empty() && state.ended) {
                return;
            }
            std::mem::swap(&mut batch, &mut state.waiting);
            drop(state);
            let result = file.write_all(&batch);
            let mut state = self.lock();
            match result {
                Ok(()) => state.written += batch.len() as u64,
                Err(error) => self.fail(&mut state, error.to_string()),
            }
            self.done.notify_all();
            batch.clear();
        }
    }
}
