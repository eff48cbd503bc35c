//! Each level says what its axiom says.

use super::oracle::Oracle;
use super::{Level, causal, read_atomic, session_guarantees, weak};
use crate::txn::generate::{HIDDEN_CYCLE, HIDDEN_INITIAL, Load, PLANTS, Store, plant, script};
use crate::txn::oracle as plain;
use crate::txn::{Isolation, Shape, Transactions, Weak, list_append, rw_register};
use crate::{Checker, Validity, Verdict};
use fuzz_dist_history::History;
use fuzz_dist_history::op::Value;
use fuzz_dist_random::{Seed, Stream};

fn says(checker: &Weak, text: &str) -> Verdict {
    checker.check(&script(text).unwrap())
}

fn holds(text: &str) -> Vec<&'static str> {
    let levels = Level::ALL.into_iter().filter(|l| says(&weak(*l), text).is_valid());
    levels.map(Level::as_str).collect()
}

#[test]
fn the_same_value_read_twice_from_one_writer_is_fine_at_every_level() {
    assert_eq!(holds("0: w x 1\n1: r x 1, r x 1").len(), Level::ALL.len());
}

#[test]
fn reads_that_go_back_between_transactions_are_read_atomic() {
    let back = "0: w x 1\n1: w x 2\n2: r x 1\n2: r x 2\n2: r x 1";
    assert!(
        says(&read_atomic(), back).is_valid(),
        "the axiom speaks of one transaction and its session's writes"
    );
    assert!(says(&weak(Level::MonotonicReads), back).is_invalid());
    assert!(says(&causal(), back).is_invalid());
    assert!(says(&weak(Level::WeakCausal), back).is_valid(), "x 1 and x 2 are concurrent");
}

#[test]
fn the_initial_value_precedes_every_session() {
    let own = "0: w x 1\n0: r x nil";
    assert!(!holds(own).contains(&"read-atomic"));
    assert!(!holds(own).contains(&"causal") && !holds(own).contains(&"weak-causal"));
    assert!(holds(own).contains(&"axiomatic-read-committed"));
    let chain = "0: w x 1\n1: r x 1\n1: w y 1\n2: r y 1\n2: r x nil";
    assert!(holds(chain).contains(&"read-atomic"));
    assert!(!holds(chain).contains(&"causal") && !holds(chain).contains(&"weak-causal"));
}

/// One name, one meaning: PL-2 lets a transaction read backwards, the axiom does not, and each has
/// a name of its own.
#[test]
fn read_committed_is_pl_2_and_the_axiom_has_another_name() {
    let backwards = "0: w x 1\n0: w x 2\n1: r x 2, r x 1";
    let pl_2 = rw_register().model("read-committed".parse::<Isolation>().unwrap());
    assert!(pl_2.check(&script(backwards).unwrap()).is_valid());
    let axiom = weak("axiomatic-read-committed".parse().unwrap());
    assert!(says(&axiom, backwards).is_invalid());
    let why = "read-committed".parse::<Level>().unwrap_err();
    assert!(why.contains("PL-2") && why.contains("axiomatic-read-committed"), "{why}");
    for level in Level::ALL {
        let same = level.as_str().parse::<Isolation>();
        let known = [Level::AxiomaticReadCommitted, Level::WeakCausal, Level::CausalMemory];
        assert_eq!(same.is_err(), known.contains(&level), "{}", level.as_str());
    }
}

#[test]
fn a_value_that_nobody_wrote_is_invalid_at_every_level() {
    for level in Level::ALL {
        let verdict = says(&weak(level), "0: w x 1\n1: r x 7");
        assert_eq!(&*verdict.anomalies[0].kind, "thin-air");
        assert!(says(&weak(level), "0 fail: w x 1\n1: r x 1").is_invalid());
        assert!(says(&weak(level), "0: w x 1, w x 2\n1: r x 1").is_invalid());
        assert!(says(&weak(level), "0: w x 1, r x nil").is_invalid());
        assert!(says(&weak(level), "0 info: w x 1\n1: r x 1").is_valid());
    }
}

#[test]
fn writers_that_only_their_session_orders_violate_read_committed_when_read_backwards() {
    let verdict = says(&weak(Level::AxiomaticReadCommitted), "0: w x 1\n0: w x 2\n1: r x 2, r x 1");
    assert_eq!(&*verdict.anomalies[0].kind, "stale-read");
    let text = &verdict.anomalies[0].explanation;
    assert!(
        text.contains(
            "though T2, which wrote \"x\", is visible to it: it read \"x\" as 2 from it earlier"
        ),
        "{text}"
    );
    assert!(
        says(&weak(Level::AxiomaticReadCommitted), "0: w x 1\n0: w x 2\n1: r x 1, r x 2")
            .is_valid()
    );
}

#[test]
fn causal_memory_and_causal_convergence_do_not_imply_one_another() {
    for text in [HIDDEN_INITIAL, HIDDEN_CYCLE] {
        assert!(holds(text).contains(&"causal") && !holds(text).contains(&"causal-memory"));
    }
    let two_orders = "0: w px 1\n1: w px 2\n2: r px 1\n2: r px 2\n3: r px 2\n3: r px 1";
    assert!(holds(two_orders).contains(&"causal-memory") && !holds(two_orders).contains(&"causal"));
    assert!(holds(two_orders).contains(&"weak-causal"));
}

#[test]
fn bad_patterns_of_causality_are_named() {
    let initial = "0: w px 1\n1: r px 1\n1: w py 1\n2: r py 1\n2: r px nil";
    let stale = "0: w px 1\n1: r px 1\n1: w px 2\n2: r px 2\n2: r px 1";
    let order = "0: w px 1\n1: w px 2\n2: r px 1\n2: r px 2\n3: r px 2\n3: r px 1";
    let causality = "0: w px 1, r py 1\n1: w py 1, r px 1";
    for (level, text, pattern) in [
        ("cc", causality, "CyclicCO"),
        ("ccv", causality, "CyclicCO"),
        ("cm", causality, "CyclicCO"),
        ("cc", initial, "WriteCOInitRead"),
        ("ccv", initial, "WriteCOInitRead"),
        ("cm", initial, "WriteCOInitRead"),
        ("cc", stale, "WriteCORead"),
        ("ccv", stale, "WriteCORead"),
        ("cm", stale, "WriteCORead"),
        ("causal-convergence", order, "CyclicCF"),
        ("causal-memory", HIDDEN_INITIAL, "WriteHBInitRead"),
        ("causal-memory", HIDDEN_CYCLE, "CyclicHB"),
    ] {
        let verdict = says(&weak(level.parse().unwrap()), text);
        let text = verdict.anomalies.first().map(|a| a.explanation.clone()).unwrap_or_default();
        assert!(text.ends_with(&format!("\npattern: {pattern}")), "{level} {pattern}: {text}");
    }
}

#[test]
fn what_follows_for_a_session_is_reported_step_by_step() {
    let verdict = says(&weak(Level::CausalMemory), HIDDEN_INITIAL);
    let text = &verdict.anomalies[0].explanation;
    assert!(text.contains("for client 1: ") && text.contains(", as said"), "{text}");
}

#[test]
fn each_planted_anomaly_is_named_among_thousands_of_good_transactions() {
    let store = Store::Causal { replicas: 3 };
    let base =
        Load::new(1500).keys(20).sessions(9).outcomes(0.01, 0.03).history(Shape::Registers, store);
    for level in Level::ALL {
        let clean = weak(level).check(&base);
        assert!(clean.is_valid(), "{level:?} {:?}", clean.anomalies.first());
    }
    let mut levels = std::collections::BTreeSet::new();
    for p in PLANTS.iter().filter(|p| p.checker == "weak") {
        let level: Level = p.option.strip_prefix("level=").unwrap().parse().unwrap();
        let name = p.name;
        levels.insert(level);
        for at in [0, base.len() / 2, base.len()] {
            let verdict = weak(level).check(&plant(&base, at, p));
            assert!(verdict.is_invalid(), "{level:?} {name}: {:?}", verdict.reasons);
            assert_eq!(&*verdict.anomalies[0].kind, name, "{level:?}");
            assert_eq!(verdict.anomalies.len(), 1, "{level:?} {name}");
        }
    }
    assert_eq!(levels.len(), Level::ALL.len());
}

#[test]
fn session_guarantees_are_judged_each_by_itself() {
    let verdict = session_guarantees().check(&script("0: w x 1\n0: r x nil").unwrap());
    assert!(verdict.is_invalid());
    let bad: Vec<&str> =
        verdict.parts.iter().filter(|p| p.is_invalid()).map(|p| &*p.checker).collect();
    assert_eq!(bad, ["read_your_writes"]);
}

#[test]
fn too_many_sessions_for_the_memory_are_unknown() {
    let history = Load::new(300).history(Shape::Registers, Store::Causal { replicas: 2 });
    let verdict = causal().memory_bytes(1000).check(&history);
    assert_eq!(verdict.validity, Validity::Unknown);
    assert!(verdict.reasons[0].starts_with("budget"));
}

#[test]
fn what_cannot_be_judged_is_unknown_and_says_why() {
    for (text, why) in [
        ("", "no transactions"),
        ("0 fail: w x 1", "none of the 1"),
        ("0: append x 1", "`w` or `r`"),
        ("0: w x 1\n1: w x 1", "twice"),
        ("0: w x nil", "other than nil"),
    ] {
        let verdict = says(&causal(), text);
        assert_eq!(verdict.validity, Validity::Unknown, "{text}");
        assert!(verdict.reasons[0].contains(why), "{:?}", verdict.reasons);
    }
}

/// Small histories from databases of all kinds, most of them with some reads changed.
pub(crate) fn small(seed: u64) -> History {
    let mut rng = Seed(seed).stream("small");
    let n = 2 + rng.index(4);
    let load = Load::new(n).keys(2).sessions(3).ops(1, 3).outcomes(0.08, 0.08).seed(seed);
    let history = match rng.index(3) {
        0 => load.history(Shape::Registers, Store::Causal { replicas: 2 }),
        1 => load.history(Shape::Registers, Store::Snapshot),
        _ => load.history(Shape::Registers, Store::StrictSerializable),
    };
    if rng.chance(0.2) {
        return history;
    }
    let txns = plain::plain(&history);
    let other = |rng: &mut Stream, k: &Value, _: &Value| {
        let written: Vec<&Value> =
            txns.iter().flat_map(|t| t.writes()).filter(|w| w.0 == k).map(|w| w.1).collect();
        if rng.chance(0.2) {
            Value::Nil
        } else {
            rng.choose(&written).copied().cloned().unwrap_or_default()
        }
    };
    plain::disturb(&history, &mut rng, other)
}

#[test]
fn every_level_agrees_with_its_oracle() {
    let mut valid = [0; Level::ALL.len()];
    let mut invalid = [0; Level::ALL.len()];
    for seed in 0..5_000 {
        let history = small(seed);
        let txns = plain::plain(&history);
        let Ok(columns) = Transactions::read(&history, Shape::Registers) else { continue };
        let oracle = Oracle::new(&txns);
        for (i, level) in Level::ALL.into_iter().enumerate() {
            let expected = oracle.as_ref().is_some_and(|t| t.holds(level));
            let verdict = weak(level).judge(&columns);
            let said = (verdict.is_valid(), verdict.is_invalid());
            assert_eq!(
                said,
                (expected, !expected),
                "{level:?}\n{}{verdict:#?}",
                plain::show(&txns)
            );
            valid[i] += u32::from(expected);
            invalid[i] += u32::from(!expected && oracle.is_some());
        }
    }
    assert!(valid.iter().all(|n| *n > 1_400), "{valid:?}");
    assert!(invalid.iter().all(|n| *n > 5), "{invalid:?}");
}

/// One name, one meaning: whichever checker is asked for a level, its verdict is that of the axiom.
#[test]
fn each_name_of_a_level_has_one_meaning() {
    let named = |level: Level| Some((level.as_str().parse::<Isolation>().ok()?, level, true));
    let mut pairs: Vec<(Isolation, Level, bool)> =
        Level::ALL.into_iter().filter_map(named).collect();
    assert_eq!(pairs.len(), 6);
    pairs.push((Isolation::MonotonicAtomicView, Level::AxiomaticReadCommitted, false));
    pairs.push((Isolation::CausalCerone, Level::Causal, false));
    let two_reads = script("0: r 1 nil, r 1 1, w 0 1\n1 info: w 1 1").unwrap();
    for history in (0..800).map(small).chain([two_reads]) {
        let Ok(txns) = Transactions::read(&history, Shape::Registers) else { continue };
        let alone = txns.without_sessions();
        for (model, level, sessions) in &pairs {
            let named = rw_register().model(*model).judge(&txns);
            let axiom = weak(*level).judge(if *sessions { &txns } else { &alone });
            let show = || plain::show(&plain::plain(&history));
            assert_eq!(named.validity, axiom.validity, "{model}\n{}{named:#?}{axiom:#?}", show());
        }
        let validity = |model| rw_register().model(model).judge(&txns).validity;
        let parts = [Level::ReadYourWrites, Level::MonotonicReads, Level::MonotonicWrites];
        let all = Verdict::compose("PRAM", parts.map(|level| weak(level).judge(&txns)));
        assert_eq!(validity(Isolation::Pram), all.validity);
    }
}

/// What lists show besides can only refute more.
#[test]
fn each_name_of_a_level_has_the_same_meaning_for_lists() {
    let (mut valid, mut invalid) = (0, 0);
    for seed in 0..500 {
        let history = crate::txn::append::tests::small(seed);
        let Ok(txns) = Transactions::read(&history, Shape::Lists) else { continue };
        let registers = txns.as_registers();
        for level in Level::ALL {
            let Ok(model) = level.as_str().parse::<Isolation>() else { continue };
            let named = list_append().model(model).judge(&txns);
            let axiom = weak(level).judge(&registers);
            let show = || plain::show(&plain::plain(&history));
            let what = || format!("{model}\n{}{named:#?}{axiom:#?}", show());
            assert!(!axiom.is_invalid() || named.is_invalid(), "{}", what());
            assert!(!named.is_valid() || axiom.is_valid(), "{}", what());
            valid += u32::from(named.is_valid());
            invalid += u32::from(named.is_invalid());
        }
    }
    assert!(valid > 200 && invalid > 200, "{valid} {invalid}");
}

#[test]
fn long_lists_of_writers_are_searched_as_short_ones_are_scanned() {
    for seed in 0..6 {
        let load = Load::new(1200).keys(2).sessions(6).skew(1.0).writes_per_key(100_000).seed(seed);
        let history = load.history(Shape::Registers, Store::Causal { replicas: 3 });
        assert!(causal().check(&history).is_valid());
        let mut rng = Seed(seed).stream("stale");
        let at = 200 + rng.index(800);
        let mut stale = History::new(["n1"]);
        let mut back = None;
        for (i, mut event) in history.events().enumerate() {
            // One late read gets the value that some read of the key gave early.
            let ops = event.value.as_list().unwrap().to_vec();
            let read = |op: &Value| matches!(op.as_list(), Some([f, k, v]) if f.as_text() == Some("r") && k.as_int() == Some(0) && !v.is_nil());
            if ops.len() == 1 && read(&ops[0]) {
                if back.is_none() {
                    back = Some(ops[0].clone());
                } else if i > at + 600 && back != Some(Value::Nil) {
                    event.value = Value::list([back.replace(Value::Nil).unwrap()]);
                }
            }
            stale.push(event).unwrap();
        }
        assert_eq!(back, Some(Value::Nil), "the history was changed");
        let verdict = causal().check(&stale);
        assert!(verdict.is_invalid(), "{seed} {:?}", verdict.reasons);
    }
}
