//! The programs that build projects of Elixir and Erlang: those on the PATH, or fetched once per user.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::command;
use super::erlang::Runtime;
use super::error::{ProvisionError, io_error};
use super::find::{ROOT, on_path};
use super::packages::{self, Set};

/// How long a tool may take to say its version.
const START_LIMIT: Duration = Duration::from_secs(60);

/// `erl`, wherever the folder lies that it is in: the system's own script names the place where the package is
/// installed.
const ERL: &str = "#!/bin/sh
ROOTDIR=$(CDPATH='' cd \"$(dirname \"$0\")/../ROOT\" && pwd)
BINDIR=$ROOTDIR/erts-VERSION/bin
EMU=beam
PROGNAME=erl
export ROOTDIR BINDIR EMU PROGNAME
exec \"$BINDIR/erlexec\" \"$@\"
";

/// A program that builds projects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Tool {
    Mix,
    Rebar3,
}

impl Tool {
    /// The tool of a command line: its first word that is no variable.
    pub(crate) fn of(line: &str) -> Option<Tool> {
        let program = line.split_whitespace().find(|word| !word.contains('='))?;
        match program {
            "mix" | "elixir" | "elixirc" => Some(Tool::Mix),
            "rebar3" => Some(Tool::Rebar3),
            _ => None,
        }
    }

    /// Its program.
    pub(crate) const fn program(self) -> &'static str {
        match self {
            Tool::Mix => "mix",
            Tool::Rebar3 => "rebar3",
        }
    }

    fn set(self) -> &'static Set {
        match self {
            Tool::Mix => &packages::ELIXIR,
            Tool::Rebar3 => &packages::REBAR3,
        }
    }

    /// The variables with which a command finds it: none where it is on the PATH; else it is fetched (Debian and
    /// Ubuntu; 17 to 24 MB and up to 10 MB of package lists).
    pub(crate) fn variables(self) -> Result<Vec<(&'static str, OsString)>, ProvisionError> {
        if on_path(self.program()).is_some() {
            return Ok(Vec::new());
        }
        Ok(variables_in(&self.set().fetched(|unpacked| self.complete(unpacked))?))
    }

    /// Adds `bin/erl` to what was unpacked, and sees whether the tool runs.
    fn complete(self, unpacked: &Path) -> Result<(), ProvisionError> {
        let runtime = Runtime::at(unpacked.join(ROOT))?;
        let bin = unpacked.join("bin");
        let erl = bin.join("erl");
        fs::create_dir_all(&bin).map_err(io_error("create", &bin))?;
        let script =
            ERL.replace("ROOT\"", &format!("{ROOT}\"")).replace("VERSION", &runtime.erts_version);
        fs::write(&erl, script).map_err(io_error("write", &erl))?;
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&erl, executable).map_err(io_error("make executable", &erl))?;
        let does_not_start = |output| ProvisionError::DoesNotStart {
            what: self.set().what,
            root: unpacked.into(),
            output,
            help: self.set().help(),
        };
        // A shell finds it by the variables as the project's command will.
        let mut tool = Command::new("/bin/sh");
        tool.arg("-c").arg(format!("{} --version", self.program())).envs(variables_in(unpacked));
        let finished = command::run(tool, Stdio::null(), START_LIMIT)
            .map_err(|error| does_not_start(error.to_string()))?;
        if !finished.status.success() {
            return Err(does_not_start(finished.output));
        }
        let version = finished.output.lines().last().unwrap_or_default().trim();
        fuzz_dist_sys::say!("fuzz_dist: {version} is ready");
        Ok(())
    }
}

/// The variables for tools that were unpacked there.
fn variables_in(home: &Path) -> Vec<(&'static str, OsString)> {
    let folders = ["bin", "usr/lib/elixir/bin", "usr/bin", "usr/lib/erlang/bin"];
    let mut path: OsString =
        folders.map(|folder| home.join(folder).into_os_string()).join(":".as_ref());
    if let Some(before) = std::env::var_os("PATH") {
        path.push(":");
        path.push(before);
    }
    vec![("PATH", path), ("ESCRIPT_EMULATOR", home.join("bin/erl").into())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tool_of_a_command_is_its_first_word() {
        assert_eq!(Tool::of("mix release --overwrite"), Some(Tool::Mix));
        assert_eq!(Tool::of("MIX_ENV=prod mix release"), Some(Tool::Mix));
        assert_eq!(Tool::of("rebar3 as prod release"), Some(Tool::Rebar3));
        assert_eq!(Tool::of("make rel"), None);
        assert_eq!(Tool::of(""), None);
    }
}
