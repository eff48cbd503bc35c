//! What the environment says about a run: `FUZZ_DIST_SEED` and its kin.
//!
//! Variables rather than flags: `cargo test --workspace -- --seed 1` would break the targets
//! beside this one, whose harness knows no such flag.

use super::options::*;
use crate::random::Seed;
use crate::time::parse_duration;
use std::time::Duration;

/// What a refused environment (no permission, missing program) does to a trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// It fails with the remedy: a gate must not pass in silence.
    #[default]
    Fail,
    /// It is ignored, with the reason, and counted.
    Ignore,
}

/// A size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// A value that a variable can hold.
trait FromVariable: Sized {
    /// What to write, for messages.
    fn expected() -> String;
    /// The value, unless the text is none.
    fn read(text: &str) -> Option<Self>;
}

macro_rules! from_variable {
    ($($ty:ty: $expected:literal, $read:expr;)+) => {$(
        impl FromVariable for $ty {
            fn expected() -> String {
                $expected.into()
            }

            fn read(text: &str) -> Option<Self> {
                let read: fn(&str) -> Option<Self> = $read;
                read(text)
            }
        }
    )+};
}

from_variable! {
    usize: "write a number, as 5", |text| text.parse().ok();
    u32: "write a number, as 5", |text| text.parse().ok();
    f64: "write operations per second, as 100", |text| text.parse().ok();
    bool: "write 1 or 0", switch;
    Duration: "write a duration, as 30s", |text| parse_duration(text).ok();
    Seed: "write a number of 64 bits", seed;
    Size: "write a size, as 64M", size;
    Concurrency: "write clients, as 10 or 2n", |text| text.parse().ok();
    Missing: "write fail or ignore", missing;
}

/// Words that stand for values, from the table.
macro_rules! words {
    ($ty:ty, ) => {};
    ($ty:ty, words { $($word:literal $variant:ident,)+ }) => {
        impl FromVariable for $ty {
            fn expected() -> String {
                format!("write {}", [$($word),+].join(" or "))
            }

            fn read(text: &str) -> Option<Self> {
                match text {
                    $($word => Some(<$ty>::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

/// The value of an option's variable, where it has one.
macro_rules! of_variable {
    ($get:expr, ) => {
        None
    };
    ($get:expr, variable $variable:literal) => {
        parsed(&$get, $variable)?
    };
}

/// The variables as Rust: the table is `fuzz_dist_macros/src/keys.rs`.
macro_rules! overrides {
    (
        keys $keys:tt
        options {$(
            #[doc = $doc:literal]
            $name:ident: ($ty:ty) [$($default:tt)*] [$($variable:tt)*] [$($method:tt)*] [$($words:tt)*];
        )*}
        variables {$(#[doc = $about:literal] $field:ident: ($of:ty) $named:literal;)*}
        names {$(($known:literal, $meaning:literal),)*}
    ) => {
        $(words!($ty, $($words)*);)*

        /// Values from the environment; `None` where a variable is not set, or empty.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Overrides {
            /// Options of tests, which count more than what the tests say.
            pub options: Options,
            $(
                #[doc = $about]
                pub $field: Option<$of>,
            )*
        }

        impl Overrides {
            /// Reads variables through `get`, so that it can be tried without changing the process.
            ///
            /// # Errors
            /// A variable whose value means nothing.
            pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, OverridesError> {
                let get = |name: &str| get(name).map(|v| v.trim().to_string()).filter(|v| !v.is_empty());
                Ok(Overrides {
                    options: Options { $($name: of_variable!(get, $($variable)*),)* },
                    $($field: parsed(&get, $named)?,)*
                })
            }
        }

        /// All variables, each with what it means.
        const VARIABLES: &[(&str, &str)] = &[$(($known, $meaning),)*];
    };
}

fuzz_dist_macros::with_options!(overrides);

/// A variable that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverridesError {
    /// Its value means nothing.
    #[error("{variable}={value:?} cannot be read: {expected}")]
    Value {
        /// The variable.
        variable: &'static str,
        /// What it is set to.
        value: String,
        /// What to write instead.
        expected: String,
    },
    /// Nobody reads it, and one of nearly its name is read.
    #[error("{name} is set, and means nothing; did you mean {near}?")]
    Name {
        /// The variable.
        name: String,
        /// The one that may have been meant.
        near: &'static str,
    },
}

impl Overrides {
    /// Reads this process's environment.
    ///
    /// # Errors
    /// A variable whose value means nothing, or one whose name is nearly that of another.
    pub fn from_env() -> Result<Self, OverridesError> {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        names.into_iter().try_for_each(|name| known(&name))?;
        Self::read(|name| std::env::var(name).ok())
    }

    /// A line for each variable, for `--help`.
    pub fn help() -> String {
        let width = VARIABLES.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let line = |(name, meaning): &(&str, &str)| format!("    {name:width$}  {meaning}\n");
        VARIABLES.iter().map(line).collect()
    }
}

/// Refuses what looks like a slip. Other names are somebody else's.
fn known(name: &str) -> Result<(), OverridesError> {
    let names = || VARIABLES.iter().map(|(known, _)| *known);
    if !name.starts_with(PREFIX) || names().any(|known| known == name) {
        return Ok(());
    }
    let is_near = |known: &&str| {
        let letters = known.len() - PREFIX.len();
        strsim::osa_distance(name, known) <= letters.div_ceil(4).min(2)
    };
    match names().find(is_near) {
        Some(near) => Err(OverridesError::Name { name: name.into(), near }),
        None => Ok(()),
    }
}

const PREFIX: &str = "FUZZ_DIST_";

fn parsed<T: FromVariable>(
    get: &impl Fn(&str) -> Option<String>,
    variable: &'static str,
) -> Result<Option<T>, OverridesError> {
    let Some(value) = get(variable) else { return Ok(None) };
    match T::read(&value) {
        Some(parsed) => Ok(Some(parsed)),
        None => Err(OverridesError::Value { variable, value, expected: T::expected() }),
    }
}

fn seed(text: &str) -> Option<Seed> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(Seed),
        None => text.parse().ok(),
    }
}

/// Bytes, or so many K, M or G of them.
fn size(text: &str) -> Option<Size> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number = digits.parse::<u64>().ok().filter(|number| *number > 0)?;
    number.checked_mul(1 << shift).map(Size)
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
            ("FUZZ_DIST_TIME", "simulated-1x"),
            ("FUZZ_DIST_UNKNOWN", "warn"),
            ("FUZZ_DIST_LOG_LIMIT", "3M"),
        ]);
        let expected = Overrides {
            options: Options {
                seed: Some(Seed(255)),
                time_limit: Some(secs(120)),
                rate: Some(0.5),
                nodes: Some(7),
                concurrency: Some(Concurrency::PerNode(2)),
                attempts: Some(3),
                unknown: Some(OnUnknown::Warn),
                stop: Some(Stop::FirstAnomaly),
                time: Some(Timing::Natural),
                ..Options::default()
            },
            missing: Some(Missing::Ignore),
            log_limit: Some(Size(3 << 20)),
            wait_limit: Some(secs(7200)),
            verbose: Some(true),
            traces: Some(true),
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
            "FUZZ_DIST_WAIT_LIMIT=\"1 h\" cannot be read: write a duration, as 30s",
        );
        check(
            "FUZZ_DIST_MISSING",
            "skip",
            "FUZZ_DIST_MISSING=\"skip\" cannot be read: write fail or ignore",
        );
    }

    #[test]
    fn a_name_that_is_nearly_a_variable_is_refused() {
        let refused = |name: &str| known(name).unwrap_err().to_string();
        assert_eq!(
            refused("FUZZ_DIST_TIMELIMIT"),
            "FUZZ_DIST_TIMELIMIT is set, and means nothing; did you mean FUZZ_DIST_TIME_LIMIT?"
        );
        assert!(refused("FUZZ_DIST_SEDE").ends_with("did you mean FUZZ_DIST_SEED?"));
        for (name, _) in VARIABLES {
            assert_eq!(known(name), Ok(()), "{name}");
        }
        for others in
            ["HOME", "FUZZ_DIST_HOST", "FUZZ_DIST_FIXTURE", "FUZZ_DIST_KILLS", "FUZZ_DIST_AGENT"]
        {
            assert_eq!(known(others), Ok(()), "{others}");
        }
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
