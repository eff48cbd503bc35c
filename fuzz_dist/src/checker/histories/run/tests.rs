//! Runs are valid without an anomaly, and with one it is named, whatever the form of the run.

use super::*;
use crate::checker::{
    AnyChecker, CasRegister, Checker, Mutex, Registers, any_checker, atomic, convergence, counter,
    distinct_register, fifo, independent, lease, linearizable, offset_log, or_set, pn_counter,
    replicated_register, sequential, set, set_full, total_queue, txn, unique_ids,
};

struct Shared(AnyChecker);

impl Checker for Shared {
    fn check(&self, history: &History) -> crate::checker::Verdict {
        self.0.check(history)
    }
}

/// The checker of a name, asked for the anomaly.
fn checker(name: &str, kind: &str) -> AnyChecker {
    let sessions = ["flutter", "read_your_writes", "monotonic_reads"].contains(&kind)
        || kind.starts_with("own_");
    match name {
        "set_full" => any_checker(set_full().linearizable(kind == "stale").sessions(sessions)),
        "set" => any_checker(set()),
        "convergence" => any_checker(convergence()),
        "or_set" => any_checker(or_set().sessions(sessions)),
        "atomic" => any_checker(atomic()),
        "counter" => any_checker(counter()),
        "pn_counter" => any_checker(pn_counter()),
        "unique_ids" => any_checker(unique_ids()),
        "bank" => any_checker(txn::bank(0..5, 100)),
        "total_queue" => any_checker(total_queue()),
        "fifo" => any_checker(fifo()),
        "offset_log" => any_checker(offset_log()),
        "distinct_register" => any_checker(distinct_register()),
        "cas_register" => any_checker(linearizable(CasRegister)),
        "replicated_register" => any_checker(replicated_register()),
        "sequential" => any_checker(sequential(Registers).refuted_by(txn::causal())),
        "lease" => any_checker(lease()),
        "mutex" => any_checker(linearizable(Mutex)),
        other => panic!("no checker `{other}`"),
    }
}

fn all() -> impl Iterator<Item = (Object, &'static str, &'static [&'static str])> {
    let of = |o: Object| o.plants().iter().map(move |(name, kinds)| (o, *name, *kinds));
    Object::ALL.iter().copied().flat_map(of)
}

#[test]
fn without_an_anomaly_every_checker_finds_it_valid() {
    for (object, name, _) in all() {
        for seed in 0..6 {
            let run =
                Run::new(object).operations(20 + 25 * seed as usize).clients(1 + seed as u32 % 9);
            let verdict = checker(name, "").check(&run.history(Seed(seed)));
            assert!(verdict.is_valid(), "{object:?} {name} {seed}: {verdict:#?}");
        }
    }
}

#[test]
fn what_is_planted_is_named() {
    for (object, name, kinds) in all() {
        for kind in kinds {
            for seed in 0..6 {
                let run = Run::new(object).operations(11 * seed as usize).clients(1 + seed as u32);
                let history = run.plant(kind).history(Seed(seed));
                let verdict = checker(name, kind).check(&history);
                let named = verdict.anomalies.iter().any(|a| &*a.kind == *kind);
                assert!(
                    verdict.is_invalid() && named,
                    "{object:?} {name} {kind} {seed}: {verdict:#?}"
                );
            }
        }
    }
}

#[test]
fn keys_are_objects_by_themselves_and_may_be_unequal() {
    for (object, name, kinds) in all().filter(|(o, ..)| *o != Object::Registers) {
        let run = Run::new(object).operations(600).keys(5).skew(2.0).nodes(2);
        let checker = |kind| independent(Shared(checker(name, kind)));
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

#[test]
fn the_seed_and_the_sizes_decide() {
    let run = Run::new(Object::Queue).operations(100).outcomes(0.2, 0.2);
    assert!(run.history(Seed(3)).events().eq(run.history(Seed(3)).events()));
    assert!(!run.history(Seed(3)).events().eq(run.history(Seed(4)).events()));
    let history = run.clients(2).nodes(4).history(Seed(5));
    let main = history
        .events()
        .filter(|e| e.kind == crate::op::Kind::Invoke && e.phase == crate::op::Phase::Main);
    assert_eq!((main.count(), history.nodes().len()), (100, 4));
}

#[test]
#[should_panic(expected = "a run on a queue has no anomaly `stale`")]
fn an_anomaly_that_the_object_cannot_have_is_refused() {
    let _ = Run::new(Object::Queue).plant("stale");
}
