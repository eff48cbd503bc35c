//! Sessions of transactions without times, and the history that they make.

use super::super::cells::Cell;
use super::super::hash::{FastMap, FastSet};
use super::super::words::Words;
use super::super::{History, NONE, REAL_TIME, Row, Word};
use crate::op::{Kind, Phase, Process, Value};

/// A read or write of a transaction.
#[derive(Clone, Debug)]
pub(super) struct MicroOp {
    pub(super) write: bool,
    pub(super) key: Value,
    pub(super) value: Value,
}

/// A transaction that committed, or certainly did not.
#[derive(Clone, Debug, Default)]
pub(super) struct Txn {
    pub(super) ops: Vec<MicroOp>,
    pub(super) aborted: bool,
}

/// A transaction whose micro-operations stand in the history already, as they completed.
#[derive(Clone, Copy, Debug)]
struct Done {
    value: Word,
    aborted: bool,
}

/// Where a transaction stands: its session, and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) session: u32,
    pub(super) place: u32,
}

/// The sessions of a history, in the order in which they were met.
#[derive(Debug)]
pub(super) struct Sessions {
    sessions: Vec<Vec<Done>>,
    ids: FastMap<u64, u32>,
    /// Has the values.
    history: History,
    /// The functions of micro-operations that read, and of those that write.
    functions: [Word; 2],
    /// The parts of the transaction that is being read.
    parts: Vec<Word>,
    open: Option<At>,
    /// The parts of transactions that were gone on with after others.
    again: FastMap<(u32, u32), Vec<Word>>,
    zero_is_initial: bool,
    written_zeros: FastSet<Word>,
}

impl Default for Sessions {
    fn default() -> Sessions {
        let mut history = History::default();
        let functions = ["r", "w"].map(|f| history.words.name(&f.into()));
        history.words.reads = Cell::of(functions[0]);
        Sessions {
            sessions: Vec::new(),
            ids: FastMap::default(),
            history,
            functions,
            parts: Vec::new(),
            open: None,
            again: FastMap::default(),
            zero_is_initial: false,
            written_zeros: FastSet::default(),
        }
    }
}

impl Sessions {
    /// The place of the session of this number.
    pub(super) fn id(&mut self, number: u64) -> u32 {
        *self.ids.entry(number).or_insert_with(|| {
            self.sessions.push(Vec::new());
            self.sessions.len() as u32 - 1
        })
    }

    /// Adds a transaction to the session of this number.
    pub(super) fn begin(&mut self, number: u64, aborted: bool) -> At {
        let id = self.id(number);
        self.begin_in(id, aborted)
    }

    /// Adds a transaction to the session that was added last.
    pub(super) fn begin_in_last(&mut self) -> At {
        self.begin_in(self.sessions.len() as u32 - 1, false)
    }

    fn begin_in(&mut self, id: u32, aborted: bool) -> At {
        let session = &mut self.sessions[id as usize];
        session.push(Done { value: Word::NIL, aborted });
        At { session: id, place: session.len() as u32 - 1 }
    }

    /// Adds a micro-operation of whole numbers to a transaction.
    #[inline]
    pub(super) fn micro_op(&mut self, at: At, write: bool, key: i64, value: i64) {
        let words = &mut self.history.words;
        let (key, value) = (words.int(key), words.int(value));
        self.word_op(at, write, key, value);
    }

    #[inline]
    fn word_op(&mut self, at: At, write: bool, key: Word, value: Word) {
        if self.open != Some(at) {
            self.end();
            self.open = Some(at);
        }
        if write && value.as_small() == Some(0) {
            self.written_zeros.insert(key);
        }
        self.parts.extend_from_slice(&[self.functions[usize::from(write)], key, value]);
    }

    /// Adds micro-operations, which are a transaction of the history by now, to one.
    pub(super) fn micro_ops(&mut self, at: At, value: Word) {
        if self.open != Some(at) {
            self.end();
            let done = &mut self.sessions[at.session as usize][at.place as usize];
            if done.value == Word::NIL {
                done.value = value;
                return;
            }
            self.open = Some(at);
        }
        self.parts.extend(self.history.words.parts_of(value));
    }

    /// Some client wrote a 0 to this key.
    pub(super) fn wrote_zero(&mut self, key: Word) {
        self.written_zeros.insert(key);
    }

    /// Where the values of the transactions stand.
    pub(super) fn words(&self) -> &Words {
        &self.history.words
    }

    pub(super) fn words_mut(&mut self) -> &mut Words {
        &mut self.history.words
    }

    /// The functions of micro-operations that read, and of those that write.
    pub(super) fn functions(&self) -> [Word; 2] {
        self.functions
    }

    /// Ends the transaction that is being read.
    fn end(&mut self) {
        let Some(at) = self.open.take() else { return };
        let done = &mut self.sessions[at.session as usize][at.place as usize];
        if done.value == Word::NIL {
            done.value = self.history.words.transaction(&self.parts);
        } else {
            let before = || self.history.words.parts_of(done.value);
            let again = self.again.entry((at.session, at.place)).or_insert_with(before);
            again.extend_from_slice(&self.parts);
        }
        self.parts.clear();
    }

    /// Adds a session.
    pub(super) fn push(&mut self, session: Vec<Txn>) {
        let id = self.sessions.len() as u32;
        self.sessions.push(Vec::with_capacity(session.len()));
        for (place, txn) in session.into_iter().enumerate() {
            self.sessions[id as usize].push(Done { value: Word::NIL, aborted: txn.aborted });
            let at = At { session: id, place: place as u32 };
            self.end();
            for op in txn.ops {
                let words = &mut self.history.words;
                let (key, value) = (words.value(&op.key), words.value(&op.value));
                self.word_op(at, op.write, key, value);
            }
            self.end();
        }
    }

    /// Where the initial value is 0: makes reads of it reads of nil, where no client wrote a 0.
    pub(super) fn zero_is_initial(&mut self) {
        self.zero_is_initial = true;
    }

    /// The n-th transactions of all sessions overlap; more cannot be said of sessions, of which
    /// each does one thing at a time.
    pub(super) fn history(mut self) -> Result<History, String> {
        self.end();
        for ((session, place), parts) in std::mem::take(&mut self.again) {
            let value = self.history.words.transaction(&parts);
            self.sessions[session as usize][place as usize].value = value;
        }
        let Sessions { mut sessions, mut history, functions, written_zeros, .. } = self;
        history.set_meta(REAL_TIME, false);
        if sessions.len() >= Process::RUNTIME.0 as usize {
            return Err("fewer sessions".into());
        }
        let count = sessions.iter().map(Vec::len).sum::<usize>();
        if 2 * count >= u32::MAX as usize {
            return Err("fewer than 2^31 transactions".into());
        }
        let longest = sessions.iter().map(Vec::len).max().unwrap_or(0);
        if longest == 0 {
            return Ok(history);
        }
        let function = history.new_function(&"txn".into());
        history.reserve(2 * count);
        let (zero, empty) = (Word::from_cell(0), history.words.list(&[]));
        let mut invoked = vec![NONE; sessions.len()];
        for n in 0..longest {
            for invokes in [true, false] {
                for (process, session) in sessions.iter_mut().enumerate() {
                    let Some(txn) = session.get_mut(n) else { continue };
                    if txn.value == Word::NIL {
                        txn.value = empty;
                    }
                    if invokes && self.zero_is_initial {
                        txn.value = history.words.changed(txn.value, |[f, key, value]| {
                            let read = f == functions[0] && value == zero;
                            (read && !written_zeros.contains(&key)).then_some(Word::NIL)
                        });
                    }
                    let word = match invokes || txn.aborted {
                        true => history.words.asked(txn.value),
                        false => txn.value,
                    };
                    let kind = match (invokes, txn.aborted) {
                        (true, _) => Kind::Invoke,
                        (false, false) => Kind::Ok,
                        (false, true) => Kind::Fail,
                    };
                    let index = history.len() as u32;
                    let partner = std::mem::replace(&mut invoked[process], index);
                    let row = Row {
                        time: index.into(),
                        process: Process(process as u32),
                        node: None,
                        kind,
                        function,
                        phase: Phase::Main,
                    };
                    history.append(row, if invokes { NONE } else { partner }, word, None);
                }
            }
        }
        Ok(history)
    }
}
