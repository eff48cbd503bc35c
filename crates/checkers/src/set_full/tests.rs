//! `set_full` on the vectors of its definition, on the holes of others, and against its oracle.

use std::path::Path;

use serde_json::json;

use super::super::histories::{Object, Recorder, Run, Script};
use super::super::{Checker, Validity, Verdict};
use super::{oracle, set_full};
use fuzz_dist_history::op::{Kind, NodeId, Phase, Process, Value};
use fuzz_dist_history::time::Time;
use fuzz_dist_history::{Edge, Format, History};
use fuzz_dist_random::Seed;

fn check(script: &str) -> Verdict {
    set_full().check(&Script::parse(script))
}

fn kinds(verdict: &Verdict) -> Vec<String> {
    verdict.anomalies.iter().map(|a| format!("{} {}", a.kind, a.subject)).collect()
}

#[test]
fn never_read_is_unknown() {
    for script in
        ["a0 a0'", "a0 r r'{}", "r a r'{} a'", "r a a' r'{}", "a r r'{} a'", "a r a' r'{}"]
    {
        let verdict = check(script);
        assert_eq!(verdict.validity, Validity::Unknown, "{script}");
        assert_eq!(verdict.results["never_read"], json!([0]), "{script}");
        assert_eq!(verdict.results["lost_count"], 0, "{script}");
    }
}

#[test]
fn what_is_read_is_stable_at_once() {
    for script in ["r a r'{0} a'", "r a a' r'{0}", "a r r'{0} a'", "a r a' r'{0}", "a a' r r'{0}"] {
        let verdict = check(script);
        assert!(verdict.is_valid(), "{script}: {:?}", verdict.reasons);
        assert_eq!(verdict.results["stable_count"], 1, "{script}");
        let zero = json!({"0": 0, "0.5": 0, "0.95": 0, "0.99": 0, "1": 0});
        assert_eq!(verdict.results["stable_latencies_ns"], zero, "{script}");
        assert_eq!(verdict.results["stale_count"], 0, "{script}");
    }
}

#[test]
fn acknowledged_and_not_read_is_lost() {
    let verdict = check("a a' r r'{}");
    assert!(verdict.is_invalid());
    assert_eq!(kinds(&verdict), ["lost 0"]);
    assert_eq!(verdict.results["lost"], json!([0]));
    assert_eq!(verdict.anomalies[0].events, [0, 1, 3]);
}

#[test]
fn lost_latencies_end_at_the_last_sight() {
    let verdict = check("a0 a1 r r'{1} a0' a1' r r'{0,1} r r'{0} r r'{}");
    assert!(verdict.is_invalid());
    assert_eq!(verdict.results["lost"], json!([0, 1]));
    let (three, four) = (3_000_001, 4_000_001);
    assert_eq!(
        verdict.results["lost_latencies_ns"],
        json!({"0": three, "0.5": four, "0.95": four, "0.99": four, "1": four})
    );
}

#[test]
fn one_lost_and_one_stale() {
    let verdict = check("a0 a0' a1 r2 r2'{1} a1' r2 r3 r3'{1} r2'{0}");
    assert!(verdict.is_invalid());
    assert_eq!(verdict.results["lost"], json!([0]));
    assert_eq!(verdict.results["lost_latencies_ns"]["1"], 5_000_001);
    assert_eq!(verdict.results["stable_count"], 1);
    assert_eq!(verdict.results["stale"], json!([1]));
    assert_eq!(verdict.results["stable_latencies_ns"]["1"], 2_000_001);
    assert_eq!(verdict.results["worst_stale"][0]["element"], 1);
}

#[test]
fn hole_a_duplicates_in_one_read_are_invalid() {
    let verdict = check("a a' r r'{0,0,0}");
    assert!(verdict.is_invalid());
    assert_eq!(kinds(&verdict), ["duplicate 0"]);
    assert!(verdict.anomalies[0].explanation.contains("3 times"));
}

#[test]
fn hole_b_what_nobody_added_is_invalid() {
    let verdict = check("a a' r r'{0,7}");
    assert_eq!(
        (verdict.validity, kinds(&verdict)),
        (Validity::Invalid, vec!["unexpected 7".into()])
    );
}

#[test]
fn hole_c_what_failed_and_is_read_is_invalid() {
    let verdict = check("a0 a0' a1 a1! r r'{0,1}");
    assert_eq!(
        (verdict.validity, kinds(&verdict)),
        (Validity::Invalid, vec!["resurrected 1".into()])
    );
}

#[test]
fn holes_d_and_e_final_reads_are_judged_by_node_whatever_their_order() {
    for script in [
        "a0 a0' |heal |final r1@1 r2@2 r1'{0} r2'{}",
        "a0 a0' |heal |final r2@2 r1@1 r2'{} r1'{0}",
        "a0 a0' |heal |final r2@2 r1@1 r1'{0} r2'{}",
    ] {
        let verdict = check(script);
        assert!(verdict.is_invalid(), "{script}");
        assert_eq!(kinds(&verdict), ["missing 0"], "{script}");
        assert_eq!(verdict.reasons, ["1 element is missing on n2: 0"], "{script}");
        assert_eq!(verdict.results["nodes"]["n2"]["missing_count"], 1, "{script}");
    }
}

#[test]
fn hole_f_staleness_below_a_millisecond_is_staleness() {
    let mut r = Recorder::new(["n1"]);
    r.step_ns = 1000;
    r.invoke(0, "add", 0);
    r.done(0);
    for set in [vec![], vec![0]] {
        r.invoke(1, "read", Value::Nil);
        r.ok(1, Value::set(set));
    }
    let history = r.history();
    let verdict = set_full().check(&history);
    assert!(verdict.is_valid());
    assert_eq!(verdict.results["stale"], json!([0]));
    assert_eq!(verdict.results["stable_latencies_ns"]["1"], 1001);
    let verdict = set_full().linearizable(true).check(&history);
    assert_eq!((verdict.validity, kinds(&verdict)), (Validity::Invalid, vec!["stale 0".into()]));
}

#[test]
fn hole_g_an_element_read_before_its_add_is_invalid() {
    let verdict = check("r r'{0} a a' r r'{0}");
    assert_eq!((verdict.validity, kinds(&verdict)), (Validity::Invalid, vec!["early 0".into()]));
}

/// Its last add counts.
#[test]
fn an_element_may_be_added_again_where_all_former_adds_failed() {
    for (script, found) in [
        ("a a! a a' r r'{0}", &[][..]),
        ("a a! a r r'{0} a'", &[]),
        ("a a! a a! r r'{0}", &["resurrected 0"]),
        ("a a! a a' r r'{}", &["lost 0"]),
        ("a a! r r'{0} a a' r r'{0}", &["resurrected 0"]),
        ("a r r'{0} a! a a' r r'{0}", &["resurrected 0"]),
        ("a a! a a! r r'{0} a a' r r'{0}", &["resurrected 0"]),
        ("a a! r r'{0} a a! r r'{0}", &["resurrected 0"]),
        ("a a! r a r'{0} a' r r'{0}", &[]),
        ("r r'{0} a a! a a' r r'{0}", &["early 0"]),
        ("r r'{0} a a! r r'{0} a a' r r'{0}", &["resurrected 0", "early 0"]),
    ] {
        let verdict = check(script);
        assert_eq!(kinds(&verdict), found, "{script}: {:?}", verdict.reasons);
        assert_eq!(verdict.is_valid(), found.is_empty(), "{script}: {:?}", verdict.reasons);
    }
}

#[test]
fn an_unknown_add_that_is_read_is_recovered() {
    let verdict = check("a0 a0? a1 a1? r r'{0}");
    assert!(verdict.is_valid());
    assert_eq!(verdict.results["recovered"], json!([0]));
    assert_eq!(verdict.results["never_read"], json!([1]));
}

#[test]
fn lost_everywhere_is_lost_and_not_missing() {
    let verdict = check("a0 a0' a1 a1' |heal |final r1@1 r1'{1} r2@2 r2'{1}");
    assert_eq!(kinds(&verdict), ["lost 0"]);
    assert_eq!(verdict.results["missing_count"], 0);
}

#[test]
fn late_elements_are_counted_on_their_node() {
    let verdict =
        check("a0 a0' |heal |quiesce r2@2 r2'{} r1@1 r1'{0} |final r1 r1'{0} r2@2 r2'{0}");
    assert!(verdict.is_valid(), "{:?}", verdict.reasons);
    assert_eq!(verdict.results["nodes"]["n2"]["late_count"], 1);
    assert_eq!(verdict.results["nodes"]["n1"]["late_count"], 0);
    assert_eq!(verdict.results["converged"], false);
    // What nobody knew of before was not late.
    let verdict = check(
        "a1 a1' a0 a0? |heal |quiesce r2@2 r2'{1} r2@2 r2'{0,1} |final r1@1 r1'{0,1} r2@2 r2'{0,1}",
    );
    assert!(verdict.is_valid(), "{:?}", verdict.reasons);
    assert_eq!(verdict.results["nodes"]["n2"]["late_count"], 0);
}

#[test]
fn convergence_is_the_first_of_two_good_rounds() {
    let verdict = check(
        "a0 a0' |heal |quiesce r1@1 r1'{0} r2@2 r2'{} r1 r1'{0} r2@2 r2'{0} |final r1 r1'{0} r2@2 r2'{0}",
    );
    assert_eq!(verdict.results["converged"], true);
    // The heal is at 2 ms, the end of the second round at 10 ms.
    assert_eq!(verdict.results["convergence_ms"], 8);
}

#[test]
fn sessions_are_results_and_count_only_where_asked() {
    for (script, name) in [
        ("a1 a1' r1 r1'{} r1 r1'{1}", "read_your_writes"),
        ("a1 a1' r2 r2'{1} r2 r2'{} r3 r3'{1}", "monotonic_reads"),
        ("a1 a1' r2 r2'{1} r2 r2'{} r2 r2'{1}", "flutter"),
    ] {
        let history = Script::parse(script);
        let verdict = set_full().check(&history);
        assert!(verdict.is_valid(), "{script}");
        assert_eq!(verdict.results[&*format!("{name}_count")], 1, "{script}");
        let verdict = set_full().sessions(true).check(&history);
        assert!(verdict.is_invalid(), "{script}");
        assert!(verdict.anomalies.iter().any(|a| &*a.kind == name), "{script}");
    }
}

#[test]
fn an_element_added_twice_is_unknown_with_both_places() {
    let mut r = Recorder::new(["n1"]);
    for _ in 0..2 {
        r.invoke(0, "add", 5);
        r.done(0);
    }
    let verdict = set_full().check(&r.history());
    assert_eq!(verdict.validity, Validity::Unknown);
    assert!(verdict.reasons[0].starts_with("5 was added twice"), "{:?}", verdict.reasons);
}

#[test]
fn texts_and_lists_are_elements_too() {
    let mut r = Recorder::new(["n1"]);
    for element in [Value::from("a"), Value::list([1, 2]), Value::Int(3)] {
        r.invoke(0, "add", element);
        r.done(0);
    }
    r.invoke(0, "read", Value::Nil);
    r.ok(0, Value::list([Value::from("a"), Value::Int(3), Value::from("a")]));
    let verdict = set_full().check(&r.history());
    assert_eq!(kinds(&verdict), ["lost [1 2]", r#"duplicate "a""#]);
}

#[test]
fn reads_of_no_set_are_unknown() {
    let mut r = Recorder::new(["n1"]);
    r.invoke(0, "read", Value::Nil);
    r.ok(0, 5);
    let verdict = set_full().check(&r.history());
    assert_eq!(verdict.validity, Validity::Unknown);
    assert!(verdict.reasons[0].contains("event 1"), "{:?}", verdict.reasons);
}

#[test]
fn missing_final_reads_follow_their_rules() {
    let with = |heal: bool, alive: Option<bool>, idle: bool, answers: &[u32]| {
        let mut r = Recorder::new(["n1", "n2"]);
        r.invoke(0, "add", 0);
        r.done(0);
        r.phase = Phase::Heal;
        r.heal(heal);
        r.phase = Phase::Final;
        for n in 0..2 {
            r.invoke(n, "read", Value::Nil);
            if answers.contains(&n) {
                r.ok(n, Value::set([0]));
            } else {
                r.fail(n);
            }
        }
        if let Some(alive) = alive {
            r.status(1, true, alive);
        }
        let mut history = r.history();
        if idle {
            history.set_meta("idle_nodes", Value::list(["n2"]));
        }
        let verdict = set_full().check(&history);
        (verdict.validity, verdict.reasons.first().cloned().unwrap_or_default())
    };
    let (validity, why) = with(true, Some(true), false, &[0]);
    assert_eq!((validity, &*why), (Validity::Invalid, "no final read on n2"));
    let (validity, why) = with(true, Some(false), false, &[0]);
    assert!(validity == Validity::Unknown && why.contains("process was not alive"), "{why}");
    let (validity, why) = with(false, Some(true), false, &[0]);
    assert!(validity == Validity::Unknown && why.contains("the heal was not proved"), "{why}");
    assert_eq!(with(true, Some(true), true, &[0]).0, Validity::Valid);
    assert_eq!(with(true, Some(true), false, &[]).0, Validity::Unknown);
}

#[test]
fn a_lost_element_is_explained_with_its_faults() {
    let mut r = Recorder::new(["n1", "n2"]);
    let fault = |r: &mut Recorder, edge: Edge| {
        let check = (edge.kind() == Kind::Info).then_some((Some(true), Value::Nil));
        let value = History::fault_value(1, edge, "{n1} | {n2}", check);
        r.event(Process::NEMESIS, None, edge.kind(), "halves".into(), value);
    };
    fault(&mut r, Edge::Start);
    fault(&mut r, Edge::Started);
    r.invoke(0, "add", 5);
    r.done(0);
    r.invoke(0, "read", Value::Nil);
    r.ok(0, Value::set([5]));
    r.time = Time::from_secs(8);
    fault(&mut r, Edge::Stop);
    fault(&mut r, Edge::Stopped);
    for client in [1, 0] {
        r.invoke(client, "read", Value::Nil);
        r.ok(client, Value::set([]));
    }
    let mut history = r.history();
    history.set_meta("net_ticktime_ms", 60_000);
    let verdict = set_full().check(&history);
    assert_eq!(
        verdict.anomalies[0].explanation,
        "5, added by client 0, was acknowledged by n1 at 0.003 s, was shown by n1 and last seen on n1 at 0.005 s; \
         lost: the read on n2 at 8.003 s and later ones lack it; \
         active when it was added: halves {n1} | {n2}"
    );
    assert_eq!(verdict.results["nodedown_possible"], false);
    assert_eq!(verdict.results["longest_cut_ms"], 8001);
}

#[test]
fn anomalies_are_bounded_and_counted() {
    let mut r = Recorder::new(["n1"]);
    for n in 0..500 {
        r.invoke(0, "add", n);
        r.done(0);
    }
    r.invoke(0, "read", Value::Nil);
    r.ok(0, Value::set([]));
    let verdict = set_full().check(&r.history());
    assert_eq!(verdict.anomalies.len(), super::super::ANOMALIES_MAX);
    assert_eq!(verdict.results["lost_count"], 500);
    assert_eq!(verdict.results["lost"].as_array().map(Vec::len), Some(super::super::LISTED_MAX));
    assert_eq!(verdict.count("lost"), 500);
    assert_eq!(
        verdict.reasons,
        [
            "500 elements were lost: 0 1 2 3 4 5 6 7 and 492 more (of 500 acknowledged; all of these \
          by n1 between 0.001 s and 0.999 s; none was ever read)"
        ]
    );
}

#[test]
fn nodes_that_lag_behind_lose_nothing_and_what_is_planted_among_them_is_named() {
    let kinds_of = Object::Set.plants().iter().find(|(checker, _)| *checker == "set_full");
    let (_, planted) = kinds_of.expect("a set is judged by set_full");
    for seed in 0..8 {
        let run = Run::new(Object::Set).operations(400).clients(10).nodes(5).lag(0.7);
        let history = run.history(Seed(seed));
        let verdict = set_full().sessions(true).check(&history);
        assert!(verdict.is_valid(), "seed {seed}: {:?}", verdict.reasons);
        // Nobody would find that nodes lag behind, unless asked.
        assert!(set_full().linearizable(true).check(&history).is_invalid(), "seed {seed}");
        for kind in planted.iter().filter(|kind| **kind != "stale") {
            let history = run.clone().plant(kind).history(Seed(seed));
            let verdict = set_full().sessions(true).check(&history);
            assert!(verdict.is_invalid(), "seed {seed} {kind}");
            let named = verdict.anomalies.iter().any(|a| &*a.kind == *kind);
            assert!(named, "seed {seed} {kind}: {:?}", kinds(&verdict));
        }
    }
}

#[test]
fn the_oracle_agrees_on_random_histories() {
    for seed in 0..4_000 {
        let history = oracle::random_history(Seed(seed));
        let verdict = set_full().check(&history);
        if let Some(difference) = oracle::difference(&history, &verdict) {
            let events: Vec<String> = (history.events().enumerate())
                .map(|(i, e)| {
                    format!(
                        "{i} {:?} {} {:?} {} {} {}",
                        e.phase,
                        e.process,
                        e.node,
                        e.kind.as_str(),
                        e.f,
                        e.value
                    )
                })
                .collect();
            panic!("seed {seed}: {difference}\n{}", events.join("\n"));
        }
    }
}

/// What vanished elements share is a sentence in the reason, and the sample shows all nodes.
#[test]
fn verdicts_depend_on_no_width_of_a_column_and_on_no_way_through_a_file() {
    for seed in 0..600 {
        let history = oracle::random_history(Seed(seed));
        let checker = set_full().linearizable(seed % 2 == 0).sessions(seed % 3 == 0);
        let expected = checker.check(&history);
        for format in [Format::Json, Format::Edn].into_iter().filter(|_| seed % 4 == 0) {
            let mut text = Vec::new();
            history.export(&mut text, format).unwrap();
            let read = History::import(&mut &*text, Path::new("h"), format).unwrap().history;
            if format == Format::Json {
                assert_eq!(checker.check(&read), expected, "seed {seed}");
            }
            assert_eq!(checker.check(&read.clone().widened()), checker.check(&read), "seed {seed}");
        }
        assert_eq!(checker.check(&history.widened()), expected, "seed {seed}");
    }
}

#[test]
fn many_vanished_elements_are_summed_up_and_the_sample_is_spread() {
    let mut r = Recorder::new(["n1", "n2", "n3"]);
    // Client n is on node n + 1. 0..30 are acknowledged by n1, 30..60 by n2, and n3 shows the first
    // ten of them once.
    for v in 0..60 {
        let client = u32::from(v >= 30);
        r.invoke(client, "add", v);
        r.done(client);
    }
    let from = r.time;
    r.invoke(2, "read", Value::Nil);
    r.ok(2, Value::set(0..10));
    let to = r.time;
    r.invoke(2, "read", Value::Nil);
    r.ok(2, Value::set([]));
    r.phase = Phase::Final;
    for (client, upto) in [(0, 60), (1, 60), (2, 0)] {
        r.invoke(client, "read", Value::Nil);
        r.ok(client, Value::set(0..upto));
    }
    let history = r.history();
    let verdict = set_full().check(&history);
    assert_eq!(
        verdict.reasons,
        [format!(
            "60 elements are missing on n3 only: 0 1 2 3 4 5 6 7 and 52 more (of 60 acknowledged; \
             all of these by n1 or n2 between 0.001 s and 0.119 s; 10 had been read there and \
             vanished between {from} and {}, 50 never were)",
            to + std::time::Duration::from_millis(1),
        )]
    );
    assert_eq!(verdict.count("missing"), 60);
    let origins: Vec<_> = verdict.anomalies.iter().map(|a| history.node(a.events[0])).collect();
    let of = |n| origins.iter().filter(|o| **o == Some(NodeId(n))).count();
    assert_eq!((of(0), of(1)), (30, 30));
    assert!(origins[..2].contains(&Some(NodeId(0))) && origins[..2].contains(&Some(NodeId(1))));
    // The one that has them is the odd one.
    let mut r = Recorder::new(["n1", "n2", "n3"]);
    r.invoke(0, "add", 1);
    r.done(0);
    r.phase = Phase::Final;
    for (client, upto) in [(0, 2), (1, 0), (2, 0)] {
        r.invoke(client, "read", Value::Nil);
        r.ok(client, Value::set(1..upto));
    }
    let verdict = set_full().check(&r.history());
    assert_eq!(verdict.reasons, ["1 element is missing on n2 n3, only n1 has them: 1"]);
    assert_eq!((verdict.count("missing"), verdict.anomalies.len()), (2, 2));
}
