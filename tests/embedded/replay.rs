//! A stored run is run again on a real cluster: the same windows, the same targets.

use std::sync::OnceLock;

use fuzz_dist::history::History;
use fuzz_dist::nemesis::{Schedule, kill, majority_minority, pause, restart_after};
use fuzz_dist::prelude::*;
use fuzz_dist::store::{Store, root};

/// What the first of the two runs did.
static FIRST: OnceLock<Vec<(String, String)>> = OnceLock::new();

/// What each fault was and whom it hit; when is a matter of the schedule.
fn hit(history: &History) -> Vec<(String, String)> {
    let faults = history.faults();
    let mut hit: Vec<_> = faults.iter().map(|f| (f.name.to_string(), f.shape.clone())).collect();
    hit.sort();
    hit
}

/// The same faults as in the first run.
struct AsBefore;

/// Has the history only what a run of the same seed repeats: no time of the wall's, no number of a process,
/// no counter of the kernel's?
struct Repeatable;

impl Checker for Repeatable {
    fn check(&self, history: &History) -> Verdict {
        let evidence = history.faults().into_iter().map(|f| format!("{:?}", f.evidence));
        let (of_links, of_processes): (Vec<String>, Vec<String>) =
            evidence.partition(|e| e.contains("matrix"));
        // Of processes there is the program, which has a number where a build has one, and the state.
        let has_state = |e: &String| e.contains(" Running") || e.contains(" Stopped");
        let pid = |e: &String| {
            e.split('"')
                .filter(|text| has_state(&text.to_string()))
                .any(|t| t.split(' ').count() != 2)
        };
        let wrong = match () {
            () if history.meta("start_unix_ms").is_some() => "the wall's time is a fact",
            () if history.start_unix_ms() == 0 => "nobody knows when it started",
            () if !of_processes.iter().any(has_state) => "no state of a process",
            () if of_processes.iter().any(pid) => "a number of a process",
            () if of_links.is_empty() => "no link was cut",
            () if of_links.iter().any(|e| e.contains("packets")) => "a counter",
            () => return Verdict::valid("repeatable"),
        };
        Verdict::invalid("repeatable", format!("{wrong}: {of_links:?} {of_processes:?}"))
    }
}

impl Checker for AsBefore {
    fn check(&self, history: &History) -> Verdict {
        let hit = hit(history);
        match FIRST.get() {
            None => {
                let _ = FIRST.set(hit);
                Verdict::valid("as_before")
            }
            Some(first) if *first == hit && hit.len() > 3 => Verdict::valid("as_before"),
            Some(first) => Verdict::invalid("as_before", format!("{first:?}, now {hit:?}")),
        }
    }
}

fn lanes() -> Nemesis {
    let lane = |nemesis: Nemesis| nemesis.after(millis(200)).lasting(millis(300));
    lane(restart_after(majority_minority())).and(lane(pause())).and(lane(kill()))
}

/// The second attempt has another seed and replays the first one.
#[fuzz_dist::test(
    db = "embedded",
    workload = "g_set",
    nemesis = lanes(),
    checker = [AsBefore, Repeatable],
    time_limit = "2s",
    seed = 31,
    attempts = 2
)]
async fn a_stored_run_is_run_again(test: Test) -> Outcome {
    if FIRST.get().is_none() {
        return test.run().await;
    }
    let name = "replay::a_stored_run_is_run_again";
    // The run of this attempt has no folder yet: the latest one is that of the first.
    let stored = Store::latest(&root(), name)?;
    let schedule = Schedule::load(stored.dir())?;
    assert_eq!(schedule.seed, "31");
    test.replay(schedule).run().await
}
