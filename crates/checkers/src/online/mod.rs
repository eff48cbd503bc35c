//! Checkers that judge a history while it grows: what is certain already, whatever follows.

mod bank;
mod guarantees;
mod logs;
mod order;
mod queues;
mod registers;
mod rejudged;
mod sessions;
mod sets;
mod several;
#[cfg(test)]
mod tests;

use super::Anomaly;
use fuzz_dist_history::hash::FastMap;
use fuzz_dist_history::op::{Event, Kind, Process, Value};

pub(super) use bank::OnlineBank;
pub(super) use guarantees::OnlineGuarantees;
pub(super) use logs::OnlineLog;
pub(super) use queues::{OnlineIds, OnlineQueue};
pub(super) use registers::OnlineRegister;
use rejudged::Rejudged;
pub(super) use sets::OnlineSet;
pub(super) use several::{All, Keyed};

/// Judges a history while it grows; made by [`Checker::online`](super::Checker::online).
///
/// An anomaly that it gives is certain: [`check`](super::Checker::check) of any history that begins
/// with these events is invalid. The exception is a history that the checker cannot judge at all, such
/// as one in which an element is added twice: its verdict is unknown.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, unique_ids, histories::Recorder};
/// # use fuzz_dist_history::op::Value;
/// let mut r = Recorder::new(["n1", "n2"]);
/// for client in [0, 1] {
///     r.invoke(client, "generate", Value::Nil);
///     r.ok(client, 7);
/// }
/// let history = r.history();
/// let mut online = unique_ids().online(&history).expect("it can judge online");
/// let found: Vec<bool> = history.events().enumerate()
///     .map(|(i, event)| online.observe(i, &event).is_some())
///     .collect();
/// assert_eq!(found, [false, false, false, true]);
/// ```
pub trait Online: Send {
    /// Takes the next event of the history, whose index is `index`, and gives an anomaly where one has
    /// become certain with it. Events come in the order of the history, from its first one on, also
    /// those of faults and of nodes.
    fn observe(&mut self, index: usize, event: &Event) -> Option<Anomaly>;
}

/// An operation that a client has invoked and that has not completed.
#[derive(Clone, Debug)]
struct Begun {
    index: usize,
    value: Value,
}

/// What the clients have begun.
#[derive(Debug, Default)]
struct Clients(FastMap<u32, Begun>);

impl Clients {
    /// Takes a client's event. A completion gives the invocation that it completes.
    fn step(&mut self, index: usize, event: &Event) -> Option<Begun> {
        match event.kind {
            Kind::Invoke => {
                let begun = Begun { index, value: event.value.clone() };
                self.0.insert(event.process.0, begun);
                None
            }
            Kind::Ok | Kind::Fail | Kind::Info => self.0.remove(&event.process.0),
        }
    }
}

/// An anomaly that shows with this event.
fn certain(
    kind: &'static str,
    subject: Value,
    text: String,
    index: usize,
    event: &Event,
    earlier: impl IntoIterator<Item = usize>,
) -> Anomaly {
    let mut events: Vec<usize> = earlier.into_iter().chain([index]).collect();
    events.sort_unstable();
    events.dedup();
    Anomaly::new(kind, subject).explained(text).on(event.node).at(event.time).proved_by(events)
}

/// `client 3 at 1.2 s`, for explanations.
fn client(process: Process, event: &Event) -> String {
    format!("client {process} at {}", event.time)
}
