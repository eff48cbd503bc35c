//! Session guarantees of clients that add to a set and read it, while they do.

use super::{Anomaly, certain};
use fuzz_dist_history::hash::{FastMap, FastSet};
use fuzz_dist_history::op::{Event, NodeId, Process, Value};

/// What each client was promised.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// Its own acknowledged elements, with the events that acknowledged them.
    own: FastMap<u32, Vec<(Value, usize)>>,
    /// What it read on a node, with the first read of each element.
    read: FastMap<(u32, Option<NodeId>), FastMap<Value, usize>>,
}

impl Sessions {
    pub(super) fn added(&mut self, process: Process, value: Value, index: usize) {
        self.own.entry(process.0).or_default().push((value, index));
    }

    /// Judges a read of a set or list that was invoked at event `begun`.
    pub(super) fn read(&mut self, index: usize, event: &Event, begun: usize) -> Option<Anomaly> {
        let items: FastSet<Value> = match &event.value {
            Value::Set(set) => set.as_slice().iter().map(|n| Value::Int(*n)).collect(),
            Value::List(items) => items.iter().cloned().collect(),
            _ => return None,
        };
        let process = event.process;
        let own = self.own.get(&process.0).map_or(&[][..], Vec::as_slice);
        let unread = own.iter().find(|(value, at)| *at < begun && !items.contains(value));
        let unread = unread.map(|(value, at)| {
            let text = format!(
                "client {process} added {value}, which was acknowledged, and its read at {} lacks it",
                event.time
            );
            certain("read_your_writes", value.clone(), text, index, event, [*at])
        });
        let seen = self.read.entry((process.0, event.node)).or_default();
        let gone =
            seen.iter().filter(|(value, _)| !items.contains(*value)).min_by_key(|(_, at)| **at);
        let gone = gone.map(|(value, at)| {
            let text =
                format!("client {process} read {value}, and its read at {} lacks it", event.time);
            certain("monotonic_reads", value.clone(), text, index, event, [*at])
        });
        for item in items {
            seen.entry(item).or_insert(index);
        }
        unread.or(gone)
    }
}
