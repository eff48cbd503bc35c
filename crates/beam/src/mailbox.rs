//! Processes of ours that processes of the node can send to, link to, and watch.

use std::sync::Arc;

use super::connection::Connection;
use super::control::{Control, Process};
use super::error::CallError;
use super::inbox::Inbox;
use super::shared::Shared;
use super::term::{Pid, Term};

/// What a mailbox receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message.
    Message(Term),
    /// A linked process ended, or somebody called `exit/2` on us.
    Exit {
        /// The process.
        from: Pid,
        /// The reason.
        reason: Term,
    },
    /// This many messages were dropped here, since the mailbox was full. Exits never are.
    Dropped(u64),
}

/// A process of ours, in the node's eyes: it has a pid, receives messages, and can be linked and watched.
///
/// When it is dropped, processes that watch it see it end (as `normal`).
#[derive(Debug)]
pub struct Mailbox {
    connection: Connection,
    pid: Pid,
    id: u32,
    inbox: Arc<Inbox>,
}

impl Mailbox {
    pub(crate) fn open(connection: Connection, capacity: usize) -> Self {
        let (pid, id, inbox) = connection.shared().open_mailbox(capacity);
        Mailbox { connection, pid, id, inbox }
    }

    /// The pid to give to the node.
    pub fn pid(&self) -> &Pid {
        &self.pid
    }

    /// The next event; `None` once the connection has ended. Can be cancelled without loss.
    pub async fn receive(&mut self) -> Option<Event> {
        self.inbox.next().await
    }

    /// Links to a process: [`Event::Exit`] reports its end.
    pub async fn link(&self, to: &Pid) -> Result<(), CallError> {
        self.connection.signal(Control::Link { from: self.pid.clone(), to: to.clone() }, None).await
    }

    /// `exit(To, Reason)`.
    pub async fn exit(&self, to: &Pid, reason: Term) -> Result<(), CallError> {
        let control = Control::ExitSignal { from: self.pid.clone(), to: to.clone(), reason: None };
        self.connection.signal(control, Some(&reason)).await
    }

    /// Sends a message, with this process as the sender.
    pub async fn send(&self, to: impl Into<Process>, message: &Term) -> Result<(), CallError> {
        let control = Control::Send { from: Some(self.pid.clone()), to: to.into() };
        self.connection.signal(control, Some(message)).await
    }

    fn shared(&self) -> &Arc<Shared> {
        self.connection.shared()
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.shared().close_mailbox(self.id);
    }
}
