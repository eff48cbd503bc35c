//! Runs programs in simulated time, and says which cannot be run here.

use fuzz_dist_time::{Pace, Simulation};
use libtest_mimic::Trial;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs a program to its end in simulated time; gives what it printed.
pub fn run(mut command: Command, pace: Pace) -> String {
    let folder = tempfile::tempdir().unwrap();
    let simulation = Simulation::start(folder.path(), pace).unwrap();
    let mut child = command
        .envs(simulation.environment(folder.path(), 0))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    simulation.registered(child.id() as i32).unwrap();
    simulation.run();
    let limit = Instant::now() + Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > limit {
            let status = simulation.status();
            child.kill().unwrap();
            panic!("the program has not ended within a minute: {status:#?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    if std::env::var_os("SHOW_STATUS").is_some() {
        eprintln!("{:#?}", simulation.status());
    }
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn trial(name: &str, command: Option<Command>, expected: &str) -> Trial {
    let (ignored, expected) = (command.is_none(), expected.to_owned());
    let trial = Trial::test(name, move || {
        let found = run(command.expect("it is there"), Pace::Still);
        if found == expected { Ok(()) } else { Err(format!("{found}\nexpected {expected}").into()) }
    });
    trial.with_ignored_flag(ignored)
}

/// A program in Python; ignored where there is none.
pub fn python(name: &str, code: &str, expected: &str) -> Trial {
    let found = ["/usr/bin/python3", "python3"].into_iter().find(|program| {
        Command::new(program).arg("-V").stdout(Stdio::null()).status().is_ok_and(|s| s.success())
    });
    let command = found.map(|program| {
        let mut command = Command::new(program);
        command.args(["-S", "-c", code]);
        command
    });
    trial(name, command, expected)
}

/// Where an Erlang runtime lies: `FUZZ_DIST_ERLANG`, or what earlier tests have fetched.
fn runtime() -> Option<PathBuf> {
    if let Some(root) = std::env::var_os("FUZZ_DIST_ERLANG") {
        return Some(root.into());
    }
    let cache = PathBuf::from(std::env::var_os("HOME")?).join(".cache/fuzz_dist");
    let fetched = std::fs::read_dir(cache).ok()?.flatten().map(|e| e.path());
    fetched.map(|path| path.join("usr/lib/erlang")).find(|root| root.is_dir())
}

/// The command that starts this runtime.
pub fn erl() -> Option<Command> {
    let root = runtime()?;
    let erts = std::fs::read_dir(&root).ok()?.flatten().map(|e| e.path());
    let erts = erts.into_iter().find(|path| path.join("bin/erlexec").is_file())?;
    let mut command = Command::new(erts.join("bin/erlexec"));
    command.env("ROOTDIR", &root).env("BINDIR", erts.join("bin")).env("EMU", "beam");
    command.env("PROGNAME", "erl").env("HOME", "/tmp");
    Some(command)
}

/// An expression that an Erlang node evaluates.
pub fn erlang(name: &str, code: &str, expected: &str) -> Trial {
    let command = erl().map(|mut command| {
        let code = format!("{code}, erlang:halt(0).");
        command.args(["+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"]);
        command.args(["-noshell", "-eval", &code]);
        command
    });
    trial(name, command, expected)
}
