//! Witnesses that hold are confirmed, and wrong ones are reported as mistakes of the checker.

use super::*;
use crate::histories::{Object, Run};
use crate::{
    AnyChecker, Validity, any_checker, atomic, convergence, counter, distinct_register, fifo,
    lease, offset_log, or_set, pn_counter, replicated_register, set, set_full, total_queue, txn,
    unique_ids,
};
use fuzz_dist_random::Seed;

type Rule = fn(&Facts<'_>, &Anomaly) -> Held;

/// A checker, asked for everything that it can find, and the rule for its witnesses.
fn checker(name: &str, kind: &str) -> Option<(AnyChecker, Rule)> {
    let sessions = ["flutter", "read_your_writes", "monotonic_reads"].contains(&kind)
        || kind.starts_with("own_");
    Some(match name {
        "set_full" => {
            (any_checker(set_full().sessions(sessions).linearizable(kind == "stale")), |f, a| {
                super::set_full(f, a, "add", "read")
            })
        }
        "set" => (any_checker(set()), |f, a| super::set(f, a, "add", "read")),
        "or_set" => (any_checker(or_set().sessions(sessions)), |f, a| {
            super::or_set(f, a, ["add", "remove", "read"], false)
        }),
        "atomic" => (any_checker(atomic()), |f, a| super::atomic(f, a, ["write", "abort", "read"])),
        "convergence" => (any_checker(convergence()), |f, a| super::convergence(f, a, false)),
        "unique_ids" => (any_checker(unique_ids()), |f, a| super::unique_ids(f, a, "generate")),
        "lease" => (any_checker(lease()), |f, a| super::lease(f, a, None)),
        "replicated_register" => (any_checker(replicated_register()), super::replicated_register),
        "distinct_register" => (any_checker(distinct_register()), super::distinct_register),
        "counter" => (any_checker(counter()), super::counter),
        "pn_counter" => (any_checker(pn_counter()), |f, a| super::pn_counter(f, a, "read")),
        "total_queue" => (any_checker(total_queue()), super::total_queue),
        "fifo" => (any_checker(fifo()), super::fifo),
        "offset_log" => (any_checker(offset_log()), |f, a| super::offset_log(f, a, false)),
        "bank" => (any_checker(txn::bank(0..5, 100)), |f, a| {
            let accounts: Vec<Value> = (0..5).map(Value::Int).collect();
            super::bank(f, a, &accounts, 100, false)
        }),
        _ => return None,
    })
}

/// Every anomaly that can be planted, with the verdict about it.
fn all(mut each: impl FnMut(&str, &str, &History, Verdict, Rule)) {
    for object in Object::ALL {
        for (name, kinds) in object.plants() {
            for kind in *kinds {
                let Some((checker, rule)) = checker(name, kind) else { continue };
                for seed in 0..4 {
                    let run = Run::new(*object).operations(14 * seed as usize).plant(kind);
                    let history = run.history(Seed(seed));
                    let verdict = checker.check(&history);
                    each(name, kind, &history, verdict, rule);
                }
            }
        }
    }
}

#[track_caller]
fn refused(history: &History, verdict: &Verdict, wrong: Anomaly, rule: Rule) {
    let what = format!("{wrong:?}");
    let planted = Verdict { anomalies: vec![wrong], ..verdict.clone() };
    let said = verified(history, planted, rule);
    assert_eq!(said.validity, Validity::Unknown, "{}: {what} was accepted", verdict.checker);
    let reason = &said.reasons[0];
    assert!(reason.starts_with("internal error: the witness of `"), "{reason}");
    assert!(reason.contains("says nothing about the system"), "{reason}");
    assert!(said.anomalies.is_empty() && said.results == verdict.results);
}

#[test]
fn witnesses_of_planted_anomalies_hold() {
    let mut confirmed = 0;
    all(|name, kind, history, verdict, rule| {
        assert!(verdict.is_invalid(), "{name} {kind}: {:?}", verdict.reasons);
        assert_eq!(verified(history, verdict.clone(), rule), verdict);
        confirmed += verdict.anomalies.len();
    });
    assert!(confirmed > 200, "{confirmed}");
}

#[test]
fn a_witness_with_the_wrong_events_is_a_mistake_of_the_checker() {
    all(|_, _, history, verdict, rule| {
        for anomaly in verdict.anomalies.iter().filter(|a| &*a.kind != "no_final_read") {
            // A search checks its own witness.
            if &*anomaly.kind == "not_linearizable" && &*verdict.checker == "counter" {
                continue;
            }
            let nothing = anomaly.clone().proved_by([]);
            refused(history, &verdict, nothing, rule);
            refused(history, &verdict, anomaly.clone().proved_by([history.len() + 7]), rule);
            if &*verdict.checker == "fifo" {
                // It looks at everything about the elements that it names.
                continue;
            }
            // A client's first invocation proves nothing by itself.
            let named = |i: &usize| {
                let both = [Some(*i), history.completion(*i)];
                both.iter().flatten().any(|e| anomaly.events.contains(e))
            };
            let begin = (0..history.len()).find(|i| history.process(*i).is_client());
            let Some(begin) = begin.filter(|i| !named(i)) else { continue };
            refused(history, &verdict, anomaly.clone().proved_by([begin]), rule);
        }
    });
}

#[test]
fn a_witness_about_something_else_is_a_mistake_of_the_checker() {
    let mut tried = 0;
    all(|name, _, history, verdict, rule| {
        for anomaly in &verdict.anomalies {
            let number = matches!(anomaly.subject, Value::Int(_));
            let of_all = ["final_reads_differ", "not_linearizable", "no_final_read"];
            // What nobody ever spoke of was neither lost nor read.
            if number && name != "convergence" && !of_all.contains(&&*anomaly.kind) {
                let other = Anomaly { subject: 424_242.into(), ..anomaly.clone() };
                refused(history, &verdict, other, rule);
                tried += 1;
            }
        }
    });
    assert!(tried > 100, "{tried}");
}

#[test]
fn a_witness_of_another_kind_is_a_mistake_of_the_checker() {
    all(|_, _, history, verdict, rule| {
        for anomaly in &verdict.anomalies {
            let opposite = match &*anomaly.kind {
                "lost" | "missing" => "duplicate",
                "duplicate" | "unexpected" | "early" | "resurrected" => "lost",
                "two_holders" | "diverged" | "not_linearizable" | "thin_air" => continue,
                "no_final_read" => "lost",
                "wrong-total" => "no-balance",
                _ => continue,
            };
            let by_kind = !["unique_ids", "distinct_register", "fifo"].contains(&&*verdict.checker);
            if by_kind {
                refused(
                    history,
                    &verdict,
                    Anomaly { kind: opposite.into(), ..anomaly.clone() },
                    rule,
                );
            }
        }
    });
}

/// One mistake does not hide what is certain beside it.
#[test]
fn witnesses_that_hold_stay_beside_one_that_does_not() {
    all(|_, _, history, verdict, rule| {
        let wrong = verdict.anomalies[0].clone().proved_by([]);
        let anomalies = verdict.anomalies.iter().cloned().chain([wrong]).collect();
        let said = verified(history, Verdict { anomalies, ..verdict.clone() }, rule);
        assert!(said.is_invalid());
        assert_eq!(said.anomalies, verdict.anomalies);
        let reason = said.reasons.last().unwrap();
        assert!(reason.starts_with("internal error: the witness of `"), "{reason}");
    });
}

#[test]
fn an_invalid_verdict_without_a_witness_is_a_mistake_of_the_checker() {
    let verdict =
        verified(&History::new(["n1"]), Verdict::invalid("set", "so"), super::total_queue);
    assert_eq!(verdict.validity, Validity::Unknown);
    assert!(verdict.reasons[0].contains("without a witness"), "{:?}", verdict.reasons);
    let valid = Verdict::valid("set");
    assert_eq!(verified(&History::new(["n1"]), valid.clone(), super::total_queue), valid);
}
