//! Command lines as values, and programs that are run with a limit of time.

use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::error::{ProvisionError, io_error};
use crate::env::threads;
use fuzz_dist_sys as sys;

/// A program with its arguments and what it needs in its environment besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// The program's path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables to add to its environment.
    pub env: Vec<(String, String)>,
}

impl CommandLine {
    /// The command, ready to be started as a child of this process.
    pub fn to_command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// What a program that has ended said.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
}

/// A download of which nothing came for so long is given up.
pub(crate) const STALL_LIMIT: Duration = Duration::from_secs(30);

/// Only so much of a program's output is kept: the end.
const OUTPUT_BYTES_MAX: u64 = 64 << 10;

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(5);

/// Runs a program to its end; its output (both streams) is returned. A program that passes the
/// limit is killed, and so is one whose harness ends, with all that it started. Its input has to be
/// empty.
pub(crate) fn run(
    command: Command,
    input: Stdio,
    limit: Duration,
) -> Result<Finished, ProvisionError> {
    run_while(command, input, limit, || true)
}

/// The same; it is killed as well when `goes_on`, which is asked now and then, says no.
pub(crate) fn run_while(
    mut command: Command,
    input: Stdio,
    limit: Duration,
    mut goes_on: impl FnMut() -> bool,
) -> Result<Finished, ProvisionError> {
    let program = command.get_program().to_owned();
    let path = PathBuf::from(&program);
    let mut output =
        tempfile().map_err(io_error("make a temporary file for the output of", &path))?;
    let clone = || output.try_clone().map_err(io_error("keep the output of", &path));
    command.stdin(input).stdout(clone()?).stderr(clone()?);
    sys::supervised::supervised(&mut command);
    let mut child =
        command.spawn().map_err(threads::with_remedy).map_err(io_error("start", &path))?;
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait().map_err(io_error("wait for", &path))? {
            Some(status) => break status,
            None if Instant::now() < deadline && goes_on() => std::thread::sleep(POLL),
            None => {
                let stalled = Instant::now() < deadline;
                let _ = sys::signals::signal_group(child.id() as i32, libc::SIGKILL);
                let _ = child.wait();
                let program = program.to_string_lossy().into_owned();
                let said = tail(&mut output).unwrap_or_default();
                return Err(match stalled {
                    true => ProvisionError::Stalled { program, limit: STALL_LIMIT, said },
                    false => ProvisionError::TimedOut { program, limit, said },
                });
            }
        }
    };
    let mut output = tail(&mut output).map_err(io_error("read the output of", &path))?;
    if let Some(remedy) = threads::remedy_for(&output).filter(|_| !status.success()) {
        output.push_str(&format!("\n  remedy: {remedy}"));
    }
    Ok(Finished { status, output })
}

fn tail(output: &mut std::fs::File) -> io::Result<String> {
    let length = output.metadata()?.len();
    output.seek(io::SeekFrom::Start(length.saturating_sub(OUTPUT_BYTES_MAX)))?;
    let mut bytes = Vec::new();
    output.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// A file that is in no folder: it cannot fill up a pipe, and vanishes with its last user.
fn tempfile() -> io::Result<std::fs::File> {
    let file = rustix::fs::memfd_create("output", rustix::fs::MemfdFlags::CLOEXEC)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(300);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_ends_as_it_does_without_a_supervisor() {
        let run = |script| run(shell(script), Stdio::null(), LONG).unwrap();
        let finished = run("echo out; echo err >&2; exit 3");
        assert_eq!((finished.status.code(), &*finished.output), (Some(3), "out\nerr"));
        assert_eq!(run("kill -TERM $$").status.signal(), Some(libc::SIGTERM));
        assert!(run("read line || exit 0; exit 1").status.success());
    }

    #[test]
    fn a_program_that_is_not_there_is_reported() {
        let error = run(Command::new("/no/such/program"), Stdio::null(), LONG).unwrap_err();
        assert!(error.to_string().starts_with("failed to start /no/such/program"), "{error}");
    }

    /// Both ways to give up end the program and what it has started, and say what it had printed.
    #[test]
    fn a_program_that_is_given_up_ends_with_what_it_started() {
        const HANGS: &str = "sleep 1000 & echo $!; wait";
        let late = run(shell(HANGS), Stdio::null(), SHORT);
        let end = Instant::now() + SHORT;
        let stalled = run_while(shell(HANGS), Stdio::null(), LONG, || Instant::now() < end);
        let said = match (late, stalled) {
            (
                Err(ProvisionError::TimedOut { said: late, .. }),
                Err(ProvisionError::Stalled { said: stalled, .. }),
            ) => [late, stalled],
            other => panic!("{other:?}"),
        };
        for pid in said {
            let state = format!("/proc/{pid}/stat");
            let gone = || match std::fs::read_to_string(&state) {
                Ok(stat) => stat.contains(") Z"),
                Err(_) => true,
            };
            let deadline = Instant::now() + LONG;
            while !gone() {
                assert!(Instant::now() < deadline, "{pid} is still there");
                std::thread::sleep(POLL);
            }
        }
    }
}
