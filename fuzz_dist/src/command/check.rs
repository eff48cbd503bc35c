//! `check`: a history, a checker, a verdict.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::arguments::Check;
use super::checkers::{self, Entry, Judges};
use super::given::Given;
use super::output::{self, Judged};
use super::progress::Progress;
use super::{INVALID, UNKNOWN, VALID, input};
use crate::checker::{Validity, Verdict, explained, mixed};
use crate::history::{History, PROCESSES, REAL_TIME};
use crate::op::{Kind, Value};

/// Judges a history, prints the verdict, and gives the exit code.
///
/// # Errors
///
/// Where the arguments or the history are not what they should be, in words for people.
pub(super) fn check(ask: &Check) -> Result<u8, String> {
    let entry = checkers::find(&ask.checker, &ask.options)?;
    let mut given = Given { options: &ask.options, real_time: true, processes: true };
    // Wrong options are told before a long history is read.
    entry.build(&given)?;
    let progress = Progress::start();
    let (loaded, format) = input::load(&ask.source, ask.from, &progress)?;
    progress.doing(format!("checking {} events with {}", loaded.history.len(), entry.name));
    let known = |fact| loaded.history.meta(fact) != Some(&Value::Bool(false));
    (given.real_time, given.processes) = (known(REAL_TIME), known(PROCESSES));
    let verdict = judge(entry, &given, &loaded.history);
    drop(progress);
    if let Some(torn) = loaded.torn {
        eprintln!("note: line {} is torn, and no part of the history", torn.line);
    }
    let judged = Judged {
        source: &ask.source,
        format,
        checker: entry.name,
        history: &loaded.history,
        verdict: &verdict,
    };
    super::print(&if ask.json { output::json(&judged) } else { output::text(&judged) })?;
    Ok(match verdict.validity {
        Validity::Valid => VALID,
        Validity::Invalid => INVALID,
        Validity::Unknown => UNKNOWN,
    })
}

fn judge(entry: &Entry, given: &Given<'_>, history: &History) -> Verdict {
    let unknown = |why: String| Verdict::unknown(entry.name, why);
    let checker = match entry.build(given) {
        Ok(checker) => checker,
        Err(why) => return unknown(why),
    };
    if let Some(why) = stranger(entry, given, history).or_else(|| unordered(entry, given)) {
        return unknown(why);
    }
    if !matches!(entry.judges, Judges::Anything)
        && let Some(why) = mixed(history)
    {
        return unknown(why);
    }
    let verdict = catch_unwind(AssertUnwindSafe(|| checker.check(history)));
    let verdict = verdict
        .unwrap_or_else(|_| unknown("the checker panicked, which is a mistake of its own".into()));
    // A history in which nothing succeeded has nothing to say for the system.
    let of_anything = matches!(entry.judges, Judges::Anything);
    let vacuous = match (history.is_empty(), of_anything || succeeded(history)) {
        (true, _) => Some("the history is empty"),
        (false, false) => Some("no operation succeeded"),
        (false, true) => None,
    };
    if let (true, Some(why)) = (verdict.is_valid(), vacuous) {
        let mut vacuous = verdict.because(why);
        vacuous.validity = Validity::Unknown;
        return explained(vacuous, history);
    }
    explained(verdict, history)
}

fn succeeded(history: &History) -> bool {
    (0..history.len()).any(|i| history.kind(i) == Kind::Ok && history.process(i).is_client())
}

/// Checkers that follow what one client did.
const BY_CLIENT: [&str; 14] = [
    "weak",
    "read_atomic",
    "causal",
    "session_guarantees",
    "crdt_causal",
    "sequential",
    "offset_log",
    "lease",
    "mutex",
    "monotonic",
    "jobs",
    "names",
    "stats",
    "perf",
];

/// Checkers that need not know what happened before what.
const WITHOUT_ORDER: [&str; 7] = [
    "unique_ids",
    "bank",
    "list_append",
    "rw_register",
    "read_committed",
    "long_fork",
    "write_skew",
];

/// Says what a checker needs to know of the operations of a history that does not say whose they are.
fn unordered(entry: &Entry, given: &Given<'_>) -> Option<String> {
    if given.processes {
        return None;
    }
    let by_option = ["sessions", "per-producer"].into_iter().find(|o| given.flag(o) == Ok(true));
    if BY_CLIENT.contains(&entry.name) || by_option.is_some() {
        let of = by_option.map(|o| format!(" with -o {o}")).unwrap_or_default();
        return Some(format!(
            "{}{of} follows what each client did, and the operations of this history have no :process",
            entry.name
        ));
    }
    if !given.real_time && !WITHOUT_ORDER.contains(&entry.name) {
        return Some(format!(
            "{} needs to know what happened before what, and this history has neither a :process nor an invocation for each operation",
            entry.name
        ));
    }
    None
}

/// Says which function of a client the checker does not know.
fn stranger(entry: &Entry, given: &Given<'_>, history: &History) -> Option<String> {
    let Judges::Only(functions) = entry.judges else { return None };
    let known: Vec<&str> = functions.iter().map(|f| given.word_or(f, f)).collect();
    let strange: Vec<bool> = history.functions().iter().map(|f| !known.contains(&&**f)).collect();
    let client = |i: &usize| history.process(*i).is_client();
    let i = (0..history.len()).filter(client).find(|i| strange[history.function_index(*i)])?;
    let f = history.function(i);
    Some(format!("{} does not know `{f}` (event {i}), only {}", entry.name, known.join(", ")))
}
