//! Operations without a `:process`: each becomes one of a process of its own.
//!
//! A completion belongs to an invocation of the same function and argument. Where several such are
//! open, it belongs to any of them; the earliest is taken for each, since an operation that seems to
//! begin earlier than it did proves less, and nothing false. A completion without an invocation began
//! at some time before: at the beginning of the history, for all that is known.

use std::collections::HashMap;

use super::push;
use crate::op::{Event, Kind, Name, Process, Value};
use crate::{History, PROCESSES, REAL_TIME};

/// What was read of operations without processes, in their order.
#[derive(Default)]
pub(super) struct Loose {
    events: Vec<Event>,
}

/// Operations that cannot be distinguished.
#[derive(Default)]
struct Alike {
    /// The place of the earliest invocation since none was open.
    since: usize,
    /// How many are open.
    open: usize,
}

impl Loose {
    pub(super) fn push(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Adds them to the history, which must not have operations of clients.
    pub(super) fn settle(self, history: &mut History) -> Result<(), String> {
        if self.events.is_empty() {
            return Ok(());
        }
        if (0..history.len()).any(|i| history.process(i).is_client()) {
            return Err("a :process in every operation, or in none of the clients'".into());
        }
        // By the place of the event: the invocation's, none where it is not there.
        let mut begun: Vec<Option<usize>> = vec![None; self.events.len()];
        let mut alike: HashMap<(Name, Value), Alike> = HashMap::new();
        for (i, event) in self.events.iter().enumerate() {
            if event.kind == Kind::Invoke {
                let alike = alike.entry((event.f.clone(), question(&event.value))).or_default();
                if alike.open == 0 {
                    alike.since = i;
                }
                alike.open += 1;
                continue;
            }
            for asked in [question(&event.value), Value::Nil] {
                if let Some(alike) = alike.get_mut(&(event.f.clone(), asked))
                    && alike.open > 0
                {
                    alike.open -= 1;
                    begun[i] = Some(alike.since);
                    break;
                }
            }
        }
        let mut next = 0;
        let mut process = || {
            next += 1;
            Process(next - 1)
        };
        // The processes that begin at an event, and that which ends there.
        let mut begin: Vec<Vec<Process>> = vec![Vec::new(); self.events.len()];
        let mut end: Vec<Option<Process>> = vec![None; self.events.len()];
        let mut first: Vec<(Process, usize)> = Vec::new();
        for i in (0..self.events.len()).filter(|i| self.events[*i].kind != Kind::Invoke) {
            let process = process();
            end[i] = Some(process);
            match begun[i] {
                Some(invoked) => begin[invoked].push(process),
                None => first.push((process, i)),
            }
        }
        for alike in alike.values().filter(|a| a.open > 0) {
            begin[alike.since].extend((0..alike.open).map(|_| process()));
        }
        let unknown_beginnings = !first.is_empty();
        for (process, i) in first {
            let event = &self.events[i];
            let (value, error) = (question(&event.value), None);
            push(history, Event { process, kind: Kind::Invoke, value, error, ..event.clone() })?;
        }
        for (i, event) in self.events.iter().enumerate() {
            for process in &begin[i] {
                push(history, Event { process: *process, kind: Kind::Invoke, ..event.clone() })?;
            }
            if let Some(process) = end[i] {
                push(history, Event { process, ..event.clone() })?;
            }
        }
        history.set_meta(PROCESSES, false);
        if unknown_beginnings {
            history.set_meta(REAL_TIME, false);
        }
        Ok(())
    }
}

/// What was asked for, of an operation's argument or result: of transactions without what they read.
fn question(value: &Value) -> Value {
    let Value::List(ops) = value else { return value.clone() };
    let is_read = |op: &Value| {
        let f = op.as_list().filter(|op| op.len() == 3).and_then(|op| op[0].as_text());
        matches!(f, Some("r" | "read"))
    };
    if !ops.iter().any(is_read) {
        return value.clone();
    }
    let asked = ops.iter().map(|op| match op.as_list() {
        Some([f, key, _]) if is_read(op) => Value::list([f.clone(), key.clone(), Value::Nil]),
        _ => op.clone(),
    });
    Value::List(asked.collect())
}
