//! Makes histories of transactions: valid ones of a chosen kind and size, ones with chosen
//! anomalies, and ones written by hand. For tests of checkers, one's own included.

mod causal;
mod plant;
mod script;
mod store;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use plant::{HIDDEN_CYCLE, HIDDEN_INITIAL};
pub use plant::{PLANTS, Plant, plant, splice};
pub use script::script;

use std::time::Duration;

use super::core::Shape;
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Event, Kind, Name, NodeId, OpError, Phase, Process, Value};
use fuzz_dist_history::time::Time;
use fuzz_dist_random::{Seed, Stream};

/// What kind of database a generated history comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Every transaction takes effect at one moment between its invocation and completion.
    StrictSerializable,
    /// Transactions read from the snapshot at their begin; of two concurrent ones that write
    /// the same key, the second to commit fails.
    Snapshot,
    /// Each session talks to one of so many replicas, which exchange whole transactions in
    /// causal order and keep the write with the latest logical clock. Registers only.
    Causal {
        /// How many.
        replicas: u16,
    },
}

/// The size and form of a generated history.
///
/// ```
/// use fuzz_dist_checkers::txn::{Shape, generate::{Load, Store}, list_append};
/// use fuzz_dist_checkers::Checker;
///
/// let history = Load::new(500).keys(3).history(Shape::Lists, Store::StrictSerializable);
/// assert!(list_append().check(&history).is_valid());
/// ```
#[derive(Clone, Debug)]
pub struct Load {
    transactions: usize,
    sessions: u32,
    keys: usize,
    ops: (u64, u64),
    write_share: f64,
    skew: f64,
    writes_per_key: u32,
    info: f64,
    fail: f64,
    seed: Seed,
}

impl Load {
    /// So many transactions of 1 to 4 micro-operations by 10 sessions on 10 keys at a time, of
    /// which each is replaced by a new one after 32 writes; half of the operations write.
    pub fn new(transactions: usize) -> Load {
        Load {
            transactions,
            sessions: 10,
            keys: 10,
            ops: (1, 4),
            write_share: 0.5,
            skew: 0.0,
            writes_per_key: 32,
            info: 0.0,
            fail: 0.0,
            seed: Seed(0),
        }
    }
    /// How many sessions there are.
    #[must_use]
    pub fn sessions(mut self, n: u32) -> Load {
        self.sessions = n.max(1);
        self
    }
    /// How many keys are in use at a time.
    #[must_use]
    pub fn keys(mut self, n: usize) -> Load {
        self.keys = n.max(1);
        self
    }
    /// From `min` to `max` micro-operations in each transaction.
    #[must_use]
    pub fn ops(mut self, min: u64, max: u64) -> Load {
        self.ops = (min, max.max(min));
        self
    }
    /// The share of micro-operations that write.
    #[must_use]
    pub fn write_share(mut self, share: f64) -> Load {
        self.write_share = share;
        self
    }
    /// How unequal the keys are: 0 for equal ones, 3 for a few that get most operations.
    #[must_use]
    pub fn skew(mut self, skew: f64) -> Load {
        self.skew = skew.max(0.0);
        self
    }
    /// After so many writes a key is replaced by a new one.
    #[must_use]
    pub fn writes_per_key(mut self, n: u32) -> Load {
        self.writes_per_key = n.max(1);
        self
    }
    /// The shares of transactions of unknown outcome and of failed ones. Of the former a third takes
    /// effect before it is given up, a third afterwards, at any later time, and a third never.
    #[must_use]
    pub fn outcomes(mut self, info: f64, fail: f64) -> Load {
        (self.info, self.fail) = (info, fail);
        self
    }
    /// The seed of all choices.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Load {
        self.seed = Seed(seed);
        self
    }

    /// The history that such a load gives on such a database.
    pub fn history(&self, shape: Shape, store: Store) -> History {
        match store {
            Store::StrictSerializable => store::run(self, shape, false),
            Store::Snapshot => store::run(self, shape, true),
            Store::Causal { replicas } => causal::run(self, replicas.max(1)),
        }
    }
}

/// One micro-operation that is about to be executed: a read, or a write of a value.
#[derive(Clone, Copy, Debug)]
struct Micro {
    key: usize,
    write: Option<i64>,
}

/// When a transaction of unknown outcome takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// Before its client gives up.
    Before,
    /// At any time after that.
    After,
    Never,
}

impl Effect {
    fn draw(rng: &mut Stream) -> Effect {
        [Effect::Before, Effect::After, Effect::Never][rng.index(3)]
    }
}

/// Those of the transactions that were given up that take effect now: each with this probability.
fn due<T>(late: &mut Vec<T>, rng: &mut Stream) -> Vec<T> {
    late.extract_if(.., |_| rng.chance(0.1)).collect()
}

/// Draws transactions: keys by skew, values that are never written twice to a key.
struct Draw<'a> {
    load: &'a Load,
    rng: Stream,
    active: Vec<usize>,
    written: Vec<i64>,
}

impl<'a> Draw<'a> {
    fn new(load: &'a Load) -> Draw<'a> {
        let rng = load.seed.stream("transactions");
        Draw { load, rng, active: (0..load.keys).collect(), written: vec![0; load.keys] }
    }

    fn transaction(&mut self) -> Vec<Micro> {
        let (min, max) = self.load.ops;
        let n = min + self.rng.below(max - min + 1);
        (0..n).map(|_| self.micro()).collect()
    }

    fn micro(&mut self) -> Micro {
        let share = self.rng.unit().powf(1.0 + self.load.skew);
        let slot = ((share * self.active.len() as f64) as usize).min(self.active.len() - 1);
        let key = self.active[slot];
        if !self.rng.chance(self.load.write_share) {
            return Micro { key, write: None };
        }
        self.written[key] += 1;
        if self.written[key] >= i64::from(self.load.writes_per_key) {
            self.active[slot] = self.written.len();
            self.written.push(0);
        }
        Micro { key, write: Some(self.written[key]) }
    }
}

/// Writes events with a clock that goes on by a microsecond each.
struct Recorder {
    history: History,
    f: Name,
    words: [Value; 3],
}

impl Recorder {
    fn new(nodes: u16) -> Recorder {
        let names: Vec<String> = (1..=nodes.max(1)).map(|n| format!("n{n}")).collect();
        Recorder {
            history: History::new(names),
            f: "txn".into(),
            words: ["r".into(), "w".into(), "append".into()],
        }
    }

    fn record(
        &mut self,
        process: u32,
        node: u16,
        kind: Kind,
        value: Value,
        error: Option<OpError>,
    ) {
        let time = Time::ZERO + Duration::from_micros(self.history.len() as u64 + 1);
        let event = Event {
            time,
            process: Process(process),
            node: Some(NodeId(node)),
            kind,
            f: self.f.clone(),
            value,
            error,
            phase: Phase::Main,
        };
        self.history.push(event).expect("a generated process does one thing at a time");
    }

    /// The value of a transaction, with what its reads gave.
    fn value(&self, shape: Shape, ops: &[Micro], read: impl Fn(usize) -> Value) -> Value {
        let [r, w, append] = &self.words;
        let write = if shape == Shape::Lists { append } else { w };
        Value::List(
            ops.iter()
                .enumerate()
                .map(|(i, op)| {
                    let (f, value) = match op.write {
                        Some(v) => (write.clone(), Value::Int(v)),
                        None => (r.clone(), read(i)),
                    };
                    Value::List([f, Value::Int(op.key as i64), value].into())
                })
                .collect(),
        )
    }
}
