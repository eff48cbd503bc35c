//! Checkers in parallel, each with a deadline, and a verdict whatever they do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::checker::{AnyChecker, Validity, Verdict};
use crate::env::threads;
use crate::history::{FaultStatus, History};

/// How long a checker may take. One that takes longer is left behind and judged unknown.
const CHECKER_LIMIT: Duration = Duration::from_secs(120);

/// Runs all checkers over the history and composes what they say.
///
/// A checker that panics or passes its limit gives `unknown` with the reason; the others count.
pub(super) fn judge(history: &Arc<History>, checkers: Vec<AnyChecker>) -> Verdict {
    judge_within(history, checkers, CHECKER_LIMIT)
}

fn judge_within(history: &Arc<History>, checkers: Vec<AnyChecker>, limit: Duration) -> Verdict {
    let (sender, receiver) = mpsc::channel();
    let count = checkers.len();
    for (i, checker) in checkers.into_iter().enumerate() {
        let (sender, history) = (sender.clone(), history.clone());
        let without_a_thread = sender.clone();
        let spawned = std::thread::Builder::new().spawn(move || {
            let verdict = catch_unwind(AssertUnwindSafe(|| checker.check(&history)));
            let verdict = verdict.unwrap_or_else(|panic| {
                Verdict::unknown("checker", format!("a checker panicked: {}", told(&*panic)))
            });
            // The receiver is gone when the limit has passed.
            let _ = sender.send((i, verdict));
        });
        if let Err(error) = spawned {
            let reason = format!("no thread for a checker: {error}; {}", threads::remedy());
            let _ = without_a_thread.send((i, Verdict::unknown("checker", reason)));
        }
    }
    drop(sender);
    let end = Instant::now() + limit;
    let mut verdicts: Vec<Option<Verdict>> = vec![None; count];
    while verdicts.contains(&None) {
        match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok((i, verdict)) => verdicts[i] = Some(verdict),
            Err(_) => break,
        }
    }
    let late = || Verdict::unknown("checker", format!("a checker did not finish within {limit:?}"));
    Verdict::compose("verdict", verdicts.into_iter().map(|v| v.unwrap_or_else(late)))
}

fn told(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "?".into())
}

/// What the run itself knows: faults that were asked for and never acted, trouble with the nemesis
/// or with the store. None of it can make a run invalid. That a fault was not undone, or the heal not
/// proved, is in the history, and [`power`](crate::checker::power) judges it.
pub(super) fn run_verdict(history: &History, asked: &[String], problems: &[String]) -> Verdict {
    let mut verdict = Verdict::valid("run");
    let faults = history.faults();
    for kind in asked {
        let acted = faults.iter().any(|f| *f.name == **kind && f.status == FaultStatus::Installed);
        if !acted {
            verdict = verdict.because(format!("no `{kind}` was ever seen to act"));
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
    use crate::checker::Checker;

    struct Says(fn() -> Verdict);
    impl Checker for Says {
        fn check(&self, _: &History) -> Verdict {
            (self.0)()
        }
    }

    fn judged(checkers: Vec<fn() -> Verdict>) -> Verdict {
        let checkers = checkers.into_iter().map(|c| crate::checker::any_checker(Says(c)));
        let history = Arc::new(History::new(["n1"]));
        judge_within(&history, checkers.collect(), Duration::from_millis(300))
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
    fn a_checker_that_never_ends_is_left_behind() {
        let verdict = judged(vec![
            || {
                std::thread::sleep(Duration::from_secs(30));
                Verdict::valid("late")
            },
            || Verdict::valid("a"),
        ]);
        assert_eq!(verdict.validity, Validity::Unknown);
        assert!(verdict.reasons[0].contains("did not finish"), "{verdict:?}");
    }

    #[test]
    fn faults_that_never_acted_leave_a_run_unknown() {
        let history = History::new(["n1"]);
        let verdict = run_verdict(&history, &["bridge".into()], &[]);
        assert_eq!(verdict.validity, Validity::Unknown);
        assert!(run_verdict(&history, &[], &[]).is_valid());
    }
}
