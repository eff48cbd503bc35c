//! Operations with both of their ends.

use fuzz_dist_history::History;
use fuzz_dist_history::op::{Kind, Process, Value};

/// What is known about an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It happened.
    Acknowledged,
    /// It certainly did not happen.
    Failed,
    /// Indeterminate (`info`).
    Open,
}

/// An operation: its invocation and its completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) invoked: usize,
    pub(crate) completed: Option<usize>,
    pub(crate) outcome: Outcome,
    pub(crate) process: Process,
}

impl Call {
    /// The completion of an operation that happened.
    pub(crate) fn acknowledged(&self) -> Option<usize> {
        self.completed.filter(|_| self.outcome == Outcome::Acknowledged)
    }

    /// The event by which it has certainly taken effect, or never will: that of its completion
    /// where its outcome is known, and the end of time otherwise.
    pub(crate) fn end(&self) -> usize {
        match self.outcome {
            Outcome::Open => usize::MAX,
            _ => self.completed.unwrap_or(usize::MAX),
        }
    }
}

/// The operation that was invoked at event `i`.
#[inline]
pub(crate) fn call(history: &History, i: usize) -> Call {
    of(history, i, history.completion(i), history.process(i))
}

#[inline]
fn of(history: &History, invoked: usize, completed: Option<usize>, process: Process) -> Call {
    let outcome = match completed.map(|c| history.kind(c)) {
        Some(Kind::Ok) => Outcome::Acknowledged,
        Some(Kind::Fail) => Outcome::Failed,
        _ => Outcome::Open,
    };
    Call { invoked, completed, outcome, process }
}

/// The events at which clients invoked one of each of these groups of functions, ascending.
pub(crate) fn invoked<const N: usize>(history: &History, groups: [&[&str]; N]) -> [Vec<u32>; N] {
    let group = |f: &str| groups.iter().position(|functions| functions.contains(&f));
    let of_function: Vec<Option<usize>> = history.functions().iter().map(|f| group(f)).collect();
    let mut events = [const { Vec::new() }; N];
    for i in history.invocations() {
        if let Some(group) = of_function[i.function] {
            events[group].push(i.event as u32);
        }
    }
    events
}

/// The clients' operations with one of these functions, in the order of their invocation.
#[inline]
pub(crate) fn calls<'a>(
    history: &'a History,
    functions: &[&str],
) -> impl Iterator<Item = Call> + 'a {
    let wanted: Vec<bool> = history.functions().iter().map(|f| functions.contains(&&**f)).collect();
    let invocations = history.invocations().filter(move |i| wanted[i.function]);
    invocations.map(|i| of(history, i.event, i.completion, i.process))
}

/// Functions whose effect is limited to the elements that their argument names.
const ELEMENTWISE: [&str; 8] =
    ["add", "remove", "append", "insert", "delete", "enqueue", "write", "w"];

/// Updates of unknown outcome. Such an update may take effect at any later time, also between two
/// final reads, so that reads which differ by it prove nothing.
pub(crate) struct OpenUpdates {
    /// The arguments of those that touch only what they name.
    named: Vec<Value>,
    /// How many of the others there are, which may touch anything.
    unnamed: usize,
}

impl OpenUpdates {
    /// All that are not calls of the function `read`.
    pub(crate) fn of(history: &History, read: &str) -> OpenUpdates {
        let mut updates = OpenUpdates { named: Vec::new(), unnamed: 0 };
        for i in history.invocations() {
            let f = history.function(i.event);
            let call = of(history, i.event, i.completion, i.process);
            if call.outcome != Outcome::Open || &**f == read {
                continue;
            }
            match history.value(i.event) {
                Value::Nil => updates.unnamed += 1,
                value if ELEMENTWISE.contains(&&**f) => updates.named.push(value),
                _ => updates.unnamed += 1,
            }
        }
        updates
    }

    pub(crate) fn count(&self) -> usize {
        self.named.len() + self.unnamed
    }

    /// May one of them have added or removed this element?
    pub(crate) fn may_touch(&self, element: &Value) -> bool {
        self.unnamed > 0 || self.named.iter().any(|value| names(value, element))
    }
}

/// Is it this element, or does it hold it?
fn names(value: &Value, element: &Value) -> bool {
    value == element
        || match value {
            Value::List(items) => items.iter().any(|item| names(item, element)),
            Value::Set(items) => element.as_int().is_some_and(|n| items.as_slice().contains(&n)),
            Value::Map(entries) => {
                entries.iter().any(|(k, v)| names(k, element) || names(v, element))
            }
            _ => false,
        }
}
