//! The command `cargo fuzz-dist`: judges recorded histories, converts them, and begins
//! cluster tests of an application.
//!
//! Its output and exit codes are described by `--help`, and in docs/checkers.md.

mod arguments;
mod check;
mod checkers;
mod compressed;
mod folder;
mod init;
mod input;
mod output;
mod progress;

use std::io::Write as _;
use std::process::ExitCode;

use arguments::{Convert, Task};
use clap::error::ErrorKind;

/// The verdict is valid, or what was asked for was done.
const VALID: u8 = 0;
const INVALID: u8 = 1;
const UNKNOWN: u8 = 2;
/// Wrong arguments, or a history that is none.
const WRONG: u8 = 3;

/// Runs the command with the arguments of this process.
pub fn main() -> ExitCode {
    let code = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Task::Checkers) => ended(print(&checkers::list()).map(|()| VALID)),
        Ok(Task::Check(ask)) => ended(check::check(&ask)),
        Ok(Task::Convert(ask)) => ended(convert(&ask)),
        Ok(Task::Init(ask)) => {
            ended(init::init(&ask).and_then(|said| print(&said)).map(|()| VALID))
        }
        Err(asked)
            if matches!(asked.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
        {
            ended(print(&asked.to_string()).map(|()| VALID))
        }
        Err(wrong) => {
            // Nobody is left to be told where this cannot be written.
            let _ = wrong.print();
            WRONG
        }
    };
    ExitCode::from(code)
}

/// The exit code, or what went wrong.
fn ended(done: Result<u8, String>) -> u8 {
    done.unwrap_or_else(|why| {
        eprintln!("{why}");
        WRONG
    })
}

fn convert(ask: &Convert) -> Result<u8, String> {
    let progress = progress::Progress::start();
    let source = folder::find(&ask.source)?.map_or(ask.source.clone(), |folder| folder.history);
    let (loaded, _) = input::load(&source, ask.notation.from, &progress)?;
    drop(progress);
    let mut out = std::io::stdout().lock();
    match loaded.history.export(&mut out, ask.to()).and_then(|()| out.flush()) {
        Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("could not write the history: {why}"))
        }
        _ => Ok(VALID),
    }
}

/// Writes to the standard output. Who reads it may stop reading at any time; every other failure is
/// an error, since a verdict that nobody can read is none.
fn print(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("could not write to the standard output: {why}"))
        }
        _ => Ok(()),
    }
}
