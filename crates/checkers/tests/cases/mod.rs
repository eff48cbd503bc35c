//! Every checker that judges operations, with histories of what it judges.

#![allow(dead_code, reason = "each test takes what it needs")]

use fuzz_dist_checkers::histories::{Object, Run};
use fuzz_dist_checkers::txn::generate::{Load, PLANTS, Store, plant};
use fuzz_dist_checkers::txn::{self, Crdt, Level, Shape};
use fuzz_dist_checkers::{
    AnyChecker, CasRegister, Mutex, Registers, any_checker, atomic, convergence, counter,
    distinct_register, fifo, lease, linearizable, offset_log, or_set, pn_counter,
    replicated_register, sequential, set, set_full, total_queue, unique_ids,
};
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
        | ("or_set", "own_add_unread" | "own_remove_unread") => "sessions",
        ("bank", _) => "accounts=0-4 total=100",
        _ => "",
    }
}

/// The checker of this name, with one option.
pub(crate) fn build(name: &str, option: &str) -> AnyChecker {
    let (key, value) = option.split_once('=').unwrap_or((option, ""));
    let level = || value.parse::<Level>().expect("a level");
    match name {
        "set_full" => {
            any_checker(set_full().linearizable(key == "linearizable").sessions(key == "sessions"))
        }
        "set" => any_checker(set()),
        "convergence" => any_checker(convergence()),
        "or_set" => any_checker(or_set().sessions(key == "sessions")),
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
        "list_append" => any_checker(txn::list_append()),
        "rw_register" => {
            any_checker(txn::rw_register().linearizable_keys(key == "linearizable-keys"))
        }
        "weak" => any_checker(txn::weak(level())),
        "session_guarantees" => any_checker(txn::session_guarantees()),
        "long_fork" => any_checker(txn::long_fork()),
        "write_skew" => any_checker(txn::write_skew()),
        "monotonic" => any_checker(txn::monotonic()),
        "g2" => any_checker(txn::g2()),
        "crdt_causal" => any_checker(txn::crdt_causal(crdt(value))),
        other => panic!("no checker `{other}`"),
    }
}

fn crdt(word: &str) -> Crdt {
    match word {
        "grow-set" => Crdt::GrowSet,
        "pn-counter" => Crdt::PnCounter,
        "lww-register" => Crdt::LwwRegister,
        "mv-register" => Crdt::MvRegister,
        "add-wins-set" => Crdt::AddWinsSet,
        "remove-wins-set" => Crdt::RemoveWinsSet,
        "enable-wins-flag" => Crdt::EnableWinsFlag,
        "disable-wins-flag" => Crdt::DisableWinsFlag,
        other => panic!("no kind of object `{other}`"),
    }
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
