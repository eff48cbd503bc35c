//! The bytes that wait to be sent on a connection: callers append, one writer takes all there is.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// Room beyond the limit for signals that nobody can wait with: some 100 000 of them.
const RESERVE_BYTES: usize = 8 << 20;

/// The bytes that wait to be sent, limited in number.
#[derive(Debug)]
pub(crate) struct Outbox {
    waiting: Mutex<Vec<u8>>,
    limit: usize,
    filled: Notify,
    emptied: Notify,
}

impl Outbox {
    pub(crate) fn new(limit: usize) -> Self {
        Outbox { waiting: Mutex::default(), limit, filled: Notify::new(), emptied: Notify::new() }
    }

    /// Appends whole messages, as soon as there is room: the limit is only ever passed by the last
    /// addition, so that messages larger than the limit can be sent, too.
    pub(crate) async fn push(&self, messages: &[u8]) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            // Registered before the look, or the notification between the two would be missed.
            emptied.as_mut().enable();
            if self.try_push(messages) {
                return;
            }
            emptied.await;
        }
    }

    /// Appends whole messages if there is room now.
    pub(crate) fn try_push(&self, messages: &[u8]) -> bool {
        self.push_below(self.limit, messages)
    }

    /// The same of what must not be lost: there is a reserve beyond the limit.
    pub(crate) fn push_now(&self, messages: &[u8]) -> bool {
        self.push_below(self.limit + RESERVE_BYTES, messages)
    }

    fn push_below(&self, limit: usize, messages: &[u8]) -> bool {
        let mut waiting = self.lock();
        if waiting.len() >= limit {
            return false;
        }
        let was_empty = waiting.is_empty();
        waiting.extend_from_slice(messages);
        drop(waiting);
        if was_empty {
            self.filled.notify_one();
        }
        true
    }

    /// Exchanges the waiting bytes for an empty buffer; waits until there are some.
    pub(crate) async fn take(&self, into: &mut Vec<u8>) {
        into.clear();
        loop {
            {
                let mut waiting = self.lock();
                if !waiting.is_empty() {
                    std::mem::swap(&mut *waiting, into);
                    break;
                }
            }
            self.filled.notified().await;
        }
        self.emptied.notify_waiters();
    }

    /// What waits now, without waiting for more.
    pub(crate) fn take_now(&self, into: &mut Vec<u8>) {
        into.clear();
        std::mem::swap(&mut *self.lock(), into);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_that_must_not_be_lost_have_room_where_messages_have_none() {
        let outbox = Outbox::new(4);
        assert!(outbox.try_push(b"12345"));
        assert!(!outbox.try_push(b"6"));
        assert!(outbox.push_now(b"6"));
        assert!(outbox.push_now(&vec![b'7'; RESERVE_BYTES]));
        assert!(!outbox.push_now(b"8"));
        let mut taken = Vec::new();
        outbox.take_now(&mut taken);
        assert!(taken.starts_with(b"1234567") && taken.ends_with(b"7"));
    }
}
