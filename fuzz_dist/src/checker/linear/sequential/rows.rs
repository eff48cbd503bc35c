//! For each operation a number per lane, in little space where most of them are alike.

/// So many lanes are a block.
const BLOCK: usize = 32;
type Block = [u32; BLOCK];

/// A matrix whose rows share what they have in common: in a long history an operation knows all of
/// the lanes that ended long before, and nothing of those that begin long after, as others do.
pub(super) struct Rows {
    /// Blocks per row.
    width: usize,
    /// Per row and block: which; the first one is all zeros.
    ids: Vec<u32>,
    blocks: Vec<Block>,
    /// Per block: the row that it was made for, and that may still change it.
    owner: Vec<u32>,
}

impl Rows {
    pub(super) fn new(rows: usize, lanes: usize) -> Rows {
        let width = lanes.div_ceil(BLOCK);
        let (blocks, owner) = (vec![[0; BLOCK]], vec![u32::MAX]);
        Rows { width, ids: vec![0; rows * width], blocks, owner }
    }

    /// What so many rows and lanes take at least.
    pub(super) fn bytes_least(rows: usize, lanes: usize) -> usize {
        rows * lanes.div_ceil(BLOCK) * size_of::<u32>()
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.ids[..]) + self.blocks.len() * (size_of::<Block>() + size_of::<u32>())
    }

    pub(super) fn get(&self, row: usize, lane: usize) -> u32 {
        self.block(row, lane / BLOCK)[lane % BLOCK]
    }

    fn block(&self, row: usize, at: usize) -> &Block {
        &self.blocks[self.ids[row * self.width + at] as usize]
    }

    /// The ranges of lanes in which two rows differ, a little widened.
    pub(super) fn differing(
        &self,
        a: usize,
        b: usize,
    ) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        let ids = |row: usize| &self.ids[row * self.width..(row + 1) * self.width];
        let alike = move |at: usize| {
            let (a, b) = (ids(a)[at], ids(b)[at]);
            a == b || self.blocks[a as usize] == self.blocks[b as usize]
        };
        (0..self.width).filter(move |at| !alike(*at)).map(|at| at * BLOCK..(at + 1) * BLOCK)
    }

    /// Takes the greater of each of its numbers and another row's, which must not change any more.
    pub(super) fn join(&mut self, row: usize, other: usize) {
        for at in 0..self.width {
            let (own, theirs) =
                (self.ids[row * self.width + at], self.ids[other * self.width + at]);
            if own == theirs || theirs == 0 {
                continue;
            }
            let (a, b) = (&self.blocks[own as usize], &self.blocks[theirs as usize]);
            let mut joined = *a;
            joined.iter_mut().zip(b).for_each(|(a, b)| *a = (*a).max(*b));
            if joined == *b {
                self.ids[row * self.width + at] = theirs;
            } else if joined != *a {
                self.put(row, at, joined);
            }
        }
    }

    /// Takes the greater of one of its numbers and this one.
    pub(super) fn raise(&mut self, row: usize, lane: usize, to: u32) {
        let mut block = *self.block(row, lane / BLOCK);
        let number = &mut block[lane % BLOCK];
        if *number < to {
            *number = to;
            self.put(row, lane / BLOCK, block);
        }
    }

    fn put(&mut self, row: usize, at: usize, block: Block) {
        let id = &mut self.ids[row * self.width + at];
        if self.owner[*id as usize] == row as u32 {
            self.blocks[*id as usize] = block;
        } else {
            *id = self.blocks.len() as u32;
            self.blocks.push(block);
            self.owner.push(row as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    /// Against a matrix with all of its numbers.
    #[test]
    fn rows_that_share_blocks_have_the_numbers_of_rows_that_do_not() {
        let mut shared = 0;
        for seed in 0..300 {
            let mut s = Seed(seed).stream("rows");
            let (count, lanes) = (2 + s.index(40), 1 + s.index(150));
            let mut rows = Rows::new(count, lanes);
            let mut plain = vec![vec![0u32; lanes]; count];
            for row in 0..count {
                for _ in 0..s.index(6) {
                    if row > 0 && s.chance(0.7) {
                        let other = s.index(row);
                        rows.join(row, other);
                        let theirs = plain[other].clone();
                        plain[row].iter_mut().zip(theirs).for_each(|(a, b)| *a = (*a).max(b));
                    } else {
                        let (lane, to) = (s.index(lanes), s.below(9) as u32);
                        rows.raise(row, lane, to);
                        plain[row][lane] = plain[row][lane].max(to);
                    }
                }
            }
            for (row, numbers) in plain.iter().enumerate() {
                assert!(numbers.iter().enumerate().all(|(lane, n)| rows.get(row, lane) == *n));
                let other = s.index(count);
                let told: Vec<usize> = rows.differing(row, other).flatten().collect();
                let differs = |lane: &usize| plain[row][*lane] != plain[other][*lane];
                assert!((0..lanes).filter(differs).all(|lane| told.contains(&lane)), "{seed}");
            }
            shared += usize::from(rows.blocks.len() < rows.ids.len());
        }
        assert!(shared > 100, "{shared}");
    }
}
