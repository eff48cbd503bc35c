//! What the search keeps: configurations, and what operations do to states.

use fuzz_dist_history::hash::{FastMap, mix};

/// What explains the history so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Configuration {
    /// The pending operations that have taken effect, as bits.
    pub(super) done: u128,
    /// The number of the state.
    pub(super) state: u32,
    /// The event at which a write last took effect that did not look at what was there: writes
    /// that were pending then may have taken effect right before it, or not.
    pub(super) overwritten: u32,
}

/// A set of configurations that is emptied at no cost: a cell counts only with the latest stamp.
/// Of those that differ in `overwritten` alone it holds the one with the latest, which can do all
/// that the others can.
#[derive(Default)]
pub(super) struct Seen {
    cells: Vec<Cell>,
    stamp: u32,
    len: usize,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    // Its parts, as with the stamp they fill 32 bytes, and the whole would take 48.
    done: u128,
    state: u32,
    overwritten: u32,
    stamp: u32,
}

const CELLS_MIN: usize = 256;

impl Seen {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn clear(&mut self) {
        // Few in many cells would be spread over more memory than the caches hold.
        if self.len * 16 < self.cells.len() && self.cells.len() > CELLS_MIN {
            self.cells.truncate(self.cells.len() / 2);
        }
        if self.stamp == u32::MAX {
            self.cells.fill(Cell::default());
            self.stamp = 0;
        }
        self.stamp += 1;
        self.len = 0;
    }

    /// Was it new, or better than what was there?
    pub(super) fn insert(&mut self, configuration: Configuration) -> bool {
        if (self.len + 1) * 2 > self.cells.len() {
            self.grow();
        }
        let last = self.cells.len() - 1;
        let Configuration { done, state, overwritten } = configuration;
        let mut at = mix(mix(done as u64, (done >> 64) as u64), state.into()) as usize & last;
        loop {
            let cell = &mut self.cells[at];
            if cell.stamp != self.stamp {
                *cell = Cell { done, state, overwritten, stamp: self.stamp };
                self.len += 1;
                return true;
            }
            if (cell.done, cell.state) == (done, state) {
                let better = cell.overwritten < overwritten;
                cell.overwritten = cell.overwritten.max(overwritten);
                return better;
            }
            at = (at + 1) & last;
        }
    }

    fn grow(&mut self) {
        let size = (self.cells.len() * 2).max(CELLS_MIN);
        let old = std::mem::replace(&mut self.cells, vec![Cell::default(); size]);
        self.len = 0;
        let stamp = self.stamp;
        for Cell { done, state, overwritten, .. } in old.into_iter().filter(|c| c.stamp == stamp) {
            self.insert(Configuration { done, state, overwritten });
        }
    }
}

/// Up to so many results stand in a table, others elsewhere.
const TABLE_MAX: usize = 1 << 20;
const UNKNOWN: u32 = u32::MAX - 1;
const IMPOSSIBLE: u32 = u32::MAX;

/// The state after an operation in a state, once it is known.
pub(super) struct Steps {
    operations: usize,
    table: Vec<u32>,
    far: FastMap<usize, u32>,
}

impl Steps {
    pub(super) fn new(operations: usize) -> Steps {
        Steps { operations, table: Vec::new(), far: FastMap::default() }
    }

    /// `None` where it is not known, else the state after the operation, where that is possible.
    pub(super) fn get(&self, state: u32, operation: u32) -> Option<Option<u32>> {
        let place = state as usize * self.operations + operation as usize;
        let found = self.table.get(place).copied();
        match found.or_else(|| self.far.get(&place).copied()) {
            None | Some(UNKNOWN) => None,
            Some(IMPOSSIBLE) => Some(None),
            Some(next) => Some(Some(next)),
        }
    }

    pub(super) fn set(&mut self, state: u32, operation: u32, next: Option<u32>) {
        let place = state as usize * self.operations + operation as usize;
        let next = next.unwrap_or(IMPOSSIBLE);
        if place >= TABLE_MAX {
            self.far.insert(place, next);
            return;
        }
        if self.table.len() <= place {
            let rows = (state as usize + 1).next_power_of_two();
            self.table.resize((rows * self.operations).clamp(place + 1, TABLE_MAX), UNKNOWN);
        }
        self.table[place] = next;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use fuzz_dist_random::Seed;

    #[test]
    fn a_set_that_is_emptied_again_and_again_holds_what_was_put_in() {
        let mut s = Seed(1).stream("seen");
        let mut seen = Seen::default();
        for round in 0..300 {
            seen.clear();
            let mut oracle: HashMap<(u128, u32), u32> = HashMap::new();
            for _ in 0..s.index(if round % 50 == 0 { 5_000 } else { 60 }) {
                let done = u128::from(s.below(64)) << (64 * s.below(2));
                let (state, overwritten) = (s.below(40) as u32, s.below(4) as u32);
                let better = oracle.get(&(done, state)).is_none_or(|known| *known < overwritten);
                if better {
                    oracle.insert((done, state), overwritten);
                }
                let new = Configuration { done, state, overwritten };
                assert_eq!(seen.insert(new), better, "round {round}");
            }
            assert_eq!(seen.len(), oracle.len());
        }
    }

    #[test]
    fn steps_are_kept_in_the_table_and_beyond_it() {
        let mut steps = Steps::new(1000);
        for (state, next) in [(0, Some(5)), (3, None), (2000, Some(7)), (2001, None)] {
            assert_eq!(steps.get(state, 999), None);
            steps.set(state, 999, next);
            assert_eq!(steps.get(state, 999), Some(next));
            assert_eq!(steps.get(state, 998), None);
        }
    }
}
