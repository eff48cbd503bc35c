//! Identifiers and queues while they are used.

use super::{Anomaly, Clients, Online, certain, client};
use fuzz_dist_history::hash::FastMap;
use fuzz_dist_history::op::{Event, Kind, Name, Value};

/// [`unique_ids`](crate::unique_ids): an identifier that was given out twice.
pub(crate) struct OnlineIds {
    generate: Name,
    first: FastMap<Value, usize>,
}

impl OnlineIds {
    pub(crate) fn new(generate: &Name) -> OnlineIds {
        OnlineIds { generate: generate.clone(), first: FastMap::default() }
    }
}

impl Online for OnlineIds {
    fn observe(&mut self, index: usize, event: &Event) -> Option<Anomaly> {
        if !event.process.is_client() || event.kind != Kind::Ok || event.f != self.generate {
            return None;
        }
        let Some(first) = self.first.get(&event.value) else {
            self.first.insert(event.value.clone(), index);
            return None;
        };
        let value = &event.value;
        let text = format!("{value} was given out before, and to {}", client(event.process, event));
        Some(certain("duplicate", value.clone(), text, index, event, [*first]))
    }
}

/// An element's life as far as it is known.
#[derive(Debug, Default)]
struct Item {
    /// The invocations of enqueues that have not failed.
    puts: Vec<usize>,
    /// The completions of dequeues that gave it.
    outs: Vec<usize>,
}

/// [`total_queue`](crate::total_queue): what came out and had not gone in (which is *early*
/// where it is enqueued later), or more often than it had gone in by then.
pub(crate) struct OnlineQueue {
    redelivery: bool,
    clients: Clients,
    items: FastMap<Value, Item>,
}

impl OnlineQueue {
    pub(crate) fn new(redelivery: bool) -> OnlineQueue {
        OnlineQueue { redelivery, clients: Clients::default(), items: FastMap::default() }
    }

    /// Is there a dequeue for which no enqueue had begun?
    fn judge(&self, index: usize, event: &Event, value: &Value) -> Option<Anomaly> {
        let Item { puts, outs } = self.items.get(value)?;
        let judged = if self.redelivery { 1 } else { outs.len() };
        let late = |(n, out): (usize, &usize)| puts.get(n).is_none_or(|put| put > out);
        let wrong = outs.iter().take(judged).enumerate().position(late)?;
        let (kind, why) = match wrong {
            0 => ("unexpected", "came out before any enqueue of it that may have happened"),
            _ => ("duplicate", "came out more often than it had gone in by then"),
        };
        let text = format!("{value} {why}; shown by {}", client(event.process, event));
        Some(certain(kind, value.clone(), text, index, event, puts.iter().chain(outs).copied()))
    }

    fn taken(&mut self, index: usize, event: &Event, value: &Value) -> Option<Anomaly> {
        self.items.entry(value.clone()).or_default().outs.push(index);
        self.judge(index, event, value)
    }
}

impl Online for OnlineQueue {
    fn observe(&mut self, index: usize, event: &Event) -> Option<Anomaly> {
        if !event.process.is_client() {
            return None;
        }
        let begun = self.clients.step(index, event);
        match (&*event.f, event.kind, &event.value) {
            ("enqueue", Kind::Invoke, value) => {
                self.items.entry(value.clone()).or_default().puts.push(index);
                None
            }
            ("enqueue", Kind::Fail, _) => {
                let begun = begun?;
                self.items.get_mut(&begun.value)?.puts.retain(|put| *put != begun.index);
                self.judge(index, event, &begun.value)
            }
            ("dequeue" | "drain", Kind::Ok, Value::Nil) => None,
            ("drain", Kind::Ok, Value::List(items)) => {
                let mut found = None;
                for value in items.iter() {
                    let wrong = self.taken(index, event, value);
                    found = found.or(wrong);
                }
                found
            }
            ("drain", Kind::Ok, Value::Set(set)) => {
                let values = set.as_slice().iter().map(|n| Value::Int(*n));
                let mut found = None;
                for value in values {
                    let wrong = self.taken(index, event, &value);
                    found = found.or(wrong);
                }
                found
            }
            ("dequeue" | "drain", Kind::Ok, value) => self.taken(index, event, value),
            _ => None,
        }
    }
}
