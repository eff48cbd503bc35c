//! Elements of sets as dense numbers, in the order in which their adds were invoked.

use super::super::calls::{Call, Outcome, calls};
use super::super::dense::Dense;
use super::NONE;
use fuzz_dist_history::hash::FastMap;
use fuzz_dist_history::op::{Process, Value};
use fuzz_dist_history::{History, Word};

/// The adds of a history by element; the element's number is the place in each list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Adds {
    /// The invocations.
    pub(crate) invoked: Vec<u32>,
    /// The completions, [`NONE`] where there is none.
    pub(crate) completed: Vec<u32>,
    /// What became of them.
    pub(crate) outcome: Vec<Outcome>,
}

impl Adds {
    /// How many elements were added, or were attempted to be.
    pub(crate) fn len(&self) -> usize {
        self.invoked.len()
    }

    /// The event that acknowledged element `id`, [`NONE`] where none did.
    pub(crate) fn acknowledged(&self, id: usize) -> u32 {
        if self.outcome[id] == Outcome::Acknowledged { self.completed[id] } else { NONE }
    }

    /// The process that added element `id`.
    pub(crate) fn process(&self, history: &History, id: usize) -> Process {
        history.process(self.invoked[id] as usize)
    }
}

/// The numbers of elements; what was read and never added is numbered from the number of adds on.
#[derive(Debug)]
pub(crate) struct Elements<'a> {
    numbers: Dense<'a>,
    adds: u32,
}

impl<'a> Elements<'a> {
    /// Numbers the elements of all invocations of `add`.
    ///
    /// # Errors
    ///
    /// The first two invocations that add the same element, unless all but its last one failed.
    pub(crate) fn added(
        history: &'a History,
        add: &str,
    ) -> Result<(Elements<'a>, Adds), (usize, usize)> {
        Elements::of_adds(history, calls(history, &[add])).or_else(|twice| {
            // An element may be added again when all its earlier adds failed; the last one counts.
            let all: Vec<Call> = calls(history, &[add]).collect();
            let mut last: FastMap<Value, usize> = FastMap::default();
            for (i, call) in all.iter().enumerate() {
                let former = last.insert(history.value(call.invoked), i);
                if former.is_some_and(|f| all[f].outcome != Outcome::Failed) {
                    return Err(twice);
                }
            }
            let mut kept: Vec<usize> = last.into_values().collect();
            kept.sort_unstable();
            Elements::of_adds(history, kept.into_iter().map(|i| all[i]))
        })
    }

    fn of_adds(
        history: &'a History,
        calls: impl Iterator<Item = Call>,
    ) -> Result<(Elements<'a>, Adds), (usize, usize)> {
        let mut adds = Adds::default();
        for call in calls {
            adds.invoked.push(call.invoked as u32);
            adds.completed.push(call.completed.map_or(NONE, |c| c as u32));
            adds.outcome.push(call.outcome);
        }
        let mut numbers = Dense::of_events(history, &adds.invoked);
        for (id, i) in adds.invoked.iter().enumerate() {
            let former = numbers.event(*i as usize) as usize;
            if former != id {
                return Err((adds.invoked[former] as usize, *i as usize));
            }
        }
        let count = numbers.len() as u32;
        Ok((Elements { numbers, adds: count }, adds))
    }

    /// Numbers the values of invocations, of which several may be equal; gives the number of
    /// each.
    pub(crate) fn of_values(history: &'a History, invoked: &[u32]) -> (Elements<'a>, Vec<u32>) {
        let mut numbers = Dense::of_events(history, invoked);
        let ids = invoked.iter().map(|i| numbers.event(*i as usize)).collect();
        let count = numbers.len() as u32;
        (Elements { numbers, adds: count }, ids)
    }

    /// The number of a whole number; a new one where it was never added.
    pub(crate) fn int(&mut self, n: i64) -> u32 {
        self.numbers.int(n)
    }

    /// The number of a whole number that was added or read before.
    pub(crate) fn find_int(&self, n: i64) -> Option<u32> {
        self.numbers.find_int(n)
    }

    /// The number of any value of the history; a new one where it was never added.
    pub(crate) fn word(&mut self, word: Word) -> u32 {
        self.numbers.word(word)
    }

    /// How many elements were added or read.
    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Tells the elements that were read and never added, with their numbers.
    pub(crate) fn strangers(&self, mut tell: impl FnMut(usize, &Value)) {
        for id in self.adds..self.numbers.len() as u32 {
            tell(id as usize, &self.numbers.value(id));
        }
    }

    /// The element itself.
    pub(crate) fn name(&self, id: usize) -> Value {
        self.numbers.value(id as u32)
    }
}
