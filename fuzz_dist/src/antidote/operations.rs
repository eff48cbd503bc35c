//! The operations of workloads as transactions of AntidoteDB.
//!
//! | workload | objects | add, write | read |
//! |---|---|---|---|
//! | `g_set`, `or_set` | one add-wins set | static update | static read |
//! | `g_set_spread` | 8 add-wins sets, by element | static update | one static read of all |
//! | `pn_counter` | one counter | static update | static read |
//! | `pn_counter_spread` | a counter for each node | static update of the own one | one static read of all, summed |
//! | `lww_register`, `mv_register` | one register | static update | static read |
//! | `transactions` | 8 add-wins sets, by mark | interactive, committed or aborted | one static read of all |
//!
//! All elements and values are whole numbers, written in decimal digits.

use std::time::Duration;

use super::db::client_of;
use super::{Client as Connection, DataType, Error, Object, Update, Value as Stored};
use crate::client::{
    Client, DISCONNECTED, DynClient, Error as ClientError, TIMEOUT, bad_argument, unsupported,
};
use crate::env::Role;
use crate::node::Node;
use crate::op::{Completion, Invocation, OpError, Value};

/// The workloads that have a client here.
pub(super) const WORKLOADS: [&str; 8] = [
    "g_set",
    "g_set_spread",
    "or_set",
    "pn_counter",
    "pn_counter_spread",
    "lww_register",
    "mv_register",
    "transactions",
];

/// How many keys the workloads have whose elements are spread.
const KEYS: usize = 8;
const BUCKET: &str = "fuzz_dist";
/// The run's own limit for operations comes first; this one is for those who have none.
const TIMEOUT_LIMIT: Duration = Duration::from_secs(120);
/// What stands for an element that is no number: nobody writes it, so that checkers report it.
const NO_NUMBER: i64 = i64::MIN;

/// The client of a workload, where there is one of that name.
pub(super) fn client(workload: &str, node: &Node, causal: bool) -> Option<Box<dyn DynClient>> {
    let hosts = node.env().hosts();
    let nodes = hosts.iter().filter(|(_, spec)| spec.role == Role::Node).count();
    let work = Work::of(workload, node.id().index(), nodes)?;
    let connection = client_of(node).timeout(TIMEOUT_LIMIT).causal(causal);
    Some(Box::new(Session { connection, work }))
}

/// A session over a connection of one's own, as if there was one node.
#[cfg(test)]
pub(super) fn over(connection: Connection, workload: &str) -> Option<impl Client + use<>> {
    Some(Session { connection, work: Work::of(workload, 0, 1)? })
}

/// What a workload works on, and how.
#[derive(Clone, Debug, PartialEq)]
struct Work {
    kind: Kind,
    objects: Vec<Object>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Elements, spread over the objects.
    Set,
    /// Counters that are read as their sum, and the one to increment.
    Counter(usize),
    Register,
    /// Marks, spread over the objects, each transaction's together.
    Transactions,
}

impl Kind {
    fn functions(self) -> &'static [&'static str] {
        match self {
            Kind::Set => &["add", "remove", "read"],
            Kind::Counter(_) => &["add", "read"],
            Kind::Register => &["write", "read"],
            Kind::Transactions => &["write", "abort", "read"],
        }
    }
}

impl Work {
    fn of(workload: &str, node: usize, nodes: usize) -> Option<Work> {
        let objects = |data_type, count: usize| -> Vec<Object> {
            let key = |i| format!("{workload}/{i}");
            (0..count).map(|i| Object::new(data_type, BUCKET, key(i))).collect()
        };
        let (kind, objects) = match workload {
            "g_set" | "or_set" => (Kind::Set, objects(DataType::OrSet, 1)),
            "g_set_spread" => (Kind::Set, objects(DataType::OrSet, KEYS)),
            "pn_counter" => (Kind::Counter(0), objects(DataType::Counter, 1)),
            "pn_counter_spread" => (Kind::Counter(node), objects(DataType::Counter, nodes)),
            "lww_register" => (Kind::Register, objects(DataType::LwwRegister, 1)),
            "mv_register" => (Kind::Register, objects(DataType::MvRegister, 1)),
            "transactions" => (Kind::Transactions, objects(DataType::OrSet, KEYS)),
            _ => return None,
        };
        Some(Work { kind, objects })
    }

    /// The object that holds an element.
    fn object_of(&self, n: i64) -> Object {
        let i = n.rem_euclid(self.objects.len() as i64) as usize;
        self.objects[i].clone()
    }

    /// The updates of a static transaction; `None` where the argument is no integer.
    fn updates(&self, op: &Invocation) -> Option<Vec<(Object, Update)>> {
        let n = op.value.as_int()?;
        let update = match (self.kind, &*op.f) {
            (Kind::Set, "add") => (self.object_of(n), Update::add(digits(n))),
            (Kind::Set, "remove") => (self.object_of(n), Update::remove(digits(n))),
            (Kind::Counter(own), "add") => (self.objects[own].clone(), Update::Increment(n)),
            (Kind::Register, "write") => (self.objects[0].clone(), Update::assign(digits(n))),
            _ => return None,
        };
        Some(vec![update])
    }

    /// What a read of all objects found, as one value of the history.
    fn value(&self, found: &[Stored]) -> Value {
        let sum = |found: &[Stored]| -> i64 {
            let counts = found.iter().map(|v| if let Stored::Counter(n) = v { *n } else { 0 });
            counts.map(i64::from).sum()
        };
        match (self.kind, found) {
            (Kind::Counter(_), _) => Value::Int(sum(found)),
            // A register that no client wrote has no digits.
            (Kind::Register, [Stored::Register(digits)]) if digits.is_empty() => Value::Nil,
            (Kind::Register, [Stored::Register(digits)]) => Value::Int(number(digits)),
            _ => Value::set(found.iter().flat_map(elements)),
        }
    }
}

fn digits(n: i64) -> String {
    n.to_string()
}

fn number(digits: &[u8]) -> i64 {
    std::str::from_utf8(digits).ok().and_then(|t| t.parse().ok()).unwrap_or(NO_NUMBER)
}

fn elements(value: &Stored) -> impl Iterator<Item = i64> + '_ {
    let items: &[Vec<u8>] = match value {
        Stored::Set(items) | Stored::Registers(items) => items,
        _ => &[],
    };
    items.iter().map(|digits| number(digits))
}

/// A client's session with its node.
struct Session {
    connection: Connection,
    work: Work,
}

impl Session {
    async fn read(&mut self) -> Result<Value, Error> {
        let found = self.connection.read(&self.work.objects).await?;
        Ok(self.work.value(&found))
    }

    /// Writes marks in an interactive transaction, in two updates, and gives those of them that
    /// it read itself before its end.
    async fn transaction(&mut self, marks: &[i64], commit: bool) -> Result<Value, Error> {
        let work = &self.work;
        let updates: Vec<(Object, Update)> =
            marks.iter().map(|n| (work.object_of(*n), Update::add(digits(*n)))).collect();
        let (first, second) = updates.split_at(updates.len().div_ceil(2));
        let mut transaction = self.connection.begin().await?;
        for part in [first, second].into_iter().filter(|part| !part.is_empty()) {
            transaction.update(part).await?;
        }
        let found = transaction.read(&work.objects).await?;
        match commit {
            true => transaction.commit().await?,
            false => transaction.abort().await?,
        }
        let own = found.iter().flat_map(elements).filter(|n| marks.contains(n));
        Ok(Value::set(own))
    }

    /// Executes one of the functions of its kind; `None` where the argument is none for it.
    async fn execute(&mut self, op: &Invocation) -> Option<Result<Value, Error>> {
        if &*op.f == "read" {
            return Some(self.read().await);
        }
        if self.work.kind == Kind::Transactions {
            let Value::Set(marks) = &op.value else { return None };
            return Some(self.transaction(marks.as_slice(), &*op.f == "write").await);
        }
        let updates = self.work.updates(op)?;
        Some(self.connection.update(&updates).await.map(|()| op.value.clone()))
    }
}

impl Client for Session {
    async fn invoke(&mut self, op: &Invocation) -> Completion {
        let known = self.work.kind.functions();
        if !known.contains(&&*op.f) {
            return unsupported(op, known.iter().copied());
        }
        match self.execute(op).await {
            Some(Ok(value)) => Completion::Ok(value),
            Some(Err(error)) => failed(&error),
            None => bad_argument(op),
        }
    }

    /// The next request makes a new connection; the causal token stays.
    async fn reopen(&mut self) -> Result<(), ClientError> {
        self.connection.disconnect();
        Ok(())
    }
}

/// The completion that an error means.
fn failed(error: &Error) -> Completion {
    let kind = match error.kind() {
        "timeout" => TIMEOUT,
        "broken" => DISCONNECTED,
        kind => kind,
    };
    let op_error = OpError::new(kind, error.to_string());
    match error.is_definite() {
        true => Completion::Fail(op_error),
        false => Completion::Info(op_error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::antidote::{Refusal, RequestKind};

    #[test]
    fn every_workload_that_is_named_has_a_client() {
        for name in WORKLOADS {
            let work = Work::of(name, 2, 5).unwrap_or_else(|| panic!("no client for {name}"));
            assert!(!work.objects.is_empty());
        }
        assert_eq!(Work::of("bank", 0, 5), None);
    }

    #[test]
    fn one_key_has_one_type() {
        let mut types = std::collections::BTreeMap::new();
        for name in WORKLOADS {
            for object in Work::of(name, 0, 5).unwrap().objects {
                let former = types.insert(object.key.clone(), object.data_type);
                assert!(former.is_none_or(|t| t == object.data_type), "{object:?}");
            }
        }
    }

    #[test]
    fn reads_become_values_of_the_history() {
        let text = |words: &[&str]| words.iter().map(|w| w.as_bytes().to_vec()).collect();
        let value = |name: &str, found: &[Stored]| Work::of(name, 0, 2).unwrap().value(found);
        let sets = [Stored::Set(text(&["10", "2"])), Stored::Set(text(&["x"]))];
        assert_eq!(value("g_set_spread", &sets), Value::set([2, 10, NO_NUMBER]));
        let counters = [Stored::Counter(-3), Stored::Counter(5)];
        assert_eq!(value("pn_counter_spread", &counters), Value::Int(2));
        assert_eq!(value("lww_register", &[Stored::Register(vec![])]), Value::Nil);
        assert_eq!(value("lww_register", &[Stored::Register(b"7".to_vec())]), Value::Int(7));
        let values = [Stored::Registers(text(&["7", "6"]))];
        assert_eq!(value("mv_register", &values), Value::set([6, 7]));
    }

    #[test]
    fn a_counter_of_each_node_is_incremented_by_its_own_clients_only() {
        let [a, b] = [0, 1].map(|node| {
            Work::of("pn_counter_spread", node, 2).unwrap().updates(&Invocation::new("add", 5))
        });
        assert_ne!(a.unwrap()[0].0, b.unwrap()[0].0);
    }

    #[test]
    fn what_is_definite_fails_and_the_rest_is_unknown() {
        let limit = Duration::from_secs(5);
        let late = failed(&Error::Timeout { request: RequestKind::StaticUpdate, limit });
        assert!(matches!(&late, Completion::Info(e) if &*e.kind == TIMEOUT), "{late:?}");
        let (request, message) = (RequestKind::Commit, String::new());
        let aborted = failed(&Error::Refused { request, reason: Refusal::Aborted, message });
        assert!(matches!(&aborted, Completion::Fail(e) if &*e.kind == "aborted"), "{aborted:?}");
        let limit = Duration::from_secs(5);
        let read = failed(&Error::Timeout { request: RequestKind::StaticRead, limit });
        assert!(matches!(read, Completion::Fail(_)));
    }
}
