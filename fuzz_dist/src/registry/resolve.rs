//! From a name to the part that it stands for, or to an error that helps.

use super::suggest;
use super::{Choice, Registered, Source};
use crate::checker::AnyChecker;
use crate::db::AnyDb;
use crate::env::AnyProvider;
use crate::nemesis::Nemesis;
use crate::run::{Location, Part};
use crate::workload::AnyWorkload;

/// A kind of part that can be registered under a name.
pub trait Named: Sized + 'static {
    /// The word for the kind, which is its attribute's and its key's too.
    const KIND: &'static str;

    /// Everything of the kind that has a name, sorted by name.
    fn registered() -> Vec<&'static Registered<Self>>;
}

macro_rules! named {
    ($($part:ty: $kind:literal,)+) => {$(
        inventory::collect!(Registered<$part>);

        impl Named for $part {
            const KIND: &'static str = $kind;

            fn registered() -> Vec<&'static Registered<Self>> {
                let mut all: Vec<_> = inventory::iter::<Registered<Self>>.into_iter().collect();
                // The order of linking means nothing.
                all.sort_by_key(|entry| (entry.name, entry.location));
                all
            }
        }
    )+};
}

named! {
    AnyDb: "db",
    Nemesis: "nemesis",
    AnyWorkload: "workload",
    AnyChecker: "checker",
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
            Source::Expr(make) => make,
            Source::Named(name) => find(name, &T::registered(), self.location)?.make,
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
pub fn default_env(location: Location) -> Result<Part<AnyProvider>, NameError> {
    let source = Source::Named(DEFAULT_ENV);
    Choice { label: DEFAULT_ENV, location, source }.resolve()
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
