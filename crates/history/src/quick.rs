//! The lines that this crate writes, read without a detour by values.
//!
//! A line in any other form is none of its business, so that there is one place only, the reader
//! that knows all of JSON, where errors are worded.

use super::cursor::{Cursor, Ends, Quoted};
use super::short::{Recent, Short};
use super::word::Word;
use super::{History, Row};
use crate::op::{Kind, NodeId, OpError, Phase, Process};

/// What is kept between lines, so that nothing is allocated for each.
#[derive(Default)]
pub(super) struct Scratch {
    stack: Vec<Word>,
    names: Names,
    /// The numbers of the set of the last line that had one.
    pub(super) added: Vec<i64>,
    pub(super) removed: Vec<i64>,
}

/// The value of a line.
pub(super) enum Quick {
    Value(Word),
    /// A set, whose numbers stand in the scratch; or its difference to that of an event.
    Set {
        base: Option<u64>,
    },
}

/// An event that is not recorded yet.
pub(super) struct QuickLine {
    pub(super) index: u64,
    pub(super) row: Row,
    pub(super) value: Quick,
    pub(super) error: Option<OpError>,
}

impl Scratch {
    /// The event of the line that stands at the cursor, up to its end, where it is as this crate
    /// writes it, its function and node are known, and its index is `next`, unless any will do.
    pub(super) fn read(
        &mut self,
        history: &mut History,
        next: Option<u64>,
        cursor: &mut Cursor<'_>,
    ) -> Option<QuickLine> {
        cursor.literal(b"{\"index\":")?;
        let index = cursor.natural()?;
        if next.is_some_and(|next| next != index) {
            return None;
        }
        cursor.literal(b",\"time\":")?;
        let time = cursor.natural()?;
        cursor.literal(b",\"process\":")?;
        let process = match cursor.peek()? {
            b'"' => special(cursor.text()?)?,
            _ => client(cursor.natural()?)?,
        };
        let node = if cursor.skip(b",\"node\":\"") {
            Some(self.names.node::<Quoted>(history, cursor)?)
        } else if cursor.skip(b",\"node\":") {
            // One that joined later, by its place.
            let place = u16::try_from(cursor.natural()?).ok();
            Some(NodeId(place.filter(|place| *place != u16::MAX)?))
        } else {
            None
        };
        cursor.literal(b",\"type\":\"")?;
        let kind = kind(cursor.short::<Quoted>()?)?;
        cursor.literal(b",\"f\":\"")?;
        let function = self.names.function::<Quoted>(history, cursor)?;
        cursor.literal(b",\"value\":")?;
        let value = self.value(history, cursor)?;
        let error = match cursor.skip(b",\"error\":{\"kind\":") {
            false => None,
            true => {
                let kind = cursor.text()?;
                cursor.literal(b",\"text\":")?;
                let error = error(kind, cursor.text()?)?;
                cursor.literal(b"}")?;
                Some(error)
            }
        };
        cursor.literal(b",\"phase\":\"")?;
        let phase = phase(cursor.short::<Quoted>()?)?;
        cursor.literal(b"}\n")?;
        let row = Row { time, process, node, kind, function, phase };
        Some(QuickLine { index, row, value, error })
    }

    fn value(&mut self, history: &mut History, cursor: &mut Cursor<'_>) -> Option<Quick> {
        self.added.clear();
        self.removed.clear();
        if cursor.skip(b"{\"set\":[") {
            cursor.json_numbers(&mut self.added)?;
            cursor.literal(b"}")?;
            return Some(Quick::Set { base: None });
        }
        if cursor.skip(b"{\"base\":") {
            let base = Some(cursor.natural()?);
            cursor.literal(b",\"+\":[")?;
            cursor.json_numbers(&mut self.added)?;
            cursor.literal(b",\"-\":[")?;
            cursor.json_numbers(&mut self.removed)?;
            cursor.literal(b"}")?;
            return Some(Quick::Set { base });
        }
        self.stack.clear();
        cursor.json(&mut history.words, &mut self.stack, 0).map(Quick::Value)
    }
}

pub(super) fn client(process: u64) -> Option<Process> {
    Some(Process(process.try_into().ok()?)).filter(|p| p.is_client())
}

pub(super) fn special(process: &[u8]) -> Option<Process> {
    match process {
        b"nemesis" => Some(Process::NEMESIS),
        b"runtime" => Some(Process::RUNTIME),
        _ => None,
    }
}

pub(super) fn kind(word: Short) -> Option<Kind> {
    const KINDS: [(Short, Kind); 4] = [
        (Short::new(Kind::Invoke.as_str()), Kind::Invoke),
        (Short::new(Kind::Ok.as_str()), Kind::Ok),
        (Short::new(Kind::Fail.as_str()), Kind::Fail),
        (Short::new(Kind::Info.as_str()), Kind::Info),
    ];
    KINDS.iter().find(|(known, _)| *known == word).map(|(_, kind)| *kind)
}

pub(super) fn phase(word: Short) -> Option<Phase> {
    const MAIN: Short = Short::new(Phase::Main.as_str());
    match word {
        MAIN => Some(Phase::Main),
        other => Phase::ALL.into_iter().find(|p| Short::of(p.as_str().as_bytes()) == Some(other)),
    }
}

pub(super) fn error(kind: &[u8], text: &[u8]) -> Option<OpError> {
    Some(OpError::new(std::str::from_utf8(kind).ok()?, std::str::from_utf8(text).ok()?))
}

/// Nodes and functions that were met not long ago, of those that the history knows.
#[derive(Default)]
pub(super) struct Names {
    nodes: Recent<NodeId>,
    functions: Recent<u16>,
}

/// Whatever stands behind so many others is left to others: a search is quicker than a table then.
const SEARCHED: usize = 64;

impl Names {
    /// The node whose name stands at the cursor.
    #[inline]
    pub(super) fn node<E: Ends>(
        &mut self,
        history: &History,
        cursor: &mut Cursor<'_>,
    ) -> Option<NodeId> {
        cursor.known::<E, NodeId>(&mut self.nodes, |name| {
            let place = history.nodes.iter().take(SEARCHED).position(|n| n.as_bytes() == name)?;
            Some(NodeId(place as u16))
        })
    }

    /// The function whose name stands at the cursor.
    #[inline]
    pub(super) fn function<E: Ends>(
        &mut self,
        history: &History,
        cursor: &mut Cursor<'_>,
    ) -> Option<u16> {
        cursor.known::<E, u16>(&mut self.functions, |name| {
            let mut known = history.functions.iter().take(SEARCHED);
            Some(known.position(|f| f.as_bytes() == name)? as u16)
        })
    }
}
