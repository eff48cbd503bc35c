//! A host's own file system: its folders laid over the lab's common root.

use super::kernel::{self, Proc};
use super::protocol::{At, DATA_DIR, Failure, HostPlan, MountPlan, Step};
use super::root::{self, LAB, OUTSIDE};
use fuzz_dist_env::Access;
use fuzz_dist_env::local::copy_tree;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, unmount};
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Lays everything; what had to be done in another way than asked for is reported in `notes`.
pub(super) fn lay(plan: &HostPlan, notes: &mut Vec<String>) -> Result<Proc, Failure> {
    let proc = kernel::mount_proc(notes)?;
    kernel::mount_terminals(notes);
    for (target, mode) in
        [("/tmp", c"mode=1777"), ("/run", c"mode=755"), ("/dev/shm", c"mode=1777")]
    {
        // A root file system without one of them (a link or nothing) does without it.
        if fs::symlink_metadata(target).is_ok_and(|found| found.is_dir()) {
            let flags = MountFlags::NOSUID | MountFlags::NODEV;
            mount("lab", target, "tmpfs", flags, mode).mounting(target)?;
        }
    }
    mount_bind(outside(&plan.data), DATA_DIR).mounting(DATA_DIR)?;
    for folder in &plan.visible {
        make_point(Path::new(folder), true)?;
        mount_bind_recursive(outside(folder), folder).mounting(folder)?;
        root::read_only(Path::new(folder), true)?;
    }
    own_files(&plan.name)?;
    for (number, one) in plan.mounts.iter().enumerate() {
        lay_one(one, number, notes)?;
    }
    if let Some((source, target)) = &plan.shared {
        make_point(Path::new(target), true)?;
        mount_bind(outside(source), target).mounting(target)?;
    }
    unmount(OUTSIDE, UnmountFlags::DETACH).mounting("away the old root")?;
    root::read_only(Path::new("/"), false)?;
    Ok(proc)
}

/// Where a path of the machine is seen while a host is set up.
pub(super) fn outside(path: &str) -> PathBuf {
    PathBuf::from(format!("{OUTSIDE}{path}"))
}

/// The host's name and an empty resolver configuration; the hosts file is everybody's.
fn own_files(name: &str) -> Result<(), Failure> {
    let own = Path::new(LAB).join("own").join(name);
    fs::create_dir_all(&own).mounting("own files")?;
    let resolver = "# The hosts of a lab know each other by /etc/hosts.\n".to_owned();
    for (file, content) in [("hostname", format!("{name}\n")), ("resolv.conf", resolver)] {
        let (source, target) = (own.join(file), Path::new("/etc").join(file));
        fs::write(&source, content).mounting("own files")?;
        root::bind_file(&source, &target)?;
    }
    Ok(())
}

fn lay_one(plan: &MountPlan, number: usize, notes: &mut Vec<String>) -> Result<(), Failure> {
    let (source, target) = (outside(&plan.source), Path::new(&plan.target));
    let is_dir = fs::metadata(&source).mounting(&plan.source)?.is_dir();
    leads_inside(target).mounting(&plan.target)?;
    if !target.exists() {
        make_point(target, is_dir)?;
    }
    match plan.access {
        Access::ReadOnly => {
            mount_bind_recursive(&source, target).mounting(&plan.target)?;
            root::read_only(target, true)
        }
        Access::OwnCopy => {
            let own = Path::new(DATA_DIR).join(".copy_on_write").join(number.to_string());
            for part in ["upper", "work", "copy"] {
                leads_inside(&own.join(part)).mounting(&plan.target)?;
            }
            let view = match &plan.copied {
                Some(reason) => Err(io::Error::other(reason.clone())),
                None => overlay(&source, &own, target),
            };
            match view {
                Ok(()) => Ok(()),
                Err(error) => {
                    notes.push(format!(
                        "{} was copied, since the system refuses a copy-on-write view of it: {error}",
                        plan.source
                    ));
                    let copy = own.join("copy");
                    copy_tree(&source, &copy).at(Step::Other(format!("copy {}", plan.source)))?;
                    mount_bind(&copy, target).mounting(&plan.target)
                }
            }
        }
    }
}

/// Refuses a path that leads to the machine's files, which can still be written to: an earlier host of
/// this name may have left links in its data.
fn leads_inside(path: &Path) -> io::Result<()> {
    let there = path.ancestors().find(|path| fs::symlink_metadata(path).is_ok());
    let there = there.unwrap_or(Path::new("/"));
    match fs::canonicalize(there) {
        Ok(real) if !real.starts_with(OUTSIDE) => Ok(()),
        _ => Err(io::Error::other(format!(
            "{} leads through a link to a place that hosts do not have; an earlier host of this \
             name may have left it: remove it or choose another name",
            there.display()
        ))),
    }
}

/// Lays a view of `lower` at `target` whose changes go to `own`, which outlives the host.
fn overlay(lower: &Path, own: &Path, target: &Path) -> io::Result<()> {
    let (upper, work) = (own.join("upper"), own.join("work"));
    fs::create_dir_all(&upper)?;
    fs::create_dir_all(&work)?;
    // The view shows the upper folder's own mode.
    fs::set_permissions(&upper, fs::metadata(lower)?.permissions())?;
    let [lower, upper, work_text] = [lower, &upper, &work].map(escaped);
    mount_overlay(&format!("lowerdir={lower},upperdir={upper},workdir={work_text}"), target)?;
    // The kernel makes a folder without any rights there, which would stop every later cleaning.
    let _ = fs::set_permissions(work.join("work"), fs::Permissions::from_mode(0o700));
    Ok(())
}

fn mount_overlay(options: &str, target: &Path) -> io::Result<()> {
    // Without `userxattr` only the machine's root may mount one.
    let options = CString::new(format!("{options},userxattr"))?;
    Ok(mount("overlay", target, "overlay", MountFlags::empty(), options.as_c_str())?)
}

/// A path as the overlay's options spell it: commas, colons and backslashes are theirs.
fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for letter in path.to_string_lossy().chars() {
        if matches!(letter, ',' | ':' | '\\') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

/// Makes a place to mount on, also below a folder of the machine that cannot be changed.
pub(super) fn make_point(target: &Path, is_dir: bool) -> Result<(), Failure> {
    if target.exists() || create(target, is_dir).is_ok() {
        return Ok(());
    }
    let mut below = target;
    while !below.exists() {
        below = below.parent().unwrap_or(Path::new("/"));
    }
    let rest = target.strip_prefix(below).unwrap_or(target);
    let skeleton = new_skeleton().mounting(target.to_string_lossy())?;
    create(&skeleton.join(rest), is_dir).mounting(target.to_string_lossy())?;
    // Two layers and nothing to write on: the folder as it is, with the new place in it. Such a
    // view would not show what is mounted below the folder; then every entry is laid by itself.
    let layers = format!("lowerdir={}:{}", escaped(&skeleton), escaped(below));
    if !has_mounts(below) && mount_overlay(&layers, below).is_ok() && target.exists() {
        return Ok(());
    }
    copy_entries(below, &skeleton).mounting(below.to_string_lossy())?;
    mount_bind_recursive(&skeleton, below).mounting(below.to_string_lossy())?;
    root::read_only(below, false)
}

/// Whether something is mounted below a folder; yes, if that is not to be found out.
fn has_mounts(folder: &Path) -> bool {
    // The lab's init has no /proc of its own.
    let mounts = fs::read_to_string("/proc/self/mountinfo")
        .or_else(|_| fs::read_to_string(outside("/proc/self/mountinfo")));
    mounts.map_or(true, |mounts| {
        mounts
            .lines()
            .filter_map(|line| line.split(' ').nth(4))
            .map(Path::new)
            .any(|point| point != folder && point.starts_with(folder))
    })
}

fn create(path: &Path, is_dir: bool) -> io::Result<()> {
    if is_dir {
        return fs::create_dir_all(path);
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, "")
}

fn new_skeleton() -> io::Result<PathBuf> {
    let host = rustix::system::uname();
    let all = Path::new(LAB).join("points").join(host.nodename().to_string_lossy().as_ref());
    fs::create_dir_all(&all)?;
    // The host's mount namespace is gone when another host takes on its name, the files are not.
    let number = fs::read_dir(&all)?.count();
    let skeleton = all.join(number.to_string());
    fs::create_dir(&skeleton)?;
    Ok(skeleton)
}

/// Shows every entry of `from` in `to` by a mount or link of its own.
fn copy_entries(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, here) = (entry.file_type()?, to.join(entry.file_name()));
        if here.exists() {
            continue;
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, &here)?;
        } else {
            create(&here, kind.is_dir())?;
            mount_bind_recursive(entry.path(), &here)?;
        }
    }
    Ok(())
}
