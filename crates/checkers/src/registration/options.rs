//! Options of checkers: what they are called and mean, and their values as text.

use std::fmt::{self, Display};
use std::str::FromStr;

use fuzz_dist_history::op::Value;

/// An option of a checker.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Opt {
    /// Its name.
    pub key: &'static str,
    /// What it means, in a line.
    pub help: &'static str,
    /// A value that it may have, other than the default.
    pub example: &'static str,
    /// Is there no default?
    pub is_required: bool,
    /// Where it is on, has the checker to know which operations are of one client?
    pub of_clients: bool,
}

pub(crate) const ADD: Opt =
    Opt::value("add", "the function that adds, where it has another name", "other");
pub(crate) const READ: Opt =
    Opt::value("read", "the function that reads, where it has another name", "other");
pub(crate) const BUDGET: Opt = Opt::value("budget", "how many steps the search may take", "77");
pub(crate) const INITIAL: Opt =
    Opt::value("initial", "of registers: the value before the first write (default: nil)", "0");
pub(crate) const SESSIONS: Opt =
    Opt::flag("sessions", "anomalies within sessions are invalid, too").of_clients();

impl Opt {
    /// A switch, off by default.
    pub(crate) const fn flag(key: &'static str, help: &'static str) -> Opt {
        Opt { key, help, example: "true", is_required: false, of_clients: false }
    }

    /// An option with a value.
    pub(crate) const fn value(key: &'static str, help: &'static str, example: &'static str) -> Opt {
        Opt { key, help, example, is_required: false, of_clients: false }
    }

    /// Without it the checker cannot be built.
    pub(crate) const fn required(mut self) -> Opt {
        self.is_required = true;
        self
    }

    /// Where it is on, the checker follows what each client did.
    pub(crate) const fn of_clients(mut self) -> Opt {
        self.of_clients = true;
        self
    }
}

/// The options that are given to a checker, as text, and what is known of the history that it is to judge.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    given: &'a [(String, String)],
    /// Does the history record what happened before what, beyond the order of each session?
    pub real_time: bool,
    /// Does it record which operations were of one client?
    pub processes: bool,
}

impl<'a> Options<'a> {
    /// Keys and values, for a history with real time and processes; of a key that is there twice, the last
    /// one counts.
    pub fn new(given: &'a [(String, String)]) -> Options<'a> {
        Options { given, real_time: true, processes: true }
    }

    /// The option's text.
    pub fn word(&self, key: &str) -> Option<&'a str> {
        self.given.iter().rev().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// The option's text, or the default.
    pub fn word_or<'b>(&self, key: &str, default: &'b str) -> &'b str
    where
        'a: 'b,
    {
        self.word(key).unwrap_or(default)
    }

    /// A switch, off by default.
    ///
    /// # Errors
    ///
    /// When it is neither `true` nor `false`.
    pub fn flag(&self, key: &str) -> Result<bool, BuildError> {
        match self.word(key) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => {
                Err(format!("option {key}: expected true or false, not `{other}`").into())
            }
        }
    }

    /// Anything that can be read from text.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(
        &self,
        key: &str,
    ) -> Result<Option<T>, BuildError> {
        let parse = |text: &str| text.parse().map_err(|e| format!("option {key}: {e}").into());
        self.word(key).map(parse).transpose()
    }

    /// Changes what is built where the option is there.
    pub(crate) fn set<T: FromStr<Err: Display>, B>(
        &self,
        key: &str,
        built: B,
        set: impl FnOnce(B, T) -> B,
    ) -> Result<B, BuildError> {
        Ok(match self.parsed(key)? {
            Some(value) => set(built, value),
            None => built,
        })
    }

    /// A key, an account or a register's content: a number where it looks like one.
    pub(crate) fn value(word: &str) -> Value {
        word.parse::<i64>().map_or_else(|_| word.into(), Value::Int)
    }
}

/// Why a checker cannot be built from its options.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// A value is none of those that are known.
    Unknown {
        /// The option.
        option: &'static str,
        /// Its value.
        word: String,
        /// The values that are known.
        known: Vec<&'static str>,
    },
    /// Anything else, in a sentence.
    Wrong(String),
}

impl BuildError {
    pub(crate) fn unknown(
        option: &'static str,
        word: &str,
        known: impl IntoIterator<Item = &'static str>,
    ) -> BuildError {
        BuildError::Unknown { option, word: word.into(), known: known.into_iter().collect() }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::Unknown { option, word, known } => {
                f.write_str(&crate::suggest::unknown(option, word, known))
            }
            BuildError::Wrong(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for BuildError {}

impl From<String> for BuildError {
    fn from(why: String) -> BuildError {
        BuildError::Wrong(why)
    }
}

impl From<&str> for BuildError {
    fn from(why: &str) -> BuildError {
        BuildError::Wrong(why.into())
    }
}

/// `a|b|c`.
pub(crate) fn words<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str) -> String {
    all.iter().map(|t| word(*t)).collect::<Vec<_>>().join("|")
}
