//! The rules of the code that no compiler checks: layers, file sizes, the home of `unsafe`,
//! what the pure layers must not touch, what is compiled of the documentation, and formatting.

#[path = "tidy/public.rs"]
mod public;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The layers of `fuzz_dist`, lowest first. A module uses only modules of lower layers, or earlier ones
/// of its own; ARCHITECTURE.md says what each is for. Between crates Cargo checks the order.
const LAYERS: [(&str, &[&str]); 7] = [
    ("words", &["error"]),
    ("pure", &["grudge", "generator"]),
    ("reach", &["node", "runtime", "beam", "provision", "erlang", "places"]),
    ("parts", &["client", "db", "nemesis", "workload", "antidote", "embedded"]),
    ("run", &["store", "interpreter", "run"]),
    ("show", &["report"]),
    ("shell", &["registry", "harness", "prelude", "keys"]),
];

/// The folders whose code does no I/O and reads no clock.
const PURE: [&str; 5] = [
    "crates/random/src",
    "crates/history/src/op",
    "crates/checkers/src",
    "fuzz_dist/src/grudge",
    "fuzz_dist/src/generator",
];

/// Where time and waits come from a run's clock alone.
const ON_THE_CLOCK: [&str; 7] = [
    "fuzz_dist/src",
    "crates/antidote/src",
    "crates/beam/src",
    "crates/clock/src",
    "crates/env/src",
    "crates/history/src",
    "crates/lab/src",
];

/// What else would give time or waits.
const OTHER_CLOCKS: [&str; 6] = [
    "Instant::now",
    "SystemTime::now",
    "tokio::time",
    "thread::sleep",
    "clock_gettime",
    "Clock::system",
];

/// Who uses these all the same, and why.
const OFF_THE_CLOCK: &[(&str, &str)] = &[
    ("crates/clock/src/", "it is the clock"),
    ("crates/antidote/src/client.rs", "a client's clock unless it is given another"),
    ("crates/beam/src/options.rs", "a connection's clock unless it is given another"),
    ("crates/history/src/disk.rs", "whether a disk of the machine keeps up"),
    ("crates/lab/src/start.rs", "a lab's clock unless it is given another"),
    ("crates/env/src/provider.rs", "an environment's clock unless it is given another"),
    (
        "crates/lab/src/control.rs",
        "agents of hosts are processes of the machine, and answer in its time",
    ),
    ("crates/lab/src/lib.rs", "the end of a lab awaits processes of the machine"),
    ("fuzz_dist/src/error.rs", "errors of tokio's time-outs, which tests may use"),
    ("fuzz_dist/src/harness/", "it makes the clock, and watches a run from outside of its runtime"),
    ("fuzz_dist/src/provision/", "it fetches and compiles before a run begins"),
    ("fuzz_dist/src/report/", "it sends reports after a run"),
    ("fuzz_dist/src/embedded/server.rs", "the system under test, a process of its own"),
    ("fuzz_dist/src/run/judge.rs", "checkers compute on threads and in processes of the machine"),
    ("fuzz_dist/src/run/pace.rs", "whether the machine is overloaded is counted in its time"),
    ("fuzz_dist/src/run/session.rs", "set-up and queue have limits in the machine's time"),
    ("fuzz_dist/src/run/waiting.rs", "how long the kernel lets threads wait"),
];

/// Longer files have more than one subject.
const LINES_MAX: usize = 500;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `folder` with this extension, with their text.
fn files(folder: &Path, extension: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries.map(|e| e.expect("a readable folder").path()) {
        if entry.is_dir() && !entry.ends_with("target") && !entry.ends_with(".git") {
            found.extend(files(&entry, extension));
        } else if entry.extension().is_some_and(|e| e == extension) {
            let text = fs::read_to_string(&entry).expect("source files are UTF-8");
            found.push((entry, text));
        }
    }
    found.sort();
    found
}

fn rust_files() -> Vec<(PathBuf, String)> {
    let files = files(&root(), "rs");
    assert!(files.len() > 20, "the sources were not found");
    files
}

/// The module of the library that a file belongs to: `checker` for `src/checker/set.rs`.
fn module_of(file: &Path) -> Option<String> {
    let inside = file.strip_prefix(root().join("fuzz_dist/src")).ok()?;
    let first = inside.components().next()?.as_os_str().to_str()?;
    Some(first.trim_end_matches(".rs").to_string()).filter(|m| m != "lib")
}

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().flat_map(|(_, modules)| *modules).position(|m| *m == module)
}

/// The modules that a line of code names as `crate::module`.
fn uses(line: &str) -> Vec<&str> {
    let code = line.split("//").next().unwrap_or("");
    code.match_indices("crate::")
        .filter(|(at, _)| !code[..*at].ends_with('$'))
        .map(|(at, word)| {
            let rest = &code[at + word.len()..];
            &rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())]
        })
        .filter(|module| rank(module).is_some())
        .collect()
}

#[test]
fn modules_use_only_lower_layers() {
    let mut wrong = Vec::new();
    for (file, text) in rust_files() {
        let Some(module) = module_of(&file) else { continue };
        let Some(mine) = rank(&module) else {
            panic!("{} is in no layer; add `{module}` to LAYERS", file.display());
        };
        // Tests may reach for whatever helps them.
        if file.ends_with("tests.rs") || file.components().any(|c| c.as_os_str() == "tests") {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
        for (n, line) in code.lines().enumerate() {
            for used in uses(line) {
                if rank(used).is_some_and(|theirs| theirs > mine) {
                    wrong.push(format!("{}:{}: `{module}` uses `{used}`", file.display(), n + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "modules of higher layers are used:\n{}", wrong.join("\n"));
}

/// The lab is one place among others: the library names it where it is registered, and nowhere else.
#[test]
fn only_its_registration_names_the_lab() {
    let library = root().join("fuzz_dist/src");
    let mut wrong = Vec::new();
    for (file, text) in rust_files() {
        let named_there = ["lib.rs", "places.rs"].iter().any(|name| file == library.join(name));
        if !file.starts_with(&library) || named_there {
            continue;
        }
        for (n, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            if code.contains("fuzz_dist_lab") || code.contains("crate::lab") {
                wrong.push(format!("{}:{}", file.display(), n + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "the lab is a provider, and is named:\n{}", wrong.join("\n"));
}

/// Places and the run path know no runtime system: the BEAM attaches through `runtime::Runtime`.
#[test]
fn only_its_extension_knows_the_beam() {
    const APART: [&str; 7] = [
        "crates/env/src",
        "crates/lab/src",
        "fuzz_dist/src/node",
        "fuzz_dist/src/runtime.rs",
        "fuzz_dist/src/interpreter",
        "fuzz_dist/src/run",
        "fuzz_dist/src/store",
    ];
    const WORDS: [&str; 4] = ["beam", "erlang", "epmd", "erl_"];
    let mut wrong = Vec::new();
    for (file, text) in rust_files() {
        let tests =
            file.ends_with("tests.rs") || file.components().any(|c| c.as_os_str() == "tests");
        if tests || !APART.iter().any(|folder| file.starts_with(root().join(folder))) {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
        for (n, line) in code.lines().enumerate() {
            let code = line.split("//").next().unwrap_or("").to_lowercase();
            if let Some(word) = WORDS.iter().find(|word| code.contains(**word)) {
                wrong.push(format!("{}:{}: {word}", file.display(), n + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "the BEAM attaches through `Runtime` alone:\n{}", wrong.join("\n"));
}

#[test]
fn pure_layers_touch_nothing_outside() {
    const FORBIDDEN: [&str; 7] =
        ["tokio", "std::fs", "std::net", "std::process", "Instant", "SystemTime", "std::env"];
    let mut wrong = Vec::new();
    for (file, text) in rust_files() {
        let tests =
            file.ends_with("tests.rs") || file.components().any(|c| c.as_os_str() == "tests");
        if tests || !PURE.iter().any(|folder| file.starts_with(root().join(folder))) {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or("");
        for (n, line) in code.lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            if let Some(word) = FORBIDDEN.iter().find(|w| code.contains(**w)) {
                wrong.push(format!("{}:{}: {word}", file.display(), n + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "pure layers do no I/O and know no clock:\n{}", wrong.join("\n"));
}

#[test]
fn a_run_takes_time_and_waits_from_its_clock() {
    let mut wrong = Vec::new();
    let mut used = [false; OFF_THE_CLOCK.len()];
    for (file, text) in rust_files() {
        let file = file.strip_prefix(root()).expect("a file of this repository");
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let tests =
            name.ends_with("tests.rs") || file.components().any(|c| c.as_os_str() == "tests");
        if tests || !ON_THE_CLOCK.iter().any(|folder| file.starts_with(folder)) {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
        for (n, line) in code.lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            let Some(word) = OTHER_CLOCKS.iter().find(|w| code.contains(**w)) else { continue };
            let path = file.to_str().expect("names are UTF-8");
            match OFF_THE_CLOCK.iter().position(|(place, _)| path.starts_with(place)) {
                Some(exception) => used[exception] = true,
                None => wrong.push(format!("{path}:{}: {word}", n + 1)),
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "take time and waits from the run's clock (`Cluster::clock`, `Node::clock`), or add the file with its \
         reason to OFF_THE_CLOCK:\n{}",
        wrong.join("\n")
    );
    let unused = OFF_THE_CLOCK.iter().zip(used).filter(|(_, used)| !used);
    let unused: Vec<&str> = unused.map(|((place, _), _)| *place).collect();
    assert!(unused.is_empty(), "OFF_THE_CLOCK names what needs no exception: {unused:?}");
}

/// The homes of `unsafe`, and why.
const UNSAFE: [(&str, &str); 3] = [
    ("crates/sys", "system calls that no crate wraps"),
    ("crates/time/preload", "a library of its own, which replaces functions of the C library"),
    ("crates/time/src/shared.rs", "a page of memory that other processes write to"),
];

#[test]
fn unsafe_stays_at_home() {
    let mut wrong = Vec::new();
    for (file, text) in rust_files() {
        let home = UNSAFE.iter().any(|(home, _)| file.starts_with(root().join(home)));
        if home || file.ends_with("tidy.rs") {
            continue;
        }
        for (n, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            if ["unsafe {", "unsafe fn", "unsafe impl", "allow(unsafe_code)"]
                .iter()
                .any(|w| code.contains(w))
            {
                wrong.push(format!("{}:{}", file.display(), n + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "`unsafe` belongs into its homes alone:\n{}", wrong.join("\n"));
}

#[test]
fn files_have_one_subject_and_say_which() {
    let mut wrong = Vec::new();
    for (file, text) in rust_files() {
        if file.components().any(|c| c.as_os_str() == "ui") {
            continue;
        }
        if text.lines().count() > LINES_MAX {
            wrong.push(format!("{}: {} lines", file.display(), text.lines().count()));
        }
        if !text.starts_with("//! ") {
            wrong.push(format!("{}: does not begin by saying what it is for", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn architecture_names_every_module() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let library = fs::read_dir(root().join("fuzz_dist/src")).expect("the library's sources");
    for entry in library.map(|e| e.expect("a readable folder").path()) {
        let Some(module) = module_of(&entry) else { continue };
        assert!(text.contains(&format!("`{module}`")), "ARCHITECTURE.md does not name `{module}`");
    }
    for folder in fs::read_dir(root().join("crates")).expect("the crates") {
        let name = folder.expect("a readable folder").file_name();
        let name = format!("`crates/{}`", name.display());
        assert!(text.contains(&name), "ARCHITECTURE.md does not name {name}");
    }
}

/// The folders of all crates that are published, but for the macros, whose items are in the tables of their pages.
fn crates() -> Vec<PathBuf> {
    let folders = fs::read_dir(root().join("crates")).expect("a readable folder");
    let mut all: Vec<PathBuf> = folders.map(|e| e.expect("a readable folder").path()).collect();
    all.push(root().join("fuzz_dist"));
    all.sort();
    all
}

#[test]
fn public_items_are_known() {
    for folder in crates() {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let items: Vec<String> = public::items(&folder).into_iter().collect();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("tidy/public");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name, items.join("\n")));
    }
}

/// A crate has a page of its own, with the licences, so that it can be published.
#[test]
fn every_crate_has_a_page_and_its_licences() {
    // The page of fuzz_dist is the repository's.
    let mut crates = vec![root().join("fuzz_dist_macros")];
    let folders = fs::read_dir(root().join("crates")).expect("the crates");
    crates.extend(folders.map(|folder| folder.expect("a readable folder").path()));
    for folder in crates {
        for file in ["README.md", "LICENSE-APACHE", "LICENSE-MIT"] {
            let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
            assert!(!text.trim().is_empty(), "{} has no {file}", folder.display());
        }
    }
}

#[test]
fn the_code_of_all_pages_is_compiled() {
    let library = fs::read_to_string(root().join("docs/lib.rs")).expect("a file");
    let pages = files(&root(), "md");
    assert!(pages.len() > 5, "the pages were not found");
    for (page, _) in pages.iter().filter(|(_, text)| text.contains("```rust")) {
        let folder = page.parent().expect("a file is in a folder");
        let own = fs::read_to_string(folder.join("src/lib.rs")).unwrap_or_default();
        let page = page.strip_prefix(root()).expect("a file of this repository");
        let named = library.contains(&format!("\"{}\"", page.display()))
            || own.contains("include_str!(\"../README.md\")");
        assert!(
            named,
            "{} has Rust code that neither docs/lib.rs nor its crate has compiled",
            page.display()
        );
    }
}

/// Each invariant of ARCHITECTURE.md names a test: a function, or a file of tests.
#[test]
fn every_invariant_names_a_test_that_exists() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let (_, section) = text.split_once("\n## Invariants\n").expect("the invariants");
    let section = section.split("\n## ").next().expect("a section");
    let sources = rust_files();
    let is_test = |name: &str| match name.ends_with(".rs") {
        true => name.contains("tests/") && sources.iter().any(|(file, _)| file.ends_with(name)),
        false => sources.iter().any(|(_, text)| text.contains(&format!("fn {name}("))),
    };
    let mut wrong = Vec::new();
    let invariants = section.split("\n- **").skip(1);
    for invariant in invariants.clone() {
        // Names of tests are longer than those of anything else that stands in backticks.
        let quoted: Vec<&str> = invariant.split('`').skip(1).step_by(2).collect();
        let named = |name: &&str| name.matches('_').count() >= 2 || name.contains("tests/");
        let named: Vec<&str> = quoted.into_iter().filter(named).collect();
        if named.is_empty() {
            wrong.push(format!("no test: {invariant}"));
        }
        let lost = named.into_iter().filter(|name| !is_test(name));
        wrong.extend(lost.map(|name| format!("`{name}` does not exist")));
    }
    assert!(invariants.count() > 20, "the invariants were not found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What README shows of an application and its test is what `examples/cart` runs.
#[test]
fn the_application_of_readme_is_the_example() {
    let read = |file: &str| fs::read_to_string(root().join(file)).expect("a readable file");
    let readme = read("README.md");
    let application = read("examples/cart/cart.erl");
    let example = read("examples/cart.rs").replace("examples/cart/cart.erl", "src/cart.erl");
    let (_, test) = example.split_once("\n\n").expect("a first paragraph");
    for (language, code) in [("erlang", application.as_str()), ("rust,no_run", test)] {
        let block = format!("```{language}\n{code}```");
        assert!(readme.contains(&block), "README.md does not show:\n{block}");
    }
}

#[test]
fn readme_has_the_tables_of_options() {
    let read = |file: &str| fs::read_to_string(root().join(file)).expect("a readable file");
    let (page, readme) = (read("fuzz_dist_macros/src/options.md"), read("README.md"));
    for table in page.split("\n\n") {
        assert!(readme.contains(table.trim()), "README.md lacks this table as it is:\n{table}");
    }
}

#[test]
fn the_code_is_formatted() {
    let output = Command::new(env!("CARGO"))
        .args(["fmt", "--all", "--check"])
        .current_dir(root())
        .output()
        .expect("cargo fmt starts");
    assert!(
        output.status.success(),
        "run `cargo fmt --all`:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
