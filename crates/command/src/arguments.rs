//! What the command line asks for.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use fuzz_dist_history::Format;

/// Judges histories of operations on a distributed system, and begins tests of one.
#[derive(Parser)]
#[command(
    name = "cargo-fuzz-dist",
    bin_name = "cargo fuzz-dist",
    version,
    after_help = EXIT_CODES
)]
struct Line {
    #[command(subcommand)]
    task: Task,
}

/// Something to do.
#[derive(Debug, Subcommand)]
pub(super) enum Task {
    /// Judge a history, or a run again.
    #[command(after_help = AFTER_CHECK)]
    Check(Check),
    /// Write a history in another notation.
    Convert(Convert),
    /// List the checkers and their options.
    Checkers,
    /// Write a crate of cluster tests beside an Elixir or Erlang application.
    Init(Init),
}

/// An application that shall have cluster tests.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// The folder with mix.exs or rebar.config.
    #[arg(value_name = "PROJECT", default_value = ".")]
    pub(super) project: PathBuf,
    /// The folder of the crate fuzz_dist in a checkout [default: the published crate].
    #[arg(long, value_name = "FOLDER")]
    pub(super) path: Option<PathBuf>,
}

/// A history to judge.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// A file, which may be compressed with gzip or zstd, - for the standard input, or the folder of
    /// a run or of a test.
    #[arg(value_name = "HISTORY")]
    pub(super) source: String,
    /// Which checker judges; without it a run is judged by the checkers in its results.json.
    #[arg(short, long, value_name = "NAME")]
    pub(super) checker: Option<String>,
    /// An option of the checker; KEY alone switches it on.
    #[arg(short = 'o', long = "option", value_name = "KEY=VALUE", value_parser = option)]
    pub(super) options: Vec<(String, String)>,
    /// How the verdict is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(super) format: Output,
    #[command(flatten)]
    pub(super) notation: Notation,
}

/// A history to write in another notation.
#[derive(Debug, Args)]
pub(super) struct Convert {
    /// A file, - for the standard input, or the folder of a run or of a test.
    #[arg(value_name = "HISTORY")]
    pub(super) source: String,
    /// The notation to write.
    #[arg(long, value_name = "NOTATION", value_parser = PossibleValuesParser::new(["json", "edn"]))]
    to: String,
    #[command(flatten)]
    pub(super) notation: Notation,
}

impl Convert {
    pub(super) fn to(&self) -> Format {
        if self.to == "json" { Format::Json } else { Format::Edn }
    }
}

/// The notation of the history that is read.
#[derive(Debug, Args)]
pub(super) struct Notation {
    /// The notation of the history: json, edn, jepsen-json, jepsen-log, plume, awdit or dbcop
    /// [default: what its text and its name look like].
    #[arg(long, value_name = "NOTATION")]
    pub(super) from: Option<Format>,
}

/// How a verdict is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

const AFTER_CHECK: &str = "\
The folder of a run is target/fuzz_dist/TEST/TIME, or Jepsen's store/TEST/TIME, whose results name no checkers. Of the
folder of a test the run is taken that `latest` in it names.

Examples:
  cargo fuzz-dist check store/latest --checker list-append -o model=snapshot-isolation
  cargo fuzz-dist check history.edn.gz --checker set-full --format json

The command `checkers` lists the checkers and their options; docs/checkers.md of the repository says which one fits
which workload of Jepsen.

Exit codes: 0 valid; 1 invalid; 2 unknown, also where the history cannot be judged; 3 wrong arguments, a malformed
history, or output that cannot be written";

const EXIT_CODES: &str = "\
Exit codes: 0 valid; 1 invalid; 2 unknown; 3 wrong arguments, a malformed history, or output that cannot be written";

/// Reads the arguments, without the program's name. Cargo passes the name of the subcommand.
///
/// # Errors
///
/// Wrong arguments; also where help or the version is asked for, which is what the error prints.
pub(super) fn parse(
    arguments: impl Iterator<Item = std::ffi::OsString>,
) -> clap::error::Result<Task> {
    let mut words = arguments.peekable();
    words.next_if(|word| word == "fuzz-dist");
    let command = Line::command().no_binary_name(true);
    let line = Line::from_arg_matches(&command.try_get_matches_from(words)?)?;
    Ok(line.task)
}

/// What has no value is switched on.
fn option(text: &str) -> Result<(String, String), std::convert::Infallible> {
    let (key, value) = text.split_once('=').unwrap_or((text, "true"));
    Ok((key.replace('_', "-"), value.to_string()))
}
