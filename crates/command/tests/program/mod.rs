//! `cargo fuzz-dist` as a user runs it.

use std::io::Write;
use std::process::{Command, Stdio};

/// Exit codes.
pub(crate) const VALID: i32 = 0;
pub(crate) const INVALID: i32 = 1;
pub(crate) const UNKNOWN: i32 = 2;
pub(crate) const WRONG: i32 = 3;

/// How a run ended: its exit code, what it printed, and what it printed as errors.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the command with the arguments, which stand as in a shell, and the text as its input.
pub(crate) fn run(arguments: &str, input: impl AsRef<[u8]>) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_cargo-fuzz-dist"))
        .args(arguments.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    // Whoever refuses its arguments does not read.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_ref());
    let output = child.wait_with_output().expect("the command ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("no signal");
    Ended { code, out: text(&output.stdout), err: text(&output.stderr) }
}
