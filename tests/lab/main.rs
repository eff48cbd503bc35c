//! The local lab, tried with real namespaces, devices and processes, as root and as anybody.

mod altered;
mod escape;
mod hosts;
mod life;
mod links;
mod partitions;
mod processes;
mod refused;
mod support;
mod triggers;

use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;

fn main() -> ExitCode {
    fuzz_dist::lab::agent_main_if_asked();
    if let Some(code) = support::helper_if_asked() {
        return code;
    }
    let arguments = Arguments::from_args();
    let modules = [
        hosts::TESTS,
        escape::TESTS,
        links::TESTS,
        partitions::TESTS,
        triggers::TESTS,
        processes::TESTS,
        life::TESTS,
        refused::TESTS,
    ];
    let mut trials: Vec<Trial> = modules
        .concat()
        .into_iter()
        .map(|(name, test)| Trial::test(name, move || caught(test)))
        .collect();
    if rustix::process::geteuid().is_root() {
        trials.push(Trial::test("as_an_ordinary_user", || caught(life::as_an_ordinary_user)));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// libtest-mimic reports a panic itself; this gives tests the usual shape.
fn caught(test: fn()) -> Result<(), Failed> {
    test();
    Ok(())
}
