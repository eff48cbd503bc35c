//! The sums that are possible where of some numbers each may or may not count, as ranges.

/// After so many ranges the closest ones are joined, unless a caller wants more: what is kept then is a superset.
const RANGES_MAX: usize = 512;

/// So many pairs of a range and a number are looked at; beyond, the closest ranges are joined first.
const PAIRS_MAX: usize = 1 << 20;

/// A set of whole numbers as ascending, disjoint, not adjacent ranges with both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ranges {
    ranges: Vec<(i128, i128)>,
    ranges_max: usize,
    /// Were ranges joined, so that numbers are in it that no subset gives?
    pub(crate) approximate: bool,
}

impl Ranges {
    /// The sum of nothing.
    pub(crate) fn zero() -> Ranges {
        Ranges::up_to(RANGES_MAX)
    }

    /// The sum of nothing; the closest ranges are joined when there are more than `ranges_max`.
    pub(crate) fn up_to(ranges_max: usize) -> Ranges {
        Ranges { ranges: vec![(0, 0)], ranges_max, approximate: false }
    }

    /// How many ranges there are.
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// One more number may be part of the sum, or not.
    pub(crate) fn may_add(&mut self, n: i64) {
        let n = i128::from(n);
        if let [(low, high)] = &mut self.ranges[..]
            && n.unsigned_abs() <= (*high - *low + 1).unsigned_abs()
        {
            (*low, *high) = (*low + n.min(0), *high + n.max(0));
            return;
        }
        let mut merged: Vec<(i128, i128)> = Vec::with_capacity(self.ranges.len() * 2);
        let (mut i, mut j) = (0, 0);
        while i < self.ranges.len() || j < self.ranges.len() {
            let own = self.ranges.get(i).copied();
            let shifted = self.ranges.get(j).map(|(a, b)| (a + n, b + n));
            let next = match (own, shifted) {
                (Some(a), b) if b.is_none_or(|b| a.0 <= b.0) => {
                    i += 1;
                    a
                }
                (_, Some(b)) => {
                    j += 1;
                    b
                }
                _ => break,
            };
            match merged.last_mut() {
                Some(last) if next.0 <= last.1 + 1 => last.1 = last.1.max(next.1),
                _ => merged.push(next),
            }
        }
        self.ranges = merged;
        self.limit();
    }

    /// Exactly one of these numbers, of which there is at least one, is part of the sum.
    pub(crate) fn one_of(&mut self, numbers: &[i128]) {
        let mut all = self.pairs(numbers);
        all.sort_unstable();
        all.dedup_by(|next, last| {
            let joins = next.0 <= last.1 + 1;
            if joins {
                last.1 = last.1.max(next.1);
            }
            joins
        });
        self.ranges = all;
        self.limit();
    }

    /// Each range with each of the numbers added; of too many pairs, the closest ranges are joined first.
    fn pairs(&mut self, numbers: &[i128]) -> Vec<(i128, i128)> {
        let mut numbers = numbers.to_vec();
        numbers.sort_unstable();
        numbers.dedup();
        self.join_to((PAIRS_MAX / numbers.len().max(1)).max(1));
        let mut all = Vec::with_capacity(numbers.len() * self.ranges.len());
        for n in numbers {
            all.extend(self.ranges.iter().map(|(low, high)| (low + n, high + n)));
        }
        all
    }

    /// One more number is part of the sum.
    pub(crate) fn must_add(&mut self, n: i64) {
        for (low, high) in &mut self.ranges {
            *low += i128::from(n);
            *high += i128::from(n);
        }
    }

    /// The one range, where there is one only and it is at least so wide: numbers up to this
    /// width leave no gaps in it.
    pub(crate) fn single(&mut self, width: i128) -> Option<&mut (i128, i128)> {
        match &mut self.ranges[..] {
            [range] if range.1 - range.0 + 1 >= width => Some(range),
            _ => None,
        }
    }

    /// All sums with a larger number in them.
    pub(crate) fn shifted(&self, n: i128) -> Ranges {
        let ranges = self.ranges.iter().map(|(low, high)| (low + n, high + n)).collect();
        Ranges { ranges, ranges_max: self.ranges_max, approximate: self.approximate }
    }

    /// Is `n` a possible sum?
    pub(crate) fn contains(&self, n: i128) -> bool {
        let i = self.ranges.partition_point(|r| r.1 < n);
        self.ranges.get(i).is_some_and(|r| r.0 <= n)
    }

    /// The least and the greatest possible sum.
    pub(crate) fn ends(&self) -> (i128, i128) {
        (self.ranges[0].0, self.ranges[self.ranges.len() - 1].1)
    }

    /// The possible sum that is closest to `n`.
    pub(crate) fn nearest(&self, n: i128) -> i128 {
        let candidates = self.ranges.iter().map(|(low, high)| n.clamp(*low, *high));
        candidates.min_by_key(|c| (c - n).unsigned_abs()).unwrap_or(0)
    }

    /// Where there are too many ranges, closes the smallest gaps until half of them are left.
    fn limit(&mut self) {
        if self.ranges.len() > self.ranges_max {
            self.join_to(self.ranges_max / 2);
        }
    }

    /// Closes the smallest gaps until there are so many ranges at most, at least one. Of equal gaps the first
    /// ones stay.
    fn join_to(&mut self, count: usize) {
        if self.ranges.len() <= count {
            return;
        }
        let mut gaps: Vec<i128> = self.ranges.windows(2).map(|w| w[1].0 - w[0].1).collect();
        let kept = count.saturating_sub(1);
        gaps.sort_unstable_by(|a, b| b.cmp(a));
        let narrowest = gaps[kept];
        let mut equal = kept - gaps.partition_point(|gap| *gap > narrowest);
        let mut joined: Vec<(i128, i128)> = Vec::with_capacity(kept + 1);
        for range in self.ranges.drain(..) {
            let Some(last) = joined.last_mut() else {
                joined.push(range);
                continue;
            };
            let gap = range.0 - last.1;
            let is_equal = gap == narrowest && equal > 0;
            equal -= usize::from(is_equal);
            match gap > narrowest || is_equal {
                true => joined.push(range),
                false => last.1 = range.1,
            }
        }
        self.ranges = joined;
        self.approximate = true;
    }
}

impl Default for Ranges {
    fn default() -> Ranges {
        Ranges::zero()
    }
}

/// `-3..5`, `0, 5, 10`, at most a few of them.
impl std::fmt::Display for Ranges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 4;
        for (i, (low, high)) in self.ranges.iter().take(SHOWN).enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            match low == high {
                true => write!(f, "{comma}{low}")?,
                false => write!(f, "{comma}{low}..{high}")?,
            }
        }
        if self.ranges.len() > SHOWN {
            write!(f, ", … {}", self.ranges[self.ranges.len() - 1].1)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fuzz_dist_random::Seed;

    #[test]
    fn ranges_are_the_sums_of_all_subsets() {
        for seed in 0..500 {
            let mut s = Seed(seed).stream("ranges");
            let numbers: Vec<i64> = (0..s.index(9)).map(|_| s.below(21) as i64 - 10).collect();
            let mut ranges = Ranges::zero();
            numbers.iter().for_each(|n| ranges.may_add(*n));
            let sums: std::collections::BTreeSet<i64> = (0..1u32 << numbers.len())
                .map(|m| (0..numbers.len()).filter(|i| m >> i & 1 == 1).map(|i| numbers[i]).sum())
                .collect();
            for n in -100..=100 {
                assert_eq!(ranges.contains(n.into()), sums.contains(&n), "{numbers:?} {n}");
            }
            assert!(!ranges.approximate);
            let mut chosen = Ranges::zero();
            numbers.iter().for_each(|n| chosen.one_of(&[0, i128::from(*n)]));
            assert_eq!(chosen, ranges, "{numbers:?}");
        }
    }

    #[test]
    fn one_of_each_group_is_part_of_the_sum() {
        for seed in 0..500 {
            let mut s = Seed(seed).stream("groups");
            let groups: Vec<Vec<i128>> = (0..s.index(5))
                .map(|_| (0..=s.index(4)).map(|_| s.below(41) as i128 - 20).collect())
                .collect();
            let (mut ranges, mut sums) = (Ranges::zero(), std::collections::BTreeSet::from([0]));
            for group in &groups {
                ranges.one_of(group);
                sums = sums.iter().flat_map(|s| group.iter().map(move |n| s + n)).collect();
            }
            for n in -100..=100 {
                assert_eq!(ranges.contains(n), sums.contains(&n), "{groups:?} {n}");
            }
            let ends = (*sums.first().unwrap(), *sums.last().unwrap());
            assert_eq!(ranges.ends(), ends, "{groups:?}");
        }
    }

    /// A session of many increments beside sums that are all kept apart.
    #[test]
    fn the_work_of_a_group_is_bounded() {
        let kept = || {
            let mut ranges = Ranges::up_to(1 << 14);
            (0..14).for_each(|k| ranges.one_of(&[0, 4 << k]));
            assert!(ranges.len() == 1 << 14 && !ranges.approximate);
            ranges
        };
        let mut ranges = kept();
        let numbers: Vec<i128> = (0..=20_000).map(|n| n * 100_003).collect();
        assert!(ranges.pairs(&numbers).len() <= PAIRS_MAX);
        assert!(ranges.approximate);
        let mut ranges = kept();
        ranges.one_of(&numbers);
        assert!(ranges.approximate && ranges.len() <= 1 << 14);
        for sum in [0, 4, 100_003 * 7 + 8, 100_003 * 20_000 + (4 << 14) - 4] {
            assert!(ranges.contains(sum), "{sum}");
        }
        assert!(!ranges.contains(100_003 * 7 - 4) && !ranges.contains(-1));
        // Equal numbers are one.
        let mut ranges = kept();
        assert_eq!(ranges.pairs(&[8; 20_000]).len(), 1 << 14);
        assert!(!ranges.approximate);
    }

    #[test]
    fn too_many_ranges_are_joined_to_a_superset() {
        let mut ranges = Ranges::zero();
        (0..40).for_each(|i| ranges.may_add(3i64.pow(i % 36)));
        assert!(ranges.approximate && ranges.len() <= RANGES_MAX);
        assert!(ranges.contains(3i128.pow(20) + 3i128.pow(7)));
    }
}
