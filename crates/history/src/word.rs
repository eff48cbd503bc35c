//! A value as a word of 64 bits.

/// A value as one word. Whole numbers have a low bit of zero; everything else has a form in the
/// next three bits and, above these, a number or a place in the arena.
///
/// Equal words of one history are equal values. The converse holds for all values but lists,
/// maps and sets: text and large numbers are interned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(hidden)]
pub struct Word(pub(super) i64);

/// What a word that is no small number is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Simple = 0,
    Text = 1,
    Int = 2,
    List = 3,
    Map = 4,
    /// A set within another value.
    Set = 5,
    /// A set that is the value of an event, and so stands in the column of sets.
    Read = 6,
    /// A list whose items fit into cells.
    Cells = 7,
}

const FORMS: [Form; 8] = [
    Form::Simple,
    Form::Text,
    Form::Int,
    Form::List,
    Form::Map,
    Form::Set,
    Form::Read,
    Form::Cells,
];

impl Word {
    #[doc(hidden)]
    pub const NIL: Word = Word(0b0001);
    const FALSE: Word = Word(0b01_0001);
    pub(super) const TRUE: Word = Word(0b10_0001);

    /// A number that fits, with its low bit of zero.
    pub fn small(n: i64) -> Option<Word> {
        let word = n << 1;
        (word >> 1 == n).then_some(Word(word))
    }

    /// The length of a list, before its items.
    pub(super) fn length(length: usize) -> Word {
        Word((length as i64) << 1)
    }

    pub(super) fn boolean(b: bool) -> Word {
        if b { Word::TRUE } else { Word::FALSE }
    }

    pub(super) fn of(form: Form, place: usize) -> Word {
        Word((place as i64) << 4 | (form as i64) << 1 | 1)
    }

    /// The number, where it is a small one.
    #[doc(hidden)]
    pub fn as_small(self) -> Option<i64> {
        (self.0 & 1 == 0).then_some(self.0 >> 1)
    }

    /// The form and the number above it, where this is no small number.
    #[inline]
    pub(super) fn parts(self) -> Option<(Form, usize)> {
        let form = FORMS[(self.0 as usize >> 1) & 7];
        (self.0 & 1 == 1).then_some((form, (self.0 >> 4) as usize))
    }

    #[inline]
    pub(super) fn from_cell(cell: i32) -> Word {
        Word(cell.into())
    }

    /// Equal for equal words only.
    #[doc(hidden)]
    pub fn bits(self) -> u64 {
        self.0 as u64
    }

    /// The word of these bits.
    #[inline]
    pub fn of_bits(bits: i64) -> Word {
        Word(bits)
    }

    /// Do other words stand for the same value? Then it must be compared item by item.
    #[doc(hidden)]
    pub fn is_compound(self) -> bool {
        self.0 & 1 == 1 && (self.0 >> 1) & 7 >= Form::List as i64
    }
}
