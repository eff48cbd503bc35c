//! The preloaded library's bytes, and how they come to a folder.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

#[cfg(preload)]
const LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libfuzz_dist_time.so"));
#[cfg(not(preload))]
const LIBRARY: &[u8] = &[];

/// The library's file name.
pub(crate) const NAME: &str = "libfuzz_dist_time.so";

/// Writes the library into a folder.
pub(crate) fn write(folder: &Path) -> io::Result<()> {
    if LIBRARY.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "simulated time works on Linux on x86_64 only; use `time = \"real\"`",
        ));
    }
    let path = folder.join(NAME);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o555).open(path)?;
    file.write_all(LIBRARY)
}
