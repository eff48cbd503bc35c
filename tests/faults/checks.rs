//! What comes out of every fault.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fuzz_dist::history::{FaultStatus, History};
use fuzz_dist::op::Phase;
use libtest_mimic::{Failed, Trial};

use crate::antidote::*;
use crate::collector::*;
use crate::faults::*;
use crate::interrupts::*;
use crate::kills::*;
use crate::places::*;
use crate::program::{Ended, Program, Runtime};
use crate::runtime::*;

/// Longer than anything takes that works, also in the queue behind other trials.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);

pub(crate) fn all() -> Vec<Trial> {
    macro_rules! trials {
        ($($name:ident),+ $(,)?) => {
            vec![$(Trial::test(stringify!($name), || -> Result<(), Failed> {
                $name();
                Ok(())
            })),+]
        };
    }
    trials![
        a_database_that_is_never_ready_is_an_error_of_the_set_up,
        a_database_that_dies_at_the_start_is_reported_at_once,
        a_node_that_dies_by_itself_makes_the_run_unknown,
        clients_that_hang_are_given_up,
        a_checker_that_panics_makes_the_run_unknown,
        impossible_combinations_are_refused_before_anything_starts,
        errors_and_panics_of_the_test_keep_the_history,
        a_full_disk_is_reported_and_the_verdict_is_unknown,
        no_erlang_and_nothing_to_fetch_it_with,
        no_erlang_and_no_network,
        a_named_erlang_is_used_and_one_that_is_none_is_reported,
        an_erl_that_fails_is_reported_as_what_it_is,
        a_test_without_erlang_nodes_needs_no_erlang,
        what_fetches_dies_with_the_harness,
        a_damaged_runtime_is_fetched_anew,
        an_interrupt_ends_the_set_up,
        an_interrupted_run_is_not_called_invalid,
        clients_that_spawn_at_their_end_end_nothing_else,
        vacuous_runs_are_unknown,
        what_a_test_lacks_is_named,
        an_interrupt_while_a_fault_starts,
        an_interrupt_while_a_fault_acts,
        an_interrupt_while_a_fault_ends,
        an_interrupt_while_the_heal_undoes_faults,
        a_database_that_does_not_come_back_makes_the_run_unknown,
        a_fault_that_says_it_is_not_undone_makes_the_run_unknown,
        a_fault_whose_end_panics_makes_the_run_unknown,
        a_lane_that_panics_makes_the_run_unknown,
        the_total_limit_ends_a_start_that_hangs,
        an_interrupt_ends_the_wait_for_agreement,
        an_interrupt_ends_the_last_reads,
        two_interrupts_leave_nothing,
        an_interrupt_that_nobody_receives_ends_the_run,
        a_killed_harness_leaves_nothing_and_a_history_that_loads,
        a_killed_harness_leaves_no_temporary_folder,
        kills_at_random_moments_leave_nothing,
        no_release_is_ignored_with_the_remedy,
        a_release_that_was_named_and_is_not_there_fails,
        a_folder_that_was_named_and_is_not_there_fails,
        a_folder_of_another_shape_is_reported_with_what_it_lacks,
        a_release_that_exits_at_once_is_reported_at_once,
        another_cookie_is_reported,
        an_application_that_never_runs_is_reported,
        a_port_that_is_taken_is_reported,
        a_node_that_does_not_join_is_reported,
        a_data_centre_that_cannot_be_reached_is_reported,
        a_connection_that_is_none_is_reported,
        an_expression_that_fails_is_reported_at_once,
        a_collector_that_does_not_listen_changes_no_verdict,
        a_collector_is_given_the_trace,
        the_store_of_a_run_is_judged_as_the_run_was,
        a_run_on_plain_processes_is_whole,
        a_loss_on_plain_processes_is_found,
        a_scenario_reaches_the_files_of_its_hosts,
        what_the_place_cannot_do_is_refused_before_anything_starts,
        a_killed_harness_leaves_no_plain_process,
    ]
}

/// A folder for the stores of one check, and the locks of its trials.
pub(crate) struct Place {
    pub(crate) runtime: Runtime,
    pub(crate) store: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Place {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("faults-{}-{number}", std::process::id());
        let store = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&store).expect("a folder for stores");
        Place { runtime: Runtime::new(), store }
    }

    /// Starts a test of the fixtures, or of another module.
    pub(crate) fn start(&self, test: &str) -> Program {
        let store = self.store.to_string_lossy().into_owned();
        let module = if test.contains("::") { "" } else { "fixture::" };
        self.runtime.start(
            &format!("--exact {module}{test}"),
            &[("FUZZ_DIST_STORE", &store), ("FUZZ_DIST_SEED", "1")],
        )
    }

    pub(crate) fn run(&self, test: &str) -> Ended {
        let ended = self.start(test).end();
        self.nothing_is_left();
        ended
    }

    /// The history of the only run that there was.
    pub(crate) fn history(&self) -> Option<History> {
        let file = find(&self.store, "history.jsonl")?;
        Some(History::load(&file).ok()?.history)
    }

    /// Waits until the run is in this phase.
    pub(crate) fn until(&self, phase: Phase) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let history = self.history();
            let there =
                history.is_some_and(|h| (0..h.len()).any(|i| h.phase(i) == phase && i > 20));
            if there {
                return;
            }
            assert!(Instant::now() < deadline, "the run never came to {phase:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a fault has acted, and some operations more were done.
    pub(crate) fn until_fault(&self) {
        let deadline = Instant::now() + LIMIT;
        let acts = |h: History| {
            let start = h.faults().first().filter(|f| f.status == FaultStatus::Installed)?.start;
            let later = (0..h.len()).filter(|i| h.process(*i).is_client() && h.time(*i) > start);
            (later.count() > 150).then_some(())
        };
        while self.history().and_then(acts).is_none() {
            assert!(Instant::now() < deadline, "no fault ever acted");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until no process has this check's folder in its environment or arguments: agents name
    /// the store of their lab, and with them goes everything in their hosts.
    pub(crate) fn nothing_is_left(&self) {
        let mark = self.store.to_string_lossy().into_owned();
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = processes_with(&mark);
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "still there: {left:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Waits until it is so.
pub(crate) fn wait_for(what: &str, reached: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !reached() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.store);
    }
}

pub(crate) fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(found) = find(&path, name) {
                return Some(found);
            }
        } else if path.file_name().is_some_and(|n| n == name) {
            return Some(path);
        }
    }
    None
}

pub(crate) fn processes_with(mark: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let ids = entries.filter_map(|e| e.file_name().to_string_lossy().parse::<u32>().ok());
    let marked = ids.filter(|id| {
        let has = |file: &str| {
            let text = fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&text).contains(mark)
        };
        *id != std::process::id() && (has("environ") || has("cmdline"))
    });
    marked.map(|id| id.to_string()).collect()
}

fn a_database_that_is_never_ready_is_an_error_of_the_set_up() {
    let ended = Place::new().run("never_ready");
    ended.ended_with(101).says("no verdict").says("it says no").says("fixture.rs");
    ended.says("set-up limit of 1s").says("raise `setup_limit`");
}

fn a_database_that_dies_at_the_start_is_reported_at_once() {
    let place = Place::new();
    place
        .run("dies_at_the_start")
        .ended_with(101)
        .says("process `shell` on n")
        .says("exited unexpectedly before it was ready: no memory left; logs: ");
    let said = find(&place.store, "shell.err").expect("its standard error was captured");
    assert!(fs::read_to_string(said).expect("a file").contains("no memory left"));
    let ended = Place::new().run("half_of_it_dies_at_the_start");
    ended.ended_with(101).says("process `node` on n").says("it was ready: no such module");
}

fn a_node_that_dies_by_itself_makes_the_run_unknown() {
    let ended = Place::new().run("dies_by_itself");
    ended.ended_with(101).says("exited unexpectedly; logs: ");
}

fn clients_that_hang_are_given_up() {
    let place = Place::new();
    place.run("clients_hang").ended_with(101).says("unknown");
    let history = place.history().expect("the history was kept");
    assert!((0..history.len()).any(|i| history.error(i).is_some_and(|e| &*e.kind == "timeout")));
}

fn a_checker_that_panics_makes_the_run_unknown() {
    let ended = Place::new().run("checker_panics");
    ended.ended_with(101).says("unknown").says("the checker lost its mind");
}

fn impossible_combinations_are_refused_before_anything_starts() {
    for (test, text) in [
        ("ring_of_three", "use `bridge`"),
        ("nothing_to_cut", "at least 2 nodes"),
        ("no_room_for_a_fault", "raise `time_limit`"),
        ("no_such_workload", "bank"),
    ] {
        let place = Place::new();
        place.run(test).ended_with(101).says(text);
        assert!(place.history().is_none(), "{test} started something");
    }
}

fn errors_and_panics_of_the_test_keep_the_history() {
    for (test, text) in [
        ("an_error_after_some_operations", "the scenario gave up"),
        ("the_body_panics", "a slip in the scenario"),
        ("the_generator_panics", "a slip in the generator"),
    ] {
        let place = Place::new();
        place.run(test).ended_with(101).says(text).says("recorded until then");
        let history = place.history().expect("the history was kept");
        assert!(history.find_function("add").is_some());
        assert!(find(&place.store, "results.json").is_some());
    }
}

/// The store lies on a file system of sixty kilobytes, made in a namespace of its own: a few hundred operations,
/// which a busy machine does, too.
fn a_full_disk_is_reported_and_the_verdict_is_unknown() {
    let place = Place::new();
    let store = place.store.to_string_lossy().into_owned();
    let program = std::env::current_exe().expect("this program");
    let script = format!(
        "mount -t tmpfs -o size=60k tmpfs '{store}' && \
         FUZZ_DIST_FIXTURE=1 FUZZ_DIST_STORE='{store}' exec '{}' --exact fixture::fills_the_disk",
        program.display()
    );
    let ended = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .output();
    let ended = ended.expect("unshare of util-linux starts");
    let said = String::from_utf8_lossy(&ended.stdout) + String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(101), "{said}");
    assert!(said.contains("could not be written") && said.contains("unknown"), "{said}");
    place.nothing_is_left();
}

/// What the machine refuses may be ignored, what the test says wrongly may not.
fn a_folder_that_was_named_and_is_not_there_fails() {
    let place = Place::new();
    let store = place.store.to_string_lossy().into_owned();
    let variables = [("FUZZ_DIST_STORE", &*store), ("FUZZ_DIST_MISSING", "ignore")];
    let ended = place.runtime.run("--exact fixture::names_no_folder", &variables);
    ended.ended_with(101).says("/nonexistent/shop").says("name a folder that exists");
}

fn no_erlang_and_nothing_to_fetch_it_with() {
    let place = Place::new();
    let folder = place.store.to_string_lossy().into_owned();
    let run = |missing: &str| {
        let variables = [
            ("PATH", &*folder),
            ("XDG_CACHE_HOME", &*folder),
            ("FUZZ_DIST_MISSING", missing),
            ("FUZZ_DIST_ERLANG", ""),
        ];
        place.runtime.run("--exact fixture::a_real_cluster", &variables)
    };
    let failed = run("fail");
    failed.ended_with(101).says("erlang").says("--example embedded");
    run("ignore").ended_with(0).says("1 ignored").says("--example embedded");
    place.nothing_is_left();
}

/// Where Erlang is installed there is nothing to miss, and the test has to run.
fn no_erlang_and_no_network() {
    let place = Place::new();
    let folder = place.store.to_string_lossy().into_owned();
    let program = std::env::current_exe().expect("this program");
    let output = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--net"])
        .arg(program)
        .args(["--exact", "fixture::a_real_cluster"])
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("XDG_CACHE_HOME", &folder)
        .env_remove("FUZZ_DIST_ERLANG")
        .env("XDG_RUNTIME_DIR", &folder)
        .env("FUZZ_DIST_STORE", &folder)
        .env("FUZZ_DIST_FIXTURE_SOURCE", mnesia_set())
        .env("FUZZ_DIST_FIXTURE", "1")
        .env("FUZZ_DIST_MISSING", "fail")
        .output()
        .expect("unshare of util-linux starts");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let installed = std::path::Path::new("/usr/bin/erl").exists();
    assert!(installed || said.contains("--example embedded"), "{said}");
    assert_eq!(output.status.code() == Some(0), installed, "{said}");
    place.nothing_is_left();
}

/// The runtime at hand, seen through a folder of links, where no other is to be found.
fn a_named_erlang_is_used_and_one_that_is_none_is_reported() {
    let place = Place::new();
    // Below /tmp, which hosts have of their own.
    let folder = tempfile::tempdir_in("/tmp").expect("a folder of links");
    let links = folder.path().join("erlang");
    fs::create_dir(&links).expect("a folder of links");
    let runtime = fuzz_dist::provision::Runtime::find_or_fetch().expect("an Erlang runtime");
    for entry in fs::read_dir(&runtime.root).expect("the runtime's folder").flatten() {
        std::os::unix::fs::symlink(entry.path(), links.join(entry.file_name())).expect("a link");
    }
    let [store, nowhere, source, links] =
        [&place.store, &place.store.join("nowhere"), &mnesia_set(), &links]
            .map(|path| path.to_string_lossy().into_owned());
    let run = |erlang: &str, missing: &str| {
        let variables = [
            ("PATH", &*store),
            ("XDG_CACHE_HOME", &store),
            ("FUZZ_DIST_STORE", &store),
            ("FUZZ_DIST_FIXTURE_SOURCE", &source),
            ("FUZZ_DIST_MISSING", missing),
            ("FUZZ_DIST_ERLANG", erlang),
            ("FUZZ_DIST_VERBOSE", "1"),
        ];
        place.runtime.run("--exact fixture::a_real_cluster", &variables)
    };
    run(&links, "fail").ended_with(0).says("took effect and was removed");
    let text = format!("no Erlang runtime in {nowhere} (named by FUZZ_DIST_ERLANG)");
    // What was named and is unusable is a mistake, and not something that is missing.
    run(&nowhere, "ignore").ended_with(101).says(&text);
    place.nothing_is_left();
}

pub(crate) fn mnesia_set() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/mnesia_set/mnesia_set.erl")
}

fn clients_that_spawn_at_their_end_end_nothing_else() {
    Place::new().run("clients_spawn_at_their_end").ended_with(0);
    Place::new().run("clients_spawn_after_a_panic").ended_with(101).says("a slip in the scenario");
    let place = Place::new();
    let program = place.start("clients_spawn_after_an_interrupt");
    place.until(Phase::Main);
    program.signal("INT");
    program.end().ended_with(101).says("recorded until then");
    place.nothing_is_left();
}

fn vacuous_runs_are_unknown() {
    for (test, text) in [
        ("nobody_judges", "no checker judges the history"),
        ("hardly_runs", "the main phase was too short"),
    ] {
        Place::new().run(test).ended_with(101).says("unknown").says(text);
    }
}

fn what_a_test_lacks_is_named() {
    let place = Place::new();
    place.run("a_run_without_a_workload").ended_with(101).says("the test has no workload");
    assert!(place.history().is_none(), "it was refused before anything started");
    let ended = Place::new().run("a_scenario_without_clients");
    ended.ended_with(101).says("db `bare` has no clients").says("`Db::client`");
    let ended = Place::new().run("a_workload_without_clients");
    ended.ended_with(101).says("no verdict: db `bare` has no clients").says("`Db::client`");
}

/// `cargo fuzz-dist check` of the folder of a run, and of that of its test, has the run's verdict and checkers.
fn the_store_of_a_run_is_judged_as_the_run_was() {
    for (test, code, verdict) in [("all_is_well", 0, "valid"), ("loses_adds", 1, "invalid")] {
        let place = Place::new();
        place.run(test);
        let history = find(&place.store, "history.jsonl").expect("a history");
        let run = history.parent().expect("the folder of the run");
        let results = fs::read_to_string(run.join("results.json")).expect("results");
        for folder in [run, run.parent().expect("the folder of the test")] {
            let check = format!("check {}", folder.display());
            let judged = place.runtime.run(&check, &[("JUDGES_A_STORE", "1")]);
            judged.ended_with(code).says(&format!("  set_full: {verdict}\n  stats: valid\n"));
            judged.says("  power: valid\n").says("judged by set_full, stats");
            assert!(results.contains(&format!("\"verdict\": \"{verdict}\"")), "{results}");
        }
    }
}
