//! Erlang modules of our own, compiled once for each release of Erlang and kept in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use md5::{Digest, Md5};

use super::cache::{self, Lock, Private, create_folder, remove_folder};
use super::erlang::Runtime;
use super::error::{ProvisionError, io_error};

/// A module: its name, and its source.
pub(crate) type Source = (&'static str, &'static str);

impl Runtime {
    /// The compiled forms of modules, in the same order: from the user's cache, or compiled by this
    /// runtime, all in one virtual machine, and put there.
    ///
    /// # Errors
    ///
    /// Where the compiler refuses or does not start, and where no folder can be made.
    pub(crate) fn modules(&self, sources: &[Source]) -> Result<Vec<Arc<[u8]>>, ProvisionError> {
        let cached = cache::folder().map(|cache| cache.join("modules"));
        match cached.and_then(|folder| create_folder(&folder).map(|()| folder)) {
            Ok(folder) => self.modules_in(&folder, sources),
            // Users without a home, or whose home cannot be written, compile each time.
            Err(_) => self.compiled_into(&Private::folder()?.0, sources),
        }
    }

    fn modules_in(
        &self,
        cache: &Path,
        sources: &[Source],
    ) -> Result<Vec<Arc<[u8]>>, ProvisionError> {
        let key = self.key(sources);
        let kept = cache.join(&key);
        if let Some(all) = kept_in(&kept, sources) {
            return Ok(all);
        }
        let _lock = Lock::take(&cache.join("lock"), || ())?;
        // Whoever held the lock before us may have put them there.
        if let Some(all) = kept_in(&kept, sources) {
            return Ok(all);
        }
        let work = cache.join(format!("{key}.compiling"));
        remove_folder(&work)?;
        create_folder(&work)?;
        let compiled = self.compiled_into(&work, sources)?;
        // They appear whole or not at all. Damaged ones make way.
        remove_folder(&kept)?;
        fs::rename(&work, &kept).map_err(io_error("move into place", &kept))?;
        Ok(compiled)
    }

    fn compiled_into(
        &self,
        folder: &Path,
        sources: &[Source],
    ) -> Result<Vec<Arc<[u8]>>, ProvisionError> {
        let mut files: Vec<PathBuf> = Vec::new();
        for (module, source) in sources {
            let file = folder.join(format!("{module}.erl"));
            fs::write(&file, source).map_err(io_error("write", &file))?;
            files.push(file);
        }
        let compiled = self.compile(&files, folder)?;
        let read = |file: &PathBuf| Ok(fs::read(file).map_err(io_error("read", file))?.into());
        compiled.iter().map(read).collect()
    }

    /// Another one for every release and every change of a source.
    fn key(&self, sources: &[Source]) -> String {
        let mut hash = Md5::new();
        for (module, source) in sources {
            hash.update(format!("{module} {}\n{source}", source.len()));
        }
        let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let version: String =
            self.otp_version.chars().map(|c| if c.is_alphanumeric() { c } else { '.' }).collect();
        format!("otp-{version}-{hash}")
    }
}

/// The compiled forms in a folder, if all of them are there and whole.
fn kept_in(folder: &Path, sources: &[Source]) -> Option<Vec<Arc<[u8]>>> {
    let read = |(module, _): &Source| {
        let bytes = fs::read(folder.join(format!("{module}.beam"))).ok()?;
        is_whole(&bytes).then(|| Arc::from(bytes))
    };
    sources.iter().map(read).collect()
}

/// Is it as long as its header says? (`FOR1`, the length of the rest, `BEAM`.)
fn is_whole(beam: &[u8]) -> bool {
    let length = beam.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    let rest = beam.len().checked_sub(8);
    beam.starts_with(b"FOR1") && length.is_some_and(|length| Some(length as usize) == rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime(otp_version: &str) -> Runtime {
        Runtime {
            root: "/no/such/runtime".into(),
            erts_version: "1".into(),
            otp_release: 25,
            otp_version: otp_version.into(),
        }
    }

    #[test]
    fn every_release_and_every_source_has_a_key_of_its_own() {
        let keys = [
            runtime("25.2.3").key(&[("a", "1"), ("b", "2")]),
            runtime("25.2.4").key(&[("a", "1"), ("b", "2")]),
            runtime("25.2.3").key(&[("a", "1"), ("b", "3")]),
            runtime("25.2.3").key(&[("a", "1")]),
        ];
        assert_eq!(std::collections::HashSet::from(keys.clone()).len(), 4, "{keys:?}");
        assert!(runtime("25/../x").key(&[]).starts_with("otp-25....x-"));
    }

    /// This runtime cannot compile: what is returned was kept.
    #[test]
    fn whole_modules_are_taken_from_the_cache_and_damaged_ones_are_not() {
        const SOURCES: [Source; 1] = [("a", "-module(a).")];
        let cache = Private::folder().unwrap();
        let runtime = runtime("25");
        let kept = cache.0.join(runtime.key(&SOURCES));
        fs::create_dir(&kept).unwrap();
        let put = |bytes: &[u8]| fs::write(kept.join("a.beam"), bytes).unwrap();
        put(b"FOR1\0\0\0\x08BEAMcode");
        let all = runtime.modules_in(&cache.0, &SOURCES).unwrap();
        assert_eq!(&*all[0], b"FOR1\0\0\0\x08BEAMcode");
        for damaged in [&b"FOR1\0\0\0\x08BEAMco"[..], b"FOR1\0", b"", b"FOR2\0\0\0\x08BEAMcode"] {
            put(damaged);
            assert!(runtime.modules_in(&cache.0, &SOURCES).is_err(), "{damaged:?}");
        }
    }
}
