//! A part of a history's lines, read by a thread that does not know what stands before them.

use std::ops::Range;

use super::cursor::Cursor;
use super::quick::{Quick, Scratch};
use super::word::Word;
use super::words::Words;
use super::{History, Row};
use crate::op::OpError;

/// What is known of a history by those who read its parts.
pub(super) struct Seed {
    /// With the nodes, functions and texts, and without events.
    history: History,
    interned: [usize; 2],
}

/// Copying more texts for each part takes longer than it saves.
pub(super) const TEXTS_MAX: usize = 1 << 14;

impl Seed {
    pub(super) fn of(history: &History) -> Option<Seed> {
        let interned = history.words.interned();
        (interned.iter().sum::<usize>() <= TEXTS_MAX).then(|| Seed {
            history: History {
                nodes: history.nodes.clone(),
                functions: history.functions.clone(),
                words: history.words.segment_of(0),
                ..History::default()
            },
            interned,
        })
    }

    /// How many functions are known.
    pub(super) fn functions(&self) -> usize {
        self.history.functions.len()
    }
}

/// The events of lines, but for what depends on those before.
#[derive(Default)]
pub(super) struct Part {
    /// The index of the first one.
    pub(super) first: u64,
    pub(super) rows: Vec<Row>,
    pub(super) values: Vec<Word>,
    /// The errors of rows.
    pub(super) errors: Vec<(usize, OpError)>,
    pub(super) sets: Vec<SetOf>,
    pub(super) numbers: Vec<i64>,
    pub(super) words: Words,
    /// How many texts and large numbers the words knew at first.
    pub(super) interned: [usize; 2],
    /// How much of the text was read: the line behind it is not in the usual form.
    pub(super) taken: usize,
}

/// The set of a row: places in the numbers.
pub(super) struct SetOf {
    pub(super) row: usize,
    pub(super) base: Option<u64>,
    pub(super) added: Range<usize>,
    pub(super) removed: Range<usize>,
}

/// Reads lines as far as they are in the usual form, as part `number` of the history.
pub(super) fn read(seed: &Seed, number: usize, text: &[u8]) -> Part {
    let mut history = History {
        nodes: seed.history.nodes.clone(),
        functions: seed.history.functions.clone(),
        words: seed.history.words.segment_of(number),
        ..History::default()
    };
    let mut part = Part { interned: seed.interned, ..Part::default() };
    let mut scratch = Scratch::default();
    loop {
        let mark = history.words.mark();
        let mut cursor = Cursor::new(&text[part.taken..]);
        let next = (!part.rows.is_empty()).then(|| part.first + part.rows.len() as u64);
        let Some(line) = scratch.read(&mut history, next, &mut cursor) else {
            history.words.rewind(mark);
            break;
        };
        let row = part.rows.len();
        if row == 0 {
            part.first = line.index;
        }
        part.rows.push(line.row);
        part.values.push(match line.value {
            Quick::Value(word) => word,
            Quick::Set { base } => {
                let from = part.numbers.len();
                part.numbers.extend_from_slice(&scratch.added);
                let between = part.numbers.len();
                part.numbers.extend_from_slice(&scratch.removed);
                let (added, removed) = (from..between, between..part.numbers.len());
                part.sets.push(SetOf { row, base, added, removed });
                Word::NIL
            }
        });
        part.errors.extend(line.error.map(|error| (row, error)));
        part.taken = text.len() - cursor.left();
    }
    part.words = history.words;
    part
}
