//! The release of AntidoteDB that is tested: found, unpacked, and looked at before it is used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::provision::{cache, given};

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
    // What was named and is not there is a mistake; only what was never named can be missing.
    let (path, who, error): (_, _, fn(String) -> Error) = match (given, named) {
        (Some(given), _) => (given.to_path_buf(), "given to `Antidote::release`", Error::usage),
        (None, Some(named)) => (named, "named by FUZZ_DIST_ANTIDOTE", Error::usage),
        (None, None) => (PathBuf::from(BESIDE), "where `make rel` leaves it", Error::missing),
    };
    let Some(found) = given::existing(&path) else {
        return Err(error(format!(
            "no release of AntidoteDB at {} ({who}); {REMEDY}",
            path.display()
        )));
    };
    let folder = match found.is_dir() {
        true => found,
        false => {
            let cache = cache::folder().map_err(Error::environment)?.join("antidote");
            given::unpacked_into(&cache, &found)?
        }
    };
    let release = root_in(&folder)?;
    zeromq(&release)?;
    Ok(release)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// A folder of this test alone, gone with it.
    struct Folder(PathBuf, #[allow(dead_code, reason = "held")] tempfile::TempDir);

    impl Folder {
        fn new() -> Folder {
            let folder = tempfile::tempdir().unwrap();
            Folder(fs::canonicalize(folder.path()).unwrap(), folder)
        }

        fn file(&self, path: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }

        fn release() -> Folder {
            let folder = Folder::new();
            folder.file("bin/antidote");
            folder.file("releases/0.2.2/network.config");
            folder.file("erts-13.1.5/bin/erlexec");
            folder
        }
    }

    #[test]
    fn a_release_is_found_also_one_folder_deeper() {
        let release = Folder::release();
        assert_eq!(find(Some(&release.0)).unwrap(), release.0);
        let outer = Folder::new();
        fs::rename(&release.0, outer.0.join("antidote")).unwrap();
        assert_eq!(find(Some(&outer.0)).unwrap(), outer.0.join("antidote"));
    }

    #[test]
    fn one_that_was_named_and_is_not_there_is_an_error_with_how_to_get_it() {
        let error = find(Some(Path::new("/nonexistent/antidote"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        let text = error.to_string();
        assert!(text.contains("/nonexistent/antidote"), "{text}");
        assert!(text.contains("make rel") && text.contains("FUZZ_DIST_ANTIDOTE"), "{text}");
    }

    #[test]
    fn a_folder_of_another_shape_is_reported_with_what_it_lacks() {
        let folder = Folder::new();
        folder.file("bin/antidote");
        let error = find(Some(&folder.0)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        let text = error.to_string();
        assert!(text.contains("no releases/*/network.config, no erts-*"), "{text}");
        assert!(!text.contains("no bin/antidote"), "{text}");
    }
}
