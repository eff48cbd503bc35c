//! Copies of folders that programs of a host may change meanwhile, and may have put links in.
//!
//! Nothing is opened by a path that a link could lead elsewhere: folders are opened from the two roots
//! without links, and entries by their name in their folder.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat, openat2,
    readlinkat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// Copies files and links. Pipes and sockets are left out: whoever opens one may wait for ever. What
/// stands at `to` in place of a file, link or folder that is copied is replaced; links in it are not
/// followed.
///
/// # Errors
/// What the file system refuses.
pub fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    copy_folder(File::open(from)?, File::open(to)?)
}

/// Copies what is in one open folder to another.
pub(super) fn copy_folder(from: impl AsFd, to: impl AsFd) -> io::Result<()> {
    let mut left = vec![PathBuf::from(".")];
    while let Some(path) = left.pop() {
        let (source, target) = (below(&from, &path)?, below(&to, &path)?);
        for name in names(&source)? {
            let found = statat(&source, &*name, AtFlags::SYMLINK_NOFOLLOW)?;
            match FileType::from_raw_mode(found.st_mode) {
                FileType::Directory => {
                    make_folder(&target, &name)?;
                    left.push(path.join(std::ffi::OsStr::from_bytes(name.to_bytes())));
                }
                FileType::Symlink => {
                    let link = readlinkat(&source, &*name, Vec::new())?;
                    remove(&target, &name)?;
                    symlinkat(link, &target, &*name)?;
                }
                FileType::RegularFile => copy_file(&source, &target, &name)?,
                _ => {}
            }
        }
    }
    Ok(())
}

/// A folder below another, whatever links are put in its way.
fn below(root: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    Ok(openat2(root, path, FOLDER, Mode::empty(), resolve)?)
}

fn names(folder: &OwnedFd) -> io::Result<Vec<Box<CStr>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if ![c".", c".."].contains(&entry.file_name()) {
            names.push(entry.file_name().into());
        }
    }
    Ok(names)
}

fn make_folder(within: &OwnedFd, name: &CStr) -> io::Result<()> {
    let mode = Mode::from(0o777);
    match mkdirat(within, name, mode) {
        Err(Errno::EXIST) => {}
        made => return Ok(made?),
    }
    let there = statat(within, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(there.st_mode) == FileType::Directory {
        return Ok(());
    }
    remove(within, name)?;
    Ok(mkdirat(within, name, mode)?)
}

fn copy_file(source: &OwnedFd, target: &OwnedFd, name: &CStr) -> io::Result<()> {
    // It may have become something else since it was looked at.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(source, name, flags, Mode::empty())?;
    let found = fstat(&file)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Ok(());
    }
    remove(target, name)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    // Without the bits that give a program its owner's rights.
    let mode = Mode::from_raw_mode(found.st_mode) & Mode::from(0o777);
    let copy = openat(target, name, flags, Mode::WUSR)?;
    let mut copy = File::from(copy);
    io::copy(&mut File::from(file), &mut copy)?;
    Ok(rustix::fs::fchmod(copy, mode)?)
}

/// Removes what is there under a name, if anything is.
fn remove(within: &OwnedFd, name: &CStr) -> io::Result<()> {
    match unlinkat(within, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => {
            let flags = FOLDER | OFlags::NOFOLLOW;
            let folder = openat(within, name, flags, Mode::empty())?;
            for name in names(&folder)? {
                remove(&folder, &name)?;
            }
            Ok(unlinkat(within, name, AtFlags::REMOVEDIR)?)
        }
        removed => Ok(removed?),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use rustix::fs::{CWD, mknodat};

    use super::*;

    #[test]
    fn folders_are_copied_without_pipes() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("deep")).unwrap();
        fs::write(from.join("deep/file"), "content").unwrap();
        fs::set_permissions(from.join("deep/file"), fs::Permissions::from_mode(0o4555)).unwrap();
        symlink("deep/file", from.join("link")).unwrap();
        mknodat(CWD, from.join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        // The second copy finds what the first one left, also what cannot be written to.
        for _ in 0..2 {
            copy_tree(&from, &to).unwrap();
            assert_eq!(fs::read_to_string(to.join("link")).unwrap(), "content");
            assert!(!to.join("pipe").exists());
            let mode = fs::metadata(to.join("deep/file")).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o555);
        }
    }

    #[test]
    fn what_changed_its_kind_is_replaced() {
        let all = tempfile::tempdir().unwrap();
        let [from, to, outside] = ["from", "to", "outside"].map(|name| all.path().join(name));
        for folder in [&from, &outside] {
            fs::create_dir(folder).unwrap();
        }
        fs::write(outside.join("kept"), "kept").unwrap();
        for name in ["folder", "file", "none"] {
            symlink(outside.join(name.replace("folder", "")), from.join(name)).unwrap();
        }
        fs::create_dir_all(from.join("tree/deep")).unwrap();
        fs::write(from.join("tree/deep/file"), "1").unwrap();
        copy_tree(&from, &to).unwrap();
        for name in ["folder", "file", "none"] {
            fs::remove_file(from.join(name)).unwrap();
        }
        fs::create_dir(from.join("folder")).unwrap();
        fs::write(from.join("folder/kept"), "changed").unwrap();
        fs::write(from.join("file"), "2").unwrap();
        fs::remove_dir_all(from.join("tree")).unwrap();
        fs::write(from.join("tree"), "3").unwrap();
        copy_tree(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(outside.join("kept")).unwrap(), "kept");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        for (file, content) in [("folder/kept", "changed"), ("file", "2"), ("tree", "3")] {
            assert_eq!(fs::read_to_string(to.join(file)).unwrap(), content);
        }
    }

    /// A program of the host swaps a folder and a link while the folder is copied.
    #[test]
    fn a_link_that_takes_a_folders_place_is_not_followed() {
        let all = tempfile::tempdir().unwrap();
        let [from, secret] = ["from", "secret"].map(|name| all.path().join(name));
        fs::create_dir(&secret).unwrap();
        fs::write(secret.join("file"), "secret").unwrap();
        fs::create_dir(&from).unwrap();
        symlink(&secret, from.join("swapped")).unwrap();
        let root = File::open(&from).unwrap();
        let error = below(&root, Path::new("./swapped")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::LOOP.raw_os_error()));
        let folders =
            [&from, &all.path().to_owned()].map(|f| OwnedFd::from(File::open(f).unwrap()));
        symlink(secret.join("file"), from.join("file")).unwrap();
        assert!(copy_file(&folders[0], &folders[1], c"file").is_err());
        assert!(!all.path().join("file").exists());
    }
}
