//! Several registers side by side: the model for sequential consistency.

use super::super::Arguments;
use super::model::RegisterOp;
use super::{Access, Model};
use fuzz_dist_history::op::Value;

/// Registers under `read [key nil]`, `write [key value]` and `cas [key [old new]]`, with any keys
/// and values; each begins as nil. A read gives `[key value]`.
///
/// Sequential consistency of a whole is more than that of its parts (Herlihy and Wing 1990), so
/// that registers have to be judged together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Registers;

/// An operation of one of several [`Registers`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyedOp {
    /// Which one.
    pub key: Value,
    /// What was done to it.
    pub op: RegisterOp,
}

fn pair(value: &Value) -> Option<(&Value, &Value)> {
    match value.as_list()? {
        [key, value] => Some((key, value)),
        _ => None,
    }
}

impl Model for Registers {
    /// The registers that are not nil, by ascending keys.
    type State = Vec<(Value, Value)>;
    type Op = KeyedOp;

    fn initial(&self) -> Self::State {
        Vec::new()
    }

    fn decode(&self, f: &str, argument: &Value, result: Option<&Value>) -> Option<KeyedOp> {
        let (key, value) = pair(argument)?;
        let op = match f {
            "read" => match result {
                None => RegisterOp::Read(None),
                Some(result) => {
                    let (_, seen) = pair(result).filter(|(of, _)| *of == key)?;
                    RegisterOp::Read(Some(seen.clone()))
                }
            },
            "write" => RegisterOp::Write(value.clone()),
            "cas" => {
                let (old, new) = pair(value)?;
                RegisterOp::Cas(old.clone(), new.clone())
            }
            _ => return None,
        };
        Some(KeyedOp { key: key.clone(), op })
    }

    fn step(&self, state: &Self::State, op: &KeyedOp) -> Option<Self::State> {
        let at = state.binary_search_by(|(key, _)| key.cmp(&op.key));
        let held = at.map_or(Value::Nil, |i| state[i].1.clone());
        let now = match &op.op {
            RegisterOp::Read(seen) => {
                return seen.as_ref().is_none_or(|v| *v == held).then(|| state.clone());
            }
            RegisterOp::Write(v) => v,
            RegisterOp::Cas(old, new) => (*old == held).then_some(new)?,
        };
        let mut next = state.clone();
        match (at, now.is_nil()) {
            (Ok(i), true) => drop(next.remove(i)),
            (Ok(i), false) => next[i].1 = now.clone(),
            (Err(_), true) => {}
            (Err(i), false) => next.insert(i, (op.key.clone(), now.clone())),
        }
        Some(next)
    }

    fn is_pure(&self, op: &KeyedOp) -> bool {
        matches!(op.op, RegisterOp::Read(_))
    }

    fn bytes(&self, state: &Self::State) -> usize {
        size_of_val(state) + state.len() * size_of::<(Value, Value)>()
    }

    fn access(&self, op: &KeyedOp) -> Option<Access> {
        Some(op.op.access(op.key.clone()))
    }

    /// What nobody reads, and no `cas` builds on, is missed by nobody.
    fn is_needed(&self, op: &KeyedOp, others: &[&KeyedOp]) -> bool {
        let RegisterOp::Write(written) = &op.op else { return true };
        others.iter().any(|other| {
            other.key == op.key
                && match &other.op {
                    RegisterOp::Read(seen) => seen.as_ref().is_some_and(|v| v == written),
                    RegisterOp::Cas(old, _) => old == written,
                    RegisterOp::Write(_) => false,
                }
        })
    }

    fn arguments(&self, asked: Arguments) -> Option<Arguments> {
        Some(asked.option("model", "registers", ""))
    }
}
