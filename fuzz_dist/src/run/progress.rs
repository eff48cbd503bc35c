//! One line that shows how a run is going, on a terminal only.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::live::Live;
use crate::interpreter::Counters;
use crate::time::Time;

/// Between two updates of the line.
const EVERY: Duration = Duration::from_millis(200);

/// What the line needs beside the live test.
pub(super) struct Progress {
    counters: Arc<Counters>,
    main_ends_ns: AtomicU64,
}

impl Progress {
    pub(super) fn new(counters: Arc<Counters>) -> Progress {
        Progress { counters, main_ends_ns: AtomicU64::new(0) }
    }

    /// Sets when the main phase ends.
    pub(super) fn main_ends(&self, at: Time) {
        self.main_ends_ns.store(at.0, Ordering::Relaxed);
    }

    fn line(&self, live: &Live) -> String {
        let counts = self.counters.now();
        let ends = Time(self.main_ends_ns.load(Ordering::Relaxed));
        let left = ends.since(live.now());
        let left = match left.is_zero() {
            true => String::new(),
            false => format!(", {} s left", left.as_secs()),
        };
        let faults = live.faults.board().shown();
        let faults = if faults.is_empty() { "no fault".into() } else { faults.join(", ") };
        format!(
            "{}{left}: {} ops ({} ok, {} fail, {} info, {} in flight); {faults}",
            live.phase().as_str(),
            counts.invoked,
            counts.ok,
            counts.fail,
            counts.info,
            counts.in_flight(),
        )
    }
}

/// Shows the line until the test is over; does nothing where standard error is no terminal.
pub(super) fn show(live: &Arc<Live>) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let mut every = live.clock.every(EVERY);
    let live: Weak<Live> = Arc::downgrade(live);
    tokio::spawn(async move {
        loop {
            every.tick().await;
            let Some(live) = live.upgrade() else { break };
            let line: String = live.progress.line(&live).chars().take(110).collect();
            // Back to the start of the line, clear it, write it: it never scrolls.
            let _ = write!(std::io::stderr(), "\r\x1b[2K{line}");
        }
    });
}

/// Takes the line away, so that what is printed next begins on a clean one.
pub(super) fn clear() {
    if std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr(), "\r\x1b[2K");
    }
}
