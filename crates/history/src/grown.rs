//! Lists that grow: what a read of a key shows, the one before mostly showed, and so it is copied
//! instead of read once more.

use super::hash::mix;
use super::word::Word;

/// Lists of so many keys are kept; two keys that share a place take it from each other.
const PLACES: usize = 64;

/// The lists of numbers that keys had last, as text and as cells of the current segment.
#[derive(Clone, Debug, Default)]
pub(super) struct Grown {
    lists: Vec<List>,
}

#[derive(Clone, Debug)]
struct List {
    key: Word,
    /// What stands between its brackets.
    text: Vec<u8>,
    place: usize,
    count: usize,
}

/// What a list begins with: so many bytes of text, and the cells of its items.
#[derive(Clone, Copy)]
pub(super) struct Beginning {
    pub(super) bytes: usize,
    pub(super) place: usize,
    pub(super) count: usize,
}

fn place_of(key: Word) -> usize {
    mix(0, key.bits()) as usize % PLACES
}

impl Grown {
    /// The last list of a key, where this text begins with it. What follows says whether the last item
    /// ends there.
    #[inline]
    pub(super) fn beginning(&self, key: Word, text: &[u8]) -> Option<Beginning> {
        let list = self.lists.get(place_of(key))?;
        let List { place, count, .. } = *list;
        let begins = list.key == key && !list.text.is_empty() && text.starts_with(&list.text);
        begins.then_some(Beginning { bytes: list.text.len(), place, count })
    }

    /// Keeps a list of a key, of which so many bytes of text are known.
    #[inline]
    pub(super) fn keep(
        &mut self,
        key: Word,
        text: &[u8],
        known: usize,
        place: usize,
        count: usize,
    ) {
        if self.lists.is_empty() {
            let nothing = List { key: Word::NIL, text: Vec::new(), place: 0, count: 0 };
            self.lists.resize(PLACES, nothing);
        }
        let list = &mut self.lists[place_of(key)];
        list.text.truncate(known);
        list.text.extend_from_slice(&text[known..]);
        (list.key, list.place, list.count) = (key, place, count);
    }

    /// Forgets what stands at this place or behind it.
    pub(super) fn rewind(&mut self, place: usize) {
        for list in &mut self.lists {
            if list.place + list.count > place {
                list.text.clear();
            }
        }
    }
}
