//! The runtime as it is found and used.

use std::path::Path;

use fuzz_dist::provision::{ProvisionError, Runtime};

use super::support::{Folder, runtime};

#[test]
fn a_runtime_reports_its_versions() {
    let runtime = runtime();
    assert!(runtime.otp_release >= 23, "{runtime:?}");
    assert!(runtime.otp_version.starts_with(&runtime.otp_release.to_string()), "{runtime:?}");
    assert!(runtime.has_application("mnesia"));
    assert!(!runtime.has_application("mnesi"));
}

/// Newer compilers warn of what will be gone one day: here, before users' nodes refuse it.
#[test]
fn what_goes_into_nodes_compiles_without_warnings() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/agent");
    let entries = std::fs::read_dir(folder).unwrap();
    let sources: Vec<_> =
        entries.map(|entry| entry.unwrap().path().to_string_lossy().into_owned()).collect();
    assert!(sources.iter().any(|source| source.ends_with("/fuzz_dist_agent.erl")), "{sources:?}");
    let program = "Warned = [F || F <- init:get_plain_arguments(), \
        not is_tuple(compile:file(F, [report, warnings_as_errors, strong_validation]))], \
        halt(length(Warned)).";
    let arguments = ["-noshell", "-eval", program, "-extra"].map(String::from);
    let command = runtime().erl(arguments.into_iter().chain(sources));
    let output = command.to_command().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_folder_without_runtime_is_explained() {
    let error = Runtime::at("/no/such/folder").unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("no Erlang runtime in /no/such/folder: releases/start_erl.data"),
        "{text}"
    );
}

#[test]
fn compile_errors_come_with_the_compilers_text() {
    let folder = Folder::new("compile");
    let source = folder.path().join("broken.erl");
    std::fs::write(&source, "-module(broken).\nf() -> X.\n").unwrap();
    let error = runtime().compile(&[&source], folder.path()).unwrap_err();
    assert!(matches!(error, ProvisionError::Compile { .. }), "{error}");
    assert!(error.to_string().contains("variable 'X' is unbound"), "{error}");
    let error = runtime().compile(&[Path::new("/no/such.erl")], folder.path()).unwrap_err();
    assert!(error.to_string().contains("no such file"), "{error}");
}
