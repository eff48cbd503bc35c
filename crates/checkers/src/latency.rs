//! Quantiles of latencies.

use std::collections::BTreeMap;

use serde::Serialize;

/// The quantiles that results show.
pub(crate) const QUANTILES: [(&str, f64); 5] =
    [("0", 0.0), ("0.5", 0.5), ("0.95", 0.95), ("0.99", 0.99), ("1", 1.0)];

/// Latencies, with the bucket of each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies {
    ns: Vec<u64>,
    buckets: Vec<u16>,
}

/// Buckets per doubling of a latency, as a power of two.
const FINE: u32 = 5;
const BUCKETS: usize = ((65 - FINE) as usize) << FINE;
/// Buckets before this one hold one latency each: their own number.
const EXACT: usize = 2 << FINE;

impl Latencies {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ns.len()
    }

    /// One more.
    pub(crate) fn push(&mut self, ns: u64) {
        self.ns.push(ns);
        self.buckets.push(bucket(ns));
    }
}

/// The place of the highest bit, and the `FINE` bits below it: a greater latency is never in an
/// earlier bucket.
#[inline]
fn bucket(ns: u64) -> u16 {
    let shift = (u64::BITS - 1 - FINE) - (ns | (1 << FINE)).leading_zeros();
    ((shift << FINE) as u64 + (ns >> shift)) as u16
}

impl FromIterator<u64> for Latencies {
    fn from_iter<T: IntoIterator<Item = u64>>(all: T) -> Latencies {
        let mut latencies = Latencies::default();
        all.into_iter().for_each(|ns| latencies.push(ns));
        latencies
    }
}

/// Quantiles of latencies in ns, by the quantile's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Quantiles(pub(crate) BTreeMap<&'static str, u64>);

impl Quantiles {
    /// The quantile `q` of n ascending latencies is the one at `min(n - 1, floor(n * q))`.
    ///
    /// What lies in several lists is neither copied nor moved: counting the buckets shows which
    /// few hold the quantiles, and only what these hold is looked into.
    pub(crate) fn of<'a>(lists: impl Iterator<Item = &'a Latencies> + Clone) -> Quantiles {
        let buckets = lists.clone().flat_map(|l| l.buckets.iter().copied());
        Quantiles::with(buckets, || {
            lists.flat_map(|list| list.buckets.iter().copied().zip(list.ns.iter().copied()))
        })
    }

    /// The same of latencies that cost less to find again than to keep: `all` gives them each time.
    pub(crate) fn of_each<I: Iterator<Item = u64>>(all: impl Fn() -> I) -> Quantiles {
        Quantiles::with(all().map(bucket), || all().map(|ns| (bucket(ns), ns)))
    }

    /// From the bucket of each, and, once it is known which of them count, each with its bucket.
    fn with<I: Iterator<Item = (u16, u64)>>(
        buckets: impl Iterator<Item = u16>,
        all: impl FnOnce() -> I,
    ) -> Quantiles {
        let mut counts = [0u32; BUCKETS];
        buckets.for_each(|bucket| counts[usize::from(bucket)] += 1);
        let n = counts.iter().map(|c| *c as usize).sum::<usize>();
        if n == 0 {
            return Quantiles::default();
        }
        // Per quantile: its bucket, and its place there.
        let (mut at, mut before) = (0, 0);
        let places = QUANTILES.map(|(_, q)| {
            let place = (n - 1).min((n as f64 * q).floor() as usize);
            while before + counts[at] as usize <= place {
                before += counts[at] as usize;
                at += 1;
            }
            (at, place - before)
        });
        // What such a bucket holds goes to the first quantile that lies in it.
        const NO_QUANTILE: u8 = u8::MAX;
        let mut first = [NO_QUANTILE; BUCKETS];
        for (i, (bucket, _)) in places.iter().enumerate().rev().filter(|(_, (b, _))| *b >= EXACT) {
            first[*bucket] = i as u8;
        }
        let mut held = QUANTILES.map(|_| Vec::new());
        for (bucket, ns) in all() {
            let quantile = first[usize::from(bucket)];
            if quantile != NO_QUANTILE {
                held[usize::from(quantile)].push(ns);
            }
        }
        let values = places.map(|(bucket, place)| match bucket < EXACT {
            true => bucket as u64,
            false => *held[usize::from(first[bucket])].select_nth_unstable(place).1,
        });
        Quantiles(QUANTILES.iter().zip(values).map(|((name, _), value)| (*name, value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Latencies, QUANTILES, Quantiles};
    use fuzz_dist_random::Seed;

    #[test]
    fn quantiles_take_the_latency_at_the_floor() {
        let lists = [vec![40, 10], vec![], vec![30, 20]].map(Latencies::from_iter);
        let q = Quantiles::of(lists.iter()).0;
        assert_eq!(q.values().copied().collect::<Vec<_>>(), [10, 30, 40, 40, 40]);
        assert!(Quantiles::of([].into_iter()).0.is_empty());
    }

    #[test]
    fn selecting_gives_what_sorting_gives() {
        for seed in 0..2_000 {
            let mut s = Seed(seed).stream("quantiles");
            // Narrow and wide, down to 0 and up to the greatest.
            let bits = s.below(64);
            let n = 1 + s.index(300);
            let draw = |_| (s.u64() >> bits).wrapping_sub(s.below(2));
            let mut all: Vec<u64> = (0..n).map(draw).collect();
            let (a, b) = all.split_at(s.index(all.len()));
            let lists = [a, b].map(|part| part.iter().copied().collect::<Latencies>());
            let found = Quantiles::of(lists.iter()).0;
            assert_eq!(Quantiles::of_each(|| all.iter().copied()).0, found);
            all.sort_unstable();
            for (name, q) in QUANTILES {
                let place = (all.len() - 1).min((all.len() as f64 * q).floor() as usize);
                assert_eq!(found[name], all[place], "{name} of {all:?}");
            }
        }
    }
}
