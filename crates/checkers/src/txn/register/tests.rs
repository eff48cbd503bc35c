//! `rw_register` names what is there, and nothing else.

use std::collections::BTreeSet;

use super::{Infer, depend, oracle, versions};
use crate::txn::core::cycles::{self, Class};
use crate::txn::core::graph::Graph;
use crate::txn::generate::{Load, PLANTS, Store, plant, script, splice};
use crate::txn::oracle as plain;
use crate::txn::report::Report;
use crate::txn::weak::tests::small;
use crate::txn::{Isolation, RwRegister, Shape, Transactions, rw_register};
use crate::{Checker, Validity};
use fuzz_dist_history::op::Value;

fn kinds(checker: &RwRegister, text: &str) -> Vec<String> {
    let verdict = checker.check(&script(text).unwrap());
    verdict.anomalies.iter().map(|a| a.kind.to_string()).collect()
}

fn checkers() -> Vec<(Infer, RwRegister)> {
    (0..8)
        .map(|bits| {
            let infer = Infer {
                linearizable_keys: bits & 1 != 0,
                sequential_keys: bits & 2 != 0,
                wfr_keys: bits & 4 != 0,
            };
            let checker = rw_register()
                .linearizable_keys(infer.linearizable_keys)
                .sequential_keys(infer.sequential_keys)
                .wfr_keys(infer.wfr_keys);
            (infer, checker)
        })
        .collect()
}

#[test]
fn strictly_serializable_histories_have_no_cyclic_versions() {
    for seed in 0..4 {
        let load = Load::new(2000).sessions(5).keys(4).outcomes(0.02, 0.02).seed(seed);
        let history = load.history(Shape::Registers, Store::StrictSerializable);
        for (infer, checker) in checkers() {
            let verdict = checker.check(&history);
            assert!(verdict.is_valid(), "{infer:?} {:?}", verdict.anomalies.first());
        }
    }
}

#[test]
fn each_planted_anomaly_is_named_among_thousands_of_good_transactions() {
    let base =
        Load::new(1500).outcomes(0.02, 0.05).history(Shape::Registers, Store::StrictSerializable);
    for p in PLANTS.iter().filter(|p| p.checker == "rw_register" && p.option.is_empty()) {
        for at in [0, base.len() / 2, base.len()] {
            let verdict = rw_register().check(&plant(&base, at, p));
            assert!(verdict.is_invalid(), "{} at {at}", p.name);
            let named = verdict.anomalies.iter().any(|a| &*a.kind == p.name);
            assert!(named, "{} at {at}: {:?}", p.name, verdict.reasons);
        }
    }
}

#[test]
fn options_find_what_is_hidden_without_them() {
    let g0 = "0: w x 1, w y 1\n1: w x 2, w y 2\n2: r x 1, w x 3\n-- \n3: r y 2";
    assert!(kinds(&rw_register(), g0).is_empty());
    let stale = "0: w x 1\n--\n1: w x 2\n--\n2: r x 1";
    assert_eq!(kinds(&rw_register(), stale), ["G-single-realtime"]);
    assert!(kinds(&rw_register().model(Isolation::Serializable), stale).is_empty());
    assert_eq!(kinds(&rw_register().linearizable_keys(true), stale), ["cyclic-versions"]);
    let own = "0: w x 1\n0: w x 2\n0: r x 1";
    assert_eq!(kinds(&rw_register().sequential_keys(true), own), ["cyclic-versions"]);
    let wfr = "0: r x 1, w x 2\n1: r x 2, w x 1";
    assert!(kinds(&rw_register().wfr_keys(true), wfr).contains(&"cyclic-versions".to_owned()));
    let chain = "0: w x 1, w y 1\n1: r x 1, w x 2, w y 2\n2: r y 1, r x 2";
    let with = rw_register().wfr_keys(true).model(Isolation::Serializable);
    assert_eq!(kinds(&with, chain), ["G-single"], "either order of the writes of y closes a cycle");
    let chain = "0: w x 1, w y 1\n1: r x 1, w x 2, r y 1, w y 2\n2: r y 1, r x 2";
    assert_eq!(kinds(&with, chain), ["G-single"]);
}

#[test]
fn what_cannot_be_judged_is_unknown_and_says_why() {
    for text in ["", "0 fail: w x 1", "0: append x 1", "0: w x 1\n1: w x 1"] {
        let verdict = rw_register().check(&script(text).unwrap());
        assert_eq!(verdict.validity, Validity::Unknown, "{text}");
    }
}

#[test]
fn agrees_with_its_oracle() {
    let (mut compared, mut unknown) = (0, 0);
    let checkers = checkers();
    for seed in 0..4_500 {
        let history = small(seed);
        let txns = plain::plain(&history);
        let Ok(columns) = Transactions::read(&history, Shape::Registers) else { continue };
        let put = |_: &Value, v: &Value| v.clone();
        let serial = plain::serial_order_exists(&txns, &|a, b| a.before(b), &put);
        let (infer, checker) = &checkers[seed as usize % checkers.len()];
        let what = || format!("{infer:?}\n{}", plain::show(&txns));
        let verdict = checker.judge(&columns);
        if verdict.validity == Validity::Unknown {
            assert!(
                verdict.reasons[0].starts_with("incomplete"),
                "{}{:?}",
                what(),
                verdict.reasons
            );
            unknown += 1;
        } else {
            // A transaction may overwrite what it did not read, and read what it overwrites only.
            assert_eq!(serial, verdict.is_valid(), "{}{:#?}", what(), verdict.anomalies);
        }
        let reads = ["G1a", "G1b", "internal", "fuzzy-read", "future-read"];
        if verdict.anomalies.iter().any(|a| reads.contains(&&*a.kind)) {
            continue;
        }
        let cyclic = verdict.anomalies.iter().any(|a| &*a.kind == "cyclic-versions");
        let Some(pairs) = oracle::versions(&txns, *infer) else {
            assert!(cyclic, "{}", what());
            continue;
        };
        assert!(!cyclic, "{}", what());
        let mut report = Report::new("oracle", Isolation::StrictSerializable, &columns);
        let touches = versions::Touches::new(&columns);
        let order = versions::Order::new(&columns, &touches, *infer, &mut report);
        let graph = Graph::new(columns.len(), depend::edges(&columns, &touches, &order));
        let found = cycles::search(&graph, &columns, &Class::all().collect::<Vec<_>>(), 1 << 40);
        let ours: BTreeSet<Class> = found.cycles.iter().map(|(c, _)| *c).collect();
        plain::assert_same_classes(&oracle::cycles(&txns, &pairs), &ours, what);
        compared += 1;
    }
    assert!(compared > 2_500 && unknown < 43, "{compared} {unknown}");
}

/// A healthy history is valid, however long it is: nobody reports the order of its versions, and the
/// search for one must not end with its budget.
#[test]
fn long_healthy_histories_are_valid() {
    for (seed, sessions) in [(1, 3), (2, 10), (3, 20)] {
        let load = Load::new(3_000).sessions(sessions).outcomes(0.02, 0.02).seed(seed);
        let history = load.history(Shape::Registers, Store::StrictSerializable);
        for model in [
            Isolation::StrictSerializable,
            Isolation::Serializable,
            Isolation::SnapshotIsolation,
            Isolation::ReadCommitted,
        ] {
            let verdict = rw_register().model(model).check(&history);
            assert!(verdict.is_valid(), "{model}, {sessions} sessions: {:?}", verdict.reasons);
        }
    }
}

/// So it is with a hundred clients on ten keys, where about ten writes of each key are concurrent.
#[test]
fn healthy_histories_of_a_hundred_clients_are_valid() {
    for (seed, (info, fail)) in (0..6).zip([(0.0, 0.0), (0.02, 0.02), (0.1, 0.02)].repeat(2)) {
        let load = Load::new(1_500).sessions(100).outcomes(info, fail).seed(seed);
        let load = if seed < 3 { load } else { load.writes_per_key(u32::MAX) };
        let history = load.history(Shape::Registers, Store::StrictSerializable);
        for model in [
            Isolation::StrictSerializable,
            Isolation::StrongSessionSerializable,
            Isolation::Serializable,
            Isolation::SnapshotIsolation,
        ] {
            let verdict = rw_register().model(model).check(&history);
            assert!(verdict.is_valid(), "{model}, seed {seed}: {:?}", verdict.reasons);
        }
    }
}

/// Where transactions read from snapshots, those of one hot key conflict, and no serial order is there.
#[test]
fn healthy_snapshots_of_many_clients_are_valid() {
    for seed in 0..2 {
        let load = Load::new(700).sessions(50).outcomes(0.02, 0.02).seed(seed);
        let history = load.history(Shape::Registers, Store::Snapshot);
        let verdict = rw_register().model(Isolation::SnapshotIsolation).check(&history);
        assert!(verdict.is_valid(), "seed {seed}: {:?}", verdict.reasons);
        let serial =
            rw_register().model(Isolation::Serializable).budget_steps(100_000).check(&history);
        assert!(!serial.is_valid(), "seed {seed}");
    }
}

/// What is wrong is found among a hundred clients on hot keys, also where only all orders of versions
/// together refute it.
#[test]
fn what_is_planted_among_a_hundred_clients_is_found() {
    let load = Load::new(400).sessions(100).outcomes(0.02, 0.02);
    let base = load.history(Shape::Registers, Store::StrictSerializable);
    for p in PLANTS.iter().filter(|p| p.checker == "rw_register" && p.option.is_empty()) {
        let verdict = rw_register().check(&plant(&base, base.len() / 2, p));
        let named = verdict.anomalies.iter().any(|a| &*a.kind == p.name);
        assert!(verdict.is_invalid() && named, "{}: {:?}", p.name, verdict.reasons);
    }
    let either = "0: w px 1, w py 1\n1: w px 2, w py 2\n2: r px 1, r py 2";
    let crossed = "0: w px 1\n1: w px 2\n2: r px 1, w py 1\n3: r px 2, w py 2\n4: r px 2, r py 1\n\
        5: r px 1, r py 2";
    for text in [either, crossed] {
        let wrong = splice(&base, base.len() / 2, &script(text).unwrap());
        let verdict = rw_register().model(Isolation::Serializable).check(&wrong);
        assert!(verdict.is_invalid(), "{text}: {:?}", verdict.reasons);
    }
}

/// The number of anomalies is the number that there is, and where a search ended before, it says so.
#[test]
fn what_is_left_out_of_the_sample_is_counted() {
    let mut history = script("9: w z 1").unwrap();
    let count = 40;
    for n in 0..count {
        let text = format!(
            "0: w a{n} 1, r b{n} 1\n1: w b{n} 1, r a{n} 1\n2: w c{n} 1\n3: r c{n} 1, r d{n} 7"
        );
        history = splice(&history, history.len(), &script(&text).unwrap());
    }
    let verdict = rw_register().model(Isolation::ReadCommitted).check(&history);
    assert_eq!(verdict.count("thin-air"), count);
    assert_eq!(verdict.anomalies.iter().filter(|a| &*a.kind == "thin-air").count(), 16);
    assert_eq!(verdict.count("G1c"), 16);
    let says = verdict.reasons.iter().any(|r| r.ends_with("there may be more of G1c"));
    assert!(says, "{:?}", verdict.reasons);
}
