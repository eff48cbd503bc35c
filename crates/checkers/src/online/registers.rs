//! A register whose written values are distinct, while it is used.
//!
//! The zones of [`distinct_register`](crate::distinct_register): a zone's end, the earliest
//! completion of an operation with its value, is fixed once there is one; its begin, the latest
//! invocation, moves on. A forward zone grows, so that what it meets has to be looked at in what it
//! gained alone.

use std::collections::BTreeMap;

use super::{Anomaly, Clients, Online, certain, client};
use fuzz_dist_history::hash::FastMap;
use fuzz_dist_history::op::{Event, Kind, Value};

/// See the module.
#[derive(Default)]
pub(crate) struct OnlineRegister {
    clients: Clients,
    groups: FastMap<Value, Group>,
    /// By their ends: begins and values. Forward zones are apart from one another so far.
    forward: BTreeMap<usize, (usize, Value)>,
    backward: BTreeMap<usize, (usize, Value)>,
    unreadable: bool,
}

/// A value's write and reads; events count from 1, and 0 is before everything.
#[derive(Clone, Copy, Default)]
struct Group {
    end: Option<usize>,
    begin: usize,
    read: Option<usize>,
}

impl OnlineRegister {
    fn written(&mut self, index: usize, value: &Value) {
        let group = Group { begin: index + 1, ..Group::default() };
        self.unreadable |= value.is_nil() || self.groups.insert(value.clone(), group).is_some();
    }

    /// An operation with this value has completed, so that the register had it at some time.
    fn done(&mut self, index: usize, begun: usize, value: &Value) -> Option<(Value, usize)> {
        let group = self.groups.get_mut(value)?;
        let former = *group;
        let end = *group.end.get_or_insert(index + 1);
        group.begin = group.begin.max(begun + 1);
        let begin = group.begin;
        let zone = (begin, value.clone());
        if end > begin {
            self.backward.insert(end, zone);
            let (_, (around, other)) = self.forward.range(..begin).next_back()?;
            return (*around > end).then(|| (other.clone(), *around));
        }
        self.backward.remove(&end);
        self.forward.insert(end, zone);
        // What it had before was looked at already.
        let from = if former.end < Some(former.begin) { former.begin } else { end };
        let next = self.forward.range(end + 1..).next().filter(|(next, _)| **next < begin);
        let former = self.forward.range(..end).next_back().filter(|(_, (reach, _))| *reach > end);
        let crossed = next.or(former).map(|(other, (_, value))| (value.clone(), *other));
        let inside = self.backward.range(from.min(begin)..begin);
        let mut inside = inside.filter(|(_, (start, _))| *start > end);
        crossed.or_else(|| inside.next().map(|(other, (_, value))| (value.clone(), *other)))
    }

    fn read(&mut self, index: usize, event: &Event, begun: usize) -> Option<Anomaly> {
        let value = &event.value;
        if value.is_nil() {
            self.groups.entry(Value::Nil).or_insert(Group { end: Some(0), ..Group::default() });
        }
        let Some(group) = self.groups.get_mut(value) else {
            let text = format!(
                "{value} was read by {}, but no client had begun to write it",
                client(event.process, event)
            );
            return Some(certain("thin_air", value.clone(), text, index, event, [begun]));
        };
        group.read = group.read.or(Some(index));
        let crossed = self.done(index, begun, value);
        self.crossing(index, event, value, crossed)
    }

    fn crossing(
        &self,
        index: usize,
        event: &Event,
        value: &Value,
        crossed: Option<(Value, usize)>,
    ) -> Option<Anomaly> {
        let (other, at) = crossed?;
        let text = format!(
            "{other} and {value} cannot have followed one another, as {} shows",
            client(event.process, event)
        );
        let earlier = at.checked_sub(1);
        Some(certain("not_linearizable", value.clone(), text, index, event, earlier))
    }
}

impl Online for OnlineRegister {
    fn observe(&mut self, index: usize, event: &Event) -> Option<Anomaly> {
        if self.unreadable || !event.process.is_client() {
            return None;
        }
        let begun = self.clients.step(index, event);
        match (&*event.f, event.kind) {
            ("write", Kind::Invoke) => self.written(index, &event.value),
            ("write", Kind::Ok) => {
                let begun = begun?;
                let crossed = self.done(index, begun.index, &begun.value);
                return self.crossing(index, event, &begun.value, crossed);
            }
            ("write", Kind::Fail) => {
                let value = begun?.value;
                let read = self.groups.remove(&value)?.read?;
                let text = format!("{value} was read, and its write failed");
                return Some(certain("thin_air", value, text, index, event, [read]));
            }
            ("read", Kind::Ok) => return self.read(index, event, begun?.index),
            ("read" | "write", _) => {}
            _ => self.unreadable = true,
        }
        None
    }
}
