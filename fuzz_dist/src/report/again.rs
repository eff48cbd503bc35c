//! The command that runs the same schedule again, from the folder in which the user is.

use std::path::Path;

use crate::random::Seed;

/// What of the process says how it was started.
struct Started {
    exe: String,
    /// The words after the program's name.
    arguments: Vec<String>,
    /// Variables that cargo and the user have set.
    variables: Vec<(String, String)>,
}

/// The seed has its own place; the others change nothing in a trial that runs.
const LEFT_OUT: [&str; 4] =
    ["FUZZ_DIST_SEED", "FUZZ_DIST_MISSING", "FUZZ_DIST_VERBOSE", "FUZZ_DIST_WAIT_LIMIT"];

/// The command for a trial of this process.
pub(super) fn again(seed: Seed, trial: &str) -> String {
    let exe = std::env::current_exe().unwrap_or_default();
    let mut variables: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    variables.sort();
    let started = Started {
        exe: exe.to_string_lossy().into_owned(),
        arguments: std::env::args().skip(1).collect(),
        variables,
    };
    started.command(seed, trial)
}

impl Started {
    fn command(&self, seed: Seed, trial: &str) -> String {
        let mut words = vec![format!("FUZZ_DIST_SEED={seed}")];
        let said = self.variables.iter().filter(|(name, value)| {
            name.starts_with("FUZZ_DIST_") && !LEFT_OUT.contains(&&**name) && !value.is_empty()
        });
        words.extend(said.map(|(name, value)| format!("{name}={}", quoted(value))));
        words.extend(self.program());
        words.extend(["--exact".into(), quoted(trial)]);
        let ignored = ["--ignored", "--include-ignored"];
        words.extend(self.arguments.iter().filter(|a| ignored.contains(&a.as_str())).cloned());
        words.join(" ")
    }

    /// How cargo builds and starts the program; the program itself where cargo did not start it.
    fn program(&self) -> Vec<String> {
        // The kernel says so of a program that was built anew meanwhile.
        let exe = self.exe.strip_suffix(" (deleted)").unwrap_or(&self.exe);
        let package = self.variables.iter().find(|(name, _)| name == "CARGO_PKG_NAME");
        let cargo = package.and_then(|(_, package)| cargo(Path::new(exe), package));
        cargo.unwrap_or_else(|| vec![quoted(exe)])
    }
}

/// `cargo test -p shop --test cluster --release --` for `target/release/deps/cluster-<hash>`.
fn cargo(exe: &Path, package: &str) -> Option<Vec<String>> {
    let file = exe.file_name()?.to_str()?;
    // cargo puts a hash of 16 digits behind the names of tests, and none behind those of programs.
    let (name, test) = match file.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            (name, true)
        }
        _ => (file, false),
    };
    let folder = exe.parent()?;
    let (profile, kind) = match folder.file_name()?.to_str()? {
        "deps" => (folder.parent()?, "--test"),
        "examples" => (folder.parent()?, "--example"),
        _ => (folder, "--bin"),
    };
    let subcommand = if test { "test" } else { "run" };
    let mut words: Vec<String> =
        ["cargo", subcommand, "-p", package, kind, name].map(String::from).into();
    match profile.file_name()?.to_str()? {
        "debug" => {}
        "release" => words.push("--release".into()),
        other => words.extend(["--profile".into(), other.into()]),
    }
    // target/<triple>/<profile> where a target was named
    let above = profile.parent()?.file_name()?.to_str()?;
    if above.split('-').count() >= 3 && above.contains("linux") {
        words.extend(["--target".into(), above.into()]);
    }
    words.push("--".into());
    Some(words)
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,@%+".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.into(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(exe: &str, arguments: &str, variables: &[(&str, &str)], expected: &str) {
        let started = Started {
            exe: exe.into(),
            arguments: arguments.split_whitespace().map(String::from).collect(),
            variables: variables.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect(),
        };
        assert_eq!(started.command(Seed(7), "sets::adds"), expected);
    }

    const PACKAGE: &[(&str, &str)] = &[("CARGO_PKG_NAME", "shop")];

    #[test]
    fn the_command_builds_what_was_built() {
        check(
            "/x/target/debug/deps/cluster-0123456789abcdef",
            "",
            PACKAGE,
            "FUZZ_DIST_SEED=7 cargo test -p shop --test cluster -- --exact sets::adds",
        );
        check(
            "/x/target/release/deps/my-cluster-0123456789abcdef (deleted)",
            "sets --ignored",
            PACKAGE,
            "FUZZ_DIST_SEED=7 cargo test -p shop --test my-cluster --release -- --exact sets::adds --ignored",
        );
        check(
            "/x/target/release/examples/mnesia_set",
            "",
            PACKAGE,
            "FUZZ_DIST_SEED=7 cargo run -p shop --example mnesia_set --release -- --exact sets::adds",
        );
        check(
            "/x/target/x86_64-unknown-linux-gnu/ci/examples/set-0123456789abcdef",
            "",
            PACKAGE,
            "FUZZ_DIST_SEED=7 cargo test -p shop --example set --profile ci --target x86_64-unknown-linux-gnu -- --exact sets::adds",
        );
    }

    #[test]
    fn what_the_user_has_set_is_set_again() {
        let variables = [
            ("CARGO_PKG_NAME", "shop"),
            ("FUZZ_DIST_ERLANG", "/opt/my erlang"),
            ("FUZZ_DIST_MISSING", "ignore"),
            ("FUZZ_DIST_RATE", "50"),
            ("FUZZ_DIST_SEED", "1"),
            ("HOME", "/root"),
        ];
        check(
            "/x/target/debug/deps/cluster-0123456789abcdef",
            "",
            &variables,
            "FUZZ_DIST_SEED=7 FUZZ_DIST_ERLANG='/opt/my erlang' FUZZ_DIST_RATE=50 cargo test -p shop --test cluster -- --exact sets::adds",
        );
    }

    #[test]
    fn a_program_that_cargo_did_not_start_is_started_itself() {
        check("/x/cluster", "", &[], "FUZZ_DIST_SEED=7 /x/cluster --exact sets::adds");
    }
}
