//! Lists in cells of 32 bits: what most lists and all usual transactions fit into.
//!
//! A list of small numbers, text and the like is its length and a cell for each item. A transaction,
//! the list of `[f key value]`, is the number of these and three cells for each, without a list for
//! every micro-operation: a value that is a list stands before it, and the cell says how far.

use super::word::{Form, Word};
use super::words::Words;

/// A word that needs no more than 32 bits, with the same bits; or, as a list, how far before the
/// micro-operation a list begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell(pub(super) i32);

/// What stands at a place in the cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    List = 0,
    Transaction = 1,
    /// One of a transaction.
    MicroOp = 2,
    /// The transaction at this place before anybody knew what it reads.
    Asked = 3,
    /// A micro-operation of one.
    AskedMicroOp = 4,
}

const KEPT: [Kept; 8] = [
    Kept::List,
    Kept::Transaction,
    Kept::MicroOp,
    Kept::Asked,
    Kept::AskedMicroOp,
    Kept::List,
    Kept::List,
    Kept::List,
];

impl Cell {
    /// The greatest number of a text or of a large number, and the greatest distance, that a cell holds.
    pub(super) const ID_MAX: usize = (1 << 27) - 1;

    /// The cell of a word, where it needs no more, and is no list.
    #[inline]
    pub(super) fn of(word: Word) -> Option<Cell> {
        i32::try_from(word.bits() as i64).ok().filter(|_| !word.is_compound()).map(Cell)
    }

    /// The cell of a whole number, where it is small enough.
    #[inline]
    pub(super) fn int(n: i64) -> Option<Cell> {
        i32::try_from(n).ok().and_then(|n| n.checked_mul(2)).map(Cell)
    }

    /// A length, before what is so long.
    #[inline]
    pub(super) fn length(length: usize) -> Cell {
        Cell((length as i32) << 1)
    }

    #[inline]
    pub(super) fn as_length(self) -> usize {
        (self.0 >> 1) as usize
    }

    fn back(distance: usize) -> Option<Cell> {
        let list = Word::of(Form::List, distance).bits() as i32;
        (distance <= Cell::ID_MAX).then_some(Cell(list))
    }

    /// The word, unless this is a list.
    #[inline]
    pub(super) fn word(self) -> Word {
        Word::from_cell(self.0)
    }

    /// How far before its micro-operation the list begins, where this is one.
    #[inline]
    fn list(self) -> Option<usize> {
        (self.0 & 0b1111 == (Form::List as i32) << 1 | 1).then_some((self.0 >> 4) as usize)
    }
}

impl Word {
    #[inline]
    pub(super) fn kept(kept: Kept, place: usize) -> Word {
        Word::of(Form::Cells, place << 3 | kept as usize)
    }

    /// What it is and where, if it stands in cells.
    #[inline]
    pub(super) fn cells_place(self) -> Option<(Kept, usize)> {
        self.parts().filter(|(form, _)| *form == Form::Cells).map(|(_, place)| at(place))
    }
}

/// What a place in [`Form::Cells`] is, and where it is.
#[inline]
pub(super) fn at(place: usize) -> (Kept, usize) {
    (KEPT[place & 7], place >> 3)
}

impl Words {
    /// The word of a list of words, where all of them fit into cells.
    pub(super) fn short_list(&mut self, items: &[Word]) -> Option<Word> {
        let cells = self.cells();
        let place = cells.len();
        cells.push(Cell::length(items.len()));
        for item in items {
            let Some(cell) = Cell::of(*item) else {
                cells.truncate(place);
                return None;
            };
            cells.push(cell);
        }
        Some(Word::kept(Kept::List, self.here(place)))
    }

    /// The word of a list of micro-operations `[f key value]`, whose parts follow one another.
    pub(super) fn transaction(&mut self, parts: &[Word]) -> Word {
        if let Some(word) = self.short_transaction(parts) {
            return word;
        }
        let ops: Vec<Word> = parts.chunks_exact(3).map(|op| self.list(op)).collect();
        self.list(&ops)
    }

    fn short_transaction(&mut self, parts: &[Word]) -> Option<Word> {
        let from = self.cells().len();
        self.cells().push(Cell::length(parts.len() / 3));
        for op in parts.chunks_exact(3) {
            let end = self.cells().len();
            let place = self.here(end);
            let value = match op[2].parts() {
                Some((Form::Cells, list)) => match at(list) {
                    (Kept::List, list) if list < place => Cell::back(place - list),
                    _ => None,
                },
                _ => Cell::of(op[2]),
            };
            let (Some(f), Some(key), Some(value)) = (Cell::of(op[0]), Cell::of(op[1]), value)
            else {
                self.cells().truncate(from);
                return None;
            };
            self.cells().extend_from_slice(&[f, key, value]);
        }
        Some(Word::kept(Kept::Transaction, self.here(from)))
    }

    /// The transaction with nothing known of what it reads, which is what those of its
    /// micro-operations do whose function is [`Words::reads`].
    pub(super) fn asked(&mut self, transaction: Word) -> Word {
        if let Some((Form::Cells, place)) = transaction.parts()
            && let (Kept::Transaction, place) = at(place)
        {
            return Word::kept(Kept::Asked, place);
        }
        let mut parts = self.parts_of(transaction);
        for op in parts.chunks_exact_mut(3) {
            if Cell::of(op[0]) == self.reads {
                op[2] = Word::NIL;
            }
        }
        self.transaction(&parts)
    }

    /// The transaction with other values, where `change` gives one for a micro-operation; what stands
    /// in cells is changed where it stands.
    pub(super) fn changed(
        &mut self,
        transaction: Word,
        mut change: impl FnMut([Word; 3]) -> Option<Word>,
    ) -> Word {
        if let Some((Form::Cells, place)) = transaction.parts()
            && let (Kept::Transaction, place) = at(place)
        {
            let (count, ops) = self.cells_at_mut(place).split_first_mut().expect("a length");
            for op in ops[..3 * count.as_length()].chunks_exact_mut(3) {
                // Lists are never changed, so that their words need not be right.
                let value = change([op[0].word(), op[1].word(), op[2].word()]);
                op[2] = value.and_then(Cell::of).unwrap_or(op[2]);
            }
            return transaction;
        }
        let mut parts = self.parts_of(transaction);
        let mut changes = false;
        for op in parts.chunks_exact_mut(3) {
            if let Some(value) = change([op[0], op[1], op[2]]) {
                (op[2], changes) = (value, true);
            }
        }
        if changes { self.transaction(&parts) } else { transaction }
    }

    /// The parts of all micro-operations of a transaction, one behind the other.
    pub(super) fn parts_of(&self, transaction: Word) -> Vec<Word> {
        let list = self.view(transaction).as_list();
        let ops = list.into_iter().flat_map(|list| (0..list.len()).map(move |i| (list, i)));
        ops.filter_map(|(list, i)| list.triple(i)).flatten().collect()
    }
}

/// A list that stands in cells.
#[derive(Clone, Copy)]
pub(super) enum Cells<'a> {
    List(&'a [Cell]),
    /// Three cells for each item, the first ones at a place.
    Transaction(&'a [Cell], usize, bool),
    MicroOp(&'a [Cell], usize, bool),
}

impl<'a> Cells<'a> {
    /// What stands at a place.
    #[inline]
    pub(super) fn view(words: &'a Words, place: usize) -> Cells<'a> {
        let (kept, place) = at(place);
        let cells = words.cells_at(place);
        let behind = |count: usize| &cells[1..1 + count];
        match kept {
            Kept::List => Cells::List(behind(cells[0].as_length())),
            Kept::Transaction | Kept::Asked => {
                let ops = behind(3 * cells[0].as_length());
                Cells::Transaction(ops, place + 1, kept == Kept::Asked)
            }
            Kept::MicroOp | Kept::AskedMicroOp => {
                Cells::MicroOp(&cells[..3], place, kept == Kept::AskedMicroOp)
            }
        }
    }

    #[inline]
    pub(super) fn len(self) -> usize {
        match self {
            Cells::List(cells) | Cells::MicroOp(cells, ..) => cells.len(),
            Cells::Transaction(cells, ..) => cells.len() / 3,
        }
    }

    #[inline]
    pub(super) fn word(self, words: &Words, i: usize) -> Word {
        match self {
            Cells::List(cells) => cells[i].word(),
            Cells::Transaction(cells, place, asked) => {
                assert!(3 * i < cells.len());
                let kept = if asked { Kept::AskedMicroOp } else { Kept::MicroOp };
                Word::kept(kept, place + 3 * i)
            }
            Cells::MicroOp(parts, place, asked) => match i {
                2 => value(words, parts, place, asked),
                _ => parts[i].word(),
            },
        }
    }

    /// The three parts of item `i`, where this is a transaction.
    #[inline]
    pub(super) fn triple(self, words: &Words, i: usize) -> Option<[Word; 3]> {
        let Cells::Transaction(cells, place, asked) = self else { return None };
        let parts = &cells[3 * i..3 * i + 3];
        Some([parts[0].word(), parts[1].word(), value(words, parts, place + 3 * i, asked)])
    }
}

#[inline]
fn value(words: &Words, parts: &[Cell], place: usize, asked: bool) -> Word {
    match parts[2].list() {
        _ if asked && Some(parts[0]) == words.reads => Word::NIL,
        Some(distance) => Word::kept(Kept::List, place - distance),
        None => parts[2].word(),
    }
}
