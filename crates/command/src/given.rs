//! The options that were given to a checker, taken for what it asks.

use std::fmt::Display;
use std::str::FromStr;

/// The options of a command line.
pub(super) struct Given<'a> {
    pub(super) options: &'a [(String, String)],
    /// Does the history record what happened before what, beyond the order of each session?
    pub(super) real_time: bool,
    /// Does it record which operations were of one client?
    pub(super) processes: bool,
}

impl Given<'_> {
    /// The option's text; the last one counts.
    pub(super) fn word(&self, key: &str) -> Option<&str> {
        self.options.iter().rev().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// The option's text, or what it is without.
    pub(super) fn word_or<'a>(&'a self, key: &str, default: &'a str) -> &'a str {
        self.word(key).unwrap_or(default)
    }

    /// A switch, off unless given.
    pub(super) fn flag(&self, key: &str) -> Result<bool, String> {
        match self.word(key) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(format!("option {key}: expected true or false, not `{other}`")),
        }
    }

    /// Anything that can be read from text.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&self, key: &str) -> Result<Option<T>, String> {
        let parse = |text: &str| text.parse().map_err(|e| format!("option {key}: {e}"));
        self.word(key).map(parse).transpose()
    }

    /// Changes what is built where the option is there.
    pub(super) fn set<T: FromStr<Err: Display>, B>(
        &self,
        key: &str,
        built: B,
        set: impl FnOnce(B, T) -> B,
    ) -> Result<B, String> {
        Ok(match self.parsed(key)? {
            Some(value) => set(built, value),
            None => built,
        })
    }
}
