//! Are the values of each function of one type? Where an element is now a number and now text,
//! what was written and what was read cannot be told to be the same, or different.

use std::collections::HashMap;

use crate::history::{History, View};
use crate::op::{Kind, Name};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Truth,
    Number,
    Text,
    Map,
}

impl Type {
    const fn name(self) -> &'static str {
        match self {
            Type::Truth => "a truth value",
            Type::Number => "a number",
            Type::Text => "text",
            Type::Map => "a map",
        }
    }
}

/// Whose values are compared: a function, its arguments or its results, and the name of the
/// micro-operation where it is a transaction.
type Role<'a> = (usize, bool, Option<&'a str>);

struct Seen<'a> {
    /// Per function, for arguments and for results.
    of_function: Vec<[Option<(Type, usize)>; 2]>,
    of_micro: HashMap<Role<'a>, (Type, usize)>,
}

/// Says where values of a function are of several types; nil is of every type, and keys (of
/// pairs, of micro-operations) may be of any.
pub(crate) fn mixed(history: &History) -> Option<String> {
    let of_function = vec![[None; 2]; history.functions().len()];
    let mut seen = Seen { of_function, of_micro: HashMap::new() };
    let clients = (0..history.len()).filter(|i| history.process(*i).is_client());
    for i in clients.filter(|i| matches!(history.kind(*i), Kind::Invoke | Kind::Ok)) {
        let role = (history.function_index(i), history.kind(i) == Kind::Ok, None);
        let clash = match history.view(i) {
            Some(value) => seen.value(role, history.function(i), value, i),
            None if history.set_read(i).is_some_and(|s| s.len > 0) => {
                seen.add(role, Type::Number, i)
            }
            None => None,
        };
        if let Some((now, then, event)) = clash {
            return Some(format!(
                "`{}` has values of several types: {} at event {event}, {} at event {i}",
                history.function(i),
                then.name(),
                now.name()
            ));
        }
    }
    None
}

type Clash = (Type, Type, usize);

impl<'a> Seen<'a> {
    fn add(&mut self, role: Role<'a>, now: Type, i: usize) -> Option<Clash> {
        let (then, event) = match role.2 {
            None => *self.of_function[role.0][usize::from(role.1)].get_or_insert((now, i)),
            Some(_) => *self.of_micro.entry(role).or_insert((now, i)),
        };
        (then != now).then_some((now, then, event))
    }

    /// The value of an operation.
    fn value(&mut self, role: Role<'a>, f: &Name, value: View<'a>, i: usize) -> Option<Clash> {
        let View::List(items) = value else { return self.elements(role, value, i) };
        let is_log = |op: View<'_>| {
            let f = op.as_list().and_then(|op| op.iter().next());
            matches!(f.and_then(View::as_text), Some("send" | "poll"))
        };
        // Jepsen's kafka workload has lists of these whatever the function is.
        if !items.is_empty() && items.iter().all(is_log) {
            return items.iter().find_map(|op| self.of_log(role, op, i));
        }
        // Jepsen's long fork and multi-register call their transactions `read` and `write`.
        let is_micro = |op: View<'_>| {
            op.as_array::<3>()
                .is_some_and(|[f, ..]| matches!(f.as_text(), Some("r" | "w" | "read" | "write")))
        };
        let long_fork = matches!(&**f, "read" | "write") && !items.is_empty();
        if &**f == "txn" || long_fork && items.iter().all(is_micro) {
            return items.iter().find_map(|op| {
                let [f, _, value] = op.as_array()?;
                self.elements((role.0, role.1, f.as_text()), value, i)
            });
        }
        match value.as_array() {
            // A key and a value.
            Some([key, value]) if key.as_list().is_none() => self.elements(role, value, i),
            _ => self.elements(role, value, i),
        }
    }

    /// The values of `[:send k v]`, `[:send k [offset v]]` and `[:poll {k [[offset v] …]}]`.
    fn of_log(&mut self, role: Role<'a>, op: View<'a>, i: usize) -> Option<Clash> {
        let role = (role.0, role.1, Some("send"));
        if let Some([_, _, value]) = op.as_array() {
            let value = value.as_array().map_or(value, |[_, value]| value);
            return self.elements(role, value, i);
        }
        let [_, polled] = op.as_array()?;
        let View::Map(keys) = polled else { return None };
        keys.iter().find_map(|(_, records)| self.elements(role, records, i))
    }

    /// A value, or what is in it; of pairs the second part.
    fn elements(&mut self, role: Role<'a>, value: View<'a>, i: usize) -> Option<Clash> {
        let now = match value {
            View::Nil => return None,
            View::Bool(_) => Type::Truth,
            View::Int(_) => Type::Number,
            View::Text(_) => Type::Text,
            View::Map(_) => Type::Map,
            View::Set([]) => return None,
            View::Set(_) => Type::Number,
            View::List(items) => {
                return items.iter().find_map(|item| match item.as_array() {
                    Some([_, second]) => self.elements(role, second, i),
                    None => self.elements(role, item, i),
                });
            }
        };
        self.add(role, now, i)
    }
}

#[cfg(test)]
mod tests {
    use super::super::histories::Recorder;
    use super::*;
    use crate::op::Value;

    fn says(ops: &[(&str, Value)]) -> Option<String> {
        let mut r = Recorder::new(["n1"]);
        for (f, value) in ops {
            r.invoke(0, f, value.clone());
            r.done(0);
        }
        mixed(&r.history())
    }

    #[test]
    fn numbers_and_texts_of_one_function_are_told() {
        let said = says(&[("add", 1.into()), ("read", "a".into()), ("add", "b".into())]);
        assert_eq!(
            said.as_deref(),
            Some("`add` has values of several types: a number at event 0, text at event 4")
        );
        assert!(says(&[("add", 1.into()), ("add", Value::Nil), ("read", "a".into())]).is_none());
        assert!(says(&[("add", 1.into()), ("add", true.into())]).is_some());
        assert!(says(&[("read", Value::set([1])), ("read", Value::list(["a"]))]).is_some());
        let mixed = Value::list([Value::from("a"), 1.into(), 2.into()]);
        assert!(says(&[("read", mixed)]).is_some());
    }

    #[test]
    fn keys_may_be_of_any_type() {
        let pair = |k: Value, v: Value| Value::list([k, v]);
        assert!(
            says(&[("w", pair("x".into(), 1.into())), ("w", pair(7.into(), 2.into()))]).is_none()
        );
        assert!(
            says(&[("w", pair("x".into(), 1.into())), ("w", pair("x".into(), "a".into()))])
                .is_some()
        );
        let poll = |v: Value| Value::list([pair(0.into(), 5.into()), pair(1.into(), v)]);
        assert!(says(&[("poll", poll(6.into()))]).is_none());
        assert!(says(&[("poll", poll("a".into()))]).is_some());
        let op = |f: &str, v: Value| Value::list([Value::list([Value::from(f), "x".into(), v])]);
        assert!(says(&[("txn", op("w", 1.into())), ("txn", op("r", Value::list([1])))]).is_none());
        assert!(says(&[("txn", op("w", 1.into())), ("txn", op("w", "a".into()))]).is_some());
    }
}
