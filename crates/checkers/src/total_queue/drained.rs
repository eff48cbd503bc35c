//! When a queue was drained, and what is lost from it.

use super::super::calls::{Call, Outcome};
use super::elements::Elements;
use fuzz_dist_history::{History, Word};

/// When the queue was drained, and who may have taken something that nobody knows of.
#[derive(Default)]
pub(super) struct Drained {
    /// Invocation and completion of what found the queue empty, or emptied it.
    points: Vec<(usize, usize)>,
    /// Dequeues that found nothing, since the last one that gave an element began.
    nothing: Vec<(usize, usize)>,
    /// The invocations of dequeues and of drains of unknown outcome, ascending.
    pub(super) dequeues: Vec<usize>,
    pub(super) drains: Vec<usize>,
}

/// What did not come out.
#[derive(Default)]
pub(super) struct Gone {
    /// Acknowledgements that nothing which came out answers, and the numbers of their elements.
    pub(super) all: Vec<(usize, u32)>,
    /// Lost for certain, with when the queue was drained without them, and how many of them
    /// somebody can have taken.
    pub(super) lost: Option<(Vec<u32>, usize, usize)>,
    /// Those after which the queue was not drained.
    pub(super) undrained: usize,
}

impl Drained {
    /// Takes the operations in the order of their invocations.
    pub(super) fn add(&mut self, history: &History, call: &Call, drains: bool) {
        match call.acknowledged() {
            None if call.outcome == Outcome::Failed => {}
            None if drains => self.drains.push(call.invoked),
            None => self.dequeues.push(call.invoked),
            Some(done) if drains => self.points.push((call.invoked, done)),
            Some(done) if history.word(done) == Word::NIL => {
                self.nothing.push((call.invoked, done));
            }
            Some(_) => self.nothing.clear(),
        }
    }

    /// What of all that did not come out is lost.
    pub(super) fn judge(&self, elements: &mut Elements<'_>) -> Gone {
        let mut gone = Gone { all: elements.missing(), ..Gone::default() };
        if gone.all.is_empty() {
            return gone;
        }
        let came_before = |event: usize| gone.all.partition_point(|(done, _)| *done < event);
        let points = || self.points.iter().chain(&self.nothing);
        gone.undrained = gone.all.len() - points().map(|p| came_before(p.0)).max().unwrap_or(0);
        let short = points().filter_map(|(invoked, done)| {
            let (missing, taken) =
                (came_before(*invoked), self.dequeues.partition_point(|q| q < done));
            let by_drain = self.drains.first().is_some_and(|q| q < done);
            (!by_drain && missing > taken).then_some((missing, taken, *done))
        });
        gone.lost = short.max_by_key(|(missing, taken, done)| (missing - taken, *done)).map(
            |(missing, taken, done)| {
                let mut ids: Vec<u32> = gone.all[..missing].iter().map(|(_, id)| *id).collect();
                ids.sort_unstable();
                ids.dedup();
                (ids, done, taken)
            },
        );
        gone
    }
}
