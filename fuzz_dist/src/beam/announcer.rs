//! What the harness does, said inside of a node for the application's own telemetry and logs.

use std::collections::{BTreeMap, HashSet};

use super::Connection;
use super::ConvertError;
use super::resident;
use super::{CallError, CloseReason};
use super::{Event, Mailbox};
use super::{Pid, Term, atom};
use crate::args;
use crate::runtime::{Announced, Announcement};

/// The announcer's Erlang source, to be compiled by a release that is not newer than the node's.
pub const ANNOUNCER_SOURCE: &str = include_str!("../../agent/fuzz_dist_announcer.erl");
/// The name of its module.
pub const ANNOUNCER_MODULE: &str = "fuzz_dist_announcer";

/// It answers one batch at a time.
const MAILBOX_MAX: usize = 4;

/// An announcer in a running node, which leaves when this is dropped.
#[derive(Debug)]
pub struct Announcer {
    mailbox: Mailbox,
    process: Pid,
    peer: String,
    speaks_to: String,
}

impl Announcer {
    /// Loads the module (`beam`: the bytes of its compiled form) where the node has not got it yet,
    /// and starts it, in place of one that was there. `trace` is the id of the run's trace.
    ///
    /// # Errors
    ///
    /// When the node cannot be asked, refuses the module, or the announcer cannot start.
    pub async fn start(
        connection: &Connection,
        beam: &[u8],
        trace: &str,
    ) -> Result<Announcer, CallError> {
        let mailbox = connection.mailbox(MAILBOX_MAX);
        let arguments = args![mailbox.pid(), trace];
        let module = (ANNOUNCER_MODULE, beam);
        let answer = resident::start(connection, module, arguments, &mailbox).await?;
        let parts = match answer.as_tuple() {
            Some([_, process, speaks_to]) => process.as_pid().cloned().zip(speaks_to.as_text()),
            _ => None,
        };
        let (process, speaks_to) = parts.ok_or_else(|| CallError::UnexpectedResult {
            peer: connection.peer().into(),
            error: ConvertError::new("{ok, Announcer, Where}", &answer),
        })?;
        Ok(Announcer { mailbox, process, peer: connection.peer().into(), speaks_to })
    }

    /// Where it spoke last: `telemetry` while that application runs there, otherwise `logger`, or
    /// `nowhere` where the application stops all log events that no filter lets pass.
    pub fn speaks_to(&self) -> &str {
        &self.speaks_to
    }

    /// Has all of these said, and returns when they were. A node that stands still is waited for.
    ///
    /// Logs do not get operations that begin and end within one batch: these are over already, and
    /// no log event could carry them.
    ///
    /// # Errors
    ///
    /// When the announcer or the connection has ended; nobody knows then what was said.
    pub async fn announce(&mut self, batch: &[Announcement]) -> Result<(), CallError> {
        let over = match self.speaks_to == "telemetry" {
            true => HashSet::new(),
            false => over_already(batch),
        };
        let lines = batch.iter().filter(|said| !said.is_of_operation() || !over.contains(&said.id));
        let lines: Vec<Term> = lines.map(Announcement::line).collect();
        if lines.is_empty() {
            return Ok(());
        }
        let message = Term::Tuple(vec![atom("announce"), Term::List(lines)]);
        self.mailbox.send(&self.process, &message).await?;
        match self.mailbox.receive().await {
            Some(Event::Message(answer)) => {
                let place = answer.as_tuple().and_then(|answer| answer.get(2)?.as_text());
                self.speaks_to = place.unwrap_or_default();
                Ok(())
            }
            // It answers each batch once, so that there is always room for that.
            Some(Event::Dropped(_)) => Ok(()),
            Some(Event::Exit { from, reason }) => {
                Err(CallError::ServerDown { peer: self.peer.clone(), process: from.into(), reason })
            }
            None => Err(CallError::NotConnected {
                peer: self.peer.clone(),
                reason: CloseReason::ByPeer,
            }),
        }
    }
}

/// The operations that begin and end here.
fn over_already(batch: &[Announcement]) -> HashSet<i64> {
    let begins = |a: &&Announcement| matches!(a.what, Announced::OperationStart { .. });
    let ends = |a: &&Announcement| matches!(a.what, Announced::OperationStop { .. });
    let begun: HashSet<i64> = batch.iter().filter(begins).map(|a| a.id).collect();
    batch.iter().filter(ends).map(|a| a.id).filter(|id| begun.contains(id)).collect()
}

impl Announcement {
    fn is_of_operation(&self) -> bool {
        matches!(self.what, Announced::OperationStart { .. } | Announced::OperationStop { .. })
    }

    /// `{Kind, Edge, Id, Span, Nanoseconds, Details}`.
    fn line(&self) -> Term {
        let text = |text: &str| Term::Binary(text.as_bytes().into());
        let (kind, edge, details) = match &self.what {
            Announced::OperationStart { function, client, value } => {
                let mut details =
                    vec![("function", text(function)), ("client", Term::Int(i64::from(*client)))];
                details.extend(value.map(|value| ("value", Term::Int(value))));
                ("operation", "start", details)
            }
            Announced::OperationStop { function, client, outcome, duration_ns } => {
                let duration = i64::try_from(*duration_ns).unwrap_or(i64::MAX);
                let details = vec![
                    ("function", text(function)),
                    ("client", Term::Int(i64::from(*client))),
                    ("outcome", atom(outcome)),
                    ("duration_ns", Term::Int(duration)),
                ];
                ("operation", "stop", details)
            }
            Announced::FaultStart(shape) => ("trouble", "start", vec![("trouble", text(shape))]),
            Announced::FaultStop(shape) => ("trouble", "stop", vec![("trouble", text(shape))]),
        };
        let details: BTreeMap<Term, Term> =
            details.into_iter().map(|(key, value)| (atom(key), value)).collect();
        Term::Tuple(vec![
            atom(kind),
            atom(edge),
            Term::Int(self.id),
            text(&format!("{:016x}", self.span)),
            Term::Int(i64::try_from(self.monotonic_ns).unwrap_or(i64::MAX)),
            Term::Map(details),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_that_are_over_are_those_that_begin_and_end_here() {
        let said = |id, what| Announcement { id, span: 0, monotonic_ns: 0, what };
        let start = || Announced::OperationStart { function: "add".into(), client: 0, value: None };
        let stop = || Announced::OperationStop {
            function: "add".into(),
            client: 0,
            outcome: "ok",
            duration_ns: 1,
        };
        let batch = [
            said(1, stop()),
            said(3, start()),
            said(5, start()),
            said(3, stop()),
            said(7, Announced::FaultStart("bridge".into())),
            said(7, Announced::FaultStop("bridge".into())),
        ];
        assert_eq!(over_already(&batch), HashSet::from([3]));
    }
}
