//! From the folders that a host shall see to what its init has to mount.

use super::protocol::{DATA_DIR, MountPlan};
use fuzz_dist_env::{Access, Error, Folder, HostSpec};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Folders that every host has of its own.
const OWN: [&str; 2] = ["/tmp", "/run"];

/// Whether hosts do not see what this machine has at a path.
fn hidden(path: &Path) -> bool {
    OWN.iter().any(|own| path.starts_with(own) && path != Path::new(own))
}

/// Folders that /tmp and /run of the hosts would hide, without those within others.
pub(super) fn visible(asked: &[PathBuf]) -> Vec<PathBuf> {
    let program = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_owned()));
    let here = std::env::current_dir().ok();
    let mut found: Vec<_> = asked.iter().cloned().chain(program).chain(here).collect();
    found = found.iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
    found.retain(|path| hidden(path) && path.is_dir());
    found.sort();
    found.dedup_by(|later, earlier| later.starts_with(&*earlier));
    found
}

/// Why a program that is there cannot be executed on a host: it lies in a folder that hosts have of
/// their own.
pub(super) fn why_not_found(argv: &[String]) -> Option<io::Error> {
    let program = argv.first()?;
    let path = fs::canonicalize(program).unwrap_or_else(|_| program.into());
    let there = Path::new(program).is_absolute() && path.exists();
    let reason = "this machine has it, but hosts have a /tmp and /run of their own; add its folder \
                  to the host with `HostSpec::folder(Folder::in_place(folder))`";
    (there && (hidden(&path) || hidden(Path::new(program)))).then(|| io::Error::other(reason))
}

/// What is known of the folders that are laid copy-on-write; each is looked at once.
#[derive(Default)]
pub(super) struct Plans {
    foreign: Mutex<BTreeMap<PathBuf, Option<String>>>,
}

impl Plans {
    /// What the init has to mount, in this order. A folder that was named and is not there is an
    /// error.
    pub(super) fn of(&self, host: &str, folders: &[Folder]) -> Result<Vec<MountPlan>, Error> {
        let mut plans = Vec::new();
        for folder in folders.iter().filter(|folder| !is_copied(folder)) {
            let (source, target) = (source(host, folder)?, &*target(folder)?);
            let in_place = folder.access == Access::ReadOnly && folder.source == *target;
            // Links to it lead to where it really is.
            let real = (in_place && hidden(&source) && source != *target).then_some(&*source);
            let named = (!in_place || hidden(target)).then_some(target);
            let copied = match folder.access {
                Access::ReadOnly => None,
                Access::OwnCopy => self.foreign(&source),
            };
            for target in real.into_iter().chain(named) {
                let (source, target) = (text(&source)?, text(target)?);
                let copied = copied.clone();
                plans.push(MountPlan { source, target, access: folder.access, copied });
            }
        }
        Ok(plans)
    }

    /// Why a copy-on-write view of a folder could not be changed everywhere, if so: the view's
    /// owner has one user id and one group id, and no file of others can be copied up.
    fn foreign(&self, folder: &Path) -> Option<String> {
        let mut known = super::lock(&self.foreign);
        known.entry(folder.to_owned()).or_insert_with(|| find_foreign(folder)).clone()
    }
}

fn find_foreign(folder: &Path) -> Option<String> {
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        // What cannot be looked at is left to the mount, which says why it fails.
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if found.uid() != user {
            return Some(format!("{} belongs to another user", path.display()));
        }
        if found.gid() != group {
            return Some(format!("{} belongs to another group", path.display()));
        }
        if found.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            open.extend(entries.map(|entry| entry.path()));
        }
    }
    None
}

fn source(host: &str, folder: &Folder) -> Result<PathBuf, Error> {
    fs::canonicalize(&folder.source).map_err(|error| {
        Error::Invalid(format!(
            "host {host} cannot have {} at {}: {error}; name a folder that exists",
            folder.source.display(),
            folder.at.display()
        ))
    })
}

/// Whether a folder is copied into the host's data before the host is there, and nothing is mounted:
/// what is mounted there is not seen through the data folder.
pub(super) fn is_copied(folder: &Folder) -> bool {
    folder.access == Access::OwnCopy && folder.at.is_relative()
}

/// The host with all places below its data folder relative to that.
pub(super) fn with_relative_places(mut spec: HostSpec) -> HostSpec {
    for folder in &mut spec.folders {
        if let Ok(at) = folder.at.strip_prefix(DATA_DIR) {
            folder.at = at.to_owned();
        }
    }
    spec
}

/// Where a host sees a folder.
fn target(folder: &Folder) -> Result<PathBuf, Error> {
    if folder.at.components().any(|part| part.as_os_str() == "..") {
        return Err(Error::Invalid(format!(
            "{} is no place for a folder on a host: write it without ..",
            folder.at.display()
        )));
    }
    Ok(Path::new(DATA_DIR).join(&folder.at))
}

pub(super) fn text(path: &Path) -> Result<String, Error> {
    let invalid = || Error::Invalid(format!("the path {} is not UTF-8", path.display()));
    path.to_str().map(str::to_owned).ok_or_else(invalid)
}
