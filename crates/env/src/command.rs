//! A program to start on a host.

use std::path::PathBuf;
use std::process::ExitStatus;

/// A program with its arguments and surroundings.
///
/// The process starts with an environment of its own (`PATH`, the locale, `HOME`, `USER` and
/// `FUZZ_DIST_HOST`) and not with this process's. Its standard input is empty; what it writes goes
/// to `<name>.out` and `<name>.err` among the host's log files, behind what a former process of
/// the same name wrote.
///
/// ```
/// use fuzz_dist_env::Command;
///
/// let command = Command::new("epmd").arg("-relaxed_command_check").env("ERL_EPMD_PORT", "4369");
/// assert_eq!(command.name, "epmd");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The process's name: for people, and for its log files.
    pub name: String,
    /// Program and arguments; a program without a slash is looked for on the host's `PATH`.
    pub argv: Vec<String>,
    /// Variables set over the host's own.
    pub env: Vec<(String, String)>,
    /// The working directory; the host's data folder if `None`.
    pub cwd: Option<PathBuf>,
    /// The user id that the process shall see as its own (0 if `None`): some programs refuse to
    /// run as root. Files that it makes belong to the user who runs the test in any case.
    pub uid: Option<u32>,
}

impl Command {
    /// The program, named after its file.
    pub fn new(program: impl Into<String>) -> Self {
        let program = program.into();
        let name = program.rsplit('/').next().unwrap_or_default().to_owned();
        Command { name, argv: vec![program], env: Vec::new(), cwd: None, uid: None }
    }

    /// A line for `/bin/sh`.
    pub fn shell(line: impl Into<String>) -> Self {
        Command::new("/bin/sh").arg("-c").arg(line)
    }

    /// Gives the process another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.argv.push(arg.into());
        self
    }

    /// Several more arguments.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.argv.extend(args.into_iter().map(Into::into));
        self
    }

    /// One variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Its working directory, as the host sees it.
    #[must_use]
    pub fn cwd(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cwd = Some(dir.into());
        self
    }

    /// The user id that it shall see as its own.
    #[must_use]
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }
}

/// A command that has ended, and what it wrote.
#[derive(Clone, Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
}

impl Finished {
    /// Its standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its standard error as text.
    pub fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}
