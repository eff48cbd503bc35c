//! Histories are valid without an anomaly, and with one it is named, whatever their form.

mod cases;

use std::collections::BTreeSet;

use cases::Case;
use fuzz_dist_checkers::histories::{Object, Run};
use fuzz_dist_checkers::registry::CHECKERS;
use fuzz_dist_checkers::{AnyChecker, Checker, Validity, Verdict, independent};
use fuzz_dist_history::History;
use fuzz_dist_history::op::Value;
use fuzz_dist_random::Seed;

/// Cases about objects that `chosen` takes. Transactions have tests beside their checkers.
fn judged(
    operations: impl Fn(usize) -> usize,
    chosen: impl Fn(&Case) -> bool,
    judge: impl Fn(&Case, Verdict),
) {
    for seed in 0..6 {
        let cases = cases::all(operations(seed as usize), seed).into_iter();
        for case in cases.filter(|case| case.object.is_some() && chosen(case)) {
            judge(&case, case.build().check(&case.history));
        }
    }
}

/// Checkers that others stand for, or whose histories stand in tests of their own; and those that find nothing.
const ELSEWHERE: [&str; 13] = [
    "causal",
    "g2",
    "jobs",
    "linearizable",
    "liveness",
    "log_pattern",
    "names",
    "perf",
    "read_atomic",
    "read_committed",
    "session_guarantees",
    "stats",
    "unordered_queue",
];

/// Whoever registers a checker plants what it finds.
#[test]
fn every_registered_checker_judges_histories_with_what_it_finds() {
    let cases = cases::all(20, 1);
    let planted: BTreeSet<&str> =
        cases.iter().filter(|case| case.anomaly.is_some()).map(|case| case.checker).collect();
    let registered: BTreeSet<&str> = CHECKERS.iter().map(|checker| checker.name).collect();
    let elsewhere = BTreeSet::from(ELSEWHERE);
    assert!(planted.is_disjoint(&elsewhere), "{planted:?}");
    assert_eq!(registered, &planted | &elsewhere);
}

#[test]
fn without_an_anomaly_every_checker_finds_it_valid() {
    let valid = |case: &Case, verdict: Verdict| {
        assert!(verdict.is_valid(), "{} {verdict:#?}", case.name());
    };
    judged(|seed| 20 + 25 * seed, |case| case.anomaly.is_none(), valid);
}

#[test]
fn what_is_planted_is_named() {
    let named = |case: &Case, verdict: Verdict| {
        let named = verdict.anomalies.iter().any(|a| Some(&*a.kind) == case.anomaly);
        assert!(verdict.is_invalid() && named, "{} {verdict:#?}", case.name());
    };
    judged(|seed| 15 * seed, |case| case.anomaly.is_some(), named);
}

/// An operation of unknown outcome may take effect long after it was given up, also between the last
/// reads of two nodes, and one that takes something away may have an unknown outcome, too. Nobody may blame
/// the system for that; and what is planted among them is not called valid.
#[test]
fn effects_of_given_up_operations_that_come_late_are_no_anomalies() {
    let mut unsure: BTreeSet<&str> = BTreeSet::new();
    for seed in 0..40 {
        for object in Object::ALL {
            let run = Run::new(*object).operations(10 + seed as usize).clients(4);
            let late = run.clone().outcomes(0.2, 0.03).late_effects(true);
            let history = late.history(Seed(seed));
            for (name, _) in object.plants() {
                let verdict = cases::build(name, cases::option(name, "")).check(&history);
                assert!(!verdict.is_invalid(), "{name}, seed {seed}: {verdict:#?}");
                if verdict.validity == Validity::Unknown {
                    unsure.insert(name);
                }
            }
            let (name, kinds) = object.plants()[seed as usize % object.plants().len()];
            let kind = kinds[seed as usize % kinds.len()];
            let history = late.plant(kind).history(Seed(seed));
            let verdict = cases::build(name, cases::option(name, kind)).check(&history);
            // A release or a dequeue of unknown outcome explains these for linearizability.
            let explained = matches!((name, kind), ("mutex", _) | ("fifo", "lost"));
            assert!(explained || !verdict.is_valid(), "{name} {kind}, seed {seed}: {verdict:#?}");
        }
    }
    // That they do come between the last reads shows in those that compare these.
    let all = ["or_set", "pn_counter", "convergence", "total_queue"];
    assert!(all.iter().all(|name| unsure.contains(name)), "{unsure:?}");
}

/// What can be claimed only of a run that came to its end.
fn is_about_the_end(case: &Case, kind: &str) -> bool {
    let always = [
        "missing",
        "no_final_read",
        "not_removed",
        "differs",
        "diverged",
        "lost_increments",
        "surplus",
        "final_reads_differ",
        "overwritten",
    ];
    // That an element never comes out although a later one does breaks a linearizable queue, whatever
    // follows.
    always.contains(&kind) || kind == "lost" && case.checker != "fifo"
}

/// A run that ended early, as its history says, is not judged by what had not arrived yet; what is
/// wrong whatever follows is found all the same.
#[test]
fn of_a_run_that_ended_early_nothing_is_claimed_that_its_end_could_mend() {
    let early = [("completed", false.into()), ("ended_early", "SIGTERM while running".into())];
    nothing_is_claimed(early, "SIGTERM while running");
}

/// Neither is one whose nodes an overloaded machine kept from agreeing.
#[test]
fn of_a_run_on_an_overloaded_machine_nothing_is_claimed_that_time_could_mend() {
    let slow = [("overloaded", "the machine was overloaded".into()), ("converged_ms", Value::Nil)];
    nothing_is_claimed(slow, "overloaded; its time was over before all nodes agreed");
}

fn nothing_is_claimed(facts: [(&str, Value); 2], said: &str) {
    for seed in 0..6 {
        for case in cases::all(15 * seed as usize, seed) {
            let mut history = case.history.clone();
            for (name, value) in &facts {
                history.set_meta(*name, value.clone());
            }
            let verdict = case.build().check(&history);
            let claims: Vec<&str> = verdict.anomalies.iter().map(|a| &*a.kind).collect();
            let name = case.name();
            if case.object.is_none() {
                // Transactions are judged by what they saw, whatever follows.
                assert_eq!(
                    verdict.anomalies,
                    case.build().check(&case.history).anomalies,
                    "{name}"
                );
                continue;
            }
            assert!(!claims.iter().any(|k| is_about_the_end(&case, k)), "{name} {verdict:#?}");
            match case.anomaly {
                Some(kind) if !is_about_the_end(&case, kind) => {
                    assert!(claims.contains(&kind), "{name} {verdict:#?}");
                }
                // Other findings may prove the same, such as a value that nothing explains.
                Some(_) if verdict.is_invalid() => assert!(!claims.is_empty(), "{name}"),
                Some(_) => {
                    let why = verdict.reasons.concat();
                    assert!(why.contains(said), "{name} {verdict:#?}");
                }
                None => assert!(!verdict.is_invalid(), "{name} {verdict:#?}"),
            }
        }
    }
}

struct Shared(AnyChecker);

impl Checker for Shared {
    fn check(&self, history: &History) -> Verdict {
        self.0.check(history)
    }
}

#[test]
fn keys_are_objects_by_themselves_and_may_be_unequal() {
    let objects = Object::ALL.iter().filter(|o| **o != Object::Registers);
    for (object, (name, kinds)) in objects.flat_map(|o| o.plants().iter().map(move |p| (*o, *p))) {
        let run = Run::new(object).operations(600).keys(5).skew(2.0).nodes(2);
        let checker = |kind| independent(Shared(cases::build(name, cases::option(name, kind))));
        assert!(checker("").check(&run.history(Seed(1))).is_valid(), "{name}");
        let verdict = checker(kinds[0]).check(&run.clone().plant(kinds[0]).history(Seed(1)));
        assert!(verdict.is_invalid(), "{name}");
        assert_eq!(verdict.results["invalid_key_count"], 1, "{name}: {:?}", verdict.reasons);
        assert_eq!(&*verdict.anomalies[0].kind, kinds[0], "{name}");
        let history = run.history(Seed(1));
        let of = |key: i64| {
            let own = |i: &usize| history.value(*i).as_list().is_some_and(|l| l[0] == key.into());
            (0..history.len()).filter(own).count()
        };
        assert!(of(0) > 2 * of(4) && of(4) > 0, "{name}: {} {}", of(0), of(4));
    }
}
