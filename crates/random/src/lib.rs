//! Named streams of random numbers, all derived from one seed.
//!
//! The generator (ChaCha8) is portable and the few helpers below are our own, so that a seed
//! means the same schedule on every machine and with every version of the `rand` crates.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

/// The one number from which every random choice of a run follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// A fresh seed from the system's entropy (through the standard library's hasher keys).
    pub fn fresh() -> Seed {
        use std::hash::{BuildHasher as _, Hasher as _};
        Seed(std::collections::hash_map::RandomState::new().build_hasher().finish())
    }

    /// The stream called `name`: the same for the same seed and name, and independent of how
    /// much is drawn from other streams.
    ///
    /// ```
    /// # use fuzz_dist_random::Seed;
    /// let (mut a, mut b) = (Seed(7).stream("nemesis"), Seed(7).stream("nemesis"));
    /// assert_eq!(a.u64(), b.u64());
    /// ```
    pub fn stream(self, name: &str) -> Stream {
        Stream(ChaCha8Rng::seed_from_u64(self.derive(name).0))
    }

    /// The seed for a part called `name`, such as the second attempt of a test.
    pub fn derive(self, name: &str) -> Seed {
        // FNV-1a over the name, mixed with the seed by splitmix64: short, portable, and good
        // enough to distinguish names; ChaCha does the rest.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Seed(splitmix64(splitmix64(self.0) ^ hash))
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Seed {
    type Err = String;
    fn from_str(text: &str) -> Result<Seed, String> {
        text.parse().map(Seed).map_err(|_| {
            format!("\"{text}\" is not a seed; a seed is a whole number from 0 to 2^64 - 1")
        })
    }
}

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// Any number.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number from 0 to `n - 1`, each equally likely.
    ///
    /// # Panics
    ///
    /// When `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "nothing to choose from");
        // Lemire's method (arXiv 1805.10941): multiply, and reject the few that would bias.
        let mut wide = u128::from(self.u64()) * u128::from(n);
        if (wide as u64) < n {
            let threshold = n.wrapping_neg() % n;
            while (wide as u64) < threshold {
                wide = u128::from(self.u64()) * u128::from(n);
            }
        }
        (wide >> 64) as u64
    }

    /// An index below `n`; see [`Stream::below`].
    pub fn index(&mut self, n: usize) -> usize {
        self.below(n as u64) as usize
    }

    /// A number in `[0, 1)`, with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// A duration in `[low, high)`; `low` where the range is empty.
    pub fn duration(&mut self, low: Duration, high: Duration) -> Duration {
        let span_ns = high.saturating_sub(low).as_nanos().min(u128::from(u64::MAX)) as u64;
        if span_ns == 0 { low } else { low + Duration::from_nanos(self.below(span_ns)) }
    }

    /// One of `items`, or `None` where there are none.
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { Some(&items[self.index(items.len())]) }
    }

    /// Puts `items` into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.index(i + 1));
        }
    }
}

/// Steele, Lea and Flood's mixer ("Fast splittable pseudorandom number generators", 2014).
fn splitmix64(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_numbers_for_ever() {
        let mut s = Seed(42).stream("generator");
        let drawn: Vec<u64> = (0..4).map(|_| s.below(1000)).collect();
        assert_eq!(drawn, EXPECTED, "a change here breaks every seed that somebody noted down");
    }
    const EXPECTED: [u64; 4] = [362, 431, 342, 519];

    #[test]
    fn streams_differ_by_name_and_by_seed() {
        let a = Seed(1).stream("a").u64();
        assert_ne!(a, Seed(1).stream("b").u64());
        assert_ne!(a, Seed(2).stream("a").u64());
    }

    #[test]
    fn below_reaches_everything_about_equally() {
        let mut s = Seed(9).stream("below");
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[s.index(7)] += 1;
        }
        assert!(counts.iter().all(|c| (9_500..10_500).contains(c)), "{counts:?}");
    }

    #[test]
    fn shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..50).collect();
        Seed(3).stream("shuffle").shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
