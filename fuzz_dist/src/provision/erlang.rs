//! The Erlang runtime: found on this machine, or fetched once per user.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::apt;
use super::cache::{self, Lock, create_folder, remove_folder};
use super::command::{self, CommandLine};
use super::error::{ProvisionError, io_error};
use crate::beam::NodeSpec;

/// An Erlang runtime, wherever it lies: nothing has to be installed for it to run.
///
/// ```no_run
/// use fuzz_dist::provision::Runtime;
/// let runtime = Runtime::find_or_fetch()?;
/// println!("OTP {} in {}", runtime.otp_version, runtime.root.display());
/// # Ok::<(), fuzz_dist::provision::ProvisionError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// The folder that `code:root_dir()` gives.
    pub root: PathBuf,
    /// The version of the runtime system, such as `13.1.5`.
    pub erts_version: String,
    /// The major release, such as 25.
    pub otp_release: u32,
    /// The whole version, such as `25.2.3`.
    pub otp_version: String,
}

/// The oldest release that is talked to: its calls are `erpc`'s, its handshake the present one.
const OTP_RELEASE_MIN: u32 = 23;

/// The newest release that all of this was tried with.
const OTP_RELEASE_TRIED: u32 = 29;

/// The applications that the framework and its examples use.
const APPLICATIONS: [&str; 4] = ["kernel", "stdlib", "compiler", "mnesia"];

const START_LIMIT: Duration = Duration::from_secs(30);

impl Runtime {
    /// The runtime that `FUZZ_DIST_ERLANG` names; else that of the `erl` on the PATH; else one that
    /// was fetched for this user; else it is fetched (Debian and Ubuntu; some 11 MB and up to 10 MB
    /// of package lists), with lines of progress on the standard error.
    pub fn find_or_fetch() -> Result<Runtime, ProvisionError> {
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
        match Runtime::of_path() {
            Some(runtime) => Ok(runtime),
            None => Runtime::fetched(),
        }
    }

    /// The runtime in a folder: the one that `code:root_dir()` gives. No virtual machine is started.
    pub fn at(root: impl Into<PathBuf>) -> Result<Runtime, ProvisionError> {
        let root = root.into();
        let none = |reason: String| ProvisionError::NoRuntimeAt {
            root: root.clone(),
            named_by: "",
            reason,
        };
        let data = fs::read_to_string(root.join("releases/start_erl.data"))
            .map_err(|error| none(format!("releases/start_erl.data: {error}")))?;
        let mut words = data.split_whitespace();
        let (Some(erts_version), Some(release)) = (words.next(), words.next()) else {
            return Err(none(
                "releases/start_erl.data is not of the form `ERTS-VERSION RELEASE`".into(),
            ));
        };
        let otp_release =
            release.parse().map_err(|_| none(format!("`{release}` is no OTP release")))?;
        let otp_version = fs::read_to_string(root.join(format!("releases/{release}/OTP_VERSION")))
            .map_or_else(|_| release.to_owned(), |text| text.trim().to_owned());
        let erts_version = erts_version.to_owned();
        let runtime = Runtime { root: root.clone(), erts_version, otp_release, otp_version };
        if !runtime.bin().join("erlexec").is_file() {
            return Err(none(format!("erts-{}/bin/erlexec is missing", runtime.erts_version)));
        }
        Ok(runtime)
    }

    /// What people should know of a release that is newer than any that this was tried with.
    ///
    /// ```
    /// # use fuzz_dist::provision::Runtime;
    /// assert_eq!(Runtime::untried(29), None);
    /// assert!(Runtime::untried(99).unwrap().starts_with("Erlang/OTP 99 is newer than 29"));
    /// ```
    pub fn untried(otp_release: u32) -> Option<String> {
        (otp_release > OTP_RELEASE_TRIED).then(|| {
            format!(
                "Erlang/OTP {otp_release} is newer than {OTP_RELEASE_TRIED}, the newest that this \
                 version of fuzz_dist was tried with: what its nodes say, and what is seen of them \
                 on the wire, may be incomplete"
            )
        })
    }

    /// Has it got this application?
    pub fn has_application(&self, name: &str) -> bool {
        let prefix = format!("{name}-");
        fs::read_dir(self.root.join("lib")).is_ok_and(|entries| {
            entries.flatten().any(|entry| {
                entry.file_name().to_string_lossy().starts_with(&prefix)
                    && entry.path().join("ebin").is_dir()
            })
        })
    }

    /// The command that starts a virtual machine with these arguments.
    pub fn erl(&self, args: impl IntoIterator<Item = impl Into<String>>) -> CommandLine {
        let variable = |name: &str, value: String| (name.to_owned(), value);
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        CommandLine {
            program: self.bin().join("erlexec"),
            args: args.into_iter().map(Into::into).collect(),
            env: vec![
                variable("ROOTDIR", text(self.root.clone())),
                variable("BINDIR", text(self.bin())),
                variable("EMU", "beam".into()),
                variable("PROGNAME", "erl".into()),
            ],
        }
    }

    /// The command that starts a node in the foreground. Its host's epmd has to be there before.
    pub fn node(&self, spec: &NodeSpec) -> CommandLine {
        let mut command = self.erl(spec.args());
        command.env.extend(spec.env());
        command
    }

    /// The command that starts a port mapper in the foreground.
    pub fn epmd(&self, port: u16) -> CommandLine {
        CommandLine {
            program: self.bin().join("epmd"),
            args: vec!["-port".into(), port.to_string()],
            env: Vec::new(),
        }
    }

    fn bin(&self) -> PathBuf {
        self.root.join(format!("erts-{}/bin", self.erts_version))
    }

    /// The runtime of the `erl` on the PATH, if it is recent and has what is needed.
    fn of_path() -> Option<Runtime> {
        let erl = on_path("erl")?;
        // Usually a link to ROOT/bin/erl; version managers put scripts there instead, which have to be asked.
        let direct = fs::canonicalize(&erl).ok().and_then(|real| {
            let root = real.parent()?.parent()?;
            Runtime::at(root).ok()
        });
        let runtime = direct.or_else(|| Runtime::at(ask_root(&erl)?).ok())?;
        runtime.suffices().then_some(runtime)
    }

    fn suffices(&self) -> bool {
        self.otp_release >= OTP_RELEASE_MIN
            && APPLICATIONS.iter().all(|name| self.has_application(name))
    }

    /// The runtime in the user's cache, fetched if it is not there.
    fn fetched() -> Result<Runtime, ProvisionError> {
        let cache = cache::folder()?;
        let name = format!("erlang-{}", apt::system());
        let home = cache.join(&name);
        let root = home.join("usr/lib/erlang");
        if let Ok(runtime) = Runtime::at(&root) {
            return Ok(runtime);
        }
        apt::available()?;
        create_folder(&cache)?;
        let say = |text: &str| eprintln!("fuzz_dist: {text}");
        let waiting = || say("waiting for another test that fetches the Erlang runtime");
        let lock = Lock::take(&cache.join(format!("{name}.lock")), waiting)?;
        // Whoever held the lock before us may have put it there.
        if let Ok(runtime) = Runtime::at(&root) {
            return Ok(runtime);
        }
        say(&format!("no Erlang runtime on the PATH: fetching one, once, into {}", home.display()));
        let work = cache.join(format!("{name}.fetching"));
        let unpacked = apt::fetch(&work, &lock, &say)?;
        Runtime::at(unpacked.join("usr/lib/erlang"))?.check()?;
        // It appears whole or not at all.
        remove_folder(&home)?;
        fs::rename(&unpacked, &home).map_err(io_error("move into place", &home))?;
        remove_folder(&work)?;
        let runtime = Runtime::at(&root)?;
        say(&format!("Erlang/OTP {} is ready", runtime.otp_version));
        Ok(runtime)
    }

    /// Starts a virtual machine that loads what is needed, and stops.
    fn check(&self) -> Result<(), ProvisionError> {
        let names = APPLICATIONS.join(",");
        let program = format!(
            "[{{_, {{ok, _}}}} = {{application:load(A), application:get_key(A, vsn)}} || A <- [{names}]], halt(0)."
        );
        let mut command = self.erl(["-noshell", "-eval", &program]).to_command();
        command.env("HOME", "/").env("ERL_CRASH_DUMP_SECONDS", "0");
        let does_not_start =
            |output| ProvisionError::DoesNotStart { root: self.root.clone(), output };
        let finished = command::run(command, Stdio::null(), START_LIMIT)
            .map_err(|error| does_not_start(error.to_string()))?;
        if finished.status.success() { Ok(()) } else { Err(does_not_start(finished.output)) }
    }
}

/// What `erl` itself says about where it lies.
fn ask_root(erl: &Path) -> Option<PathBuf> {
    let mut command = Command::new(erl);
    command.args(["-noshell", "-eval", "io:format(\"~nroot:~ts~n\", [code:root_dir()]), halt(0)."]);
    let finished = command::run(command, Stdio::null(), START_LIMIT).ok()?;
    finished.output.lines().rev().find_map(|line| line.strip_prefix("root:")).map(PathBuf::from)
}

/// The program of this name on the PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| {
        fs::metadata(file)
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    })
}
