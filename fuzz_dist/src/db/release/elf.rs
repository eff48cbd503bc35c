//! Whether a program was built for this machine, by the header of its file (elf(5)).

use std::fs;
use std::path::Path;

use crate::error::Error;

/// Names of machines by their number in the header (`e_machine`).
const MACHINES: [(u16, &str); 4] = [(62, "x86_64"), (183, "aarch64"), (3, "x86"), (243, "riscv64")];

/// A program header that names the loader of shared libraries.
const PT_INTERP: u32 = 3;

/// Says why the virtual machine of a release cannot run here.
pub(super) fn runs_here(beam: &Path, release: &Path) -> Result<(), Error> {
    let content = fs::read(beam)
        .map_err(|e| Error::usage(format!("{} cannot be read: {e}", beam.display())))?;
    let Some(header) = Header::of(&content) else {
        return Err(Error::usage(format!(
            "the release in {} was not built for Linux: {} is no ELF program; build it on this machine, or in a \
             container of its system",
            release.display(),
            beam.display()
        )));
    };
    let machine = MACHINES.iter().find(|(number, _)| *number == header.machine);
    let machine = machine.map_or("another machine", |(_, name)| name);
    if machine != std::env::consts::ARCH {
        return Err(Error::usage(format!(
            "the release in {} was built for {machine}, and this machine is {}; build it here",
            release.display(),
            std::env::consts::ARCH
        )));
    }
    match header.loader {
        Some(loader) if !Path::new(&loader).exists() => Err(Error::usage(format!(
            "the release in {} was built for a system whose loader is {loader}{}, which this machine does not have; \
             build it on this system",
            release.display(),
            if loader.contains("musl") { " (musl libc, as on Alpine)" } else { "" }
        ))),
        _ => Ok(()),
    }
}

struct Header {
    machine: u16,
    /// The loader of shared libraries, where it is linked to any.
    loader: Option<String>,
}

impl Header {
    /// The header of a 64-bit program, least significant bytes first.
    fn of(content: &[u8]) -> Option<Header> {
        let bytes = |at: usize, count: usize| content.get(at..at.checked_add(count)?);
        let number = |at: usize, count: usize| {
            let bytes = bytes(at, count)?;
            Some(bytes.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)))
        };
        if bytes(0, 6)? != [0x7f, b'E', b'L', b'F', 2, 1] {
            return None;
        }
        let machine = number(18, 2)? as u16;
        let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        let loader = (0..count).find_map(|index| {
            let at = usize::try_from(table.checked_add(index * size)?).ok()?;
            if number(at, 4)? != u64::from(PT_INTERP) {
                return None;
            }
            let (from, length) = (number(at.checked_add(8)?, 8)?, number(at.checked_add(32)?, 8)?);
            let text = bytes(usize::try_from(from).ok()?, usize::try_from(length).ok()?)?;
            Some(String::from_utf8_lossy(text).trim_end_matches('\0').to_owned())
        });
        Some(Header { machine, loader })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header of a program for a machine, whose only program header names a loader.
    fn program(machine: u16, loader: &str) -> Vec<u8> {
        let mut content = vec![0_u8; 64 + 56];
        content[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        content[18..20].copy_from_slice(&machine.to_le_bytes());
        content[32..40].copy_from_slice(&64_u64.to_le_bytes());
        content[54..56].copy_from_slice(&56_u16.to_le_bytes());
        content[56..58].copy_from_slice(&1_u16.to_le_bytes());
        content[64..68].copy_from_slice(&PT_INTERP.to_le_bytes());
        content[72..80].copy_from_slice(&120_u64.to_le_bytes());
        content[96..104].copy_from_slice(&(loader.len() as u64 + 1).to_le_bytes());
        content.extend(loader.bytes().chain([0]));
        content
    }

    fn judged(content: &[u8]) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let beam = folder.path().join("beam.smp");
        fs::write(&beam, content).unwrap();
        runs_here(&beam, Path::new("/rel/shop")).map_err(|e| e.to_string())
    }

    #[test]
    fn a_program_of_this_machine_runs_here() {
        let own = fs::read("/proc/self/exe").unwrap();
        assert!(Header::of(&own).is_some_and(|header| header.loader.is_some()));
        assert_eq!(judged(&own), Ok(()));
    }

    #[test]
    fn those_of_other_machines_and_systems_are_refused_by_name() {
        let other = if cfg!(target_arch = "aarch64") { (62, "x86_64") } else { (183, "aarch64") };
        let why = judged(&program(other.0, "/lib/ld.so")).unwrap_err();
        assert!(why.contains(&format!("built for {}", other.1)), "{why}");
        let own = MACHINES.iter().find(|(_, name)| *name == std::env::consts::ARCH).unwrap().0;
        let why = judged(&program(own, "/nonexistent/ld-musl-x86_64.so.1")).unwrap_err();
        assert!(why.contains("ld-musl-x86_64.so.1 (musl libc, as on Alpine)"), "{why}");
        let why = judged(b"MZ and so on").unwrap_err();
        assert!(why.contains("not built for Linux"), "{why}");
        // A header that names what is not in the file is no reason to fail.
        assert_eq!(judged(&program(own, "")[..100]), Ok(()));
    }
}
