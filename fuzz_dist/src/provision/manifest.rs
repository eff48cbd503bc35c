//! What was unpacked into the cache, so that damage is found before it is run.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::error::{ProvisionError, io_error};

/// Lies beside what it lists: a line `size path` for each file.
const NAME: &str = "fuzz_dist.manifest";

/// Lists all files of a folder with their sizes.
pub(super) fn write(home: &Path) -> Result<(), ProvisionError> {
    let mut lines = Vec::new();
    walk(home, &mut |file, size| {
        let path = file.strip_prefix(home).unwrap_or(file);
        // What has a line break in its name cannot be listed, and is not.
        if path.as_os_str() != NAME && !path.as_os_str().as_bytes().contains(&b'\n') {
            lines.push(format!("{size} {}", path.display()));
        }
    })?;
    lines.sort();
    // Whole or not at all.
    let (path, partial) = (home.join(NAME), home.join(format!("{NAME}.partial")));
    fs::write(&partial, lines.join("\n") + "\n").map_err(io_error("write", &partial))?;
    fs::rename(&partial, &path).map_err(io_error("move into place", &path))
}

/// Is every listed file there and as long as it was? A few thousand looks, no reading: some
/// milliseconds.
pub(super) fn verify(home: &Path) -> Result<(), String> {
    let path = home.join(NAME);
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut files = 0;
    for line in text.lines() {
        let (size, file) = line.split_once(' ').ok_or_else(|| format!("{NAME} is damaged"))?;
        let found = fs::metadata(home.join(file)).map_err(|error| format!("{file}: {error}"))?;
        if found.len().to_string() != size {
            return Err(format!("{file} has {} bytes, not {size}", found.len()));
        }
        files += 1;
    }
    if files == 0 { Err(format!("{NAME} is empty")) } else { Ok(()) }
}

/// Files below a folder that are no links.
fn walk(folder: &Path, found: &mut dyn FnMut(&PathBuf, u64)) -> Result<(), ProvisionError> {
    for entry in fs::read_dir(folder).map_err(io_error("read", folder))? {
        let path = entry.map_err(io_error("read", folder))?.path();
        let metadata = fs::symlink_metadata(&path).map_err(io_error("look at", &path))?;
        if metadata.is_dir() {
            walk(&path, found)?;
        } else if metadata.is_file() {
            found(&path, metadata.len());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::cache::Private;
    use super::*;

    #[test]
    fn a_file_that_is_gone_or_shorter_is_named() {
        let folder = Private::folder().unwrap();
        let (home, file) = (&folder.0, folder.0.join("erts-1/bin/beam.smp"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "machine code").unwrap();
        std::os::unix::fs::symlink("erts-1/bin", home.join("bin")).unwrap();
        write(home).unwrap();
        assert_eq!(verify(home), Ok(()));
        // Written again, it does not list itself.
        write(home).unwrap();
        assert_eq!(verify(home), Ok(()));
        fs::write(&file, "machine").unwrap();
        assert_eq!(verify(home), Err("erts-1/bin/beam.smp has 7 bytes, not 12".into()));
        fs::remove_file(&file).unwrap();
        assert!(verify(home).unwrap_err().starts_with("erts-1/bin/beam.smp: "));
        fs::write(home.join(NAME), "").unwrap();
        assert!(verify(home).is_err());
    }
}
