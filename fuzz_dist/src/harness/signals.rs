//! Ctrl-C and SIGTERM: the first asks the trials to heal and tear down, a later one ends the process.

use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use crate::env::threads;
use crate::run::cancel;
use tokio::signal::unix::{SignalKind, signal};

/// By convention, 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// Signals that come so soon after the first are the same request: GNU `timeout` and process managers
/// signal the process and its group, and a terminal's Ctrl-C reaches wrappers that pass it on.
const SAME_REQUEST: Duration = Duration::from_secs(1);

/// Listens on a thread of its own, since every trial has its own runtime and some have none yet.
///
/// Returns once signals are caught: one that came after the first trial's start and before that
/// would end the process without tear-down.
pub(super) fn install() {
    let (ready, installed) = channel();
    let listener = std::thread::Builder::new().name("signals".into()).spawn(|| listen(ready));
    if let Err(error) = listener.map_err(threads::with_remedy) {
        fuzz_dist_sys::say!("signals end this process at once, without tear-down: {error}");
    }
    // An error means that the thread gave up, and has said so.
    let _ = installed.recv();
}

fn listen(ready: Sender<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let result = runtime.and_then(|runtime| runtime.block_on(forward(ready)));
    if let Err(error) = result {
        fuzz_dist_sys::say!("signals end this process at once, without tear-down: {error}");
    }
}

async fn forward(ready: Sender<()>) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let _ = ready.send(());
    let mut first: Option<Instant> = None;
    loop {
        let name = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        if first.is_some_and(|first| first.elapsed() < SAME_REQUEST) {
            continue;
        }
        if first.is_some() {
            fuzz_dist_sys::say!("\n{name} again: ending at once");
            // Hosts live in namespaces of this process's children, which end with it.
            super::exits::expected();
            std::process::exit(INTERRUPTED);
        }
        first = Some(Instant::now());
        fuzz_dist_sys::say!(
            "\n{name}: healing, collecting logs and tearing down; another signal after {} s ends at once",
            SAME_REQUEST.as_secs()
        );
        cancel::request(name);
    }
}
