//! Faults as the history has them: when each started, took effect, was stopped, was verified as removed.
//!
//! A fault is recorded as up to four events of [`Process::NEMESIS`] whose function is the
//! fault's name and whose value is a map with `id`, `edge` and, on the edges that report a
//! check, `status` and `evidence`.

use std::time::Duration;

use super::{History, View};
use crate::op::{Kind, Name, Process, Value};
use crate::time::Time;

/// The four points in a fault's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Edge {
    /// About to be applied.
    Start,
    /// Applied, and its effect checked.
    Started,
    /// About to be undone.
    Stop,
    /// Undone, and that checked.
    Stopped,
}

impl Edge {
    /// As it is written in histories.
    pub const fn as_str(self) -> &'static str {
        match self {
            Edge::Start => "start",
            Edge::Started => "started",
            Edge::Stop => "stop",
            Edge::Stopped => "stopped",
        }
    }

    fn parse(text: &str) -> Option<Edge> {
        [Edge::Start, Edge::Started, Edge::Stop, Edge::Stopped]
            .into_iter()
            .find(|e| e.as_str() == text)
    }

    /// The kind of the event that records this edge.
    pub const fn kind(self) -> Kind {
        match self {
            Edge::Start | Edge::Stop => Kind::Invoke,
            Edge::Started | Edge::Stopped => Kind::Info,
        }
    }

    /// The status that histories record at this edge, where a check saw what the edge is for
    /// (`Some(true)`), saw the opposite, or could not decide it (`None`).
    pub const fn status(self, seen: Option<bool>) -> &'static str {
        match (self, seen) {
            (Edge::Start | Edge::Started, Some(true)) => FaultStatus::Installed.as_str(),
            (Edge::Start | Edge::Started, Some(false)) => FaultStatus::Ineffective.as_str(),
            (Edge::Stop | Edge::Stopped, Some(true)) => "removed",
            (Edge::Stop | Edge::Stopped, Some(false)) => "not removed",
            (_, None) => FaultStatus::Indeterminate.as_str(),
        }
    }

    /// The reverse of [`Edge::status`]. Histories written before the end had words of its own have those
    /// of the start there.
    fn seen(self, status: &str) -> Option<bool> {
        match (self, status) {
            (Edge::Stop | Edge::Stopped, "removed" | "installed") => Some(true),
            (Edge::Stop | Edge::Stopped, "not removed" | "ineffective") => Some(false),
            (Edge::Start | Edge::Started, "installed") => Some(true),
            (Edge::Start | Edge::Started, "ineffective") => Some(false),
            _ => None,
        }
    }
}

/// Whether a fault took effect, by the check of its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FaultStatus {
    /// It took effect.
    Installed,
    /// It had no effect.
    Ineffective,
    /// The check could not decide it.
    Indeterminate,
}

impl FaultStatus {
    /// As it is written in histories.
    pub const fn as_str(self) -> &'static str {
        match self {
            FaultStatus::Installed => "installed",
            FaultStatus::Ineffective => "ineffective",
            FaultStatus::Indeterminate => "indeterminate",
        }
    }
}

/// Of what a check of a start saw: `None` where it could not decide it.
impl From<Option<bool>> for FaultStatus {
    fn from(seen: Option<bool>) -> FaultStatus {
        match seen {
            Some(true) => FaultStatus::Installed,
            Some(false) => FaultStatus::Ineffective,
            None => FaultStatus::Indeterminate,
        }
    }
}

/// One fault's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultSpan {
    /// Its number within the run.
    pub id: i64,
    /// Its name, such as `majority_minority`.
    pub name: Name,
    /// What it hit, drawn for people: `{n1 n2} | {n3 n4 n5}`.
    pub shape: String,
    /// The zone near a boundary that its length, or its start, was drawn from.
    pub zone: Option<Name>,
    /// When it was about to be applied.
    pub start: Time,
    /// When it was known to act.
    pub started: Option<Time>,
    /// When it was about to be undone.
    pub stop: Option<Time>,
    /// When it was verified as removed.
    pub stopped: Option<Time>,
    /// Did it act?
    pub status: FaultStatus,
    /// Was it verified as removed?
    pub undone: bool,
    /// What the checks at its start and end saw.
    pub evidence: Vec<Value>,
    /// What the last check at its end saw.
    pub end_evidence: Option<Value>,
    /// The event of its start.
    pub event: usize,
}

/// The effect of a fault that lasts no time (a killed process, a blip) can show this much later.
const AFTERMATH: Duration = Duration::from_secs(1);
/// What lasts less than this lasts no time.
const MOMENT: Duration = Duration::from_millis(100);

impl FaultSpan {
    /// Could the fault be felt at some time from `from` to `to`? One that lasts no time is felt for
    /// a second; one that had no effect, never.
    pub fn felt_between(&self, from: Time, to: Time) -> bool {
        let over = self.felt_until().map(|end| match end.since(self.start) < MOMENT {
            true => self.start + AFTERMATH,
            false => end,
        });
        self.status != FaultStatus::Ineffective
            && self.start <= to
            && over.is_none_or(|over| from <= over)
    }

    /// Why the fault does not count as removed: "`kill n3` was not verified as removed: …".
    pub fn not_undone(&self) -> Option<String> {
        if self.undone {
            return None;
        }
        let why = match (self.stopped, &self.end_evidence) {
            (Some(_), Some(evidence)) => in_words(evidence),
            (Some(_), None) => "its end has no evidence".into(),
            (None, _) => "no end is recorded".into(),
        };
        Some(format!(
            "`{}` was not verified as removed: {why}",
            format!("{} {}", self.name, self.shape).trim()
        ))
    }

    /// Could the fault be felt at `time`: from its start until it was verified as removed?
    pub fn active_at(&self, time: Time) -> bool {
        self.start <= time && self.felt_until().is_none_or(|end| time <= end)
    }

    /// When it was verified as removed.
    pub fn felt_until(&self) -> Option<Time> {
        self.stopped.filter(|_| self.undone)
    }
}

/// Evidence in one line: what says nothing is left out.
fn in_words(evidence: &Value) -> String {
    const CHARS_MAX: usize = 240;
    fn words(value: &Value) -> String {
        match value {
            Value::Nil => String::new(),
            Value::Text(text) => text.to_string(),
            Value::List(items) => items.iter().map(words).collect::<Vec<_>>().join("; "),
            Value::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| (words(key), words(value)));
                let said = entries.filter(|(_, value)| !value.is_empty());
                said.map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join(", ")
            }
            other => other.to_string(),
        }
    }
    let text = words(evidence);
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

impl History {
    /// The value of the event that records an edge of a fault. `check` is what the check of that edge saw,
    /// as for [`Edge::status`], and its evidence.
    pub fn fault_value(
        id: i64,
        edge: Edge,
        shape: &str,
        check: Option<(Option<bool>, Value)>,
    ) -> Value {
        let mut entries = vec![("id", id.into()), ("edge", edge.as_str().into())];
        if edge == Edge::Start {
            entries.push(("shape", shape.into()));
        }
        if let Some((seen, evidence)) = check {
            entries.push(("status", edge.status(seen).into()));
            entries.push(("evidence", evidence));
        }
        Value::map(entries)
    }

    /// The value of the event that records the start of a fault drawn from a zone near a boundary.
    pub fn fault_start(id: i64, shape: &str, zone: Option<&str>) -> Value {
        let start = History::fault_value(id, Edge::Start, shape, None);
        match (start, zone) {
            (Value::Map(entries), Some(zone)) => {
                let zone = std::iter::once(("zone".into(), zone.into()));
                Value::Map(entries.iter().cloned().chain(zone).collect())
            }
            (start, _) => start,
        }
    }

    /// All faults of the run, in the order of their start.
    pub fn faults(&self) -> Vec<FaultSpan> {
        let mut faults: Vec<FaultSpan> = Vec::new();
        for i in self.of_process(Process::NEMESIS) {
            let Some(value) = self.view(i) else { continue };
            let Some(id) = value.get("id").and_then(View::as_int) else { continue };
            let Some(edge) = value.get("edge").and_then(View::as_text).and_then(Edge::parse) else {
                continue;
            };
            if edge == Edge::Start {
                faults.push(FaultSpan {
                    id,
                    name: self.function(i).clone(),
                    shape: value.get("shape").and_then(View::as_text).unwrap_or("").into(),
                    zone: value.get("zone").and_then(View::as_text).map(Name::from),
                    start: self.time(i),
                    started: None,
                    stop: None,
                    stopped: None,
                    status: FaultStatus::Indeterminate,
                    undone: false,
                    evidence: Vec::new(),
                    end_evidence: None,
                    event: i,
                });
                continue;
            }
            let Some(fault) = faults.iter_mut().rev().find(|f| f.id == id) else { continue };
            let seen = value.get("status").and_then(View::as_text).and_then(|s| edge.seen(s));
            fault.evidence.extend(value.get("evidence").map(View::to_value));
            match edge {
                Edge::Start => unreachable!("handled above"),
                Edge::Started => {
                    fault.started = Some(self.time(i));
                    fault.status = seen.into();
                }
                Edge::Stop => fault.stop = Some(self.time(i)),
                Edge::Stopped => {
                    fault.stopped = Some(self.time(i));
                    fault.undone = seen == Some(true);
                    fault.end_evidence = value.get("evidence").map(View::to_value);
                }
            }
        }
        faults
    }

    /// How long the longest fault was felt, from its start until it was verified as removed.
    pub fn longest_fault(&self) -> std::time::Duration {
        let end = |f: &FaultSpan| f.stopped.or(f.stop).unwrap_or(f.start);
        let spans = self.faults();
        spans.iter().map(|f| end(f).since(f.start)).max().unwrap_or_default()
    }

    /// Was the healing after the main phase proved? `None` where the run recorded no heal.
    pub fn heal_proved(&self) -> Option<bool> {
        self.of_process(Process::NEMESIS)
            .rev()
            .filter(|i| &**self.function(*i) == "heal")
            .find_map(|i| self.view(i)?.get("proved").map(|v| v.as_bool() == Some(true)))
    }
}
