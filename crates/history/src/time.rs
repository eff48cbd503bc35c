//! Time relative to the start of a test.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Nanoseconds on the harness's monotonic clock since the start of the test.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Time(pub u64);

impl Time {
    /// The start of the test.
    pub const ZERO: Time = Time(0);

    /// `ms` milliseconds after the start.
    ///
    /// ```
    /// # use fuzz_dist_history::time::Time;
    /// assert_eq!(Time::from_millis(2), Time(2_000_000));
    /// ```
    pub const fn from_millis(ms: u64) -> Time {
        Time(ms * 1_000_000)
    }

    /// `s` seconds after the start.
    pub const fn from_secs(s: u64) -> Time {
        Time(s * 1_000_000_000)
    }

    /// The time from `earlier` to `self`; zero where `earlier` is later.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Seconds as a floating point number, for people.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl std::ops::Add<Duration> for Time {
    type Output = Time;
    fn add(self, d: Duration) -> Time {
        Time(self.0.saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Seconds with milliseconds: `12.345 s`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0 / 1_000_000_000, self.0 / 1_000_000 % 1000)
    }
}

/// `n` seconds.
pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// `n` milliseconds.
pub const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A duration as people write it: `"500ms"`, `"30s"`, `"2m"`, `"1h"`.
///
/// # Errors
///
/// A sentence that says what was expected.
///
/// ```
/// # use fuzz_dist_history::time::{parse_duration, secs};
/// assert_eq!(parse_duration("2m"), Ok(secs(120)));
/// assert!(parse_duration("2 parsecs").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit_ms = match &text[digits..] {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let number = text[..digits].parse::<u64>().ok();
    number
        .zip(unit_ms)
        .and_then(|(n, unit)| n.checked_mul(unit))
        .map(Duration::from_millis)
        .ok_or_else(|| {
            format!("\"{text}\" is not a duration; write \"500ms\", \"30s\", \"2m\" or \"1h\"")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_round_trip_and_refuse_the_rest() {
        assert_eq!(parse_duration("500ms"), Ok(millis(500)));
        assert_eq!(parse_duration("1h"), Ok(secs(3600)));
        for bad in ["", "5", "s", "-1s", "1.5s", "5 s", "99999999999999999999s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_shown_in_seconds() {
        assert_eq!(Time::from_millis(12_345).to_string(), "12.345 s");
    }
}
