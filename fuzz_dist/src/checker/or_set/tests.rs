//! `or_set` on vectors and against its twin.

use std::collections::BTreeMap;

use super::super::histories::Recorder;
use super::super::{Checker, Validity, Verdict};
use super::{judge, naive, or_set, sessions};
use crate::history::History;
use crate::op::{Phase, Value};
use crate::random::Seed;

/// Words: `+0.5` client 0 adds 5, `-0.5` removes it, both at once; `+0.5~` stays unknown;
/// `?0.5,6` client 0 reads 5 and 6; `[+0.5` begins and `]0` ends an operation; `!` begins the
/// final reads. Client c is on node c mod 2.
fn history(text: &str) -> History {
    let mut r = Recorder::new(["n1", "n2"]);
    for word in text.split_whitespace() {
        if word == "!" {
            r.phase = Phase::Final;
            continue;
        }
        if let Some(client) = word.strip_prefix(']') {
            r.done(client.parse().unwrap());
            continue;
        }
        let begin_only = word.starts_with('[');
        let word = word.trim_start_matches('[');
        let (client, what) = word[1..].split_once('.').unwrap();
        let client: u32 = client.parse().unwrap();
        if word.starts_with('?') {
            let items = what.split(',').filter(|i| !i.is_empty()).map(|i| i.parse().unwrap());
            r.invoke(client, "read", Value::Nil);
            r.ok(client, Value::set(items));
            continue;
        }
        let f = if word.starts_with('+') { "add" } else { "remove" };
        let unknown = what.ends_with('~');
        r.invoke(client, f, what.trim_end_matches('~').parse::<i64>().unwrap());
        match (begin_only, unknown) {
            (true, _) => {}
            (false, true) => drop(r.info(client)),
            (false, false) => drop(r.done(client)),
        }
    }
    r.history()
}

fn found(text: &str) -> Vec<String> {
    let verdict = or_set().check(&history(text));
    verdict.anomalies.iter().map(|a| format!("{} {}", a.kind, a.subject)).collect()
}

#[test]
fn an_add_that_nothing_removed_stays() {
    assert!(found("+0.5 ! ?0.5 ?1.5").is_empty());
    assert_eq!(found("+0.5 ! ?0. ?1."), ["lost 5"]);
    assert_eq!(found("+0.5 ! ?0.5 ?1."), ["missing 5"]);
}

#[test]
fn a_remove_after_the_add_in_one_session_removes() {
    assert!(found("+0.5 -0.5 ! ?0. ?1.").is_empty());
    assert_eq!(found("+0.5 -0.5 ! ?0.5 ?1.5"), ["not_removed 5", "not_removed 5"]);
}

#[test]
fn a_remove_by_who_has_read_the_element_removes() {
    assert_eq!(found("+0.5 ?1.5 -1.5 ! ?0.5 ?1."), ["not_removed 5"]);
    assert!(found("+0.5 -1.5 ! ?0.5 ?1.5").is_empty(), "it need not have seen the add");
}

#[test]
fn where_they_are_concurrent_either_is_right_but_for_all() {
    for all in ["! ?0.5 ?1.5", "! ?0. ?1."] {
        assert!(found(&format!("[+0.5 [-1.5 ]0 ]1 {all}")).is_empty());
        assert!(found(&format!("+0.5 -1.5 {all}")).is_empty());
    }
    assert_eq!(found("[+0.5 [-1.5 ]0 ]1 ! ?0.5 ?1."), ["differs 5"]);
}

#[test]
fn what_an_unknown_update_may_change_between_final_reads_is_unknown() {
    for text in ["+0.5~ ! ?2.5 ?1.", "+0.5 -1.5~ ! ?0. ?3.5"] {
        let verdict = or_set().check(&history(text));
        assert_eq!(verdict.validity, Validity::Unknown, "{text}: {:?}", verdict.reasons);
        assert_eq!(verdict.results["unsure_count"], 1);
    }
}

#[test]
fn an_add_after_the_remove_wins() {
    assert_eq!(found("+0.5 -0.5 +1.5 ! ?0. ?1."), ["lost 5"]);
    assert!(found("+0.5 -0.5 +1.5 ! ?0.5 ?1.5").is_empty());
}

#[test]
fn an_unknown_remove_may_happen_later() {
    assert!(found("-0.5~ +2.5 ! ?2. ?1.").is_empty());
    assert!(found("-0.5~ +2.5 ! ?2.5 ?1.5").is_empty());
}

#[test]
fn sequential_nodes_order_their_clients() {
    // Clients 0 and 2 are both on n1.
    let h = history("+0.5 -2.5 ! ?0.5 ?1.5");
    assert!(or_set().check(&h).is_valid());
    assert!(or_set().sequential_nodes(true).check(&h).is_invalid());
}

#[test]
fn sessions_count_where_asked() {
    for (text, kind) in [
        ("+0.5 ?0. ! ?0.5 ?1.5", "own_add_unread"),
        ("+0.5 -0.5 ?0.5 ! ?0. ?1.", "own_remove_unread"),
    ] {
        let h = history(text);
        let verdict = or_set().check(&h);
        assert!(verdict.is_valid(), "{text}");
        assert_eq!(verdict.results[&*format!("{kind}_count")], 1, "{text}");
        assert!(or_set().sessions(true).check(&h).is_invalid(), "{text}");
    }
}

#[test]
fn nothing_added_or_read_is_unknown() {
    for text in ["+0.5", "-0.5 ! ?0. ?1."] {
        assert_eq!(or_set().check(&history(text)).validity, Validity::Unknown, "{text}");
    }
}

#[test]
fn the_twin_agrees_on_random_histories() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..20_000 {
        let history = random_history(Seed(seed));
        let sequential = seed % 2 == 0;
        let verdict = or_set().sequential_nodes(sequential).check(&history);
        let expected = naive::expected(&history, sequential);
        for kind in judge::KINDS.iter().chain(&sessions::KINDS) {
            let expected = expected.get(kind).copied().unwrap_or(0);
            assert_eq!(count(&verdict, kind), expected, "seed {seed}: {kind}");
            *seen.entry(kind).or_default() += expected.min(1);
        }
        let unsure = expected.get("unsure").copied().unwrap_or(0);
        assert_eq!(count(&verdict, "unsure"), unsure, "seed {seed}");
        *seen.entry("unsure").or_default() += unsure.min(1);
        let bad = judge::KINDS.iter().any(|kind| expected.get(kind).is_some_and(|n| *n > 0));
        assert_eq!(verdict.is_invalid(), bad, "seed {seed}: {:?}", verdict.reasons);
        assert!(!verdict.is_valid() || unsure == 0, "seed {seed}");
    }
    assert!(seen.values().all(|n| *n > 40), "the histories must show everything: {seen:?}");
}

fn count(verdict: &Verdict, kind: &str) -> usize {
    verdict.results[&*format!("{kind}_count")].as_u64().unwrap() as usize
}

fn random_history(seed: Seed) -> History {
    let mut s = seed.stream("or_set");
    let nodes = 1 + s.index(3);
    let mut r = Recorder::new((1..=nodes).map(|n| format!("n{n}")));
    let clients = 1 + s.index(4);
    // Updates of unknown outcome excuse most differences: a third of the histories has none.
    let unknown = if s.chance(0.35) { 0.0 } else { 0.1 };
    let mut process: Vec<u32> = (0..clients as u32).collect();
    let mut open: Vec<Option<(&str, i64)>> = vec![None; clients];
    let mut set: Vec<i64> = Vec::new();
    let length = s.index(40);
    for i in 0..length {
        let late = i * 4 > length * 3;
        r.phase = if late { Phase::Final } else { Phase::Main };
        let c = s.index(clients);
        let p = process[c];
        match open[c].take() {
            None if s.chance(0.6) && !late => {
                let f = if s.chance(0.6) { "add" } else { "remove" };
                let v = s.below(4) as i64;
                r.invoke(p, f, v);
                open[c] = Some((f, v));
            }
            None => {
                r.invoke(p, "read", Value::Nil);
                open[c] = Some(("read", 0));
            }
            Some(("read", _)) => {
                let mut items = set.clone();
                items.retain(|_| !s.chance(if late { 0.3 } else { 0.1 }));
                if s.chance(0.05) {
                    items.push(s.below(6) as i64);
                }
                r.ok(p, Value::set(items));
            }
            Some((f, v)) => {
                let roll = s.unit();
                if roll < 0.8 {
                    r.done(p);
                } else if roll < 1.0 - unknown {
                    r.fail(p);
                } else {
                    r.info(p);
                    process[c] += (clients * nodes) as u32;
                }
                if roll < 0.8 || s.chance(0.3) {
                    set.retain(|x| *x != v);
                    if f == "add" {
                        set.push(v);
                    }
                }
            }
        }
    }
    r.history()
}
