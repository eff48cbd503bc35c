//! The folder of a host that runs on this machine, for environments that have such hosts: its data and
//! its logs.

mod copy;

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, openat2};

use super::{Error, Folder, HostSpec};
use copy::copy_folder;
pub use copy::copy_tree;

/// The longest file that is read into memory, in bytes.
const READ_MAX: u64 = 16 << 20;

/// A host's folder: what its processes write is in `data`, their logs are in `logs`.
///
/// Paths of files are relative to `data`. A link that leads out of it is refused.
#[derive(Clone, Debug)]
pub struct HostFolder {
    path: PathBuf,
    /// What the host sees below `data` and `data` does not hold.
    elsewhere: Vec<Folder>,
}

impl HostFolder {
    /// Makes the folder `all/<name of the host>` with the host's files, and with a copy of every
    /// folder that the host sees below `data` and `copied` picks. The others are the
    /// environment's to lay there. A copy that an earlier host of the name left is kept as it is.
    ///
    /// # Errors
    /// [`Error::Io`] where the disk refuses, [`Error::Invalid`] for a file or copy outside of `data`
    /// or in one of the other folders.
    pub fn create(
        all: &Path,
        host: &HostSpec,
        copied: impl Fn(&Folder) -> bool,
    ) -> Result<HostFolder, Error> {
        let below = host.folders.iter().filter(|folder| folder.at.is_relative());
        let (copied, elsewhere): (Vec<_>, Vec<_>) = below.cloned().partition(copied);
        let folder = HostFolder { path: all.join(&host.name), elsewhere };
        // Of folders within each other, the first one's copy must not hide that the second has none.
        let left = |given: &Folder| folder.open(&given.at, OFlags::DIRECTORY).is_ok();
        let missing: Vec<_> = copied.iter().filter(|given| !left(given)).collect();
        for path in [folder.data().join("home"), folder.logs()] {
            let made = fs::create_dir_all(&path);
            made.map_err(Error::io(format!("make the folder {}", path.display())))?;
        }
        for given in missing {
            folder.put(given)?;
        }
        for file in &host.files {
            folder.write(&file.at, &file.content)?;
        }
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The data of its processes.
    pub fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// The logs of its processes: `<process>.out` and `<process>.err`.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// The content of a file of at most 16 MiB.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Invalid`].
    pub fn read(&self, path: &Path) -> Result<Vec<u8>, Error> {
        let reading = Error::io(format!("read {}", path.display()));
        self.check(path)?;
        let read = || {
            let mut content = Vec::new();
            // The host may write to it meanwhile: its length now says nothing.
            let file = File::from(self.open(path, OFlags::RDONLY)?);
            file.take(READ_MAX + 1).read_to_end(&mut content)?;
            if content.len() as u64 > READ_MAX {
                return Err(io::Error::other(format!(
                    "it is longer than {} MiB; copy its folder with `fetch_folder`",
                    READ_MAX >> 20
                )));
            }
            Ok(content)
        };
        read().map_err(reading)
    }

    /// Writes a file and makes the folders that it lies in.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Invalid`].
    pub fn write(&self, path: &Path, content: &[u8]) -> Result<(), Error> {
        let writing = Error::io(format!("write {}", path.display()));
        self.check(path)?;
        let write = || {
            self.make(path.parent().unwrap_or(Path::new("")))?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
            File::from(self.open(path, flags)?).write_all(content)
        };
        write().map_err(writing)
    }

    /// Copies a folder to `to` as [`copy_tree`] does: files and links, no pipes and sockets.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Invalid`].
    pub fn fetch(&self, path: &Path, to: &Path) -> Result<(), Error> {
        let fetching = Error::io(format!("copy {} to {}", path.display(), to.display()));
        self.check(path)?;
        let fetch = || {
            let folder = self.open(path, OFlags::DIRECTORY)?;
            fs::create_dir_all(to)?;
            copy_folder(folder, File::open(to)?)
        };
        fetch().map_err(fetching)
    }

    /// The end of each log, by the name of its file.
    pub fn last_output(&self, bytes_max: usize) -> Vec<(String, String)> {
        let logs = fs::read_dir(self.logs()).into_iter().flatten().flatten();
        let mut ends: Vec<_> = logs
            .filter_map(|log| {
                let mut file = File::open(log.path()).ok()?;
                let length = file.metadata().ok()?.len();
                file.seek(SeekFrom::Start(length.saturating_sub(bytes_max as u64))).ok()?;
                let mut end = Vec::new();
                file.take(bytes_max as u64).read_to_end(&mut end).ok()?;
                let name = log.file_name().to_string_lossy().into_owned();
                Some((name, String::from_utf8_lossy(&end).into_owned()))
            })
            .collect();
        ends.sort();
        ends
    }

    /// Copies one of the host's folders into `data`.
    fn put(&self, given: &Folder) -> Result<(), Error> {
        let (from, at) = (given.source.display(), given.at.display());
        let copying = Error::io(format!("copy {from} to {at} of the host's data"));
        self.check(&given.at)?;
        let copy = || copy_folder(File::open(&given.source)?, self.make(&given.at)?);
        copy().map_err(copying)
    }

    /// Makes the folders of a path and opens the last one.
    fn make(&self, path: &Path) -> io::Result<OwnedFd> {
        let mut folder = PathBuf::from(".");
        for part in path.components() {
            let within = self.open(&folder, OFlags::DIRECTORY)?;
            match mkdirat(within, part.as_os_str(), Mode::RWXU) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => folder.push(part),
                Err(error) => return Err(error.into()),
            }
        }
        self.open(&folder, OFlags::DIRECTORY)
    }

    /// Opens what is below `data`, however links lie there.
    fn open(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let data = File::open(self.data())?;
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let mode = if flags.contains(OFlags::CREATE) { Mode::from(0o666) } else { Mode::empty() };
        // A pipe that nobody writes to must not keep the caller.
        let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(openat2(data, path, flags, mode, beneath)?)
    }

    /// A path that stays below the data folder and is really there, as far as its text says.
    fn check(&self, path: &Path) -> Result<(), Error> {
        let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if !path.components().all(inside) {
            return Err(Error::Invalid(format!(
                "{} is not in the host's data folder; use a path relative to it, without ..",
                path.display()
            )));
        }
        let covers = |folder: &&Folder| plain(path).starts_with(plain(&folder.at));
        match self.elsewhere.iter().find(covers) {
            Some(folder) => Err(Error::Invalid(format!(
                "{} lies in the folder {} of this machine, which the host only sees at {}; read it \
                 where it is, and put files of the host elsewhere or use `Folder::own_copy`",
                path.display(),
                folder.source.display(),
                folder.at.display()
            ))),
            None => Ok(()),
        }
    }
}

/// A path without dots.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::Access;

    fn folder() -> (tempfile::TempDir, HostFolder) {
        let all = tempfile::tempdir().unwrap();
        let host = HostSpec::node("n1").file("etc/app.conf", "a = 1");
        let folder = HostFolder::create(all.path(), &host, |_| true).unwrap();
        (all, folder)
    }

    #[test]
    fn files_are_written_read_and_fetched() {
        let (all, folder) = folder();
        assert_eq!(folder.read(Path::new("etc/app.conf")).unwrap(), b"a = 1");
        folder.write(Path::new("etc/app.conf"), b"a").unwrap();
        folder.write(Path::new("deep/er/file"), b"b").unwrap();
        let to = all.path().join("fetched");
        folder.fetch(Path::new(""), &to).unwrap();
        assert_eq!(fs::read(to.join("etc/app.conf")).unwrap(), b"a");
        assert_eq!(fs::read(to.join("deep/er/file")).unwrap(), b"b");
        assert!(folder.read(Path::new("none")).unwrap_err().to_string().contains("read none"));
    }

    #[test]
    fn nothing_outside_of_the_data_is_reached() {
        let (all, folder) = folder();
        let secret = all.path().join("secret");
        fs::write(&secret, "s").unwrap();
        symlink(&secret, folder.data().join("link")).unwrap();
        symlink(all.path(), folder.data().join("up")).unwrap();
        for path in ["../../secret", "link", "up/secret", secret.to_str().unwrap()] {
            let path = Path::new(path);
            assert!(folder.read(path).is_err(), "{}", path.display());
            assert!(folder.write(path, b"x").is_err(), "{}", path.display());
        }
        assert!(folder.fetch(Path::new("up"), &all.path().join("to")).is_err());
        assert_eq!(fs::read(secret).unwrap(), b"s");
    }

    /// The host makes a folder of what was a link at the first copy.
    #[test]
    fn a_second_copy_does_not_follow_the_links_of_the_first() {
        let (all, folder) = folder();
        let [outside, to] = ["outside", "fetched"].map(|name| all.path().join(name));
        fs::create_dir(&outside).unwrap();
        let there = folder.data().join("x");
        symlink(&outside, &there).unwrap();
        folder.fetch(Path::new(""), &to).unwrap();
        fs::remove_file(&there).unwrap();
        folder.write(Path::new("x/file"), b"of the host").unwrap();
        folder.fetch(Path::new(""), &to).unwrap();
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        assert_eq!(fs::read(to.join("x/file")).unwrap(), b"of the host");
    }

    #[test]
    fn folders_below_the_data_are_copied_before_files_are_written() {
        let all = tempfile::tempdir().unwrap();
        let source = all.path().join("source");
        fs::create_dir(&source).unwrap();
        fs::write(source.join("app.conf"), "a = 1").unwrap();
        let host = HostSpec::node("n1")
            .folder(Folder::own_copy(&source, "shop/etc"))
            .folder(Folder::read_only(&source, "./original"))
            .file("shop/etc/app.conf", "a = 2");
        let copied = |folder: &Folder| folder.access == Access::OwnCopy;
        let folder = HostFolder::create(all.path(), &host, copied).unwrap();
        let path = Path::new("shop/etc/app.conf");
        assert_eq!(folder.read(path).unwrap(), b"a = 2");
        assert_eq!(fs::read_to_string(source.join("app.conf")).unwrap(), "a = 1");
        // What the host made of its copy is there when it comes again.
        fs::write(folder.data().join("shop/etc/new"), "new").unwrap();
        fs::remove_file(folder.data().join(path)).unwrap();
        let host = HostSpec { files: Vec::new(), ..host };
        let folder = HostFolder::create(all.path(), &host, copied).unwrap();
        assert!(folder.read(path).is_err() && folder.read(Path::new("shop/etc/new")).is_ok());
        // What lies elsewhere is neither read nor written to.
        let covered = host.file("original/app.conf", "a = 3");
        let error = HostFolder::create(all.path(), &covered, copied).unwrap_err().to_string();
        assert!(error.contains("original/app.conf") && error.contains("own_copy"), "{error}");
        let path = Path::new("original/./app.conf");
        assert!(folder.read(path).is_err() && folder.write(path, b"").is_err());
        // A copy does not follow the links of an earlier host.
        fs::remove_dir_all(folder.data().join("shop")).unwrap();
        symlink(all.path(), folder.data().join("shop")).unwrap();
        let host = HostSpec::node("n1").folder(Folder::own_copy(&source, "shop/etc"));
        assert!(HostFolder::create(all.path(), &host, copied).is_err());
        assert!(!all.path().join("etc").exists());
    }

    #[test]
    fn a_long_file_is_not_read_into_memory() {
        let (_all, folder) = folder();
        let file = File::create(folder.data().join("long")).unwrap();
        file.set_len(READ_MAX).unwrap();
        assert_eq!(folder.read(Path::new("long")).unwrap().len() as u64, READ_MAX);
        file.set_len(1 << 40).unwrap();
        let error = folder.read(Path::new("long")).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let error = format!("{error} {source:?}");
        assert!(error.contains("longer than 16 MiB") && error.contains("fetch_folder"), "{error}");
    }

    #[test]
    fn the_end_of_a_log_is_read() {
        let (_all, folder) = folder();
        fs::write(folder.logs().join("app.err"), "one\ntwo\n").unwrap();
        let ends = folder.last_output(4);
        assert_eq!(ends, [("app.err".to_owned(), "two\n".to_owned())]);
    }
}
