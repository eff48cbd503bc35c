//! Terms into Rust values: what the result of a remote call can be asked for as.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use super::into_term::Bytes;
use super::term::{Atom, Pid, Term};

/// A result was not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got {found}")]
#[non_exhaustive]
pub struct ConvertError {
    /// What was asked for.
    pub expected: String,
    /// What came, as Erlang prints it, cut after some hundred characters.
    pub found: String,
}

impl ConvertError {
    /// The error for a term that is not what was asked for.
    pub fn new(expected: impl Into<String>, found: &Term) -> Self {
        ConvertError { expected: expected.into(), found: shortened(found) }
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

/// Anything but an error: not `error`, and no tuple that begins with `error`, `aborted`
/// (a transaction's), `badrpc` or `EXIT`.
impl FromTerm for () {
    fn from_term(term: Term) -> Result<Self, ConvertError> {
        if error_reason(&term).is_some() {
            Err(ConvertError::new("success", &term))
        } else {
            Ok(())
        }
    }
}

/// `ok`, `{ok, Value}` or `{atomic, Value}` against `error`, `{error, Reason}` or `{aborted, Reason}`.
impl<T: FromTerm> FromTerm for Result<T, Term> {
    fn from_term(term: Term) -> Result<Self, ConvertError> {
        if let Some(reason) = error_reason(&term) {
            return Ok(Err(reason));
        }
        match term {
            Term::Tuple(mut parts)
                if parts.len() == 2 && (parts[0].is_atom("ok") || parts[0].is_atom("atomic")) =>
            {
                parts
                    .pop()
                    .map_or_else(|| T::from_term(Term::Tuple(Vec::new())), T::from_term)
                    .map(Ok)
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

/// From a binary of UTF-8 or a list of characters.
impl FromTerm for String {
    fn from_term(term: Term) -> Result<Self, ConvertError> {
        match term {
            Term::Binary(bytes) => String::from_utf8(bytes)
                .map_err(|error| ConvertError::new("text", &Term::Binary(error.into_bytes()))),
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

fn elements(term: Term) -> Result<Vec<Term>, ConvertError> {
    match term {
        Term::List(elements) => Ok(elements),
        term => Err(ConvertError::new("a list", &term)),
    }
}

fn pairs(term: Term) -> Result<BTreeMap<Term, Term>, ConvertError> {
    match term {
        Term::Map(pairs) => Ok(pairs),
        term => Err(ConvertError::new("a map", &term)),
    }
}

macro_rules! lists {
    ($([$($bound:tt)*] $collection:ty;)+) => {$(
        impl<T: FromTerm $($bound)*> FromTerm for $collection {
            fn from_term(term: Term) -> Result<Self, ConvertError> {
                elements(term)?.into_iter().map(T::from_term).collect()
            }
        }
    )+};
}

lists! {
    [] Vec<T>;
    [+ Ord] BTreeSet<T>;
    [+ Hash + Eq] HashSet<T>;
}

macro_rules! maps {
    ($([$($bound:tt)*] $collection:ty;)+) => {$(
        impl<K: FromTerm $($bound)*, V: FromTerm> FromTerm for $collection {
            fn from_term(term: Term) -> Result<Self, ConvertError> {
                pairs(term)?.into_iter().map(|(k, v)| Ok((K::from_term(k)?, V::from_term(v)?))).collect()
            }
        }
    )+};
}

maps! {
    [+ Ord] BTreeMap<K, V>;
    [+ Hash + Eq] HashMap<K, V>;
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
                        Ok(($($name::from_term(next())?,)+))
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
