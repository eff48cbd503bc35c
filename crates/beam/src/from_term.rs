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
    /// Where in the result it was, from the outside: `[key]` of a map, `[3]` of a list (counted from 0), `{2}` of a tuple
    /// (counted from 1). Empty for the result itself.
    pub path: String,
}

fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" at {path}") }
}

impl ConvertError {
    /// The error for a term that is not what was asked for.
    pub fn new(expected: impl Into<String>, found: &Term) -> Self {
        let (expected, found) = (expected.into(), shortened(found));
        ConvertError { expected, found, path: String::new() }
    }

    /// The same error, of a part of a larger term.
    fn within(mut self, step: impl std::fmt::Display) -> Self {
        self.path.insert_str(0, &step.to_string());
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

/// Anything but an error: not `error`, `false`, `nil` or `undefined`, and no tuple that begins with `error`, `aborted`
/// (a transaction's), `badrpc` or `EXIT`.
impl FromTerm for () {
    fn from_term(term: Term) -> Result<Self, ConvertError> {
        let is_nothing = ["false", "nil", "undefined"].iter().any(|name| term.is_atom(name));
        if is_nothing || error_reason(&term).is_some() {
            Err(ConvertError::new("success", &term))
        } else {
            Ok(())
        }
    }
}

/// `ok`, `{ok, Value}` or `{atomic, Value}` against `error`, `{error, Reason}` or `{aborted, Reason}`.
impl<T: FromTerm, E: FromTerm> FromTerm for Result<T, E> {
    fn from_term(term: Term) -> Result<Self, ConvertError> {
        if let Some(reason) = error_reason(&term) {
            return E::from_term(reason).map(Err);
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

/// From a binary of UTF-8, a list of characters (the empty list is the empty text), an atom other than `nil` and
/// `undefined`, or one of Elixir's dates and times, as ISO 8601 has them.
impl FromTerm for String {
    fn from_term(term: Term) -> Result<Self, ConvertError> {
        match term {
            Term::Binary(bytes) => String::from_utf8(bytes)
                .map_err(|error| ConvertError::new("text", &Term::Binary(error.into_bytes()))),
            Term::Atom(name) if !["nil", "undefined"].contains(&name.as_str()) => {
                Ok(name.as_str().to_owned())
            }
            term => {
                let text = term.as_text().or_else(|| elixir::iso8601(&term));
                text.ok_or_else(|| ConvertError::new("text", &term))
            }
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

macro_rules! lists {
    ($([$($bound:tt)*] $collection:ty;)+) => {$(
        impl<T: FromTerm $($bound)*> FromTerm for $collection {
            fn from_term(term: Term) -> Result<Self, ConvertError> {
                let elements = elixir::elements(term)?.into_iter().enumerate();
                elements
                    .map(|(at, term)| T::from_term(term).map_err(|e| e.within(format_args!("[{at}]"))))
                    .collect()
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
                let pair = |(key, value): (Term, Term)| {
                    let at = format!("[{}]", shortened(&key));
                    let value = V::from_term(value).map_err(|e| e.within(at))?;
                    Ok((K::from_term(key).map_err(|e| e.within("a key of "))?, value))
                };
                elixir::pairs(term)?.into_iter().map(pair).collect()
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
                        let mut parts = parts.into_iter().enumerate();
                        let mut next = || parts.next().unwrap_or((0, Term::List(Vec::new())));
                        Ok(($({
                            let (at, part) = next();
                            $name::from_term(part).map_err(|e| e.within(format_args!("{{{}}}", at + 1)))?
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
