//! Watching a process of the node.

use tokio::sync::oneshot;

use super::connection::Connection;
use super::control::{Control, Process};
use super::error::{CallError, CloseReason};
use super::shared::{Answer, WaitRefused};
use super::term::{Reference, Term};

/// A watch on a process of the node, which ends when it is dropped.
#[derive(Debug)]
pub struct Monitor {
    connection: Connection,
    process: Process,
    reference: Reference,
    key: u64,
    fired: Option<oneshot::Receiver<Answer>>,
}

/// What became of a watched process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Down {
    /// It ended for this reason; `noproc` if there was none when the watch began.
    Ended(Term),
    /// The connection to the node ended first.
    Disconnected(CloseReason),
}

impl Connection {
    /// Watches a process, or whoever is registered under a name now.
    pub async fn monitor(&self, process: impl Into<Process>) -> Result<Monitor, CallError> {
        let process = process.into();
        let shared = self.shared();
        let (key, reference) = shared.new_reference();
        let receiver = shared.wait_for(key).map_err(|refused| match refused {
            WaitRefused::Closed(reason) => self.not_connected(reason),
            WaitRefused::TooMany => CallError::TooManyPending {
                peer: self.peer().into(),
                limit: shared.options.pending_max,
            },
        })?;
        let monitor = Monitor {
            connection: self.clone(),
            process: process.clone(),
            reference: reference.clone(),
            key,
            fired: Some(receiver),
        };
        self.signal(Control::Monitor { from: shared.caller(), to: process, reference }, None)
            .await?;
        Ok(monitor)
    }
}

impl Monitor {
    /// Waits until the process has ended. Can be cancelled without loss.
    ///
    /// After that, it gives [`Down::Disconnected`] with [`CloseReason::Local`].
    pub async fn down(&mut self) -> Down {
        let Some(receiver) = &mut self.fired else { return Down::Disconnected(CloseReason::Local) };
        let answer = receiver.await;
        self.fired = None;
        match answer {
            Ok(Answer::Down(reason) | Answer::Reply(reason) | Answer::NotStarted(reason)) => {
                Down::Ended(reason)
            }
            Ok(Answer::Closed(reason)) => Down::Disconnected(reason),
            Err(_) => {
                Down::Disconnected(self.connection.close_reason().unwrap_or(CloseReason::Local))
            }
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let shared = self.connection.shared();
        if shared.forget(self.key) {
            let (from, to, reference) =
                (shared.caller(), self.process.clone(), self.reference.clone());
            shared.send_now(Control::Demonitor { from, to, reference }, None);
        }
    }
}
