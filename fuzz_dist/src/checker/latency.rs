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
        latencies_ns.sort_unstable();
        let at = |q: f64| latencies_ns[(n - 1).min((n as f64 * q).floor() as usize)];
        Quantiles(QUANTILES.iter().map(|(name, q)| (*name, at(*q))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Quantiles;

    #[test]
    fn quantiles_take_the_latency_at_the_floor() {
        let q = Quantiles::of(vec![40, 10, 30, 20]).0;
        assert_eq!(q.values().copied().collect::<Vec<_>>(), [10, 30, 40, 40, 40]);
        assert!(Quantiles::of(Vec::new()).0.is_empty());
    }
}
