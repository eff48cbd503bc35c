//! From registered tests to libtest-mimic trials.

mod arguments;
mod attempt;
mod exits;
mod signals;
mod supervise;
mod timed;
mod trials;

use crate::env::{AnyProvider, Provider as _, threads};
use crate::registry::{self, Named as _};
use std::process::ExitCode;

/// Threads beside those of libtest-mimic: of signals, and of one trial.
const FURTHER_THREADS: usize = 2;

/// Runs the registered tests as the command line says; `fuzz_dist::main!()` calls it.
///
/// It behaves as libtest's harness does, for `cargo test` and `cargo nextest` alike, and returns
/// 0 when everything passed, 101 when something failed, 2 when the command line is wrong.
pub fn run_main() -> ExitCode {
    main_if_asked();
    let arguments = arguments::read(std::env::args().collect());
    let tests = registry::tests();
    let mut trials = trials::all(&tests, &arguments);
    arguments.retain(&mut trials);
    if arguments.mimic.list {
        return libtest_mimic::run(&arguments.mimic, trials).exit_code();
    }
    if tests.is_empty() {
        fuzz_dist_sys::say!(
            "fuzz_dist: this target has no `#[fuzz_dist::test]`, so nothing is tested"
        );
    }
    // What comes next panics where it is refused a thread.
    let at_once = arguments.mimic.test_threads.unwrap_or_else(threads::cores).min(trials.len());
    if let Some(why) = threads::refused("the harness", at_once + FURTHER_THREADS) {
        fuzz_dist_sys::say!("fuzz_dist: {why}");
        return ExitCode::from(101);
    }
    exits::watch();
    signals::install();
    let conclusion = libtest_mimic::run(&arguments.mimic, trials);
    // Standard error: whoever reads `--format json` from standard output expects nothing else.
    if let Some(line) = trials::ignored_line() {
        fuzz_dist_sys::say!("{line}");
    }
    conclusion.exit_code()
}

/// Becomes what this program was started again for (an environment's agent, the embedded store), and
/// never returns then. [`run_main`] does it first of all; a `main` function of your own that does more
/// than that must call this before anything else, in particular before it starts a thread.
pub fn main_if_asked() {
    AnyProvider::registered().iter().for_each(|env| (env.make)().main_if_asked());
    crate::embedded::main_if_asked();
}
