//! `jobs`: what was submitted is executed, exactly once or at least once.

mod executions;
#[cfg(test)]
mod tests;

use super::Arguments;
use super::evidence::{Faults, count, listed, node_of};
use super::finals::Finals;
use super::verify::{self, verified};
use super::{Anomaly, Checker, Verdict};
use crate::registration::{Judges, Needs, Opt, Registration, built};
pub(super) use executions::executed;
use executions::{Job, Jobs};
use fuzz_dist_history::History;
use fuzz_dist_history::op::Value;

/// Judges job queues and schedulers; see [`jobs`].
#[derive(Clone, Copy, Debug, Default)]
pub struct JobsChecker {
    at_least_once: bool,
}

/// Judges whether every acknowledged job is executed exactly once.
///
/// - `submit job` hands a job over; a job may be submitted again, and is then executed again;
/// - `executed` reads what the node has executed so far, as a list: of jobs, one entry for each
///   execution on that node, or of pairs `[job execution]`, where `execution` names this execution
///   and no other one and the list may be of the whole cluster. The final reads are of these.
///
/// The log of executions has to survive whatever the test does to the node. Anomalies: `lost`
/// (acknowledged and, by the final reads of all nodes, executed less often than that), `duplicate`
/// (executed more often than submitted; a result only with [`JobsChecker::at_least_once`]),
/// `unexpected` (no client submitted it), `resurrected` (all its submits failed), `early` (executed
/// before it was submitted). Nothing is lost in a history without final reads.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, jobs, histories::Recorder};
/// # use fuzz_dist_history::op::Value;
/// let mut r = Recorder::new(["n1"]);
/// r.invoke(0, "submit", 7);
/// r.done(0);
/// r.invoke(0, "executed", Value::Nil);
/// r.ok(0, Value::list([7, 7]));
/// let history = r.history();
/// assert_eq!(&*jobs().check(&history).anomalies[0].kind, "duplicate");
/// assert!(jobs().at_least_once(true).check(&history).is_valid());
/// ```
pub fn jobs() -> JobsChecker {
    JobsChecker::default()
}

impl JobsChecker {
    /// May a job be executed several times?
    #[must_use]
    pub fn at_least_once(mut self, allowed: bool) -> JobsChecker {
        self.at_least_once = allowed;
        self
    }
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "jobs",
    about: "every job that was submitted is executed, exactly once",
    judges: Judges::Only(&["submit", "executed"]),
    needs: Needs::Clients,
    options: &[Opt::flag("at-least-once", "a job may be executed several times")],
    build: |o| built(jobs().at_least_once(o.flag("at-least-once")?)),
};

impl Checker for JobsChecker {
    fn check(&self, history: &History) -> Verdict {
        let all = match Jobs::of(history) {
            Ok(all) => all,
            Err(event) => {
                let value = history.value(event);
                let why = format!("the read at event {event} gave {value}, which is no list");
                return Verdict::unknown("jobs", why);
            }
        };
        let finals = Finals::of(history, "executed");
        let complete = finals.expected && !finals.reads.is_empty();
        let faults = Faults::of(history);
        let mut reasons = Vec::new();
        let mut anomalies = Vec::new();
        let mut counts = Vec::new();
        for (kind, what) in [
            ("lost", "not executed as often as acknowledged"),
            ("duplicate", "executed more often than submitted"),
            ("unexpected", "executed that no client submitted"),
            ("resurrected", "executed whose submit had failed"),
            ("early", "executed before it was submitted"),
        ] {
            let is = |job: &(&Value, &Job)| match kind {
                "lost" => complete && job.1.executions < job.1.acknowledged.len(),
                "duplicate" => job.1.possible > 0 && job.1.executions > job.1.possible,
                "unexpected" => job.1.submits.is_empty() && job.1.executions > 0,
                "resurrected" => {
                    !job.1.submits.is_empty() && job.1.possible == 0 && job.1.executions > 0
                }
                _ => job.1.is_early(),
            };
            let found: Vec<(&Value, &Job)> = all.jobs.iter().filter(|job| is(job)).collect();
            counts.push((format!("{kind}_count"), found.len()));
            if found.is_empty() || kind == "duplicate" && self.at_least_once {
                continue;
            }
            let names: Vec<&Value> = found.iter().map(|(name, _)| *name).collect();
            reasons.push(format!("{} {what}: {}", count(found.len(), "job"), listed(&names)));
            anomalies.push((kind, what, found));
        }
        let executions: usize = all.jobs.values().map(|job| job.executions).sum();
        let mut verdict = match reasons.split_first() {
            Some((first, rest)) => {
                rest.iter().fold(Verdict::invalid("jobs", first), |v, r| v.because(r))
            }
            None if executions == 0 => Verdict::unknown("jobs", "no job was executed"),
            None => Verdict::valid("jobs"),
        };
        for (kind, what, found) in anomalies {
            verdict.count_of(kind, found.len());
            let shown = found.into_iter().take(super::ANOMALIES_MAX);
            let explained =
                shown.map(|(name, job)| anomaly(history, &faults, &finals, kind, what, name, job));
            verdict.anomalies.extend(explained);
        }
        finals.apply(&mut verdict);
        let acknowledged: usize = all.jobs.values().map(|job| job.acknowledged.len()).sum();
        let verdict = verdict
            .with("submit_count", all.jobs.values().map(|job| job.submits.len()).sum::<usize>())
            .with("acknowledged_count", acknowledged)
            .with("execution_count", executions);
        let verdict = counts.into_iter().fold(verdict, |v, (name, n)| v.with(name, n));
        let verdict = verified(history, verdict, verify::jobs);
        faults.state(history, verdict)
    }

    fn arguments(&self) -> Option<Arguments> {
        Some(Arguments::of("jobs").flag("at-least-once", self.at_least_once))
    }
}

fn anomaly(
    history: &History,
    faults: &Faults,
    finals: &Finals,
    kind: &str,
    what: &str,
    name: &Value,
    job: &Job,
) -> Anomaly {
    let at = |i: &usize| format!("{} at {}", node_of(history, *i), history.time(*i));
    let list = |events: &[usize]| events.iter().take(4).map(at).collect::<Vec<_>>().join(", ");
    let mut text = format!("{name} was {what}");
    match (&job.acknowledged[..], &job.submits[..]) {
        ([], []) => {}
        ([], submits) => text.push_str(&format!("; submitted on {}", list(submits))),
        (done, _) => text.push_str(&format!("; its submit was acknowledged by {}", list(done))),
    }
    let times = match job.executions {
        1 => "once".to_string(),
        n => format!("{n} times"),
    };
    match &job.shown[..] {
        [] => text.push_str("; no final read shows an execution"),
        shown => text.push_str(&format!("; executed {times}, as shown by {}", list(shown))),
    }
    if let (Some(from), Some(to)) = (job.submits.first(), job.acknowledged.first()) {
        let active = faults.between(history.time(*from), history.time(*to));
        if !active.is_empty() {
            text.push_str(&format!("; active when it was submitted: {active}"));
        }
    }
    let mut events: Vec<usize> =
        job.submits.iter().chain(&job.acknowledged).chain(&job.shown).copied().collect();
    if kind == "lost" {
        events.extend(finals.reads.iter().map(|(_, read)| *read));
    }
    events.extend(job.first_shown);
    events.sort_unstable();
    events.dedup();
    let last = job.shown.last().copied();
    Anomaly::new(kind, name.clone())
        .explained(text)
        .on(last.and_then(|i| history.node(i)))
        .at(history.time(events.last().copied().unwrap_or(0)))
        .proved_by(events)
}
