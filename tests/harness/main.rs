//! The harness as its users meet it: this program runs itself with fixture tests of its own.
//!
//! With `FUZZ_DIST_FIXTURE` set it is an ordinary target with `fuzz_dist::main!()`; without, it
//! starts itself that way and looks at what comes out.

mod checks;
mod fixture;
mod hostile;
mod program;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Hosts start this program again, with an environment of their own.
    fuzz_dist::lab::agent_main_if_asked();
    fuzz_dist::embedded::main_if_asked();
    if std::env::var_os("FUZZ_DIST_FIXTURE").is_some() {
        return fuzz_dist::run_main();
    }
    let arguments = libtest_mimic::Arguments::from_args();
    libtest_mimic::run(&arguments, checks::all()).exit_code()
}
