//! The folder that keeps what a run found.
//!
//! `target/fuzz_dist/<test>/<stamp>/` holds `history.jsonl`, `plan.json`, `test.json`, `results.json` and a
//! folder of logs for each host, and `state/` with the state of the nodes where a run ended at its first anomaly; `target/fuzz_dist/<test>/latest` is a file that names the
//! newest run. All paths are made of `[A-Za-z0-9._-]`, since artifact stores refuse others.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

mod place;
mod stamp;

pub use place::root;
use stamp::stamp;

/// Runs that begin in the same second get numbers; so many fit.
const SAME_SECOND_MAX: u32 = 10_000;

/// The folder of one run.
///
/// ```
/// # use fuzz_dist::store::Store;
/// # let root = std::env::temp_dir().join(format!("fuzz_dist-doc-{}", std::process::id()));
/// let store = Store::create(&root, "adds::majority_ring", std::time::SystemTime::now())?;
/// store.write_json("test.json", &serde_json::json!({ "seed": 7 }))?;
/// assert!(store.path("test.json").is_file());
/// assert_eq!(Store::latest(&root, "adds::majority_ring")?.dir(), store.dir());
/// # std::fs::remove_dir_all(&root).unwrap();
/// # Ok::<(), fuzz_dist::store::StoreError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    dir: PathBuf,
}

/// The store could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The system refused.
    #[error("could not {doing} {path}: {source}{}", advice(source))]
    Refused {
        /// What was attempted.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something that cannot be JSON.
    #[error("could not write {path}: {source}")]
    Json {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// No folder is left for this second.
    #[error("{test} has begun {SAME_SECOND_MAX} runs in this second, in {path}")]
    Crowded {
        /// The test.
        test: String,
        /// Its folder.
        path: PathBuf,
    },
}

crate::error::becomes_an_error![StoreError];

/// What the user can do about it.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; make room, or set FUZZ_DIST_STORE to a folder on another disk"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; set FUZZ_DIST_STORE to a folder that you may write to"
        }
        _ => "",
    }
}

impl Store {
    /// Makes the folder of a run of `test` that begins at `now`, and names it in `latest`.
    ///
    /// # Errors
    ///
    /// When the disk is full, or the folder may not be written to.
    pub fn create(root: &Path, test: &str, now: SystemTime) -> Result<Store, StoreError> {
        let of_test = root.join(file_name(test));
        fs::create_dir_all(&of_test).map_err(|e| refused("make the folder", &of_test, e))?;
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let stamp = stamp(now.as_secs());
        for n in 1..=SAME_SECOND_MAX {
            let name = if n == 1 { stamp.clone() } else { format!("{stamp}-{n}") };
            let dir = of_test.join(&name);
            match fs::create_dir(&dir) {
                Ok(()) => {
                    write_atomically(&of_test.join("latest"), format!("{name}\n").as_bytes())?;
                    return Ok(Store { dir });
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(refused("make the folder", &dir, e)),
            }
        }
        Err(StoreError::Crowded { test: test.into(), path: of_test })
    }

    /// The newest run of `test`.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn latest(root: &Path, test: &str) -> Result<Store, StoreError> {
        let of_test = root.join(file_name(test));
        let latest = of_test.join("latest");
        let name = fs::read_to_string(&latest).map_err(|e| refused("read", &latest, e))?;
        Ok(Store { dir: of_test.join(file_name(name.trim())) })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(file_name(name))
    }

    /// The path of the history.
    pub fn history(&self) -> PathBuf {
        self.path("history.jsonl")
    }

    /// The folder for the logs of a host; it is made where it is missing.
    ///
    /// # Errors
    ///
    /// When the disk is full, or the folder may not be written to.
    pub fn logs(&self, host: &str) -> Result<PathBuf, StoreError> {
        let dir = self.dir.join("logs").join(file_name(host));
        fs::create_dir_all(&dir).map_err(|e| refused("make the folder", &dir, e))?;
        Ok(dir)
    }

    /// Writes a file: whoever reads it finds all of it or none.
    ///
    /// # Errors
    ///
    /// When the disk is full, or the folder may not be written to.
    pub fn write(&self, name: &str, contents: &[u8]) -> Result<PathBuf, StoreError> {
        let path = self.path(name);
        write_atomically(&path, contents)?;
        Ok(path)
    }

    /// Writes `value` as JSON for people: `test.json`, `results.json`.
    ///
    /// # Errors
    ///
    /// When `value` cannot be JSON, the disk is full, or the folder may not be written to.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<PathBuf, StoreError> {
        let mut json = serde_json::to_vec_pretty(value)
            .map_err(|source| StoreError::Json { path: self.path(name), source })?;
        json.push(b'\n');
        self.write(name, &json)
    }
}

fn refused(doing: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Refused { doing, path: path.into(), source }
}

/// A file name for `text`: other characters than `[A-Za-z0-9._-]` become `-`, and it begins
/// with neither a dot nor a dash.
///
/// ```
/// # use fuzz_dist::store::file_name;
/// assert_eq!(file_name("adds::majority_ring"), "adds-majority_ring");
/// assert_eq!(file_name("../shop@n1"), "shop-n1");
/// ```
pub fn file_name(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
            name.push(c);
        } else if !name.ends_with('-') {
            name.push('-');
        }
    }
    let name = name.trim_start_matches(['.', '-']).trim_end_matches('-');
    if name.is_empty() { "unnamed".into() } else { name.chars().take(120).collect() }
}

/// Writes beside the file and renames: a reader sees the old contents or the new ones.
fn write_atomically(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    write_beside(path, contents, true)
}

fn write_beside(path: &Path, contents: &[u8], to_disk: bool) -> Result<(), StoreError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".tmp-{}-{}", std::process::id(), next_number()));
    let beside = PathBuf::from(beside);
    let write = || -> io::Result<()> {
        let mut file = fs::File::create_new(&beside)?;
        file.write_all(contents)?;
        if to_disk {
            file.sync_data()?;
        }
        fs::rename(&beside, path)
    };
    write().map_err(|e| {
        // What is left of it would only take room; if it cannot be removed, the error below
        // says enough.
        let _ = fs::remove_file(&beside);
        refused("write", path, e)
    })
}

/// Writes a file of a folder, which is made where it is missing.
///
/// # Errors
///
/// When the disk is full, or the folder may not be written to.
pub(crate) fn write_into(
    folder: &Path,
    name: &str,
    contents: &[u8],
) -> Result<PathBuf, StoreError> {
    fs::create_dir_all(folder).map_err(|e| refused("make the folder", folder, e))?;
    let path = folder.join(name);
    write_beside(&path, contents, false)?;
    Ok(path)
}

/// Replaces a file that is written again and again: a reader sees the old contents or the new ones.
/// It does not wait for the disk.
///
/// # Errors
///
/// When the disk is full, or the folder may not be written to.
pub(crate) fn replace(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    write_beside(path, contents, false)
}

fn next_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests;
