//! The narrow bridge between the harness and a test's life: what is run, and what came of it.

use super::options::Options;
use super::{Outcome, Test};
use crate::checker::AnyChecker;
use crate::db::AnyDb;
use crate::env::AnyProvider;
use crate::nemesis::Nemesis;
use crate::workload::AnyWorkload;
use std::fmt;
use std::pin::Pin;

/// A place in somebody's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// As the compiler was given it, mostly relative to the workspace.
    pub file: &'static str,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// What the attribute makes of the user's function; its future need not be `Send`.
pub(crate) type Body = fn(Test) -> Pin<Box<dyn Future<Output = Outcome>>>;

/// A part of a test that was found but not made yet: every attempt makes a fresh one.
pub struct Part<T: 'static> {
    /// The registered name, or a label made of the expression's tokens.
    pub label: &'static str,
    /// Where the attribute says so.
    pub location: Location,
    /// How it is made.
    pub make: Make<T>,
}

/// How a part is made.
pub enum Make<T: 'static> {
    /// By a function: a user's expression, or what is registered.
    Fresh(fn() -> T),
    /// By its name in a table of the library.
    Table(fn(&'static str) -> T, &'static str),
}

impl<T> Clone for Make<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Make<T> {}

impl<T> Part<T> {
    /// Makes it.
    pub fn make(&self) -> T {
        match self.make {
            Make::Fresh(make) => make(),
            Make::Table(make, name) => make(name),
        }
    }
}

// Not derived: that would ask `T` for the same, and a boxed trait is none of these.
impl<T> Clone for Part<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Part<T> {}

impl<T> fmt::Debug for Part<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.label, self.location)
    }
}

/// One trial: a test function and one cell of its matrix, with all names resolved.
#[derive(Clone, Debug)]
pub(crate) struct TrialSpec {
    /// `module::function` or `module::function::cell`.
    pub name: String,
    /// The cell's part of the name, `-` between its axes; `None` outside of a matrix.
    pub cell: Option<String>,
    /// The first line of the function's documentation: what it promises.
    pub doc: &'static str,
    /// Where the function stands.
    pub location: Location,
    /// What the attribute says; the builder and the environment come on top.
    pub options: Options,
    /// The system under test.
    pub db: Option<Part<AnyDb>>,
    /// The faults.
    pub nemesis: Option<Part<Nemesis>>,
    /// Clients, operations and their checker.
    pub workload: Option<Part<AnyWorkload>>,
    /// Further judges of the same history.
    pub checkers: Vec<Part<AnyChecker>>,
    /// Where the hosts are.
    pub env: Option<Part<AnyProvider>>,
    /// The user's function.
    pub body: Body,
}

/// What came of a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TrialReport {
    /// It passed.
    Passed,
    /// It failed; a short and complete story, printed under `failures:`.
    Failed(String),
    /// It could not run here, and that is no failure; the reason, in a few words.
    Ignored(String),
}
