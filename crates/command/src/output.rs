//! Verdicts as text for people and as JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value as Json;

use fuzz_dist_checkers::{Anomaly, Validity, Verdict};
use fuzz_dist_history::op::{Kind, Name};
use fuzz_dist_history::{Format, History};

/// Longer values are cut in text; JSON has them whole.
const VALUE_MAX: usize = 160;
/// So many events of a witness are shown as text.
const EVENTS_MAX: usize = 24;

/// What was judged, and how.
pub(super) struct Judged<'a> {
    pub(super) source: &'a str,
    pub(super) format: Format,
    pub(super) checker: &'a str,
    pub(super) history: &'a History,
    pub(super) verdict: &'a Verdict,
    /// Are its parts checkers of their own?
    pub(super) composed: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    verdict: Validity,
    checker: &'a str,
    anomalies: Vec<Finding<'a>>,
    /// How many of each kind there are; `anomalies` may have only some.
    anomaly_counts: BTreeMap<&'a str, usize>,
    /// The events of the first anomaly.
    witness: Vec<Line<'a>>,
    reasons: &'a [String],
    results: &'a BTreeMap<Name, Json>,
    parts: Vec<Part<'a>>,
    history: Source<'a>,
}

#[derive(Serialize)]
struct Finding<'a> {
    kind: &'a str,
    subject: String,
    explanation: &'a str,
    events: &'a [usize],
    node: Option<&'a str>,
    time_ns: Option<u64>,
}

#[derive(Serialize)]
struct Line<'a> {
    index: usize,
    time_ns: u64,
    process: String,
    node: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'static str,
    f: &'a str,
    value: String,
    error: Option<String>,
}

#[derive(Serialize)]
struct Part<'a> {
    checker: &'a str,
    verdict: Validity,
    anomalies: Vec<Finding<'a>>,
    reasons: &'a [String],
    results: &'a BTreeMap<Name, Json>,
    parts: Vec<Part<'a>>,
}

#[derive(Serialize)]
struct Source<'a> {
    source: &'a str,
    format: &'a str,
    events: usize,
    invocations: usize,
}

/// One object, on one line.
pub(super) fn json(judged: &Judged<'_>) -> String {
    let Judged { history, verdict, .. } = judged;
    let witness = witness(verdict).into_iter().map(|i| line(history, i)).collect();
    let report = Report {
        verdict: verdict.validity,
        checker: judged.checker,
        anomalies: findings(verdict, history),
        anomaly_counts: counts(verdict),
        witness,
        reasons: &verdict.reasons,
        results: &verdict.results,
        parts: verdict.parts.iter().map(|p| part(p, history)).collect(),
        history: Source {
            source: judged.source,
            format: judged.format.as_str(),
            events: history.len(),
            invocations: invocations(history),
        },
    };
    let json = serde_json::to_string(&report);
    json.expect("text and numbers can be written as JSON") + "\n"
}

fn invocations(history: &History) -> usize {
    let invoked = |i: &usize| history.kind(*i) == Kind::Invoke && history.process(*i).is_client();
    (0..history.len()).filter(invoked).count()
}

fn findings<'a>(verdict: &'a Verdict, history: &'a History) -> Vec<Finding<'a>> {
    let finding = |a: &'a Anomaly| Finding {
        kind: &a.kind,
        subject: a.subject.to_string(),
        explanation: &a.explanation,
        events: &a.events,
        node: a.node.map(|n| history.node_name(n)),
        time_ns: a.time.map(|t| t.0),
    };
    verdict.anomalies.iter().map(finding).collect()
}

fn counts(verdict: &Verdict) -> BTreeMap<&str, usize> {
    verdict.kinds().into_iter().map(|kind| (&**kind, verdict.count(kind))).collect()
}

fn part<'a>(verdict: &'a Verdict, history: &'a History) -> Part<'a> {
    Part {
        checker: &verdict.checker,
        verdict: verdict.validity,
        anomalies: findings(verdict, history),
        reasons: &verdict.reasons,
        results: &verdict.results,
        parts: verdict.parts.iter().map(|p| part(p, history)).collect(),
    }
}

/// The events of the most informative anomaly, where the verdict is that there is one.
fn witness(verdict: &Verdict) -> Vec<usize> {
    let first = verdict.anomalies.first().filter(|_| verdict.is_invalid());
    first.map(|a| a.events.clone()).unwrap_or_default()
}

fn line(history: &History, i: usize) -> Line<'_> {
    Line {
        index: i,
        time_ns: history.time(i).0,
        process: history.process(i).to_string(),
        node: history.node(i).map(|n| history.node_name(n)),
        kind: history.kind(i).as_str(),
        f: history.function(i),
        value: history.value(i).to_string(),
        error: history.error(i).map(ToString::to_string),
    }
}

/// A few lines, the verdict first.
pub(super) fn text(judged: &Judged<'_>) -> String {
    let Judged { history, verdict, .. } = judged;
    let mut text = format!("{}\t{}\t{}\n", judged.source, verdict.validity, judged.checker);
    for part in verdict.parts.iter().filter(|_| judged.composed) {
        put(&mut text, format_args!("  {}: {}\n", part.checker, part.validity));
    }
    for reason in &verdict.reasons {
        put(&mut text, format_args!("  {reason}\n"));
    }
    for anomaly in &verdict.anomalies {
        put(&mut text, format_args!("\n  {} {}\n", anomaly.kind, anomaly.subject));
        for line in anomaly.explanation.lines() {
            put(&mut text, format_args!("    {line}\n"));
        }
    }
    for (kind, count) in counts(verdict) {
        let shown = verdict.anomalies.iter().filter(|a| &*a.kind == kind).count();
        if count > shown {
            put(&mut text, format_args!("\n  … and {} more {kind}\n", count - shown));
        }
    }
    let events = witness(verdict);
    if !events.is_empty() {
        put(&mut text, format_args!("\n  the events of the first one:\n"));
    }
    for i in events.iter().take(EVENTS_MAX) {
        let Line { index, process, node, kind, f, value, error, .. } = line(history, *i);
        let time = history.time(*i);
        let node = node.map(|n| format!(" on {n}")).unwrap_or_default();
        let error = error.map(|e| format!(" ({e})")).unwrap_or_default();
        let value = cut(&value);
        put(
            &mut text,
            format_args!(
                "    {index:>6}  {time}  client {process}{node}  {kind} {f} {value}{error}\n"
            ),
        );
    }
    if events.len() > EVENTS_MAX {
        put(&mut text, format_args!("    and {} more\n", events.len() - EVENTS_MAX));
    }
    let mut figures: Vec<String> = Vec::new();
    // What a checker counts of all operations stands in an object.
    let of_all = verdict.results.get("all").and_then(Json::as_object).into_iter().flatten();
    let of_all = of_all.map(|(name, figure)| (name.as_str(), figure));
    let others = verdict.results.iter().map(|(name, figure)| (&**name, figure));
    for (name, figure) in of_all.chain(others) {
        match figure {
            Json::Number(_) | Json::Bool(_) | Json::String(_) => {
                figures.push(format!("{name} {figure}"));
            }
            Json::Object(errors) if name == "errors" && !errors.is_empty() => {
                let kinds = errors.iter().map(|(kind, count)| format!("{} {count}", cut(kind)));
                figures.push(format!("errors {}", kinds.collect::<Vec<_>>().join(" ")));
            }
            _ => {}
        }
    }
    put(&mut text, format_args!("\n  {} events, {}", history.len(), judged.format));
    put(
        &mut text,
        format_args!("{}{}\n", if figures.is_empty() { "" } else { "; " }, figures.join(", ")),
    );
    text
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("memory takes all writes");
}

fn cut(value: &str) -> String {
    match value.char_indices().nth(VALUE_MAX) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.into(),
    }
}
