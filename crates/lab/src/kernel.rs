//! What a host sees of the kernel: a /proc whose settings it cannot change, and few devices.

use super::mounts::outside;
use super::protocol::{At, Failure};
use super::root::{LAB, read_only};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    MountFlags, OpenTreeFlags, mount, mount_bind, mount_bind_recursive, open_tree,
};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// Devices that programs expect everywhere. None of them gives access to the machine.
const DEVICES: [&str; 7] = ["null", "zero", "full", "random", "urandom", "tty", "net/tun"];

/// Links that programs expect in /dev.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Entries of /proc that show the machine's memory, messages and keys; hosts see them empty.
const HIDDEN: [&str; 12] = [
    "acpi",
    "asound",
    "kcore",
    "keys",
    "kmsg",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
];

/// Makes the folder `dev` of the lab's root out of the machine's `old`. A device that the machine
/// does not have is left out: whoever opens it gets the usual error.
pub(super) fn make_devices(old: &Path, dev: &Path) -> Result<(), Failure> {
    for folder in ["net", "pts", "shm"] {
        fs::create_dir_all(dev.join(folder)).mounting("/dev")?;
    }
    for device in DEVICES {
        let (old, here) = (old.join(device), dev.join(device));
        if old.exists() {
            fs::write(&here, "").mounting("/dev")?;
            mount_bind(&old, &here).mounting(format!("/dev/{device}"))?;
        }
    }
    for (name, to) in LINKS {
        symlink(to, dev.join(name)).mounting("/dev")?;
    }
    Ok(())
}

/// Gives this host terminals of its own.
pub(super) fn mount_terminals(notes: &mut Vec<String>) {
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    let options = c"newinstance,ptmxmode=0666,mode=0620";
    if let Err(error) = mount("devpts", "/dev/pts", "devpts", flags, options) {
        notes.push(format!("programs have no pseudo-terminals: /dev/pts is refused: {error}"));
    }
}

/// The way to files of /proc that the host's programs see read-only; the host's init needs some.
pub(super) struct Proc(OwnedFd);

impl AsFd for Proc {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Proc {
    /// Writes a file of /proc, such as `sys/net/ipv4/ip_forward`.
    pub(super) fn write(&self, file: &str, text: &str) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.0, file, flags, Mode::empty())?;
        File::from(file).write_all(text.as_bytes())
    }
}

/// Mounts /proc. A fresh one shows this host's processes. Where part of the machine's own is masked
/// (in containers), the kernel refuses it, and the old one has to do.
pub(super) fn mount_proc(notes: &mut Vec<String>) -> Result<Proc, Failure> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let own = match mount("proc", "/proc", "proc", flags, None) {
        Err(rustix::io::Errno::PERM) => {
            notes.push("/proc is the machine's: the system refuses one of the host's own".into());
            mount_bind_recursive(outside("/proc"), "/proc").mounting("/proc")?;
            false
        }
        other => other.mounting("/proc").map(|()| true)?,
    };
    // A copy that is mounted nowhere: nothing of what follows covers it.
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let flags = flags | OpenTreeFlags::AT_RECURSIVE;
    let way = Proc(open_tree(CWD, "/proc", flags).mounting("a copy of /proc")?);
    if own {
        protect()?
    } else {
        read_only(Path::new("/proc"), true)?
    }
    Ok(way)
}

/// Makes everything in /proc read-only that belongs to no process, and hides what shows too much.
fn protect() -> Result<(), Failure> {
    let empty = Path::new(LAB).join("empty");
    fs::create_dir_all(&empty).mounting("an empty folder")?;
    for entry in fs::read_dir("/proc").mounting("/proc")?.flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let Some(name) = name.to_str() else { continue };
        // Processes come and go, and what they show is theirs; links (self, net) lead to them.
        let Ok(kind) = entry.file_type() else { continue };
        if name.parse::<u32>().is_ok() || kind.is_symlink() {
            continue;
        }
        let writable = || entry.metadata().is_ok_and(|m| m.permissions().mode() & 0o222 != 0);
        if HIDDEN.contains(&name) {
            let source = if kind.is_dir() { &empty } else { Path::new("/dev/null") };
            mount_bind(source, &path).mounting(path.to_string_lossy())?;
        } else if kind.is_dir() || writable() {
            mount_bind(&path, &path).mounting(path.to_string_lossy())?;
        } else {
            continue;
        }
        read_only(&path, false)?;
    }
    Ok(())
}
