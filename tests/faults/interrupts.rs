//! Runs that are interrupted or killed: what was begun is ended, the history is kept, nothing is left.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fuzz_dist::checker::{Checker as _, Validity, set_full};
use fuzz_dist::op::{Phase, Value};

use crate::checks::{LIMIT, Place, mnesia_set, wait_for};
use crate::faults::lives_are_whole;

pub(crate) fn an_interrupt_ends_the_set_up() {
    let place = Place::new();
    let program = place.start("takes_long");
    // From then on signals are caught.
    let began = || fs::read_dir(&place.store).is_ok_and(|mut entries| entries.next().is_some());
    wait_for("the store of the run", began);
    program.signal("INT");
    let ended = program.end();
    ended.ended_with(101).says("interrupted");
    place.nothing_is_left();
}

/// Adds that had not reached every node are not lost, neither then nor for who checks the history later.
pub(crate) fn an_interrupted_run_is_not_called_invalid() {
    let place = Place::new();
    let program = place.start("takes_long");
    place.until_fault();
    program.signal("TERM");
    let ended = program.end();
    ended.ended_with(101).says("SIGTERM").says("unknown").says("the run ended early");
    assert!(!ended.stderr.contains("invalid") && !ended.stdout.contains("invalid"));
    let history = place.history().expect("the history was kept");
    let verdict = set_full().check(&history);
    assert_eq!(verdict.validity, Validity::Unknown, "{:?}", verdict.reasons);
    assert!(verdict.anomalies.is_empty() && verdict.reasons[0].contains("SIGTERM"), "{verdict:?}");
    // It is the interruption that excuses them: nodes were cut off, and lacked what others had.
    let mut uninterrupted = history.clone();
    uninterrupted.set_meta("completed", Value::Nil);
    assert!(verdict.results["undecided_count"] != 0, "{:?}", verdict.results);
    assert!(set_full().check(&uninterrupted).is_invalid());
    place.nothing_is_left();
}

pub(crate) fn an_interrupt_ends_the_wait_for_agreement() {
    interrupted_in("never_agrees", Phase::Quiesce);
}

pub(crate) fn an_interrupt_ends_the_last_reads() {
    interrupted_in("reads_slowly", Phase::Final);
}

#[track_caller]
fn interrupted_in(test: &str, phase: Phase) {
    let place = Place::new();
    let program = place.start(test);
    place.until(phase);
    program.signal("INT");
    program.end().ended_with(101).says("interrupted").says("recorded until then");
    lives_are_whole(&place.history().expect("the history was kept"));
    place.nothing_is_left();
}

/// The second one ends the process while the first one's healing is under way.
/// The end of its fault keeps it from ending before the second one comes.
pub(crate) fn two_interrupts_leave_nothing() {
    let place = Place::new();
    let program = place.start("faults::its_end_hangs");
    place.until_fault();
    program.signal("INT");
    program.stderr.until("another signal after 1 s ends at once");
    // What comes within that second is the same request.
    program.signal("INT");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(program.stderr.now().matches("ending at once").count(), 0);
    program.signal("INT");
    program.end().ended_with(130).says("ending at once");
    place.nothing_is_left();
    assert!(place.history().expect("the history loads").len() > 20);
}

/// Ctrl-C on `cargo test | tee log` ends `tee` as well: nobody reads what the harness says.
pub(crate) fn an_interrupt_that_nobody_receives_ends_the_run() {
    let place = Place::new();
    let runtime = place.runtime.text();
    let (name, folder) = runtime.split_once('=').expect("a variable");
    let mut program = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "fixture::takes_long"])
        .env("FUZZ_DIST_FIXTURE", "1")
        .env("FUZZ_DIST_STORE", &place.store)
        .env(name, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the fixture starts");
    drop(program.stderr.take());
    place.until(Phase::Main);
    let pid = rustix::process::Pid::from_child(&program);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it is there");
    let ended = program.wait().expect("a child");
    assert_eq!(ended.code(), Some(101));
    place.nothing_is_left();
    let history = place.history().expect("the history was kept");
    assert_eq!(history.meta("completed"), Some(&Value::Bool(false)), "it was interrupted");
}

pub(crate) fn a_killed_harness_leaves_nothing_and_a_history_that_loads() {
    let place = Place::new();
    let program = place.start("takes_long");
    place.until(Phase::Main);
    program.signal("KILL");
    drop(program);
    place.nothing_is_left();
    let history = place.history().expect("the history loads");
    assert!(history.len() > 20);
}

/// Compiled modules lie in a temporary folder while the cluster runs.
pub(crate) fn a_killed_harness_leaves_no_temporary_folder() {
    let place = Place::new();
    let temporary = tempfile::tempdir().expect("a folder");
    let entries = || fs::read_dir(temporary.path()).expect("a folder").count();
    let [store, source, folder] = [&*place.store, &mnesia_set(), temporary.path()]
        .map(|path| path.to_string_lossy().into_owned());
    let variables = [
        ("FUZZ_DIST_STORE", &*store),
        ("FUZZ_DIST_FIXTURE_SOURCE", &source),
        ("FUZZ_DIST_MISSING", "fail"),
        ("TMPDIR", &folder),
    ];
    let program = place.runtime.start("--exact fixture::a_real_cluster", &variables);
    place.until(Phase::Main);
    assert!(entries() > 0, "nothing was compiled into {folder}");
    program.signal("KILL");
    drop(program);
    place.nothing_is_left();
    let deadline = Instant::now() + LIMIT;
    while entries() > 0 {
        assert!(Instant::now() < deadline, "{} folders are left", entries());
        std::thread::sleep(Duration::from_millis(20));
    }
}
