//! The values of replicated data types, as their specifications give them.

use super::Crdt;
use fuzz_dist_history::op::Value;

/// What an update does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// `add`, `assign`, `enable`; the latter without an element.
    Put(Value),
    /// `remove`, `disable`.
    Take(Value),
    /// `increment`, `decrement`.
    Count(i64),
}

/// The value of an object for visible updates in the order of arbitration; `sees(a, b)` says
/// whether update `a` knew of update `b`, by their places.
pub(crate) fn evaluate(kind: Crdt, updates: &[&Act], sees: impl Fn(usize, usize) -> bool) -> Value {
    let places = |take: bool, element: &Value| -> Vec<usize> {
        (0..updates.len())
            .filter(|i| match updates[*i] {
                Act::Put(e) => !take && e == element,
                Act::Take(e) => take && e == element,
                Act::Count(_) => false,
            })
            .collect()
    };
    let present = |element: &Value, put_wins: bool| {
        let takes = places(true, element);
        places(false, element)
            .iter()
            .any(|a| takes.iter().all(|r| if put_wins { !sees(*r, *a) } else { sees(*a, *r) }))
    };
    let elements = || {
        let mut all: Vec<Value> = updates
            .iter()
            .filter_map(|u| if let Act::Put(e) = u { Some(e.clone()) } else { None })
            .collect();
        all.sort();
        all.dedup();
        all
    };
    match kind {
        Crdt::GrowSet => Value::list(elements()),
        Crdt::AddWinsSet => Value::list(elements().into_iter().filter(|e| present(e, true))),
        Crdt::RemoveWinsSet => Value::list(elements().into_iter().filter(|e| present(e, false))),
        Crdt::EnableWinsFlag => Value::Bool(present(&Value::Nil, true)),
        Crdt::DisableWinsFlag => Value::Bool(present(&Value::Nil, false)),
        Crdt::PnCounter => {
            Value::Int(updates.iter().map(|u| if let Act::Count(n) = u { *n } else { 0 }).sum())
        }
        Crdt::LwwRegister => match updates.last() {
            Some(Act::Put(v)) => v.clone(),
            _ => Value::Nil,
        },
        Crdt::MvRegister => {
            let top = |i: &usize| !(0..updates.len()).any(|j| sees(j, *i));
            let mut values: Vec<Value> = (0..updates.len())
                .filter(top)
                .filter_map(|i| if let Act::Put(v) = updates[i] { Some(v.clone()) } else { None })
                .collect();
            values.sort();
            Value::list(values)
        }
    }
}
