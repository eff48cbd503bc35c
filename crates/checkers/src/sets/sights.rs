//! Which of a node's reads have each element, by element.

use super::NONE;
use super::streams::Keep;
use fuzz_dist_history::hash::FastMap;

/// Of elements that vanish, or appear more than once.
const SEVERAL: u32 = NONE - 1;

/// The reads that have each element, as half-open ranges of places. Sets that only grow mostly have an
/// element from one read on, which is kept as one number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sights {
    /// Per element: the first read that has it, [`NONE`] or [`SEVERAL`].
    from: Vec<u32>,
    several: FastMap<u32, Vec<(u32, u32)>>,
    reads: u32,
}

impl Sights {
    /// The first read that has an element.
    pub(crate) fn first(&self, id: u32) -> Option<u32> {
        match self.from.get(id as usize).copied().unwrap_or(NONE) {
            NONE => None,
            SEVERAL => Some(self.several[&id][0].0),
            from => Some(from),
        }
    }

    /// Looks at the runs of reads that have an element.
    #[inline]
    pub(crate) fn with_runs<T>(&self, id: u32, look: impl FnOnce(&[(u32, u32)]) -> T) -> T {
        match self.from.get(id as usize).copied().unwrap_or(NONE) {
            NONE => look(&[]),
            SEVERAL => look(&self.several[&id]),
            from => look(&[(from, self.reads)]),
        }
    }

    /// The elements that some read lacks after an earlier one had them, with all their runs.
    pub(crate) fn vanishing(&self) -> &FastMap<u32, Vec<(u32, u32)>> {
        &self.several
    }
}

impl Keep for Sights {
    fn new(elements: usize) -> Sights {
        Sights { from: vec![NONE; elements], ..Sights::default() }
    }

    #[inline]
    fn keep(&mut self, id: u32, read: u32, appears: bool) {
        if self.from.len() <= id as usize {
            self.from.resize(id as usize + 1, NONE);
        }
        let from = &mut self.from[id as usize];
        match (*from, appears) {
            (NONE, true) => *from = read,
            (SEVERAL, appears) => {
                let runs = self.several.entry(id).or_default();
                match (runs.last_mut(), appears) {
                    (Some(last), false) => last.1 = read,
                    _ => runs.push((read, NONE)),
                }
            }
            (first, false) => {
                self.several.insert(id, vec![(first, read)]);
                *from = SEVERAL;
            }
            // It is there already.
            (_, true) => {}
        }
    }

    fn finish(&mut self, reads: u32) {
        self.reads = reads;
        let runs = self.several.values_mut().flatten();
        runs.filter(|run| run.1 == NONE).for_each(|run| run.1 = reads);
    }
}
