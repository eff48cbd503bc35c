//! Releases as users have them: a rebar3 project, `tests/releases/ledger`, built by the run; and what goes wrong with them.
//!
//! With `FUZZ_DIST_FIXTURE` set it is an ordinary target; without, it starts itself that way and looks at what comes out.

mod checks;
mod fixture;
#[path = "../harness/program.rs"]
#[allow(dead_code, reason = "it is shared with other targets")]
mod program;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Hosts start this program again, with an environment of their own.
    fuzz_dist::lab::agent_main_if_asked();
    if std::env::var_os("FUZZ_DIST_FIXTURE").is_some() {
        return fuzz_dist::run_main();
    }
    let arguments = libtest_mimic::Arguments::from_args();
    libtest_mimic::run(&arguments, checks::all()).exit_code()
}
