//! Where the Erlang runtime comes from: named, on the PATH, or fetched once per user.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::command;
use super::erlang::Runtime;
use super::error::ProvisionError;
use super::packages;

/// The oldest release that is talked to: its calls are `erpc`'s, its handshake the present one.
const OTP_RELEASE_MIN: u32 = 23;

/// The applications that the framework and its examples use.
const APPLICATIONS: [&str; 4] = ["kernel", "stdlib", "compiler", "mnesia"];

/// How long a virtual machine may take that says where it lies, or whether it runs.
const START_LIMIT: Duration = Duration::from_secs(30);

/// What decides where the runtime comes from.
const VARIABLES: [&str; 4] = ["FUZZ_DIST_ERLANG", "PATH", "XDG_CACHE_HOME", "HOME"];

/// What was found for these values of them.
type Found = HashMap<Vec<Option<OsString>>, Result<Runtime, Arc<ProvisionError>>>;

impl Runtime {
    /// The runtime that `FUZZ_DIST_ERLANG` names; else that of the `erl` on the PATH; else one that
    /// was fetched for this user; else it is fetched (Debian and Ubuntu; some 11 MB and up to 10 MB
    /// of package lists), with lines of progress on the standard error.
    ///
    /// A program looks once: its later calls have the same result, be it an error.
    pub fn find_or_fetch() -> Result<Runtime, ProvisionError> {
        static FOUND: Mutex<Option<Found>> = Mutex::new(None);
        let variables = VARIABLES.map(std::env::var_os).to_vec();
        // Whoever asks meanwhile waits for the result.
        let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        let found = found.get_or_insert_default().entry(variables);
        let result = found.or_insert_with(|| look().map_err(Arc::new));
        result.clone().map_err(ProvisionError::Before)
    }

    /// The runtime in the user's cache, fetched if it is not there, or damaged.
    fn fetched() -> Result<Runtime, ProvisionError> {
        let check = |unpacked: &Path| {
            let runtime = Runtime::at(unpacked.join(ROOT))?;
            runtime.check()?;
            fuzz_dist_sys::say!("fuzz_dist: Erlang/OTP {} is ready", runtime.otp_version);
            Ok(())
        };
        Runtime::at(packages::ERLANG.fetched(check)?.join(ROOT))
    }

    fn suffices(&self) -> Result<(), String> {
        if self.otp_release < OTP_RELEASE_MIN {
            return Err(format!("it is OTP {}, older than {OTP_RELEASE_MIN}", self.otp_release));
        }
        match APPLICATIONS.iter().find(|name| !self.has_application(name)) {
            Some(missing) => Err(format!("it lacks the application `{missing}`")),
            None => Ok(()),
        }
    }

    /// Starts a virtual machine that loads what is needed, and stops.
    fn check(&self) -> Result<(), ProvisionError> {
        let names = APPLICATIONS.join(",");
        let program = format!(
            "[{{_, {{ok, _}}}} = {{application:load(A), application:get_key(A, vsn)}} || A <- [{names}]], halt(0)."
        );
        let mut command = self.erl(["-noshell", "-eval", &program]).to_command();
        command.env("HOME", "/").env("ERL_CRASH_DUMP_SECONDS", "0");
        let does_not_start = |output| ProvisionError::DoesNotStart {
            what: packages::ERLANG.what,
            root: self.root.clone(),
            output,
            help: packages::ERLANG.help(),
        };
        let finished = command::run(command, Stdio::null(), START_LIMIT)
            .map_err(|error| does_not_start(error.to_string()))?;
        if finished.status.success() { Ok(()) } else { Err(does_not_start(finished.output)) }
    }
}

/// Where the runtime lies in what was unpacked.
pub(super) const ROOT: &str = "usr/lib/erlang";

fn look() -> Result<Runtime, ProvisionError> {
    if let Some(root) = std::env::var_os("FUZZ_DIST_ERLANG").filter(|root| !root.is_empty()) {
        return Runtime::at(root).map_err(|error| match error {
            ProvisionError::NoRuntimeAt { root, reason, .. } => ProvisionError::NoRuntimeAt {
                root,
                named_by: " (named by FUZZ_DIST_ERLANG)",
                reason,
            },
            other => other,
        });
    }
    let Some(erl) = on_path("erl") else { return Runtime::fetched() };
    match of_erl(&erl) {
        Ok(runtime) => Ok(runtime),
        Err(reason) => {
            let unusable = format!("{} cannot be used: {reason}", erl.display());
            fuzz_dist_sys::say!("fuzz_dist: {unusable}");
            Runtime::fetched()
                .map_err(|error| ProvisionError::UnusableErl { unusable, error: error.into() })
        }
    }
}

/// The runtime of an `erl`, or why it does not do.
fn of_erl(erl: &Path) -> Result<Runtime, String> {
    // Usually a link to ROOT/bin/erl; version managers put scripts there instead, which have to be asked.
    let direct = fs::canonicalize(erl).ok().and_then(|real| {
        let root = real.parent()?.parent()?;
        Runtime::at(root).ok()
    });
    let runtime = match direct {
        Some(runtime) => runtime,
        None => Runtime::at(ask_root(erl)?).map_err(|error| error.to_string())?,
    };
    runtime.suffices().map(|()| runtime)
}

/// What `erl` itself says about where it lies.
fn ask_root(erl: &Path) -> Result<PathBuf, String> {
    let mut command = Command::new(erl);
    command.args(["-noshell", "-eval", "io:format(\"~nroot:~ts~n\", [code:root_dir()]), halt(0)."]);
    let finished =
        command::run(command, Stdio::null(), START_LIMIT).map_err(|error| error.to_string())?;
    let root = finished.output.lines().rev().find_map(|line| line.strip_prefix("root:"));
    root.map(PathBuf::from).ok_or_else(|| {
        let said = finished.output.lines().rev().find(|line| !line.trim().is_empty());
        format!(
            "asked for its root, it ended with {} and said: {}",
            finished.status,
            said.unwrap_or("nothing")
        )
    })
}

/// The program of this name on the PATH.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| {
        fs::metadata(file)
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    })
}
