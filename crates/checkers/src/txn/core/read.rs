//! From a history to columns of transactions.

use fuzz_dist_history::op::Kind;
use fuzz_dist_history::{History, Invocation, List, View, Word};

use super::intern::{FastMap, Keys, Versions, Words};
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
        let mut reader = Reader::new(history, shape)?;
        for invocation in history.invocations() {
            if reader.txns.len() == SAMPLE {
                reader.expect(history.len());
            }
            reader.transaction(history, invocation)?;
        }
        reader.finish(history)
    }
}

/// After so many transactions it is known about how much room the others take.
const SAMPLE: usize = 4096;

struct Reader {
    txns: Transactions,
    sessions: FastMap<u32, u32>,
    /// Per key: its longest read so far.
    longest: Vec<Longest>,
    /// Reads that are no prefix of it: (micro-operation, words).
    strays: Vec<(usize, Vec<Word>)>,
    scratch: Vec<Word>,
    /// The words of `append`, `r` and `w`, where they occur.
    functions: [Option<Word>; 3],
}

/// A list that was read.
enum Longest {
    /// One of small numbers, which stands in the history.
    There(Word),
    /// The words of any other one.
    Here(Vec<Word>),
}

impl Reader {
    fn new(history: &History, shape: Shape) -> Result<Reader, Unjudgeable> {
        let events = history.len();
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
            keys: Keys::default(),
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
            functions: ["append", "r", "w"].map(|f| history.find_text(f)),
        })
    }

    /// Makes room for the transactions of so many events, which are like those before.
    fn expect(&mut self, events: usize) {
        let txns = &mut self.txns;
        let read = txns.complete.iter().filter(|c| **c != NONE).max().map_or(0, |c| *c as usize);
        let times = (events / (read + 1)).min(SAMPLE * SAMPLE);
        txns.versions.expect(txns.versions.len() * times);
        txns.writer.reserve(txns.writer.len() * times);
        txns.last_write.reserve(txns.writer.len() * times);
        txns.ops.reserve(txns.ops.len() * times);
    }

    fn transaction(
        &mut self,
        history: &History,
        invocation: Invocation,
    ) -> Result<(), Unjudgeable> {
        let Invocation { event: i, completion, process, .. } = invocation;
        let status = match completion.map(|c| history.kind(c)) {
            Some(Kind::Ok) => Status::Ok,
            Some(Kind::Fail) => Status::Fail,
            _ => Status::Info,
        };
        // What was read is in the completion; what was attempted is in the invocation.
        let event = if status == Status::Ok { completion.unwrap_or(i) } else { i };
        let t = self.txns.session.len() as u32;
        let items = history.view(event).and_then(View::as_list);
        let unlike = |expected| Unjudgeable::OtherValue {
            event,
            value: short(&history.value(event)),
            expected,
        };
        match (&**history.function(i), self.txns.shape) {
            (f, _)
                if f == "txn"
                    || matches!(f, "read" | "write") && items.is_some_and(|i| self.is_micro(i)) =>
            {
                let items = items.ok_or_else(|| unlike(MICRO_OPS))?;
                self.touch(items);
                for i in 0..items.len() {
                    self.micro_op(event, status, items, i)?;
                }
            }
            (f @ ("read" | "write"), Shape::Registers) => {
                let pair = items.and_then(|items| Some((items, items.word_array::<2>()?)));
                let (items, pair) = pair.ok_or_else(|| unlike("a pair [key value]"))?;
                self.register_op(event, status, f == "write", items, pair)?;
            }
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

    /// Loads where the versions of a transaction are looked up, of all at once: one after the other,
    /// each look-up would wait for the memory by itself.
    #[inline]
    fn touch(&self, items: List<'_>) {
        let mut all = 0;
        for i in 0..items.len() {
            if let Some([_, key, value]) = items.triple(i)
                && value.as_small().is_some()
                && let Some(key) = self.txns.keys.find(key)
            {
                all ^= self.txns.versions.touch(key, value);
            }
        }
        std::hint::black_box(all);
    }

    /// Jepsen's long fork calls its transactions by what they do.
    fn is_micro(&self, items: List<'_>) -> bool {
        let is_one = |i| items.triple(i).is_some_and(|[f, ..]| self.functions.contains(&Some(f)));
        !items.is_empty() && (0..items.len()).all(is_one)
    }

    fn micro_op(
        &mut self,
        event: usize,
        status: Status,
        items: List<'_>,
        i: usize,
    ) -> Result<(), Unjudgeable> {
        let wrong = |expected| other(event, items.view(items.word(i)), expected);
        let [f, key, value] = items.triple(i).ok_or_else(|| wrong(MICRO_OPS))?;
        let f = Some(f);
        let [append, r, w] = self.functions;
        match self.txns.shape {
            Shape::Lists if f == append => {
                self.write(items, [key, value]);
                Ok(())
            }
            Shape::Lists if f == r && status != Status::Ok => Ok(()),
            Shape::Lists if f == r => self.list_read(event, items, [key, value]),
            Shape::Registers if f == w || f == r => {
                self.register_op(event, status, f == w, items, [key, value])
            }
            Shape::Lists => Err(wrong("`append` or `r` as a micro-operation's f")),
            Shape::Registers => Err(wrong("`w` or `r` as a micro-operation's f")),
        }
    }

    /// A read or write of a key and a value, which are words of the history of `items`.
    fn register_op(
        &mut self,
        event: usize,
        status: Status,
        write: bool,
        items: List<'_>,
        [key, value]: [Word; 2],
    ) -> Result<(), Unjudgeable> {
        if write {
            if value == Word::NIL {
                return Err(other(event, View::Nil, "a value other than nil in a write"));
            }
            self.write(items, [key, value]);
        } else if status == Status::Ok {
            let k = self.key(items, key);
            let version = match value {
                Word::NIL => NONE,
                value => self.version(k, items, value),
            };
            self.txns.ops.push(Op::new(true, k, version));
        }
        Ok(())
    }

    fn key(&mut self, items: List<'_>, word: Word) -> u32 {
        let word = self.txns.words.word(items, word);
        let k = self.txns.keys.id(&self.txns.words, word);
        if k as usize == self.longest.len() {
            self.longest.push(Longest::Here(Vec::new()));
        }
        k
    }

    fn version(&mut self, key: u32, items: List<'_>, word: Word) -> u32 {
        let word = self.txns.words.word(items, word);
        self.version_of_word(key, word)
    }

    fn version_of_word(&mut self, key: u32, word: Word) -> u32 {
        let version = self.txns.versions.id(key, word);
        if version as usize == self.txns.writer.len() {
            self.txns.writer.push(NONE);
            self.txns.last_write.push(false);
        }
        version
    }

    fn write(&mut self, items: List<'_>, [key, value]: [Word; 2]) {
        let k = self.key(items, key);
        let version = self.version(k, items, value);
        self.txns.ops.push(Op::new(false, k, version));
    }

    /// Compares a list with the longest one so far instead of storing it: a correct database's
    /// reads are prefixes of each other.
    fn list_read(
        &mut self,
        event: usize,
        items: List<'_>,
        [key, value]: [Word; 2],
    ) -> Result<(), Unjudgeable> {
        let k = self.key(items, key);
        let list = match items.view(value) {
            View::Nil => None,
            View::List(list) => Some(list),
            value => return Err(other(event, value, "a list as the value of a read")),
        };
        let Some(list) = list.filter(|list| !self.is_known(k, *list, value)) else {
            self.txns.ops.push(Op::new(true, k, list.map_or(0, |list| list.len() as u32)));
            return Ok(());
        };
        self.scratch.clear();
        match list.is_numbers() {
            true => self.scratch.extend(list.words()),
            false => {
                for word in list.words() {
                    self.scratch.push(self.txns.words.word(list, word));
                }
            }
        }
        let list = &self.scratch[..];
        let longest = &mut self.longest[k as usize];
        if let Longest::There(word) = longest {
            let words = items.view(*word).as_list().map(|list| list.words().collect());
            *longest = Longest::Here(words.unwrap_or_default());
        }
        let Longest::Here(longest) = longest else { unreachable!("it was taken here") };
        let common = longest.len().min(list.len());
        let arg = if longest[..common] == list[..common] {
            longest.extend_from_slice(&list[common..]);
            list.len() as u32
        } else {
            self.strays.push((self.txns.ops.len(), list.to_vec()));
            STRAY | (self.strays.len() as u32 - 1)
        };
        self.txns.ops.push(Op::new(true, k, arg));
        Ok(())
    }

    /// Is a list one of small numbers in cells, as the longest one is, and either a prefix of the other?
    /// Then they are compared where they stand.
    fn is_known(&mut self, key: u32, list: List<'_>, word: Word) -> bool {
        let longest = &mut self.longest[key as usize];
        let known = match longest {
            Longest::There(known) => list.view(*known).as_list(),
            Longest::Here(words) if words.is_empty() => None,
            Longest::Here(_) => return false,
        };
        if known.is_some_and(|known| list.begins_as(known) != Some(true)) {
            return false;
        }
        // What is no longer than the other one is made of the same numbers.
        if known.is_none_or(|known| known.len() < list.len()) {
            if !list.is_short_numbers() {
                return false;
            }
            *longest = Longest::There(word);
        }
        true
    }

    /// Sets who wrote each version, now that the transaction's place is known.
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

    /// Takes the words of a key's longest read as the order of its versions.
    fn order(&mut self, key: u32, words: impl Iterator<Item = Word> + Clone) {
        let versions = &self.txns.versions;
        std::hint::black_box(words.clone().fold(0, |all, word| all ^ versions.touch(key, word)));
        for word in words {
            let version = self.version_of_word(key, word);
            self.txns.order.push(version);
        }
    }

    fn finish(mut self, history: &History) -> Result<Transactions, Unjudgeable> {
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
                let longest = std::mem::replace(&mut self.longest[key], Longest::Here(Vec::new()));
                match longest {
                    Longest::There(word) => {
                        let list = history.list_of(word);
                        self.order(key as u32, list.iter().flat_map(|list| list.words()));
                    }
                    Longest::Here(words) => self.order(key as u32, words.into_iter()),
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

fn other(event: usize, value: View<'_>, expected: &'static str) -> Unjudgeable {
    Unjudgeable::OtherValue { event, value: short(&value), expected }
}

/// A value for a message: at most 80 characters of it.
fn short(value: &impl ToString) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
