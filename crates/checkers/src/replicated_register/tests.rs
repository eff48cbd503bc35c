//! Histories that a register must, or must not, show; and the oracle on any others.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{oracle, replicated_register};
use crate::Checker;
use crate::histories::Recorder;
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Phase, Value};
use fuzz_dist_random::Seed;

/// Client, function and value; a read gives its value. `!` in front fails.
fn kinds(steps: &[(u32, &str, Value)]) -> Vec<String> {
    let mut r = Recorder::new(["n1", "n2"]);
    for (client, f, value) in steps {
        match *f {
            "final" => {
                r.phase = Phase::Final;
                r.invoke(*client, "read", Value::Nil);
                r.ok(*client, value.clone());
            }
            "read" => {
                r.invoke(*client, "read", Value::Nil);
                r.ok(*client, value.clone());
            }
            f => {
                r.invoke(*client, f.trim_start_matches('!'), value.clone());
                if f.starts_with('!') {
                    r.fail(*client)
                } else {
                    r.done(*client)
                };
            }
        }
    }
    let verdict = replicated_register().check(&r.history());
    verdict.anomalies.iter().map(|a| a.kind.to_string()).collect()
}

#[test]
fn vectors() {
    let int = Value::Int;
    let check = |steps: &[(u32, &str, Value)], expected: &[&str]| {
        assert_eq!(kinds(steps), expected, "{steps:?}");
    };
    check(&[(0, "write", int(1)), (1, "read", int(1)), (1, "read", Value::Nil)], &[]);
    check(&[(0, "read", int(9))], &["unexpected"]);
    check(&[(0, "read", int(9)), (1, "write", int(9))], &["early"]);
    check(&[(0, "!write", int(1)), (1, "read", int(1))], &["resurrected"]);
    let two = [(0, "write", int(1)), (0, "write", int(2))];
    let ending =
        |value: Value| [&two[..], &[(0, "final", value.clone()), (1, "final", value)]].concat();
    check(&ending(int(2)), &[]);
    check(&ending(int(1)), &["overwritten", "overwritten"]);
    check(&ending(Value::set([1, 2])), &["overwritten", "overwritten"]);
    check(&ending(Value::Nil), &["lost", "lost"]);
    // Other clients' writes were concurrent, as far as anybody knows.
    let others =
        [(0, "write", int(1)), (1, "write", int(2)), (0, "final", int(1)), (1, "final", int(1))];
    check(&others, &[]);
}

/// Any events at all, sensible or not: each value is written once.
fn nonsense(seed: u64, steps: usize) -> History {
    let mut random = Seed(seed).stream("nonsense");
    let mut r = Recorder::new(["n1", "n2", "n3"]);
    let mut open: Vec<Option<bool>> = vec![None; 5];
    let mut next = 0_i64;
    for step in 0..steps {
        if step == steps / 2 {
            r.heal(true);
            r.phase = Phase::Final;
        }
        let slot = random.index(open.len());
        let client = slot as u32;
        match open[slot].take() {
            None if random.chance(0.5) => {
                r.invoke(client, "read", Value::Nil);
                open[slot] = Some(true);
            }
            None => {
                r.invoke(client, "write", next);
                next += 1;
                open[slot] = Some(false);
            }
            Some(true) => {
                let mut any = || random.below(next as u64 + 2) as i64;
                let value = match any() % 4 {
                    0 => Value::Nil,
                    1 => Value::set([any(), any()]),
                    _ => Value::Int(any()),
                };
                r.ok(client, value);
            }
            Some(false) => match random.index(4) {
                0 => _ = r.fail(client),
                1 => _ = r.info(client),
                _ => _ = r.done(client),
            },
        }
    }
    r.history()
}

/// Kind and value of each finding, with the read where it is one of a final read.
fn found(history: &History) -> BTreeSet<(String, Value, Option<usize>)> {
    let verdict = replicated_register().check(history);
    let anomalies = verdict.anomalies.iter().filter(|a| &*a.kind != "no_final_read");
    let of_finals = |kind: &str| matches!(kind, "overwritten" | "lost");
    anomalies
        .map(|a| {
            let read = a.events.last().copied().filter(|_| of_finals(&a.kind));
            (a.kind.to_string(), a.subject.clone(), read)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_oracle_finds_the_same(seed in any::<u64>(), steps in 1_usize..60) {
        let history = nonsense(seed, steps);
        prop_assert_eq!(found(&history), oracle::findings(&history));
    }
}

#[test]
fn a_value_that_was_replaced_before_the_read_is_reported_although_more_was_written_after_it() {
    let mut r = Recorder::new(["n1"]);
    for value in [1, 2] {
        r.invoke(0, "write", value);
        r.done(0);
    }
    r.phase = Phase::Final;
    r.invoke(1, "read", Value::Nil);
    r.invoke(0, "write", 3);
    r.done(0);
    r.ok(1, 1);
    let verdict = replicated_register().check(&r.history());
    assert_eq!(verdict.anomalies.len(), 1, "{verdict:?}");
    assert!(verdict.anomalies[0].explanation.contains("replaced by 2"), "{verdict:?}");
}
