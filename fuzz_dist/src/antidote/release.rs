//! The release of AntidoteDB that is tested: found, unpacked, and looked at before it is used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use crate::error::Error;
use crate::provision::cache;

/// Names the release where the test does not.
const VARIABLE: &str = "FUZZ_DIST_ANTIDOTE";
/// Where `make rel` leaves it, in a clone of AntidoteDB beside the package that is tested.
const BESIDE: &str = "../antidote/_build/default/rel/antidote";

const REMEDY: &str = "clone https://github.com/AntidoteDB/antidote beside this package and run `make rel` \
     in it (it needs Erlang/OTP, a C compiler and libzmq's header files, Debian's `erlang-dev g++ libzmq3-dev`), \
     or let FUZZ_DIST_ANTIDOTE name a release folder or its tarball";

/// The folder of the release: the one that was given, the one that `FUZZ_DIST_ANTIDOTE` names, or
/// the one beside the package. A tarball is unpacked into the user's cache.
pub(super) fn find(given: Option<&Path>) -> Result<PathBuf, Error> {
    let named = std::env::var_os(VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from);
    let (path, who) = match (given, named) {
        (Some(given), _) => (given.to_path_buf(), "given to `Antidote::release`"),
        (None, Some(named)) => (named, "named by FUZZ_DIST_ANTIDOTE"),
        (None, None) => (PathBuf::from(BESIDE), "where `make rel` leaves it"),
    };
    let Some(found) = existing(&path) else {
        return Err(Error::missing(format!(
            "no release of AntidoteDB at {} ({who}); {REMEDY}",
            path.display()
        )));
    };
    let folder = match found.is_dir() {
        true => found,
        false => unpacked(&found)?,
    };
    let release = root_in(&folder)?;
    zeromq(&release)?;
    Ok(release)
}

/// The path itself, or below the package that cargo runs.
fn existing(path: &Path) -> Option<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let places = [Some(path.to_path_buf()), package.map(|p| p.join(path))];
    places.into_iter().flatten().find_map(|place| fs::canonicalize(place).ok())
}

/// The release's own folder: `folder`, or the only one in it, as tarballs have it.
fn root_in(folder: &Path) -> Result<PathBuf, Error> {
    let is_release = |path: &Path| missing_parts(path).is_empty();
    if is_release(folder) {
        return Ok(folder.to_path_buf());
    }
    let inner = folder.join("antidote");
    if is_release(&inner) {
        return Ok(inner);
    }
    Err(Error::usage(format!(
        "{} is no release of AntidoteDB: it has no {}; expected the folder that holds bin/antidote, \
         such as _build/default/rel/antidote after `make rel`",
        folder.display(),
        missing_parts(folder).join(", no ")
    )))
}

/// What a release must have and this folder has not.
fn missing_parts(folder: &Path) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if !folder.join("bin/antidote").is_file() {
        missing.push("bin/antidote");
    }
    if !has_entry(&folder.join("releases"), |path| path.join("network.config").is_file()) {
        missing.push("releases/*/network.config");
    }
    if !has_entry(folder, |path| {
        path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("erts-"))
    }) {
        missing.push("erts-* (make it with `{include_erts, true}`)");
    }
    missing
}

fn has_entry(folder: &Path, is_it: impl Fn(&Path) -> bool) -> bool {
    fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(|e| is_it(&e.path())))
}

/// Data centres speak over ZeroMQ, whose library is not always part of a release.
fn zeromq(release: &Path) -> Result<(), Error> {
    let Ok(libraries) = fs::read_dir(release.join("lib")) else { return Ok(()) };
    for library in libraries.flatten().map(|e| e.path()) {
        let driver = library.join("priv/erlzmq_drv.so");
        if !driver.is_file() {
            continue;
        }
        // Without `ldd` the node itself will say it.
        let Ok(said) = Command::new("ldd").arg(&driver).output() else { return Ok(()) };
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let missing: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("not found"))
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        if !missing.is_empty() {
            return Err(Error::environment(format!(
                "the release in {} needs {} which this machine does not have; install ZeroMQ's \
                 library (Debian and Ubuntu: `apt-get install libzmq5`)",
                release.display(),
                missing.join(", ")
            )));
        }
    }
    Ok(())
}

/// A tarball's content, in a folder of the cache that belongs to this very file.
fn unpacked(tarball: &Path) -> Result<PathBuf, Error> {
    let about = fs::metadata(tarball)?;
    let changed = about.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    let version = changed.unwrap_or_default().as_nanos();
    let name = tarball.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let cache = cache::folder().map_err(Error::environment)?.join("antidote");
    cache::create_folder(&cache).map_err(Error::environment)?;
    let folder = cache.join(format!("{name}-{:x}-{version:x}", about.len()));
    let waiting = || eprintln!("waiting for another process that unpacks {}", tarball.display());
    let _lock = cache::Lock::take(&cache.join("lock"), waiting).map_err(Error::environment)?;
    if folder.is_dir() {
        return Ok(folder);
    }
    // Whoever is killed meanwhile leaves no half folder under the final name.
    let partial = cache.join(format!("{name}.partial"));
    cache::remove_folder(&partial).map_err(Error::environment)?;
    cache::create_folder(&partial).map_err(Error::environment)?;
    let tar = Command::new("tar").arg("-xf").arg(tarball).arg("-C").arg(&partial).output();
    let tar = tar.map_err(|e| Error::environment(format!("`tar` could not be run: {e}")))?;
    if !tar.status.success() {
        return Err(Error::usage(format!(
            "{} could not be unpacked: {}; expected a release folder or its tarball",
            tarball.display(),
            String::from_utf8_lossy(&tar.stderr).trim()
        )));
    }
    fs::rename(&partial, &folder)?;
    Ok(folder)
}
