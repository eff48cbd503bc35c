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
    let mut attempts = Vec::new();
    for attempt in 0..effective.attempts {
        let done = run_attempt(&spec, &over, &effective, attempt);
        let decided = match done.0 {
            TrialReport::Ignored(_) => true,
            // The loss was seen; who asks for a number of attempts wants to know how often.
            TrialReport::Passed => effective.expect == Expect::Invalid && over.attempts.is_none(),
            TrialReport::Failed(_) => false,
        };
        attempts.push(done);
        if decided {
            break;
        }
        if let Some(why) = cancel::requested().filter(|_| attempt + 1 < effective.attempts) {
            let story = format!("stopped by {why} after {} attempts", attempt + 1);
            attempts.push((TrialReport::Failed(story), String::new()));
            break;
        }
    }
    conclude(effective.expect, &attempts)
}

/// With several attempts at a known loss one that shows it is enough; anything else has to
/// hold in every attempt. Each attempt comes with its screenful.
fn conclude(expect: Expect, attempts: &[(TrialReport, String)]) -> TrialReport {
    let reports = || attempts.iter().map(|(report, _)| report);
    let passed = reports().filter(|r| **r == TrialReport::Passed).count();
    let enough = match expect {
        Expect::Invalid => passed > 0,
        Expect::Valid => passed == attempts.len(),
    };
    if enough {
        return TrialReport::Passed;
    }
    // What failed is not hidden by what could not run.
    if !reports().any(|r| matches!(r, TrialReport::Failed(_)))
        && let Some(ignored) = reports().find(|r| matches!(r, TrialReport::Ignored(_)))
    {
        return ignored.clone();
    }
    let story = |(report, screenful): &(TrialReport, String)| match report {
        TrialReport::Failed(story) => story.clone(),
        TrialReport::Ignored(reason) => format!("could not run: {reason}"),
        TrialReport::Passed => screenful.clone(),
    };
    let stories: Vec<String> = attempts.iter().map(story).collect();
    match stories.as_slice() {
        [only] => TrialReport::Failed(only.clone()),
        all => TrialReport::Failed(format!(
            "{passed} of {} attempts passed\n{}",
            all.len(),
            all.join("\n")
        )),
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
    // What users give is made and dropped within the runtime, whatever happens: a client whose `Drop`
    // spawns a task would end the process otherwise.
    let entered = runtime.enter();
    let session = Session::new(spec.clone(), over.clone(), seed);
    let outcome = run_body(&runtime, spec, &session, effective);
    let finished = runtime.block_on(session.finish(outcome));
    drop(session);
    drop(entered);
    runtime.shutdown_timeout(RUNTIME_LIMIT);
    let text = tell(spec, &finished, effective, seed);
    let report = report_of(&finished, over, effective, &text);
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
    let body = async {
        let test = session.test();
        tokio::select! {
            outcome = (spec.body)(test) => outcome,
            why = cancel::cancelled() => {
                let stage = session.stage();
                Err(Error::cancelled().context(format!("{why} while {stage}")).into())
            }
            limit = total_limit(session, effective) => {
                let stage = session.stage();
                let text = format!(
                    "the total limit of {limit:?} passed while {stage}; raise `total_limit`"
                );
                Err(Error::deadline(text).into())
            }
        }
    };
    match std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(body))) {
        Ok(outcome) => outcome,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            let text = text.unwrap_or_else(|| "without a message".into());
            Err(Error::new(ErrorKind::Test, format!("the test panicked: {text}")).into())
        }
    }
}

/// Completes when the attempt has taken too long in total, with the limit.
async fn total_limit(session: &Session, effective: &Effective) -> Duration {
    let started = tokio::time::Instant::now();
    loop {
        // Asked again and again: the user's function may give the test more time.
        let limit = session.total_limit(effective);
        let left = limit.saturating_sub(started.elapsed());
        if left.is_zero() {
            return limit;
        }
        tokio::time::sleep(left.min(Duration::from_secs(1))).await;
    }
}

/// Writes what was found into the store, and gives the screenful.
fn tell(
    spec: &TrialSpec,
    finished: &Finished,
    said: &Effective,
    seed: crate::random::Seed,
) -> String {
    let mut notes = finished.notes.clone();
    if let Some(store) = &finished.store {
        notes.extend(keep(spec, finished, seed, store).err().map(|e| e.to_string()));
    }
    notes.extend(report::export(&finished.history));
    let facts = RunFacts {
        name: spec.name.clone(),
        promise: spec.doc.to_string(),
        seed,
        folder: finished.store.as_ref().map(|s| s.dir().to_path_buf()),
        options: finished.effective.as_ref().unwrap_or(said).to_string(),
        notes,
    };
    let screenful = |verdict: &Verdict| {
        report::screenful(&facts, &finished.history, &finished.samples, verdict)
    };
    match &finished.outcome {
        Ok(verdict) => screenful(verdict),
        Err(error) => {
            let mut text = format!("{}: no verdict: {error}\n  --> {}\n", spec.name, spec.location);
            if let Some(verdict) = &finished.judged {
                text.push_str("what was recorded up to then was judged all the same:\n");
                text.push_str(&screenful(verdict));
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
        &report::results(verdict, error.as_deref(), &finished.history, &finished.samples),
    )?;
    if finished.traces {
        let traces = report::traces(&finished.history, &report::service()).to_string();
        store.write("traces.json", traces.as_bytes())?;
    }
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

fn report_of(finished: &Finished, over: &Overrides, said: &Effective, text: &str) -> TrialReport {
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
    // A function that never asked for its cluster has a verdict of its own all the same.
    let effective = finished.effective.as_ref().unwrap_or(said);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `p`assed, `f`ailed, `i`gnored.
    fn check(expect: Expect, attempts: &str, expected: TrialReport) {
        let report = |c: char| match c {
            'p' => (TrialReport::Passed, "valid".into()),
            'f' => (TrialReport::Failed("lost".into()), "screenful".into()),
            _ => (TrialReport::Ignored("no Erlang".into()), String::new()),
        };
        let attempts: Vec<(TrialReport, String)> = attempts.chars().map(report).collect();
        assert_eq!(conclude(expect, &attempts), expected);
    }

    #[test]
    fn a_promise_holds_in_every_attempt_and_a_loss_shows_in_one() {
        let failed = |text: &str| TrialReport::Failed(text.into());
        let ignored = || TrialReport::Ignored("no Erlang".into());
        check(Expect::Valid, "p", TrialReport::Passed);
        check(Expect::Valid, "ppp", TrialReport::Passed);
        check(Expect::Valid, "f", failed("lost"));
        check(Expect::Valid, "pf", failed("1 of 2 attempts passed\nvalid\nlost"));
        check(Expect::Valid, "i", ignored());
        check(Expect::Valid, "pi", ignored());
        let both = "0 of 2 attempts passed\nlost\ncould not run: no Erlang";
        check(Expect::Valid, "fi", failed(both));
        check(Expect::Invalid, "fp", TrialReport::Passed);
        check(Expect::Invalid, "ff", failed("0 of 2 attempts passed\nlost\nlost"));
        check(Expect::Invalid, "i", ignored());
    }
}
