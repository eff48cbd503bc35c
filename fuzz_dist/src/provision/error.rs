//! Why something that a test needs is not there, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;

/// Why the Erlang runtime, or something made with it, is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProvisionError {
    /// The folder that was named holds no runtime.
    #[error(
        "no Erlang runtime in {root}{named_by}: {reason}; expected the folder that `code:root_dir()` prints, such as \
         /usr/lib/erlang"
    )]
    NoRuntimeAt {
        /// The folder.
        root: PathBuf,
        /// Who named it, as ` (named by FUZZ_DIST_ERLANG)`, or nothing.
        named_by: &'static str,
        /// What is missing.
        reason: String,
    },
    /// There is no runtime on the PATH, and this is no system that it can be fetched for.
    #[error(
        "{what} is not on the PATH in a version that can be used, and cannot be fetched here: {reason}\n{help}"
    )]
    CannotFetch {
        /// What.
        what: &'static str,
        /// Why not.
        reason: String,
        /// What to do.
        help: String,
    },
    /// There is no folder to keep what is fetched.
    #[error(
        "neither XDG_CACHE_HOME nor HOME is set: there is no folder to keep what is fetched; set one of them"
    )]
    NoCache,
    /// Fetching the packages failed.
    #[error("failed to fetch {what}: {step}: {output}\n{help}")]
    FetchFailed {
        /// What.
        what: &'static str,
        /// What was being done.
        step: String,
        /// The last lines that the program printed, or what the system said.
        output: String,
        /// What to do.
        help: String,
    },
    /// Another process has been fetching it for too long.
    #[error(
        "another process has held {lock} for more than {} s: it fetches or builds something, or hangs; end it and \
         start again",
        .limit.as_secs()
    )]
    Locked {
        /// The lock file.
        lock: PathBuf,
        /// How long we waited.
        limit: Duration,
    },
    /// It was unpacked and does not start.
    #[error("{what} in {root} does not start: {output}\n{help}")]
    DoesNotStart {
        /// What.
        what: &'static str,
        /// Where it lies.
        root: PathBuf,
        /// What it printed.
        output: String,
        /// What to do.
        help: String,
    },
    /// The compiler refused the sources.
    #[error("failed to compile {sources}:\n{output}")]
    Compile {
        /// The files.
        sources: String,
        /// The compiler's messages.
        output: String,
    },
    /// A file or program could not be used.
    #[error("failed to {action} {path}: {error}")]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A program did not end in time.
    #[error("{program} did not end within {} s{}", .limit.as_secs(), after(.said))]
    TimedOut {
        /// The program.
        program: String,
        /// The limit.
        limit: Duration,
        /// What it had printed last.
        said: String,
    },
    /// A download received nothing for too long.
    #[error("{program} received nothing for {} s{}", .limit.as_secs(), after(.said))]
    Stalled {
        /// The program.
        program: String,
        /// The limit.
        limit: Duration,
        /// What it had printed last.
        said: String,
    },
    /// There is an `erl` on the PATH that cannot be used, and no other runtime.
    #[error("{unusable}\n{error}")]
    UnusableErl {
        /// Where it lies, and what is wrong with it.
        unusable: String,
        /// Why there is no other one.
        error: Box<ProvisionError>,
    },
    /// This program has looked for the runtime before, in vain.
    #[error(transparent)]
    Before(Arc<ProvisionError>),
}

fn after(said: &str) -> String {
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    last.map_or(String::new(), |line| format!("; its last output: {}", line.trim()))
}

impl ProvisionError {
    /// The error of a test. A runtime that was named and is unusable is a mistake of whoever named
    /// it; everything else is refused by the machine.
    pub(crate) fn explained(self) -> Error {
        match self.is_named() {
            true => Error::usage(self.to_string()),
            false => Error::environment(self),
        }
    }

    fn is_named(&self) -> bool {
        match self {
            ProvisionError::NoRuntimeAt { named_by, .. } => !named_by.is_empty(),
            ProvisionError::Before(error) => error.is_named(),
            _ => false,
        }
    }
}

crate::error::becomes_an_error![ProvisionError];

pub(crate) fn io_error(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> ProvisionError {
    let path = path.into();
    move |error| ProvisionError::Io { action, path, error }
}
