//! Every checker that judges operations, with histories of what it judges.

#![allow(dead_code, reason = "each test takes what it needs")]

use fuzz_dist_checkers::AnyChecker;
use fuzz_dist_checkers::histories::{Object, Run};
use fuzz_dist_checkers::registry::{self, Options};
use fuzz_dist_checkers::txn::Shape;
use fuzz_dist_checkers::txn::generate::{Load, PLANTS, Store, plant};
use fuzz_dist_history::History;
use fuzz_dist_random::Seed;

/// A checker, and a history that it judges.
pub(crate) struct Case {
    /// The checker's name, as the command has it.
    pub(crate) checker: &'static str,
    /// Its option, as in `-o`, or empty.
    pub(crate) option: &'static str,
    /// The anomaly that was planted.
    pub(crate) anomaly: Option<&'static str>,
    /// What the history is about; `None` for transactions.
    pub(crate) object: Option<Object>,
    pub(crate) history: History,
}

impl Case {
    pub(crate) fn build(&self) -> AnyChecker {
        build(self.checker, self.option)
    }

    pub(crate) fn name(&self) -> String {
        format!("{} {} {:?}", self.checker, self.option, self.anomaly)
    }
}

/// The option that a checker needs to name an anomaly.
pub(crate) fn option(checker: &str, anomaly: &str) -> &'static str {
    match (checker, anomaly) {
        ("set_full", "stale") => "linearizable",
        ("set_full", "flutter" | "read_your_writes" | "monotonic_reads")
        | ("or_set", "own_add_unread" | "own_remove_unread")
        | ("pn_counter", "impossible_in_session" | "not_monotonic") => "sessions",
        _ => "",
    }
}

/// The registered checker of this name, with options as they follow `-o`.
pub(crate) fn build(name: &str, options: &str) -> AnyChecker {
    let checker = registry::find(name).unwrap_or_else(|| panic!("no checker `{name}`"));
    let given = options.split_whitespace().map(|o| o.split_once('=').unwrap_or((o, "true")));
    let mut options = checker.required();
    options.extend(given.map(|(key, value)| (key.to_string(), value.to_string())));
    let built = checker.build(&Options::new(&options));
    built.unwrap_or_else(|why| panic!("{name} {options:?}: {why}"))
}

/// Histories of so many operations for every checker, valid ones and one with each anomaly.
pub(crate) fn all(operations: usize, seed: u64) -> Vec<Case> {
    let mut cases = Vec::new();
    for object in Object::ALL {
        let run = Run::new(*object).operations(operations).clients(1 + seed as u32 % 7);
        for (checker, kinds) in object.plants() {
            let mut add = |anomaly: Option<&'static str>| {
                let run = anomaly.map_or(run.clone(), |a| run.clone().plant(a));
                cases.push(Case {
                    checker,
                    option: option(checker, anomaly.unwrap_or_default()),
                    anomaly,
                    object: Some(*object),
                    history: run.history(Seed(seed)),
                });
            };
            add(None);
            kinds.iter().for_each(|kind| add(Some(kind)));
        }
    }
    transactions(operations, seed, &mut cases);
    cases
}

fn transactions(operations: usize, seed: u64, cases: &mut Vec<Case>) {
    let load = Load::new(operations).keys(4).sessions(1 + seed as u32 % 5).seed(seed);
    let load = load.outcomes(0.03, 0.03);
    let lists = load.history(Shape::Lists, Store::StrictSerializable);
    let registers = load.history(Shape::Registers, Store::StrictSerializable);
    let nothing = History::new(["n1"]);
    let case = |checker, option, anomaly, history| Case {
        checker,
        option,
        anomaly,
        object: None,
        history,
    };
    cases.push(case("list_append", "", None, lists.clone()));
    for checker in ["rw_register", "session_guarantees", "write_skew"] {
        cases.push(case(checker, "", None, registers.clone()));
    }
    for level in
        ["axiomatic-read-committed", "read-atomic", "causal", "weak-causal", "causal-memory"]
    {
        let store = Store::Causal { replicas: 3 };
        let option: &str = Box::leak(format!("level={level}").into_boxed_str());
        cases.push(case("weak", option, None, load.history(Shape::Registers, store)));
    }
    for p in PLANTS {
        let base = match p.checker {
            "list_append" => &lists,
            "rw_register" | "weak" if p.option.is_empty() || p.checker == "weak" => &registers,
            // Others judge particular operations.
            _ => &nothing,
        };
        let history = plant(base, base.len() / 2, p);
        cases.push(case(p.checker, p.option, Some(p.name), history));
    }
}
