//! Sessions of transactions without times, and the history that they make.

use std::collections::{HashMap, HashSet};

use super::super::History;
use super::super::edn::push;
use crate::op::{Event, Kind, Name, Phase, Process, Value};
use crate::time::Time;

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
    ids: HashMap<u64, usize>,
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
        let written: HashSet<Value> =
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
        history.set_meta("real_time", false);
        let (f, read, write): (Name, Value, Value) = ("txn".into(), "r".into(), "w".into());
        let longest = self.sessions.iter().map(Vec::len).max().unwrap_or(0);
        for n in 0..longest {
            for invokes in [true, false] {
                for (process, session) in self.sessions.iter().enumerate() {
                    let Some(txn) = session.get(n) else { continue };
                    let process = u32::try_from(process).ok().map(Process);
                    let micro = |op: &MicroOp| {
                        let unknown = !op.write && (invokes || txn.aborted);
                        let value = if unknown { Value::Nil } else { op.value.clone() };
                        let f = if op.write { &write } else { &read };
                        Value::list([f.clone(), op.key.clone(), value])
                    };
                    let event = Event {
                        time: Time(history.len() as u64),
                        process: process.filter(|p| p.is_client()).ok_or("fewer sessions")?,
                        node: None,
                        kind: match (invokes, txn.aborted) {
                            (true, _) => Kind::Invoke,
                            (false, false) => Kind::Ok,
                            (false, true) => Kind::Fail,
                        },
                        f: f.clone(),
                        value: Value::List(txn.ops.iter().map(micro).collect()),
                        error: None,
                        phase: Phase::Main,
                    };
                    push(&mut history, event)?;
                }
            }
        }
        Ok(history)
    }
}
