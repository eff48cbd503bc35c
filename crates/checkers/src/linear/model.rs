//! Models: what an object does when operations come one after the other.

use super::super::Arguments;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::Hash;

use fuzz_dist_history::op::Value;

/// A sequential object.
///
/// Operations are decoded once, so that the search compares small values.
///
/// ```
/// use fuzz_dist_checkers::{Checker, Model, linearizable, histories::Recorder};
/// use fuzz_dist_history::op::Value;
///
/// /// A counter that only ever gives the next number.
/// struct Ticket;
///
/// impl Model for Ticket {
///     type State = i64;
///     /// What was given; `None` where it is not known.
///     type Op = Option<i64>;
///     fn initial(&self) -> i64 {
///         0
///     }
///     fn decode(&self, f: &str, _: &Value, result: Option<&Value>) -> Option<Option<i64>> {
///         (f == "take").then(|| result.and_then(Value::as_int))
///     }
///     fn step(&self, state: &i64, given: &Option<i64>) -> Option<i64> {
///         given.is_none_or(|g| g == *state).then_some(state + 1)
///     }
/// }
///
/// let mut r = Recorder::new(["n1"]);
/// for n in [0, 1, 1] {
///     r.invoke(0, "take", Value::Nil);
///     r.ok(0, n);
/// }
/// assert!(linearizable(Ticket).check(&r.history()).is_invalid());
/// ```
pub trait Model: Send + Sync {
    /// The object's state.
    type State: Clone + Eq + Hash + Debug + Send;
    /// An operation with what is known about its result.
    type Op: Clone + Eq + Hash + Debug + Send;

    /// The state before the first operation.
    fn initial(&self) -> Self::State;

    /// An operation from its function, argument and, where it is known, result; `None` where
    /// the model does not know such an operation.
    fn decode(&self, f: &str, argument: &Value, result: Option<&Value>) -> Option<Self::Op>;

    /// The state after an operation, or `None` where it cannot have had its result in `state`.
    fn step(&self, state: &Self::State, op: &Self::Op) -> Option<Self::State>;

    /// Does the operation never change any state? Such operations take effect as soon as they
    /// can, without a search. `false` is always right.
    fn is_pure(&self, _op: &Self::Op) -> bool {
        false
    }

    /// May some order of the `others` be possible with the operation and impossible without it?
    /// Witnesses leave out what is not needed. `true` is always right.
    fn is_needed(&self, op: &Self::Op, _others: &[&Self::Op]) -> bool {
        !self.is_pure(op)
    }

    /// About how many bytes a state takes, with all that it owns: the budget of a search is also
    /// one of space.
    fn bytes(&self, _state: &Self::State) -> usize {
        size_of::<Self::State>()
    }

    /// What the operation read of one register and wrote to it, if the object is made of registers
    /// that begin as nil. From that alone much of the order is known, without a search. `None` is
    /// always right.
    fn access(&self, _op: &Self::Op) -> Option<Access> {
        None
    }

    /// How the command is asked for a search in this model, where it knows the model.
    #[doc(hidden)]
    fn arguments(&self, _asked: Arguments) -> Option<Arguments> {
        None
    }
}

/// What an operation did with a register, see [`Model::access`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// Which register; nil where there is but one.
    pub key: Value,
    /// The value that it saw, before it wrote, where that is known.
    pub read: Option<Value>,
    /// The value that it wrote.
    pub write: Option<Value>,
}

/// A model that begins in another state.
///
/// ```
/// # use fuzz_dist_checkers::{CasRegister, Checker, StartingAt, linearizable, histories::Recorder};
/// # use fuzz_dist_history::op::Value;
/// let mut r = Recorder::new(["n1"]);
/// r.invoke(0, "read", Value::Nil);
/// r.ok(0, 0);
/// let register = StartingAt { model: CasRegister, initial: 0.into() };
/// assert!(linearizable(register).check(&r.history()).is_valid());
/// ```
#[derive(Clone, Debug)]
pub struct StartingAt<M: Model> {
    /// What the object does.
    pub model: M,
    /// Its state before the first operation.
    pub initial: M::State,
}

impl<M: Model<State: Sync>> Model for StartingAt<M> {
    type State = M::State;
    type Op = M::Op;

    fn initial(&self) -> M::State {
        self.initial.clone()
    }

    fn decode(&self, f: &str, argument: &Value, result: Option<&Value>) -> Option<M::Op> {
        self.model.decode(f, argument, result)
    }

    fn step(&self, state: &M::State, op: &M::Op) -> Option<M::State> {
        self.model.step(state, op)
    }

    fn is_pure(&self, op: &M::Op) -> bool {
        self.model.is_pure(op)
    }

    fn is_needed(&self, op: &M::Op, others: &[&M::Op]) -> bool {
        self.model.is_needed(op, others)
    }

    fn bytes(&self, state: &M::State) -> usize {
        self.model.bytes(state)
    }
}

/// A register under `read`, `write v` and `cas [old new]`, with any values; it begins as nil.
#[derive(Clone, Copy, Debug, Default)]
pub struct CasRegister;

/// An operation of a [`CasRegister`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RegisterOp {
    /// It gave this value; `None` where it is not known.
    Read(Option<Value>),
    /// It wrote this value.
    Write(Value),
    /// It replaced the first value by the second.
    Cas(Value, Value),
}

impl RegisterOp {
    pub(super) fn access(&self, key: Value) -> Access {
        let (read, write) = match self {
            RegisterOp::Read(seen) => (seen.clone(), None),
            RegisterOp::Write(v) => (None, Some(v.clone())),
            RegisterOp::Cas(old, new) => (Some(old.clone()), Some(new.clone())),
        };
        Access { key, read, write }
    }
}

impl Model for CasRegister {
    type State = Value;
    type Op = RegisterOp;

    fn initial(&self) -> Value {
        Value::Nil
    }

    fn decode(&self, f: &str, argument: &Value, result: Option<&Value>) -> Option<RegisterOp> {
        match f {
            "read" => Some(RegisterOp::Read(result.cloned())),
            "write" => Some(RegisterOp::Write(argument.clone())),
            "cas" => match argument.as_list()? {
                [old, new] => Some(RegisterOp::Cas(old.clone(), new.clone())),
                _ => None,
            },
            _ => None,
        }
    }

    fn step(&self, state: &Value, op: &RegisterOp) -> Option<Value> {
        match op {
            RegisterOp::Read(seen) => {
                seen.as_ref().is_none_or(|v| v == state).then(|| state.clone())
            }
            RegisterOp::Write(v) => Some(v.clone()),
            RegisterOp::Cas(old, new) => (old == state).then(|| new.clone()),
        }
    }

    fn is_pure(&self, op: &RegisterOp) -> bool {
        matches!(op, RegisterOp::Read(_))
    }

    fn access(&self, op: &RegisterOp) -> Option<Access> {
        Some(op.access(Value::Nil))
    }

    fn arguments(&self, asked: Arguments) -> Option<Arguments> {
        Some(asked.option("model", "cas-register", ""))
    }
}

/// A lock under `acquire` and `release`: what is acquired cannot be acquired again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mutex;

impl Model for Mutex {
    type State = bool;
    type Op = bool;

    fn initial(&self) -> bool {
        false
    }

    fn decode(&self, f: &str, _: &Value, _: Option<&Value>) -> Option<bool> {
        match f {
            "acquire" => Some(true),
            "release" => Some(false),
            _ => None,
        }
    }

    fn step(&self, held: &bool, acquires: &bool) -> Option<bool> {
        (held != acquires).then_some(*acquires)
    }

    fn arguments(&self, asked: Arguments) -> Option<Arguments> {
        Some(asked.option("model", "mutex", ""))
    }
}

/// A set under `add v`, `remove v` and `read`; elements are any values.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetModel;

/// An operation of a [`SetModel`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SetOp {
    /// It put the element in.
    Add(Value),
    /// It took the element out, whether or not it was there.
    Remove(Value),
    /// It gave these elements, ascending; `None` where it is not known.
    Read(Option<Vec<Value>>),
}

impl Model for SetModel {
    type State = Vec<Value>;
    type Op = SetOp;

    fn initial(&self) -> Vec<Value> {
        Vec::new()
    }

    fn decode(&self, f: &str, argument: &Value, result: Option<&Value>) -> Option<SetOp> {
        match f {
            "add" => Some(SetOp::Add(argument.clone())),
            "remove" => Some(SetOp::Remove(argument.clone())),
            "read" => {
                let items = match result {
                    None => return Some(SetOp::Read(None)),
                    Some(Value::Set(s)) => s.as_slice().iter().map(|n| Value::Int(*n)).collect(),
                    Some(Value::List(items)) => {
                        let mut items = items.to_vec();
                        items.sort_unstable();
                        items
                    }
                    Some(_) => return None,
                };
                Some(SetOp::Read(Some(items)))
            }
            _ => None,
        }
    }

    fn step(&self, state: &Vec<Value>, op: &SetOp) -> Option<Vec<Value>> {
        let mut next = state.clone();
        match op {
            SetOp::Read(seen) => return seen.as_ref().is_none_or(|s| s == state).then_some(next),
            SetOp::Add(v) => {
                if let Err(at) = next.binary_search(v) {
                    next.insert(at, v.clone());
                }
            }
            SetOp::Remove(v) => {
                if let Ok(at) = next.binary_search(v) {
                    next.remove(at);
                }
            }
        }
        Some(next)
    }

    fn bytes(&self, state: &Vec<Value>) -> usize {
        size_of_val(state) + state.len() * size_of::<Value>()
    }

    fn is_pure(&self, op: &SetOp) -> bool {
        matches!(op, SetOp::Read(_))
    }

    fn arguments(&self, asked: Arguments) -> Option<Arguments> {
        Some(asked.option("model", "set", ""))
    }
}

/// A first-in-first-out queue under `enqueue v` and `dequeue`, which gives nil when empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fifo;

/// An operation of a [`Fifo`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FifoOp {
    /// It put the element at the end.
    Enqueue(Value),
    /// It took this one (or nil) from the front; `None` where it is not known.
    Dequeue(Option<Value>),
}

impl Model for Fifo {
    type State = VecDeque<Value>;
    type Op = FifoOp;

    fn initial(&self) -> VecDeque<Value> {
        VecDeque::new()
    }

    fn decode(&self, f: &str, argument: &Value, result: Option<&Value>) -> Option<FifoOp> {
        match f {
            "enqueue" => Some(FifoOp::Enqueue(argument.clone())),
            "dequeue" => Some(FifoOp::Dequeue(result.cloned())),
            _ => None,
        }
    }

    fn step(&self, state: &VecDeque<Value>, op: &FifoOp) -> Option<VecDeque<Value>> {
        let mut next = state.clone();
        match op {
            FifoOp::Enqueue(v) => next.push_back(v.clone()),
            FifoOp::Dequeue(seen) => {
                let taken = next.pop_front().unwrap_or(Value::Nil);
                if seen.as_ref().is_some_and(|v| *v != taken) {
                    return None;
                }
            }
        }
        Some(next)
    }

    fn bytes(&self, state: &VecDeque<Value>) -> usize {
        size_of_val(state) + state.len() * size_of::<Value>()
    }

    fn arguments(&self, asked: Arguments) -> Option<Arguments> {
        Some(asked.option("model", "fifo", ""))
    }
}

/// A counter under `add n` (or `decrement n`) and `read`; it begins as 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct CounterModel;

/// An operation of a [`CounterModel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CounterOp {
    /// It added this number.
    Add(i64),
    /// It gave this number; `None` where it is not known.
    Read(Option<i64>),
}

impl Model for CounterModel {
    /// Wider than what is added and read: a sum beyond 64 bits is a sum as any other.
    type State = i128;
    type Op = CounterOp;

    fn initial(&self) -> i128 {
        0
    }

    fn decode(&self, f: &str, argument: &Value, result: Option<&Value>) -> Option<CounterOp> {
        let size = || if argument.is_nil() { Some(1) } else { argument.as_int() };
        match f {
            "add" | "increment" | "inc" => size().map(CounterOp::Add),
            "decrement" | "dec" => size()?.checked_neg().map(CounterOp::Add),
            "read" => match result {
                None => Some(CounterOp::Read(None)),
                Some(result) => result.as_int().map(|n| CounterOp::Read(Some(n))),
            },
            _ => None,
        }
    }

    fn step(&self, state: &i128, op: &CounterOp) -> Option<i128> {
        match op {
            CounterOp::Add(n) => state.checked_add(i128::from(*n)),
            CounterOp::Read(seen) => seen.is_none_or(|n| i128::from(n) == *state).then_some(*state),
        }
    }

    fn is_pure(&self, op: &CounterOp) -> bool {
        matches!(op, CounterOp::Read(_))
    }

    fn arguments(&self, asked: Arguments) -> Option<Arguments> {
        Some(asked.option("model", "counter", ""))
    }
}
