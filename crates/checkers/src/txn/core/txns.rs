//! Transactions as columns: what every transactional checker works on.

use fuzz_dist_history::op::{Process, Value};

use super::intern::{Keys, Versions, Words};

/// "No transaction", "no event", "the initial version" in columns.
pub(crate) const NONE: u32 = u32::MAX;

/// What the values under the keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Lists that grow by `append`; a read gives the whole list.
    Lists,
    /// Registers that `w` overwrites; a read gives the value, or nil before the first write.
    Registers,
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It committed.
    Ok,
    /// Indeterminate.
    Info,
    /// It certainly did not commit.
    Fail,
}

/// Why a well-formed history cannot be judged by a transactional checker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unjudgeable {
    /// There is no transaction in it.
    #[error("the history has no transactions")]
    Empty,
    /// No transaction committed.
    #[error("none of the {attempted} transactions succeeded")]
    NoneSucceeded {
        /// How many were tried.
        attempted: usize,
    },
    /// An operation whose function is not that of a transaction.
    #[error("event {event} has the function `{f}`; a transactional checker expects {expected}")]
    UnknownFunction {
        /// Where.
        event: usize,
        /// The function.
        f: String,
        /// What was expected.
        expected: &'static str,
    },
    /// A value that is not what this checker works on.
    #[error("event {event} has the value {value}; expected {expected}")]
    OtherValue {
        /// Where.
        event: usize,
        /// The value, shortened.
        value: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The same value was written twice under one key, so a read of it does not show whose.
    #[error(
        "{value} is written to key {key} twice, at events {first} and {second}; \
         every value may be written to a key once only"
    )]
    WrittenTwice {
        /// The key.
        key: Value,
        /// The value.
        value: Value,
        /// The first transaction's invocation.
        first: usize,
        /// The second one's.
        second: usize,
    },
    /// The history is too long for 32-bit columns.
    #[error("the history is too long: {what} does not fit")]
    TooLong {
        /// What did not fit.
        what: &'static str,
    },
}

/// A micro-operation: a write or a read of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Op {
    key_and_kind: u32,
    /// For writes the version. For reads of registers the version, [`NONE`] where it is the
    /// initial one. For reads of lists the length of the prefix of the key's order, or the
    /// number of a stray read with [`STRAY`] set.
    pub(crate) arg: u32,
}

/// Marks a read of a list that is no prefix of the key's longest read.
pub(crate) const STRAY: u32 = 1 << 31;
const READ: u32 = 1 << 31;

impl Op {
    pub(crate) fn new(read: bool, key: u32, arg: u32) -> Op {
        Op { key_and_kind: key | if read { READ } else { 0 }, arg }
    }
    pub(crate) fn key(self) -> u32 {
        self.key_and_kind & !READ
    }
    pub(crate) fn is_read(self) -> bool {
        self.key_and_kind & READ != 0
    }
    pub(crate) fn is_write(self) -> bool {
        !self.is_read()
    }
}

/// The transactions of a history as columns, in the order of their invocations.
///
/// Reading a history once and asking several checkers about it saves most of the time of a
/// check; see [`ListAppend::judge`](crate::txn::ListAppend::judge).
#[derive(Clone, Debug)]
pub struct Transactions {
    pub(crate) shape: Shape,
    /// Per transaction: the place of its process in `processes`.
    pub(crate) session: Vec<u32>,
    pub(crate) processes: Vec<Process>,
    /// Per transaction: the events of its invocation and completion ([`NONE`]: never).
    pub(crate) invoke: Vec<u32>,
    pub(crate) complete: Vec<u32>,
    pub(crate) status: Vec<Status>,
    /// Per transaction, and one more: where its micro-operations begin in `ops`.
    pub(crate) first_op: Vec<u32>,
    pub(crate) ops: Vec<Op>,
    pub(crate) keys: Keys,
    pub(crate) words: Words,
    pub(crate) versions: Versions,
    /// Per version: the transaction that wrote it, [`NONE`] where nobody did.
    pub(crate) writer: Vec<u32>,
    /// Per version: is it the last that its transaction wrote to the key?
    pub(crate) last_write: Vec<bool>,
    /// Lists only. Per key, and one more: where its order begins in `order`.
    pub(crate) order_start: Vec<u32>,
    /// Versions in the order of each key's longest read.
    pub(crate) order: Vec<u32>,
    /// Reads that are no prefix of the key's order.
    pub(crate) strays: Vec<Vec<u32>>,
    /// How many events the history has.
    pub(crate) events: usize,
}

impl Transactions {
    /// How many transactions there are, whatever became of them.
    pub fn len(&self) -> usize {
        self.session.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.session.is_empty()
    }

    /// What became of transaction `t`; transactions count from 0 in the order of invocation.
    pub fn status(&self, t: usize) -> Status {
        self.status[t]
    }

    /// The event that invoked transaction `t`.
    pub fn invocation(&self, t: usize) -> usize {
        self.invoke[t] as usize
    }

    /// What the columns take, in bytes.
    pub fn bytes(&self) -> usize {
        self.len() * (4 * 4 + 1)
            + self.ops.capacity() * size_of::<Op>()
            + self.versions.bytes()
            + self.writer.capacity() * 4
            + self.last_write.capacity()
            + (self.order.capacity() + self.order_start.capacity()) * 4
            + self.strays.iter().map(|s| s.capacity() * 4 + 24).sum::<usize>()
    }

    pub(crate) fn ops_of(&self, t: u32) -> &[Op] {
        &self.ops[self.first_op[t as usize] as usize..self.first_op[t as usize + 1] as usize]
    }

    pub(crate) fn is_ok(&self, t: u32) -> bool {
        self.status[t as usize] == Status::Ok
    }

    /// May it have committed?
    pub(crate) fn is_possible(&self, t: u32) -> bool {
        self.status[t as usize] != Status::Fail
    }

    /// Did `a` end before `b` began?
    pub(crate) fn before(&self, a: u32, b: u32) -> bool {
        self.is_ok(a) && self.complete[a as usize] < self.invoke[b as usize]
    }

    /// The same, with each list as a register that holds its last element.
    pub(crate) fn as_registers(&self) -> Transactions {
        let mut registers = self.clone();
        registers.shape = Shape::Registers;
        for op in registers.ops.iter_mut().filter(|op| op.is_read()) {
            op.arg = self.list_of(*op).last().copied().unwrap_or(NONE);
        }
        registers
    }

    /// The same, with each transaction in a session of its own.
    pub(crate) fn without_sessions(&self) -> Transactions {
        let mut alone = self.clone();
        alone.processes = self.session.iter().map(|s| self.processes[*s as usize]).collect();
        alone.session = (0..self.len() as u32).collect();
        alone
    }

    /// The event by which it has certainly taken effect, or never will; [`NONE`], which is behind
    /// all events, where it may do so at any time. The completion of a transaction of unknown
    /// outcome is no end of it.
    pub(crate) fn end(&self, t: u32) -> u32 {
        if self.status[t as usize] == Status::Info { NONE } else { self.complete[t as usize] }
    }

    pub(crate) fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// The versions of a key in the order of its longest read.
    pub(crate) fn order_of(&self, key: u32) -> &[u32] {
        &self.order
            [self.order_start[key as usize] as usize..self.order_start[key as usize + 1] as usize]
    }

    /// The versions that a read of a list gave.
    pub(crate) fn list_of(&self, op: Op) -> &[u32] {
        if op.arg & STRAY != 0 {
            &self.strays[(op.arg & !STRAY) as usize]
        } else {
            &self.order_of(op.key())[..op.arg as usize]
        }
    }

    /// The value of a version; nil for the initial one.
    pub(crate) fn value(&self, version: u32) -> Value {
        if version == NONE { Value::Nil } else { self.words.value(self.versions.word(version)) }
    }

    pub(crate) fn key(&self, key: u32) -> &Value {
        self.keys.get(key)
    }

    /// Per session, its transactions that may have committed, in order.
    pub(crate) fn by_session(&self) -> (Vec<u32>, Vec<u32>) {
        let mut start = vec![0u32; self.processes.len() + 1];
        for s in &self.session {
            start[*s as usize + 1] += 1;
        }
        for i in 1..start.len() {
            start[i] += start[i - 1];
        }
        let mut next = start.clone();
        let mut txns = vec![0u32; self.len()];
        for (t, s) in self.session.iter().enumerate() {
            txns[next[*s as usize] as usize] = t as u32;
            next[*s as usize] += 1;
        }
        (start, txns)
    }
}
