//! What the operations of workloads look like, seen by an idealised client.

use std::collections::HashSet;

use super::{
    Failure, Workload, jobs_workload, liveness_workload, lww_register, names_workload, or_set,
    pn_counter, queue_workload, transactions,
};
use crate::generator::{Generator, Simulator};
use crate::history::History;
use crate::op::{Kind, Value};
use crate::random::Seed;
use crate::time::{millis, secs};

fn operations(workload: &Workload, seed: u64) -> History {
    let seed = Seed(seed);
    let operations = workload.operations(seed);
    let main = operations.stagger(millis(5), seed.stream("rate")).time_limit(secs(10));
    Simulator::new(10).run(main).history
}

fn invoked(history: &History) -> impl Iterator<Item = (String, Value)> + '_ {
    (0..history.len())
        .filter(|i| history.kind(*i) == Kind::Invoke)
        .map(|i| (history.function(i).to_string(), history.value(i)))
}

fn names_of(registers: bool) -> Workload {
    let workload = names_workload(["a", "b"]);
    let workload = match registers {
        true => workload.register(|_, _| async { Ok::<(), Failure>(()) }),
        false => workload,
    };
    workload.lookup(|_, _| async { Ok::<_, Failure>(None) }).into()
}

fn jobs_of() -> Workload {
    jobs_workload()
        .submit(|_, _| async { Ok::<(), Failure>(()) })
        .executed(|_| async { Ok::<_, Failure>(vec![]) })
        .into()
}

fn queue_of() -> Workload {
    queue_workload()
        .enqueue(|_, _| async { Ok::<(), Failure>(()) })
        .dequeue(|_| async { Ok::<_, Failure>(None) })
        .into()
}

fn service_of() -> Workload {
    liveness_workload(secs(1), |_| async { Ok::<(), Failure>(()) })
}

#[test]
fn jobs_and_elements_are_numbered_and_each_is_used_once() {
    for (workload, f) in [(jobs_of(), "submit"), (queue_of(), "enqueue")] {
        let history = operations(&workload, 3);
        let numbers: Vec<i64> = invoked(&history)
            .filter(|(g, _)| g == f)
            .map(|(_, value)| value.as_int().expect("a number"))
            .collect();
        assert!(numbers.len() > 100 && (0..).zip(&numbers).all(|(n, m)| n == *m), "{numbers:?}");
    }
}

#[test]
fn all_names_are_looked_up() {
    let history = operations(&names_of(true), 4);
    for (f, name) in [("lookup", "a"), ("lookup", "b"), ("register", "a"), ("register", "b")] {
        assert!(invoked(&history).any(|call| call == (f.into(), name.into())), "{f} {name}");
    }
}

#[test]
fn a_run_of_names_waits_until_nobody_lacks_any() {
    let pair = |name: &str, process: Value| Value::list([name.into(), process]);
    let (workload, none) = (names_of(false), History::new(["n1"]));
    let all = Value::list([pair("a", "x".into()), pair("b", "y".into())]);
    assert!(workload.is_complete(&none, &all));
    let some = Value::list([pair("a", "x".into()), pair("b", Value::Nil)]);
    assert!(!workload.is_complete(&none, &some));
}

#[test]
fn all_kinds_that_are_declared_occur_and_no_others() {
    let own = [names_of(true), names_of(false), jobs_of(), queue_of(), service_of()];
    for workload in [pn_counter(), or_set(), lww_register(), transactions()].into_iter().chain(own)
    {
        let history = operations(&workload, 1);
        let mut kinds: Vec<String> = invoked(&history).map(|(f, _)| f).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let mut declared: Vec<&str> = workload.kinds().iter().map(|k| &**k).collect();
        declared.sort_unstable();
        assert_eq!(kinds, declared, "{workload:?}");
    }
}

#[test]
fn no_two_transactions_write_the_same_mark() {
    let history = operations(&transactions(), 2);
    let mut marks = HashSet::new();
    let mut sizes = HashSet::new();
    for (_, value) in invoked(&history) {
        let Value::Set(set) = value else { continue };
        sizes.insert(set.as_slice().len());
        for mark in set.as_slice() {
            assert!(marks.insert(*mark), "{mark} twice");
        }
    }
    assert_eq!(sizes, HashSet::from([2, 3, 4, 5]));
}

#[test]
fn elements_of_a_set_are_added_and_removed_again_and_left_alone_in_the_end() {
    let history = operations(&or_set(), 3);
    let of = |f: &str| -> HashSet<Value> {
        invoked(&history).filter(|(g, _)| g == f).map(|(_, value)| value).collect()
    };
    let (added, removed) = (of("add"), of("remove"));
    assert!(added.intersection(&removed).count() > 20);
    assert!(added.difference(&removed).count() > 5, "some are never removed");
}

#[test]
fn the_seed_alone_decides() {
    let all = |seed| invoked(&operations(&or_set(), seed)).collect::<Vec<_>>();
    assert_eq!(all(4), all(4));
    assert_ne!(all(4), all(5));
}

#[test]
fn a_refusal_is_definite_only_where_the_workload_says_so() {
    use super::Refusal;
    use crate::beam::{CallError, ConvertError, FromTerm, Term, atom};
    type Added = Result<(), Term>;
    let refused = || Added::from_term(Term::from((atom("error"), atom("full")))).unwrap();
    assert_eq!(refused().or_fail(), Err(Failure::fail("refused", "full")));
    assert_eq!(refused().or_info(), Err(Failure::info("refused", "full")));
    assert_eq!(refused().or_fail_if(|r| r.is_atom("no")), Err(Failure::info("refused", "full")));
    assert_eq!(Added::from_term(atom("ok")).unwrap().or_fail(), Ok(()));
    // Where a client asks for `()`, nobody says that it is certain.
    let error = ConvertError::new("success", &Term::from((atom("error"), atom("full"))));
    let plain = Failure::from(CallError::UnexpectedResult { peer: "shop@n1".into(), error });
    assert!(matches!(plain, Failure::Info(_)), "{plain:?}");
}
