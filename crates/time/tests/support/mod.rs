//! Runs programs in simulated time, and says which cannot be run here.
#![allow(dead_code, reason = "each test uses a part")]

use fuzz_dist_time::{Pace, Simulation, Status};
use libtest_mimic::{Failed, Trial};
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// Of a program's run, in the machine's time. On an idle machine each takes a second or two; what waits for its share of processor
/// time takes many times as long on a busy one.
pub(crate) const LIMIT: Duration = Duration::from_secs(600);

/// Runs a program to its end in simulated time; gives what it printed, and how time was then.
fn run(mut command: Command, pace: Pace) -> (String, Status) {
    let folder = tempfile::tempdir().unwrap();
    let simulation = Simulation::start(folder.path(), pace).unwrap();
    command.envs(simulation.environment(folder.path(), 0)).stdout(Stdio::piped());
    let mut program = Program::start(&mut command);
    simulation.registered(program.id(), LIMIT).unwrap();
    simulation.run();
    program.ends(&simulation);
    let mut printed = String::new();
    program.0.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    (printed.trim().to_owned(), simulation.status())
}

/// A program that a test has started. However the test ends, the program ends: one that sleeps on would hold the
/// test's output open.
pub(crate) struct Program(Child);

impl Program {
    /// In a process group of its own, with all that it starts.
    pub(crate) fn start(command: &mut Command) -> Program {
        Program(command.process_group(0).spawn().unwrap())
    }

    pub(crate) fn id(&self) -> i32 {
        self.0.id() as i32
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// Waits until it has ended with success.
    pub(crate) fn ends(&mut self, simulation: &Simulation) {
        let limit = Instant::now() + LIMIT;
        loop {
            if let Some(how) = self.0.try_wait().unwrap() {
                return assert!(how.success(), "{how}: {:#?}", simulation.status());
            }
            let status = || simulation.status();
            assert!(Instant::now() < limit, "it has not ended within {LIMIT:?}: {:#?}", status());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.0.wait();
    }
}

/// A trial of a test's own, which fails when it has not ended in time: time that stands still ends no wait.
pub(crate) fn limited(name: &str, test: fn() -> Result<(), Failed>) -> Trial {
    Trial::test(name, move || {
        let (done, waits) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || done.send(test()));
        match waits.recv_timeout(LIMIT) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(format!("not ended within {LIMIT:?}").into()),
            Err(RecvTimeoutError::Disconnected) => {
                std::panic::resume_unwind(thread.join().expect_err("it has panicked"))
            }
        }
    })
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
