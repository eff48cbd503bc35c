//! Reads histories over replicated data types.
//!
//! What sessions, distinct elements and registers prove is left to the machinery for registers:
//! a *shadow* of the history has a register for each element of each set, written by its add and
//! read wherever the element shows.

use super::{Act, Crdt, CrdtCausal};
use crate::txn::core::Unjudgeable;
use crate::txn::core::intern::{FastMap, Interner};
use fuzz_dist_history::op::{Kind, Value};
use fuzz_dist_history::{History, List, View};

/// A micro-operation.
pub(super) enum Micro {
    Update { key: u32, act: Act },
    Read { key: u32, value: Value },
}

pub(super) struct Parsed {
    /// Per transaction, in the order of invocation.
    pub(super) txns: Vec<Vec<Micro>>,
    pub(super) keys: Interner,
    /// Per key.
    pub(super) kinds: Vec<Crdt>,
    pub(super) shadow: History,
}

pub(super) fn parse(checker: &CrdtCausal, history: &History) -> Result<Parsed, Unjudgeable> {
    let mut parsed = Parsed {
        txns: Vec::new(),
        keys: Interner::default(),
        kinds: Vec::new(),
        shadow: History::new(history.nodes().iter().cloned()),
    };
    let fields = map_fields(history);
    for i in 0..history.len() {
        let mut event = history.event(i);
        if event.process.is_client() && &*event.f == "txn" {
            let read = event.kind == Kind::Ok;
            let ops = parsed.micro_ops(checker, i, &event.value, read, &fields)?;
            event.value = parsed.shadow_of(&ops);
            let source = match event.kind {
                Kind::Invoke => history.completion(i).filter(|c| history.kind(*c) == Kind::Ok),
                _ => None,
            };
            if event.kind == Kind::Invoke {
                let ops = match source {
                    Some(c) => parsed.micro_ops(checker, c, &history.value(c), true, &fields)?,
                    None => ops,
                };
                parsed.txns.push(ops);
            }
        }
        // The shadow has the same events at the same places.
        let pushed = parsed.shadow.push(event);
        debug_assert!(pushed.is_ok(), "the history was well-formed");
    }
    Ok(parsed)
}

/// The fields of each map: those that updates name, `[map field]`, and those that reads show, which
/// may be more.
fn map_fields(history: &History) -> FastMap<Value, Vec<Value>> {
    let mut fields: FastMap<Value, Vec<Value>> = FastMap::default();
    let mut add = |map: View<'_>, field: View<'_>| {
        let (map, field) = (map.to_value(), field.to_value());
        let of_map = fields.entry(map).or_default();
        if !of_map.contains(&field) {
            of_map.push(field);
        }
    };
    for i in (0..history.len()).filter(|i| history.process(*i).is_client()) {
        let ops = history.view(i).and_then(View::as_list);
        for op in ops.into_iter().flat_map(List::iter) {
            match op.as_array() {
                Some([_, key, View::Map(entries)]) => {
                    entries.iter().for_each(|(field, _)| add(key, field));
                }
                Some([_, key, _]) => {
                    if let Some([map, field]) = key.as_array() {
                        add(map, field);
                    }
                }
                None => {}
            }
        }
    }
    fields
}

impl Parsed {
    fn key(&mut self, checker: &CrdtCausal, key: &Value) -> u32 {
        let id = self.keys.id(key);
        if id as usize == self.kinds.len() {
            self.kinds.push(checker.kind_of(key));
        }
        id
    }

    fn micro_ops(
        &mut self,
        checker: &CrdtCausal,
        event: usize,
        value: &Value,
        read: bool,
        fields: &FastMap<Value, Vec<Value>>,
    ) -> Result<Vec<Micro>, Unjudgeable> {
        let wrong = |value: &Value, expected| {
            Err(Unjudgeable::OtherValue { event, value: value.to_string(), expected })
        };
        let Some(ops) = value.as_list() else {
            return wrong(value, "a list of micro-operations [f key value]");
        };
        let mut micro = Vec::with_capacity(ops.len());
        for op in ops {
            let Some([f, name, value]) = op.as_list() else {
                return wrong(op, "a micro-operation [f key value]");
            };
            let f = f.as_text().unwrap_or("");
            if f == "r" {
                if !read {
                    continue;
                }
                if let Value::Map(entries) = value {
                    for field in fields.get(name).into_iter().flatten() {
                        let key = self.key(checker, &Value::list([name.clone(), field.clone()]));
                        let held = entries.iter().find(|(k, _)| k == field).map(|(_, v)| v);
                        let held = held.unwrap_or(&Value::Nil);
                        let Some(value) = normal(self.kinds[key as usize], held) else {
                            return wrong(
                                op,
                                "fields with values that their kinds of objects have",
                            );
                        };
                        micro.push(Micro::Read { key, value });
                    }
                    continue;
                }
                let key = self.key(checker, name);
                let Some(value) = normal(self.kinds[key as usize], value) else {
                    return wrong(op, "a value that this kind of object has");
                };
                micro.push(Micro::Read { key, value });
                continue;
            }
            let key = self.key(checker, name);
            let Some(act) = act(self.kinds[key as usize], f, value) else {
                return wrong(op, "an update that this kind of object has");
            };
            micro.push(Micro::Update { key, act });
        }
        Ok(micro)
    }

    /// The registers that stand for what can be distinguished.
    fn shadow_of(&self, ops: &[Micro]) -> Value {
        let mut shadow = Vec::new();
        let mut push =
            |f: &str, key: Value, value: Value| shadow.push(Value::list([f.into(), key, value]));
        for op in ops {
            let key = match op {
                Micro::Update { key, .. } | Micro::Read { key, .. } => *key,
            };
            let name = self.keys.get(key);
            let element = |e: &Value| Value::list([name.clone(), e.clone()]);
            match (self.kinds[key as usize], op) {
                (Crdt::PnCounter | Crdt::EnableWinsFlag | Crdt::DisableWinsFlag, _) => {}
                (Crdt::LwwRegister, Micro::Update { act: Act::Put(v), .. }) => {
                    push("w", name.clone(), v.clone());
                }
                (Crdt::LwwRegister, Micro::Read { value, .. }) => {
                    push("r", name.clone(), value.clone())
                }
                (_, Micro::Update { act: Act::Put(e), .. }) => push("w", element(e), e.clone()),
                (_, Micro::Update { .. }) => {}
                (_, Micro::Read { value, .. }) => {
                    let shown = value.as_list().unwrap_or_default();
                    shown.iter().for_each(|e| push("r", element(e), e.clone()));
                }
            }
        }
        Value::list(shadow)
    }
}

/// What an object is before any update.
fn bottom(kind: Crdt) -> Value {
    super::evaluate(kind, &[], |_, _| false)
}

/// The value of a read in one form, where the kind of object can have it.
fn normal(kind: Crdt, value: &Value) -> Option<Value> {
    match (kind, value) {
        (Crdt::LwwRegister, v) => Some(v.clone()),
        (_, Value::Nil) => Some(bottom(kind)),
        (Crdt::PnCounter, Value::Int(_)) => Some(value.clone()),
        (Crdt::EnableWinsFlag | Crdt::DisableWinsFlag, Value::Bool(_)) => Some(value.clone()),
        (Crdt::PnCounter | Crdt::EnableWinsFlag | Crdt::DisableWinsFlag, _) => None,
        (_, Value::Set(set)) => Some(Value::list(set.as_slice().iter().copied())),
        (_, Value::List(_)) => Some(value.clone()),
        (Crdt::MvRegister, v) => Some(Value::list([v.clone()])),
        _ => None,
    }
}

fn act(kind: Crdt, f: &str, value: &Value) -> Option<Act> {
    use Crdt::*;
    Some(match (kind, f, value) {
        (PnCounter, "increment", Value::Int(n)) => Act::Count(*n),
        (PnCounter, "decrement", Value::Int(n)) => Act::Count(n.checked_neg()?),
        (LwwRegister | MvRegister, "assign", v) if !v.is_nil() => Act::Put(v.clone()),
        (GrowSet | AddWinsSet | RemoveWinsSet, "add", e) if !e.is_nil() => Act::Put(e.clone()),
        (AddWinsSet | RemoveWinsSet, "remove", e) => Act::Take(e.clone()),
        (EnableWinsFlag | DisableWinsFlag, "enable", _) => Act::Put(Value::Nil),
        (EnableWinsFlag | DisableWinsFlag, "disable", _) => Act::Take(Value::Nil),
        _ => return None,
    })
}
