//! Building a project's release, and noticing one that is older than its sources.

use std::collections::HashMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::layout::Kind;
use crate::env::Scratch;
use crate::error::Error;
use crate::provision::tools::Tool;
use crate::provision::{ProvisionError, cache, command};

/// How long a build may take; fetching its tool is apart from it.
const BUILD_LIMIT: Duration = Duration::from_secs(12 * 60);

/// How long copying a release may take.
const COPY_LIMIT: Duration = Duration::from_secs(120);

/// So many lines of what a failed build printed are repeated.
const LINES_MAX: usize = 30;

/// What marks the folder of a project.
const PROJECTS: [&str; 3] = ["mix.exs", "rebar.config", "Makefile"];

/// Folders of a project that have no sources of its own.
const NO_SOURCES: [&str; 8] =
    ["_build", "deps", "node_modules", "target", "test", "tests", "doc", "cluster_tests"];

/// The project to which a release belongs: the nearest folder above it that has a project's file.
pub(super) fn project_of(release: &Path) -> Option<PathBuf> {
    let mut above = release.ancestors().skip(1);
    above.find(|folder| PROJECTS.iter().any(|file| folder.join(file).is_file())).map(Path::to_owned)
}

/// Runs the command that builds the release, once for each program and once at a time on this machine; then `copy` is
/// called, while nobody else builds it.
///
/// # Errors
///
/// What the command printed last, where it fails. A tool that cannot be fetched is the environment's failure.
pub(super) fn build<T>(
    line: &str,
    project: &Path,
    copy: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    type Built = HashMap<(String, PathBuf), Result<(), Error>>;
    static BUILT: Mutex<Option<Built>> = Mutex::new(None);
    // Whoever asks meanwhile waits for the result.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = cache::folder().map_err(Error::environment)?.join("builds");
    cache::create_folder(&cache).map_err(Error::environment)?;
    let mut hasher = DefaultHasher::new();
    project.hash(&mut hasher);
    let waiting = || {
        fuzz_dist_sys::say!("fuzz_dist: waiting for another test that builds {}", project.display())
    };
    let lock = cache::Lock::take(&cache.join(format!("{:016x}.lock", hasher.finish())), waiting);
    let lock = lock.map_err(Error::environment)?;
    let built = built.get_or_insert_default().entry((line.into(), project.into()));
    built.or_insert_with(|| build_now(line, project, &lock)).clone()?;
    copy()
}

fn build_now(line: &str, project: &Path, lock: &cache::Lock) -> Result<(), Error> {
    let tool = Tool::of(line);
    let variables = tool.map(Tool::variables).transpose().map_err(ProvisionError::explained)?;
    fuzz_dist_sys::say!("fuzz_dist: `{line}` in {}", project.display());
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(line).current_dir(project).envs(variables.into_iter().flatten());
    if tool == Some(Tool::Mix) && std::env::var_os("MIX_ENV").is_none() {
        shell.env("MIX_ENV", "prod");
    }
    if ["LANG", "LC_ALL"].iter().all(|name| std::env::var_os(name).is_none()) {
        // Elixir warns of any other.
        shell.env("LANG", "C.UTF-8");
    }
    let finished = command::run(shell, lock.as_input(), BUILD_LIMIT).map_err(|e| {
        Error::setup(e).context(format!("building the release in {}", project.display()))
    })?;
    if finished.status.success() {
        return Ok(());
    }
    let said: Vec<&str> = finished.output.lines().collect();
    let said = said[said.len().saturating_sub(LINES_MAX)..].join("\n");
    Err(Error::setup(format!(
        "`{line}` in {} ended with {}:\n{said}",
        project.display(),
        finished.status
    )))
}

/// A copy of a release that no later build changes while hosts use it.
pub(super) fn copied(release: &Path) -> Result<Scratch, Error> {
    let copy = Scratch::new()
        .map_err(|e| Error::environment(format!("a temporary folder could not be made: {e}")))?;
    let mut cp = Command::new("cp");
    cp.args(["-a", "--reflink=auto"]).arg(release.join(".")).arg(copy.path());
    let what = format!("copying {}", release.display());
    let finished = command::run(cp, Stdio::null(), COPY_LIMIT)
        .map_err(|e| Error::environment(e).context(&what))?;
    match finished.status.success() {
        true => Ok(copy),
        false => Err(Error::environment(finished.output).context(what)),
    }
}

/// A warning where a source is newer than the release.
pub(super) fn stale(release: &Path, kind: Kind) -> Option<String> {
    let made = fs::metadata(release.join("releases/start_erl.data")).ok()?.modified().ok()?;
    let project = project_of(release)?;
    let (newest, file) = newest_source(&project)?;
    (newest > made).then(|| {
        format!(
            "the release in {} is older than {}: run `{}`, or let each run do it with `.build(\"…\")`",
            release.display(),
            file.strip_prefix(&project).unwrap_or(&file).display(),
            kind.made_by()
        )
    })
}

/// The source that was changed last.
fn newest_source(folder: &Path) -> Option<(SystemTime, PathBuf)> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let newest = entries.filter_map(|entry| {
        let (name, kind) = (entry.file_name(), entry.file_type().ok()?);
        let name = name.to_str()?;
        if kind.is_dir() {
            let is_other = NO_SOURCES.contains(&name) || name.starts_with('.');
            return if is_other { None } else { newest_source(&entry.path()) };
        }
        let is_source =
            ["ex", "exs", "erl", "hrl", "eex", "heex", "config", "src", "lock", "yrl", "xrl"]
                .iter()
                .any(|extension| entry.path().extension().is_some_and(|own| own == *extension));
        (kind.is_file() && is_source)
            .then(|| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))?
    });
    newest.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, path: &str, at_s: u64) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = fs::File::create(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(at_s)).unwrap();
    }

    #[test]
    fn a_release_older_than_a_source_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let release = folder.path().join("_build/prod/rel/shop");
        file(folder.path(), "mix.exs", 10);
        file(folder.path(), "lib/shop/cart.ex", 20);
        file(folder.path(), "deps/other/lib/other.ex", 90);
        file(folder.path(), "README.md", 90);
        file(&release, "releases/start_erl.data", 30);
        assert_eq!(stale(&release, Kind::Mix), None);
        file(folder.path(), "lib/shop/cart.ex", 40);
        let warning = stale(&release, Kind::Mix).unwrap();
        assert!(
            warning.contains("is older than lib/shop/cart.ex: run `MIX_ENV=prod mix release"),
            "{warning}"
        );
    }

    #[test]
    fn a_build_that_fails_says_what_it_printed() {
        let folder = tempfile::tempdir().unwrap();
        let failed = build("echo 'undefined function cart/0'; exit 3", folder.path(), || Ok(()));
        let failed = failed.unwrap_err().to_string();
        assert!(
            failed.contains("exit status: 3") && failed.ends_with("undefined function cart/0"),
            "{failed}"
        );
        // Once only: the second trial of a program is given the same.
        let counted = "echo x >> built";
        build(counted, folder.path(), || Ok(())).unwrap();
        build(counted, folder.path(), || Ok(())).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("built")).unwrap(), "x\n");
    }
}
