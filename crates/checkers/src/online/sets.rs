//! Sets while they grow: what no later event can make right again.

use super::sessions::Sessions;
use super::{Anomaly, Clients, Online, certain, client};
use fuzz_dist_history::hash::{FastMap, FastSet};
use fuzz_dist_history::op::{Event, IntSet, Kind, Name, NodeId, Value};

/// [`set_full`](crate::set_full): duplicate, unexpected (which becomes *early* where the add
/// follows) and resurrected elements, and violations of session guarantees where these count.
pub(crate) struct OnlineSet {
    add: Name,
    read: Name,
    clients: Clients,
    /// The last add of each element: did it fail?
    adds: FastMap<Value, bool>,
    /// Elements that were read, and the first read with each.
    seen: FastMap<Value, usize>,
    /// The last read of each node, whose elements have been looked at.
    last: FastMap<Option<NodeId>, IntSet>,
    sessions: Option<Sessions>,
    /// The checker cannot judge this history.
    unreadable: bool,
}

impl OnlineSet {
    pub(crate) fn new(add: &Name, read: &Name, sessions: bool) -> OnlineSet {
        OnlineSet {
            add: add.clone(),
            read: read.clone(),
            clients: Clients::default(),
            adds: FastMap::default(),
            seen: FastMap::default(),
            last: FastMap::default(),
            sessions: sessions.then(Sessions::default),
            unreadable: false,
        }
    }

    fn added(&mut self, value: &Value) {
        // An element may be added again when all its earlier adds failed.
        if self.adds.insert(value.clone(), false).is_some_and(|failed| !failed) {
            self.unreadable = true;
        }
    }

    fn failed(&mut self, index: usize, event: &Event, value: Value) -> Option<Anomaly> {
        let first = self.seen.get(&value).copied();
        self.adds.insert(value.clone(), true);
        let first = first?;
        let text = format!(
            "the add of {value} by {} failed, but a read that completed before shows it",
            client(event.process, event)
        );
        Some(certain("resurrected", value, text, index, event, [first]))
    }

    /// Judges an element of a read that no earlier read of this node showed.
    fn element(&mut self, index: usize, event: &Event, value: Value) -> Option<Anomaly> {
        if self.seen.contains_key(&value) {
            return None;
        }
        self.seen.insert(value.clone(), index);
        let (kind, why) = match self.adds.get(&value) {
            Some(false) => return None,
            Some(true) => ("resurrected", "whose add had failed"),
            None => ("unexpected", "which no client had begun to add"),
        };
        let text = format!("the read by {} shows {value}, {why}", client(event.process, event));
        Some(certain(kind, value, text, index, event, []))
    }

    fn duplicate(index: usize, event: &Event, value: Value) -> Anomaly {
        let text =
            format!("the read by {} shows {value} more than once", client(event.process, event));
        certain("duplicate", value, text, index, event, [])
    }

    fn numbers(&mut self, index: usize, event: &Event, set: &IntSet) -> Option<Anomaly> {
        let former = self.last.insert(event.node, set.clone());
        let former = former.as_ref().map_or(&[][..], IntSet::as_slice);
        let (mut known, mut previous, mut found) = (former.iter().peekable(), None, None);
        for n in set.as_slice() {
            if previous.replace(*n) == Some(*n) {
                found = found.or_else(|| Some(Self::duplicate(index, event, Value::Int(*n))));
                continue;
            }
            while known.next_if(|k| *k < n).is_some() {}
            if known.peek() != Some(&n) {
                let wrong = self.element(index, event, Value::Int(*n));
                found = found.or(wrong);
            }
        }
        found
    }

    fn items(&mut self, index: usize, event: &Event, items: &[Value]) -> Option<Anomaly> {
        let (mut here, mut found) = (FastSet::default(), None);
        for item in items {
            if !here.insert(item) {
                found = found.or_else(|| Some(Self::duplicate(index, event, item.clone())));
            }
            let wrong = self.element(index, event, item.clone());
            found = found.or(wrong);
        }
        found
    }
}

impl Online for OnlineSet {
    fn observe(&mut self, index: usize, event: &Event) -> Option<Anomaly> {
        if self.unreadable || !event.process.is_client() {
            return None;
        }
        let begun = self.clients.step(index, event);
        let (is_add, is_read) = (event.f == self.add, event.f == self.read);
        match event.kind {
            Kind::Invoke if is_add => self.added(&event.value),
            Kind::Fail if is_add => return self.failed(index, event, begun?.value),
            Kind::Ok if is_add => {
                let begun = begun?;
                if let Some(sessions) = &mut self.sessions {
                    sessions.added(event.process, begun.value, index);
                }
            }
            Kind::Ok if is_read => {
                let begun = begun?.index;
                let found = match &event.value {
                    Value::Set(set) => self.numbers(index, event, set),
                    Value::List(items) => self.items(index, event, items),
                    _ => {
                        self.unreadable = true;
                        return None;
                    }
                };
                let session = self.sessions.as_mut();
                return found.or_else(|| session?.read(index, event, begun));
            }
            _ => {}
        }
        None
    }
}
