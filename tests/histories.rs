//! What checkers say, to the letter, about kept histories: one small one for each anomaly.
//!
//! The histories are in `tests/histories/`, in the form in which runs store them. Where a
//! sentence changes on purpose, `INSTA_UPDATE=always cargo test --test histories` accepts it.

use std::path::Path;

use fuzz_dist::checker::{
    CasRegister, Checker, convergence, counter, distinct_register, explained, fifo, lease,
    linearizable, offset_log, or_set, pn_counter, set_full, total_queue, unique_ids,
};
use fuzz_dist::history::History;

/// A kept history, and the checker that judges it.
fn kept() -> Vec<(&'static str, Box<dyn Checker>)> {
    vec![
        ("set_full_duplicate", Box::new(set_full())),
        ("set_full_early", Box::new(set_full())),
        ("set_full_flutter", Box::new(set_full().sessions(true))),
        ("set_full_lost", Box::new(set_full())),
        ("set_full_missing", Box::new(set_full())),
        ("set_full_resurrected", Box::new(set_full())),
        ("set_full_stale", Box::new(set_full().linearizable(true))),
        ("set_full_unexpected", Box::new(set_full())),
        ("convergence_diverged", Box::new(convergence())),
        ("pn_counter_impossible", Box::new(pn_counter())),
        ("pn_counter_lost", Box::new(pn_counter())),
        ("pn_counter_not_monotonic", Box::new(pn_counter())),
        ("or_set_lost", Box::new(or_set())),
        ("or_set_not_removed", Box::new(or_set())),
        ("counter_impossible", Box::new(counter())),
        ("register_stale", Box::new(linearizable(CasRegister))),
        ("distinct_register_stale", Box::new(distinct_register())),
        ("fifo_reordered", Box::new(fifo())),
        ("total_queue_lost", Box::new(total_queue())),
        ("unique_ids_duplicate", Box::new(unique_ids())),
        ("lease_two_holders", Box::new(lease())),
        ("offset_log_inconsistent", Box::new(offset_log())),
    ]
}

/// Trimmed histories of real runs, in which nodes said why: what is told of each anomaly, and as data.
#[test]
fn explanations_of_kept_histories_do_not_change() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories");
    let mut said = String::new();
    for name in ["mnesia_blip", "mnesia_majority_blip", "mnesia_restart"] {
        let loaded = History::load(folder.join(name).with_extension("jsonl"));
        let history = loaded.unwrap_or_else(|e| panic!("{name} does not load: {e}")).history;
        let verdict = explained(set_full().check(&history), &history);
        said.push_str(&format!("{name}: {}\n", verdict.validity));
        for anomaly in &verdict.anomalies {
            said.push_str(&format!("  {} {}: ", anomaly.kind, anomaly.subject));
            said.push_str(&format!("{}\n", anomaly.explanation));
            for cause in &anomaly.causes {
                let (kind, peers) = (cause.kind.as_str(), cause.peers.join(" "));
                let node = history.node_name(cause.node);
                said.push_str(&format!("    {kind} on {node} of {peers}: {}", cause.reason));
                said.push_str(&format!(", fault {:?}, events {:?}\n", cause.fault, cause.events));
            }
        }
        for matrix in history.down_matrices() {
            said.push_str(&format!("  fault {}: {}\n", matrix.fault, matrix.rows.join("; ")));
        }
    }
    fuzz_dist::insta::assert_snapshot!(said);
}

#[test]
fn verdicts_about_kept_histories_do_not_change() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories");
    let mut said = String::new();
    for (name, checker) in kept() {
        let loaded = History::load(folder.join(name).with_extension("jsonl"));
        let loaded = loaded.unwrap_or_else(|e| panic!("{name} does not load: {e}"));
        assert!(loaded.torn.is_none(), "{name} is complete");
        let verdict = checker.check(&loaded.history);
        said.push_str(&format!("{name}: {}\n", verdict.validity));
        for reason in &verdict.reasons {
            said.push_str(&format!("  because {reason}\n"));
        }
        for anomaly in &verdict.anomalies {
            said.push_str(&format!(
                "  {} {}: {}",
                anomaly.kind, anomaly.subject, anomaly.explanation
            ));
            said.push_str(&format!(" (events {:?})\n", anomaly.events));
        }
    }
    fuzz_dist::insta::assert_snapshot!(said);
}
