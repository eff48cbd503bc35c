//! `init`: the crate that is written beside an application.

#[allow(dead_code, reason = "it is shared with other targets")]
mod program;

use std::fs;

use program::{VALID, WRONG, run};

fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

#[test]
fn a_crate_is_written_beside_a_mix_project() {
    let folder = project(&[("mix.exs", "[app: :shop, version: \"0.1.0\"]")]);
    let path = folder.path().display().to_string();
    let ended = run(&format!("init {path}"), "");
    assert_eq!(ended.code, VALID, "{}", ended.err);
    assert!(
        ended.out.ends_with(&format!("next: cd {path}/cluster_tests && cargo test\n")),
        "{}",
        ended.out
    );
    let read = |file: &str| fs::read_to_string(folder.path().join(file)).unwrap();
    let cluster = read("cluster_tests/tests/cluster.rs");
    assert!(cluster.contains("Release::at(\"../_build/prod/rel/shop\")"), "{cluster}");
    assert!(cluster.contains(".build(\"mix release --overwrite --quiet\")"), "{cluster}");
    assert!(read("cluster_tests/Cargo.toml").contains("fuzz_dist = \"0.1\"\n"));
    assert_eq!(read("cluster_tests/.gitignore"), "/target/\n");
    assert!(read(".github/workflows/cluster_tests.yml").contains("elixir-version"));

    // What is there is not written over, and nothing beside it.
    fs::remove_dir_all(folder.path().join("cluster_tests")).unwrap();
    let again = run(&format!("init {path}"), "");
    assert_eq!(again.code, WRONG);
    assert!(
        again.err.contains("cluster_tests.yml is there already; nothing was written"),
        "{}",
        again.err
    );
    assert!(!folder.path().join("cluster_tests").exists());
}

#[test]
fn a_checkout_can_be_named() {
    let folder = project(&[("rebar.config", "{relx, [{release, {ledger, \"1\"}, []}]}.")]);
    let fuzz_dist = concat!(env!("CARGO_MANIFEST_DIR"), "/../checkers");
    let ended = run(&format!("init {} --path {fuzz_dist}", folder.path().display()), "");
    assert_eq!(ended.code, VALID, "{}", ended.err);
    let manifest = fs::read_to_string(folder.path().join("cluster_tests/Cargo.toml")).unwrap();
    assert!(manifest.contains("fuzz_dist = { path = \"/"), "{manifest}");
    let cluster = fs::read_to_string(folder.path().join("cluster_tests/tests/cluster.rs")).unwrap();
    assert!(cluster.contains(".build(\"rebar3 release\")"), "{cluster}");
}

#[test]
fn what_is_no_project_is_refused() {
    let folder = project(&[]);
    let path = folder.path().display();
    let ended = run(&format!("init {path}"), "");
    assert_eq!(ended.code, WRONG);
    assert!(ended.err.contains("has neither a mix.exs nor a rebar.config"), "{}", ended.err);
    let folder = project(&[("mix.exs", "[app: :shop]")]);
    let ended = run(&format!("init {} --path /nonexistent", folder.path().display()), "");
    assert_eq!(ended.code, WRONG);
    assert!(ended.err.contains("there is no folder /nonexistent (--path)"), "{}", ended.err);
    assert!(!folder.path().join("cluster_tests").exists());
}
