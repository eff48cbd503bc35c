//! Sessions of transactions without times, and the history that they make.

use super::super::hash::{FastMap, FastSet};
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

/// The sessions of a history, in the order in which they were met.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    sessions: Vec<Vec<Txn>>,
    ids: FastMap<u64, usize>,
}

impl Sessions {
    /// The session of this number.
    pub(super) fn session(&mut self, number: u64) -> &mut Vec<Txn> {
        let id = *self.ids.entry(number).or_insert_with(|| {
            self.sessions.push(Vec::new());
            self.sessions.len() - 1
        });
        &mut self.sessions[id]
    }

    /// Adds a session.
    pub(super) fn push(&mut self, session: Vec<Txn>) {
        self.sessions.push(session);
    }

    /// Where the initial value is 0: makes reads of it reads of nil, where nobody wrote a 0.
    pub(super) fn zero_is_initial(&mut self) {
        let ops = || self.sessions.iter().flatten().flat_map(|t| &t.ops);
        let zero = Value::Int(0);
        let written: FastSet<Value> =
            ops().filter(|op| op.write && op.value == zero).map(|op| op.key.clone()).collect();
        for op in self.sessions.iter_mut().flatten().flat_map(|t| &mut t.ops) {
            if !op.write && op.value == zero && !written.contains(&op.key) {
                op.value = Value::Nil;
            }
        }
    }

    /// The n-th transactions of all sessions overlap; more cannot be said of sessions, of which
    /// each does one thing at a time.
    pub(super) fn history(self) -> Result<History, String> {
        let mut history = History::default();
        history.set_meta(REAL_TIME, false);
        if self.sessions.len() >= Process::RUNTIME.0 as usize {
            return Err("fewer sessions".into());
        }
        if 2 * self.sessions.iter().map(Vec::len).sum::<usize>() >= u32::MAX as usize {
            return Err("fewer than 2^31 transactions".into());
        }
        let longest = self.sessions.iter().map(Vec::len).max().unwrap_or(0);
        if longest == 0 {
            return Ok(history);
        }
        let function = history.new_function(&"txn".into());
        let functions = ["r", "w"].map(|f| history.words.name(&f.into()));
        let mut invoked = vec![NONE; self.sessions.len()];
        let mut micro: Vec<Word> = Vec::new();
        for n in 0..longest {
            for invokes in [true, false] {
                for (process, session) in self.sessions.iter().enumerate() {
                    let Some(txn) = session.get(n) else { continue };
                    micro.clear();
                    for op in &txn.ops {
                        let unknown = !op.write && (invokes || txn.aborted);
                        let key = history.words.value(&op.key);
                        let value = history.words.value(&op.value);
                        let f = functions[usize::from(op.write)];
                        let value = if unknown { Word::NIL } else { value };
                        micro.push(history.words.list(&[f, key, value]));
                    }
                    let word = history.words.list(&micro);
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
