//! What waits in a mailbox: messages up to a limit, and every exit.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::mailbox::Event;

/// The events that wait for the owner of a mailbox.
///
/// A message that finds no room is dropped and counted, and the count is an event of its own at the
/// place of the gap. Exits are never dropped: a process that ended says so once, and whoever waits for
/// that would wait for ever.
#[derive(Debug)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    messages_max: usize,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    /// How many of the events are messages.
    messages: usize,
    /// Messages dropped after the last event.
    dropped: u64,
    closed: bool,
}

impl State {
    fn push(&mut self, event: Event) {
        if self.dropped > 0 {
            self.events.push_back(Event::Dropped(std::mem::take(&mut self.dropped)));
        }
        self.messages += usize::from(matches!(event, Event::Message(_)));
        self.events.push_back(event);
    }

    fn pop(&mut self) -> Option<Event> {
        match self.events.pop_front() {
            Some(event) => {
                self.messages -= usize::from(matches!(event, Event::Message(_)));
                Some(event)
            }
            None if self.dropped > 0 => Some(Event::Dropped(std::mem::take(&mut self.dropped))),
            None => None,
        }
    }
}

impl Inbox {
    pub(crate) fn new(messages_max: usize) -> Inbox {
        Inbox { state: Mutex::default(), messages_max: messages_max.max(1), changed: Notify::new() }
    }

    /// Adds an event; `false` when it was a message without room, and was dropped.
    pub(crate) fn post(&self, event: Event) -> bool {
        let mut state = self.lock();
        let fits = state.messages < self.messages_max || !matches!(event, Event::Message(_));
        if fits {
            state.push(event);
        } else {
            state.dropped += 1;
        }
        drop(state);
        // There is one receiver, and a notification without one is kept for it.
        self.changed.notify_one();
        fits
    }

    /// The next event; `None` once the inbox is closed and empty. Can be cancelled without loss.
    pub(crate) async fn next(&self) -> Option<Event> {
        loop {
            {
                let mut state = self.lock();
                match state.pop() {
                    None if !state.closed => {}
                    event => return event,
                }
            }
            self.changed.notified().await;
        }
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::term::{Atom, Pid, Term, atom};
    use super::*;

    fn message(n: i64) -> Event {
        Event::Message(Term::Int(n))
    }

    fn exit() -> Event {
        let from = Pid { node: Atom::from("a@b"), id: 1, serial: 0, creation: 1 };
        Event::Exit { from, reason: atom("killed") }
    }

    #[tokio::test]
    async fn a_full_inbox_drops_messages_where_it_says_so_and_keeps_exits() {
        let inbox = Inbox::new(2);
        let posted: Vec<bool> = (0..5).map(|n| inbox.post(message(n))).collect();
        assert_eq!(posted, [true, true, false, false, false]);
        assert!(inbox.post(exit()));
        assert!(inbox.post(exit()));
        assert_eq!(inbox.next().await, Some(message(0)));
        assert!(inbox.post(message(5)));
        assert!(!inbox.post(message(6)));
        inbox.close();
        for expected in [message(1), Event::Dropped(3), exit(), exit(), message(5)] {
            assert_eq!(inbox.next().await, Some(expected));
        }
        assert_eq!(inbox.next().await, Some(Event::Dropped(1)));
        assert_eq!(inbox.next().await, None);
        assert_eq!(inbox.next().await, None);
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_an_event_and_by_the_end() {
        let inbox = std::sync::Arc::new(Inbox::new(1));
        let waiting = |inbox: std::sync::Arc<Inbox>| {
            tokio::spawn(async move { (inbox.next().await, inbox.next().await) })
        };
        let waits = waiting(inbox.clone());
        tokio::task::yield_now().await;
        inbox.post(exit());
        tokio::task::yield_now().await;
        inbox.close();
        assert_eq!(waits.await.unwrap(), (Some(exit()), None));
    }
}
