//! What goes wrong around a run: every fault ends in a clear error or verdict, the history is
//! kept, and nothing is left behind.
//!
//! With `FUZZ_DIST_FIXTURE` set this program is an ordinary target of cluster tests, each with a
//! fault of its own; without, it starts itself that way and looks at what comes out. With `JUDGES_A_STORE` it is
//! `cargo fuzz-dist`.

mod antidote;
mod checks;
mod collector;
mod elsewhere;
mod faults;
mod fixture;
mod interrupts;
mod kills;
mod ordinary_user;
mod places;
#[path = "../processes/mod.rs"]
mod processes;
#[path = "../harness/program.rs"]
#[allow(dead_code)]
mod program;
mod runtime;

use std::process::ExitCode;

fn main() -> ExitCode {
    // The program is the agent of its labs and the store of its hosts, too.
    let started_by_a_lab = std::env::args().nth(1).is_some_and(|a| a.starts_with("__fuzz_dist"));
    if std::env::var_os("JUDGES_A_STORE").is_some() {
        return cargo_fuzz_dist::main();
    }
    if started_by_a_lab || std::env::var_os("FUZZ_DIST_FIXTURE").is_some() {
        return fuzz_dist::run_main();
    }
    let arguments = libtest_mimic::Arguments::from_args();
    let mut trials = checks::all();
    if rustix::process::geteuid().is_root() {
        trials.extend(ordinary_user::trials());
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
