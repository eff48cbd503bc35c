//! Which of a node's reads have each element, by element.

use super::NONE;
use super::streams::Keep;
use fuzz_dist_history::Column;
use fuzz_dist_history::hash::FastMap;

/// Of elements that no read has.
const NEVER: u32 = 0;
/// Of elements that vanish, or appear more than once.
const SEVERAL: u32 = 1;
/// Of elements that appear in the first read, and stay; and so on.
const FIRST: u32 = 2;

/// The reads that have each element, as half-open ranges of places. Sets that only grow mostly have an
/// element from one read on, which is kept as one number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sights {
    /// Per element: [`NEVER`], [`SEVERAL`], or [`FIRST`] and the first read that has it.
    from: Column<u16, u32>,
    several: FastMap<u32, Vec<(u32, u32)>>,
    reads: u32,
}

impl Sights {
    /// The first read that has an element.
    pub(crate) fn first(&self, id: u32) -> Option<u32> {
        match self.of(id) {
            NEVER => None,
            SEVERAL => Some(self.several[&id][0].0),
            from => Some(from - FIRST),
        }
    }

    /// Looks at the runs of reads that have an element.
    #[inline]
    pub(crate) fn with_runs<T>(&self, id: u32, look: impl FnOnce(&[(u32, u32)]) -> T) -> T {
        match self.of(id) {
            NEVER => look(&[]),
            SEVERAL => look(&self.several[&id]),
            from => look(&[(from - FIRST, self.reads)]),
        }
    }

    #[inline]
    fn of(&self, id: u32) -> u32 {
        if (id as usize) < self.from.len() { self.from.get(id as usize) } else { NEVER }
    }

    /// The elements that some read lacks after an earlier one had them, with all their runs.
    pub(crate) fn vanishing(&self) -> &FastMap<u32, Vec<(u32, u32)>> {
        &self.several
    }
}

impl Keep for Sights {
    fn new(elements: usize) -> Sights {
        Sights { from: Column::zeros(elements), ..Sights::default() }
    }

    #[inline]
    fn keep(&mut self, id: u32, read: u32, appears: bool) {
        self.from.reach(id as usize + 1);
        match (self.from.get(id as usize), appears) {
            (NEVER, true) => self.from.set(id as usize, read + FIRST),
            (SEVERAL, appears) => {
                let runs = self.several.entry(id).or_default();
                match (runs.last_mut(), appears) {
                    (Some(last), false) => last.1 = read,
                    _ => runs.push((read, NONE)),
                }
            }
            (first, false) => {
                self.several.insert(id, vec![(first - FIRST, read)]);
                self.from.set(id as usize, SEVERAL);
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

#[cfg(test)]
mod tests {
    use super::*;
    use fuzz_dist_random::Seed;

    #[test]
    fn runs_are_what_was_kept_whatever_the_number_of_reads() {
        for seed in 0..500 {
            let mut s = Seed(seed).stream("sights");
            let (elements, reads) = (s.index(6), 1 + s.index(30) as u32);
            // Places around and beyond what 16 bits hold.
            let first = *s.choose(&[0, u32::from(u16::MAX) - 20, 1 << 20]).unwrap();
            let mut sights = Sights::new(elements);
            let mut runs: Vec<Vec<(u32, u32)>> = vec![Vec::new(); 8];
            for read in first..first + reads {
                for (id, runs) in runs.iter_mut().enumerate().filter(|_| s.chance(0.1)) {
                    let open = runs.last_mut().filter(|run| run.1 == NONE);
                    sights.keep(id as u32, read, open.is_none());
                    match open {
                        Some(run) => run.1 = read,
                        None => runs.push((read, NONE)),
                    }
                }
            }
            sights.finish(first + reads);
            for (id, mut runs) in runs.into_iter().enumerate() {
                runs.iter_mut().filter(|run| run.1 == NONE).for_each(|run| run.1 = first + reads);
                assert_eq!(sights.first(id as u32), runs.first().map(|run| run.0), "seed {seed}");
                assert_eq!(sights.with_runs(id as u32, <[_]>::to_vec), runs, "seed {seed}");
            }
        }
    }
}
