//! Erlang sources compiled on the spot, with the compiler of the runtime that will run them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::cache::create_folder;
use super::command;
use super::erlang::Runtime;
use super::error::ProvisionError;

const COMPILE_LIMIT: Duration = Duration::from_secs(60);

/// Compiles every file that is named after the folder for the results; the exit status tells.
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
}
