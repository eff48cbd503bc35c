//! Lines for people on standard error, where there may be nobody: `eprintln!` panics when a pipe is broken,
//! and Ctrl-C ends the `tee` behind a pipe as well.

use std::io::Write as _;

/// Writes a line, as far as anybody reads it.
pub fn line(text: std::fmt::Arguments<'_>) {
    // In one piece, since others write as well.
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// `eprintln!` that never panics.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => { $crate::say::line(format_args!($($text)*)) };
}
