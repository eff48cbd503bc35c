//! The process-wide wish to stop: set by Ctrl-C or SIGTERM, awaited by whoever must heal first.

use std::sync::LazyLock;
use tokio::sync::watch;

static WISH: LazyLock<Wish> = LazyLock::new(Wish::new);

/// Asks everything in this process to stop; `why` names the cause, as `SIGTERM`.
///
/// The first cause is kept. Nothing takes the wish back: a process that was requested to stop, stops.
pub(crate) fn request(why: &'static str) {
    WISH.request(why);
}

/// The cause, if somebody asked to stop.
pub(crate) fn requested() -> Option<&'static str> {
    WISH.requested()
}

/// Completes with the cause once somebody asks to stop; at once if that happened before.
///
/// It may be awaited on any runtime, by any number of tasks, and dropped at any point.
pub(crate) async fn cancelled() -> &'static str {
    WISH.cancelled().await
}

struct Wish(watch::Sender<Option<&'static str>>);

impl Wish {
    fn new() -> Self {
        Wish(watch::Sender::new(None))
    }

    fn request(&self, why: &'static str) {
        self.0.send_if_modified(|cause| {
            let first = cause.is_none();
            cause.get_or_insert(why);
            first
        });
    }

    fn requested(&self) -> Option<&'static str> {
        *self.0.borrow()
    }

    async fn cancelled(&self) -> &'static str {
        match self.0.subscribe().wait_for(Option::is_some).await.map(|cause| *cause) {
            Ok(Some(why)) => why,
            // The sender lives as long as `self`: neither can happen.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn those_who_wait_and_those_who_come_later_get_the_first_cause() {
        let wish = Arc::new(Wish::new());
        assert_eq!(wish.requested(), None);
        let waiting = tokio::spawn({
            let wish = wish.clone();
            async move { wish.cancelled().await }
        });
        tokio::task::yield_now().await;
        wish.request("SIGTERM");
        wish.request("SIGINT");
        assert_eq!(waiting.await.unwrap(), "SIGTERM");
        assert_eq!(wish.cancelled().await, "SIGTERM");
        assert_eq!(wish.requested(), Some("SIGTERM"));
    }
}
