//! How `cargo fuzz-dist check` is asked for a checker, so that what a run stored can be judged again.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::{Deserialize, Serialize};

/// A checker by the name that the command has for it, and its options as far as they are not what
/// they are unless said otherwise.
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
