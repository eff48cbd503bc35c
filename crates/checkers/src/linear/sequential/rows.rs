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
    /// Per block: how many rows have it. One that nobody has is used again.
    users: Vec<u32>,
    free: Vec<u32>,
}

impl Rows {
    pub(super) fn new(rows: usize, lanes: usize) -> Rows {
        let width = lanes.div_ceil(BLOCK);
        let (blocks, users) = (vec![[0; BLOCK]], vec![u32::MAX]);
        Rows { width, ids: vec![0; rows * width], blocks, users, free: Vec::new() }
    }

    /// What so many rows and lanes take at least.
    pub(super) fn bytes_least(rows: usize, lanes: usize) -> usize {
        rows * lanes.div_ceil(BLOCK) * size_of::<u32>()
    }

    pub(super) fn bytes(&self) -> usize {
        let blocks = self.blocks.capacity() * (size_of::<Block>() + size_of::<u32>());
        size_of_val(&self.ids[..]) + blocks + self.free.capacity() * size_of::<u32>()
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

    /// Takes the greater of each of its numbers and another row's, and of one of its numbers and
    /// `to`. Did that change anything?
    pub(super) fn join(&mut self, row: usize, other: usize, lane: usize, to: u32) -> bool {
        let mut changed = false;
        for at in 0..self.width {
            let own = self.ids[row * self.width + at];
            let theirs = self.ids[other * self.width + at];
            let raised = at == lane / BLOCK;
            if !raised && (own == theirs || theirs == 0) {
                continue;
            }
            let (a, b) = (&self.blocks[own as usize], &self.blocks[theirs as usize]);
            let mut joined = *a;
            joined.iter_mut().zip(b).for_each(|(a, b)| *a = (*a).max(*b));
            if raised {
                joined[lane % BLOCK] = joined[lane % BLOCK].max(to);
            }
            if joined == *a {
                continue;
            }
            changed = true;
            let shared = joined == *b;
            self.put(row * self.width + at, joined, shared.then_some(theirs));
        }
        changed
    }

    /// Changes one block of a row, to this one if it has these numbers.
    fn put(&mut self, at: usize, block: Block, same: Option<u32>) {
        let own = self.ids[at];
        if self.users[own as usize] == 1 && same.is_none() {
            self.blocks[own as usize] = block;
            return;
        }
        if own != 0 {
            self.users[own as usize] -= 1;
            if self.users[own as usize] == 0 {
                self.free.push(own);
            }
        }
        let id = same.or_else(|| self.free.pop()).unwrap_or_else(|| {
            self.blocks.push([0; BLOCK]);
            self.users.push(0);
            self.blocks.len() as u32 - 1
        });
        if same.is_none() {
            self.blocks[id as usize] = block;
        }
        self.users[id as usize] += 1;
        self.ids[at] = id;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fuzz_dist_random::Seed;

    /// Against a matrix with all of its numbers.
    #[test]
    fn rows_that_share_blocks_have_the_numbers_of_rows_that_do_not() {
        let mut shared = 0;
        for seed in 0..300 {
            let mut s = Seed(seed).stream("rows");
            let (count, lanes) = (2 + s.index(40), 1 + s.index(150));
            let mut rows = Rows::new(count, lanes);
            let mut plain = vec![vec![0u32; lanes]; count];
            for _ in 0..count * s.index(6) {
                // Any row may change again, whoever shares its blocks.
                let (row, other) = (s.index(count), s.index(count));
                let (lane, to) = (s.index(lanes), s.below(9) as u32);
                let mut joined = plain[row].clone();
                joined.iter_mut().zip(&plain[other]).for_each(|(a, b)| *a = (*a).max(*b));
                joined[lane] = joined[lane].max(to);
                assert_eq!(rows.join(row, other, lane, to), joined != plain[row], "{seed}");
                plain[row] = joined;
            }
            for (row, numbers) in plain.iter().enumerate() {
                assert!(numbers.iter().enumerate().all(|(lane, n)| rows.get(row, lane) == *n));
                let other = s.index(count);
                let differing: Vec<usize> = rows.differing(row, other).flatten().collect();
                let differs = |lane: &usize| plain[row][*lane] != plain[other][*lane];
                assert!((0..lanes).filter(differs).all(|lane| differing.contains(&lane)), "{seed}");
            }
            shared += usize::from(rows.blocks.len() < rows.ids.len());
        }
        assert!(shared > 100, "{shared}");
    }
}
