//! Rust values into terms: whatever has `Into<Term>` can be an argument of a remote call.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::big::BigInt;
use super::term::{Atom, Float, Pid, Reference, Term};

/// Bytes that become a binary (a `Vec<u8>` becomes a list of numbers, as any other `Vec`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub Vec<u8>);

/// The arguments of a remote call.
///
/// Made by [`args!`](crate::args), from a tuple, or from terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args(pub Vec<Term>);

/// What can be the arguments of a remote call: [`Args`], terms, and tuples of up to eight values.
pub trait IntoArgs {
    /// The arguments, one term each.
    fn into_args(self) -> Args;
}

/// The arguments of a remote call, each of them anything that has `Into<Term>`.
///
/// ```
/// use fuzz_dist_beam::{Args, args};
/// let arguments: Args = args!["cart-1", 42, true];
/// assert_eq!(arguments.0.len(), 3);
/// assert_eq!(arguments.0[0].to_string(), "<<\"cart-1\">>");
/// ```
#[macro_export]
macro_rules! args {
    ($($argument:expr),* $(,)?) => {
        $crate::Args(vec![$($crate::Term::from($argument)),*])
    };
}

impl IntoArgs for Args {
    fn into_args(self) -> Args {
        self
    }
}

impl IntoArgs for Vec<Term> {
    fn into_args(self) -> Args {
        Args(self)
    }
}

impl<const N: usize> IntoArgs for [Term; N] {
    fn into_args(self) -> Args {
        Args(self.into())
    }
}

impl IntoArgs for () {
    fn into_args(self) -> Args {
        Args::default()
    }
}

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<$($name: Into<Term>),+> IntoArgs for ($($name,)+) {
            #[allow(non_snake_case)]
            fn into_args(self) -> Args {
                let ($($name,)+) = self;
                Args(vec![$($name.into()),+])
            }
        }

        impl<$($name: Into<Term>),+> From<($($name,)+)> for Term {
            fn from(tuple: ($($name,)+)) -> Self {
                Term::Tuple(tuple.into_args().0)
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
tuples!(A B C D E F G);
tuples!(A B C D E F G H);

macro_rules! small_ints {
    ($($name:ty)+) => {$(
        impl From<$name> for Term {
            fn from(number: $name) -> Self {
                Term::Int(i64::from(number))
            }
        }
    )+};
}

small_ints!(i8 i16 i32 i64 u8 u16 u32);

macro_rules! large_ints {
    ($($name:ty as $wide:ty)+) => {$(
        impl From<$name> for Term {
            fn from(number: $name) -> Self {
                i64::try_from(number).map_or_else(|_| Term::Big(BigInt::from(number as $wide)), Term::Int)
            }
        }
    )+};
}

large_ints!(u64 as u128 u128 as u128 i128 as i128 usize as u128 isize as i128);

impl From<f64> for Term {
    fn from(number: f64) -> Self {
        Term::Float(Float(number))
    }
}

impl From<bool> for Term {
    fn from(value: bool) -> Self {
        Term::Atom(Atom::from_static(if value { "true" } else { "false" }))
    }
}

impl From<&str> for Term {
    fn from(text: &str) -> Self {
        Term::Binary(text.as_bytes().to_vec())
    }
}

impl From<String> for Term {
    fn from(text: String) -> Self {
        Term::Binary(text.into_bytes())
    }
}

impl From<&String> for Term {
    fn from(text: &String) -> Self {
        Term::from(text.as_str())
    }
}

impl From<Bytes> for Term {
    fn from(bytes: Bytes) -> Self {
        Term::Binary(bytes.0)
    }
}

impl From<Atom> for Term {
    fn from(atom: Atom) -> Self {
        Term::Atom(atom)
    }
}

impl From<Pid> for Term {
    fn from(pid: Pid) -> Self {
        Term::Pid(Box::new(pid))
    }
}

impl From<&Pid> for Term {
    fn from(pid: &Pid) -> Self {
        Term::Pid(Box::new(pid.clone()))
    }
}

impl From<Reference> for Term {
    fn from(reference: Reference) -> Self {
        Term::Reference(Box::new(reference))
    }
}

impl From<&Term> for Term {
    fn from(term: &Term) -> Self {
        term.clone()
    }
}

/// Nothing is the atom `undefined` (Elixir's `nil` is `atom("nil")`).
impl<T: Into<Term>> From<Option<T>> for Term {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(|| Term::Atom(Atom::from_static("undefined")), Into::into)
    }
}

macro_rules! lists {
    ($([$($generic:tt)*] $collection:ty;)+) => {$(
        impl<T: Into<Term>, $($generic)*> From<$collection> for Term {
            fn from(elements: $collection) -> Self {
                Term::List(elements.into_iter().map(Into::into).collect())
            }
        }
    )+};
}

lists! {
    [] Vec<T>;
    [] BTreeSet<T>;
    [S] HashSet<T, S>;
    [const N: usize] [T; N];
}

impl<T: Clone + Into<Term>> From<&[T]> for Term {
    fn from(elements: &[T]) -> Self {
        Term::List(elements.iter().cloned().map(Into::into).collect())
    }
}

macro_rules! maps {
    ($([$($generic:tt)*] $collection:ty;)+) => {$(
        impl<K: Into<Term>, V: Into<Term>, $($generic)*> From<$collection> for Term {
            fn from(pairs: $collection) -> Self {
                Term::Map(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
            }
        }
    )+};
}

maps! {
    [] BTreeMap<K, V>;
    [S] HashMap<K, V, S>;
}
