//! An Erlang runtime: its versions, and the commands that start what is in it.

use std::fs;
use std::path::PathBuf;

use super::command::CommandLine;
use super::error::ProvisionError;
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

/// The newest release that all of this was tried with.
const OTP_RELEASE_TRIED: u32 = 29;

impl Runtime {
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
}
