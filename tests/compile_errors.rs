//! What the compiler says about wrong attributes, types and targets, and where.
//!
//! The messages of the attributes themselves are tried on token streams inside of their crate;
//! here it is what only a compiler finds. The files of `must_not_compile` are targets of this
//! package, so that everything they need is built already.

use fuzz_dist::insta::assert_snapshot;
use std::path::Path;
use std::process::Command;

/// The compiler whose words the snapshots have: they change from version to version.
const PINNED: &str = "rustc 1.95.";

/// The errors of a target, a line for each: `file:line:column: error: message`.
fn errors(target: &str) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // No package is selected, or other features of dependencies would build them anew.
    command.args(["test", "--no-run", "--offline", "--quiet", "--message-format", "short"]);
    command.args(["--features", "fuzz_dist_suite/must_not_compile", "--test", target]);
    let program = std::env::current_exe().expect("this program");
    if program.components().any(|part| part.as_os_str() == "release") {
        command.arg("--release");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = command.current_dir(root).output().expect("cargo starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "`{target}` compiles:\n{text}");
    let mine = text.lines().filter(|line| line.starts_with("tests/must_not_compile/"));
    let errors: String = mine.map(|line| format!("{line}\n")).collect();
    assert!(
        !errors.is_empty(),
        "`{target}` does not compile, but for no error of its own:\n{text}"
    );
    errors
}

/// Whether the compiler is the one whose words are kept; says so if not.
fn pinned() -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().expect("rustc starts");
    let version = String::from_utf8_lossy(&output.stdout);
    let pinned = version.starts_with(PINNED);
    if !pinned {
        eprintln!("messages are compared under {PINNED} only, and this is {}", version.trim());
    }
    pinned
}

#[test]
fn a_forgotten_harness_is_no_silent_pass() {
    assert_snapshot!(errors("forgotten_harness"));
}

#[test]
fn mistakes_in_attributes_come_all_at_once_and_alone() {
    assert_snapshot!(errors("wrong_attributes"));
}

#[test]
fn wrong_types_are_reported_where_they_stand() {
    let errors = errors("wrong_types");
    if pinned() {
        assert_snapshot!(errors);
    }
}
