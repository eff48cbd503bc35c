//! Names for databases, nemeses, workloads, checkers and environments, collected when the program is
//! linked.

#[doc(hidden)]
pub mod keys;
mod resolve;
#[cfg(test)]
mod tests;

use crate::checker::AnyChecker;
use crate::db::AnyDb;
use crate::env::AnyProvider;
use crate::nemesis::Nemesis;
use crate::run::options::Options;
use crate::run::{Body, Location};
use crate::workload::AnyWorkload;

pub(crate) use resolve::{NameError, Named, default_env};

/// Something that has a name: what `#[fuzz_dist::db("name")]` and its kin leave behind.
pub struct Registered<T: 'static> {
    /// The name.
    pub name: &'static str,
    /// Other words for the same thing.
    pub aliases: &'static [&'static str],
    /// The first line of the item's documentation.
    pub doc: &'static str,
    /// Where the name is given.
    pub location: Location,
    /// Makes a fresh one.
    pub make: fn() -> T,
}

inventory::collect!(TestCase);

/// What `#[fuzz_dist::test(..)]` leaves behind.
pub struct TestCase {
    /// The function's name.
    pub name: &'static str,
    /// Its module, the crate's name first.
    pub module: &'static str,
    /// The first line of its documentation.
    pub doc: &'static str,
    /// Where it stands.
    pub location: Location,
    /// Why it runs only when asked for; an empty reason is one, too.
    pub ignore: Option<&'static str>,
    /// The settings, in the order in which they are written.
    pub axes: &'static [Axis],
    /// The function.
    pub body: Body,
}

/// One key of the attribute. Every key is an axis of the matrix, most of a single cell.
pub struct Axis {
    /// The key.
    pub key: &'static str,
    /// Whether an array was written, so that cells are part of the trials' names.
    pub matrix: bool,
    /// The values.
    pub cells: &'static [Cell],
}

/// One value of an axis.
pub struct Cell {
    /// Its part of the trial's name.
    pub label: &'static str,
    /// What it sets.
    pub setting: Setting,
}

/// What a value of the attribute sets.
pub enum Setting {
    /// The system under test.
    Db(Choice<AnyDb>),
    /// The faults.
    Nemesis(Choice<Nemesis>),
    /// Clients, operations and their checker.
    Workload(Choice<AnyWorkload>),
    /// Further judges of the same history.
    Checkers(&'static [Choice<AnyChecker>]),
    /// Where the hosts are.
    Env(Choice<AnyProvider>),
    /// Everything that is no part but a number, a limit or a switch.
    Option(fn(&mut Options)),
}

/// A part that the attribute names or makes.
pub struct Choice<T: 'static> {
    /// The name, or a label made of the expression's tokens.
    pub label: &'static str,
    /// Where that is written.
    pub location: Location,
    /// How to come by it.
    pub source: Source<T>,
}

/// A name to look up, or an expression that makes the part.
pub enum Source<T: 'static> {
    /// A registered name.
    Named(&'static str),
    /// An expression.
    Expr(fn() -> T),
}

impl TestCase {
    /// `cluster::sets::adds` of target `cluster` is called `sets::adds`, as libtest does it.
    pub fn display_name(&self) -> String {
        match self.module.split_once("::") {
            Some((_crate, module)) => format!("{module}::{}", self.name),
            None => self.name.to_string(),
        }
    }
}

/// All tests of this program, by module and name: the order of linking means nothing.
pub(crate) fn tests() -> Vec<&'static TestCase> {
    let mut tests: Vec<_> = inventory::iter::<TestCase>.into_iter().collect();
    tests.sort_by_key(|case| (case.module, case.location.line, case.name));
    tests
}
