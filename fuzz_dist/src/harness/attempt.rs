//! One trial: its attempts, what it prints, and whether it passes.

use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use crate::checker::{Validity, Verdict};
use crate::error::{Error, ErrorKind};
use crate::report::{self, RunFacts};
use crate::test::options::{Effective, Expect, OnUnknown};
use crate::test::overrides::{Missing, Overrides};
use crate::test::{Finished, Outcome, Session, TrialReport, TrialSpec, cancel};

/// Tasks and threads that are still busy when a trial is over get so long.
const RUNTIME_LIMIT: Duration = Duration::from_secs(5);

/// Runs a trial: as many attempts as it asks for, each with a seed of its own.
pub(super) fn run_trial(spec: TrialSpec) -> TrialReport {
    let over = match Overrides::from_env() {
        Ok(over) => over,
        Err(error) => return TrialReport::Failed(error.to_string()),
    };
    let effective = match spec.options.effective(&over) {
        Ok(effective) => effective,
        Err(error) => return TrialReport::Failed(format!("{error}\n  --> {}", spec.location)),
    };
    let mut told = Vec::new();
    let mut reports = Vec::new();
    for attempt in 0..effective.attempts {
        let (report, text) = run_attempt(&spec, &over, &effective, attempt);
        let last = matches!(report, TrialReport::Ignored(_));
        reports.push(report);
        told.push(text);
        if last || cancel::requested().is_some() {
            break;
        }
    }
    conclude(&effective, reports, &told)
}

/// With several attempts at a known loss one that shows it is enough; anything else has to
/// hold in every attempt.
fn conclude(effective: &Effective, reports: Vec<TrialReport>, told: &[String]) -> TrialReport {
    let passed = reports.iter().filter(|r| **r == TrialReport::Passed).count();
    let enough = match effective.expect {
        Expect::Invalid => passed > 0,
        Expect::Valid => passed == reports.len(),
    };
    if enough {
        return TrialReport::Passed;
    }
    if let Some(ignored) = reports.iter().find(|r| matches!(r, TrialReport::Ignored(_))) {
        return ignored.clone();
    }
    let story = told.join("\n");
    match reports.len() {
        1 => TrialReport::Failed(story),
        n => TrialReport::Failed(format!("{passed} of {n} attempts passed\n{story}")),
    }
}

/// Runs one attempt and prints its screenful; the story is returned as well.
fn run_attempt(
    spec: &TrialSpec,
    over: &Overrides,
    effective: &Effective,
    attempt: u32,
) -> (TrialReport, String) {
    let seed = effective.seed_of_attempt(attempt);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let story = format!("the runtime could not be started: {error}");
            return (TrialReport::Failed(story.clone()), story);
        }
    };
    let session = Session::new(spec.clone(), over.clone(), seed);
    let outcome = run_body(&runtime, spec, &session, effective);
    let finished = runtime.block_on(session.finish(outcome));
    drop(session);
    runtime.shutdown_timeout(RUNTIME_LIMIT);
    let text = tell(spec, &finished, seed);
    let report = report_of(&finished, over, &text);
    let expected = report == TrialReport::Passed && effective.expect == Expect::Invalid;
    let mut err = std::io::stderr();
    // What fails is told under `failures:`; everything else is told here.
    if report == TrialReport::Passed {
        let prefix = if expected { "as expected, " } else { "" };
        let _ = write!(err, "\n{prefix}{text}");
    }
    (report, text)
}

/// The user's function, until it ends, panics, is interrupted, or the total limit passes.
fn run_body(
    runtime: &tokio::runtime::Runtime,
    spec: &TrialSpec,
    session: &std::sync::Arc<Session>,
    effective: &Effective,
) -> Outcome {
    let limit = effective.total_limit(effective.time_limit);
    let body = async {
        let test = session.test();
        tokio::select! {
            outcome = (spec.body)(test) => outcome,
            why = cancel::cancelled() => {
                Err(Error::cancelled().context(format!("{why} while {}", session.stage())))
            }
            () = tokio::time::sleep(limit) => Err(Error::deadline(format!(
                "the total limit of {limit:?} passed while {}; raise `total_limit`",
                session.stage()
            ))),
        }
    };
    match std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(body))) {
        Ok(outcome) => outcome,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            let text = text.unwrap_or_else(|| "without a message".into());
            Err(Error::new(ErrorKind::Test, format!("the test panicked: {text}")))
        }
    }
}

/// Writes what was found into the store, and gives the screenful.
fn tell(spec: &TrialSpec, finished: &Finished, seed: crate::random::Seed) -> String {
    let mut notes = finished.notes.clone();
    if let Some(store) = &finished.store {
        notes.extend(keep(spec, finished, seed, store).err().map(|e| e.to_string()));
    }
    let facts = RunFacts {
        name: spec.name.clone(),
        promise: spec.doc.to_string(),
        seed,
        folder: finished.store.as_ref().map(|s| s.dir().to_path_buf()),
        options: finished.effective.as_ref().map(ToString::to_string).unwrap_or_default(),
        notes,
    };
    match &finished.outcome {
        Ok(verdict) => report::screenful(&facts, &finished.history, verdict),
        Err(error) => {
            let mut text = format!("{}: no verdict: {error}\n  --> {}\n", spec.name, spec.location);
            if let Some(verdict) = &finished.judged {
                text.push_str("what was recorded up to then was judged all the same:\n");
                text.push_str(&report::screenful(&facts, &finished.history, verdict));
            } else if let Some(folder) = &facts.folder {
                text.push_str(&format!("  what was kept: {}\n", folder.display()));
            }
            text
        }
    }
}

fn keep(
    spec: &TrialSpec,
    finished: &Finished,
    seed: crate::random::Seed,
    store: &crate::store::Store,
) -> Result<(), crate::store::StoreError> {
    let verdict = finished.outcome.as_ref().ok().or(finished.judged.as_ref());
    let error = finished.outcome.as_ref().err().map(ToString::to_string);
    store.write_json(
        "results.json",
        &report::results(verdict, error.as_deref(), &finished.history),
    )?;
    store.write_json(
        "test.json",
        &serde_json::json!({
            "name": spec.name,
            "location": spec.location.to_string(),
            "seed": seed.to_string(),
            "options": finished.effective.as_ref().map(ToString::to_string),
            "fuzz_dist": env!("CARGO_PKG_VERSION"),
        }),
    )?;
    Ok(())
}

fn report_of(finished: &Finished, over: &Overrides, text: &str) -> TrialReport {
    let failed = || TrialReport::Failed(text.to_string());
    let verdict: &Verdict = match &finished.outcome {
        Ok(verdict) => verdict,
        Err(error) => {
            return match (error.kind(), over.missing) {
                (ErrorKind::Missing, _) | (ErrorKind::Environment, Missing::Ignore) => {
                    TrialReport::Ignored(error.to_string())
                }
                _ => failed(),
            };
        }
    };
    let Some(effective) = &finished.effective else { return failed() };
    match (effective.expect, verdict.validity) {
        (Expect::Valid, Validity::Valid) | (Expect::Invalid, Validity::Invalid) => {
            TrialReport::Passed
        }
        (Expect::Valid, Validity::Unknown) if effective.unknown == OnUnknown::Warn => {
            TrialReport::Passed
        }
        (Expect::Invalid, _) => TrialReport::Failed(format!(
            "a known loss was expected, but this run is not invalid\n{text}"
        )),
        _ => failed(),
    }
}
