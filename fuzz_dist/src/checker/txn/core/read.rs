//! From a history to columns of transactions.

use crate::history::History;
use crate::op::{Kind, Value};

use super::intern::{FastMap, Interner, Versions, Words};
use super::txns::{NONE, Op, STRAY, Shape, Status, Transactions, Unjudgeable};

const MICRO_OPS: &str = "a list of micro-operations [f key value]";

impl Transactions {
    /// Reads the transactions of a history: operations with the function `txn`, whose value is
    /// a list of micro-operations `[f key value]` with `append` and `r` for lists, `w` and `r`
    /// for registers. For registers `write` and `read` of `[key value]` are transactions, too.
    ///
    /// # Errors
    ///
    /// [`Unjudgeable`] where the history says something else, or nothing.
    pub fn read(history: &History, shape: Shape) -> Result<Transactions, Unjudgeable> {
        let mut reader = Reader::new(shape, history.len())?;
        for i in 0..history.len() {
            if history.process(i).is_client() && history.kind(i) == Kind::Invoke {
                reader.transaction(history, i)?;
            }
        }
        reader.finish()
    }
}

struct Reader {
    txns: Transactions,
    sessions: FastMap<u32, u32>,
    /// Per key: the words of its longest read so far.
    longest: Vec<Vec<u64>>,
    /// Reads that are no prefix of it: (micro-operation, words).
    strays: Vec<(usize, Vec<u64>)>,
    scratch: Vec<u64>,
}

impl Reader {
    fn new(shape: Shape, events: usize) -> Result<Reader, Unjudgeable> {
        if events >= STRAY as usize {
            return Err(Unjudgeable::TooLong { what: "the number of events" });
        }
        let txns = Transactions {
            shape,
            session: Vec::new(),
            processes: Vec::new(),
            invoke: Vec::new(),
            complete: Vec::new(),
            status: Vec::new(),
            first_op: vec![0],
            ops: Vec::new(),
            keys: Interner::default(),
            words: Words::default(),
            versions: Versions::default(),
            writer: Vec::new(),
            last_write: Vec::new(),
            order_start: Vec::new(),
            order: Vec::new(),
            strays: Vec::new(),
            events,
        };
        Ok(Reader {
            txns,
            sessions: FastMap::default(),
            longest: Vec::new(),
            strays: Vec::new(),
            scratch: Vec::new(),
        })
    }

    fn transaction(&mut self, history: &History, i: usize) -> Result<(), Unjudgeable> {
        let completion = history.completion(i);
        let status = match completion.map(|c| history.kind(c)) {
            Some(Kind::Ok) => Status::Ok,
            Some(Kind::Fail) => Status::Fail,
            _ => Status::Info,
        };
        // What was read is in the completion; what was attempted is in the invocation.
        let event = if status == Status::Ok { completion.unwrap_or(i) } else { i };
        let t = self.txns.session.len() as u32;
        let value = history.other(event);
        match (&**history.function(i), self.txns.shape) {
            ("txn", _) => {
                let ops =
                    value.and_then(Value::as_list).ok_or_else(|| Unjudgeable::OtherValue {
                        event,
                        value: short(&history.value(event)),
                        expected: MICRO_OPS,
                    })?;
                for op in ops {
                    self.micro_op(t, event, status, op)?;
                }
            }
            (f @ ("read" | "write"), Shape::Registers) => match value.and_then(Value::as_list) {
                Some([key, value]) => {
                    self.register_op(t, event, status, f == "write", key, value)?
                }
                _ => {
                    return Err(Unjudgeable::OtherValue {
                        event,
                        value: short(&history.value(event)),
                        expected: "a pair [key value]",
                    });
                }
            },
            (f, shape) => {
                return Err(Unjudgeable::UnknownFunction {
                    event: i,
                    f: f.into(),
                    expected: if shape == Shape::Lists {
                        "`txn`"
                    } else {
                        "`txn`, `read`, `write`"
                    },
                });
            }
        }
        let txns = &mut self.txns;
        if txns.ops.len() >= STRAY as usize {
            return Err(Unjudgeable::TooLong { what: "the number of micro-operations" });
        }
        let process = history.process(i);
        let session = *self.sessions.entry(process.0).or_insert_with(|| {
            txns.processes.push(process);
            txns.processes.len() as u32 - 1
        });
        txns.session.push(session);
        txns.invoke.push(i as u32);
        txns.complete.push(completion.map_or(NONE, |c| c as u32));
        txns.status.push(status);
        txns.first_op.push(txns.ops.len() as u32);
        self.mark_last_writes(t, i)
    }

    fn micro_op(
        &mut self,
        t: u32,
        event: usize,
        status: Status,
        op: &Value,
    ) -> Result<(), Unjudgeable> {
        let parts = op.as_list().unwrap_or_default();
        let [f, key, value] = parts else { return Err(other(event, op, MICRO_OPS)) };
        match (f.as_text(), self.txns.shape) {
            (Some("append"), Shape::Lists) => self.write(t, key, value),
            (Some("r"), Shape::Lists) if status != Status::Ok => Ok(()),
            (Some("r"), Shape::Lists) => self.list_read(event, key, value),
            (Some(f @ ("w" | "r")), Shape::Registers) => {
                self.register_op(t, event, status, f == "w", key, value)
            }
            (_, Shape::Lists) => Err(other(event, op, "`append` or `r` as a micro-operation's f")),
            (_, Shape::Registers) => Err(other(event, op, "`w` or `r` as a micro-operation's f")),
        }
    }

    fn register_op(
        &mut self,
        t: u32,
        event: usize,
        status: Status,
        write: bool,
        key: &Value,
        value: &Value,
    ) -> Result<(), Unjudgeable> {
        if write {
            if value.is_nil() {
                return Err(other(event, value, "a value other than nil in a write"));
            }
            return self.write(t, key, value);
        }
        if status == Status::Ok {
            let k = self.key(key);
            let version = if value.is_nil() { NONE } else { self.version(k, value) };
            self.txns.ops.push(Op::new(true, k, version));
        }
        Ok(())
    }

    fn key(&mut self, key: &Value) -> u32 {
        let k = self.txns.keys.id(key);
        if k as usize == self.longest.len() {
            self.longest.push(Vec::new());
        }
        k
    }

    fn version(&mut self, key: u32, value: &Value) -> u32 {
        let word = self.txns.words.word(value);
        self.version_of_word(key, word)
    }

    fn version_of_word(&mut self, key: u32, word: u64) -> u32 {
        let version = self.txns.versions.id(key, word);
        if version as usize == self.txns.writer.len() {
            self.txns.writer.push(NONE);
            self.txns.last_write.push(false);
        }
        version
    }

    fn write(&mut self, _t: u32, key: &Value, value: &Value) -> Result<(), Unjudgeable> {
        let k = self.key(key);
        let version = self.version(k, value);
        self.txns.ops.push(Op::new(false, k, version));
        Ok(())
    }

    /// Compares a list with the longest one so far instead of storing it: a correct database's
    /// reads are prefixes of each other.
    fn list_read(&mut self, event: usize, key: &Value, value: &Value) -> Result<(), Unjudgeable> {
        let k = self.key(key);
        let items = match value {
            Value::Nil => &[],
            Value::List(items) => &items[..],
            _ => return Err(other(event, value, "a list as the value of a read")),
        };
        self.scratch.clear();
        for item in items {
            self.scratch.push(self.txns.words.word(item));
        }
        let longest = &mut self.longest[k as usize];
        let common = longest.len().min(items.len());
        let arg = if longest[..common] == self.scratch[..common] {
            longest.extend_from_slice(&self.scratch[common..]);
            items.len() as u32
        } else {
            self.strays.push((self.txns.ops.len(), self.scratch.clone()));
            STRAY | (self.strays.len() as u32 - 1)
        };
        self.txns.ops.push(Op::new(true, k, arg));
        Ok(())
    }

    /// Tells who wrote each version, now that the transaction's place is known.
    fn mark_last_writes(&mut self, t: u32, event: usize) -> Result<(), Unjudgeable> {
        let txns = &mut self.txns;
        let range = txns.first_op[t as usize] as usize..txns.ops.len();
        for i in range.clone() {
            let op = txns.ops[i];
            if op.is_read() {
                continue;
            }
            let former = txns.writer[op.arg as usize];
            if former != NONE && txns.status[former as usize] != Status::Fail {
                if txns.status[t as usize] == Status::Fail {
                    continue;
                }
                return Err(Unjudgeable::WrittenTwice {
                    key: txns.key(op.key()).clone(),
                    value: txns.value(op.arg),
                    first: txns.invoke[former as usize] as usize,
                    second: event,
                });
            }
            // A transaction that certainly failed may be tried again with the same values.
            txns.writer[op.arg as usize] = t;
            let later = &txns.ops[i + 1..range.end];
            txns.last_write[op.arg as usize] =
                !later.iter().any(|o| o.is_write() && o.key() == op.key());
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Transactions, Unjudgeable> {
        let attempted = self.txns.len();
        if attempted == 0 {
            return Err(Unjudgeable::Empty);
        }
        if !self.txns.status.contains(&Status::Ok) {
            return Err(Unjudgeable::NoneSucceeded { attempted });
        }
        if self.txns.shape == Shape::Lists {
            self.txns.order_start.push(0);
            for key in 0..self.longest.len() {
                for word in std::mem::take(&mut self.longest[key]) {
                    let version = self.version_of_word(key as u32, word);
                    self.txns.order.push(version);
                }
                self.txns.order_start.push(self.txns.order.len() as u32);
            }
            for (op, words) in std::mem::take(&mut self.strays) {
                let key = self.txns.ops[op].key();
                let versions = words.into_iter().map(|w| self.version_of_word(key, w)).collect();
                self.txns.strays.push(versions);
            }
        }
        Ok(self.txns)
    }
}

fn other(event: usize, value: &Value, expected: &'static str) -> Unjudgeable {
    Unjudgeable::OtherValue { event, value: short(value), expected }
}

/// A value for a message: at most 80 characters of it.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
