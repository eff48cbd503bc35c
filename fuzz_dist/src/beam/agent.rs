//! The observation agent: one Erlang module that reports from the inside what a node sees.
//!
//! It is loaded into a running node that knows nothing of it, watches connections, the runtime,
//! logs and mnesia there, and sends what it sees to a [`Mailbox`]. It leaves with that mailbox.

use std::collections::BTreeMap;

use super::CallError;
use super::Connection;
use super::ConvertError;
use super::Term;
use super::resident;
use super::{Event, Mailbox};
use crate::args;
#[cfg(test)]
use crate::op::Value;
use crate::runtime::Report;

/// The agent's Erlang source, to be compiled by a release that is not newer than the node's.
pub const AGENT_SOURCE: &str = include_str!("../../agent/fuzz_dist_agent.erl");
/// The name of its module.
pub const AGENT_MODULE: &str = "fuzz_dist_agent";

/// So many messages of the agent may wait for us.
const MAILBOX_MAX: usize = 8192;
/// What the agent reports; everything else is `other`, so that names stay few.
const KINDS: [&str; 10] = [
    "nodeup",
    "nodedown",
    "log",
    "mnesia",
    "time_offset",
    "long_gc",
    "long_schedule",
    "large_heap",
    "busy_port",
    "busy_dist_port",
];

/// An agent in a running node, which leaves when this is dropped.
#[derive(Debug)]
pub struct Agent {
    mailbox: Mailbox,
    facts: BTreeMap<String, String>,
}

impl Agent {
    /// Loads the module (`beam`: the bytes of its compiled form) where the node has not got it yet,
    /// and starts the agent. Once this returns, nothing that happens goes unseen.
    ///
    /// # Errors
    ///
    /// When the node cannot be asked, refuses the module, or the agent cannot start.
    pub async fn start(connection: &Connection, beam: &[u8]) -> Result<Agent, CallError> {
        let mailbox = connection.mailbox(MAILBOX_MAX);
        let receiver = args![mailbox.pid()];
        let answer = resident::start(connection, (AGENT_MODULE, beam), receiver, &mailbox).await?;
        let facts = facts(&answer).ok_or_else(|| CallError::UnexpectedResult {
            peer: connection.peer().into(),
            error: ConvertError::new("{ok, Agent, Facts}", &answer),
        })?;
        Ok(Agent { mailbox, facts })
    }

    /// What the agent said of its node when it started, such as `system_monitor` (`taken`, or
    /// `owned` by the application, to which it is left) and `otp_release`.
    pub fn facts(&self) -> &BTreeMap<String, String> {
        &self.facts
    }

    /// Its next report; `None` once the connection to the node has ended. Can be cancelled
    /// without loss.
    pub async fn next(&mut self) -> Option<Report> {
        loop {
            match self.mailbox.receive().await? {
                Event::Exit { reason, .. } => return Some(Report::Ended(reason.to_string())),
                Event::Dropped(count) => return Some(Report::Dropped(count)),
                Event::Message(message) => {
                    if let Some(report) = read(&message) {
                        return Some(report);
                    }
                }
            }
        }
    }
}

fn facts(answer: &Term) -> Option<BTreeMap<String, String>> {
    let [_, _, Term::Map(facts)] = answer.as_tuple()? else { return None };
    let fact = |(key, value): (&Term, &Term)| {
        Some((key.as_atom()?.as_str().to_string(), value.as_text()?))
    };
    Some(facts.iter().filter_map(fact).collect())
}

/// What a message of the agent says; `None` for what no agent sends.
fn read(message: &Term) -> Option<Report> {
    match message.as_tuple()? {
        [tag, count] if tag.is_atom("fuzz_dist_dropped") => {
            Some(Report::Dropped(u64::try_from(count.as_i64()?).ok()?))
        }
        [tag, time, kind, data] if tag.is_atom("fuzz_dist") => {
            let kind = kind.as_text()?;
            Some(Report::Event {
                monotonic_ns: u64::try_from(time.as_i64()?).ok()?,
                kind: KINDS.into_iter().find(|k| *k == kind).unwrap_or("other"),
                data: data.into(),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::atom;
    use super::*;

    fn text(text: &str) -> Term {
        Term::Binary(text.into())
    }

    #[test]
    fn events_are_read_and_unknown_kinds_get_no_name_of_their_own() {
        let event =
            |kind: &str, data| Term::Tuple(vec![atom("fuzz_dist"), Term::Int(7), text(kind), data]);
        let data = Term::Map([(atom("peer"), text("app@n2"))].into());
        let given = read(&event("nodedown", data.clone()));
        let data = Value::map([("peer", "app@n2".into())]);
        assert_eq!(given, Some(Report::Event { monotonic_ns: 7, kind: "nodedown", data }));
        let given = read(&event("something", atom("x")));
        let data = Value::from("x");
        assert_eq!(given, Some(Report::Event { monotonic_ns: 7, kind: "other", data }));
    }

    #[test]
    fn drops_are_counted_and_what_no_agent_sends_is_nothing() {
        let drops = |n| Term::Tuple(vec![atom("fuzz_dist_dropped"), Term::Int(n)]);
        assert_eq!(read(&drops(3)), Some(Report::Dropped(3)));
        assert_eq!(read(&drops(-3)), None);
        assert_eq!(read(&atom("hello")), None);
        assert_eq!(read(&Term::Tuple(vec![atom("fuzz_dist"), Term::Int(1)])), None);
    }
}
