//! `list_append` names what is there, and nothing else.

use std::collections::BTreeSet;

use super::oracle;
use crate::txn::core::cycles::{self, Class};
use crate::txn::core::graph::Graph;
use crate::txn::generate::{Load, PLANTS, Store, plant, script};
use crate::txn::oracle as plain;
use crate::txn::{Isolation, Shape, Transactions, list_append};
use crate::{Checker, Validity};
use fuzz_dist_history::op::{Kind, Value};
use fuzz_dist_random::{Seed, Stream};

fn kinds(text: &str) -> Vec<String> {
    let verdict = list_append().check(&script(text).unwrap());
    verdict.anomalies.iter().map(|a| a.kind.to_string()).collect()
}

#[test]
fn each_planted_anomaly_is_named_among_thousands_of_good_transactions() {
    let base =
        Load::new(1500).outcomes(0.02, 0.05).history(Shape::Lists, Store::StrictSerializable);
    let clean = list_append().check(&base);
    assert!(clean.is_valid(), "{clean:?}");
    for p in PLANTS.iter().filter(|p| p.checker == "list_append") {
        for at in [0, base.len() / 2, base.len()] {
            let verdict = list_append().check(&plant(&base, at, p));
            assert!(verdict.is_invalid(), "{} at {at}", p.name);
            let named = verdict.anomalies.iter().any(|a| &*a.kind == p.name);
            assert!(named, "{} at {at}: {:?}", p.name, verdict.reasons);
        }
    }
}

#[test]
fn a_plant_alone_shows_no_worse_class_than_its_own() {
    for p in PLANTS.iter().filter(|p| p.checker == "list_append") {
        let Some(class) = Class::all().find(|c| c.name() == p.name) else { continue };
        let named = kinds(p.script);
        let worse = Class::all().find(|c| {
            *c != class
                && c.base <= class.base
                && c.level <= class.level
                && named.contains(&c.name().to_owned())
        });
        assert_eq!(worse, None, "{}: {named:?}", p.name);
    }
}

#[test]
fn generated_histories_are_what_their_database_promises() {
    for seed in 0..20 {
        let load = Load::new(400).keys(4).sessions(8).outcomes(0.05, 0.05).seed(seed);
        let strict = load.history(Shape::Lists, Store::StrictSerializable);
        let verdict = list_append().check(&strict);
        assert!(verdict.is_valid(), "{:?}", verdict.anomalies);
        let load = Load::new(400).keys(12).sessions(4).seed(seed);
        let snapshot = load.history(Shape::Lists, Store::Snapshot);
        let verdict = list_append().model(Isolation::StrongSnapshotIsolation).check(&snapshot);
        assert!(verdict.is_valid(), "{:?}", verdict.anomalies.first());
        let strict = list_append().model(Isolation::Serializable).check(&snapshot);
        assert!(strict.anomalies.iter().all(|a| &*a.kind == "G2-item"), "{:?}", strict.reasons);
    }
}

#[test]
fn the_verdict_says_what_is_left() {
    let text = "0: r x [], append y 1\n1: r y [], append x 1\n--\n2: r x [1], r y [1]";
    let verdict = list_append().model(Isolation::Serializable).check(&script(text).unwrap());
    assert_eq!(
        verdict.reasons[0],
        "not serializable: G2-item; at best update-serializable or strong-snapshot-isolation"
    );
    let text = &verdict.anomalies[0].explanation;
    assert!(
        text.contains("T1 before T2 (rw): it read \"y\" as [], before the other appended 1")
            || text.contains("T1 before T2 (rw): it read \"x\" as [], before the other appended 1"),
        "{text}"
    );
    assert_eq!(verdict.anomalies[0].events, [0, 1, 2, 3]);
}

#[test]
fn what_cannot_be_judged_is_unknown_and_says_why() {
    let check = |text: &str| {
        let verdict = list_append().check(&script(text).unwrap());
        assert_eq!(verdict.validity, Validity::Unknown, "{text}");
        verdict.reasons[0].clone()
    };
    assert!(check("").contains("no transactions"));
    assert!(check("0 fail: append x 1").contains("none of the 1"));
    assert!(check("0: w x 1").contains("append"));
    assert!(check("0: r x 1").contains("a list"));
    assert!(check("0: append x 1\n1: append x 1").contains("twice"));
    assert!(kinds("0 fail: append x 1\n--\n0: append x 1\n--\n0: r x [1]").is_empty());
}

#[test]
fn a_lost_append_shows_in_real_time_even_if_nobody_ever_saw_it() {
    assert_eq!(kinds("0: append x 1\n--\n1: r x []"), ["G-single-realtime"]);
    assert!(kinds("0: append x 1\n1: r x []").is_empty());
    assert!(kinds("0 info: append x 1\n--\n1: r x []").is_empty());
}

#[test]
fn a_spent_budget_is_unknown_and_never_valid() {
    let text = "0: append x 1, append y 1\n1: append x 2, append y 2\n--\n2: r x [1 2], r y [2 1]";
    let verdict = list_append().budget_steps(0).check(&script(text).unwrap());
    assert_eq!(verdict.validity, Validity::Unknown);
    assert!(verdict.reasons[0].starts_with("budget"), "{:?}", verdict.reasons);
}

/// Small histories: half of them from a correct database, with reads cut short at random.
pub(in crate::txn) fn small(seed: u64) -> fuzz_dist_history::History {
    let mut rng = Seed(seed).stream("small");
    let n = 2 + rng.index(4);
    let load =
        Load::new(n).keys(2).sessions(3).ops(1, 3).write_share(0.5).outcomes(0.1, 0.1).seed(seed);
    let store = if rng.chance(0.5) { Store::Snapshot } else { Store::StrictSerializable };
    let history = load.history(Shape::Lists, store);
    if rng.chance(0.2) {
        return history;
    }
    let mut orders: std::collections::BTreeMap<Value, Vec<Value>> = Default::default();
    for t in plain::plain(&history) {
        for (k, v) in t.writes() {
            orders.entry(k.clone()).or_default().push(v.clone());
        }
    }
    orders.values_mut().for_each(|o| {
        if rng.chance(0.3) {
            rng.shuffle(o)
        }
    });
    let cut = |rng: &mut Stream, k: &Value, _: &Value| {
        let order = orders.get(k).cloned().unwrap_or_default();
        Value::list(order[..rng.index(order.len() + 1)].iter().cloned())
    };
    plain::disturb(&history, &mut rng, cut)
}

#[test]
fn agrees_with_its_oracle() {
    let (mut valid, mut compared) = (0, 0);
    for seed in 0..5_000 {
        let history = small(seed);
        let txns = plain::plain(&history);
        let what = || plain::show(&txns);
        let Ok(columns) = Transactions::read(&history, Shape::Lists) else { continue };
        let verdict = list_append().judge(&columns);
        assert_ne!(verdict.validity, Validity::Unknown, "{}{:?}", what(), verdict.reasons);
        let put = |held: &Value, v: &Value| {
            let mut list = held.as_list().unwrap_or_default().to_vec();
            list.push(v.clone());
            Value::list(list)
        };
        let serial = plain::serial_order_exists(&txns, &|a, b| a.before(b), &put);
        if serial {
            assert!(verdict.is_valid(), "{}{:?}", what(), verdict.anomalies);
            valid += 1;
        }
        let Some(orders) = oracle::orders(&txns) else {
            assert!(verdict.is_invalid(), "{}", what());
            continue;
        };
        let seen = |k: &Value, v: &Value| orders.get(k).is_some_and(|o| o.contains(v));
        let all_seen =
            txns.iter().filter(|t| t.kind == Kind::Ok).all(|t| t.writes().all(|(k, v)| seen(k, v)));
        if all_seen {
            assert_eq!(serial, verdict.is_valid(), "{}{:?}", what(), verdict.anomalies);
        }
        let places = super::depend::Places::new(&columns);
        let graph = Graph::new(columns.len(), super::depend::edges(&columns, &places));
        let found = cycles::search(&graph, &columns, &Class::all().collect::<Vec<_>>(), 1 << 40);
        let ours: BTreeSet<Class> = found.cycles.iter().map(|(c, _)| *c).collect();
        let all = oracle::cycles(&txns, &orders);
        plain::assert_same_classes(&all, &ours, what);
        // What the verdict names is there, too.
        for anomaly in &verdict.anomalies {
            let class = Class::all().find(|c| c.name() == &*anomaly.kind);
            assert!(class.is_none_or(|c| all.contains(&c)), "{}{anomaly:?}", what());
        }
        compared += 1;
    }
    assert!(valid > 800 && compared > 3_700, "{valid} valid, {compared} compared");
}

/// Appends of a key that no read shows, with reads of what was there before: many of either.
#[test]
fn many_appends_that_no_read_shows_are_valid_unless_a_read_should_have_shown_one() {
    for (appends, reads, all) in [(3, 2, true), (12, 0, true), (12, 2, false), (40, 60, false)] {
        let mut text = String::from("0: append x 1, append y 1\n--\n");
        (0..reads).for_each(|i| text += &format!("{i}: r x [1]\n"));
        (0..appends).for_each(|i| text += &format!("{}: append x {}\n", 100 + i, 100 + i));
        let open = script(&text).unwrap();
        let columns = Transactions::read(&open, Shape::Lists).unwrap();
        let whole = super::depend::Places::new(&columns).whole;
        assert_eq!(whole, all, "edges to all, or to some");
        for model in [Isolation::StrictSerializable, Isolation::SnapshotIsolation] {
            assert!(list_append().model(model).check(&open).is_valid(), "{appends}, {reads}");
        }
        // The last of them ended before this read began.
        text += "--\n0: r x [1]";
        let verdict = list_append().check(&script(&text).unwrap());
        assert_eq!(&*verdict.anomalies[0].kind, "G-single-realtime", "{appends}, {reads}");
    }
}

/// An append that got no edges, since there are too many that no read shows, and a read that knows its
/// transaction and lacks it: no edges are cyclic, and yet it is not valid.
#[test]
fn an_append_without_edges_is_no_proof_that_nothing_is_cyclic() {
    let mut text = String::from("0: append x 1\n--\n");
    (0..60).for_each(|i| text += &format!("{i}: r x [1]\n"));
    (0..40).for_each(|i| text += &format!("{}: append x {}\n", 100 + i, 100 + i));
    let late = "--\n200: append x 200, append y 1\n--\n";
    for (read, holds) in [("r x [1], r y [1]", false), ("r y [1]", true)] {
        let history = script(&format!("{text}{late}201: {read}")).unwrap();
        let columns = Transactions::read(&history, Shape::Lists).unwrap();
        let places = super::depend::Places::new(&columns);
        let graph = Graph::new(columns.len(), super::depend::edges(&columns, &places));
        assert!(graph.is_acyclic() && !places.whole, "{read}");
        let verdict = list_append().model(Isolation::Serializable).check(&history);
        assert_eq!(verdict.is_valid(), holds, "{verdict:#?}");
    }
}

/// Two transactions that each read what the other one overwrites, which snapshots allow, unless both
/// write a key, too, whichever comes first there.
#[test]
fn the_order_of_appends_that_no_read_shows_counts_where_something_is_cyclic() {
    for (more, holds) in [([", append x 1", ", append x 2"], false), ([", append x 1", ""], true)] {
        let text = format!(
            "0: r a [], append b 1{}\n1: r b [], append a 1{}\n--\n2: r a [1], r b [1]",
            more[0], more[1]
        );
        let history = script(&text).unwrap();
        let columns = Transactions::read(&history, Shape::Lists).unwrap();
        assert!(super::depend::Places::new(&columns).whole);
        let verdict = list_append().model(Isolation::SnapshotIsolation).check(&history);
        assert_eq!((verdict.is_valid(), verdict.is_invalid()), (holds, !holds), "{verdict:#?}");
    }
}

#[test]
fn renaming_changes_nothing_and_reads_left_out_keep_it_valid() {
    for seed in 0..300 {
        let history = small(seed);
        let verdict = list_append().check(&history);
        let mut renamed = fuzz_dist_history::History::new(["other"]);
        let mut fewer = fuzz_dist_history::History::new(["n1"]);
        for mut event in history.events() {
            let ops = event.value.as_list().unwrap().to_vec();
            let pure = ops.iter().all(|o| o.as_list().unwrap()[0].as_text() == Some("r"));
            if !pure {
                fewer.push(event.clone()).unwrap();
            }
            event.process.0 = 100 - event.process.0;
            event.value = Value::list(ops.iter().map(|op| {
                let [f, k, v] = op.as_list().unwrap() else { unreachable!() };
                let name = |v: &Value| Value::from(format!("v{v}"));
                let v = match v {
                    Value::List(items) => Value::list(items.iter().map(name)),
                    Value::Nil => Value::Nil,
                    v => name(v),
                };
                Value::list([f.clone(), Value::from(format!("k{k}")), v])
            }));
            renamed.push(event).unwrap();
        }
        let again = list_append().check(&renamed);
        assert_eq!(again.summary(), verdict.summary());
        if verdict.is_valid() {
            assert!(!list_append().check(&fewer).is_invalid());
        }
    }
}

/// Of each component and class the shortest cycle is shown.
#[test]
fn the_shortest_cycle_is_shown_wherever_it_is_found() {
    // Each transaction appends to the keys of its edges, and reads what came over them.
    let text = |edges: &[(usize, usize)]| {
        let txn = |t: usize| {
            let out = edges.iter().enumerate().filter(|(_, e)| e.0 == t);
            let out = out.map(|(k, _)| format!("append k{k} 1"));
            let came = edges.iter().enumerate().filter(|(_, e)| e.1 == t);
            let came = came.map(|(k, _)| format!("r k{k} [1]"));
            let ops: Vec<String> = out.chain(came).collect();
            format!("{t}: {}\n", ops.join(", "))
        };
        let last = edges.iter().map(|e| e.0.max(e.1)).max().unwrap();
        (0..=last).map(txn).collect::<String>()
    };
    let three = [(0, 1), (1, 2), (2, 0)];
    let two = [(1, 3), (3, 1)];
    let four = [(1, 3), (3, 4), (4, 5), (5, 1)];
    for (edges, length) in [([&three[..], &two].concat(), 2), ([&three[..], &four].concat(), 3)] {
        let verdict = list_append().check(&script(&text(&edges)).unwrap());
        let [anomaly] = &verdict.anomalies[..] else { panic!("{verdict:#?}") };
        assert_eq!((&*anomaly.kind, anomaly.events.len()), ("G1c", 2 * length), "{anomaly:?}");
    }
    // Of many components that have one each, at least as many are found as a verdict shows.
    let many: Vec<_> = (0..20).flat_map(|i| [(2 * i, 2 * i + 1), (2 * i + 1, 2 * i)]).collect();
    let history = script(&text(&many)).unwrap();
    let columns = Transactions::read(&history, Shape::Lists).unwrap();
    let places = super::depend::Places::new(&columns);
    let graph = Graph::new(columns.len(), super::depend::edges(&columns, &places));
    let found = cycles::search(&graph, &columns, &Class::all().collect::<Vec<_>>(), 1 << 40);
    assert!(found.cycles.iter().all(|(class, steps)| class.name() == "G1c" && steps.len() == 2));
    assert_eq!(found.cycles.len(), cycles::PER_CLASS_MAX);
}

/// Each class is found so many times, whatever class its cycles turn out to be of: many components
/// take no more searches than a few, and what is elsewhere is still found.
#[test]
fn many_components_do_not_make_a_search_long() {
    let circle = |i| format!("0: append a{i} 1, r b{i} [1]\n1: append b{i} 1, r a{i} [1]\n");
    let mut text: String = (0..400).map(circle).collect();
    text.push_str("2: append s 1, append t 1\n3: r s [], r t [1]\n--\n");
    text.push_str("4: r v [], append w 1\n5: r w [], append v 1\n--\n2: r s [1], r v [1], r w [1]");
    let history = script(&text).unwrap();
    let columns = Transactions::read(&history, Shape::Lists).unwrap();
    let places = super::depend::Places::new(&columns);
    let graph = Graph::new(columns.len(), super::depend::edges(&columns, &places));
    let all: Vec<Class> = Class::all().collect();
    let found = cycles::search(&graph, &columns, &all, 1 << 40);
    let of = |name| found.cycles.iter().filter(|(class, _)| class.name() == name).count();
    assert_eq!((of("G1c"), of("G-single"), of("G2-item")), (cycles::PER_CLASS_MAX, 1, 1));
    assert!(found.met.values().all(|n| *n <= cycles::PER_CLASS_MAX), "{:?}", found.met);
    let verdict = list_append().check(&history);
    let says = verdict
        .reasons
        .iter()
        .any(|r| r.ends_with("there may be more of G1c, G1c-process, G1c-realtime"));
    assert!(verdict.is_invalid() && says, "{:?}", verdict.reasons);
}

/// Whatever the number of classes that the budget was not enough for, and however long the cycle.
#[test]
fn a_search_that_ends_early_says_so() {
    let text = |n: usize| {
        let txn = |t| format!("{t}: append k{t} 1, r k{} [1]\n", (t + 1) % n);
        (0..n).map(txn).collect::<String>()
    };
    for (length, budget, gives_up) in [(2, 0, true), (40, 10, true), (40, 1 << 20, false)] {
        let history = script(&text(length)).unwrap();
        let columns = Transactions::read(&history, Shape::Lists).unwrap();
        let places = super::depend::Places::new(&columns);
        let graph = Graph::new(columns.len(), super::depend::edges(&columns, &places));
        let all: Vec<Class> = Class::all().filter(|c| c.name() != "G0").collect();
        for wanted in 1..=all.len() {
            let found = cycles::search(&graph, &columns, &all[..wanted], budget);
            assert_eq!(found.gave_up, gives_up, "{length} {budget} {:?}", &all[..wanted]);
            assert_eq!(found.cycles.len(), usize::from(!gives_up), "{length} {budget}");
        }
    }
}

/// What a cycle of the same transactions says already is not said again.
#[test]
fn classes_that_a_found_one_implies_are_left_out() {
    let g0 = "0: append x 1, append y 1\n1: append x 2, append y 2\n--\n2: r x [1 2], r y [2 1]";
    assert_eq!(kinds(g0), ["G0"]);
    // A dirty circle, and around it two anti-dependencies that follow one another: neither implies the other.
    let wider = "0: append x 1, r y [1], append d 1\n1: r x [1], append y 1, append z 1\n\
                 2: r z [1], r c []\n3: append c 1, r d []\n--\n4: r c [1], r d [1]";
    assert_eq!(kinds(wider), ["G1c", "G2-item"]);
    let with_g1c = "0: append x 1, append y 1, r z [1]\n1: append x 2, append y 2, append z 1\n--\n\
                    2: r x [1 2], r y [2 1]";
    assert_eq!(kinds(with_g1c), ["G0", "G1c"]);
    // A write skew beside a dirty circle, and beside a read skew, which is one anti-dependency.
    let skew = "r a [], append b 1";
    let g1c = format!(
        "0: {skew}, append x 1, r y [1]\n1: r b [], append a 1, append y 1, r x [1]\n--\n2: r a [1], r b [1]"
    );
    assert_eq!(kinds(&g1c), ["G1c", "G-single"]);
    let single =
        format!("0: {skew}, append x 1\n1: r b [], append a 1, r x [1]\n--\n2: r a [1], r b [1]");
    assert_eq!(kinds(&single), ["G-single"]);
    let skew = format!("0: {skew}\n1: r b [], append a 1\n--\n2: r a [1], r b [1]");
    assert_eq!(kinds(&skew), ["G2-item"]);
}
