//! Leaving namespaces behind, and making whole mount trees read-only.

use super::checked;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Moves this process into new namespaces (CLONE_NEW* flags only).
pub fn unshare(flags: libc::c_int) -> io::Result<()> {
    debug_assert_eq!(flags & (libc::CLONE_FILES | libc::CLONE_VM), 0);
    // SAFETY: namespace flags share or unshare no memory and no descriptors.
    checked(unsafe { libc::unshare(flags) }).map(drop)
}

/// As the kernel defines it (linux/mount.h); libc has it for some targets only.
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

const MOUNT_ATTR_RDONLY: u64 = 1;
const AT_RECURSIVE: libc::c_uint = 0x8000;

/// Makes the mount at `path` read-only, with all mounts below it when `recursive`.
pub fn make_read_only(path: &Path, recursive: bool) -> io::Result<()> {
    let attr = MountAttr { attr_set: MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let path = CString::new(path.as_os_str().as_bytes())?;
    let flags = if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: both pointers are valid for the call, and the size given is the structure's.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
