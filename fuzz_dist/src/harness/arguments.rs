//! libtest's command line, as far as libtest-mimic does not know it.

use crate::run::overrides::Overrides;
use libtest_mimic::{Arguments, Trial};

/// What the command line and the environment say about running trials.
pub(super) struct HarnessArguments {
    /// The arguments of libtest-mimic.
    pub(super) mimic: Arguments,
    /// All filters: libtest takes several, libtest-mimic one.
    filters: Vec<String>,
    /// Whether trials after the first failure are left out.
    pub(super) fail_fast: bool,
}

impl HarnessArguments {
    /// Leaves the trials that some filter selects.
    pub(super) fn retain(&self, trials: &mut Vec<Trial>) {
        // With up to one filter libtest-mimic does it, and counts what it filtered out.
        if self.filters.len() > 1 {
            trials.retain(|trial| self.selects(trial.name()));
        }
    }

    fn selects(&self, name: &str) -> bool {
        self.filters.iter().any(|filter| match self.mimic.exact {
            true => name == filter,
            false => name.contains(filter.as_str()),
        })
    }

    /// Whether ignored trials run, too.
    pub(super) fn runs_ignored(&self) -> bool {
        self.mimic.ignored || self.mimic.include_ignored
    }
}

/// Reads an argument vector, the program's name first.
///
/// What neither harness knows ends the process with code 2, as in libtest.
pub(super) fn read(argv: Vec<String>) -> HarnessArguments {
    let Split { kept, filters, fail_fast } = split(argv);
    if kept.iter().any(|word| matches!(word.as_str(), "--help" | "-h")) {
        println!("Variables of the environment:\n{}", Overrides::help());
    }
    let mut mimic = Arguments::from_iter(kept);
    if mimic.test_threads.is_none() {
        let variable = std::env::var("RUST_TEST_THREADS").ok();
        let threads = variable.and_then(|n| n.parse().ok()).filter(|n| *n > 0);
        mimic.test_threads = Some(threads.unwrap_or_else(crate::run::slots));
    }
    HarnessArguments { mimic, filters, fail_fast }
}

struct Split {
    kept: Vec<String>,
    filters: Vec<String>,
    fail_fast: bool,
}

/// Flags that libtest-mimic knows and that take the next word as their value.
const VALUED: &[&str] = &["--skip", "--test-threads", "--color", "--format", "--logfile", "-Z"];

/// Flags of libtest that have no meaning here: there is no capture, no order and no time report.
const DROPPED: &[&str] = &[
    "--exclude-should-panic",
    "--force-run-in-process",
    "--report-time",
    "--ensure-time",
    "--shuffle",
];

fn split(argv: Vec<String>) -> Split {
    let mut split = Split { kept: Vec::new(), filters: Vec::new(), fail_fast: false };
    let mut words = argv.into_iter();
    split.kept.extend(words.next());
    while let Some(word) = words.next() {
        match word.as_str() {
            "--no-capture" => split.kept.push("--nocapture".into()),
            "--fail-fast" => split.fail_fast = true,
            "--shuffle-seed" => drop(words.next()),
            w if w.starts_with("--shuffle-seed=") || w.starts_with("--report-time=") => {}
            w if DROPPED.contains(&w) => {}
            w if VALUED.contains(&w) => {
                split.kept.push(word);
                split.kept.extend(words.next());
            }
            "--" => split.filters.extend(words.by_ref()),
            w if w.starts_with('-') => split.kept.push(word),
            _ => split.filters.push(word),
        }
    }
    if let [only] = split.filters.as_slice() {
        // Behind `--`, so that a filter may begin with a dash.
        split.kept.extend(["--".into(), only.clone()]);
    }
    split
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(line: &str) -> Vec<String> {
        std::iter::once("program").chain(line.split_whitespace()).map(String::from).collect()
    }

    #[test]
    fn what_libtest_takes_is_taken() {
        let check = |line: &str, kept: &str, filters: &[&str]| {
            let split = split(argv(line));
            assert_eq!(split.kept, argv(kept), "{line}");
            assert_eq!(split.filters, filters, "{line}");
        };
        check("", "", &[]);
        check("--list --format terse", "--list --format terse", &[]);
        check("one --exact --nocapture", "--exact --nocapture -- one", &["one"]);
        check("one two --exact", "--exact", &["one", "two"]);
        check("--no-capture --fail-fast", "--nocapture", &[]);
        check("--skip a --skip b c", "--skip a --skip b -- c", &["c"]);
        check("--shuffle --shuffle-seed 3 --report-time -q", "-q", &[]);
        check("-Z unstable-options --format json", "-Z unstable-options --format json", &[]);
        check("-- --odd", "-- --odd", &["--odd"]);
    }

    #[test]
    fn several_filters_select_the_union() {
        let check = |line: &str, expected: &[&str]| {
            let arguments = read(argv(line));
            let names = ["a::x", "a::xy", "b::x", "c"];
            let mut trials = names.map(|name| Trial::test(name, || Ok(()))).into();
            arguments.retain(&mut trials);
            let left: Vec<_> =
                trials.iter().filter(|t| !arguments.mimic.is_filtered_out(t)).collect();
            let left: Vec<_> = left.iter().map(|t| t.name()).collect();
            assert_eq!(left, expected, "{line}");
        };
        check("", &["a::x", "a::xy", "b::x", "c"]);
        check("a::x", &["a::x", "a::xy"]);
        check("a::x --exact", &["a::x"]);
        check("a::x c", &["a::x", "a::xy", "c"]);
        check("a::x c --exact", &["a::x", "c"]);
        check("x --skip b", &["a::x", "a::xy"]);
        check("zzz yyy", &[]);
    }

    #[test]
    fn threads_come_from_the_flag_first() {
        assert_eq!(read(argv("--test-threads 7")).mimic.test_threads, Some(7));
        assert!(read(argv("")).mimic.test_threads >= Some(1));
    }
}
