//! `or_set` on vectors and against its oracle.

use std::collections::{BTreeMap, BTreeSet};

use super::super::calls::{Outcome, calls};
use super::super::histories::Recorder;
use super::super::{Checker, Validity, Verdict};
use super::{judge, or_set, oracle, sessions};
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Phase, Value};
use fuzz_dist_random::Seed;

/// Words: `+0.5` client 0 adds 5, `-0.5` removes it, both at once; `+0.5~` stays unknown;
/// `+0.5f` fails; `?0.5,6` client 0 reads 5 and 6; `[+0.5` begins and `]0` ends an operation; `!` begins the
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
        r.invoke(client, f, what.trim_end_matches(['~', 'f']).parse::<i64>().unwrap());
        match what.chars().last() {
            _ if begin_only => {}
            Some('~') => drop(r.info(client)),
            Some('f') => drop(r.fail(client)),
            _ => drop(r.done(client)),
        }
    }
    r.history()
}

fn found(text: &str) -> Vec<String> {
    let verdict = or_set().check(&history(text));
    verdict.anomalies.iter().map(|a| format!("{} {}", a.kind, a.subject)).collect()
}

#[test]
fn each_finding_says_what_happened_where() {
    let added = "5, added by client 0 (acknowledged by n1 at 0.001 s), is missing on";
    let seen = "though no remove can have seen that add";
    for (text, kind, said) in [
        ("+0.5 ! ?2. ?3.", "lost", format!("{added} every node in the end (read at 0.003 s), {seen}")),
        ("+0.5 ! ?2.5 ?3.", "missing", format!("{added} n2 in the end (read at 0.005 s), {seen}")),
        (
            "+0.5 -0.5 ! ?2. ?3.5",
            "not_removed",
            "5, removed by client 0 (acknowledged by n1 at 0.003 s), is still on n2 in the end (read at \
             0.007 s), though every add of it came before"
                .into(),
        ),
        (
            "[+0.5 [-1.5 ]0 ]1 ! ?2.5 ?3.",
            "differs",
            "5 is not on n2 in the end (read at 0.007 s), but on others".into(),
        ),
        (
            "+0.6 ?1.5,6",
            "unexpected",
            "5 was read on n2 at 0.003 s, but no client added it".into(),
        ),
        (
            "?0.5 +1.5",
            "early",
            "5 was read on n1 at 0.001 s, before its add was invoked".into(),
        ),
        (
            "+0.5f ?0.5",
            "resurrected",
            "5 was read on n1 at 0.003 s, but its add had failed".into(),
        ),
        (
            "+0.5 ?0.5,5",
            "duplicate",
            "5 stood more than once in the read on n1 at 0.003 s".into(),
        ),
        (
            "+0.5 ?0.",
            "own_add_unread",
            "a client read on n1 at 0.003 s without 5, which it had added".into(),
        ),
        (
            "+0.5 -0.5 ?0.5",
            "own_remove_unread",
            "a client read 5 on n1 at 0.005 s, which it had removed".into(),
        ),
    ] {
        let verdict = or_set().sessions(true).check(&history(text));
        let [anomaly] = &verdict.anomalies[..] else { panic!("{text}: {verdict:#?}") };
        assert_eq!((&*anomaly.kind, &*anomaly.explanation), (kind, &*said), "{text}");
    }
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
    for (text, why) in [("+0.5", "nothing was read"), ("-0.5 ! ?0. ?1.", "nothing was added")] {
        let verdict = or_set().check(&history(text));
        assert_eq!((verdict.validity, &*verdict.reasons[0]), (Validity::Unknown, why), "{text}");
    }
}

#[test]
fn the_oracle_agrees_on_random_histories() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut validities = [0; 3];
    for seed in 0..8_000 {
        let history = random_history(Seed(seed));
        let sequential = seed % 2 == 0;
        let verdict = or_set().sequential_nodes(sequential).check(&history);
        let expected = oracle::expected(&history, sequential);
        for kind in judge::KINDS.iter().chain(&sessions::KINDS).chain(&["unsure"]) {
            let of_kind = expected.iter().filter(|((k, _), _)| k == kind);
            let expected: usize = of_kind.map(|(_, n)| n).sum();
            assert_eq!(count(&verdict, kind), expected, "seed {seed}: {kind}");
            *seen.entry(kind).or_default() += expected.min(1);
        }
        let named: BTreeSet<(&str, i64)> = expected
            .iter()
            .filter(|((kind, _), n)| judge::KINDS.contains(kind) && **n > 0)
            .map(|(found, _)| *found)
            .collect();
        let found: Vec<(&str, i64)> =
            verdict.anomalies.iter().map(|a| (&*a.kind, a.subject.as_int().unwrap())).collect();
        assert_eq!(named, found.iter().copied().collect(), "seed {seed}: {:?}", verdict.reasons);
        let all = expected.iter().filter(|((kind, _), _)| judge::KINDS.contains(kind));
        assert_eq!(found.len(), all.map(|(_, n)| n).sum::<usize>(), "seed {seed}");
        let updates = |f: &str| calls(&history, &[f]).collect::<Vec<_>>();
        let live = |f: &str| {
            updates(f).into_iter().filter(|c| c.outcome != Outcome::Failed).collect::<Vec<_>>()
        };
        let elements: BTreeSet<Value> =
            live("add").iter().map(|c| history.value(c.invoked)).collect();
        for (name, n) in [
            ("add_count", updates("add").len()),
            ("remove_count", live("remove").len()),
            ("element_count", elements.len()),
        ] {
            assert_eq!(verdict.results[name], n, "seed {seed} {name}");
        }
        let unsure = expected.iter().any(|((kind, _), n)| *kind == "unsure" && *n > 0);
        let validity = match () {
            () if !named.is_empty() => Validity::Invalid,
            () if unsure || is_vacuous(&history) => Validity::Unknown,
            () => Validity::Valid,
        };
        assert_eq!(verdict.validity, validity, "seed {seed}: {:?}", verdict.reasons);
        assert!(!verdict.reasons.concat().contains("internal error"), "seed {seed}: {verdict:#?}");
        validities[validity as usize] += 1;
    }
    assert!(validities.iter().all(|n| *n > 400), "{validities:?}");
    assert!(seen.values().all(|n| *n > 16), "the histories must show everything: {seen:?}");
}

/// Was nothing added, nothing read, or nothing read in the end on some node?
fn is_vacuous(h: &History) -> bool {
    let added = calls(h, &["add"]).any(|c| c.outcome != Outcome::Failed);
    let reads = || calls(h, &["read"]).filter(|c| c.acknowledged().is_some());
    let nodes: BTreeSet<_> =
        reads().filter(|c| h.phase(c.invoked) == Phase::Final).map(|c| h.node(c.invoked)).collect();
    let ended = (0..h.len()).any(|i| h.phase(i) == Phase::Final);
    !added || reads().next().is_none() || ended && nodes.len() < h.nodes().len()
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
    // Updates of unknown outcome that have not taken effect: at any later time, or never.
    let mut given_up: Vec<(&str, i64)> = Vec::new();
    let apply = |set: &mut Vec<i64>, (f, v): (&str, i64)| {
        set.retain(|x| *x != v);
        set.extend((f == "add").then_some(v));
    };
    let length = s.index(40);
    for i in 0..length {
        let late = i * 4 > length * 3;
        r.phase = if late { Phase::Final } else { Phase::Main };
        given_up.extract_if(.., |_| s.chance(0.1)).for_each(|update| apply(&mut set, update));
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
                    apply(&mut set, (f, v));
                } else if roll >= 1.0 - unknown {
                    given_up.push((f, v));
                }
            }
        }
    }
    r.history()
}
