//! Erlang terms as Rust values.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::big::BigInt;

/// An Erlang term.
///
/// Equality is exact (`1` and `1.0` differ, as with `=:=`). The order is that of Erlang's terms
/// as map keys: types first (integer, float, atom, reference, fun, port, pid, tuple, map, list,
/// bit string), then values.
///
/// ```
/// use fuzz_dist_beam::{Term, atom};
/// let term = Term::Tuple(vec![atom("ok"), Term::from(vec![1, 2, 3])]);
/// assert_eq!(term.to_string(), "{ok,[1,2,3]}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Term {
    /// An integer that fits 64 bits. A decoded integer is always in this form if it can be.
    Int(i64),
    /// An integer that does not fit 64 bits.
    Big(BigInt),
    /// A float. Only finite ones can be sent: Erlang knows no others.
    Float(Float),
    /// An atom.
    Atom(Atom),
    /// A reference.
    Reference(Box<Reference>),
    /// A fun, kept as it came over the wire (its code lives in a module of the node).
    Fun(Box<[u8]>),
    /// An external fun: `fun module:function/arity`.
    Export(Box<Export>),
    /// A port.
    Port(Box<Port>),
    /// A process identifier.
    Pid(Box<Pid>),
    /// A tuple.
    Tuple(Vec<Term>),
    /// A map.
    Map(BTreeMap<Term, Term>),
    /// A proper list, the empty one included. Erlang's strings are lists of integers.
    List(Vec<Term>),
    /// A list whose last tail is not the empty list.
    Improper(Box<(Vec<Term>, Term)>),
    /// A binary.
    Binary(Vec<u8>),
    /// A bit string whose length is not a multiple of 8.
    Bits(Box<Bits>),
}

/// An atom: at most 255 characters.
///
/// Names that are known when the program is compiled cost no allocation.
#[derive(Clone)]
pub struct Atom(Name);

#[derive(Clone)]
enum Name {
    Static(&'static str),
    Shared(Arc<str>),
}

/// A float with an equality and an order of its own (those of its bits), so that terms can be keys.
#[derive(Clone, Copy, Debug)]
pub struct Float(pub f64);

/// A process identifier: the node that made it, two numbers, and the node's incarnation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid {
    /// The node that the process lives on.
    pub node: Atom,
    /// The first number.
    pub id: u32,
    /// The second number.
    pub serial: u32,
    /// Distinguishes the node's incarnations.
    pub creation: u32,
}

/// A port of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// The node that the port lives on.
    pub node: Atom,
    /// The port's number.
    pub id: u64,
    /// Distinguishes the node's incarnations.
    pub creation: u32,
}

/// A reference: unique among all nodes that are connected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The node that made it.
    pub node: Atom,
    /// Distinguishes the node's incarnations.
    pub creation: u32,
    /// One to five words.
    pub ids: Vec<u32>,
}

/// The parts of `fun module:function/arity`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Export {
    /// The module.
    pub module: Atom,
    /// The function.
    pub function: Atom,
    /// The number of arguments.
    pub arity: u8,
}

/// A bit string whose last byte is only partly used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bits {
    /// The bytes, the last one filled up with zero bits.
    pub bytes: Vec<u8>,
    /// How many of the last byte's bits count, from the most significant: 1 to 7.
    pub last_bits: u8,
}

/// An atom as a term.
pub fn atom(name: &'static str) -> Term {
    Term::Atom(Atom::from_static(name))
}

/// An Erlang string: the list of the text's characters. (A Rust string becomes a binary.)
///
/// ```
/// use fuzz_dist_beam::charlist;
/// assert_eq!(charlist("abc").to_string(), "\"abc\"");
/// ```
pub fn charlist(text: &str) -> Term {
    Term::List(text.chars().map(|c| Term::Int(i64::from(u32::from(c)))).collect())
}

impl Term {
    /// Is it this atom?
    pub fn is_atom(&self, name: &str) -> bool {
        matches!(self, Term::Atom(atom) if atom.as_str() == name)
    }

    /// The elements, if it is a tuple.
    pub fn as_tuple(&self) -> Option<&[Term]> {
        match self {
            Term::Tuple(elements) => Some(elements),
            _ => None,
        }
    }

    /// The elements, if it is a proper list.
    pub fn as_list(&self) -> Option<&[Term]> {
        match self {
            Term::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// The number, if it is an integer that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Term::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The atom, if it is one.
    pub fn as_atom(&self) -> Option<&Atom> {
        match self {
            Term::Atom(atom) => Some(atom),
            _ => None,
        }
    }

    /// The process identifier, if it is one.
    pub fn as_pid(&self) -> Option<&Pid> {
        match self {
            Term::Pid(pid) => Some(pid),
            _ => None,
        }
    }

    /// The text, if it is a binary of UTF-8 or a list of characters.
    pub fn as_text(&self) -> Option<String> {
        match self {
            Term::Binary(bytes) => String::from_utf8(bytes.clone()).ok(),
            Term::List(elements) => elements.iter().map(character).collect(),
            _ => None,
        }
    }

    /// In a few words what kind of term it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Term::Int(_) | Term::Big(_) => "an integer",
            Term::Float(_) => "a float",
            Term::Atom(_) => "an atom",
            Term::Reference(_) => "a reference",
            Term::Fun(_) | Term::Export(_) => "a fun",
            Term::Port(_) => "a port",
            Term::Pid(_) => "a pid",
            Term::Tuple(_) => "a tuple",
            Term::Map(_) => "a map",
            Term::List(_) => "a list",
            Term::Improper(_) => "an improper list",
            Term::Binary(_) => "a binary",
            Term::Bits(_) => "a bit string",
        }
    }
}

fn character(term: &Term) -> Option<char> {
    char::from_u32(u32::try_from(term.as_i64()?).ok()?)
}

impl Atom {
    /// An atom whose name is known at compile time.
    pub const fn from_static(name: &'static str) -> Self {
        Atom(Name::Static(name))
    }

    /// The atom's name.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Name::Static(name) => name,
            Name::Shared(name) => name,
        }
    }
}

impl From<&str> for Atom {
    fn from(name: &str) -> Self {
        Atom(Name::Shared(name.into()))
    }
}

impl From<String> for Atom {
    fn from(name: String) -> Self {
        Atom(Name::Shared(name.into()))
    }
}

impl PartialEq for Atom {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Atom {}

impl PartialEq<str> for Atom {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialOrd for Atom {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Atom {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Atom {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Float {}

impl Hash for Float {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}
