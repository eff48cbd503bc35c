//! Words of at most seven letters as numbers, so that they are compared, and found in a table, in a
//! step or two: what keys, functions, nodes and keywords mostly are.

/// A word: its letters from the lowest byte on, and how many there are in the highest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short(u64);

impl Short {
    const LONGEST: usize = 7;

    /// A word that is known to be short.
    pub(super) const fn new(word: &str) -> Short {
        match Short::of(word.as_bytes()) {
            Some(short) => short,
            None => panic!("a word of at most seven letters"),
        }
    }

    /// A word, where it is short.
    pub(super) const fn of(word: &[u8]) -> Option<Short> {
        if word.len() > Short::LONGEST {
            return None;
        }
        let (mut letters, mut i) = (0, word.len());
        while i > 0 {
            i -= 1;
            letters = letters << 8 | word[i] as u64;
        }
        Some(Short(letters | (word.len() as u64) << 56))
    }

    /// What stands before the first byte below `end`, which is at most 128, where that is short.
    #[inline]
    pub(super) fn before(bytes: [u8; 8], end: u8) -> Option<Short> {
        const ONES: u64 = 0x0101_0101_0101_0101;
        let bytes = u64::from_le_bytes(bytes);
        // Borrowing makes more high bits than there should be, but only above the first one.
        let below = bytes.wrapping_sub(ONES * u64::from(end)) & !bytes & (ONES << 7);
        let length = below.trailing_zeros() / 8;
        let letters = bytes & !(u64::MAX.checked_shl(8 * length)?);
        Some(Short(letters | u64::from(length) << 56))
    }

    /// How many letters it has.
    #[inline]
    pub(super) fn len(self) -> usize {
        (self.0 >> 56) as usize
    }
}

/// Histories mostly use the same few words; two that share a place take it from each other.
const PLACES: usize = 64;

/// What short words stand for, of those that were met not long ago.
#[derive(Clone, Debug)]
pub(super) struct Recent<T> {
    places: [Option<(Short, T)>; PLACES],
}

impl<T: Copy> Default for Recent<T> {
    fn default() -> Recent<T> {
        Recent { places: [None; PLACES] }
    }
}

impl<T: Copy> Recent<T> {
    #[inline]
    pub(super) fn get(&self, word: Short) -> Option<T> {
        let (known, found) = self.places[place(word)]?;
        (known == word).then_some(found)
    }

    pub(super) fn keep(&mut self, word: Short, found: T) {
        self.places[place(word)] = Some((word, found));
    }
}

#[inline]
fn place(word: Short) -> usize {
    (word.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_short_word_ends_before_the_first_byte_that_is_small_enough(
            bytes in any::<[u8; 8]>(),
            small in any::<[bool; 8]>(),
            end in 1u8..=128,
        ) {
            let mut bytes = bytes;
            for (byte, small) in bytes.iter_mut().zip(small) {
                *byte = if small { *byte % end } else { (*byte).max(end) };
            }
            let length = small.iter().position(|small| *small);
            let expected = length.and_then(|length| Short::of(&bytes[..length]));
            prop_assert_eq!(Short::before(bytes, end), expected);
            prop_assert_eq!(expected.map(Short::len), length);
        }

        #[test]
        fn words_that_differ_are_not_taken_for_each_other(
            a in proptest::collection::vec(0u8..3, 0..9),
            b in proptest::collection::vec(0u8..3, 0..9),
        ) {
            let (short, other) = (Short::of(&a), Short::of(&b));
            prop_assert_eq!([short.is_some(), other.is_some()], [a.len() <= 7, b.len() <= 7]);
            let (Some(short), Some(other)) = (short, other) else { return Ok(()) };
            let mut recent = Recent::default();
            recent.keep(short, &a);
            prop_assert_eq!(recent.get(short), Some(&a));
            prop_assert_eq!(recent.get(other), Some(&a).filter(|a| **a == b));
        }
    }
}
