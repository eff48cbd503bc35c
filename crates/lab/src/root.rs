//! The file system that all hosts share: this machine's folders, read-only, under a root of the
//! lab's own in which mount points can be made.

use super::kernel;
use super::protocol::{At, DATA_DIR, Failure, Step};
use fuzz_dist_sys::namespace;
use rustix::mount::{
    MountFlags, MountPropagationFlags, mount, mount_bind, mount_bind_recursive, mount_change,
};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Where the machine's own root stays reachable while hosts are set up.
pub(super) const OUTSIDE: &str = "/.outside";
/// Files of the lab.
pub(super) const LAB: &str = "/.lab";
/// Every host gets folders of its own in place of these.
const OWN: [&str; 4] = ["proc", "dev", "tmp", "run"];

/// Builds the root and moves into it.
pub(super) fn build(hosts_file: &str) -> Result<(), Failure> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).mounting("/ as private")?;
    // The new root is built on /tmp and uncovers it again when it becomes /.
    let new = Path::new("/tmp");
    mount("lab", new, "tmpfs", MountFlags::empty(), c"mode=755").mounting("tmpfs")?;
    for entry in fs::read_dir("/").mounting("the entries of /")?.flatten() {
        let name = entry.file_name();
        let (old, here) = (Path::new("/").join(&name), new.join(&name));
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_symlink() {
            fs::read_link(&old).and_then(|to| symlink(to, &here)).mounting("a link in /")?;
        } else if OWN.iter().any(|own| name == *own) {
            continue;
        } else if kind.is_dir() {
            fs::create_dir(&here).mounting("a folder of /")?;
            mount_bind_recursive(&old, &here).mounting(old.to_string_lossy())?;
            read_only(&here, true)?;
        }
    }
    for own in OWN.into_iter().chain([&DATA_DIR[1..], &OUTSIDE[1..], &LAB[1..]]) {
        // Where one of them is a link already, the link stays.
        match fs::create_dir(new.join(own)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error).mounting(own);
            }
            _ => {}
        }
    }
    kernel::make_devices(Path::new("/dev"), &new.join("dev"))?;
    rustix::process::pivot_root(new, new.join(&OUTSIDE[1..])).mounting("the new root")?;
    std::env::set_current_dir("/").mounting("the new root")?;
    // Before anything is mounted below /etc, since a place that is missing there covers it.
    for file in ["hosts", "hostname", "resolv.conf"] {
        let path = Path::new("/etc").join(file);
        if fs::symlink_metadata(&path).is_err() {
            super::mounts::make_point(&path, false)?;
        }
    }
    write_hosts(hosts_file)?;
    bind_file(&lab_file("hosts"), Path::new("/etc/hosts"))
}

/// Replaces the hosts file's content in place: every host has this very file mounted.
pub(super) fn write_hosts(content: &str) -> Result<(), Failure> {
    use std::os::unix::fs::FileExt;
    let write = || {
        let mut options = fs::File::options();
        let file = options.create(true).truncate(false).write(true).open(lab_file("hosts"))?;
        // One write, and only then the rest is cut off: readers never see an empty file.
        file.write_all_at(content.as_bytes(), 0)?;
        file.set_len(content.len() as u64)
    };
    write().at(Step::Other("write the hosts file".into()))
}

fn lab_file(name: &str) -> std::path::PathBuf {
    Path::new(LAB).join(name)
}

/// Lays a file over another, also where that one is a link or is missing.
pub(super) fn bind_file(source: &Path, target: &Path) -> Result<(), Failure> {
    // Following a link could lead into /run, which is empty here: such links get their end.
    let target = match fs::read_link(target) {
        Ok(link) => target.parent().unwrap_or(Path::new("/")).join(link),
        Err(_) => target.to_owned(),
    };
    if !target.exists() {
        super::mounts::make_point(&target, false)?;
    }
    mount_bind(source, &target).mounting(target.to_string_lossy())?;
    read_only(&target, false)
}

/// Makes a mount read-only, with all mounts below it when `recursive`.
pub(super) fn read_only(path: &Path, recursive: bool) -> Result<(), Failure> {
    let made = namespace::make_read_only(path, recursive);
    made.mounting(format!("{} read-only", path.display()))
}
