//! What a test names: a folder or a tarball, wherever its path begins.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use super::{cache, command};
use crate::error::Error;

/// How long `tar` may take.
const UNPACK_LIMIT: Duration = Duration::from_secs(120);

/// The path itself, or below the package that cargo runs.
pub(crate) fn existing(path: &Path) -> Option<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let places = [Some(path.to_path_buf()), package.map(|p| p.join(path))];
    places.into_iter().flatten().find_map(|place| fs::canonicalize(place).ok())
}

/// A tarball's content, in a folder of the cache that belongs to this very file.
pub(crate) fn unpacked_into(cache: &Path, tarball: &Path) -> Result<PathBuf, Error> {
    let about = fs::metadata(tarball)?;
    let changed = about.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    let version = changed.unwrap_or_default().as_nanos();
    let name = tarball.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    cache::create_folder(cache).map_err(Error::environment)?;
    let folder = cache.join(format!("{name}-{:x}-{version:x}", about.len()));
    let waiting =
        || fuzz_dist_sys::say!("waiting for another process that unpacks {}", tarball.display());
    let lock = cache::Lock::take(&cache.join("lock"), waiting).map_err(Error::environment)?;
    if folder.is_dir() {
        return Ok(folder);
    }
    // Whoever is killed meanwhile leaves no half folder under the final name.
    let partial = cache.join(format!("{name}.partial"));
    cache::remove_folder(&partial).map_err(Error::environment)?;
    cache::create_folder(&partial).map_err(Error::environment)?;
    let mut tar = Command::new("tar");
    tar.arg("-xf").arg(tarball).arg("-C").arg(&partial);
    let tar = command::run(tar, lock.as_input(), UNPACK_LIMIT).map_err(Error::environment)?;
    if !tar.status.success() {
        return Err(Error::usage(format!(
            "{} could not be unpacked: {}; expected a release folder or its tarball",
            tarball.display(),
            tar.output
        )));
    }
    fs::rename(&partial, &folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_tarball_is_unpacked_and_nonsense_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let inside = place.path().join("antidote/bin");
        fs::create_dir_all(&inside).unwrap();
        fs::write(inside.join("antidote"), "").unwrap();
        let tarball = place.path().join("antidote.tar");
        let mut tar = Command::new("tar");
        tar.arg("-cf").arg(&tarball).arg("-C").arg(place.path()).arg("antidote");
        assert!(tar.status().unwrap().success());
        let first = unpacked_into(place.path(), &tarball).unwrap();
        assert!(first.join("antidote/bin/antidote").is_file());
        assert_eq!(unpacked_into(place.path(), &tarball).unwrap(), first);

        let nonsense = place.path().join("nonsense.tar");
        fs::write(&nonsense, "this is no archive").unwrap();
        let error = unpacked_into(place.path(), &nonsense).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains("expected a release folder or its tarball"), "{error}");
    }
}
