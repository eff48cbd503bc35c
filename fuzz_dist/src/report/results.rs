//! What a run found, as data: results.json.

use serde_json::{Value as Json, json};

use crate::checker::{Anomaly, Verdict};
use crate::history::History;

/// The whole of results.json: its first keys are `verdict` and `anomalies`.
pub fn results(verdict: Option<&Verdict>, error: Option<&str>, history: &History) -> Json {
    let faults: Vec<Json> = history
        .faults()
        .iter()
        .map(|f| {
            json!({
                "name": &*f.name,
                "shape": f.shape,
                "start_ns": f.start.0,
                "started_ns": f.started.map(|t| t.0),
                "stop_ns": f.stop.map(|t| t.0),
                "stopped_ns": f.stopped.map(|t| t.0),
                "status": f.status.as_str(),
                "undone": f.undone,
                "evidence": f.evidence.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })
        })
        .collect();
    let meta: serde_json::Map<String, Json> =
        history.all_meta().iter().map(|(k, v)| (k.to_string(), json!(v.to_string()))).collect();
    json!({
        "verdict": verdict.map(|v| v.validity),
        "error": error,
        "reasons": verdict.map(|v| &v.reasons),
        "anomalies": verdict.map(|v| anomalies(v, history)),
        "checkers": verdict.map(|v| v.parts.iter().map(|p| part(p, history)).collect::<Vec<_>>()),
        "faults": faults,
        "nodedowns": nodedowns(history),
        "meta": meta,
    })
}

/// Who saw whom go: against the faults, whose numbers are their places in `faults`.
fn nodedowns(history: &History) -> Vec<Json> {
    let downs = history.nodedowns().into_iter();
    downs
        .map(|d| {
            json!({
                "seen_by": history.node_name(d.seen_by),
                "gone": &*d.gone,
                "time_ns": d.time.0,
                "reason": &*d.reason,
                "up_ns": d.up.map(|t| t.0),
                "fault": d.fault,
                "event": d.event,
            })
        })
        .collect()
}

fn anomalies(verdict: &Verdict, history: &History) -> Vec<Json> {
    verdict.anomalies.iter().map(|a| anomaly(a, history)).collect()
}

fn anomaly(anomaly: &Anomaly, history: &History) -> Json {
    json!({
        "kind": &*anomaly.kind,
        "subject": anomaly.subject.to_string(),
        "explanation": anomaly.explanation,
        "events": anomaly.events,
        "node": anomaly.node.map(|n| history.node_name(n)),
        "time_ns": anomaly.time.map(|t| t.0),
    })
}

fn part(verdict: &Verdict, history: &History) -> Json {
    json!({
        "checker": &*verdict.checker,
        "verdict": verdict.validity,
        "reasons": verdict.reasons,
        "anomalies": anomalies(verdict, history),
        "results": verdict.results.iter().map(|(k, v)| (k.to_string(), v.clone()))
            .collect::<serde_json::Map<String, Json>>(),
        "parts": verdict.parts.iter().map(|p| part(p, history)).collect::<Vec<_>>(),
    })
}
