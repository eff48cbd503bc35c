//! From a name to the part that it stands for, or to an error that helps.

use super::{Choice, Registered, Source};
use crate::checker::registry::CHECKERS;
use crate::checker::{self, AnyChecker, suggest};
use crate::db::AnyDb;
use crate::env::AnyProvider;
use crate::nemesis::Nemesis;
use crate::run::{Location, Make, Part};
use crate::workload::AnyWorkload;

/// A kind of part that can be registered under a name.
pub trait Named: Sized + 'static {
    /// The word for the kind, which is its attribute's and its key's too.
    const KIND: &'static str;

    /// Everything of the kind that has a name, sorted by name.
    fn registered() -> Vec<&'static Registered<Self>>;

    /// The names that a table of the library has, beside what is registered.
    fn in_table() -> Vec<&'static str> {
        Vec::new()
    }

    /// The options without which the table does not make what has this name; `None` if it has no such name.
    fn table_needs(_name: &str) -> Option<Vec<&'static str>> {
        None
    }

    /// Makes what the table has under a name that needs no options.
    fn from_table(name: &'static str) -> Self {
        unreachable!("no table has {name}")
    }
}

macro_rules! named {
    ($($part:ty: $kind:literal $({ $($table:tt)* })?,)+) => {$(
        inventory::collect!(Registered<$part>);

        impl Named for $part {
            const KIND: &'static str = $kind;

            fn registered() -> Vec<&'static Registered<Self>> {
                let mut all: Vec<_> = inventory::iter::<Registered<Self>>.into_iter().collect();
                // The order of linking means nothing.
                all.sort_by_key(|entry| (entry.name, entry.location));
                all
            }

            $($($table)*)?
        }
    )+};
}

named! {
    AnyDb: "db",
    Nemesis: "nemesis",
    AnyWorkload: "workload",
    AnyChecker: "checker" {
        // Those that need an option are made by their functions alone.
        fn in_table() -> Vec<&'static str> {
            let whole = CHECKERS.iter().filter(|entry| entry.required().is_empty());
            whole.map(|entry| entry.name).collect()
        }

        fn table_needs(name: &str) -> Option<Vec<&'static str>> {
            let options = checker::registry::find(name)?.options.iter();
            Some(options.filter(|option| option.is_required).map(|option| option.key).collect())
        }

        fn from_table(name: &'static str) -> AnyChecker {
            let entry = checker::registry::find(name).expect("the table has its own names");
            entry.build(&checker::registry::Options::new(&[])).expect("it needs no option")
        }
    },
    AnyProvider: "env",
}

/// A name that stands for nothing, or for two things.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing has that name.
    #[error(
        "unknown {kind} \"{name}\"{}\n  --> {location}\n  registered: {}\n  \
         to register a {kind}: `#[fuzz_dist::{kind}(\"{name}\")]` on a type or a function; one of another crate is linked only if that crate is mentioned: `use the_crate as _;`",
        near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default(),
        if known.is_empty() { "none".to_string() } else { known.join(", ") }
    )]
    Unknown {
        /// Which kind of part.
        kind: &'static str,
        /// The name that was asked for.
        name: String,
        /// The name that may have been meant.
        near: Option<&'static str>,
        /// All names, aliases left out.
        known: Vec<&'static str>,
        /// Where the name was asked for.
        location: Location,
    },
    /// The library has it, but a name alone does not say enough.
    #[error(
        "{kind} \"{name}\" needs {needs}; give it as an expression, as `{kind} = {}(..)`\n  --> {location}",
        name.replace('-', "_")
    )]
    Options {
        /// Which kind of part.
        kind: &'static str,
        /// The name.
        name: String,
        /// What it needs.
        needs: String,
        /// Where the name was asked for.
        location: Location,
    },
    /// Two things have it, and it is not known which one is meant.
    #[error("duplicate {kind} \"{name}\": at {first} and at {second}; rename one of them")]
    Ambiguous {
        /// Which kind of part.
        kind: &'static str,
        /// The name.
        name: String,
        /// Where it is given first.
        first: Location,
        /// Where it is given again.
        second: Location,
    },
}

impl<T: Named> Choice<T> {
    /// How to make the part; nothing is made yet.
    pub fn resolve(&self) -> Result<Part<T>, NameError> {
        let make = match self.source {
            Source::Expr(make) => Make::Fresh(make),
            Source::Named(name) => named(name, self.location)?,
        };
        Ok(Part { label: self.label, location: self.location, make })
    }
}

/// Where the hosts of a test are that names no `env`.
const DEFAULT_ENV: &str = "local";

/// The environment of a test at `location` that names none.
///
/// # Errors
///
/// Where none, or more than one, is registered under the default's name.
pub(crate) fn default_env(location: Location) -> Result<Part<AnyProvider>, NameError> {
    let source = Source::Named(DEFAULT_ENV);
    Choice { label: DEFAULT_ENV, location, source }.resolve()
}

/// What is registered under that name, else what the library's table has.
fn named<T: Named>(name: &'static str, location: Location) -> Result<Make<T>, NameError> {
    let table = T::in_table();
    match find(name, &T::registered(), location) {
        Ok(entry) => Ok(Make::Fresh(entry.make)),
        Err(NameError::Unknown { kind, name: word, near, mut known, location }) => {
            match T::table_needs(name) {
                Some(needs) if needs.is_empty() => return Ok(Make::Table(T::from_table, name)),
                Some(needs) => {
                    let needs = needs.join(" and ");
                    return Err(NameError::Options { kind, name: word, needs, location });
                }
                None => {}
            }
            let name = word;
            let near = near.or_else(|| suggest::nearest(&name, &table));
            known.extend(table);
            known.sort_unstable();
            Err(NameError::Unknown { kind, name, near, known, location })
        }
        Err(ambiguous) => Err(ambiguous),
    }
}

/// The one entry of that name or alias.
pub(super) fn find<'a, T: Named>(
    name: &str,
    entries: &[&'a Registered<T>],
    location: Location,
) -> Result<&'a Registered<T>, NameError> {
    let mut found =
        entries.iter().filter(|entry| entry.name == name || entry.aliases.contains(&name));
    match (found.next(), found.next()) {
        (Some(entry), None) => Ok(entry),
        (Some(first), Some(second)) => Err(NameError::Ambiguous {
            kind: T::KIND,
            name: name.into(),
            first: first.location,
            second: second.location,
        }),
        (None, _) => {
            let words: Vec<&str> =
                entries.iter().flat_map(|e| e.aliases.iter().chain([&e.name]).copied()).collect();
            Err(NameError::Unknown {
                kind: T::KIND,
                name: name.into(),
                near: suggest::nearest(name, &words),
                known: entries.iter().map(|entry| entry.name).collect(),
                location,
            })
        }
    }
}
