//! One libtest-mimic trial for each cell of each test's matrix.

use super::arguments::HarnessArguments;
use super::attempt::run_trial;
use super::exits;
use crate::registry::{self, Axis, Cell, NameError, Setting, TestCase};
use crate::run::options::Options;
use crate::run::{TrialReport, TrialSpec, cancel};
use libtest_mimic::{Completion, Failed, Trial};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Why trials did not run here, and how many; for the last line.
static IGNORED: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

/// Whether some trial failed; with `--fail-fast` the rest is left out then.
static FAILED: AtomicBool = AtomicBool::new(false);

/// All trials. Nothing is looked up or made for them yet: listing must be cheap and cannot fail.
pub(super) fn all(tests: &[&'static TestCase], arguments: &HarnessArguments) -> Vec<Trial> {
    let mut trials = Vec::new();
    for case in tests {
        for cell in cells(case.axes) {
            trials.push(trial(case, cell, arguments));
        }
    }
    trials
}

fn trial(case: &'static TestCase, cell: Chosen, arguments: &HarnessArguments) -> Trial {
    let name = name(case, &cell);
    let mimic = &arguments.mimic;
    match case.ignore {
        // libtest-mimic has no reason for trials that it ignores by flag, but for those that
        // ignore themselves it has; for listing and for `--ignored` the flag is what counts.
        Some(reason) if !reason.is_empty() && !mimic.list && !arguments.runs_ignored() => {
            Trial::ignorable_test(name, move || Ok(Completion::ignored_with(reason)))
        }
        ignore => {
            let fail_fast = arguments.fail_fast;
            let run = {
                let name = name.clone();
                move || run_one(case, &cell, name, fail_fast)
            };
            Trial::ignorable_test(name, run).with_ignored_flag(ignore.is_some())
        }
    }
}

/// A reason without its remedy, which many trials may share: the last line has it.
fn in_short(reason: &str) -> String {
    match reason.split_once("; ") {
        Some((reason, _)) => format!("{reason}; the last line says more"),
        None => reason.into(),
    }
}

fn note_ignored(reason: &str) {
    let mut ignored = IGNORED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    *ignored.entry(reason.into()).or_default() += 1;
}

/// What is said at the end about trials that could not run here.
pub(super) fn ignored_line() -> Option<String> {
    let ignored = IGNORED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if ignored.is_empty() {
        return None;
    }
    let total: usize = ignored.values().sum();
    let reasons = ignored.iter().map(|(why, count)| format!("\n  {count} × {why}"));
    Some(format!("fuzz_dist: {total} trial(s) could not run here:{}", reasons.collect::<String>()))
}

/// One cell of the product: an axis and one of its cells, for each axis.
type Chosen = Vec<(&'static Axis, &'static Cell)>;

/// The product of all axes, the last one fastest.
fn cells(axes: &'static [Axis]) -> Vec<Chosen> {
    let mut product: Vec<Chosen> = vec![vec![]];
    for axis in axes {
        let longer = product.iter().flat_map(|chosen| {
            axis.cells.iter().map(|cell| {
                let mut chosen = chosen.clone();
                chosen.push((axis, cell));
                chosen
            })
        });
        product = longer.collect();
    }
    product
}

fn labels(cell: &Chosen) -> impl Iterator<Item = &'static str> {
    cell.iter().filter(|(axis, _)| axis.matrix).map(|(_, cell)| cell.label)
}

fn name(case: &TestCase, cell: &Chosen) -> String {
    labels(cell).fold(case.display_name(), |name, label| format!("{name}::{label}"))
}

/// Looks all names up and applies all options.
fn resolve(case: &'static TestCase, cell: &Chosen, name: String) -> Result<TrialSpec, NameError> {
    let suffix = labels(cell).collect::<Vec<_>>().join("-");
    let mut spec = TrialSpec {
        name,
        cell: Some(suffix).filter(|suffix| !suffix.is_empty()),
        doc: case.doc,
        location: case.location,
        options: Options::default(),
        db: None,
        nemesis: None,
        workload: None,
        checkers: Vec::new(),
        env: None,
        body: case.body,
    };
    for (_, cell) in cell {
        match &cell.setting {
            Setting::Db(choice) => spec.db = Some(choice.resolve()?),
            Setting::Nemesis(choice) => spec.nemesis = Some(choice.resolve()?),
            Setting::Workload(choice) => spec.workload = Some(choice.resolve()?),
            Setting::Checkers(choices) => {
                spec.checkers = choices.iter().map(|c| c.resolve()).collect::<Result<_, _>>()?;
            }
            Setting::Env(choice) => spec.env = Some(choice.resolve()?),
            Setting::Option(set) => set(&mut spec.options),
        }
    }
    if spec.env.is_none() {
        spec.env = Some(registry::default_env(case.location)?);
    }
    Ok(spec)
}

fn run_one(
    case: &'static TestCase,
    cell: &Chosen,
    name: String,
    fail_fast: bool,
) -> Result<Completion, Failed> {
    if fail_fast && FAILED.load(Ordering::Relaxed) {
        return Ok(Completion::ignored_with("an earlier trial failed (--fail-fast)"));
    }
    // libtest-mimic reports panics; here one only counts as a failure for `--fail-fast`.
    let result = catch_unwind(AssertUnwindSafe(|| report(case, cell, name)));
    if !matches!(result, Ok(TrialReport::Passed | TrialReport::Ignored(_))) {
        FAILED.store(true, Ordering::Relaxed);
    }
    match result.unwrap_or_else(|panic| resume_unwind(panic)) {
        TrialReport::Passed => Ok(Completion::Completed),
        TrialReport::Failed(story) => Err(Failed::from(story)),
        TrialReport::Ignored(reason) => {
            note_ignored(&reason);
            Ok(Completion::ignored_with(in_short(&reason)))
        }
    }
}

fn report(case: &'static TestCase, cell: &Chosen, name: String) -> TrialReport {
    if let Some(why) = cancel::requested() {
        return TrialReport::Failed(format!("not started: stopped by {why}"));
    }
    let spec = match resolve(case, cell, name) {
        Ok(spec) => spec,
        Err(error) => return TrialReport::Failed(error.to_string()),
    };
    let running = exits::Trial::begins(&spec.name);
    let report = run_trial(spec);
    drop(running);
    report
}

#[cfg(test)]
#[path = "trials_tests.rs"]
mod tests;
