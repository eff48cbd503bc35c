//! Runs programs in simulated time, and says which cannot be run here.
#![allow(dead_code, reason = "each test uses a part")]

use fuzz_dist_time::{Pace, Simulation, Status};
use libtest_mimic::Trial;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Of a program's run, in the machine's time. On an idle machine each takes a second or two; what waits for its share of processor
/// time takes many times as long on a busy one.
pub(crate) const LIMIT: Duration = Duration::from_secs(600);

/// Runs a program to its end in simulated time; gives what it printed, and how time was then.
fn run(mut command: Command, pace: Pace) -> (String, Status) {
    let folder = tempfile::tempdir().unwrap();
    let simulation = Simulation::start(folder.path(), pace).unwrap();
    let mut child = command
        .envs(simulation.environment(folder.path(), 0))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    simulation.registered(child.id() as i32, LIMIT).unwrap();
    simulation.run();
    let limit = Instant::now() + LIMIT;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > limit {
            let status = simulation.status();
            child.kill().unwrap();
            panic!("the program has not ended within {LIMIT:?}: {status:#?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    (String::from_utf8(output.stdout).unwrap().trim().to_owned(), simulation.status())
}

/// Runs a program, and has its output compared. It is ignored where what it needs is not there.
fn trial(
    name: &str,
    command: Option<Command>,
    pace: Pace,
    check: impl FnOnce(&str, &Status) + Send + 'static,
) -> Trial {
    let ignored = command.is_none();
    let trial = Trial::test(name, move || {
        let (printed, status) = run(command.expect("it is there"), pace);
        check(&printed, &status);
        Ok(())
    });
    trial.with_ignored_flag(ignored)
}

fn compared(expected: &str) -> impl FnOnce(&str, &Status) + Send + 'static {
    let expected = expected.to_owned();
    move |printed, status| assert_eq!(printed, expected, "{status:#?}")
}

/// What programs in Python begin with.
const BEGIN: &str = "
import time
before = time.monotonic_ns()
def since():
    global before
    now = time.monotonic_ns(); passed = now - before; before = now
    return passed
";

fn python_program(code: &str) -> Option<Command> {
    let is_there = |program: &&str| {
        Command::new(program).arg("-V").stdout(Stdio::null()).status().is_ok_and(|s| s.success())
    };
    let found = ["/usr/bin/python3", "python3"].into_iter().find(is_there)?;
    let mut command = Command::new(found);
    command.args(["-S", "-c", &format!("{BEGIN}{code}")]);
    Some(command)
}

/// A program in Python and what it prints.
pub(crate) fn python(name: &str, code: &str, expected: &str) -> Trial {
    trial(name, python_program(code), Pace::Still, compared(expected))
}

/// The same with a check of one's own.
pub(crate) fn python_with(
    name: &str,
    code: &str,
    check: impl FnOnce(&str, &Status) + Send + 'static,
) -> Trial {
    trial(name, python_program(code), Pace::Still, check)
}

/// The same at another pace.
pub(crate) fn paced(
    name: &str,
    pace: Pace,
    code: &str,
    check: impl FnOnce(&str, &Status) + Send + 'static,
) -> Trial {
    trial(name, python_program(code), pace, check)
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
pub(crate) fn erl() -> Option<Command> {
    let root = runtime()?;
    let erts = std::fs::read_dir(&root).ok()?.flatten().map(|e| e.path());
    let erts = erts.into_iter().find(|path| path.join("bin/erlexec").is_file())?;
    let mut command = Command::new(erts.join("bin/erlexec"));
    command.env("ROOTDIR", &root).env("BINDIR", erts.join("bin")).env("EMU", "beam");
    command.env("PROGNAME", "erl").env("HOME", "/tmp");
    Some(command)
}

/// An expression that an Erlang node evaluates.
pub(crate) fn erlang(name: &str, code: &str, expected: &str) -> Trial {
    let command = erl().map(|mut command| {
        let code = format!("{code}, erlang:halt(0).");
        command.args(["+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"]);
        command.args(["-noshell", "-eval", &code]);
        command
    });
    trial(name, command, Pace::Still, compared(expected))
}

/// A program that is started by the test itself.
pub(crate) fn sleep(seconds: &str) -> Command {
    let mut command = Command::new("sleep");
    command.arg(seconds);
    command
}
