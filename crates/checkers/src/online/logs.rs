//! Logs with offsets while they are sent to and polled.

use std::collections::BTreeMap;

use super::{Anomaly, Clients, Online, certain, client};
use fuzz_dist_history::hash::FastMap;
use fuzz_dist_history::op::{Event, Kind, Value};

/// [`offset_log`](crate::offset_log): everything but *lost*, since what no client polled so far
/// may be polled later.
#[derive(Default)]
pub(crate) struct OnlineLog {
    clients: Clients,
    records: FastMap<Value, Record>,
    /// The first value at each offset, and the event that has it.
    offsets: BTreeMap<i64, (Value, usize)>,
    /// Where each client's polls are.
    places: FastMap<u32, (i64, usize)>,
    /// Spans of offsets that some client's polls passed over, first and last one, apart from one
    /// another, with the poll that did.
    passed: BTreeMap<i64, (i64, usize)>,
    unreadable: bool,
}

#[derive(Default)]
struct Record {
    offset: Option<(i64, usize)>,
    /// The invocation of the send that may have happened.
    sent: Option<usize>,
    polled: Option<usize>,
}

/// What became certain, and the event before that it takes.
type Found = Option<(&'static str, Value, String, usize)>;

impl OnlineLog {
    fn sent(&mut self, index: usize, value: &Value) {
        let record = self.records.entry(value.clone()).or_default();
        self.unreadable |= record.sent.replace(index).is_some();
    }

    fn failed(&mut self, index: usize, value: &Value) -> Found {
        let record = self.records.get_mut(value)?;
        record.sent = record.sent.filter(|sent| *sent != index);
        let polled = record.polled?;
        let text = format!("the send of {value} failed, and it had been polled");
        Some(("unexpected", value.clone(), text, polled))
    }

    /// Places a value: one value for each offset, one offset for each value, and nothing that was
    /// passed over.
    fn seen(&mut self, index: usize, value: &Value, offset: i64) -> Found {
        let record = self.records.entry(value.clone()).or_default();
        let (first, event) = *record.offset.get_or_insert((offset, index));
        if first != offset {
            let text = format!("{value} stands at offsets {first} and {offset}");
            return Some(("duplicate", value.clone(), text, event));
        }
        match self.offsets.get(&offset) {
            Some((other, event)) if other != value => {
                let text = format!("offset {offset} holds {other} and {value}");
                return Some(("inconsistent", Value::Int(offset), text, *event));
            }
            Some(_) => return None,
            None => drop(self.offsets.insert(offset, (value.clone(), index))),
        }
        let (_, (last, poll)) = self.passed.range(..=offset).next_back()?;
        (offset <= *last).then(|| {
            let text = format!("a client's polls had passed over offset {offset} with {value}");
            ("skipped", value.clone(), text, *poll)
        })
    }

    fn polled(&mut self, index: usize, event: &Event, value: &Value, offset: i64) -> Found {
        let mut found = self.seen(index, value, offset);
        let record = self.records.entry(value.clone()).or_default();
        record.polled = record.polled.or(Some(index));
        if record.sent.is_none() {
            let text = format!("{value} was polled, but no client had sent it");
            found = found.or(Some(("unexpected", value.clone(), text, index)));
        }
        let process = event.process.0;
        let Some((former, poll)) = self.places.insert(process, (offset, index)) else {
            return found;
        };
        if offset <= former {
            let text = format!("client {process} polled offset {offset} after {former}");
            return found.or(Some(("non_monotonic", value.clone(), text, poll)));
        }
        if offset - 1 > former {
            if let Some((over, (value, _))) = self.offsets.range(former + 1..offset).next() {
                let text = format!(
                    "client {process} polled offset {offset} after {former}, passing over offset {over} with {value}"
                );
                found = found.or(Some(("skipped", value.clone(), text, poll)));
            }
            self.pass(former + 1, offset - 1, index);
        }
        found
    }

    /// Keeps the spans apart, so that an offset lies in one of them at most.
    fn pass(&mut self, mut from: i64, mut to: i64, index: usize) {
        while let Some((start, (end, _))) = self.passed.range(..=to).next_back() {
            if *end < from {
                break;
            }
            let start = *start;
            (from, to) = (from.min(start), to.max(*end));
            self.passed.remove(&start);
        }
        self.passed.insert(from, (to, index));
    }
}

/// A record of a poll: its offset and value.
fn record(item: &Value) -> Option<(i64, &Value)> {
    match item.as_list()? {
        [offset, value] => Some((offset.as_int()?, value)),
        _ => None,
    }
}

impl Online for OnlineLog {
    fn observe(&mut self, index: usize, event: &Event) -> Option<Anomaly> {
        if self.unreadable || !event.process.is_client() {
            return None;
        }
        let begun = self.clients.step(index, event);
        let found = match (&*event.f, event.kind, &event.value) {
            ("send", Kind::Invoke, value) => {
                self.sent(index, value);
                None
            }
            ("send", Kind::Fail, _) => {
                let begun = begun?;
                self.failed(begun.index, &begun.value)
            }
            ("send", Kind::Ok, Value::Int(offset)) => self.seen(index, &begun?.value, *offset),
            ("poll", Kind::Ok, Value::List(items)) => {
                let mut found = None;
                for item in items.iter() {
                    let Some((offset, value)) = record(item) else {
                        self.unreadable = true;
                        return None;
                    };
                    let wrong = self.polled(index, event, value, offset);
                    found = found.or(wrong);
                }
                found
            }
            ("send" | "poll", Kind::Ok, Value::Nil) => None,
            ("send" | "poll", Kind::Ok, _) => {
                self.unreadable = true;
                None
            }
            _ => None,
        };
        let (kind, subject, text, earlier) = found?;
        let text = format!("{text}; shown by {}", client(event.process, event));
        Some(certain(kind, subject, text, index, event, [earlier]))
    }
}
