//! The process-wide wish to stop: set by Ctrl-C or SIGTERM, awaited by whoever must heal first.

use std::sync::OnceLock;
use tokio::sync::watch;

static WISH: OnceLock<watch::Sender<Option<&'static str>>> = OnceLock::new();

fn wish() -> &'static watch::Sender<Option<&'static str>> {
    WISH.get_or_init(|| watch::Sender::new(None))
}

/// Asks everything in this process to stop; `why` names the cause, as `SIGTERM`.
///
/// The first cause is kept. Nothing takes the wish back: a process that was told to stop, stops.
pub fn request(why: &'static str) {
    wish().send_if_modified(|cause| {
        let first = cause.is_none();
        if first {
            *cause = Some(why);
        }
        first
    });
}

/// The cause, if somebody asked to stop.
pub fn requested() -> Option<&'static str> {
    *wish().borrow()
}

/// Completes with the cause once somebody asks to stop; at once if that happened before.
///
/// It may be awaited on any runtime, and dropped at any point.
pub async fn cancelled() -> &'static str {
    let mut receiver = wish().subscribe();
    loop {
        if let Some(why) = *receiver.borrow_and_update() {
            return why;
        }
        if receiver.changed().await.is_err() {
            // The sender is a static: this cannot happen, and waiting for ever is what it means.
            std::future::pending::<()>().await;
        }
    }
}
