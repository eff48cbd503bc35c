//! How a checker is registered: its name, what it judges, its options, and how it is built.
//!
//! The constant stands in the file of the checker; [`CHECKERS`](crate::registry::CHECKERS) has a line for each.

mod options;

use crate::{AnyChecker, Checker, any_checker};

pub(crate) use options::{ADD, BUDGET, INITIAL, READ, SESSIONS, words};
pub use options::{BuildError, Opt, Options};

/// A registered checker.
#[derive(Debug)]
pub struct Registration {
    /// Its name, with underscores.
    pub name: &'static str,
    /// What it asks of a history, in a line.
    pub about: &'static str,
    /// The operations that it judges.
    pub judges: Judges,
    /// What it has to know of the order of operations.
    pub needs: Needs,
    /// Its own options; [`INDEPENDENT`](crate::registry::INDEPENDENT) goes with every checker.
    pub options: &'static [Opt],
    /// Builds it.
    pub(crate) build: fn(&Options<'_>) -> Result<AnyChecker, BuildError>,
}

/// The operations that a checker knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Judges {
    /// These functions, each under another name where there is an option of its name: it would take
    /// others for a mistake of the system.
    Only(&'static [&'static str]),
    /// The checker reports which functions it does not know.
    Itself,
    /// Any operations.
    Anything,
}

/// What a checker has to know of the order of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Needs {
    /// What happened before what, in real time.
    Order,
    /// Which operations are of one client.
    Clients,
    /// Neither.
    Nothing,
}

/// What a [`Registration`] builds.
pub(crate) fn built(checker: impl Checker + 'static) -> Result<AnyChecker, BuildError> {
    Ok(any_checker(checker))
}
