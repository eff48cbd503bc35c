//! What the environment says about a run: `FUZZ_DIST_SEED` and its kin.
//!
//! Variables rather than flags: `cargo test --workspace -- --seed 1` would break the targets
//! beside this one, whose harness knows no such flag.

use super::options::Concurrency;
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
    /// `FUZZ_DIST_MISSING`, `fail` or `ignore`.
    pub missing: Missing,
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
            missing: parsed(&get, "FUZZ_DIST_MISSING", "write fail or ignore", missing)?
                .unwrap_or_default(),
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

fn missing(text: &str) -> Option<Missing> {
    match text {
        "fail" => Some(Missing::Fail),
        "ignore" => Some(Missing::Ignore),
        _ => None,
    }
}
