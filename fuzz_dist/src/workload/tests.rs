//! What the operations of workloads look like, seen by an idealised client.

use std::collections::HashSet;

use super::{Workload, lww_register, or_set, pn_counter, transactions};
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

#[test]
fn all_kinds_that_are_declared_occur_and_no_others() {
    for workload in [pn_counter(), or_set(), lww_register(), transactions()] {
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
