//! Checkers whose history is judged anew as it grows, for those that have no incremental form.

use super::{Anomaly, Online};
use crate::Verdict;
use fuzz_dist_history::History;
use fuzz_dist_history::op::Event;

/// A history of up to so many events is judged at every completion; longer ones whenever they have
/// grown by an eighth, so that all judging takes at most nine times as long as the last one.
const ALWAYS: usize = 64;

/// Judges a copy of the history again and again.
pub(crate) struct Rejudged<F> {
    history: History,
    next: usize,
    check: F,
    /// Kinds of anomalies that later events can undo.
    undone: &'static [&'static str],
}

impl<F: Fn(&History) -> Verdict + Send> Rejudged<F> {
    pub(crate) fn new(history: &History, undone: &'static [&'static str], check: F) -> Rejudged<F> {
        let history = History::new(history.nodes().iter().cloned());
        Rejudged { history, next: 0, check, undone }
    }

    /// Takes an event that needs no judgement.
    pub(super) fn record(&mut self, event: &Event) {
        // What is no event of a history is reported by whoever records it.
        let _ = self.history.push(event.clone());
    }
}

impl<F: Fn(&History) -> Verdict + Send> Online for Rejudged<F> {
    fn observe(&mut self, index: usize, event: &Event) -> Option<Anomaly> {
        self.history.push(event.clone()).ok()?;
        if index < self.next || event.kind == fuzz_dist_history::op::Kind::Invoke {
            return None;
        }
        let len = self.history.len();
        self.next = if len < ALWAYS { 0 } else { len + len / 8 };
        let found = (self.check)(&self.history).anomalies;
        let found = found.into_iter().find(|a| !self.undone.contains(&&*a.kind))?;
        // It would be found again and again.
        self.next = usize::MAX;
        Some(found)
    }
}
