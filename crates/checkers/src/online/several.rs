//! Several judges of one history that grows, and one for each key of it.

use std::sync::Arc;

use super::{Anomaly, Online};
use crate::Checker;
use fuzz_dist_history::History;
use fuzz_dist_history::hash::FastMap;
use fuzz_dist_history::op::{Event, Value};

/// The first anomaly of any of them.
pub(crate) struct All(pub(crate) Vec<Box<dyn Online>>);

impl Online for All {
    fn observe(&mut self, index: usize, event: &Event) -> Option<Anomaly> {
        let mut found = None;
        for judge in &mut self.0 {
            let wrong = judge.observe(index, event);
            found = found.or(wrong);
        }
        found
    }
}

/// [`independent`](crate::independent): each key by itself.
pub(crate) struct Keyed<C> {
    checker: Arc<C>,
    /// The history before its first event: its nodes and facts.
    begin: History,
    keys: FastMap<Value, Key>,
    /// The key of what each client has begun.
    open: FastMap<u32, Value>,
    unreadable: bool,
}

struct Key {
    judge: Box<dyn Online>,
    /// Where its events stand in the whole.
    events: Vec<usize>,
}

impl<C: Checker> Keyed<C> {
    pub(crate) fn new(checker: &Arc<C>, history: &History) -> Option<Keyed<C>> {
        let mut begin = History::new(history.nodes().iter().cloned());
        for (name, value) in history.all_meta() {
            begin.set_meta(name.clone(), value.clone());
        }
        checker.online(&begin)?;
        let (keys, open) = (FastMap::default(), FastMap::default());
        Some(Keyed { checker: checker.clone(), begin, keys, open, unreadable: false })
    }
}

impl<C: Checker> Online for Keyed<C> {
    fn observe(&mut self, index: usize, event: &Event) -> Option<Anomaly> {
        if self.unreadable || !event.process.is_client() {
            return None;
        }
        let pair = match event.value.as_list() {
            Some([key, value]) => Some((key.clone(), value.clone())),
            _ => None,
        };
        let (key, value) = match (self.open.remove(&event.process.0), pair) {
            // A completion may leave the key out.
            (Some(key), Some((named, value))) if named == key => (key, value),
            (Some(key), _) => (key, event.value.clone()),
            (None, Some((key, value))) => {
                self.open.insert(event.process.0, key.clone());
                (key, value)
            }
            (None, None) => {
                self.unreadable = true;
                return None;
            }
        };
        if !self.keys.contains_key(&key) {
            let judge = self.checker.online(&self.begin)?;
            self.keys.insert(key.clone(), Key { judge, events: Vec::new() });
        }
        let Key { judge, events } = self.keys.get_mut(&key)?;
        let place = events.len();
        events.push(index);
        let mut found = judge.observe(place, &Event { value, ..event.clone() })?;
        found.events.iter_mut().for_each(|e| *e = events[*e]);
        found.explanation = format!("key {key}: {}", found.explanation);
        Some(found)
    }
}
