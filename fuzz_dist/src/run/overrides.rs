//! What the environment says about a run: `FUZZ_DIST_SEED` and its kin.
//!
//! Variables rather than flags: `cargo test --workspace -- --seed 1` would break the targets
//! beside this one, whose harness knows no such flag.

use super::options::{Concurrency, Stop};
use crate::random::Seed;
use crate::time::parse_duration;
use std::str::FromStr;
use std::time::Duration;

/// What a refused environment (no permission, missing program) does to a trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// It fails with the remedy: a gate must not pass in silence.
    #[default]
    Fail,
    /// It is ignored, with the reason, and counted.
    Ignore,
}

/// Values from the environment; `None` where a variable is not set, or empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// `FUZZ_DIST_SEED`, decimal or `0x` hexadecimal.
    pub seed: Option<Seed>,
    /// `FUZZ_DIST_TIME_LIMIT`, as `30s`.
    pub time_limit: Option<Duration>,
    /// `FUZZ_DIST_RATE`, operations per second.
    pub rate: Option<f64>,
    /// `FUZZ_DIST_NODES`.
    pub nodes: Option<usize>,
    /// `FUZZ_DIST_CONCURRENCY`, as `10` or `2n`.
    pub concurrency: Option<Concurrency>,
    /// `FUZZ_DIST_ATTEMPTS`.
    pub attempts: Option<u32>,
    /// `FUZZ_DIST_STOP`, `first_anomaly` or `time_limit`.
    pub stop: Option<Stop>,
    /// `FUZZ_DIST_MISSING`, `fail` or `ignore`.
    pub missing: Missing,
    /// `FUZZ_DIST_LOG_LIMIT`, what each log of a process keeps, as `64M`, in bytes.
    pub log_limit: Option<u64>,
    /// `FUZZ_DIST_WAIT_LIMIT`, as `2h`: how long a trial waits while others use the machine.
    pub wait_limit: Option<Duration>,
    /// `FUZZ_DIST_VERBOSE`, `1` or `0`: whether all is printed of trials that pass, too.
    pub verbose: bool,
    /// `FUZZ_DIST_TRACES`, `1` or `0`: whether the store keeps the run as OpenTelemetry traces, too.
    pub traces: bool,
}

/// A variable that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}={value:?} cannot be read: {expected}")]
pub struct OverridesError {
    variable: &'static str,
    value: String,
    expected: &'static str,
}

impl Overrides {
    /// Reads this process's environment.
    pub fn from_env() -> Result<Self, OverridesError> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads variables through `get`, so that it can be tried without changing the process.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, OverridesError> {
        let get = |name: &str| get(name).map(|v| v.trim().to_string()).filter(|v| !v.is_empty());
        Ok(Overrides {
            seed: parsed(&get, "FUZZ_DIST_SEED", "write a number of 64 bits", seed)?,
            time_limit: parsed(&get, "FUZZ_DIST_TIME_LIMIT", "write a duration, as 30s", |t| {
                parse_duration(t).ok()
            })?,
            rate: parsed(&get, "FUZZ_DIST_RATE", "write operations per second, as 100", plain)?,
            nodes: parsed(&get, "FUZZ_DIST_NODES", "write a number, as 5", plain)?,
            concurrency: parsed(
                &get,
                "FUZZ_DIST_CONCURRENCY",
                "write clients, as 10 or 2n",
                plain,
            )?,
            attempts: parsed(&get, "FUZZ_DIST_ATTEMPTS", "write a number, as 3", plain)?,
            stop: parsed(&get, "FUZZ_DIST_STOP", "write first_anomaly or time_limit", plain)?,
            missing: parsed(&get, "FUZZ_DIST_MISSING", "write fail or ignore", missing)?
                .unwrap_or_default(),
            log_limit: parsed(&get, "FUZZ_DIST_LOG_LIMIT", "write a size, as 64M", size)?,
            wait_limit: parsed(&get, "FUZZ_DIST_WAIT_LIMIT", "write a duration, as 2h", |t| {
                parse_duration(t).ok()
            })?,
            verbose: parsed(&get, "FUZZ_DIST_VERBOSE", "write 1 or 0", switch)?.unwrap_or_default(),
            traces: parsed(&get, "FUZZ_DIST_TRACES", "write 1 or 0", switch)?.unwrap_or_default(),
        })
    }
}

fn parsed<T>(
    get: &impl Fn(&str) -> Option<String>,
    variable: &'static str,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, OverridesError> {
    let Some(value) = get(variable) else { return Ok(None) };
    match parse(&value) {
        Some(parsed) => Ok(Some(parsed)),
        None => Err(OverridesError { variable, value, expected }),
    }
}

fn plain<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn seed(text: &str) -> Option<Seed> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(Seed),
        None => text.parse().ok(),
    }
}

/// Bytes, or so many K, M or G of them.
fn size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number = digits.parse::<u64>().ok().filter(|number| *number > 0)?;
    number.checked_mul(1 << shift)
}

fn switch(text: &str) -> Option<bool> {
    match text {
        "1" => Some(true),
        "0" => Some(false),
        _ => None,
    }
}

fn missing(text: &str) -> Option<Missing> {
    match text {
        "fail" => Some(Missing::Fail),
        "ignore" => Some(Missing::Ignore),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::secs;

    fn read(variables: &[(&str, &str)]) -> Result<Overrides, String> {
        let get = |name: &str| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string())
        };
        Overrides::read(get).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_set_is_read_and_nothing_else() {
        assert_eq!(read(&[]), Ok(Overrides::default()));
        assert_eq!(read(&[("FUZZ_DIST_SEED", " ")]), Ok(Overrides::default()));
        let all = read(&[
            ("FUZZ_DIST_SEED", "0xff"),
            ("FUZZ_DIST_TRACES", "1"),
            ("FUZZ_DIST_VERBOSE", "1"),
            ("FUZZ_DIST_WAIT_LIMIT", "2h"),
            ("FUZZ_DIST_TIME_LIMIT", "2m"),
            ("FUZZ_DIST_RATE", "0.5"),
            ("FUZZ_DIST_NODES", "7"),
            ("FUZZ_DIST_CONCURRENCY", "2n"),
            ("FUZZ_DIST_ATTEMPTS", "3"),
            ("FUZZ_DIST_MISSING", "ignore"),
            ("FUZZ_DIST_STOP", "first_anomaly"),
            ("FUZZ_DIST_LOG_LIMIT", "3M"),
        ]);
        let expected = Overrides {
            seed: Some(Seed(255)),
            time_limit: Some(secs(120)),
            rate: Some(0.5),
            nodes: Some(7),
            concurrency: Some(Concurrency::PerNode(2)),
            attempts: Some(3),
            missing: Missing::Ignore,
            stop: Some(Stop::FirstAnomaly),
            log_limit: Some(3 << 20),
            wait_limit: Some(secs(7200)),
            verbose: true,
            traces: true,
        };
        assert_eq!(all, Ok(expected));
    }

    #[test]
    fn what_cannot_be_read_says_so() {
        let check = |name, value, message: &str| {
            assert_eq!(read(&[(name, value)]), Err(message.to_string()));
        };
        check(
            "FUZZ_DIST_SEED",
            "abc",
            "FUZZ_DIST_SEED=\"abc\" cannot be read: write a number of 64 bits",
        );
        check(
            "FUZZ_DIST_TIME_LIMIT",
            "30",
            "FUZZ_DIST_TIME_LIMIT=\"30\" cannot be read: write a duration, as 30s",
        );
        check(
            "FUZZ_DIST_LOG_LIMIT",
            "0",
            "FUZZ_DIST_LOG_LIMIT=\"0\" cannot be read: write a size, as 64M",
        );
        check(
            "FUZZ_DIST_STOP",
            "first",
            "FUZZ_DIST_STOP=\"first\" cannot be read: write first_anomaly or time_limit",
        );
        check(
            "FUZZ_DIST_WAIT_LIMIT",
            "1 h",
            "FUZZ_DIST_WAIT_LIMIT=\"1 h\" cannot be read: write a duration, as 2h",
        );
        check(
            "FUZZ_DIST_MISSING",
            "skip",
            "FUZZ_DIST_MISSING=\"skip\" cannot be read: write fail or ignore",
        );
    }

    #[test]
    fn the_attribute_reads_durations_alike() {
        let table = include_str!("../../../fuzz_dist_macros/src/durations.txt");
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let (text, millis) = line.split_once('|').unwrap();
            let expected = millis.parse().ok().map(Duration::from_millis);
            assert_eq!(parse_duration(text).ok(), expected, "{text:?}");
        }
    }
}
