//! The operations of Jepsen's kafka workload as those of one log for each key.
//!
//! Operations `send`, `poll` and `txn` have lists of micro-operations: `[:send k v]`, which gives
//! `[:send k [offset v]]`, and `[:poll]`, which gives `[:poll {k [[offset v] …]}]`. `assign` and
//! `subscribe` choose keys, `crash` ends a client. What one operation did to one key becomes an
//! operation of its own, whose value is a pair of the key and what the log's own notation has.

use std::collections::HashMap;

use fuzz_dist_history::op::{Event, Kind, Process, Value};
use fuzz_dist_history::{History, View};

/// Functions that only this notation has.
const OWN: [&str; 5] = ["txn", "assign", "subscribe", "crash", "debug-topic-partitions"];

/// Is the history one of the kafka workload?
pub(super) fn is_kafka(history: &History) -> bool {
    let own = history.functions().iter().any(|f| OWN.contains(&&**f));
    let log = |i: &usize| {
        history.process(*i).is_client() && matches!(&**history.function(*i), "send" | "poll")
    };
    let first = || (0..history.len()).find(log);
    own || first().is_some_and(|i| history.view(i).is_some_and(is_micro_operations))
}

fn is_micro_operations(value: View<'_>) -> bool {
    let is_one = |op: View<'_>| {
        let f = op.as_list().and_then(|op| op.iter().next());
        matches!(f.and_then(View::as_text), Some("send" | "poll"))
    };
    value.as_list().is_some_and(|ops| !ops.is_empty() && ops.iter().all(is_one))
}

/// A history in the log's own notation.
pub(super) struct Translated {
    /// Values are pairs of a key and what the log knows.
    pub(super) history: History,
    /// Where its events stand in the original.
    pub(super) events: Vec<usize>,
    /// The process behind each of its processes: a consumer that was assigned anew is another
    /// one, since its position may be any.
    pub(super) processes: Vec<Process>,
}

/// Translates a history, or says which event cannot be understood.
pub(super) fn translated(history: &History) -> Result<Translated, usize> {
    let mut translator = Translator {
        keys: keys(history)?,
        consumers: HashMap::new(),
        open: HashMap::new(),
        made: Translated {
            history: History::new(history.nodes().iter().cloned()),
            events: Vec::new(),
            processes: Vec::new(),
        },
    };
    for (name, fact) in history.all_meta() {
        translator.made.history.set_meta(name.clone(), fact.clone());
    }
    for i in 0..history.len() {
        let process = history.process(i);
        match (&**history.function(i), history.kind(i)) {
            _ if !process.is_client() => translator.push(i, history.event(i)),
            ("send" | "poll" | "txn", Kind::Invoke) => translator.invoke(history, i)?,
            ("send" | "poll" | "txn", kind) => translator.complete(history, i, kind),
            ("assign", Kind::Ok | Kind::Info) => {
                // Keys of which nothing is said have no log.
                let known = |key: &Value| translator.keys.contains(key);
                let keys = list(&history.value(i))
                    .map(|keys| keys.iter().map(key).filter(known).collect());
                translator.consumers.insert(process, Consumer::assigned(keys));
            }
            ("subscribe", Kind::Ok | Kind::Info) => {
                translator
                    .consumers
                    .insert(process, Consumer { subscribed: true, ..Consumer::default() });
            }
            ("crash", Kind::Ok | Kind::Info) => drop(translator.consumers.remove(&process)),
            (f, _) if OWN.contains(&f) => {}
            _ => return Err(i),
        }
    }
    Ok(translator.made)
}

/// A process as a consumer.
#[derive(Default)]
struct Consumer {
    /// Its partitions may move to another consumer between any two of its polls.
    subscribed: bool,
    /// The keys that were assigned to it, where that is known.
    keys: Option<Vec<Value>>,
    /// For each key, its number among the processes of the translation.
    numbers: HashMap<Value, u32>,
}

impl Consumer {
    fn assigned(keys: Option<Vec<Value>>) -> Consumer {
        Consumer { keys, ..Consumer::default() }
    }
}

/// What an operation does to a key.
struct Part {
    process: Process,
    f: &'static str,
    key: Value,
    result: Value,
}

struct Translator {
    /// All keys of the history.
    keys: Vec<Value>,
    consumers: HashMap<Process, Consumer>,
    /// The parts of the operations that have not completed.
    open: HashMap<Process, Vec<Part>>,
    made: Translated,
}

impl Translator {
    fn push(&mut self, i: usize, event: Event) {
        let pushed = self.made.history.push(event);
        debug_assert!(pushed.is_ok(), "each part has a process of its own");
        self.made.events.push(i);
    }

    fn new_process(&mut self, behind: Process) -> Process {
        self.made.processes.push(behind);
        Process(self.made.processes.len() as u32 - 1)
    }

    /// The process that polls `key` for `behind`.
    fn consumer(&mut self, behind: Process, key: &Value) -> Process {
        let consumer = self.consumers.entry(behind).or_default();
        let new = self.made.processes.len() as u32;
        if consumer.subscribed {
            return self.new_process(behind);
        }
        let number = *consumer.numbers.entry(key.clone()).or_insert(new);
        if number == new {
            self.made.processes.push(behind);
        }
        Process(number)
    }

    fn invoke(&mut self, history: &History, i: usize) -> Result<(), usize> {
        let process = history.process(i);
        let argument = history.value(i);
        let asked = list(&argument).ok_or(i)?;
        let done = history.completion(i).filter(|c| history.kind(*c) == Kind::Ok);
        let answer = done.map(|c| (c, history.value(c)));
        let answers = match &answer {
            None => None,
            Some((c, value)) => {
                Some((*c, list(value).filter(|a| a.len() == asked.len()).ok_or(*c)?))
            }
        };
        let failed = history.completion(i).is_some_and(|c| history.kind(c) == Kind::Fail);
        let mut parts: Vec<(Part, Value)> = Vec::new();
        // What an assigned consumer polls in one operation is one sequence for each key.
        let mut polled: Vec<(Value, Vec<Value>)> = Vec::new();
        let mut polls = false;
        for (n, op) in asked.iter().enumerate() {
            let answered = answers.map(|(c, all)| (c, &all[n]));
            match list(op).ok_or(i)? {
                [f, k, v] if f.as_text() == Some("send") => {
                    let result = match answered {
                        Some((c, op)) => offset(op, v).ok_or(c)?,
                        None => Value::Nil,
                    };
                    let process = self.new_process(process);
                    let part = Part { process, f: "send", key: key(k), result };
                    parts.push((part, v.clone()));
                }
                [f, ..] if f.as_text() == Some("poll") => {
                    polls = true;
                    let Some((c, op)) = answered else { continue };
                    polled.extend(records(op).ok_or(c)?);
                    if self.consumers.get(&process).is_some_and(|c| c.subscribed) {
                        self.polled(process, &mut polled, &mut parts);
                    }
                }
                _ => return Err(i),
            }
        }
        self.polled(process, &mut polled, &mut parts);
        if polls && answers.is_none() && !failed {
            // It may have taken records of every key that it could poll.
            let keys = self.consumers.get(&process).and_then(|c| c.keys.clone());
            for key in keys.unwrap_or_else(|| self.keys.clone()) {
                let process = self.consumer(process, &key);
                parts.push((Part { process, f: "poll", key, result: Value::Nil }, Value::Nil));
            }
        }
        let mut open: Vec<Part> = Vec::new();
        for (part, argument) in parts {
            let value = Value::list([part.key.clone(), argument]);
            let event = part.event(history, i, Kind::Invoke, value);
            self.push(i, event);
            open.push(part);
        }
        self.open.insert(process, open);
        Ok(())
    }

    /// Makes the polls of an operation of what was polled so far.
    fn polled(
        &mut self,
        process: Process,
        polled: &mut Vec<(Value, Vec<Value>)>,
        parts: &mut Vec<(Part, Value)>,
    ) {
        let mut of_key: Vec<(Value, Vec<Value>)> = Vec::new();
        for (key, records) in polled.drain(..) {
            match of_key.iter_mut().find(|(k, _)| *k == key) {
                Some((_, all)) => all.extend(records),
                None => of_key.push((key, records)),
            }
        }
        for (key, records) in of_key {
            let (process, result) = (self.consumer(process, &key), Value::List(records.into()));
            parts.push((Part { process, f: "poll", key, result }, Value::Nil));
        }
    }

    fn complete(&mut self, history: &History, i: usize, kind: Kind) {
        for part in self.open.remove(&history.process(i)).unwrap_or_default() {
            let value = Value::list([part.key.clone(), part.result.clone()]);
            let event = part.event(history, i, kind, value);
            self.push(i, event);
        }
    }
}

impl Part {
    fn event(&self, history: &History, i: usize, kind: Kind, value: Value) -> Event {
        Event { process: self.process, kind, f: self.f.into(), value, ..history.event(i) }
    }
}

fn list(value: &Value) -> Option<&[Value]> {
    value.as_list()
}

/// In JSON, keys of maps are text.
fn key(value: &Value) -> Value {
    let number = value.as_text().and_then(|text| text.parse::<i64>().ok());
    number.map_or_else(|| value.clone(), Value::Int)
}

/// The offset that a send of `sent` was given, nil where it is unknown.
fn offset(op: &Value, sent: &Value) -> Option<Value> {
    match list(op)? {
        [f, _, answer] if f.as_text() == Some("send") => match answer.as_list() {
            _ if answer == sent => Some(Value::Nil),
            Some([Value::Int(offset), v]) if v == sent => {
                Some(if *offset < 0 { Value::Nil } else { Value::Int(*offset) })
            }
            Some([Value::Nil, v]) if v == sent => Some(Value::Nil),
            _ => None,
        },
        _ => None,
    }
}

/// The records that a poll gave, by key.
fn records(op: &Value) -> Option<Vec<(Value, Vec<Value>)>> {
    match list(op)? {
        [f] | [f, Value::Nil] if f.as_text() == Some("poll") => Some(Vec::new()),
        [f, Value::Map(all)] if f.as_text() == Some("poll") => {
            let of_key = |(k, records): &(Value, Value)| {
                let records = records.as_list()?;
                let is_record = |r: &Value| matches!(r.as_list(), Some([Value::Int(_), _]));
                records.iter().all(is_record).then(|| (key(k), records.to_vec()))
            };
            all.iter().map(of_key).collect()
        }
        _ => None,
    }
}

/// All keys that operations name.
fn keys(history: &History) -> Result<Vec<Value>, usize> {
    let mut all: Vec<Value> = Vec::new();
    let mut known = std::collections::HashSet::new();
    let mut add = |k: Value| {
        if known.insert(k.clone()) {
            all.push(k);
        }
    };
    let is_log = |i: &usize| matches!(&**history.function(*i), "send" | "poll" | "txn");
    let ends = |i: &usize| matches!(history.kind(*i), Kind::Invoke | Kind::Ok);
    for i in
        (0..history.len()).filter(|i| history.process(*i).is_client()).filter(is_log).filter(ends)
    {
        for op in list(&history.value(i)).ok_or(i)? {
            match list(op).ok_or(i)? {
                [f, k, _] if f.as_text() == Some("send") => add(key(k)),
                [_, Value::Map(polled)] => polled.iter().for_each(|(k, _)| add(key(k))),
                _ => {}
            }
        }
    }
    Ok(all)
}
