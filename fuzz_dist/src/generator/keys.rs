//! Which key an operation is about: all alike, or a few that are much more popular.

use crate::random::Stream;

/// The most keys that a distribution keeps weights for.
const KEYS_MAX: usize = 1 << 20;

/// A distribution over the keys `0..n`.
///
/// ```
/// # use fuzz_dist::generator::Keys;
/// # use fuzz_dist::random::Seed;
/// let keys = Keys::zipfian(100, 1.0).unwrap();
/// let mut stream = Seed(1).stream("keys");
/// let zeros = (0..1000).filter(|_| keys.draw(&mut stream) == 0).count();
/// assert!(zeros > 100, "the first key is the most popular one");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Uniform(u64),
    /// The weights of all keys up to each one.
    Weighted(std::sync::Arc<[u64]>),
}

/// No such distribution.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// Too few or too many.
    #[error("a choice among {0} keys is impossible: there must be 1 to {KEYS_MAX}")]
    Count(u64),
    /// An exponent that is not one.
    #[error("a zipfian exponent of {0} is impossible: it must be from 0 (all alike) to 10")]
    Exponent(f64),
}

impl Keys {
    /// All of `n` keys alike.
    ///
    /// # Errors
    ///
    /// When `n` is 0.
    pub fn uniform(n: u64) -> Result<Keys, KeysError> {
        if n == 0 { Err(KeysError::Count(n)) } else { Ok(Keys(Kind::Uniform(n))) }
    }

    /// Key `i` with a probability in proportion to `1 / (i + 1)^exponent` (Zipf's law;
    /// an exponent of 1 is the usual one, 0 makes all alike).
    ///
    /// # Errors
    ///
    /// When `n` is 0 or above 2^20, or the exponent is not within 0 to 10.
    pub fn zipfian(n: u64, exponent: f64) -> Result<Keys, KeysError> {
        let count = usize::try_from(n).ok().filter(|n| (1..=KEYS_MAX).contains(n));
        let count = count.ok_or(KeysError::Count(n))?;
        if !(0.0..=10.0).contains(&exponent) {
            return Err(KeysError::Exponent(exponent));
        }
        // Whole weights, so that a last bit of `powf`, which libraries may round differently,
        // changes no draw of a seed.
        let scale = (1u64 << 40) as f64;
        let mut sum = 0;
        let weights = (1..=count).map(|rank| {
            sum += ((scale / (rank as f64).powf(exponent)).round() as u64).max(1);
            sum
        });
        Ok(Keys(Kind::Weighted(weights.collect())))
    }

    /// One key.
    pub fn draw(&self, stream: &mut Stream) -> u64 {
        match &self.0 {
            Kind::Uniform(n) => stream.below(*n),
            Kind::Weighted(sums) => {
                let drawn = stream.below(sums[sums.len() - 1]);
                sums.partition_point(|sum| *sum <= drawn) as u64
            }
        }
    }
}
