//! What a history of a queue says about each element.

use super::super::calls::{Call, Outcome, call, invoked};
use super::super::dense::{Dense, NONE};
use fuzz_dist_history::hash::FastMap;
use fuzz_dist_history::op::Value;
use fuzz_dist_history::{History, View};

/// What is known about one element.
#[derive(Clone, Copy)]
pub(super) struct Tally {
    /// Enqueues that may have happened, those of them that were acknowledged, and those that failed.
    pub(super) attempts: u32,
    pub(super) acknowledged: u32,
    pub(super) failed: u32,
    pub(super) dequeued: u32,
    /// Events; [`NONE`] where there is none.
    pub(super) first_attempt: u32,
    pub(super) first_dequeue: u32,
}

const UNKNOWN: Tally = Tally {
    attempts: 0,
    acknowledged: 0,
    failed: 0,
    dequeued: 0,
    first_attempt: NONE,
    first_dequeue: NONE,
};

/// The elements of a history by their numbers.
pub(super) struct Elements<'a> {
    pub(super) history: &'a History,
    pub(super) numbers: Dense<'a>,
    pub(super) tallies: Vec<Tally>,
    /// By their invocations.
    pub(super) enqueues: Vec<u32>,
    pub(super) dequeues: Vec<u32>,
}

impl<'a> Elements<'a> {
    /// The acknowledgements that nothing which came out answers, the last ones of each element,
    /// ascending, and the elements.
    pub(super) fn missing(&mut self) -> Vec<(usize, u32)> {
        let is_short = |t: &Tally| t.acknowledged > t.dequeued;
        if !self.tallies.iter().any(is_short) {
            return Vec::new();
        }
        let mut all: Vec<(usize, u32)> = Vec::new();
        for invoked in &self.enqueues {
            let call = call(self.history, *invoked as usize);
            let id = self.numbers.event(call.invoked);
            if let Some(done) = call.acknowledged().filter(|_| is_short(&self.tallies[id as usize]))
            {
                all.push((done, id));
            }
        }
        all.sort_unstable();
        let mut answered: FastMap<u32, u32> = FastMap::default();
        all.retain(|(_, id)| {
            let n = answered.entry(*id).or_default();
            *n += 1;
            *n > self.tallies[*id as usize].dequeued
        });
        all
    }

    /// Counts the enqueues, and gathers the dequeues.
    pub(super) fn of(history: &'a History) -> Elements<'a> {
        let [enqueues, dequeues] = invoked(history, [&["enqueue"], &["dequeue", "drain"]]);
        let numbers = Dense::of_events(history, &enqueues);
        let tallies = Vec::with_capacity(enqueues.len());
        let mut elements = Elements { history, numbers, tallies, enqueues: Vec::new(), dequeues };
        for invoked in &enqueues {
            let call = call(history, *invoked as usize);
            let id = elements.numbers.event(call.invoked);
            let tally = elements.tally(id);
            if call.outcome == Outcome::Failed {
                tally.failed += 1;
                continue;
            }
            tally.attempts += 1;
            tally.first_attempt = tally.first_attempt.min(call.invoked as u32);
            tally.acknowledged += u32::from(call.outcome == Outcome::Acknowledged);
        }
        elements.enqueues = enqueues;
        elements
    }

    pub(super) fn tally(&mut self, id: u32) -> &mut Tally {
        if self.tallies.len() <= id as usize {
            self.tallies.resize(id as usize + 1, UNKNOWN);
        }
        &mut self.tallies[id as usize]
    }

    pub(super) fn drains(&self, call: &Call) -> bool {
        &**self.history.function(call.invoked) == "drain"
    }

    /// Visits every element that a dequeue took.
    pub(super) fn taken(
        &mut self,
        call: &Call,
        done: usize,
        mut visit: impl FnMut(&mut Self, u32),
    ) {
        let history = self.history;
        match history.view(done) {
            Some(View::Nil) => {}
            Some(View::List(items)) if self.drains(call) => {
                for word in items.words() {
                    let id = self.numbers.word(word);
                    visit(self, id);
                }
            }
            None if self.drains(call) => {
                let Value::Set(set) = history.value(done) else { return };
                for n in set.as_slice() {
                    let id = self.numbers.int(*n);
                    visit(self, id);
                }
            }
            _ => {
                let id = self.numbers.event(done);
                visit(self, id);
            }
        }
    }

    /// Elements that are enqueued several times, at least as often as they are dequeued, and that had come
    /// out more often than they had gone in at some time before.
    pub(super) fn overtaken(&mut self) -> Vec<u32> {
        let again = |(id, t): (usize, &Tally)| {
            (t.attempts > 1 && t.dequeued > 1 && t.dequeued <= t.attempts).then_some(id as u32)
        };
        let ids: Vec<u32> = self.tallies.iter().enumerate().filter_map(again).collect();
        if ids.is_empty() {
            return ids;
        }
        let mut lives = self.lives(&ids);
        let mut overtaken = |id: &u32| {
            let Life { attempts, dequeued, .. } = lives.entry(*id).or_default();
            dequeued.sort_unstable();
            attempts.iter().zip(dequeued).skip(1).any(|(put, out)| put > out)
        };
        ids.into_iter().filter(|id| overtaken(id)).collect()
    }

    /// For each of a few elements the events that acknowledged and that dequeued it.
    pub(super) fn lives(&mut self, ids: &[u32]) -> FastMap<u32, Life> {
        let mut lives: FastMap<u32, Life> = ids.iter().map(|id| (*id, Life::default())).collect();
        let enqueues = std::mem::take(&mut self.enqueues);
        for invoked in &enqueues {
            let call = call(self.history, *invoked as usize);
            let id = self.numbers.event(call.invoked);
            if let Some(life) = lives.get_mut(&id) {
                life.acknowledged.extend(call.acknowledged());
                life.attempts.extend((call.outcome != Outcome::Failed).then_some(call.invoked));
            }
        }
        self.enqueues = enqueues;
        let dequeues = std::mem::take(&mut self.dequeues);
        for invoked in &dequeues {
            let call = call(self.history, *invoked as usize);
            let Some(done) = call.acknowledged() else { continue };
            self.taken(&call, done, |_, id| {
                if let Some(life) = lives.get_mut(&id) {
                    life.dequeued.push(done);
                }
            });
        }
        self.dequeues = dequeues;
        lives
    }
}

#[derive(Default)]
pub(super) struct Life {
    /// The invocations of its enqueues that may have happened, ascending.
    pub(super) attempts: Vec<usize>,
    pub(super) acknowledged: Vec<usize>,
    pub(super) dequeued: Vec<usize>,
}
