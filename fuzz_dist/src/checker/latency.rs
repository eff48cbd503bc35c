//! Quantiles of latencies.

use std::collections::BTreeMap;

use serde::Serialize;

/// The quantiles that results show.
pub(crate) const QUANTILES: [(&str, f64); 5] =
    [("0", 0.0), ("0.5", 0.5), ("0.95", 0.95), ("0.99", 0.99), ("1", 1.0)];

/// Quantiles of latencies in ns, by the quantile's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Quantiles(pub(crate) BTreeMap<&'static str, u64>);

impl Quantiles {
    /// The quantile `q` of n ascending latencies is the one at `min(n - 1, floor(n * q))`.
    pub(crate) fn of(mut latencies_ns: Vec<u64>) -> Quantiles {
        let n = latencies_ns.len();
        if n == 0 {
            return Quantiles::default();
        }
        let mut found = BTreeMap::new();
        // Everything before `from` is less than what is still looked for.
        let mut from = 0;
        for (name, q) in QUANTILES {
            let place = (n - 1).min((n as f64 * q).floor() as usize);
            let rest = &mut latencies_ns[from..];
            // The least and the greatest need no partition.
            let value = match place - from {
                0 if q == 0.0 => rest.iter().copied().min().unwrap_or(0),
                _ if place == n - 1 => rest.iter().copied().max().unwrap_or(0),
                k => {
                    let value = *rest.select_nth_unstable(k).1;
                    from = place;
                    value
                }
            };
            found.insert(name, value);
        }
        Quantiles(found)
    }
}

#[cfg(test)]
mod tests {
    use super::{QUANTILES, Quantiles};
    use crate::random::Seed;

    #[test]
    fn quantiles_take_the_latency_at_the_floor() {
        let q = Quantiles::of(vec![40, 10, 30, 20]).0;
        assert_eq!(q.values().copied().collect::<Vec<_>>(), [10, 30, 40, 40, 40]);
        assert!(Quantiles::of(Vec::new()).0.is_empty());
    }

    #[test]
    fn selecting_gives_what_sorting_gives() {
        for seed in 0..2_000 {
            let mut s = Seed(seed).stream("quantiles");
            let mut all: Vec<u64> = (0..1 + s.index(300)).map(|_| s.below(100)).collect();
            let found = Quantiles::of(all.clone()).0;
            all.sort_unstable();
            for (name, q) in QUANTILES {
                let place = (all.len() - 1).min((all.len() as f64 * q).floor() as usize);
                assert_eq!(found[name], all[place], "{name} of {all:?}");
            }
        }
    }
}
