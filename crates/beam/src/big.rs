//! Integers beyond 64 bits: kept, compared and printed, not computed with.

use std::cmp::Ordering;
use std::fmt;

use super::term::Term;

/// An integer of any size: a sign and the bytes of its magnitude, least significant first.
///
/// Always in its shortest form: no zero bytes at the end, and zero is not negative.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BigInt {
    negative: bool,
    magnitude: Vec<u8>,
}

impl BigInt {
    /// From a sign and the bytes of the magnitude, least significant first.
    pub fn new(negative: bool, mut magnitude: Vec<u8>) -> Self {
        while magnitude.last() == Some(&0) {
            magnitude.pop();
        }
        BigInt { negative: negative && !magnitude.is_empty(), magnitude }
    }

    /// Is it less than zero?
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// The bytes of the magnitude, least significant first, without zeros at the end.
    pub fn magnitude(&self) -> &[u8] {
        &self.magnitude
    }

    /// The number, if it fits 128 bits.
    pub fn to_i128(&self) -> Option<i128> {
        let mut bytes = [0; 16];
        bytes.get_mut(..self.magnitude.len())?.copy_from_slice(&self.magnitude);
        let magnitude = u128::from_le_bytes(bytes);
        if self.negative {
            0i128.checked_sub_unsigned(magnitude)
        } else {
            i128::try_from(magnitude).ok()
        }
    }

    /// The number, if it is not negative and fits 128 bits.
    pub fn to_u128(&self) -> Option<u128> {
        let mut bytes = [0; 16];
        bytes.get_mut(..self.magnitude.len())?.copy_from_slice(&self.magnitude);
        (!self.negative).then(|| u128::from_le_bytes(bytes))
    }

    /// The integer as a term, in the form that decoding gives it.
    pub fn into_term(self) -> Term {
        match self.to_i128().and_then(|number| i64::try_from(number).ok()) {
            Some(number) => Term::Int(number),
            None => Term::Big(self),
        }
    }
}

impl From<i128> for BigInt {
    fn from(number: i128) -> Self {
        BigInt::new(number < 0, number.unsigned_abs().to_le_bytes().to_vec())
    }
}

impl From<u128> for BigInt {
    fn from(number: u128) -> Self {
        BigInt::new(false, number.to_le_bytes().to_vec())
    }
}

impl Ord for BigInt {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_magnitude = || {
            let (a, b) = (&self.magnitude, &other.magnitude);
            a.len().cmp(&b.len()).then_with(|| a.iter().rev().cmp(b.iter().rev()))
        };
        match (self.negative, other.negative) {
            (false, false) => by_magnitude(),
            (true, true) => by_magnitude().reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for BigInt {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Longer numbers are printed by their size: the conversion to decimal is quadratic.
const PRINTED_BYTES_MAX: usize = 1024;

impl fmt::Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative {
            f.write_str("-")?;
        }
        if self.magnitude.len() > PRINTED_BYTES_MAX {
            return write!(f, "<integer of {} bytes>", self.magnitude.len());
        }
        // Nine decimal digits at a time, by long division of base-256 digits.
        let mut rest = self.magnitude.clone();
        let mut groups = Vec::new();
        while !rest.is_empty() {
            let mut remainder = 0u64;
            for byte in rest.iter_mut().rev() {
                let value = remainder << 8 | u64::from(*byte);
                *byte = (value / 1_000_000_000) as u8;
                remainder = value % 1_000_000_000;
            }
            groups.push(remainder);
            while rest.last() == Some(&0) {
                rest.pop();
            }
        }
        write!(f, "{}", groups.pop().unwrap_or(0))?;
        groups.iter().rev().try_for_each(|group| write!(f, "{group:09}"))
    }
}
