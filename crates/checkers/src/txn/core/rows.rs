//! Lists of lists in one array.

/// Items by the row in which they stand.
#[derive(Clone, Debug)]
pub(crate) struct Rows<T> {
    /// Per row, and one more: where its items begin.
    start: Vec<u32>,
    items: Vec<T>,
}

impl<T: Copy> Rows<T> {
    pub(crate) fn new() -> Rows<T> {
        Rows { start: vec![0], items: Vec::new() }
    }

    /// So many rows, of items with their row; those of a row keep their order.
    pub(crate) fn sorted(rows: usize, items: &[(u32, T)]) -> Rows<T> {
        let mut start = vec![0u32; rows + 2];
        items.iter().for_each(|(row, _)| start[*row as usize + 2] += 1);
        for i in 2..start.len() {
            start[i] += start[i - 1];
        }
        let mut all: Vec<T> = items.iter().map(|(_, item)| *item).collect();
        for (row, item) in items {
            let at = &mut start[*row as usize + 1];
            all[*at as usize] = *item;
            *at += 1;
        }
        start.pop();
        Rows { start, items: all }
    }

    /// One more row.
    pub(crate) fn push(&mut self, items: impl IntoIterator<Item = T>) {
        self.items.extend(items);
        self.start.push(self.items.len() as u32);
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.start.len() - 1
    }

    /// Where the items of a row stand.
    #[inline]
    pub(crate) fn range(&self, row: u32) -> std::ops::Range<usize> {
        self.start[row as usize] as usize..self.start[row as usize + 1] as usize
    }

    #[inline]
    pub(crate) fn of(&self, row: u32) -> &[T] {
        &self.items[self.range(row)]
    }

    #[inline]
    pub(crate) fn of_mut(&mut self, row: u32) -> &mut [T] {
        let range = self.range(row);
        &mut self.items[range]
    }
}
