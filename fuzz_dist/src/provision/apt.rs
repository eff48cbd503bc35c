//! Fetching Debian packages as an ordinary user: apt works on folders of our own, and nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::cache::{Lock, create_folder, remove_folder};
use super::command;
use super::error::{ProvisionError, io_error};
use super::packages::Set;

/// Steps that wait for the network end earlier where nothing comes (`command::STALL_LIMIT`).
const UPDATE_LIMIT: Duration = Duration::from_secs(180);
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(300);
const UNPACK_LIMIT: Duration = Duration::from_secs(60);
/// How often it is looked whether something has come.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Is this a system whose packages we can fetch?
pub(crate) fn available(set: &Set) -> Result<(), ProvisionError> {
    let missing: Vec<&str> = ["apt-get", "dpkg"]
        .into_iter()
        .filter(|program| super::find::on_path(program).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let reason =
        format!("there is no {} (that works on Debian and Ubuntu only)", missing.join(" and no "));
    Err(ProvisionError::CannotFetch { what: set.what, reason, help: set.help() })
}

/// The system's kind, such as `debian-12-x86_64`: what was fetched on one does not suit another.
pub(crate) fn system() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let field = |name: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or("unknown").trim_matches('"').to_owned()
    };
    format!("{}-{}-{}", field("ID"), field("VERSION_ID"), std::env::consts::ARCH)
        .replace(|c: char| !c.is_ascii_alphanumeric() && !"-._".contains(c), "_")
}

/// Fetches the packages and unpacks them into `work/root`. What an interrupted run has left in
/// `work` is used again; apt checks all of it by its hashes.
pub(crate) fn fetch(
    set: &Set,
    work: &Path,
    lock: &Lock,
    progress: &dyn Fn(&str),
) -> Result<PathBuf, ProvisionError> {
    Fetch { set, work, debs: work.join("packages"), lock, progress }.run()
}

struct Fetch<'a> {
    set: &'a Set,
    work: &'a Path,
    debs: PathBuf,
    lock: &'a Lock,
    progress: &'a dyn Fn(&str),
}

impl Fetch<'_> {
    fn run(&self) -> Result<PathBuf, ProvisionError> {
        for folder in ["state/lists/partial", "cache/archives/partial", "packages"] {
            create_folder(&self.work.join(folder))?;
        }
        self.download()?;
        let root = self.work.join("root");
        remove_folder(&root)?;
        create_folder(&root)?;
        for deb in packages_in(&self.debs)? {
            let mut unpack = Command::new("dpkg");
            unpack.arg("-x").arg(&deb).arg(&root);
            self.checked(&format!("unpacking {}", deb.display()), unpack, UNPACK_LIMIT)?;
        }
        Ok(root)
    }

    /// Tries the package lists that the system has, then lists fetched into a folder of ours: those
    /// of the system may be missing, or name versions that the servers have no longer.
    fn download(&self) -> Result<(), ProvisionError> {
        let system = configuration(self.work, None)?;
        if self.download_with(&system).is_ok() {
            return Ok(());
        }
        let lists = configuration(self.work, Some(&self.work.join("state")))?;
        (self.progress)("fetching the package lists (about 10 MB)");
        let updated = self.checked("apt-get update", apt_get(&lists, &["update"]), UPDATE_LIMIT);
        // An update may fail in part, for a source that has nothing to do with Erlang; what was
        // fetched may do. If not, what the update said comes nearer to the cause.
        match (self.download_with(&lists), updated) {
            (Ok(()), _) => Ok(()),
            (Err(_), Err(error)) => Err(error),
            (Err(ProvisionError::FetchFailed { step, output, .. }), Ok(warnings)) => {
                Err(self.failed(&step, last_lines(&format!("{warnings}\n{output}"))))
            }
            (Err(error), Ok(_)) => Err(error),
        }
    }

    fn download_with(&self, config: &Path) -> Result<(), ProvisionError> {
        let step = format!("apt-get download {}", self.set.packages.join(" "));
        let mut arguments = vec!["--print-uris", "download"];
        arguments.extend(self.set.packages);
        let uris = self.checked(&step, apt_get(config, &arguments), DOWNLOAD_LIMIT)?;
        let wanted: Vec<(String, u64)> = uris.lines().filter_map(name_and_bytes).collect();
        let megabytes = wanted.iter().map(|(_, bytes)| *bytes as f64 / 1e6).sum::<f64>();
        let packages = self.set.packages.join(", ");
        (self.progress)(&format!("fetching {} ({packages}: {megabytes:.1} MB)", self.set.what));
        // Packages of other versions, left by a run of long ago, must not be unpacked over each other.
        for left in packages_in(&self.debs)? {
            let name = left.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !wanted.iter().any(|(wanted, _)| *wanted == name) {
                fs::remove_file(&left).map_err(io_error("remove", left))?;
            }
        }
        let mut command = apt_get(config, &arguments[1..]);
        command.current_dir(&self.debs);
        self.checked(&step, command, DOWNLOAD_LIMIT)?;
        match packages_in(&self.debs)?.len() {
            found if found == self.set.packages.len() => Ok(()),
            found => Err(self.failed(&step, format!("{found} packages came"))),
        }
    }

    fn failed(&self, step: &str, output: String) -> ProvisionError {
        let (what, help) = (self.set.what, self.set.help());
        ProvisionError::FetchFailed { what, step: step.to_owned(), output, help }
    }

    /// Says whether bytes still come into our folder.
    fn coming(&self) -> impl FnMut() -> bool + use<> {
        let work = self.work.to_owned();
        let (mut looked, mut came, mut bytes) = (Instant::now(), Instant::now(), 0);
        move || {
            if looked.elapsed() >= LOOK_EVERY {
                looked = Instant::now();
                let now = bytes_in(&work);
                if now != bytes {
                    (came, bytes) = (looked, now);
                }
            }
            came.elapsed() < command::STALL_LIMIT
        }
    }

    /// Runs a step; that it fails is an error with what it printed.
    fn checked(
        &self,
        step: &str,
        command: Command,
        limit: Duration,
    ) -> Result<String, ProvisionError> {
        let failed = |output| self.failed(step, output);
        let coming = self.coming();
        let finished = command::run_while(command, self.lock.as_input(), limit, coming)
            .map_err(|error| failed(error.to_string()))?;
        if finished.status.success() {
            Ok(finished.output)
        } else {
            Err(failed(last_lines(&finished.output)))
        }
    }
}

/// The bytes of all files below a folder.
fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    bytes.sum()
}

/// Enough of what a program has printed to see why it failed.
fn last_lines(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(6)..].join("\n")
}

/// File name and size in a line of `--print-uris`: `'URI' name size hash`.
fn name_and_bytes(line: &str) -> Option<(String, u64)> {
    let mut words = line.strip_prefix('\'')?.split_whitespace().skip(1);
    Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
}

fn packages_in(folder: &Path) -> Result<Vec<PathBuf>, ProvisionError> {
    let entries = fs::read_dir(folder).map_err(io_error("read", folder))?;
    let mut packages: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .collect();
    packages.sort();
    Ok(packages)
}

/// Writes the configuration that keeps apt in our folders, and off the system's locks and hooks.
fn configuration(work: &Path, state: Option<&Path>) -> Result<PathBuf, ProvisionError> {
    let work_text = work.display();
    let mut text = format!(
        "Dir::Cache \"{work_text}/cache\";\n\
         Debug::NoLocking \"1\";\n\
         APT::Sandbox::User \"\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::Retries \"1\";\n\
         Acquire::http::Timeout \"10\";\n\
         Acquire::https::Timeout \"10\";\n\
         Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n\
         Acquire::IndexTargets::deb::CNF::DefaultEnabled \"false\";\n\
         Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled \"false\";\n\
         #clear APT::Update::Pre-Invoke;\n\
         #clear APT::Update::Post-Invoke;\n\
         #clear APT::Update::Post-Invoke-Success;\n"
    );
    if let Some(state) = state {
        let state = state.display();
        text.push_str(&format!(
            "Dir::State \"{state}\";\n\
             Dir::State::Lists \"{state}/lists\";\n\
             Dir::State::status \"/var/lib/dpkg/status\";\n"
        ));
    }
    let path = work.join(if state.is_some() { "own.conf" } else { "system.conf" });
    fs::write(&path, text).map_err(io_error("write", &path))?;
    Ok(path)
}

fn apt_get(config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet=2").arg("-c").arg(config).args(arguments).env("LC_ALL", "C");
    command
}
