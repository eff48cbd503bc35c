//! Each pattern is found where it is, compared with all pairs looked at one by one.

use super::*;
use crate::Validity;
use crate::txn::generate::{Load, Store, script, splice};
use crate::txn::oracle::{Plain, plain, serial_order_exists, show};
use fuzz_dist_random::{Seed, Stream};

fn verdict(checker: &dyn Checker, text: &str) -> Validity {
    checker.check(&script(text).unwrap()).validity
}

#[test]
fn planted_patterns_are_named_in_long_histories() {
    // One session draws and writes its values in order, so that they only grow.
    let load = Load::new(800).sessions(1);
    let base = load.history(Shape::Registers, Store::StrictSerializable);
    for (checker, name, text) in [
        (&write_skew() as &dyn Checker, "write-skew", "0: r px nil, w py 1\n1: r py nil, w px 1"),
        (
            &monotonic(),
            "not-monotonic",
            "0: w px 1, w py 1\n1: r px 1, r py nil\n2: r px nil, r py 1",
        ),
    ] {
        assert!(checker.check(&base).is_valid());
        let verdict = checker.check(&splice(&base, 300, &script(text).unwrap()));
        assert_eq!(verdict.anomalies.len(), 1);
        assert_eq!(&*verdict.anomalies[0].kind, name);
    }
    let fork = "0: w x 1\n1: w y 1\n2: w z 1\n3: r x 1, r y nil, r z 1\n4: r z 1, r x nil, r y 1";
    let verdict = long_fork().check(&script(fork).unwrap());
    assert_eq!(&*verdict.anomalies[0].kind, "long-fork");
}

#[test]
fn what_proves_nothing_is_unknown() {
    assert_eq!(verdict(&long_fork(), "0: w x 1\n1: w x 2"), Validity::Unknown);
    assert_eq!(verdict(&long_fork(), "0: w x 1"), Validity::Unknown);
    assert_eq!(verdict(&monotonic(), "0: w x a\n1: r x a"), Validity::Unknown);
    assert_eq!(verdict(&write_skew(), ""), Validity::Unknown);
    for checker in [&long_fork() as &dyn Checker, &write_skew(), &monotonic()] {
        assert_eq!(verdict(checker, "0: w x 1\n1: r x 7"), Validity::Invalid);
    }
}

/// Readers of two or three keys, each key written once, with any subset seen.
fn forked(rng: &mut Stream) -> History {
    let mut text = String::from("0: w 0 1\n1: w 1 1\n2: w 2 1\n");
    for process in 3..3 + rng.below(4) {
        let keys = 2 + rng.index(2);
        let read = |k: usize, seen: bool| format!("r {k} {}", if seen { "1" } else { "nil" });
        let reads: Vec<String> = (0..keys).map(|k| read(k, rng.chance(0.6))).collect();
        text.push_str(&format!("{process}: {}\n", reads.join(", ")));
    }
    script(&text).unwrap()
}

#[test]
fn long_forks_are_those_of_all_pairs() {
    let mut rng = Seed(5).stream("forks");
    for _ in 0..4_000 {
        let history = forked(&mut rng);
        let txns = plain(&history);
        let group = |t: &Plain| t.found().iter().map(|f| f.0.clone()).collect::<Vec<_>>();
        let sees = |a: &Plain, b: &Plain| {
            a.found().iter().zip(b.found()).any(|(x, y)| !x.1.is_nil() && y.1.is_nil())
        };
        let forked = txns
            .iter()
            .any(|a| txns.iter().any(|b| group(a) == group(b) && sees(a, b) && sees(b, a)));
        let said = long_fork().check(&history).validity;
        let expected = match forked {
            true => Validity::Invalid,
            false if txns.iter().any(|t| t.found().len() > 1) => Validity::Valid,
            false => Validity::Unknown,
        };
        assert_eq!(said, expected, "{}", show(&txns));
    }
}

#[test]
fn write_skews_and_growth_are_those_of_all_pairs() {
    let (mut skews, mut cycles) = (0, 0);
    for seed in 0..10_000 {
        let mut rng = Seed(seed).stream("pairs");
        let load = Load::new(2 + rng.index(4)).keys(2).sessions(3).ops(1, 3).seed(seed);
        let history = load.history(Shape::Registers, Store::Causal { replicas: 2 });
        let txns = plain(&history);
        let n = txns.len();
        // Growth: all pairs of reads, closed.
        let less = |a: &Plain, b: &Plain| {
            a.found().iter().any(|x| b.found().iter().any(|y| x.0 == y.0 && x.1 < y.1))
        };
        let mut before: Vec<Vec<bool>> = (0..n)
            .map(|i| {
                let session =
                    |j: usize| txns[i].process == txns[j].process && txns[i].before(&txns[j]);
                (0..n).map(|j| i != j && (session(j) || less(&txns[i], &txns[j]))).collect()
            })
            .collect();
        for m in 0..n {
            for i in 0..n {
                for j in 0..n {
                    before[i][j] |= before[i][m] && before[m][j];
                }
            }
        }
        let cyclic = (0..n).any(|i| before[i][i]);
        let said = monotonic().check(&history);
        assert_eq!(said.is_invalid(), cyclic, "{} {said:?}", show(&txns));
        // Write skew with nothing known but the initial value.
        let anti = |a: &Plain, b: &Plain| {
            a.found().iter().any(|f| f.1.is_nil() && b.writes().any(|w| w.0 == f.0))
        };
        let shared = |a: &Plain, b: &Plain| a.writes().any(|x| b.writes().any(|y| x.0 == y.0));
        let skewed = txns
            .iter()
            .enumerate()
            .any(|(i, a)| txns[i + 1..].iter().any(|b| anti(a, b) && anti(b, a) && !shared(a, b)));
        let said = write_skew().check(&history);
        assert!(!skewed || said.is_invalid(), "{}", show(&txns));
        // One that is found has no serial order, whatever the order in time.
        let put = |_: &Value, v: &Value| v.clone();
        let kinds: Vec<&str> = said.anomalies.iter().map(|a| &*a.kind).collect();
        if said.is_invalid() {
            let serial = serial_order_exists(&txns, &|_, _| false, &put);
            assert!(
                !serial && kinds.iter().all(|k| *k == "write-skew"),
                "{} {said:?}",
                show(&txns)
            );
        }
        skews += usize::from(said.is_invalid());
        cycles += usize::from(cyclic);
    }
    assert!(skews > 10 && cycles > 10, "{skews} {cycles}");
}
