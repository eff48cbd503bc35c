//! The report of a run.

mod again;
mod export;
mod http;
mod results;
mod short;
mod traces;

pub(crate) use export::{export, service};
pub(crate) use results::results;
pub(crate) use short::for_a_screen;
pub(crate) use traces::traces;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::checker::{Anomaly, Validity, Verdict};
use crate::history::{FaultSpan, FaultStatus, History, Samples, Spread};
use crate::op::{Kind, Phase, Value};
use crate::random::Seed;
use crate::time::Time;
use short::{LINE_MAX, cut};

/// So many anomalies are printed; the rest is in results.json.
const ANOMALIES_MAX: usize = 5;

/// The most characters of an explanation that are printed.
const EXPLANATION_MAX: usize = 1000;
/// So much of the name of a kind of error is printed.
const KIND_MAX: usize = 40;

/// What a run was, besides its history and verdict.
#[derive(Clone, Debug)]
pub(crate) struct RunFacts {
    /// The trial's name.
    pub name: String,
    /// The first line of the test function's documentation.
    pub promise: String,
    /// The seed of this attempt.
    pub seed: Seed,
    /// The folder that keeps what the run found.
    pub folder: Option<PathBuf>,
    /// The effective options in one line.
    pub options: String,
    /// What else people should know, such as an environment's notes.
    pub notes: Vec<String>,
}

/// One line about a trial that passed, and one for each note.
pub(crate) fn line(facts: &RunFacts, history: &History, verdict: &Verdict) -> String {
    let faults = history.faults();
    let undone = faults.iter().filter(|f| f.status == FaultStatus::Installed && f.undone).count();
    let faults = match faults.len() {
        0 => String::new(),
        all if all == undone => format!("; faults: {all}"),
        all => format!("; faults: {all}, {undone} of them verified"),
    };
    let notes: String =
        facts.notes.iter().map(|n| format!("\n  note: {}", cut(n, LINE_MAX))).collect();
    let store =
        facts.folder.as_ref().map_or(String::new(), |f| format!("; report: {}", f.display()));
    let sentence = cut(&sentence(verdict), LINE_MAX) + &kinds_of_errors(history, verdict);
    format!("{}: {sentence}; {}{faults}{store}{notes}", facts.name, operations(history))
}

/// Histories of so many events are judged soon without optimisation, too.
const UNOPTIMISED_EVENTS_MAX: usize = 200_000;

/// The whole screenful; see [`for_a_screen`] for what keeps it one.
pub(crate) fn screenful(
    facts: &RunFacts,
    history: &History,
    samples: &Samples,
    verdict: &Verdict,
) -> String {
    let mut out = String::new();
    let kinds = kinds_of_errors(history, verdict);
    let _ = writeln!(out, "{}: {}{kinds}", facts.name, sentence(verdict));
    if !facts.promise.is_empty() && verdict.validity == Validity::Invalid {
        let _ = writeln!(out, "  the promise was: {}", facts.promise.trim());
    }
    anomalies(&mut out, verdict);
    out.push('\n');
    let _ = writeln!(out, "  {}", operations(history));
    if verdict.validity == Validity::Unknown {
        for line in errors(history) {
            let _ = writeln!(out, "  {line}");
        }
    }
    for line in faults(history) {
        let _ = writeln!(out, "  {line}");
    }
    if let Some(line) = zones(history, verdict) {
        let _ = writeln!(out, "  {line}");
    }
    if let Some(line) = convergence(history) {
        let _ = writeln!(out, "  {line}");
    }
    if let Some(line) = history.members_line() {
        let _ = writeln!(out, "  {line}");
    }
    if let Some(line) = history.runtime_line() {
        let _ = writeln!(out, "  {line}");
    }
    if let Some(line) = beyond_the_cut(history) {
        let _ = writeln!(out, "  {line}");
    }
    if let Some(line) = sampled(samples) {
        let _ = writeln!(out, "  {line}");
    }
    for note in &facts.notes {
        let _ = writeln!(out, "  note: {}", cut(note, LINE_MAX * 2));
    }
    let _ = writeln!(out, "  options: {}", facts.options);
    if let Some(folder) = &facts.folder {
        let _ = writeln!(out, "  report: {}", folder.display());
    }
    let _ = writeln!(out, "  again: {}", again::again(facts.seed, &facts.name));
    if crate::checker::OPT_LEVEL == "0" && history.len() > UNOPTIMISED_EVENTS_MAX {
        out.push_str(
            "  note: the checkers of this build are not optimised; add \
             `[profile.dev.package.fuzz_dist_checkers]` with `opt-level = 3` to Cargo.toml\n",
        );
    }
    out
}

/// The verdict in a sentence.
pub(crate) fn sentence(verdict: &Verdict) -> String {
    const SHOWN: usize = 6;
    let mut reasons: Vec<String> = Vec::new();
    for (i, reason) in verdict.reasons.iter().enumerate() {
        // Checkers that are composed may say the same, one of them in more detail.
        let repeated = |(j, other): (usize, &String)| {
            other.starts_with(reason.as_str()) && (other != reason || j < i)
        };
        if !verdict.reasons.iter().enumerate().any(repeated) {
            reasons.push(cut(reason, LINE_MAX));
        }
    }
    let more = reasons.len().saturating_sub(SHOWN);
    reasons.truncate(SHOWN);
    if more > 0 {
        reasons.push(format!("and {more} more reasons"));
    }
    match reasons.is_empty() {
        true => verdict.validity.to_string(),
        false => format!("{} - {}", verdict.validity, reasons.join("; ")),
    }
}

fn anomalies(out: &mut String, verdict: &Verdict) {
    // Some of every kind, since the tenth lost element is worth less than the first duplicate.
    let mut by_kind: BTreeMap<&str, Vec<&Anomaly>> = BTreeMap::new();
    for anomaly in &verdict.anomalies {
        by_kind.entry(&anomaly.kind).or_default().push(anomaly);
    }
    let each = (ANOMALIES_MAX / by_kind.len().max(1)).max(1);
    for (kind, all) in by_kind {
        for anomaly in all.iter().take(each) {
            let subject = cut(&anomaly.subject.to_string(), LINE_MAX);
            let _ = writeln!(out, "\n  {kind} {subject}");
            for line in wrapped(&cut(&anomaly.explanation, EXPLANATION_MAX), 94) {
                let _ = writeln!(out, "    {line}");
            }
        }
        let more = verdict.count(kind).saturating_sub(each);
        if more > 0 {
            let _ = writeln!(out, "    … and {more} more {kind}");
        }
    }
}

/// Breaks text into lines of at most `width` characters, at blanks.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

/// What was done: `operations: add 812 ok, 3 info; read 790 ok`.
fn operations(history: &History) -> String {
    let mut counts: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for i in (0..history.len()).filter(|i| history.process(*i).is_client()) {
        counts.entry(history.function(i)).or_default()[history.kind(i) as usize] += 1;
    }
    if counts.is_empty() {
        return "operations: none".into();
    }
    let all = counts.into_iter().map(|(f, [invoked, ok, fail, info])| {
        let info = info + invoked.saturating_sub(ok + fail + info);
        let mut parts = vec![format!("{ok} ok")];
        parts.extend((fail > 0).then(|| format!("{fail} fail")));
        parts.extend((info > 0).then(|| format!("{info} info")));
        format!("{f} {}", parts.join(", "))
    });
    format!("operations: {}", all.collect::<Vec<_>>().join("; "))
}

/// Of an unknown verdict, for its first line: the kinds of error that operations ended with, and how many did.
fn kinds_of_errors(history: &History, verdict: &Verdict) -> String {
    const SHOWN: usize = 4;
    if verdict.validity != Validity::Unknown {
        return String::new();
    }
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for i in (0..history.len()).filter(|i| history.process(*i).is_client()) {
        if let Some(error) = history.error(i) {
            *kinds.entry(&error.kind).or_default() += 1;
        }
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let more = kinds.len().saturating_sub(SHOWN);
    let mut shown: Vec<String> = kinds
        .iter()
        .take(SHOWN)
        .map(|(kind, count)| format!("{} {count}", cut(kind, KIND_MAX)))
        .collect();
    shown.extend((more > 0).then(|| format!("{more} more kinds")));
    match shown.is_empty() {
        true => String::new(),
        false => format!("; errors of operations: {}", shown.join(", ")),
    }
}

/// The errors of operations by function and kind, the most frequent first, each with the text of its
/// first: `errors of add: exception 182, such as: …`.
fn errors(history: &History) -> Vec<String> {
    const SHOWN: usize = 3;
    let mut kinds: BTreeMap<(&str, &str), (usize, &str)> = BTreeMap::new();
    for i in (0..history.len()).filter(|i| history.process(*i).is_client()) {
        if let Some(error) = history.error(i) {
            let key = (history.function(i).as_ref(), error.kind.as_ref());
            kinds.entry(key).or_insert((0, &error.text)).0 += 1;
        }
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    let line = |((function, kind), (count, text)): ((&str, &str), (usize, &str))| {
        format!("errors of {function}: {kind} {count}, such as: {}", cut(text, LINE_MAX))
    };
    kinds.into_iter().take(SHOWN).map(line).collect()
}

fn faults(history: &History) -> Vec<String> {
    let faults = history.faults();
    if faults.is_empty() {
        return vec!["faults: none".into()];
    }
    let mut lines: Vec<String> =
        faults.iter().take(6).map(|f| format!("fault: {}", life(f))).collect();
    if faults.len() > 6 {
        lines.push(format!("… and {} more faults", faults.len() - 6));
    }
    lines
}

fn life(fault: &FaultSpan) -> String {
    let status = match fault.status {
        FaultStatus::Installed if fault.undone => "took effect and was removed".to_string(),
        FaultStatus::Installed => "took effect, not verified as removed".into(),
        other => match fault.evidence.first() {
            Some(seen) => format!("{}: {}", other.as_str(), shortened(&seen.to_string())),
            None => other.as_str().into(),
        },
    };
    let end = fault.stopped.or(fault.stop).map_or("?".into(), |t| t.to_string());
    let shape = cut(&fault.shape, LINE_MAX);
    format!("{} {shape}, {} to {end} ({status})", fault.name, fault.start)
}

/// Enough of what a check saw to know why a fault did not act.
fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 160;
    match text.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into(),
    }
}

/// Nodes that took each other for dead although no fault had cut them.
fn beyond_the_cut(history: &History) -> Option<String> {
    const SHOWN: usize = 4;
    let all = history.beyond_the_cut();
    let shown = all[..all.len().min(SHOWN)].join(", ");
    let more = match all.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!all.is_empty()).then(|| format!("beyond the cut: {shown}{more}"))
}

/// The greatest of what was sampled:
/// `samples: 150; run queue up to 7 (n2, 4.012 s), memory 61 MB (n1, …), mailbox 812 (n3 cart, …)`.
fn sampled(samples: &Samples) -> Option<String> {
    const KINDS: [(&str, &str, i64, &str); 4] = [
        ("run_queue", "run queue", 1, ""),
        ("memory_total", "memory", 1_000_000, " MB"),
        ("longest_mailbox", "mailbox", 1, ""),
        ("dist_queue", "distribution queue", 1000, " kB"),
    ];
    let spreads = samples.spreads();
    let greatest = KINDS.iter().filter_map(|(what, shown, unit, unit_name)| {
        let all = spreads.iter().filter(|s| *s.what == **what);
        let Spread { node, max, max_at, max_of, .. } = all.max_by_key(|s| s.max)?;
        let of = max_of.as_ref().map_or(String::new(), |of| format!(" {of}"));
        let max = max / unit;
        (max > 0).then(|| format!("{shown} {max}{unit_name} ({node}{of}, {max_at})"))
    });
    let greatest: Vec<String> = greatest.collect();
    let count: usize = spreads.iter().filter(|s| &*s.what == "run_queue").map(|s| s.count).sum();
    let lost = match samples.lost() {
        0 => String::new(),
        lost => format!(", {lost} more were lost"),
    };
    let greatest = match greatest.is_empty() {
        true => String::new(),
        false => format!("; at most {}", greatest.join(", ")),
    };
    (count > 0).then(|| format!("samples: {count}{lost}{greatest}"))
}

/// What came of draws near a boundary:
/// `near a boundary: tick 2 faults (3.1 s 4.8 s), 8 nodedowns, 3 time-outs, 1 anomaly; blip 1 fault …`.
fn zones(history: &History, verdict: &Verdict) -> Option<String> {
    let count =
        |n: usize, noun: &str, plural: &str| format!("{n} {}", if n == 1 { noun } else { plural });
    let zones = history.zones().into_iter();
    let lines: Vec<String> = zones
        .map(|z| {
            let lasted: Vec<String> =
                z.lasted_ms.iter().map(|ms| format!("{:.2} s", *ms as f64 / 1e3)).collect();
            format!(
                "{} {} ({}), {}, {}, {}",
                z.zone,
                count(z.faults.len(), "fault", "faults"),
                lasted.join(" "),
                count(z.nodedowns, "nodedown", "nodedowns"),
                count(z.timeouts, "time-out", "time-outs"),
                count(results::anomalies_of(&z, verdict), "anomaly", "anomalies"),
            )
        })
        .collect();
    (!lines.is_empty()).then(|| format!("near a boundary: {}", lines.join("; ")))
}

fn convergence(history: &History) -> Option<String> {
    let prompt = history.meta("heal").is_some_and(|heal| *heal == Value::from("prompt"));
    let heal = if prompt { "prompt heal" } else { "heal" };
    let end = match history.meta("converged_ms")? {
        Value::Int(ms) => {
            format!("all nodes agreed {} after the {heal}", Time::from_millis(*ms as u64))
        }
        _ => {
            let waited = history.meta("quiesce_ms").and_then(Value::as_int).unwrap_or(0);
            format!(
                "the nodes did not agree within {} after the {heal}",
                Time::from_millis(waited as u64)
            )
        }
    };
    let reads = (0..history.len())
        .filter(|i| history.phase(*i) == Phase::Final && history.kind(*i) == Kind::Ok)
        .count();
    Some(format!("{end}; {reads} final reads"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{Event, NodeId, OpError, Process};

    #[test]
    fn a_reason_is_given_once_in_its_most_detailed_form() {
        let verdict = Verdict::unknown("verdict", "the run ended early")
            .because("too few reads")
            .because("the run ended early (SIGINT)")
            .because("too few reads");
        assert_eq!(sentence(&verdict), "unknown - too few reads; the run ended early (SIGINT)");
    }

    #[test]
    fn an_unknown_verdict_comes_with_the_texts_of_the_errors() {
        let mut history = History::new(["n1"]);
        let mut event = Event {
            time: Time(1),
            process: Process(0),
            node: Some(NodeId(0)),
            kind: Kind::Invoke,
            f: "add".into(),
            value: Value::Int(1),
            error: None,
            phase: Phase::Main,
        };
        history.push(event.clone()).unwrap();
        event.kind = Kind::Info;
        event.error = Some(OpError::new("exception", "cart:ad/2 is undefined"));
        history.push(event).unwrap();
        let line = "errors of add: exception 1, such as: cart:ad/2 is undefined";
        assert_eq!(errors(&history), [line]);
        let unknown = Verdict::unknown("verdict", "no `add` succeeded");
        assert_eq!(kinds_of_errors(&history, &unknown), "; errors of operations: exception 1");
        assert_eq!(kinds_of_errors(&history, &Verdict::valid("verdict")), "");
        assert_eq!(kinds_of_errors(&History::new(["n1"]), &unknown), "");
    }

    #[test]
    fn the_time_to_convergence_has_the_units_of_the_other_times() {
        let mut history = History::new(["n1"]);
        history.set_meta("converged_ms", 16);
        let line = convergence(&history).unwrap();
        assert_eq!(line, "all nodes agreed 0.016 s after the heal; 0 final reads");
        history.set_meta("converged_ms", Value::Nil);
        history.set_meta("quiesce_ms", 4944);
        let line = convergence(&history).unwrap();
        assert_eq!(line, "the nodes did not agree within 4.944 s after the heal; 0 final reads");
    }

    #[test]
    fn the_line_of_a_fault_that_did_not_act_says_why() {
        let line = |status, evidence: Value| {
            life(&FaultSpan {
                id: 1,
                name: "kill_process".into(),
                shape: "Shop.Cart on n1".into(),
                zone: None,
                start: Time::from_secs(3),
                started: Some(Time::from_secs(3)),
                stop: None,
                stopped: None,
                status,
                undone: false,
                evidence: vec![evidence],
                end_evidence: None,
                event: 0,
            })
        };
        let nobody = "no process is registered as 'Elixir.Shop.Cart'";
        let text = line(FaultStatus::Ineffective, nobody.into());
        assert!(text.contains("ineffective") && text.contains(nobody), "{text}");
        let text = line(FaultStatus::Indeterminate, "ä".repeat(1000).into());
        assert!(text.contains('…') && text.chars().count() < 300, "{text}");
        assert!(!line(FaultStatus::Installed, nobody.into()).contains(nobody));
    }
}
