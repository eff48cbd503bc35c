//! Terms into Rust values: what the result of a remote call can be asked for as.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use super::elixir;
use super::into_term::Bytes;
use super::term::{Atom, Pid, Term};

/// A result was not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got {found}{}", at(.path))]
#[non_exhaustive]
pub struct ConvertError {
    /// What was asked for.
    pub expected: String,
    /// What came, as Erlang prints it, cut after some hundred characters.
    pub found: String,
    /// Where it is inside of the result, as `[2]["name"].0`; empty where it is the result itself.
    pub path: String,
}

fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" (at {path} of the result)") }
}

impl ConvertError {
    /// The error for a term that is not what was asked for.
    pub fn new(expected: impl Into<String>, found: &Term) -> Self {
        ConvertError { expected: expected.into(), found: shortened(found), path: String::new() }
    }

    /// The same error, of a part that is found by this step.
    pub(crate) fn inside(mut self, step: impl std::fmt::Display) -> Self {
        self.path = format!("{step}{}", self.path);
        self
    }
}

/// A term as Erlang prints it, cut after some hundred characters.
pub(crate) fn shortened(term: &Term) -> String {
    const CHARACTERS_MAX: usize = 300;
    let text = term.to_string();
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}

/// A Rust value that a term can be read as.
///
/// | Elixir and Erlang | Rust |
/// |---|---|
/// | integer, float, `true` and `false` | every integer type, `f64`, `bool` |
/// | binary, charlist, atom; `Date`, `Time`, `NaiveDateTime`, `DateTime` (as ISO 8601) | `String` |
/// | any binary; atom; pid | [`Bytes`], [`Atom`], [`Pid`] |
/// | list, `MapSet`, `Range` of any step | `Vec<T>`, `BTreeSet<T>`, `HashSet<T>` |
/// | a set of Erlang's `sets` | `BTreeSet<T>`, `HashSet<T>` |
/// | `Range` of step 1 | `RangeInclusive<T>` |
/// | map, struct (its fields), keyword list | `BTreeMap<K, V>`, `HashMap<K, V>` |
/// | tuple of up to six | the same |
/// | `{ok, V}`, `ok`, `{error, R}`, `error` | `Result<V, R>` |
/// | `nil`, `undefined`, or a value | `Option<T>` |
/// | anything but `false`, `nil`, `undefined`, `error`, `{error, _}` | `()` |
/// | anything | [`Term`] |
///
/// ```
/// use fuzz_dist_beam::{FromTerm, Term, atom};
/// let pairs = Term::from(vec![("a", 1), ("b", 2)]);
/// assert_eq!(Vec::<(String, u32)>::from_term(pairs), Ok(vec![("a".into(), 1), ("b".into(), 2)]));
/// assert!(<()>::from_term(Term::from((atom("error"), 7))).is_err());
/// ```
pub trait FromTerm: Sized {
    /// The value, or what the term is instead.
    fn from_term(term: Term) -> Result<Self, ConvertError>;
}

impl FromTerm for Term {
    fn from_term(term: Term) -> Result<Self, ConvertError> {
        Ok(term)
    }
}

/// Anything but an error or nothing: not `error`, `false`, `nil` or `undefined`, and no tuple that
/// begins with `error`, `aborted` (a transaction's), `badrpc` or `EXIT`. Where such a result is no
/// failure, ask for a `bool`, an `Option` or a [`Term`].
impl FromTerm for () {
    fn from_term(term: Term) -> Result<Self, ConvertError> {
        let nothing = ["false", "nil", "undefined"].iter().any(|name| term.is_atom(name));
        if nothing || error_reason(&term).is_some() {
            Err(ConvertError::new("success", &term))
        } else {
            Ok(())
        }
    }
}

/// `ok`, `{ok, Value}` or `{atomic, Value}` against `error`, `{error, Reason}` or `{aborted, Reason}`.
///
/// The reason of a bare `error` is `error`; of `{error, Kind, More}` it is the whole tuple.
impl<T: FromTerm, E: FromTerm> FromTerm for Result<T, E> {
    fn from_term(term: Term) -> Result<Self, ConvertError> {
        if let Some(reason) = error_reason(&term) {
            return E::from_term(reason).map(Err).map_err(|error| error.inside(".error"));
        }
        match term {
            Term::Tuple(mut parts)
                if parts.len() == 2 && (parts[0].is_atom("ok") || parts[0].is_atom("atomic")) =>
            {
                parts
                    .pop()
                    .map_or_else(|| T::from_term(Term::Tuple(Vec::new())), T::from_term)
                    .map(Ok)
                    .map_err(|error| error.inside(".ok"))
            }
            term if term.is_atom("ok") => T::from_term(term).map(Ok),
            term => Err(ConvertError::new("ok, {ok, Value}, error or {error, Reason}", &term)),
        }
    }
}

fn error_reason(term: &Term) -> Option<Term> {
    const TAGS: [&str; 4] = ["error", "aborted", "badrpc", "EXIT"];
    match term {
        Term::Atom(name) if name.as_str() == "error" => Some(term.clone()),
        Term::Tuple(parts) => match &parts[..] {
            [Term::Atom(tag), reason] if TAGS.contains(&tag.as_str()) => Some(reason.clone()),
            [Term::Atom(tag), ..] if TAGS.contains(&tag.as_str()) => Some(term.clone()),
            _ => None,
        },
        _ => None,
    }
}

impl FromTerm for bool {
    fn from_term(term: Term) -> Result<Self, ConvertError> {
        match &term {
            Term::Atom(name) if name.as_str() == "true" => Ok(true),
            Term::Atom(name) if name.as_str() == "false" => Ok(false),
            _ => Err(ConvertError::new("true or false", &term)),
        }
    }
}

macro_rules! ints {
    ($($name:ty)+) => {$(
        impl FromTerm for $name {
            fn from_term(term: Term) -> Result<Self, ConvertError> {
                let number = match &term {
                    Term::Int(number) => <$name>::try_from(*number).ok(),
                    Term::Big(number) => number
                        .to_i128()
                        .and_then(|number| <$name>::try_from(number).ok())
                        .or_else(|| number.to_u128().and_then(|number| <$name>::try_from(number).ok())),
                    _ => None,
                };
                number.ok_or_else(|| {
                    ConvertError::new(format!("an integer that fits {}", stringify!($name)), &term)
                })
            }
        }
    )+};
}

ints!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

impl FromTerm for f64 {
    fn from_term(term: Term) -> Result<Self, ConvertError> {
        match term {
            Term::Float(number) => Ok(number.0),
            Term::Int(number) => Ok(number as f64),
            term => Err(ConvertError::new("a number", &term)),
        }
    }
}

/// From a binary of UTF-8, a charlist, an atom, or a date or time of Elixir.
///
/// The type that is asked for decides what an empty list is: here the empty charlist, for a `Vec`
/// no elements. An atom is its name, a module of Elixir's without `Elixir.`; `nil` and `undefined`
/// are refused, since they are no value: ask for an `Option<String>`. A `Date`, `Time`,
/// `NaiveDateTime` or `DateTime` is written as ISO 8601.
impl FromTerm for String {
    fn from_term(term: Term) -> Result<Self, ConvertError> {
        match term {
            Term::Binary(bytes) => String::from_utf8(bytes)
                .map_err(|error| ConvertError::new("text", &Term::Binary(error.into_bytes()))),
            Term::Atom(name) if !["nil", "undefined"].contains(&name.as_str()) => {
                let name = name.as_str();
                Ok(name.strip_prefix("Elixir.").unwrap_or(name).to_owned())
            }
            Term::Map(_) => {
                elixir::iso8601(&term).unwrap_or_else(|| Err(ConvertError::new("text", &term)))
            }
            term => term.as_text().ok_or_else(|| ConvertError::new("text", &term)),
        }
    }
}

impl FromTerm for Bytes {
    fn from_term(term: Term) -> Result<Self, ConvertError> {
        match term {
            Term::Binary(bytes) => Ok(Bytes(bytes)),
            term => Err(ConvertError::new("a binary", &term)),
        }
    }
}

impl FromTerm for Atom {
    fn from_term(term: Term) -> Result<Self, ConvertError> {
        match term {
            Term::Atom(name) => Ok(name),
            term => Err(ConvertError::new("an atom", &term)),
        }
    }
}

impl FromTerm for Pid {
    fn from_term(term: Term) -> Result<Self, ConvertError> {
        match term {
            Term::Pid(pid) => Ok(*pid),
            term => Err(ConvertError::new("a pid", &term)),
        }
    }
}

/// `undefined` and `nil` are nothing.
impl<T: FromTerm> FromTerm for Option<T> {
    fn from_term(term: Term) -> Result<Self, ConvertError> {
        if term.is_atom("undefined") || term.is_atom("nil") {
            Ok(None)
        } else {
            T::from_term(term).map(Some)
        }
    }
}

/// The elements of a list, a `MapSet` or a `Range`.
fn elements(term: Term) -> Result<Vec<Term>, ConvertError> {
    match term {
        Term::List(elements) => Ok(elements),
        term => elixir::elements(&term)
            .unwrap_or_else(|| Err(ConvertError::new("a list, a MapSet or a Range", &term))),
    }
}

/// The same, or those of a set of Erlang's `sets`.
fn members(term: Term) -> Result<Vec<Term>, ConvertError> {
    match elixir::set_elements(&term) {
        Some(members) => Ok(members),
        None => elements(term),
    }
}

fn indexed<T: FromTerm>((index, term): (usize, Term)) -> Result<T, ConvertError> {
    T::from_term(term).map_err(|error| error.inside(format_args!("[{index}]")))
}

macro_rules! lists {
    ($($(#[$meta:meta])* [$($bound:tt)*] $collection:ty, $from:ident;)+) => {$(
        $(#[$meta])*
        impl<T: FromTerm $($bound)*> FromTerm for $collection {
            fn from_term(term: Term) -> Result<Self, ConvertError> {
                $from(term)?.into_iter().enumerate().map(indexed).collect()
            }
        }
    )+};
}

lists! {
    /// From a list, a `MapSet` (in the order of terms) or a `Range` of at most a million elements.
    [] Vec<T>, elements;
    /// From a list, a `MapSet`, a `Range` or a set of Erlang's `sets`.
    [+ Ord] BTreeSet<T>, members;
    /// From a list, a `MapSet`, a `Range` or a set of Erlang's `sets`.
    [+ Hash + Eq] HashSet<T>, members;
}

/// The pairs of a map, of a struct's fields, or of a list of pairs.
fn pairs(term: Term) -> Result<Vec<(Term, Term)>, ConvertError> {
    let expected = |term: &Term| ConvertError::new("a map, a struct or a keyword list", term);
    match term {
        Term::Map(map) => Ok(elixir::fields(map).into_iter().collect()),
        Term::List(elements) => {
            let pair = |(index, term): (usize, &Term)| match term.as_tuple() {
                Some([key, value]) => Ok((key.clone(), value.clone())),
                _ => Err(ConvertError::new("a pair", term).inside(format_args!("[{index}]"))),
            };
            elements.iter().enumerate().map(pair).collect()
        }
        term => Err(expected(&term)),
    }
}

macro_rules! maps {
    ($([$($bound:tt)*] $collection:ident;)+) => {$(
        /// From a map, the fields of a struct, or a keyword list. Two keys that are the same in
        /// Rust (`a` and `<<"a">>` as `String`, or twice the same in a keyword list) are an error;
        /// a `Vec` of pairs takes such a list.
        impl<K: FromTerm $($bound)*, V: FromTerm> FromTerm for $collection<K, V> {
            fn from_term(term: Term) -> Result<Self, ConvertError> {
                let mut map = $collection::new();
                for (key, value) in pairs(term)? {
                    let step = format!("[{}]", shortened(&key));
                    let as_key = |error: ConvertError| error.inside(format!("{step} (a key)"));
                    let converted = K::from_term(key.clone()).map_err(as_key)?;
                    let value = V::from_term(value).map_err(|error| error.inside(&step))?;
                    if map.insert(converted, value).is_some() {
                        return Err(ConvertError::new("different keys", &key).inside(step));
                    }
                }
                Ok(map)
            }
        }
    )+};
}

maps! {
    [+ Ord] BTreeMap;
    [+ Hash + Eq] HashMap;
}

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<$($name: FromTerm),+> FromTerm for ($($name,)+) {
            fn from_term(term: Term) -> Result<Self, ConvertError> {
                const ARITY: usize = [$(stringify!($name)),+].len();
                match term {
                    Term::Tuple(parts) if parts.len() == ARITY => {
                        let mut parts = parts.into_iter();
                        let mut next = || parts.next().unwrap_or(Term::List(Vec::new()));
                        let mut index = 0..;
                        let inside = |error: ConvertError, at: usize| error.inside(format_args!(".{at}"));
                        Ok(($({
                            let at = index.next().unwrap_or(0);
                            $name::from_term(next()).map_err(|error| inside(error, at))?
                        },)+))
                    }
                    term => Err(ConvertError::new(format!("a tuple of {ARITY}"), &term)),
                }
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
