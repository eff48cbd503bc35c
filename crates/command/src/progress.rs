//! How far long work has come, for whoever looks at a terminal.

use std::io::{self, IsTerminal as _, Read, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Work that ends sooner says nothing.
const FIRST: Duration = Duration::from_millis(700);
const EVERY: Duration = Duration::from_millis(200);

/// A line on the terminal that is gone when the work is done.
pub(super) struct Progress {
    state: Arc<State>,
    /// Both are gone where nobody looks.
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

#[derive(Default)]
struct State {
    read_bytes: AtomicU64,
    total_bytes: AtomicU64,
    /// What is being done, once all is read.
    doing: Mutex<Option<(String, Instant)>>,
}

impl Progress {
    /// Starts the display, where the standard error is a terminal.
    pub(super) fn start() -> Progress {
        let state = Arc::new(State::default());
        if !io::stderr().is_terminal() {
            return Progress { state, thread: None };
        }
        let (end, ended) = channel();
        let shared = Arc::clone(&state);
        let display = move || {
            let mut wait = FIRST;
            let mut shown = false;
            while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                // The line is written over itself.
                eprint!("\r\x1b[K{}", shared.line());
                let _ = io::stderr().flush();
                (wait, shown) = (EVERY, true);
            }
            if shown {
                eprint!("\r\x1b[K");
            }
        };
        let thread = std::thread::Builder::new().name("progress".into()).spawn(display);
        Progress { state, thread: thread.ok().map(|thread| (end, thread)) }
    }

    /// How much there is to read.
    pub(super) fn total(&self, bytes: u64) {
        self.state.total_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Counts what is read.
    pub(super) fn watch(&self, source: Box<dyn Read>) -> impl Read + use<> {
        Watched { source, state: Arc::clone(&self.state) }
    }

    /// All is read; what is done now.
    pub(super) fn doing(&self, what: String) {
        *self.state.doing.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((what, Instant::now()));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.thread.take() {
            drop(end);
            // It can only have panicked, and said so.
            let _ = thread.join();
        }
    }
}

impl State {
    fn line(&self) -> String {
        let doing = self.doing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((what, since)) = doing.as_ref() {
            return format!("{what} … {} s", since.elapsed().as_secs());
        }
        let read = self.read_bytes.load(Ordering::Relaxed);
        let total = self.total_bytes.load(Ordering::Relaxed);
        let percent = (read * 100).checked_div(total).map_or(String::new(), |p| format!(", {p} %"));
        format!("reading … {} MB{percent}", read / 1_000_000)
    }
}

struct Watched {
    source: Box<dyn Read>,
    state: Arc<State>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buffer)?;
        self.state.read_bytes.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
