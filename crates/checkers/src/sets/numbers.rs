//! How the elements of reads get their numbers: with new ones for what was never added, or without.

use super::Elements;
use fuzz_dist_history::Word;

/// A read has an element that was never added, and has no number.
pub(super) struct Stranger;

/// The numbers of elements, while reads are gathered.
pub(super) trait Numbers {
    fn int(&mut self, n: i64) -> Result<u32, Stranger>;
    fn word(&mut self, word: Word) -> Result<u32, Stranger>;
    /// How many elements have a number.
    fn len(&self) -> usize;
}

/// What was never added gets a number.
pub(super) struct Growing<'a, 'h>(pub(super) &'a mut Elements<'h>);

impl Numbers for Growing<'_, '_> {
    fn int(&mut self, n: i64) -> Result<u32, Stranger> {
        Ok(self.0.int(n))
    }

    fn word(&mut self, word: Word) -> Result<u32, Stranger> {
        Ok(self.0.word(word))
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// What was never added has none. Only whole numbers are looked up.
pub(super) struct Known<'a, 'h>(pub(super) &'a Elements<'h>);

impl Numbers for Known<'_, '_> {
    fn int(&mut self, n: i64) -> Result<u32, Stranger> {
        self.0.find_int(n).ok_or(Stranger)
    }

    fn word(&mut self, word: Word) -> Result<u32, Stranger> {
        self.int(word.as_small().ok_or(Stranger)?)
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}
