//! What comes out of the harness, for every way of calling it.

use crate::program::{Runtime, run};
use libtest_mimic::{Failed, Trial};
use std::time::Duration;

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
        listing_gives_names_and_nothing_else,
        filters_are_those_of_libtest,
        failures_are_short,
        a_failure_is_printed_when_it_happens,
        what_fails_after_the_verdict_leaves_it_standing,
        names_that_stand_for_nothing_fail_their_own_trial,
        every_cell_of_a_matrix_is_a_trial,
        snapshots_are_the_same_in_one_process_and_in_many,
        reasons_for_ignoring_are_shown,
        ignored_trials_run_when_asked_for,
        the_first_failure_can_end_it,
        unreadable_variables_are_refused,
        what_takes_too_long_ends,
        a_known_loss_passes_with_that_verdict_alone,
        unknown_fails_by_default,
        a_run_whose_time_broke_is_unknown,
        attempts_have_seeds_of_their_own,
        one_attempt_is_enough_for_a_loss_and_not_for_a_promise,
        what_cannot_run_here_fails_or_is_counted,
        the_environment_chooses_seed_and_limits,
        sigterm_lets_trials_tear_down,
        a_second_interrupt_ends_at_once,
        a_trial_waits_for_its_turn_until_the_other_process_is_killed,
        a_wait_has_a_limit,
        mistakes_are_reported_without_waiting,
        code_that_blocks_ends_its_trial_and_no_other,
        an_interrupt_ends_code_that_blocks,
        an_exit_in_the_middle_of_a_trial_is_a_failure,
        a_checker_that_ends_its_process_ends_no_trial,
        an_interrupt_ends_a_checker_that_computes_for_ever,
        nothing_printed_is_longer_than_a_screen,
        what_times_out_twice_is_one_request,
        waiting_can_be_interrupted,
    ]
}

const PASSING: [&str; 4] = ["passes", "passes_by_alias", "passes_by_expression", "passes_in_time"];

fn fixture(names: &[&str]) -> Vec<String> {
    let mut names: Vec<_> = names.iter().map(|name| format!("fixture::{name}")).collect();
    names.sort();
    names
}

/// `tests/harness/fixture.rs:LINE:COLUMN` of the first place of some text.
fn place(text: &str) -> String {
    let source = include_str!("fixture.rs");
    let at = source.find(text).expect("the fixture has it");
    let line = source[..at].matches('\n').count() + 1;
    let column = at - source[..at].rfind('\n').expect("not in the first line");
    format!("tests/harness/fixture.rs:{line}:{column}")
}

fn listing_gives_names_and_nothing_else() {
    let list = run("--list --format terse");
    list.ended_with(0);
    assert_eq!(list.stderr, "");
    let names: Vec<&str> = list.stdout.lines().collect();
    assert!(names.iter().all(|line| line.ends_with(": test")), "{names:?}");
    assert!(names.contains(&"fixture::misspelt: test"));
    assert!(names.contains(&"fixture::matrix::cells::none::nodes_4: test"));
    let ignored = run("--list --format terse --ignored");
    let names: Vec<&str> = ignored.stdout.lines().collect();
    assert_eq!(
        names,
        [
            "fixture::is_ignored: test",
            "fixture::waits: test",
            "fixture::is_stuck: test",
            "hostile::occupies: test",
            "hostile::a_client_blocks: test",
            "hostile::a_start_blocks: test",
            "hostile::a_function_blocks: test",
            "hostile::a_function_spins: test",
            "hostile::a_fault_blocks: test",
            "hostile::checker_computes: test",
            "hostile::a_function_exits: test"
        ]
    );
}

fn filters_are_those_of_libtest() {
    let check = |arguments: &str, names: &[&str]| {
        let ended = run(arguments);
        ended.ended_with(0);
        assert_eq!(ended.trials("ok"), fixture(names), "{arguments}");
    };
    check("fixture::passes", &PASSING);
    check("fixture::passes --exact --nocapture", &PASSING[..1]);
    check("fixture::passes fixture::passes_by_alias --exact", &PASSING[..2]);
    check("passes_by_a passes_by_e --no-capture --test-threads=1", &PASSING[1..3]);
    check("passes --skip by_alias --skip in_time", &[PASSING[0], PASSING[2]]);
    check("nothing_is_called_so", &[]);
}

fn failures_are_short() {
    let ended = run("fixture::fails fixture::errs fixture::panics fixture::passes --exact");
    ended.ended_with(101);
    assert_eq!(ended.trials("ok"), fixture(&["passes"]));
    assert_eq!(ended.trials("FAILED"), fixture(&["fails", "errs", "panics"]));
    ended.says("---- fixture::fails ----").says("invalid");
    ended.says("---- fixture::errs ----").says("out of luck");
    ended.says("---- fixture::panics ----").says("out of order");
    ended.says("test result: FAILED. 1 passed; 3 failed");
}

/// Who watches a run of an hour sees at once what fails, and reads it once only.
fn a_failure_is_printed_when_it_happens() {
    let runtime = Runtime::new();
    let both = "fixture::errs fixture::waits --exact --include-ignored --test-threads=1";
    let waiting = runtime.start(both, &[]);
    waiting.stderr.until("FAILED fixture::errs: no verdict: out of luck");
    waiting.stdout.until("waiting");
    waiting.signal("TERM");
    let ended = waiting.end();
    let all = format!("{}{}", ended.stdout, ended.stderr);
    assert_eq!(all.matches("out of luck").count(), 2, "whole, and a short line at the end: {all}");
    assert_eq!(all.matches("--> tests/harness/fixture.rs").count(), 2, "once for each: {all}");
}

fn what_fails_after_the_verdict_leaves_it_standing() {
    let ended = run("after_its_verdict --test-threads=1");
    ended.ended_with(101);
    let failed = ["asserts_after_its_verdict", "misses_something_after_its_verdict"];
    assert_eq!(ended.trials("FAILED"), fixture(&failed));
    ended.says("failed after its verdict (valid): the test panicked: the cart is full");
    ended.says("failed after its verdict (invalid - lost 4 adds): no second release");
    let all = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!all.contains("no verdict") && !all.contains("recorded until then"), "{all}");
}

fn names_that_stand_for_nothing_fail_their_own_trial() {
    let ended = run("fixture::misspelt fixture::misspelt_nemesis fixture::passes --exact");
    ended.ended_with(101);
    assert_eq!(ended.trials("ok"), fixture(&["passes"]));
    ended.says("unknown db \"fixtrue\"; did you mean \"fixture\"?");
    ended.says(&format!("--> {}", place("\"fixtrue\"")));
    ended.says("unknown nemesis \"majority_rung\"; did you mean \"majority_ring\"?");
    ended.says(&format!("--> {}", place("\"majority_rung\"")));
    ended.says("slow_bridge");
}

const CELLS: [&str; 6] = [
    "none::nodes_4",
    "none::nodes_5",
    "slow_bridge::nodes_4",
    "slow_bridge::nodes_5",
    "isolate_node_every_20s::nodes_4",
    "isolate_node_every_20s::nodes_5",
];

fn every_cell_of_a_matrix_is_a_trial() {
    let ended = run("matrix::cells --test-threads=2");
    ended.ended_with(0);
    let cells: Vec<_> = CELLS.iter().map(|cell| format!("matrix::cells::{cell}")).collect();
    let cells: Vec<_> = cells.iter().map(String::as_str).collect();
    assert_eq!(ended.trials("ok"), fixture(&cells));
}

fn snapshots_are_the_same_in_one_process_and_in_many() {
    let together = run("matrix::snapshots");
    together.ended_with(0);
    let names = together.trials("ok");
    assert_eq!(names.len(), 2);
    for name in names {
        run(&format!("{name} --exact --nocapture")).ended_with(0);
    }
    // Every attempt compares with the same.
    let attempts = run("fixture::snapshot_of_every_attempt --exact");
    assert_eq!(
        attempts.ended_with(101).stdout.matches("compared").count(),
        3,
        "{}",
        attempts.stderr
    );
    // What cannot be numbered is explained.
    let two = run("fixture::two_snapshots_of_every_attempt --exact");
    two.ended_with(101).says("each snapshot needs a name");
    assert_eq!(two.stdout.matches("compared").count(), 1, "{}", two.stderr);
    // They are compared indeed: without the cell's own file, this trial fails.
    run("fixture::snapshot_that_is_missing --exact").ended_with(101).says("snapshot assertion");
}

fn reasons_for_ignoring_are_shown() {
    let ended = run("fixture::is_ignored");
    ended.ended_with(0).says("ignored (takes an hour)").says("1 ignored");
}

fn ignored_trials_run_when_asked_for() {
    for flag in ["--ignored", "--include-ignored"] {
        let ended = run(&format!("fixture::is_ignored {flag}"));
        ended.ended_with(0);
        assert_eq!(ended.trials("ok"), fixture(&["is_ignored"]));
    }
}

fn the_first_failure_can_end_it() {
    let ended = run("fixture::fails fixture::errs --exact --fail-fast --test-threads=1");
    ended.ended_with(101);
    assert_eq!(ended.trials("FAILED"), fixture(&["fails"]));
    assert_eq!(ended.trials("ignored (an earlier trial failed"), fixture(&["errs"]));
}

fn unreadable_variables_are_refused() {
    let ended = Runtime::new().run("fixture::passes --exact", &[("FUZZ_DIST_RATE", "fast")]);
    ended.ended_with(101).says("FUZZ_DIST_RATE=\"fast\" cannot be read");
}

fn what_takes_too_long_ends() {
    let ended = run("fixture::takes_too_long --exact");
    ended.ended_with(101).says("the total limit of 50ms passed while resolving the test");
}

fn a_known_loss_passes_with_that_verdict_alone() {
    let ended = run("fixture::loses_as_expected fixture::loses_no_more --exact");
    ended.ended_with(101);
    assert_eq!(ended.trials("ok"), fixture(&["loses_as_expected"]));
    assert_eq!(ended.trials("FAILED"), fixture(&["loses_no_more"]));
    ended.says("as expected, fixture::loses_as_expected: invalid - a known loss; operations: ");
    let all = |ended: &crate::program::Ended| format!("{}{}", ended.stdout, ended.stderr);
    assert!(!all(&ended).contains("the promise was"), "a pass takes a line: {}", ended.stderr);
    let verbose = [("FUZZ_DIST_VERBOSE", "1")];
    let whole = Runtime::new().run("fixture::loses_as_expected --exact", &verbose);
    whole.ended_with(0).says("as expected, fixture::loses_as_expected: invalid").says("again: ");
    ended.says("expected invalid, and this run is not: valid");
}

fn a_run_whose_time_broke_is_unknown() {
    let ended = run("fixture::its_time_breaks --exact");
    ended.ended_with(101).says("fixture::its_time_breaks: unknown - ");
    ended.says("what moves simulated time broke (a waker of the test); from then on time passed");
}

fn unknown_fails_by_default() {
    let ended = run("fixture::is_unsure fixture::is_unsure_and_may_be --exact");
    ended.ended_with(101).says("nothing was read");
    assert_eq!(ended.trials("FAILED"), fixture(&["is_unsure"]));
    assert_eq!(ended.trials("ok"), fixture(&["is_unsure_and_may_be"]));
    ended.says("warning: fixture::is_unsure_and_may_be: unknown - nothing was read");
}

/// The seeds that were printed, in order.
fn seeds(text: &str) -> Vec<u64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.windows(2).filter(|w| w[0] == "seed").filter_map(|w| w[1].parse().ok()).collect()
}

fn attempts_have_seeds_of_their_own() {
    let first = run("fixture::attempts --exact");
    first.ended_with(0);
    let drawn = seeds(&first.stdout);
    assert_eq!((drawn.len(), drawn[0]), (3, 7), "{}", first.stdout);
    assert!(drawn[1] != drawn[2] && drawn[1] != 7 && drawn[2] != 7, "{drawn:?}");
    assert_eq!(seeds(&run("fixture::attempts --exact").stdout), drawn);
}

fn one_attempt_is_enough_for_a_loss_and_not_for_a_promise() {
    let lost = run("fixture::loses_once --exact");
    lost.ended_with(0).says("as expected, ");
    assert_eq!(seeds(&lost.stdout).len(), 2, "{}", lost.stdout);
    // Who asks for a number wants to know how often.
    let all = Runtime::new().run("fixture::loses_once --exact", &[("FUZZ_DIST_ATTEMPTS", "3")]);
    assert_eq!(seeds(&all.ended_with(0).stdout).len(), 3, "{}", all.stdout);
    let ended = run("fixture::holds_once --exact");
    ended.ended_with(101).says("1 of 2 attempts passed").says("lost 4 adds");
}

fn what_cannot_run_here_fails_or_is_counted() {
    let needy = "fixture::needs_a_release fixture::needs_a_permission --exact";
    let fails = Runtime::new().run(needy, &[("FUZZ_DIST_MISSING", "fail")]);
    fails.ended_with(101);
    assert_eq!(fails.trials("FAILED"), fixture(&["needs_a_permission"]));
    assert_eq!(fails.trials("ignored (no release"), fixture(&["needs_a_release"]));
    fails.says("1 trial(s) could not run here:\n  1 × no release of the fixture");
    let ignored = Runtime::new().run(needy, &[("FUZZ_DIST_MISSING", "ignore")]);
    ignored.ended_with(0).says("2 trial(s) could not run here:");
    ignored.says("1 × no permission for namespaces");
}

fn the_environment_chooses_seed_and_limits() {
    let variables = [("FUZZ_DIST_SEED", "0x2a"), ("FUZZ_DIST_ATTEMPTS", "1")];
    let ended = Runtime::new().run("fixture::attempts --exact", &variables);
    ended.ended_with(0);
    assert_eq!(seeds(&ended.stdout), [42]);
}

fn sigterm_lets_trials_tear_down() {
    let runtime = Runtime::new();
    let waiting = runtime.start("fixture::waits --exact --ignored", &[]);
    waiting.stdout.until("waiting");
    waiting.signal("TERM");
    let ended = waiting.end();
    ended.ended_with(101).says("SIGTERM: healing").says("let go").says("no verdict: SIGTERM");
}

/// GNU `timeout` signals its child and then the group of both.
fn what_times_out_twice_is_one_request() {
    let runtime = Runtime::new();
    let waiting = runtime.start("fixture::waits --exact --ignored", &[]);
    waiting.stdout.until("waiting");
    waiting.signal("TERM");
    waiting.signal("TERM");
    let ended = waiting.end();
    ended.ended_with(101).says("another signal after 1 s ends at once").says("let go");
}

fn a_second_interrupt_ends_at_once() {
    let runtime = Runtime::new();
    let stuck = runtime.start("fixture::is_stuck --exact --ignored", &[]);
    stuck.stdout.until("stuck");
    stuck.signal("INT");
    stuck.stderr.until("SIGINT: healing");
    // Sooner, it would count as the same request.
    std::thread::sleep(Duration::from_millis(1100));
    stuck.signal("INT");
    stuck.end().ended_with(130).says("SIGINT again: ending at once");
}

fn a_trial_waits_for_its_turn_until_the_other_process_is_killed() {
    let runtime = Runtime::new();
    let holder = runtime.start("hostile::occupies --exact --ignored", &[]);
    holder.stdout.until("occupied");
    let waiter = runtime.start("hostile::comes_up --exact", &[]);
    waiter.stderr.until("hostile::comes_up: queued; running now: hostile::occupies (process ");
    holder.signal("KILL");
    waiter.end().says("came up");
}

fn a_wait_has_a_limit() {
    let runtime = Runtime::new();
    let holder = runtime.start("hostile::occupies --exact --ignored", &[]);
    holder.stdout.until("occupied");
    let limited = runtime.run("hostile::comes_up --exact", &[("FUZZ_DIST_WAIT_LIMIT", "10ms")]);
    limited.ended_with(101).says("queued for 0 s; running now: hostile::occupies (process ");
}

/// What needs no machine is looked at before the wait for it: these would wait for an hour.
fn mistakes_are_reported_without_waiting() {
    let runtime = Runtime::new();
    let holder = runtime.start("hostile::occupies --exact --ignored", &[]);
    holder.stdout.until("occupied");
    let usage = runtime.run("hostile::cuts_too_small_a_ring --exact", &[]);
    usage.ended_with(101).says("majority_ring");
    let missing = runtime.run("hostile::has_no_release --exact", &[]);
    missing.ended_with(0).says("no release of the hostile fixture");
    let unreadable = runtime.run("hostile::comes_up --exact", &[("FUZZ_DIST_WAIT_LIMIT", "1 h")]);
    unreadable.ended_with(101).says("FUZZ_DIST_WAIT_LIMIT=\"1 h\" cannot be read");
}

fn waiting_can_be_interrupted() {
    let runtime = Runtime::new();
    let holder = runtime.start("hostile::occupies --exact --ignored", &[]);
    holder.stdout.until("occupied");
    let both = "hostile::comes_up hostile::has_no_release --exact --test-threads=1";
    let waiter = runtime.start(both, &[]);
    waiter.stderr.until("queued; running now");
    waiter.signal("TERM");
    let ended = waiter.end();
    ended.ended_with(101).says("SIGTERM while queued");
    ended.says("not started: stopped by SIGTERM");
}

/// The program of this check and all that it has started, as `ps` sees them.
fn processes_with(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("procfs").flatten() {
        let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environ.windows(text.len()).any(|window| window == text.as_bytes()) {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

/// Agents see that the harness is gone a moment later.
#[track_caller]
fn nothing_is_left(runtime: &Runtime) {
    let started = std::time::Instant::now();
    loop {
        let left = processes_with(&runtime.text());
        if left.is_empty() {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "left behind: {left:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The limits of its stages end it; what comes after it in the same process runs.
fn code_that_blocks_ends_its_trial_and_no_other() {
    let check = |name: &str, what: &str| {
        let runtime = Runtime::new();
        let both = format!("hostile::{name} hostile::comes_up --exact --include-ignored");
        let ended = runtime.run(&format!("{both} --test-threads=1"), &[]);
        ended.ended_with(101).says(what).says("use `tokio::time::sleep`");
        ended.says("it came up, which is enough");
        ended.says("test result: FAILED. 0 passed; 2 failed");
        nothing_is_left(&runtime);
    };
    check("a_client_blocks", "the client of n1 has blocked its thread for");
    check("a_start_blocks", "`Db::start` of `stuck` on n");
    check("a_function_blocks", "the test function `hostile::a_function_blocks` has blocked");
}

fn an_interrupt_ends_code_that_blocks() {
    let check = |name: &str, what: &str| {
        let runtime = Runtime::new();
        let blocking = runtime.start(&format!("hostile::{name} --exact --ignored"), &[]);
        blocking.stdout.until("blocking");
        blocking.signal("TERM");
        let ended = blocking.end();
        ended.ended_with(101).says("SIGTERM").says(what).says("report: ");
        nothing_is_left(&runtime);
        ended
    };
    let spun =
        check("a_function_spins", "the test function `hostile::a_function_spins` has blocked");
    spun.says("recorded until then").says("add 1 ok");
    check("a_fault_blocks", "freezes");
}

fn an_exit_in_the_middle_of_a_trial_is_a_failure() {
    let runtime = Runtime::new();
    let ended = runtime.run("hostile::a_function_exits --exact --ignored", &[]);
    ended.ended_with(101).says("`exit` while hostile::a_function_exits was running");
    nothing_is_left(&runtime);
}

fn a_checker_that_ends_its_process_ends_no_trial() {
    let ended = run("hostile::checker_ --test-threads=1");
    ended.ended_with(101);
    ended.says("test result: FAILED. 0 passed; 5 failed");
    ended.says("checker `Planted` panicked: the planted checker panicked");
    ended.says("checker `Planted` called exit(0)");
    ended.says("checker `Planted` was ended by signal 6 (SIGABRT: abort, or stack overflow)");
    ended.says("has overflowed its stack");
    ended.says("hostile::checker_finds: invalid - found a fault");
}

fn an_interrupt_ends_a_checker_that_computes_for_ever() {
    let runtime = Runtime::new();
    let computing = runtime.start("hostile::checker_computes --exact --ignored", &[]);
    computing.stdout.until("computing");
    computing.signal("TERM");
    computing.end().ended_with(101).says("checker `Planted` did not finish");
    nothing_is_left(&runtime);
}

fn nothing_printed_is_longer_than_a_screen() {
    let ended = run("hostile::says_too_much --exact");
    ended.ended_with(101).says("xxx… (");
    assert!(ended.stdout.len() + ended.stderr.len() < 8_000, "{}", ended.stderr.len());
}
