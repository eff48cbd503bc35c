//! Checkers in parallel, each with a deadline, and a verdict whatever they do.
//!
//! A checker of the user's runs in a copy of this process: it may be a closure over the test's own
//! values, which no other program could make anew, and a fork has all of them. So an overflow of its
//! stack, an `exit`, an abort or an endless loop costs its own verdict and nothing else, and leaves no
//! thread behind. The library's checkers are pure functions that start no threads and run here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::cancel;
use crate::checker::{AnyChecker, Validity, Verdict};
use crate::env::threads;
use crate::history::{COMPLETED, FaultStatus, History};
use fuzz_dist_sys::copy::{Ended, in_a_copy};

/// How long a checker may take. One that takes longer is judged unknown.
const CHECKER_LIMIT: Duration = Duration::from_secs(120);

/// How long it may take when somebody waits for the end.
const CANCELLED_LIMIT: Duration = Duration::from_secs(10);

/// Deep recursion over a long history is no mistake.
const STACK_BYTES: usize = 64 << 20;

/// When checkers have to be done.
#[derive(Clone, Copy)]
struct Deadline {
    end: Instant,
    limit: Duration,
    cancelled: Option<Instant>,
}

impl Deadline {
    fn within(limit: Duration) -> Deadline {
        Deadline { end: Instant::now() + limit, limit, cancelled: None }
    }

    /// Is there still time?
    fn goes_on(&mut self) -> bool {
        if self.cancelled.is_none() && cancel::requested().is_some() {
            self.cancelled = Some(Instant::now() + CANCELLED_LIMIT);
        }
        self.cancelled.is_none_or(|end| Instant::now() < end) && Instant::now() < self.end
    }
}

/// Runs all checkers over the history and composes what they say.
///
/// A checker that gives no verdict is `unknown` with the reason; the others count.
pub(super) fn judge(history: &Arc<History>, checkers: Vec<AnyChecker>) -> Verdict {
    judge_within(history, checkers, CHECKER_LIMIT)
}

fn judge_within(history: &Arc<History>, checkers: Vec<AnyChecker>, limit: Duration) -> Verdict {
    let (sender, receiver) = mpsc::channel();
    let names: Vec<String> = checkers.iter().map(|c| short_name(c.type_name())).collect();
    let mut deadline = Deadline::within(limit);
    // Checkers are the user's, and dropped on their threads.
    let runtime = tokio::runtime::Handle::try_current().ok();
    for (i, checker) in checkers.into_iter().enumerate() {
        let (sender, history, name) = (sender.clone(), history.clone(), names[i].clone());
        let (without_a_thread, runtime) = (sender.clone(), runtime.clone());
        // The system names the thread when its stack overflows.
        let thread = std::thread::Builder::new().name(format!("checker {name}"));
        let run = move || {
            let _entered = runtime.as_ref().map(tokio::runtime::Handle::enter);
            let verdict = match is_own(checker.type_name()) {
                true => checked(&name, &checker, &history),
                false => in_a_process(&name, &checker, &history, deadline),
            };
            let verdict = verdict.asked(checker.arguments());
            // Before the verdict is known: what comes next may end the runtime.
            drop(checker);
            // The receiver is gone when the limit has passed.
            let _ = sender.send((i, verdict));
        };
        if let Err(error) = thread.stack_size(STACK_BYTES).spawn(run) {
            let reason =
                format!("no thread for checker `{}`: {}", names[i], threads::with_remedy(error));
            let _ = without_a_thread.send((i, Verdict::unknown("checker", reason)));
        }
    }
    drop(sender);
    let mut verdicts: Vec<Option<Verdict>> = vec![None; names.len()];
    // Copies end with their deadline; their threads are given a moment to say so.
    let mut late: Option<Instant> = None;
    while verdicts.contains(&None) && late.is_none_or(|since| since.elapsed() < LATE) {
        if !deadline.goes_on() {
            late.get_or_insert_with(Instant::now);
        }
        match receiver.recv_timeout(Duration::from_millis(50)) {
            Ok((i, verdict)) => verdicts[i] = Some(verdict),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    let verdicts = verdicts.into_iter().zip(&names);
    Verdict::compose(
        "verdict",
        verdicts.map(|(verdict, name)| verdict.unwrap_or_else(|| too_late(name, limit))),
    )
}

/// How long the thread of a copy may take to say that it was stopped.
const LATE: Duration = Duration::from_secs(1);

fn checked(name: &str, checker: &AnyChecker, history: &History) -> Verdict {
    let verdict = catch_unwind(AssertUnwindSafe(|| checker.check(history)));
    verdict.unwrap_or_else(|panic| {
        Verdict::unknown("checker", format!("checker `{name}` panicked: {}", message(&*panic)))
    })
}

fn in_a_process(
    name: &str,
    checker: &AnyChecker,
    history: &History,
    mut deadline: Deadline,
) -> Verdict {
    let compute = || serde_json::to_vec(&checked(name, checker, history)).unwrap_or_default();
    let reason = match in_a_copy(compute, || deadline.goes_on()) {
        Ok(Ended::Output(verdict)) => match serde_json::from_slice(&verdict) {
            Ok(verdict) => return verdict,
            Err(error) => format!("the verdict of checker `{name}` could not be read: {error}"),
        },
        Ok(Ended::Exited(code)) => format!("checker `{name}` called exit({code})"),
        Ok(Ended::Signalled(signal)) => {
            let meaning = match signal {
                libc::SIGABRT => "SIGABRT: abort, or stack overflow",
                libc::SIGSEGV => "SIGSEGV: stack overflow, or unsafe code",
                libc::SIGKILL => "SIGKILL: out of memory, or somebody ended it",
                _ => "see signal(7)",
            };
            format!("checker `{name}` was ended by signal {signal} ({meaning})")
        }
        Ok(Ended::Stopped) => return too_late(name, deadline.limit),
        Err(error) => {
            format!("no process for checker `{name}`: {}", threads::with_remedy(error))
        }
    };
    Verdict::unknown("checker", reason)
}

fn too_late(name: &str, limit: Duration) -> Verdict {
    let limit = match cancel::requested() {
        Some(why) => format!("{CANCELLED_LIMIT:?} after {why}"),
        None => format!("{limit:?}"),
    };
    Verdict::unknown("checker", format!("checker `{name}` did not finish within {limit}"))
}

/// Whether a checker is the library's, without any part of the user's.
fn is_own(type_name: &str) -> bool {
    let own = type_name.starts_with("fuzz_dist_checkers::");
    own && !type_name.contains('<') && !type_name.ends_with("::Compose")
}

/// A type's name without paths: `Independent<Register>`.
pub(super) fn short_name(type_name: &str) -> String {
    let mut short = String::new();
    for part in type_name.split_inclusive(['<', '>', ',', ' ']) {
        short.push_str(part.rsplit("::").next().unwrap_or(part));
    }
    short
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "?".into())
}

/// Checkers that say how a run went, and nothing about the system under test.
const ABOUT_THE_RUN: [&str; 3] = ["power", "stats", "perf"];

/// Makes a verdict unknown that no checker of the history had a part in: a gate must not pass because
/// nothing was judged.
pub(super) fn heed_judges(mut judged: Verdict) -> Verdict {
    fn judges(part: &Verdict) -> bool {
        match part.parts.is_empty() {
            true => !ABOUT_THE_RUN.contains(&&*part.checker),
            false => part.parts.iter().any(judges),
        }
    }
    if !judged.parts.iter().any(judges) {
        let why =
            "no checker judges the history; give the workload one, or name one with `checker`";
        judged.parts.push(Verdict::unknown("judges", why));
        return Verdict::compose(judged.checker, judged.parts);
    }
    judged
}

/// What the run itself knows: that it ended early, faults that were asked for and never acted, failures
/// of the nemesis or of the store. None of it can make a run invalid. That a fault was not undone, or
/// the heal not proved, is in the history, and [`power`](crate::checker::power) judges it.
pub(super) fn run_verdict(history: &History, asked: &[String], problems: &[String]) -> Verdict {
    let mut verdict = Verdict::valid("run");
    let faults = history.faults();
    if history.meta(COMPLETED) == Some(&false.into()) {
        verdict = verdict.because("the run ended early, before its final reads");
    }
    for kind in asked {
        let acted = faults.iter().any(|f| *f.name == **kind && f.status == FaultStatus::Installed);
        if !acted {
            verdict = verdict.because(format!("nemesis `{kind}` never took effect"));
        }
    }
    for problem in problems {
        verdict = verdict.because(problem.clone());
    }
    if !verdict.reasons.is_empty() {
        verdict.validity = Validity::Unknown;
    }
    let ineffective = faults.iter().filter(|f| f.status != FaultStatus::Installed).count();
    verdict.with("faults", faults.len()).with("faults_not_installed", ineffective)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::{Anomaly, Checker};
    use crate::op::Value;

    struct Says(fn() -> Verdict);
    impl Checker for Says {
        fn check(&self, _: &History) -> Verdict {
            (self.0)()
        }
    }

    fn judged(checkers: Vec<fn() -> Verdict>) -> Verdict {
        let checkers = checkers.into_iter().map(|c| crate::checker::any_checker(Says(c)));
        let history = Arc::new(History::new(["n1"]));
        judge_within(&history, checkers.collect(), Duration::from_secs(5))
    }

    #[test]
    fn a_checker_that_panics_is_unknown_and_the_others_count() {
        let verdict = judged(vec![|| panic!("out of {}", "ideas"), || Verdict::valid("a")]);
        assert_eq!(verdict.validity, Validity::Unknown);
        assert!(verdict.reasons[0].contains("out of ideas"), "{verdict:?}");
        let verdict = judged(vec![|| panic!("x"), || Verdict::invalid("b", "lost")]);
        assert_eq!(verdict.validity, Validity::Invalid);
    }

    #[test]
    fn a_checker_that_never_ends_is_ended() {
        let verdict = judged(vec![
            || {
                std::thread::sleep(Duration::from_secs(30));
                Verdict::valid("late")
            },
            || Verdict::valid("a"),
        ]);
        assert_eq!(verdict.validity, Validity::Unknown);
        assert!(verdict.reasons[0].contains("checker `Says` did not finish"), "{verdict:?}");
    }

    #[test]
    fn a_checker_that_ends_its_process_is_named_and_the_others_count() {
        let verdict = judged(vec![|| std::process::exit(0), || Verdict::invalid("b", "lost")]);
        assert_eq!(verdict.validity, Validity::Invalid);
        assert_eq!(verdict.parts[0].reasons, ["checker `Says` called exit(0)"]);
        let verdict = judged(vec![|| std::process::abort()]);
        assert!(verdict.reasons[0].contains("checker `Says` was ended by signal 6"), "{verdict:?}");
    }

    #[test]
    fn a_verdict_comes_back_whole() {
        let whole = || {
            let anomaly = Anomaly::new("lost", Value::map([("a", Value::set([1, 2, 2]))]))
                .explained("because")
                .proved_by([3, 5])
                .on(Some(crate::op::NodeId(2)))
                .at(crate::time::Time(u64::MAX));
            let mut part = Verdict::invalid("part", "why").with("figure", [0.25, 3.0]);
            part.anomalies.push(anomaly);
            Verdict::compose("all", [part, Verdict::valid("other")])
        };
        assert_eq!(judged(vec![whole]).parts[0], whole());
    }

    #[test]
    fn what_is_the_users_runs_in_a_process_of_its_own() {
        let name = |checker: AnyChecker| checker.type_name();
        assert!(is_own(name(Arc::new(crate::checker::set_full()))));
        assert!(is_own(name(Arc::new(crate::checker::stats()))));
        assert!(!is_own(name(Arc::new(Says(|| Verdict::valid("x"))))));
        let composed = crate::checker::compose().with("x", Says(|| Verdict::valid("x")));
        assert!(!is_own(name(Arc::new(composed))));
        assert_eq!(short_name("a::b::Independent<c::Register, d::E>"), "Independent<Register, E>");
    }

    #[test]
    fn a_verdict_says_how_the_command_is_asked_for_it() {
        let checker = crate::checker::independent(crate::checker::offset_log());
        let history = Arc::new(History::new(["n1"]));
        let checkers = vec![crate::checker::any_checker(checker)];
        let verdict = judge_within(&history, checkers, Duration::from_secs(5));
        let expected = serde_json::json!({
            "checker": "offset_log", "options": { "independent": "true" }
        });
        assert_eq!(verdict.parts[0].results["arguments"], expected);
    }

    #[test]
    fn a_history_that_nobody_judges_is_unknown() {
        let about_the_run = || vec![|| Verdict::valid("power"), || Verdict::valid("stats")];
        let verdict = heed_judges(judged(about_the_run()));
        assert_eq!(verdict.validity, Validity::Unknown);
        assert!(verdict.reasons[0].contains("no checker judges the history"), "{verdict:?}");
        let mut checkers = about_the_run();
        checkers.push(|| Verdict::compose("mine", [Verdict::valid("set_full")]));
        assert!(heed_judges(judged(checkers)).is_valid());
    }

    #[test]
    fn faults_that_never_acted_leave_a_run_unknown() {
        let history = History::new(["n1"]);
        let verdict = run_verdict(&history, &["bridge".into()], &[]);
        assert_eq!(verdict.validity, Validity::Unknown);
        assert!(run_verdict(&history, &[], &[]).is_valid());
    }
}
