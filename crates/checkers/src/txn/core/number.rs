//! Numbers the versions of transactions. Looking them up waits for the memory, which takes about as long
//! as all else that has to be read, so that a thread of its own does it where histories are long.

use std::hint::black_box;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::mpsc::{channel, sync_channel};
use std::thread::{available_parallelism, scope};

use fuzz_dist_history::Word;

use super::intern::Versions;
use super::txns::{NONE, Op, Status};

/// In place of a version that has no number yet: no list is so long, and no history has so many reads.
pub(super) const UNNUMBERED: u32 = NONE - 1;

/// So many micro-operations are given on at once; in tests fewer, so that histories have several chunks.
pub(super) const CHUNK: usize = if cfg!(test) { 7 } else { 1 << 13 };

/// Shorter histories are not worth a thread.
const THREAD_MIN: usize = if cfg!(test) { 100 } else { 1 << 15 };

/// Look-ups of so many versions wait for the memory at the same time.
const BLOCK: usize = 16;

/// The micro-operations of some transactions.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Each with the word of its version, which counts where that has no number.
    pub(super) ops: Vec<(Op, Word)>,
    /// Per transaction: where its micro-operations end, and what became of it.
    pub(super) txns: Vec<(usize, Status)>,
    /// How many times as much as all before is to be expected.
    pub(super) expected: Option<usize>,
}

impl Chunk {
    fn clear(&mut self) {
        self.ops.clear();
        self.txns.clear();
        self.expected = None;
    }
}

/// The columns of micro-operations and versions.
#[derive(Debug, Default)]
pub(super) struct Numbered {
    pub(super) ops: Vec<Op>,
    pub(super) status: Vec<Status>,
    pub(super) versions: Versions,
    pub(super) writer: Vec<u32>,
    pub(super) last_write: Vec<bool>,
    pub(super) twice: Option<Twice>,
}

/// A version that two transactions wrote, or one twice, and these.
#[derive(Debug)]
pub(super) struct Twice {
    pub(super) op: Op,
    pub(super) first: u32,
    pub(super) second: u32,
}

/// Numbers the chunks that `produce` gives on, in a thread of its own where that is worth it. What was
/// given on is an empty chunk afterwards.
pub(super) fn numbered<R>(
    events: usize,
    produce: impl FnOnce(&mut dyn FnMut(&mut Chunk)) -> R,
) -> (R, Numbered) {
    match events >= THREAD_MIN && available_parallelism().is_ok_and(|n| n.get() > 1) {
        true => in_a_thread(produce),
        false => in_turns(produce),
    }
}

pub(super) fn in_turns<R>(produce: impl FnOnce(&mut dyn FnMut(&mut Chunk)) -> R) -> (R, Numbered) {
    let mut numbered = Numbered::default();
    let produced = produce(&mut |chunk| {
        numbered.take(chunk);
        chunk.clear();
    });
    (produced, numbered)
}

pub(super) fn in_a_thread<R>(
    produce: impl FnOnce(&mut dyn FnMut(&mut Chunk)) -> R,
) -> (R, Numbered) {
    scope(|scope| {
        let (give, given) = sync_channel::<Chunk>(4);
        // Memory that was touched already is used again.
        let (give_back, given_back) = channel::<Chunk>();
        let worker = scope.spawn(move || {
            let mut numbered = Numbered::default();
            for mut chunk in given {
                numbered.take(&chunk);
                chunk.clear();
                let _ = give_back.send(chunk);
            }
            numbered
        });
        let produced = produce(&mut |chunk| {
            let empty = given_back.try_recv().unwrap_or_default();
            // Where nobody takes it, the worker has panicked, which shows when it is joined.
            let _ = give.send(std::mem::replace(chunk, empty));
        });
        drop(give);
        (produced, worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

impl Numbered {
    fn take(&mut self, chunk: &Chunk) {
        if self.twice.is_some() {
            return;
        }
        if let Some(times) = chunk.expected {
            self.expect(times);
        }
        let from = self.ops.len();
        for block in chunk.ops.chunks(BLOCK) {
            // One after the other, each look-up would wait for the memory by itself.
            let unnumbered = block.iter().filter(|(op, _)| op.arg == UNNUMBERED);
            let touched = unnumbered.map(|(op, word)| self.versions.touch(op.key(), *word));
            black_box(touched.fold(0, |all, cell| all ^ cell));
            for (op, word) in block {
                let mut op = *op;
                if op.arg == UNNUMBERED {
                    op.arg = self.version(op.key(), *word);
                }
                self.ops.push(op);
            }
        }
        let mut start = from;
        for (end, status) in &chunk.txns {
            self.status.push(*status);
            self.mark_writes(start..from + end);
            start = from + end;
        }
    }

    fn expect(&mut self, times: usize) {
        self.versions.expect(self.versions.len() * times);
        self.writer.reserve(self.writer.len() * times);
        self.last_write.reserve(self.writer.len() * times);
        self.ops.reserve(self.ops.len() * times);
    }

    pub(super) fn version(&mut self, key: u32, word: Word) -> u32 {
        let version = self.versions.id(key, word);
        if version as usize == self.writer.len() {
            self.writer.push(NONE);
            self.last_write.push(false);
        }
        version
    }

    /// Notes who wrote each version: the last transaction, whose micro-operations these are.
    fn mark_writes(&mut self, ops: Range<usize>) {
        let txn = self.status.len() as u32 - 1;
        for i in ops.clone() {
            let op = self.ops[i];
            if op.is_read() {
                continue;
            }
            let former = self.writer[op.arg as usize];
            if former != NONE && self.status[former as usize] != Status::Fail {
                if self.status[txn as usize] != Status::Fail && self.twice.is_none() {
                    self.twice = Some(Twice { op, first: former, second: txn });
                }
                continue;
            }
            // A transaction that certainly failed may be tried again with the same values.
            self.writer[op.arg as usize] = txn;
            let later = &self.ops[i + 1..ops.end];
            self.last_write[op.arg as usize] =
                !later.iter().any(|o| o.is_write() && o.key() == op.key());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Shape, Transactions};
    use super::*;
    use crate::txn::generate::{Load, Store, script, splice};
    use fuzz_dist_history::History;

    /// All that a reader makes, or what it says instead.
    fn shown(history: &History, shape: Shape, threaded: bool) -> String {
        let txns = match threaded {
            true => Transactions::read_by(history, shape, |produce| in_a_thread(produce)),
            false => Transactions::read_by(history, shape, |produce| in_turns(produce)),
        };
        match txns {
            Ok(t) => format!(
                "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
                t.ops, t.status, t.first_op, t.writer, t.last_write, t.order, t.strays
            ),
            Err(why) => format!("{why:?}"),
        }
    }

    #[test]
    fn a_thread_of_its_own_numbers_the_same() {
        for seed in 0..20 {
            let load = Load::new(300).keys(5).outcomes(0.1, 0.1).seed(seed);
            let lists = load.clone().history(Shape::Lists, Store::StrictSerializable);
            let registers = load.history(Shape::Registers, Store::Causal { replicas: 3 });
            let twice = script("0: w x 1\n1: w x 1").unwrap();
            let wrong = script("0: w x nil").unwrap();
            let middle = registers.len() / 2;
            let both = splice(&splice(&registers, middle, &twice), middle + 40, &wrong);
            for (history, shape, expected) in [
                (lists, Shape::Lists, None),
                (both, Shape::Registers, Some("WrittenTwice")),
                (splice(&registers, middle, &wrong), Shape::Registers, Some("OtherValue")),
                (registers, Shape::Registers, None),
            ] {
                let [own, turns] = [true, false].map(|thread| shown(&history, shape, thread));
                assert_eq!(own, turns, "seed {seed}");
                let said = ["WrittenTwice", "OtherValue"].into_iter().find(|e| own.starts_with(e));
                assert_eq!(said, expected, "{own}");
            }
        }
    }
}
