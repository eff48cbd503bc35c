//! From a history to columns of transactions.

use fuzz_dist_history::op::Kind;
use fuzz_dist_history::{History, Invocation, List, View, Word};

use super::intern::{Keys, Versions, Words};
use super::number::{self, CHUNK, Chunk, Numbered, Twice, UNNUMBERED};
use super::txns::{NONE, Op, STRAY, Shape, Status, Transactions, Unjudgeable};
use crate::dense::Clients;

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
        Transactions::read_by(history, shape, |produce| number::numbered(history.len(), produce))
    }

    /// The same; `numbered` calls what it is given, and numbers the versions of the chunks of that.
    pub(super) fn read_by(
        history: &History,
        shape: Shape,
        numbered: impl FnOnce(Produce<'_>) -> (Result<(), Unjudgeable>, Numbered),
    ) -> Result<Transactions, Unjudgeable> {
        let mut reader = Reader::new(history, shape)?;
        let (read, numbered) = numbered(&mut |give| {
            let read = reader.all(history, give);
            // Where one cannot be read, those before it may be what is wrong.
            reader.flush(give);
            read
        });
        reader.finish(history, numbered, read)
    }
}

/// After so many transactions it is known about how much room the others take.
const SAMPLE: usize = 4096;

/// Gives chunks on until all is read.
type Produce<'a> = &'a mut dyn FnMut(&mut dyn FnMut(&mut Chunk)) -> Result<(), Unjudgeable>;

struct Reader {
    /// Without micro-operations and versions, which are numbered elsewhere.
    txns: Transactions,
    chunk: Chunk,
    /// How many micro-operations were given on.
    given: usize,
    sessions: Clients,
    /// Per key: its longest read so far.
    longest: Vec<Longest>,
    /// Reads that are no prefix of it: (key, words).
    strays: Vec<(u32, Vec<Word>)>,
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
            chunk: Chunk::default(),
            given: 0,
            sessions: Clients::default(),
            longest: Vec::new(),
            strays: Vec::new(),
            scratch: Vec::new(),
            functions: ["append", "r", "w"].map(|f| history.find_text(f)),
        })
    }

    /// Reads all transactions, of which most are given on.
    fn all(
        &mut self,
        history: &History,
        give: &mut dyn FnMut(&mut Chunk),
    ) -> Result<(), Unjudgeable> {
        for invocation in history.invocations() {
            if self.txns.len() == SAMPLE {
                self.flush(give);
                self.chunk.expected = Some(self.expected(history.len()));
            }
            self.transaction(history, invocation)?;
            if self.chunk.ops.len() >= CHUNK {
                self.flush(give);
            }
        }
        Ok(())
    }

    fn flush(&mut self, give: &mut dyn FnMut(&mut Chunk)) {
        self.given += self.chunk.ops.len();
        give(&mut self.chunk);
    }

    /// How many micro-operations there are so far.
    fn ops(&self) -> usize {
        self.given + self.chunk.ops.len()
    }

    /// How many times as much as so far there will be, if the other events are like those before.
    fn expected(&self, events: usize) -> usize {
        let ends = self.txns.complete.iter().filter(|c| **c != NONE);
        let last = ends.chain(&self.txns.invoke).max().map_or(0, |last| *last as usize);
        events / (last + 1)
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
        let ops = self.ops();
        if ops >= STRAY as usize {
            return Err(Unjudgeable::TooLong { what: "the number of micro-operations" });
        }
        let txns = &mut self.txns;
        let session = self.sessions.number(process);
        if session == txns.processes.len() {
            txns.processes.push(process);
        }
        txns.session.push(session as u32);
        txns.invoke.push(i as u32);
        txns.complete.push(completion.map_or(NONE, |c| c as u32));
        txns.first_op.push(ops as u32);
        self.chunk.txns.push((self.chunk.ops.len(), status));
        Ok(())
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
            let (version, word) = match value {
                Word::NIL => (NONE, value),
                value => (UNNUMBERED, self.txns.words.word(items, value)),
            };
            self.chunk.ops.push((Op::new(true, k, version), word));
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

    fn write(&mut self, items: List<'_>, [key, value]: [Word; 2]) {
        let k = self.key(items, key);
        let word = self.txns.words.word(items, value);
        self.chunk.ops.push((Op::new(false, k, UNNUMBERED), word));
    }

    fn read_of(&mut self, key: u32, arg: u32) {
        self.chunk.ops.push((Op::new(true, key, arg), Word::NIL));
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
            self.read_of(k, list.map_or(0, |list| list.len() as u32));
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
            self.strays.push((k, list.to_vec()));
            STRAY | (self.strays.len() as u32 - 1)
        };
        self.read_of(k, arg);
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

    fn finish(
        mut self,
        history: &History,
        mut numbered: Numbered,
        read: Result<(), Unjudgeable>,
    ) -> Result<Transactions, Unjudgeable> {
        if let Some(Twice { op, first, second }) = numbered.twice {
            let event = |t: u32| self.txns.invoke[t as usize] as usize;
            return Err(Unjudgeable::WrittenTwice {
                key: self.txns.key(op.key()).clone(),
                value: self.txns.words.value(numbered.versions.word(op.arg)),
                first: event(first),
                second: event(second),
            });
        }
        read?;
        let attempted = self.txns.len();
        if attempted == 0 {
            return Err(Unjudgeable::Empty);
        }
        if !numbered.status.contains(&Status::Ok) {
            return Err(Unjudgeable::NoneSucceeded { attempted });
        }
        if self.txns.shape == Shape::Lists {
            self.orders(history, &mut numbered);
        }
        let Numbered { ops, status, versions, writer, last_write, .. } = numbered;
        Ok(Transactions { ops, status, versions, writer, last_write, ..self.txns })
    }

    /// Takes the words of each key's longest read as the order of its versions.
    fn orders(&mut self, history: &History, numbered: &mut Numbered) {
        let order = &mut self.txns.order;
        self.txns.order_start.push(0);
        for (key, longest) in (0..).zip(std::mem::take(&mut self.longest)) {
            match longest {
                Longest::There(word) => {
                    let list = history.list_of(word);
                    order_of(key, list.iter().flat_map(|list| list.words()), numbered, order);
                }
                Longest::Here(words) => order_of(key, words.into_iter(), numbered, order),
            }
            self.txns.order_start.push(order.len() as u32);
        }
        for (key, words) in std::mem::take(&mut self.strays) {
            let versions = words.into_iter().map(|word| numbered.version(key, word)).collect();
            self.txns.strays.push(versions);
        }
    }
}

fn order_of(
    key: u32,
    words: impl Iterator<Item = Word> + Clone,
    numbered: &mut Numbered,
    order: &mut Vec<u32>,
) {
    // Of all at once: one after the other, each look-up would wait for the memory by itself.
    let versions = &numbered.versions;
    std::hint::black_box(words.clone().fold(0, |all, word| all ^ versions.touch(key, word)));
    order.extend(words.map(|word| numbered.version(key, word)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histories::Recorder;
    use fuzz_dist_history::op::Value;

    /// Transactions that never complete are no less part of what was read than the others.
    #[test]
    fn what_is_expected_counts_the_transactions_that_never_complete() {
        let mut r = Recorder::new(["n1"]);
        let op = |n: i64| {
            Value::list([Value::list([Value::from("w"), Value::from("x"), Value::Int(n)])])
        };
        for n in 0..2 * SAMPLE {
            r.invoke(n as u32, "txn", op(n as i64));
        }
        let history = r.history();
        let mut expected = Vec::new();
        let mut reader = Reader::new(&history, Shape::Registers).unwrap();
        let all = reader.all(&history, &mut |chunk| {
            expected.extend(chunk.expected.take());
            chunk.ops.clear();
        });
        assert!(all.is_ok());
        reader.flush(&mut |chunk| expected.extend(chunk.expected));
        assert_eq!(expected, [2]);
    }
}
