//! Command lines as values, and programs that are run with a limit of time.

use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::error::{ProvisionError, io_error};

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

/// Only so much of a program's output is kept: the end.
const OUTPUT_BYTES_MAX: u64 = 64 << 10;

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(5);

/// Runs a program to its end; its output (both streams) is returned. A program that passes the
/// limit is killed. Its input has to be empty.
pub(crate) fn run(
    mut command: Command,
    input: Stdio,
    limit: Duration,
) -> Result<Finished, ProvisionError> {
    let program = command.get_program().to_owned();
    let path = PathBuf::from(&program);
    let mut output =
        tempfile().map_err(io_error("make a temporary file for the output of", &path))?;
    let clone = || output.try_clone().map_err(io_error("keep the output of", &path));
    command.stdin(input).stdout(clone()?).stderr(clone()?);
    let mut child = command.spawn().map_err(io_error("start", &path))?;
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait().map_err(io_error("wait for", &path))? {
            Some(status) => break status,
            None if Instant::now() >= deadline => {
                let _ = child.kill();
                let _ = child.wait();
                let program = program.to_string_lossy().into_owned();
                return Err(ProvisionError::TimedOut { program, limit });
            }
            None => std::thread::sleep(POLL),
        }
    };
    let output = tail(&mut output).map_err(io_error("read the output of", &path))?;
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
