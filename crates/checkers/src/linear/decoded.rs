//! The operations of a history as a model knows them.

use super::super::Verdict;
use super::super::calls::{Outcome, call};
use super::super::dense::{Dense, NONE};
use super::Model;
use fuzz_dist_history::History;
use fuzz_dist_history::hash::FastMap;
use fuzz_dist_history::op::Kind;

/// An operation that can have taken effect.
pub(super) struct Operation {
    /// Its number among the kinds of operations.
    pub(super) op: u32,
    pub(super) pure: bool,
    pub(super) invoked: usize,
    /// `None` where it may have taken effect, or not.
    pub(super) completed: Option<usize>,
}

/// All kinds of operations, and all operations but those that failed, and pure ones of unknown
/// outcome.
pub(super) struct Decoded<O> {
    pub(super) ops: Vec<O>,
    pub(super) operations: Vec<Operation>,
}

/// Decodes a history, or reports which event the model does not know.
pub(super) fn decoded<M: Model>(model: &M, history: &History) -> Result<Decoded<M::Op>, usize> {
    let mut ids: FastMap<M::Op, u32> = FastMap::default();
    let (mut ops, mut operations) = (Vec::new(), Vec::new());
    // Histories say the same again and again: each saying is decoded once.
    let mut values =
        Dense::expecting(history, (0..history.len()).map(|i| history.word(i)).collect());
    let mut known: FastMap<(u64, u64), u32> = FastMap::default();
    for i in 0..history.len() {
        if history.kind(i) != Kind::Invoke || !history.process(i).is_client() {
            continue;
        }
        let call = call(history, i);
        if call.outcome == Outcome::Failed {
            continue;
        }
        let result = call.acknowledged();
        let said = (values.event(i), result.map_or(NONE, |c| values.event(c)));
        let said = (u64::from(said.0) << 32 | u64::from(said.1), history.function_index(i) as u64);
        let op = match known.get(&said) {
            Some(op) => *op,
            None => {
                let value = result.map(|c| history.value(c));
                let op = model.decode(history.function(i), &history.value(i), value.as_ref());
                let op = op.ok_or(result.unwrap_or(i))?;
                let op = *ids.entry(op).or_insert_with_key(|op| {
                    ops.push(op.clone());
                    ops.len() as u32 - 1
                });
                known.insert(said, op);
                op
            }
        };
        let pure = model.is_pure(&ops[op as usize]);
        if !pure || result.is_some() {
            operations.push(Operation { op, pure, invoked: i, completed: result });
        }
    }
    Ok(Decoded { ops, operations })
}

/// What is said of an event that the model does not know.
pub(super) fn unknown(checker: &str, history: &History, i: usize) -> Verdict {
    let (f, value) = (history.function(i), history.value(i));
    Verdict::unknown(checker, format!("the model does not know `{f}` of {value} (event {i})"))
}
