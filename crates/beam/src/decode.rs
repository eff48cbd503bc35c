//! The external term format into terms: never panics, and never allocates by a length that is only claimed.

use std::collections::BTreeMap;

use super::big::BigInt;
use super::encode::VERSION;
use super::term::{Atom, Bits, Export, Float, Pid, Port, Reference, Term};

/// How deeply terms may be nested; the decoder recurses, and a peer must not exhaust the stack.
pub const DEPTH_MAX: usize = 256;

/// Room that is made at once for the elements of a list; more comes as elements are really there.
const RESERVE_MAX: usize = 1024;

/// Why bytes are not a term.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end within the term.
    #[error("the term is cut short")]
    CutShort,
    /// A tag that is unknown, or not allowed in this place.
    #[error("the tag {tag} where {expected} was expected")]
    Unexpected {
        /// The tag found.
        tag: u8,
        /// What was expected.
        expected: &'static str,
    },
    /// The parts are well-formed, the whole is not.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// Nested more deeply than [`DEPTH_MAX`].
    #[error("the term is nested more than {DEPTH_MAX} levels deep")]
    TooDeep,
    /// Bytes are left over after the term.
    #[error("{0} bytes are left over after the term")]
    LeftOver(usize),
}

/// Decodes one term with its version byte, and nothing after it.
///
/// ```
/// use fuzz_dist_beam::{decode_whole, Term};
/// assert_eq!(decode_whole(&[131, 107, 0, 2, 7, 8]), Ok(Term::from(vec![7, 8])));
/// assert!(decode_whole(&[131, 108, 255, 255, 255, 255]).is_err());
/// ```
pub fn decode_whole(bytes: &[u8]) -> Result<Term, DecodeError> {
    let mut decoder = Decoder::new(bytes);
    let term = decoder.versioned()?;
    match decoder.rest().len() {
        0 => Ok(term),
        left => Err(DecodeError::LeftOver(left)),
    }
}

/// Reads terms off the front of a slice.
#[derive(Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
    atoms: &'a [Atom],
}

impl<'a> Decoder<'a> {
    /// A decoder of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Decoder { rest: bytes, atoms: &[] }
    }

    /// The atoms that references into a message's atom table stand for (two nodes between each
    /// other send such tables; a hidden node that does not offer them gets none).
    pub fn with_atoms(bytes: &'a [u8], atoms: &'a [Atom]) -> Self {
        Decoder { rest: bytes, atoms }
    }

    /// The bytes that were not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next term, which begins with the version byte.
    pub fn versioned(&mut self) -> Result<Term, DecodeError> {
        match self.u8()? {
            VERSION => self.term(),
            tag => Err(DecodeError::Unexpected { tag, expected: "the version byte 131" }),
        }
    }

    /// The next term, without version byte.
    pub fn term(&mut self) -> Result<Term, DecodeError> {
        self.nested(DEPTH_MAX)
    }

    fn nested(&mut self, depth: usize) -> Result<Term, DecodeError> {
        let depth = depth.checked_sub(1).ok_or(DecodeError::TooDeep)?;
        let start = self.rest;
        match self.u8()? {
            97 => Ok(Term::Int(i64::from(self.u8()?))),
            98 => Ok(Term::Int(i64::from(self.u32()? as i32))),
            110 => {
                let length = usize::from(self.u8()?);
                self.big(length)
            }
            111 => {
                let length = self.u32()? as usize;
                self.big(length)
            }
            70 => {
                let bits = self.u64()?;
                finite(f64::from_bits(bits))
            }
            99 => self.old_float(),
            tag @ (82 | 100 | 115 | 118 | 119) => Ok(Term::Atom(self.atom_after(tag)?)),
            104 => {
                let arity = usize::from(self.u8()?);
                Ok(Term::Tuple(self.elements(arity, depth)?))
            }
            105 => {
                let arity = self.u32()? as usize;
                Ok(Term::Tuple(self.elements(arity, depth)?))
            }
            106 => Ok(Term::List(Vec::new())),
            107 => {
                let length = usize::from(self.u16()?);
                Ok(Term::List(
                    self.take(length)?.iter().map(|byte| Term::Int(i64::from(*byte))).collect(),
                ))
            }
            108 => self.list(depth),
            109 => {
                let length = self.u32()? as usize;
                Ok(Term::Binary(self.take(length)?.to_vec()))
            }
            77 => self.bits(),
            116 => self.map(depth),
            tag @ (88 | 103) => self.pid(tag),
            tag @ (89 | 102 | 120) => self.port(tag),
            tag @ (90 | 101 | 114) => self.reference(tag),
            112 => self.fun(start),
            113 => self.export(),
            tag => Err(DecodeError::Unexpected { tag, expected: "a term" }),
        }
    }

    fn big(&mut self, length: usize) -> Result<Term, DecodeError> {
        let negative = self.u8()? != 0;
        Ok(BigInt::new(negative, self.take(length)?.to_vec()).into_term())
    }

    /// The form of before OTP R16: 31 bytes of text, filled up with zeros.
    fn old_float(&mut self) -> Result<Term, DecodeError> {
        let text = self.take(31)?.split(|byte| *byte == 0).next().unwrap_or_default();
        let number = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok());
        finite(number.ok_or(DecodeError::Malformed("a float that is no number"))?)
    }

    pub(crate) fn atom(&mut self) -> Result<Atom, DecodeError> {
        let tag = self.u8()?;
        self.atom_after(tag)
    }

    fn atom_after(&mut self, tag: u8) -> Result<Atom, DecodeError> {
        if tag == 82 {
            let index = usize::from(self.u8()?);
            return self
                .atoms
                .get(index)
                .cloned()
                .ok_or(DecodeError::Malformed("an atom that no table has"));
        }
        let length = match tag {
            115 | 119 => usize::from(self.u8()?),
            100 | 118 => usize::from(self.u16()?),
            tag => return Err(DecodeError::Unexpected { tag, expected: "an atom" }),
        };
        let name = self.take(length)?;
        if matches!(tag, 100 | 115) {
            return Ok(Atom::from(name.iter().map(|byte| char::from(*byte)).collect::<String>()));
        }
        let name = std::str::from_utf8(name)
            .map_err(|_| DecodeError::Malformed("an atom that is not UTF-8"))?;
        Ok(Atom::from(name))
    }

    fn elements(&mut self, count: usize, depth: usize) -> Result<Vec<Term>, DecodeError> {
        // Every element takes a byte at least, so a greater count is a lie.
        if count > self.rest.len() {
            return Err(DecodeError::CutShort);
        }
        let mut elements = Vec::with_capacity(count.min(RESERVE_MAX));
        for _ in 0..count {
            elements.push(self.nested(depth)?);
        }
        Ok(elements)
    }

    fn list(&mut self, depth: usize) -> Result<Term, DecodeError> {
        let count = self.u32()? as usize;
        let mut heads = self.elements(count, depth)?;
        // A tail that is a list itself continues this one.
        match self.nested(depth)? {
            Term::List(tail) => {
                heads.extend(tail);
                Ok(Term::List(heads))
            }
            Term::Improper(tail) => {
                heads.extend(tail.0);
                Ok(Term::Improper(Box::new((heads, tail.1))))
            }
            tail if heads.is_empty() => Ok(tail),
            tail => Ok(Term::Improper(Box::new((heads, tail)))),
        }
    }

    fn map(&mut self, depth: usize) -> Result<Term, DecodeError> {
        let count = self.u32()? as usize;
        if count > self.rest.len() / 2 {
            return Err(DecodeError::CutShort);
        }
        let mut pairs = BTreeMap::new();
        for _ in 0..count {
            let key = self.nested(depth)?;
            if pairs.insert(key, self.nested(depth)?).is_some() {
                return Err(DecodeError::Malformed("a map with one key twice"));
            }
        }
        Ok(Term::Map(pairs))
    }

    fn bits(&mut self) -> Result<Term, DecodeError> {
        let length = self.u32()? as usize;
        let last_bits = self.u8()?;
        let mut bytes = self.take(length)?.to_vec();
        match (last_bits, bytes.last_mut()) {
            (8, _) | (0, None) => Ok(Term::Binary(bytes)),
            (1..=7, Some(last)) => {
                *last &= 0xff << (8 - last_bits);
                Ok(Term::Bits(Box::new(Bits { bytes, last_bits })))
            }
            _ => Err(DecodeError::Malformed(
                "a bit string whose last byte has an impossible number of bits",
            )),
        }
    }

    fn pid(&mut self, tag: u8) -> Result<Term, DecodeError> {
        let node = self.atom()?;
        let (id, serial) = (self.u32()?, self.u32()?);
        let creation = if tag == 88 { self.u32()? } else { u32::from(self.u8()?) };
        Ok(Term::Pid(Box::new(Pid { node, id, serial, creation })))
    }

    fn port(&mut self, tag: u8) -> Result<Term, DecodeError> {
        let node = self.atom()?;
        let id = if tag == 120 { self.u64()? } else { u64::from(self.u32()?) };
        let creation = if tag == 102 { u32::from(self.u8()?) } else { self.u32()? };
        Ok(Term::Port(Box::new(Port { node, id, creation })))
    }

    fn reference(&mut self, tag: u8) -> Result<Term, DecodeError> {
        let words = if tag == 101 { 1 } else { usize::from(self.u16()?) };
        if words > 5 {
            return Err(DecodeError::Malformed("a reference of more than five words"));
        }
        let node = self.atom()?;
        if tag == 101 {
            let (id, creation) = (self.u32()?, u32::from(self.u8()?));
            return Ok(Term::Reference(Box::new(Reference { node, creation, ids: vec![id] })));
        }
        let creation = if tag == 90 { self.u32()? } else { u32::from(self.u8()?) };
        let mut ids = Vec::with_capacity(words);
        for _ in 0..words {
            ids.push(self.u32()?);
        }
        Ok(Term::Reference(Box::new(Reference { node, creation, ids })))
    }

    fn fun(&mut self, start: &[u8]) -> Result<Term, DecodeError> {
        // The size counts itself, not the tag.
        let size = self.u32()? as usize;
        self.take(
            size.checked_sub(4).ok_or(DecodeError::Malformed("a fun of less than its size"))?,
        )?;
        Ok(Term::Fun(start[..start.len() - self.rest.len()].into()))
    }

    fn export(&mut self) -> Result<Term, DecodeError> {
        let (module, function) = (self.atom()?, self.atom()?);
        match self.u8()? {
            97 => Ok(Term::Export(Box::new(Export { module, function, arity: self.u8()? }))),
            tag => Err(DecodeError::Unexpected { tag, expected: "the arity of a fun" }),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::CutShort)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(DecodeError::CutShort)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array()?))
    }
}

fn finite(number: f64) -> Result<Term, DecodeError> {
    if number.is_finite() {
        Ok(Term::Float(Float(number)))
    } else {
        Err(DecodeError::Malformed("a float that is not finite"))
    }
}
