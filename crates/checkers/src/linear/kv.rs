//! The model of one key of a key-value store with `get`, `put` and `append`, as in Porcupine's
//! key-value logs.

use std::sync::Arc;

use super::super::Arguments;
use super::Model;
use fuzz_dist_history::op::Value;

/// Text that begins empty.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyValue;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Op {
    /// It gave this text; `None` where it is not known.
    Get(Option<Arc<str>>),
    Put(Arc<str>),
    Append(Arc<str>),
}

impl Model for KeyValue {
    type State = Arc<str>;
    type Op = Op;

    fn initial(&self) -> Arc<str> {
        "".into()
    }

    fn decode(&self, f: &str, argument: &Value, result: Option<&Value>) -> Option<Op> {
        let text = |value: &Value| match value {
            Value::Text(text) => Some(text.clone()),
            Value::Nil => Some("".into()),
            _ => None,
        };
        match f {
            "get" => match result {
                None => Some(Op::Get(None)),
                Some(result) => text(result).map(|t| Op::Get(Some(t))),
            },
            "put" => text(argument).map(Op::Put),
            "append" => text(argument).map(Op::Append),
            _ => None,
        }
    }

    fn step(&self, state: &Arc<str>, op: &Op) -> Option<Arc<str>> {
        match op {
            Op::Get(seen) => seen.as_ref().is_none_or(|t| t == state).then(|| state.clone()),
            Op::Put(text) => Some(text.clone()),
            Op::Append(text) => Some(format!("{state}{text}").into()),
        }
    }

    fn is_pure(&self, op: &Op) -> bool {
        matches!(op, Op::Get(_))
    }

    fn arguments(&self, asked: Arguments) -> Option<Arguments> {
        Some(asked.option("model", "kv", ""))
    }
}
