//! Which sums are possible, for the verification of witnesses: not by the code of the checkers.

use std::collections::HashSet;

/// So many pairs of a sum and a number are added.
const PAIRS_MAX: usize = 1 << 20;

/// Possible sums; where there are too many, only how far they go.
pub(crate) struct Sums {
    exact: Option<HashSet<i128>>,
    least: i128,
    greatest: i128,
    sums_max: usize,
}

impl Sums {
    /// The sum of nothing; at most so many sums are kept apart.
    pub(crate) fn zero(sums_max: usize) -> Sums {
        Sums { exact: Some([0].into()), least: 0, greatest: 0, sums_max }
    }

    /// Are all sums kept apart, so that whatever it contains is one?
    pub(crate) fn is_exact(&self) -> bool {
        self.exact.is_some()
    }

    /// Exactly one of these numbers, of which there is at least one, is part of the sum.
    pub(crate) fn one_of(&mut self, numbers: &[i128]) {
        self.least += numbers.iter().min().copied().unwrap_or(0);
        self.greatest += numbers.iter().max().copied().unwrap_or(0);
        let numbers: HashSet<i128> = numbers.iter().copied().collect();
        let few = |sums: &HashSet<i128>| sums.len().saturating_mul(numbers.len()) <= PAIRS_MAX;
        let more = self.exact.take().filter(few).map(|sums| -> HashSet<i128> {
            sums.iter().flat_map(|s| numbers.iter().map(move |n| s + n)).collect()
        });
        self.exact = more.filter(|sums| sums.len() <= self.sums_max);
    }

    /// May this be the sum?
    pub(crate) fn contains(&self, sum: i128) -> bool {
        let range = self.least..=self.greatest;
        self.exact.as_ref().map_or_else(|| range.contains(&sum), |sums| sums.contains(&sum))
    }
}
