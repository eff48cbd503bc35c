//! Elements of sets as dense numbers, in the order in which their adds were invoked.

use super::super::calls::{Outcome, calls};
use super::super::dense::{Dense, Values};
use super::NONE;
use fuzz_dist_history::hash::FastMap;
use fuzz_dist_history::op::{Process, Value};
use fuzz_dist_history::{History, Word};

/// The adds of a history by element; the element's number is the place in each list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Adds {
    /// The invocations.
    pub(crate) invoked: Vec<u32>,
    /// What became of them.
    pub(crate) outcome: Vec<Outcome>,
    /// Of elements that were added again: the invocations of their former adds, which all failed.
    former: FastMap<u32, Vec<u32>>,
}

impl Adds {
    /// How many elements were added, or were attempted to be.
    pub(crate) fn len(&self) -> usize {
        self.invoked.len()
    }

    /// The event that completed the add of element `id`, [`NONE`] where none did.
    #[inline]
    pub(crate) fn completed(&self, history: &History, id: usize) -> u32 {
        history.completion(self.invoked[id] as usize).map_or(NONE, |c| c as u32)
    }

    /// Was the add of element `id` acknowledged?
    #[inline]
    pub(crate) fn is_acknowledged(&self, id: usize) -> bool {
        self.outcome[id] == Outcome::Acknowledged
    }

    /// The event that acknowledged element `id`, [`NONE`] where none did.
    #[inline]
    pub(crate) fn acknowledged(&self, history: &History, id: usize) -> u32 {
        if self.is_acknowledged(id) { self.completed(history, id) } else { NONE }
    }

    /// The invocations of the failed adds of element `id` before its last one.
    #[inline]
    pub(crate) fn former(&self, id: u32) -> &[u32] {
        self.former.get(&id).map_or(&[], |former| former)
    }

    /// An element may be added again when all its earlier adds failed; the last one counts. `None` where
    /// one was added again and none of that is so.
    fn leave_out_retried(&mut self, history: &History) -> Option<()> {
        let mut numbers = Dense::of_events(history, &self.invoked);
        // By element: the place of its last add so far.
        let mut last: Vec<u32> = Vec::new();
        let mut counts = vec![true; self.len()];
        for (place, i) in self.invoked.iter().enumerate() {
            let id = numbers.event(*i as usize) as usize;
            match last.get_mut(id) {
                None => last.push(place as u32),
                Some(last) => {
                    let former = std::mem::replace(last, place as u32) as usize;
                    if self.outcome[former] != Outcome::Failed {
                        return None;
                    }
                    counts[former] = false;
                }
            }
        }
        let mut former: FastMap<u32, Vec<u32>> = FastMap::default();
        for (i, counts) in self.invoked.iter().zip(&counts) {
            if !counts {
                former.entry(numbers.event(*i as usize)).or_default().push(*i);
            }
        }
        let kept = self.invoked.iter().zip(&counts).filter(|(_, counts)| **counts);
        for (id, (i, _)) in kept.enumerate() {
            if let Some(former) = former.remove(&numbers.event(*i as usize)) {
                self.former.insert(id as u32, former);
            }
        }
        let mut both = counts.iter();
        self.invoked.retain(|_| both.next() == Some(&true));
        let mut both = counts.iter();
        self.outcome.retain(|_| both.next() == Some(&true));
        Some(())
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
        let mut adds = Adds::default();
        for call in calls(history, &[add]) {
            adds.invoked.push(call.invoked as u32);
            adds.outcome.push(call.outcome);
        }
        let numbers = Elements::numbered(history, &adds).or_else(|twice| {
            adds.leave_out_retried(history).ok_or(twice)?;
            Elements::numbered(history, &adds)
        })?;
        let count = numbers.len() as u32;
        Ok((Elements { numbers, adds: count }, adds))
    }

    /// Numbers adds of different elements, or gives the first two of the same one.
    fn numbered(history: &'a History, adds: &Adds) -> Result<Dense<'a>, (usize, usize)> {
        let mut numbers = Dense::of_events(history, &adds.invoked);
        for (id, i) in adds.invoked.iter().enumerate() {
            let former = numbers.event(*i as usize) as usize;
            if former != id {
                return Err((adds.invoked[former] as usize, *i as usize));
            }
        }
        Ok(numbers)
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

    /// Visits the elements that were read and never added, with their numbers.
    pub(crate) fn strangers(&self, mut visit: impl FnMut(usize, &Value)) {
        for id in self.adds..self.numbers.len() as u32 {
            visit(id as usize, &self.numbers.value(id));
        }
    }

    /// The elements themselves by number, where no others get one any more.
    pub(crate) fn into_names(self) -> Values<'a> {
        self.numbers.into_values()
    }

    /// The element itself.
    pub(crate) fn name(&self, id: usize) -> Value {
        self.numbers.value(id as u32)
    }
}
