//! Simulated time: mnesia with Erlang's own `net_ticktime` of 60 s, and a cut of two minutes, in seconds. The partition lets
//! both sides go on, and the restart of the smaller side forgets what only it had; where adds and reads need a
//! majority, none is lost.
//!
//! `cargo run --release --example simulated` runs the losing system with ten seeds, and its twin. With `twice` each seed of the loser is
//! run again, and what differs between the two histories is printed.

use fuzz_dist::prelude::*;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The set of `examples/mnesia_set/mnesia_set.erl`, one copy in the memory of every node.
fn mnesia(options: &str) -> ErlangApp {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/mnesia_set/mnesia_set.erl");
    ErlangApp::new("mnesia_set", [source])
        .net_ticktime(60)
        .start(format!("ok = mnesia_set:start(#{{peers => Peers, {options}}})"))
        .form("mnesia_set", "form")
        .formed("mnesia_set", "formed")
}

fn mnesia_set() -> Workload {
    set_workload()
        .add(|node, item| node.call::<()>("mnesia_set", "add", args![item]))
        .read(|node| node.call::<Vec<i64>>("mnesia_set", "read", args![]))
        .into()
}

/// Adds that mnesia acknowledged are read on every node after the network has healed.
#[fuzz_dist::test(
    db = mnesia("majority => false"),
    workload = mnesia_set(),
    nemesis = restart_after(majority_minority().lasting(secs(120))),
    nodes = 3,
    time_limit = "200s",
    quiesce_limit = "30s",
    rate = 10,
    time = "simulated",
    deterministic = true,
    seed = [1, 2],
    expect = "invalid"
)]
async fn mnesia_keeps_acknowledged_adds(test: Test) -> Outcome {
    lost_everywhere(test).await
}

/// The same with more seeds, in a release build: `cargo test` has enough of two.
#[cfg(not(debug_assertions))]
#[fuzz_dist::test(
    db = mnesia("majority => false"),
    workload = mnesia_set(),
    nemesis = restart_after(majority_minority().lasting(secs(120))),
    nodes = 3,
    time_limit = "200s",
    quiesce_limit = "30s",
    rate = 10,
    time = "simulated",
    deterministic = true,
    seed = [3, 4, 5, 6, 7, 8, 9, 10],
    expect = "invalid"
)]
async fn mnesia_keeps_acknowledged_adds_with_any_seed(test: Test) -> Outcome {
    lost_everywhere(test).await
}

async fn lost_everywhere(test: Test) -> Outcome {
    let verdict = test.run().await?;
    let lost = verdict.anomalies.iter().any(|anomaly| &*anomaly.kind == "lost");
    assert!(lost, "nothing is lost everywhere:\n{}", verdict.summary());
    Ok(verdict)
}

/// An add needs a majority, before it is written and to be acknowledged; a read shows what a majority has.
#[fuzz_dist::test(
    db = mnesia("majority => true, reads => majority"),
    workload = mnesia_set(),
    nemesis = restart_after(majority_minority().lasting(secs(120))),
    nodes = 3,
    time_limit = "200s",
    quiesce_limit = "30s",
    rate = 10,
    time = "simulated",
    deterministic = true,
    seed = 1
)]
async fn mnesia_with_majority_keeps_acknowledged_adds(test: Test) -> Outcome {
    test.run().await
}

fn main() -> ExitCode {
    fuzz_dist::main_if_asked();
    match std::env::args().nth(1).as_deref() {
        Some("twice") => twice(),
        _ => fuzz_dist::run_main(),
    }
}

/// Runs all seeds of the loser twice, and compares their histories.
fn twice() -> ExitCode {
    let all = std::env::temp_dir().join(format!("fuzz_dist-twice-{}", std::process::id()));
    let stores = ["first", "second"].map(|name| all.join(name));
    for store in &stores {
        let program = std::env::current_exe().expect("this program");
        let mut run = Command::new(program);
        let done =
            run.args(["mnesia_keeps", "--test-threads=1"]).env("FUZZ_DIST_STORE", store).status();
        assert!(done.is_ok_and(|status| status.success()), "the loss was not found");
    }
    let [first, second] = stores.map(|store| histories(&store));
    let mut equal = 0;
    for ((name, first), (_, second)) in first.iter().zip(&second) {
        let lines = first.lines().zip(second.lines());
        match lines.enumerate().find(|(_, (first, second))| first != second) {
            None if first.len() == second.len() => equal += 1,
            None => println!("{name}: one is longer"),
            Some((n, (first, second))) => println!("{name}: line {}\n{first}\n{second}", n + 1),
        }
    }
    println!("{equal} of {} pairs of histories are equal", first.len());
    assert!(!first.is_empty() && first.len() == second.len(), "there are histories of all runs");
    let _ = std::fs::remove_dir_all(all);
    if equal == first.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The history of each trial in a store.
fn histories(store: &Path) -> Vec<(String, String)> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).expect("a folder of the store").flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.retain(|path| path.is_dir() && !path.is_symlink());
        paths.sort();
        paths
    };
    let run = |trial: PathBuf| {
        let run = entries(&trial).pop()?;
        let text = std::fs::read_to_string(run.join("history.jsonl")).ok()?;
        Some((trial.file_name()?.to_string_lossy().into_owned(), text))
    };
    entries(store).into_iter().filter_map(run).collect()
}
