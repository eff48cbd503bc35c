//! Are the values of each function of one type? Where an element is now a number and now text,
//! what was written and what was read cannot be decided to be the same, or different.

use std::ops::Range;

use fuzz_dist_history::hash::FastMap;
use fuzz_dist_history::op::Kind;
use fuzz_dist_history::{History, List, View, Word, in_parts};

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

/// What was seen of one type first, and at which event.
type First = Option<(Type, usize)>;

/// A type, another one that was seen before, and where.
type Clash = (Type, Type, usize);

/// The types of the values of each role: a function's arguments, its results, and the same of each
/// micro-operation of its transactions.
struct Seen {
    /// Per function those of its arguments and of its results, then those of micro-operations.
    roles: Vec<First>,
    /// The roles of micro-operations: by that of the transaction, and the function.
    micro: FastMap<(usize, Word), usize>,
    /// Those that were looked for last.
    recent: [Option<(usize, Word, usize)>; RECENT],
}

const RECENT: usize = 8;

/// Fewer events are not worth a thread.
const PART_MIN: usize = 1 << 15;

/// Says where values of a function are of several types; nil is of every type, and keys (of
/// pairs, of micro-operations) may be of any.
pub fn mixed(history: &History) -> Option<String> {
    let parts = in_parts(history.len(), PART_MIN, |part| walk(history, part));
    mixed_in(history, parts)
}

/// The same, given what was seen in each part of the history.
fn mixed_in(history: &History, parts: Vec<Result<Seen, (Clash, usize)>>) -> Option<String> {
    let mut parts = parts.into_iter();
    let mut all = parts.next()?;
    for part in parts {
        let agree = match (&mut all, &part) {
            (Ok(all), Ok(part)) => all.agrees(part),
            _ => false,
        };
        if !agree {
            // Only a walk through all of it says which event is the first one.
            all = walk(history, 0..history.len());
            break;
        }
    }
    let ((now, then, event), i) = all.err()?;
    Some(format!(
        "`{}` has values of several types: {} at event {event}, {} at event {i}",
        history.function(i),
        then.name(),
        now.name()
    ))
}

/// The types of these events, or the first clash and its event.
fn walk(history: &History, events: Range<usize>) -> Result<Seen, (Clash, usize)> {
    let roles = vec![None; 2 * history.functions().len()];
    let mut seen = Seen { roles, micro: FastMap::default(), recent: [None; RECENT] };
    let is = |f: &str| history.find_function(f);
    let (txn, long_fork) = (is("txn"), [is("read"), is("write")]);
    let micro = ["r", "w", "read", "write"].map(|f| history.find_text(f));
    let log = ["send", "poll"].map(|f| history.find_text(f));
    for i in events {
        if !history.process(i).is_client() {
            continue;
        }
        let (f, ok) = match history.kind(i) {
            Kind::Invoke => (history.function_index(i), false),
            Kind::Ok => (history.function_index(i), true),
            _ => continue,
        };
        let role = 2 * f + usize::from(ok);
        let clash = match history.view(i) {
            Some(View::List(items)) => {
                let is_log = |i| {
                    let op = items.view(items.word(i)).as_list().filter(|op| !op.is_empty());
                    op.is_some_and(|op| log.contains(&Some(op.word(0))))
                };
                // Jepsen's long fork and multi-register call their transactions `read` and `write`.
                let is_micro = |i| {
                    let parts: Option<[Word; 3]> = items.triple(i);
                    parts.is_some_and(|[f, ..]| micro.contains(&Some(f)))
                };
                let fork = long_fork.contains(&Some(f)) && !items.is_empty();
                // Jepsen's kafka workload has lists of these whatever the function is.
                if let Some(send) = log[0].or(log[1])
                    && !items.is_empty()
                    && (0..items.len()).all(is_log)
                {
                    seen.log(role, send, items, i)
                } else if txn == Some(f) || fork && (0..items.len()).all(is_micro) {
                    seen.transaction(role, items, i)
                } else {
                    seen.operation(role, items, i)
                }
            }
            Some(value) => seen.value(role, value, i),
            None if history.set_size(i).is_some_and(|size| size > 0) => {
                seen.add(role, Type::Number, i)
            }
            None => None,
        };
        if let Some(clash) = clash {
            return Err((clash, i));
        }
    }
    Ok(seen)
}

impl Seen {
    /// Takes over what a later part saw, unless it is of another type.
    fn agrees(&mut self, later: &Seen) -> bool {
        let functions = later.roles.len() - later.micro.len();
        let plain = (0..functions).map(|role| (role, later.roles[role]));
        let of_micro: Vec<(usize, First)> = later
            .micro
            .iter()
            .map(|((role, f), place)| (self.micro_role(*role, *f), later.roles[*place]))
            .collect();
        plain.chain(of_micro).all(|(role, later)| match (self.roles[role], later) {
            (Some((a, _)), Some((b, _))) => a == b,
            (None, later) => {
                self.roles[role] = later;
                true
            }
            (_, None) => true,
        })
    }

    /// The role of a micro-operation whose function is this text.
    fn micro_role(&mut self, role: usize, f: Word) -> usize {
        let roles = &mut self.roles;
        *self.micro.entry((role, f)).or_insert_with(|| {
            roles.push(None);
            roles.len() - 1
        })
    }

    #[inline]
    fn add(&mut self, role: usize, now: Type, i: usize) -> Option<Clash> {
        let (then, event) = *self.roles[role].get_or_insert((now, i));
        (then != now).then_some((now, then, event))
    }

    fn transaction(&mut self, role: usize, items: List<'_>, i: usize) -> Option<Clash> {
        items.find_triple(|[f, _, value]| {
            let place = (f.bits() >> 4) as usize % RECENT;
            let role = match self.recent[place] {
                Some((r, known, found)) if (r, known) == (role, f) => found,
                _ => {
                    let found = match items.view(f) {
                        View::Text(_) => self.micro_role(role, f),
                        _ => role,
                    };
                    self.recent[place] = Some((role, f, found));
                    found
                }
            };
            self.word(role, items, value, i)
        })
    }

    /// The values of `[:send k v]`, `[:send k [offset v]]` and `[:poll {k [[offset v] …]}]`.
    fn log(&mut self, role: usize, send: Word, items: List<'_>, i: usize) -> Option<Clash> {
        let role = self.micro_role(role, send);
        (0..items.len()).find_map(|op| {
            if let Some([_, _, value]) = items.triple(op) {
                let pair = items.view(value).as_list().filter(|pair| pair.len() == 2);
                return self.word(role, items, pair.map_or(value, |pair| pair.word(1)), i);
            }
            let [_, polled] = items.view(items.word(op)).as_list()?.word_array()?;
            let View::Map(keys) = items.view(polled) else { return None };
            keys.iter().find_map(|(_, records)| self.value(role, records, i))
        })
    }

    /// What is no transaction: of a key and a value, or of anything.
    fn operation(&mut self, role: usize, items: List<'_>, i: usize) -> Option<Clash> {
        match items.word_array() {
            Some([key, value]) if items.view(key).as_list().is_none() => {
                self.word(role, items, value, i)
            }
            _ => self.list(role, items, i),
        }
    }

    #[inline]
    fn word(&mut self, role: usize, items: List<'_>, word: Word, i: usize) -> Option<Clash> {
        match word.as_small() {
            Some(_) => self.add(role, Type::Number, i),
            None => self.value(role, items.view(word), i),
        }
    }

    /// A value, or what is in it.
    fn value(&mut self, role: usize, value: View<'_>, i: usize) -> Option<Clash> {
        let now = match value {
            View::Nil => return None,
            View::Bool(_) => Type::Truth,
            View::Int(_) => Type::Number,
            View::Text(_) => Type::Text,
            View::Map(_) => Type::Map,
            View::Set([]) => return None,
            View::Set(_) => Type::Number,
            View::List(items) => return self.list(role, items, i),
        };
        self.add(role, now, i)
    }

    /// The items of a list; of pairs the second part.
    fn list(&mut self, role: usize, items: List<'_>, i: usize) -> Option<Clash> {
        if items.is_empty() {
            return None;
        }
        if items.is_numbers() {
            return self.add(role, Type::Number, i);
        }
        items.words().find_map(|word| match items.view(word) {
            View::List(pair) if pair.len() == 2 => self.word(role, pair, pair.word(1), i),
            item => self.value(role, item, i),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::histories::Recorder;
    use super::*;
    use fuzz_dist_history::op::Value;
    use fuzz_dist_random::{Seed, Stream};

    fn says(ops: &[(&str, Value)]) -> Option<String> {
        let mut r = Recorder::new(["n1"]);
        for (f, value) in ops {
            r.invoke(0, f, value.clone());
            r.done(0);
        }
        mixed(&r.history())
    }

    #[test]
    fn numbers_and_texts_of_one_function_are_reported() {
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
    fn parts_of_a_history_say_what_all_of_it_says() {
        for seed in 0..1_500 {
            let mut s = Seed(seed).stream("parts");
            let mut r = Recorder::new(["n1"]);
            let value = |s: &mut Stream| match s.index(12) {
                0 => Value::from("a"),
                1 => Value::Nil,
                2 => Value::list([1, 2]),
                _ => Value::Int(1),
            };
            for _ in 0..s.index(12) {
                let f = ["txn", "read", "add"][s.index(3)];
                let ops = (0..s.index(3)).map(|_| {
                    let f = ["r", "w", "append"][s.index(3)];
                    Value::list([Value::from(f), Value::Int(7), value(&mut s)])
                });
                let ops: Vec<Value> = ops.collect();
                let value = if f == "add" { value(&mut s) } else { Value::list(ops) };
                r.invoke(0, f, value);
                r.done(0);
            }
            let history = r.history();
            let whole = vec![walk(&history, 0..history.len())];
            let expected = mixed_in(&history, whole);
            for cut in 0..=history.len() {
                let parts = [0..cut, cut..history.len()].map(|part| walk(&history, part));
                assert_eq!(mixed_in(&history, parts.into()), expected, "seed {seed}, cut {cut}");
            }
        }
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
