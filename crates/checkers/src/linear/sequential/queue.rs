//! Operations that have to be looked at, by rank.

/// A set of ranks of which the least is taken first. It is fast where what is put in is mostly a
/// little greater than what was taken last.
pub(super) struct Queue {
    bits: Vec<u64>,
    /// No word before it has a bit.
    at: usize,
}

impl Queue {
    pub(super) fn new(ranks: usize) -> Queue {
        Queue { bits: vec![0; ranks.div_ceil(64)], at: 0 }
    }

    pub(super) fn push(&mut self, rank: usize) {
        self.bits[rank / 64] |= 1 << (rank % 64);
        self.at = self.at.min(rank / 64);
    }

    pub(super) fn pop(&mut self) -> Option<usize> {
        while let Some(word) = self.bits.get_mut(self.at) {
            if *word != 0 {
                let bit = word.trailing_zeros() as usize;
                *word &= *word - 1;
                return Some(self.at * 64 + bit);
            }
            self.at += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use fuzz_dist_random::Seed;

    #[test]
    fn the_least_comes_first() {
        let mut s = Seed(1).stream("queue");
        let (mut queue, mut oracle) = (Queue::new(300), BTreeSet::new());
        for _ in 0..5_000 {
            if s.chance(0.5) {
                let rank = s.index(300);
                queue.push(rank);
                oracle.insert(rank);
            } else {
                assert_eq!(queue.pop(), oracle.pop_first());
            }
        }
    }
}
