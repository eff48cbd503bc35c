//! One trial: its attempts, what it prints, and whether it passes.

use std::io::Write as _;

use super::supervise;
use super::timed::Timed;
use crate::checker::{Validity, Verdict};
use crate::error::ErrorKind;
use crate::report::{self, RunFacts};
use crate::run::options::{Effective, Expect, OnUnknown};
use crate::run::overrides::{Missing, Overrides};
use crate::run::{Finished, Session, TrialReport, TrialSpec, cancel};

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
            TrialReport::Passed => {
                effective.expect == Expect::Invalid && over.options.attempts.is_none()
            }
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

/// Runs one attempt and prints what came of it; what is returned is a short version of that.
fn run_attempt(
    spec: &TrialSpec,
    over: &Overrides,
    effective: &Effective,
    attempt: u32,
) -> (TrialReport, String) {
    let seed = effective.seed_of_attempt(attempt);
    let time = match Timed::begin(effective.time) {
        Ok(time) => time,
        Err(error) => {
            let story = error.to_string();
            return (TrialReport::Failed(story.clone()), story);
        }
    };
    let session = Session::new(spec.clone(), over.clone(), seed, time.clock());
    let finished = match supervise::attempt(spec, session, effective, attempt > 0) {
        Ok(finished) => {
            let notes = [finished.notes.clone(), time.notes(finished.outcome.is_err())].concat();
            Finished { notes, ..finished }
        }
        Err(error) => {
            let story = error.to_string();
            return (TrialReport::Failed(story.clone()), story);
        }
    };
    let texts = texts(spec, &finished, effective, seed);
    let report = report_of(&finished, over, effective, &texts.short);
    let remark = match finished.outcome.as_ref().map(|verdict| verdict.validity) {
        Ok(Validity::Invalid) => "as expected, ",
        Ok(Validity::Unknown) => "warning: ",
        _ => "",
    };
    let printed = match (&report, texts.line.filter(|_| !over.verbose.unwrap_or_default())) {
        (TrialReport::Passed, Some(line)) => format!("{remark}{line}\n"),
        (TrialReport::Passed, None) => format!("\n{remark}{}", texts.whole),
        (TrialReport::Failed(_), _) => format!("\nFAILED {}", texts.whole),
        (TrialReport::Ignored(_), _) => String::new(),
    };
    // At once, and in one piece, since others print as well; `failures:` comes only when all is over.
    let _ = std::io::stderr().write_all(printed.as_bytes());
    (report, texts.short)
}

/// What is printed of an attempt.
struct Texts {
    /// In a line; `None` where there is no verdict.
    line: Option<String>,
    /// A screenful.
    whole: String,
    /// What is repeated at the end of all: what happened, and where to look.
    short: String,
}

/// Writes what was found into the store, and gives what is printed.
fn texts(
    spec: &TrialSpec,
    finished: &Finished,
    said: &Effective,
    seed: crate::random::Seed,
) -> Texts {
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
    let (whole, what) = match &finished.outcome {
        Ok(verdict) => (screenful(verdict), report::sentence(verdict)),
        Err(error) => {
            let what = match finished.judged.as_ref().filter(|_| finished.after_verdict) {
                Some(verdict) => {
                    format!("failed after its verdict ({}): {error}", report::sentence(verdict))
                }
                None => format!("no verdict: {error}"),
            };
            let mut text = format!("{}: {what}\n  --> {}\n", spec.name, spec.location);
            if let Some(verdict) = &finished.judged {
                if !finished.after_verdict {
                    text.push_str("verdict about the history recorded until then:\n");
                }
                text.push_str(&screenful(verdict));
            } else if let Some(folder) = &facts.folder {
                text.push_str(&format!("  report: {}\n", folder.display()));
            }
            (text, what)
        }
    };
    let verdict = finished.outcome.as_ref().ok();
    let line = verdict.map(|verdict| report::line(&facts, &finished.history, verdict));
    // In the store it stands whole, on the screen as far as there is room.
    let kept =
        finished.store.as_ref().and_then(|store| store.write("report.txt", whole.as_bytes()).ok());
    let folder = facts.folder.as_ref();
    let folder = folder.map_or(String::new(), |folder| format!("\n  report: {}", folder.display()));
    Texts {
        line,
        whole: report::for_a_screen(&whole, kept.as_deref()),
        short: format!("{}{folder}", report::for_a_screen(&what, kept.as_deref()).trim_end()),
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
            "start_unix_ms": finished.history.start_unix_ms(),
            "env": finished.env,
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
            // A run that was judged did run here, and an anomaly in it is not hidden by what was missing.
            let found = finished.judged.as_ref().is_some_and(Verdict::is_invalid);
            return match (error.kind(), over.missing.unwrap_or_default()) {
                _ if found || finished.after_verdict => failed(),
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
        (Expect::Invalid, _) => {
            TrialReport::Failed(format!("expected invalid, and this run is not: {text}"))
        }
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
