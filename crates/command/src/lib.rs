//! The command `cargo fuzz-dist`: judges recorded histories, and converts them.
//!
//! Its output and exit codes are described by [`HELP`], and in docs/checkers.md.

mod arguments;
mod check;
mod checkers;
mod compressed;
mod folder;
mod input;
mod output;
mod progress;
mod suggest;

use std::io::Write as _;
use std::process::ExitCode;

use arguments::{Ask, Task};
use fuzz_dist_history::Format;

/// What `--help` prints before the checkers.
pub const HELP: &str = "\
Judges histories of operations on a distributed system.

usage: cargo fuzz-dist check HISTORY --checker NAME [-o KEY=VALUE ...] [--format text|json]
       cargo fuzz-dist check FOLDER
       cargo fuzz-dist convert HISTORY --to json|edn
       cargo fuzz-dist checkers
       cargo fuzz-dist --help | --version

HISTORY is a file, which may be compressed with gzip or zstd, or - for the standard input. The
command detects its notation from its text and its name; --from names it:
json|edn|jepsen-json|jepsen-log|plume|awdit|dbcop.
FOLDER is that of a run, target/fuzz_dist/TEST/TIME or Jepsen's store/TEST/TIME, or that of a
test, of which the latest run is taken. Without --checker a run is judged as it was judged
before, by the checkers in its results.json. Jepsen's results do not name checkers.

-c is --checker, and -o is --option. For example:
  cargo fuzz-dist check store/latest --checker list-append -o model=snapshot-isolation
  cargo fuzz-dist check history.edn.gz --checker set-full --format json
docs/checkers.md of the repository says which checker fits which workload of Jepsen.

exit codes: 0 valid; 1 invalid; 2 unknown, also where the history cannot be judged;
            3 wrong arguments, a malformed history, or output that cannot be written
";

/// The verdict is valid, or what was asked for was done.
const VALID: u8 = 0;
const INVALID: u8 = 1;
const UNKNOWN: u8 = 2;
/// Wrong arguments, or a history that is none.
const WRONG: u8 = 3;

/// Runs the command with the arguments of this process.
pub fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned());
    let code = match arguments::parse(arguments) {
        Ok(Ask::Help) => ended(print(&format!("{HELP}\n{}", checkers::list())).map(|()| VALID)),
        Ok(Ask::Version) => {
            let version = concat!("cargo-fuzz-dist ", env!("CARGO_PKG_VERSION"), "\n");
            ended(print(version).map(|()| VALID))
        }
        Ok(Ask::Checkers) => ended(print(&checkers::list()).map(|()| VALID)),
        Ok(Ask::Do(Task::Check(ask))) => ended(check::check(&ask)),
        Ok(Ask::Do(Task::Convert { source, from, to })) => ended(convert(&source, from, to)),
        Err(why) => {
            eprintln!("{why}\nrun `cargo fuzz-dist --help` for how it is used");
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

fn convert(source: &str, from: Option<Format>, to: Format) -> Result<u8, String> {
    let progress = progress::Progress::start();
    let source = folder::find(source)?.map_or(source.into(), |folder| folder.history);
    let (loaded, _) = input::load(&source, from, &progress)?;
    drop(progress);
    let mut out = std::io::stdout().lock();
    match loaded.history.export(&mut out, to).and_then(|()| out.flush()) {
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
