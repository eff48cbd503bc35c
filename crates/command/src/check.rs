//! `check`: a history, a checker, a verdict.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::arguments::{Check, Output};
use super::checkers;
use super::output::{self, Judged};
use super::progress::Progress;
use super::{INVALID, UNKNOWN, VALID, folder, input};
use fuzz_dist_checkers::registry::{Judges, Needs, Options, Registration};
use fuzz_dist_checkers::{Validity, Verdict, explained, mixed};
use fuzz_dist_history::op::{Kind, Value};
use fuzz_dist_history::{History, PROCESSES, REAL_TIME};

/// A checker with its options.
struct Asked {
    checker: &'static Registration,
    options: Vec<(String, String)>,
}

impl Asked {
    fn new(checker: &str, options: Vec<(String, String)>) -> Result<Asked, String> {
        let asked = Asked { checker: checkers::find(checker, &options)?, options };
        // Wrong options are reported before a long history is read.
        let built = asked.checker.build(&asked.given(true, true));
        built.map_err(|e| e.to_string())?;
        Ok(asked)
    }

    fn given(&self, real_time: bool, processes: bool) -> Options<'_> {
        let mut options = Options::new(&self.options);
        (options.real_time, options.processes) = (real_time, processes);
        options
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.checker.name)?;
        self.options.iter().try_for_each(|(key, value)| write!(f, " -o {key}={value}"))
    }
}

/// Judges a history, prints the verdict, and gives the exit code.
///
/// # Errors
///
/// Where the arguments or the history are not what they should be, in words for people.
pub(super) fn check(ask: &Check) -> Result<u8, String> {
    let folder = folder::find(&ask.source)?;
    let (source, run) = match folder {
        Some(folder) => (folder.history, Some(folder.judged)),
        None => (ask.source.clone(), None),
    };
    let of_run = run.is_some();
    let (asked, kept) = match (&ask.checker, run) {
        (Some(checker), _) => (vec![Asked::new(checker, ask.options.clone())?], Vec::new()),
        (None, run) => checkers_of(run, ask)?,
    };
    if of_run {
        let names: Vec<String> = asked.iter().map(ToString::to_string).collect();
        eprintln!("note: the history is {source}, judged by {}", names.join(", "));
    }
    let progress = Progress::start();
    let (loaded, format) = input::load(&source, ask.notation.from, &progress)?;
    let history = &loaded.history;
    let known = |fact| history.meta(fact) != Some(&Value::Bool(false));
    let (real_time, processes) = (known(REAL_TIME), known(PROCESSES));
    let mut verdicts: Vec<Verdict> = Vec::new();
    for one in &asked {
        progress.doing(format!("checking {} events with {}", history.len(), one.checker.name));
        verdicts.push(judge(one.checker, &one.given(real_time, processes), history));
    }
    drop(progress);
    verdicts.extend(kept);
    let names: Vec<&str> = asked.iter().map(|one| one.checker.name).collect();
    let (verdict, composed) = match verdicts.len() {
        1 => (verdicts.remove(0), false),
        _ => (Verdict::compose(names.join(","), verdicts), true),
    };
    if let Some(torn) = loaded.torn {
        eprintln!("note: line {} is torn, and no part of the history", torn.line);
    }
    let checker = names.join(",");
    let judged =
        Judged { source: &source, format, checker: &checker, history, verdict: &verdict, composed };
    super::print(&if ask.format == Output::Json {
        output::json(&judged)
    } else {
        output::text(&judged)
    })?;
    // The process ends now: its memory is gone without being given back piece by piece.
    std::mem::forget(loaded);
    Ok(match verdict.validity {
        Validity::Valid => VALID,
        Validity::Invalid => INVALID,
        Validity::Unknown => UNKNOWN,
    })
}

/// The checkers that judged a run, and what was said by those that the command does not have.
fn checkers_of(
    run: Option<folder::Judged>,
    ask: &Check,
) -> Result<(Vec<Asked>, Vec<Verdict>), String> {
    let names = || checkers::names().join(", ");
    let Some(run) = run else {
        return Err(format!("expected --checker with one of: {}", names()));
    };
    if let Some((key, _)) = ask.options.first() {
        return Err(format!("expected --checker with the option {key}"));
    }
    if run.again.is_empty() {
        return Err(format!(
            "the folder {} does not say which checker judged the run; expected --checker with one of: {}",
            ask.source,
            names()
        ));
    }
    let asked =
        run.again.into_iter().map(|a| Asked::new(&a.checker, a.options.into_iter().collect()));
    Ok((asked.collect::<Result<_, String>>()?, run.kept))
}

fn judge(asked: &Registration, given: &Options<'_>, history: &History) -> Verdict {
    let unknown = |why: String| Verdict::unknown(asked.name, why);
    let checker = match asked.build(given) {
        Ok(checker) => checker,
        Err(e) => return unknown(e.to_string()),
    };
    if let Some(why) = stranger(asked, given, history).or_else(|| unordered(asked, given)) {
        return unknown(why);
    }
    if !matches!(asked.judges, Judges::Anything)
        && let Some(why) = mixed(history)
    {
        return unknown(why);
    }
    let verdict = catch_unwind(AssertUnwindSafe(|| checker.check(history)));
    let verdict = verdict.unwrap_or_else(|_| {
        unknown("internal error: the checker panicked; please report it with the history".into())
    });
    // A history in which nothing succeeded has nothing to say for the system.
    let of_anything = matches!(asked.judges, Judges::Anything);
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

/// Says what a checker needs to know of the operations of a history that does not say whose they are.
fn unordered(asked: &Registration, given: &Options<'_>) -> Option<String> {
    if given.processes {
        return None;
    }
    let by_option = asked.options.iter().filter(|o| o.of_clients).map(|o| o.key);
    let by_option = by_option.into_iter().find(|key| given.flag(key) == Ok(true));
    if asked.needs == Needs::Clients || by_option.is_some() {
        let of = by_option.map(|o| format!(" with -o {o}")).unwrap_or_default();
        return Some(format!(
            "{}{of} follows what each client did, and the operations of this history have no :process",
            asked.name
        ));
    }
    if !given.real_time && asked.needs == Needs::Order {
        return Some(format!(
            "{} needs to know what happened before what, and this history has neither a :process nor an invocation for each operation",
            asked.name
        ));
    }
    None
}

/// Says which function of a client the checker does not know.
fn stranger(asked: &Registration, given: &Options<'_>, history: &History) -> Option<String> {
    let Judges::Only(functions) = asked.judges else { return None };
    let known: Vec<&str> = functions.iter().map(|f| given.word_or(f, f)).collect();
    let strange: Vec<bool> = history.functions().iter().map(|f| !known.contains(&&**f)).collect();
    let client = |i: &usize| history.process(*i).is_client();
    let i = (0..history.len()).filter(client).find(|i| strange[history.function_index(*i)])?;
    let f = history.function(i);
    Some(format!("{} does not know `{f}` (event {i}), only {}", asked.name, known.join(", ")))
}
