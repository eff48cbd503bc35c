//! Terms into the external term format (erts/doc: "External Term Format").

use super::term::{Atom, Term};

/// The byte that every term on the wire begins with.
pub(crate) const VERSION: u8 = 131;

/// Why a term cannot be written in the external term format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Erlang's floats are finite.
    #[error("the float {0} is not finite, and Erlang has no such floats")]
    NotFinite(String),
    /// Atoms have at most 255 characters.
    #[error("an atom of {0} characters: Erlang allows 255")]
    AtomTooLong(usize),
    /// Lengths are written in 32 bits.
    #[error("{kind} of {length} elements is too large to be sent")]
    TooLarge {
        /// What is too large.
        kind: &'static str,
        /// Its length.
        length: usize,
    },
}

/// Appends a term, without the version byte.
pub fn encode(term: &Term, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match term {
        Term::Int(number) => int(*number, out),
        Term::Big(number) => big(number.is_negative(), number.magnitude(), out)?,
        Term::Float(float) => {
            if !float.0.is_finite() {
                return Err(EncodeError::NotFinite(float.0.to_string()));
            }
            out.push(70);
            out.extend(float.0.to_be_bytes());
        }
        Term::Atom(name) => atom(name, out)?,
        Term::Reference(reference) => {
            out.push(90);
            out.extend((reference.ids.len().min(5) as u16).to_be_bytes());
            atom(&reference.node, out)?;
            out.extend(reference.creation.to_be_bytes());
            reference.ids.iter().take(5).for_each(|id| out.extend(id.to_be_bytes()));
        }
        Term::Fun(raw) => out.extend(raw),
        Term::Export(export) => {
            out.push(113);
            atom(&export.module, out)?;
            atom(&export.function, out)?;
            out.extend([97, export.arity]);
        }
        Term::Port(port) => {
            out.push(120);
            atom(&port.node, out)?;
            out.extend(port.id.to_be_bytes());
            out.extend(port.creation.to_be_bytes());
        }
        Term::Pid(pid) => {
            out.push(88);
            atom(&pid.node, out)?;
            [pid.id, pid.serial, pid.creation]
                .iter()
                .for_each(|word| out.extend(word.to_be_bytes()));
        }
        Term::Tuple(elements) => {
            match u8::try_from(elements.len()) {
                Ok(arity) => out.extend([104, arity]),
                Err(_) => length(105, "a tuple", elements.len(), out)?,
            }
            elements.iter().try_for_each(|element| encode(element, out))?;
        }
        Term::Map(pairs) => {
            length(116, "a map", pairs.len(), out)?;
            for (key, value) in pairs {
                encode(key, out)?;
                encode(value, out)?;
            }
        }
        Term::List(elements) => list(elements, out)?,
        Term::Improper(parts) => {
            if parts.0.is_empty() {
                return encode(&parts.1, out);
            }
            length(108, "a list", parts.0.len(), out)?;
            parts.0.iter().try_for_each(|element| encode(element, out))?;
            encode(&parts.1, out)?;
        }
        Term::Binary(bytes) => {
            length(109, "a binary", bytes.len(), out)?;
            out.extend(bytes);
        }
        Term::Bits(bits) => {
            length(77, "a bit string", bits.bytes.len(), out)?;
            out.push(bits.last_bits);
            out.extend(&bits.bytes);
        }
    }
    Ok(())
}

pub(crate) fn atom(atom: &Atom, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let name = atom.as_str();
    if name.len() > 255 {
        let characters = name.chars().count();
        if characters > 255 {
            return Err(EncodeError::AtomTooLong(characters));
        }
        out.push(118);
        out.extend((name.len() as u16).to_be_bytes());
    } else {
        out.extend([119, name.len() as u8]);
    }
    out.extend(name.as_bytes());
    Ok(())
}

fn int(number: i64, out: &mut Vec<u8>) {
    if let Ok(byte) = u8::try_from(number) {
        out.extend([97, byte]);
    } else if let Ok(small) = i32::try_from(number) {
        out.push(98);
        out.extend(small.to_be_bytes());
    } else {
        let bytes = number.unsigned_abs().to_le_bytes();
        let used = 8 - number.unsigned_abs().leading_zeros() as usize / 8;
        out.extend([110, used as u8, u8::from(number < 0)]);
        out.extend(&bytes[..used]);
    }
}

fn big(negative: bool, magnitude: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match u8::try_from(magnitude.len()) {
        Ok(bytes) => out.extend([110, bytes]),
        Err(_) => length(111, "an integer", magnitude.len(), out)?,
    }
    out.push(u8::from(negative));
    out.extend(magnitude);
    Ok(())
}

/// A list of bytes goes as the short string form, as a node itself would write it.
fn list(elements: &[Term], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if elements.is_empty() {
        out.push(106);
        return Ok(());
    }
    let is_byte = |term: &Term| matches!(term, Term::Int(0..=255));
    if elements.len() <= usize::from(u16::MAX) && elements.iter().all(is_byte) {
        out.push(107);
        out.extend((elements.len() as u16).to_be_bytes());
        out.extend(elements.iter().filter_map(|term| term.as_i64()).map(|number| number as u8));
        return Ok(());
    }
    length(108, "a list", elements.len(), out)?;
    elements.iter().try_for_each(|element| encode(element, out))?;
    out.push(106);
    Ok(())
}

fn length(
    tag: u8,
    kind: &'static str,
    length: usize,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let short = u32::try_from(length).map_err(|_| EncodeError::TooLarge { kind, length })?;
    out.push(tag);
    out.extend(short.to_be_bytes());
    Ok(())
}
