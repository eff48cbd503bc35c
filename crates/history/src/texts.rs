//! The texts of a history's values, each of which has a number.

use super::cursor::{Cursor, Ends};
use super::hash::FastMap;
use super::short::{Recent, Short};
use crate::op::Name;

#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    known: Known,
    /// Words that are not in quotes, and those that are: `x]` is found among the latter only.
    recent: [Recent<u32>; 2],
}

#[derive(Clone, Debug, Default)]
struct Known {
    texts: Vec<Name>,
    ids: FastMap<Name, u32>,
}

impl Texts {
    /// The number of a text that is shared.
    pub(super) fn name(&mut self, text: &Name) -> u32 {
        let short = Short::of(text.as_bytes());
        if let Some(id) = short.and_then(|word| self.recent[1].get(word)) {
            return id;
        }
        let id = self.known.ids.get(text).copied();
        let id = id.unwrap_or_else(|| self.known.add(text.clone()));
        if let Some(word) = short {
            self.recent[1].keep(word, id);
        }
        id
    }

    /// The number of the text that stands at the cursor, unless it is none.
    #[inline]
    pub(super) fn read<E: Ends>(&mut self, cursor: &mut Cursor<'_>) -> Option<u32> {
        let Texts { known, recent } = self;
        cursor.known::<E, u32>(&mut recent[usize::from(E::QUOTED)], |text| {
            let text = std::str::from_utf8(text).ok()?;
            let id = known.ids.get(text).copied();
            Some(id.unwrap_or_else(|| known.add(text.into())))
        })
    }

    /// How many texts there are.
    pub(super) fn len(&self) -> usize {
        self.known.texts.len()
    }

    /// The texts from a number on.
    pub(super) fn from(&self, id: usize) -> &[Name] {
        &self.known.texts[id..]
    }

    pub(super) fn get(&self, id: usize) -> &Name {
        &self.known.texts[id]
    }

    /// The number of a text, where it occurs.
    pub(super) fn find(&self, text: &str) -> Option<u32> {
        self.known.ids.get(text).copied()
    }
}

impl Known {
    fn add(&mut self, text: Name) -> u32 {
        let id = self.texts.len() as u32;
        self.texts.push(text.clone());
        self.ids.insert(text, id);
        id
    }
}
