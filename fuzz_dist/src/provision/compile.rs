//! Erlang sources compiled on the spot, with the compiler of the runtime that will run them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::cache::create_folder;
use super::command;
use super::erlang::Runtime;
use super::error::{ProvisionError, io_error};

const COMPILE_LIMIT: Duration = Duration::from_secs(60);

/// Compiles every file that is named after the folder for the results; the exit status says whether it worked.
const PROGRAM: &str = "[Out | Files] = init:get_plain_arguments(), \
    Results = [compile:file(F, [report, debug_info, {outdir, Out}]) || F <- Files], \
    halt(length([E || E <- Results, not is_tuple(E)])).";

impl Runtime {
    /// Compiles Erlang sources into a folder, and gives the compiled files in the same order.
    ///
    /// Warnings are not errors; errors come with the compiler's text.
    pub fn compile(
        &self,
        sources: &[impl AsRef<Path>],
        out: &Path,
    ) -> Result<Vec<PathBuf>, ProvisionError> {
        create_folder(out)?;
        let names: Vec<String> =
            sources.iter().map(|source| source.as_ref().to_string_lossy().into_owned()).collect();
        let mut args: Vec<String> =
            ["-noshell", "-mode", "minimal", "-boot", "no_dot_erlang", "-eval", PROGRAM, "-extra"]
                .map(String::from)
                .into();
        args.push(out.to_string_lossy().into_owned());
        args.extend(names.iter().cloned());
        let mut command = self.erl(args).to_command();
        command.env("HOME", "/").env("ERL_CRASH_DUMP_SECONDS", "0");
        let finished = command::run(command, Stdio::null(), COMPILE_LIMIT)?;
        if !finished.status.success() {
            return Err(ProvisionError::Compile {
                sources: names.join(", "),
                output: finished.output,
            });
        }
        let compiled = |source: &String| {
            let module =
                Path::new(source).file_stem().unwrap_or_default().to_string_lossy().into_owned();
            out.join(format!("{module}.beam"))
        };
        Ok(names.iter().map(compiled).collect())
    }
    /// The same; what this process has compiled already is written again. A header that changes while
    /// the process runs does not count.
    pub(crate) fn compile_once(
        &self,
        sources: &[impl AsRef<Path>],
        out: &Path,
    ) -> Result<(), ProvisionError> {
        static COMPILED: Mutex<Compiled> = Mutex::new(BTreeMap::new());
        create_folder(out)?;
        // Locked while the compiler runs: trials that start together want the same modules.
        let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        write(&mut compiled, key(&self.root, sources), out, || self.compile(sources, out))
    }
}

/// Compiled files by what they were made of.
type Compiled = BTreeMap<Key, Vec<(OsString, Vec<u8>)>>;

/// The runtime, and each source as it was when it was compiled.
type Key = (PathBuf, Vec<(PathBuf, u64, SystemTime)>);

/// `None` where a source cannot be read: the compiler says so in its own words.
fn key(root: &Path, sources: &[impl AsRef<Path>]) -> Option<Key> {
    let state = |source: &Path| {
        let metadata = fs::metadata(source).ok()?;
        Some((source.to_owned(), metadata.len(), metadata.modified().ok()?))
    };
    let sources: Option<Vec<_>> = sources.iter().map(|source| state(source.as_ref())).collect();
    Some((root.to_owned(), sources?))
}

/// Puts compiled files into `out`, by `compile` where they are not known.
fn write(
    compiled: &mut Compiled,
    key: Option<Key>,
    out: &Path,
    compile: impl FnOnce() -> Result<Vec<PathBuf>, ProvisionError>,
) -> Result<(), ProvisionError> {
    if let Some(known) = key.as_ref().and_then(|key| compiled.get(key)) {
        for (name, bytes) in known {
            let file = out.join(name);
            fs::write(&file, bytes).map_err(io_error("write", &file))?;
        }
        return Ok(());
    }
    let files = compile()?;
    let read = |file: &PathBuf| {
        let bytes = fs::read(file).map_err(io_error("read", file))?;
        Ok((file.file_name().unwrap_or_default().to_owned(), bytes))
    };
    if let Some(key) = key {
        let files: Result<_, ProvisionError> = files.iter().map(read).collect();
        compiled.insert(key, files?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::cache::Private;
    use super::*;

    /// How many sources are compiled when these calls follow each other: each writes `text` into the
    /// source and asks for its compiled form.
    fn compilations(texts: &[&str]) -> usize {
        let folder = Private::folder().unwrap();
        let source = folder.0.join("a.erl");
        let mut compiled = Compiled::new();
        let mut count = 0;
        for (i, text) in texts.iter().enumerate() {
            let out = folder.0.join(i.to_string());
            fs::create_dir(&out).unwrap();
            if fs::read(&source).ok().as_deref() != Some(text.as_bytes()) {
                fs::write(&source, text).unwrap();
            }
            let compile = || {
                count += 1;
                let file = out.join("a.beam");
                fs::copy(&source, &file).map_err(io_error("copy", &source))?;
                Ok(vec![file])
            };
            write(&mut compiled, key(Path::new("/erlang"), &[&source]), &out, compile).unwrap();
            assert_eq!(fs::read_to_string(out.join("a.beam")).unwrap(), *text);
        }
        count
    }

    #[test]
    fn a_process_compiles_a_source_once_and_a_changed_one_again() {
        assert_eq!(compilations(&["-module(a).", "-module(a)."]), 1);
        assert_eq!(compilations(&["-module(a).", "-module(a). %", "-module(a). %"]), 2);
    }

    #[test]
    fn what_did_not_compile_is_not_remembered() {
        let folder = Private::folder().unwrap();
        let source = folder.0.join("a.erl");
        fs::write(&source, "-module(a).").unwrap();
        let mut compiled = Compiled::new();
        let refused = || Err(ProvisionError::Compile { sources: "a".into(), output: "?".into() });
        for _ in 0..2 {
            let key = key(Path::new("/erlang"), &[&source]);
            assert!(write(&mut compiled, key, &folder.0, refused).is_err());
        }
    }
}
