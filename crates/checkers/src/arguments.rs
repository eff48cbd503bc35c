//! The arguments with which `cargo fuzz-dist check` builds a checker, so that a stored run can be judged again.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::{Deserialize, Serialize};

/// The registered name of a checker, and those of its options that do not have their default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arguments {
    /// Its name, with underscores.
    pub checker: String,
    /// As they follow `-o`.
    pub options: BTreeMap<String, String>,
}

impl Arguments {
    /// A checker without options.
    #[doc(hidden)]
    pub fn of(checker: &str) -> Arguments {
        Arguments { checker: checker.into(), options: BTreeMap::new() }
    }

    /// With an option, unless that has the value which it has anyway.
    #[doc(hidden)]
    pub fn option(mut self, key: &str, value: impl Display, default: impl Display) -> Arguments {
        let value = value.to_string();
        if value != default.to_string() {
            self.options.insert(key.into(), value);
        }
        self
    }

    /// With a switch, where it is on.
    #[doc(hidden)]
    pub fn flag(self, key: &str, on: bool) -> Arguments {
        self.option(key, on, false)
    }
}
