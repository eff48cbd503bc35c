//! Vectors, planted anomalies, and the oracle over random histories.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Txns, atomic, oracle};
use crate::histories::Recorder;
use crate::{Checker, Validity, Verdict};
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Phase, Value};
use fuzz_dist_random::{Seed, Stream};

/// What the checker found, in the terms of the oracle.
fn found(history: &History) -> BTreeSet<(&'static str, i64)> {
    let options = atomic();
    let txns = Txns::of(history, &options).expect("a history of sets");
    let mut view = super::View::new(&txns, history.nodes().len());
    let read = history.find_function("read");
    for i in 0..history.len() {
        if Some(history.function_index(i)) == read
            && history.kind(i) == fuzz_dist_history::op::Kind::Ok
        {
            assert!(view.read(history, i));
        }
    }
    let mut findings = view.into_findings();
    let finals = super::Finals::of(history, "read");
    super::lost(history, &txns, &finals).into_iter().for_each(|f| findings.add(f));
    super::own_unread(history, &txns).into_iter().for_each(|f| findings.add(f));
    let invoked = |id: u32| txns.all[id as usize].call.invoked as i64;
    findings.first.iter().map(|f| (f.kind, f.txn.map_or(f.mark, invoked))).collect()
}

/// Events in words: `w0{1 2}` client 0 invokes a write, `a0{3}` a transaction to be aborted,
/// `r0` a read; `0'{1}` it is done with that value, `0!` it fails, `0?` nobody knows.
fn parse(text: &str) -> History {
    let mut r = Recorder::new(["n1", "n2"]);
    for word in text.split(',').map(str::trim) {
        if word == "final" {
            r.heal(true);
            r.phase = Phase::Final;
            continue;
        }
        let client: u32 = word.chars().find_map(|c| c.to_digit(10)).expect("a client");
        let set = word.split_once('{').map(|(_, set)| {
            let marks = set.trim_end_matches('}').split_whitespace();
            Value::set(marks.map(|m| m.parse().expect("a number")))
        });
        let value = set.unwrap_or_default();
        match word.chars().find(|c| "war'!?".contains(*c)) {
            Some('w') => _ = r.invoke(client, "write", value),
            Some('a') => _ = r.invoke(client, "abort", value),
            Some('r') => _ = r.invoke(client, "read", value),
            Some('\'') => _ = if value.is_nil() { r.done(client) } else { r.ok(client, value) },
            Some('!') => _ = r.fail(client),
            _ => _ = r.info(client),
        }
    }
    r.history()
}

fn kinds(verdict: &Verdict) -> Vec<&str> {
    verdict.anomalies.iter().map(|a| &*a.kind).collect()
}

#[test]
fn vectors() {
    let valid: [&str; 6] = [
        "w0{1 2}, 0', r1, 1'{1 2}",
        "w0{1 2}, 0', r1, 1'{}",
        "w0{1 2}, 0?, r1, 1'{1 2}",
        "w0{1 2}, r1, 1'{1 2}, 0'",
        "a0{1 2}, 0', r1, 1'{}",
        "w0{1 2}, 0!, r1, 1'{}",
    ];
    for text in valid {
        let verdict = atomic().check(&parse(text));
        assert!(verdict.is_valid(), "{text}: {verdict:?}");
    }
    let invalid = [
        ("w0{1 2}, 0', r1, 1'{2}", "fractured"),
        ("w0{1 2}, 0?, r1, 1'{1}", "fractured"),
        ("a0{1}, 0', r1, 1'{1}", "aborted_read"),
        ("a0{1}, 0?, r1, 1'{1}", "aborted_read"),
        ("w0{1}, 0!, r1, 1'{1}", "aborted_read"),
        ("w0{1}, r1, 1'{1}, 0!", "aborted_read"),
        ("w0{1 2}, 0'{1}, r1, 1'{1 2}", "own_write_unread"),
        ("r1, 1'{7}", "unexpected"),
        ("r1, 1'{7}, w0{7}, 0'", "early"),
        ("w0{1}, 0', r1, 1'{1}, r1, 1'{1 1}", "duplicate"),
        ("w0{1 2}, 0', final, r1, 1'{}", "lost"),
    ];
    for (text, kind) in invalid {
        let verdict = atomic().check(&parse(text));
        assert_eq!(verdict.validity, Validity::Invalid, "{text}");
        assert_eq!(kinds(&verdict)[0], kind, "{text}: {verdict:?}");
    }
}

#[test]
fn what_cannot_be_judged_is_unknown() {
    for text in ["w0{1}, 0'", "w0{1}, 0', w0{1}, 0', r1, 1'{}", "w0{1}, 0', r1, 1'"] {
        assert_eq!(atomic().check(&parse(text)).validity, Validity::Unknown, "{text}");
    }
}

#[test]
fn a_fracture_is_explained_by_who_wrote_what_and_what_is_missing() {
    let verdict = atomic().check(&parse("w0{1 2}, 0', r1, 1'{2}, r1, 1'{2}"));
    assert_eq!(
        verdict.anomalies[0].explanation,
        "the transaction of client 0 on n1 that wrote 1 2 was acknowledged at 0.001 s: a read on \
         n2 at 0.003 s has part of it and lacks 1"
    );
    assert_eq!(verdict.reasons, ["1 fractured transaction, shown by 2 operations"]);
}

/// Clients of a store whose replicas get whole transactions, late; `flaw` breaks one of them.
fn simulate(seed: Seed, operations: usize, flaw: Option<&str>) -> History {
    let mut random = seed.stream("atomic");
    let nodes = 3_usize;
    let mut r = Recorder::new(["n1", "n2", "n3"]);
    let mut committed: Vec<Vec<i64>> = Vec::new();
    let mut seen = vec![0_usize; nodes];
    let (mut next, mut planted) = (0_i64, flaw.is_none());
    for step in 0..operations {
        let client = random.index(2 * nodes) as u32;
        let node = client as usize % nodes;
        let late = step > operations / 2;
        if random.chance(0.5) {
            let marks: Vec<i64> = (0..2 + random.index(3) as i64).map(|i| next + i).collect();
            next += marks.len() as i64;
            let set = Value::set(marks.iter().copied());
            if random.chance(0.2) {
                r.invoke(client, "abort", set);
                r.done(client);
                if flaw == Some("aborted_read") && !planted && late {
                    planted = true;
                    committed.push(marks);
                }
                continue;
            }
            r.invoke(client, "write", set);
            match flaw {
                Some("own_write_unread") if !planted && late => {
                    planted = true;
                    r.ok(client, Value::set(marks.iter().copied().skip(1)));
                }
                _ => _ = r.done(client),
            }
            let lose = flaw == Some("lost") && !planted && late;
            planted |= lose;
            if !lose {
                committed.push(marks);
            }
        } else {
            seen[node] += random.index(committed.len() - seen[node] + 1);
            r.invoke(client, "read", Value::Nil);
            let mut marks: Vec<i64> = committed[..seen[node]].concat();
            if flaw == Some("fractured") && !planted && late && !marks.is_empty() {
                planted = true;
                marks.pop();
            }
            r.ok(client, Value::set(marks));
        }
    }
    r.heal(true);
    r.phase = Phase::Final;
    for node in 0..nodes as u32 {
        r.invoke(node, "read", Value::Nil);
        r.ok(node, Value::set(committed.concat()));
    }
    r.history()
}

#[test]
fn a_store_that_keeps_transactions_whole_is_valid() {
    for seed in 0..20 {
        let verdict = atomic().check(&simulate(Seed(seed), 300, None));
        assert!(verdict.is_valid(), "{verdict:?}");
    }
}

#[test]
fn what_was_planted_is_found_and_nothing_else() {
    for flaw in ["fractured", "aborted_read", "lost", "own_write_unread"] {
        for seed in 0..10 {
            let verdict = atomic().check(&simulate(Seed(seed), 300, Some(flaw)));
            assert_eq!(kinds(&verdict), [flaw], "seed {seed}: {verdict:?}");
        }
    }
}

/// Any events at all, sensible or not.
fn nonsense(random: &mut Stream, steps: usize) -> History {
    let mut r = Recorder::new(["n1", "n2"]);
    let mut open: Vec<Option<bool>> = vec![None; 4];
    let mut next = 0_i64;
    for step in 0..steps {
        if step == steps * 3 / 4 {
            r.heal(true);
            r.phase = Phase::Final;
        }
        let client = random.index(open.len());
        let marks = |random: &mut Stream, next: i64| {
            let n = random.index(8);
            Value::set((0..n).map(|_| random.below(next as u64 + 4) as i64).collect::<Vec<_>>())
        };
        match open[client].take() {
            None if random.chance(0.5) => {
                r.invoke(client as u32, "read", Value::Nil);
                open[client] = Some(true);
            }
            None => {
                let size = 1 + random.index(3) as i64;
                let f = if random.chance(0.3) { "abort" } else { "write" };
                r.invoke(client as u32, f, Value::set(next..next + size));
                next += size;
                open[client] = Some(false);
            }
            Some(true) => _ = r.ok(client as u32, marks(random, next)),
            Some(false) => match random.index(4) {
                0 => _ = r.fail(client as u32),
                1 => _ = r.info(client as u32),
                2 => _ = r.ok(client as u32, marks(random, next)),
                _ => _ = r.done(client as u32),
            },
        }
    }
    r.history()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_oracle_finds_the_same(seed in any::<u64>(), steps in 1_usize..120) {
        let history = nonsense(&mut Seed(seed).stream("nonsense"), steps);
        prop_assert_eq!(found(&history), oracle::findings(&history));
    }
}
