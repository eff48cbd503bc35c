//! What a run found, as data: results.json.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::traces::id;
use crate::checker::{Anomaly, Cause, Verdict};
use crate::history::{History, Samples, ZoneCount};
use crate::time::Time;

/// The whole of results.json: its first keys are `verdict` and `anomalies`.
pub(crate) fn results(
    verdict: Option<&Verdict>,
    error: Option<&str>,
    history: &History,
    samples: &Samples,
) -> Json {
    let faults: Vec<Json> = history
        .faults()
        .iter()
        .map(|f| {
            json!({
                "name": &*f.name,
                "shape": f.shape,
                "zone": f.zone.as_deref(),
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
        "anomaly_counts": verdict.map(counts),
        "checkers": verdict.map(|v| v.parts.iter().map(|p| part(p, history)).collect::<Vec<_>>()),
        "faults": faults,
        "nodedowns": nodedowns(history),
        "nodedown_matrices": history.down_matrices().iter()
            .map(|m| json!({ "fault": m.fault, "rows": m.rows })).collect::<Vec<_>>(),
        "pairs": pairs(history),
        "zones": zones(verdict, history),
        "samples": samples.summary(),
        "trace_id": history.trace_id(),
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
                "left": d.left.map(|node| history.node_name(node)),
                "event": d.event,
            })
        })
        .collect()
}

/// What each fault did to each pair of nodes that it touched.
fn pairs(history: &History) -> Vec<Json> {
    let ns = |time: Option<Time>| time.map(|t| t.0);
    let pairs = history.pairs().into_iter();
    pairs
        .map(|p| {
            json!({
                "pair": p.pair.map(|node| history.node_name(node)),
                "fault": p.fault,
                "cut_ns": ns(p.cut),
                "dist_down_ns": p.down.map(ns),
                "heal_ns": ns(p.heal),
                "dist_up_ns": ns(p.up),
                "recovered_ns": ns(p.recovered),
            })
        })
        .collect()
}

/// What came of the faults that were drawn near a boundary.
fn zones(verdict: Option<&Verdict>, history: &History) -> Vec<Json> {
    let zones = history.zones().into_iter();
    zones
        .map(|z| {
            json!({
                "zone": &*z.zone,
                "faults": z.faults,
                "lasted_ms": z.lasted_ms,
                "nodedowns": z.nodedowns,
                "timeouts": z.timeouts,
                "anomalies": verdict.map(|v| anomalies_of(&z, v)),
            })
        })
        .collect()
}

/// How many of the reported anomalies came from the faults of a zone.
pub(super) fn anomalies_of(zone: &ZoneCount, verdict: &Verdict) -> usize {
    let from = |a: &&Anomaly| a.fault.is_some_and(|id| zone.faults.contains(&id));
    verdict.anomalies.iter().filter(from).count()
}

fn anomalies(verdict: &Verdict, history: &History) -> Vec<Json> {
    verdict.anomalies.iter().map(|a| anomaly(a, history)).collect()
}

/// How many anomalies of each kind there are; `anomalies` may have only some.
fn counts(verdict: &Verdict) -> BTreeMap<String, usize> {
    verdict.kinds().into_iter().map(|kind| (kind.to_string(), verdict.count(kind))).collect()
}

fn anomaly(anomaly: &Anomaly, history: &History) -> Json {
    json!({
        "kind": &*anomaly.kind,
        "subject": anomaly.subject.to_string(),
        "explanation": anomaly.explanation,
        "events": anomaly.events,
        "spans": spans(anomaly, history),
        "node": anomaly.node.map(|n| history.node_name(n)),
        "time_ns": anomaly.time.map(|t| t.0),
        "within_ns": anomaly.within.map(|(from, to)| [from.0, to.0]),
        "fault": anomaly.fault,
        "causes": anomaly.causes.iter().map(|c| cause(c, history)).collect::<Vec<_>>(),
    })
}

/// The spans of its operations, in the run's trace.
fn spans(anomaly: &Anomaly, history: &History) -> Vec<String> {
    let mut spans: Vec<String> =
        anomaly.events.iter().filter_map(|i| history.span_of_event(*i).map(id)).collect();
    spans.dedup();
    spans
}

fn cause(cause: &Cause, history: &History) -> Json {
    json!({
        "kind": cause.kind.as_str(),
        "node": history.node_name(cause.node),
        "peers": cause.peers.iter().map(|p| &**p).collect::<Vec<_>>(),
        "since_ns": cause.since.0,
        "until_ns": cause.until.map(|t| t.0),
        "reason": cause.reason,
        "fault": cause.fault,
        "events": cause.events,
    })
}

fn part(verdict: &Verdict, history: &History) -> Json {
    json!({
        "checker": &*verdict.checker,
        "verdict": verdict.validity,
        "reasons": verdict.reasons,
        "anomalies": anomalies(verdict, history),
        "anomaly_counts": counts(verdict),
        "results": verdict.results.iter().map(|(k, v)| (k.to_string(), v.clone()))
            .collect::<serde_json::Map<String, Json>>(),
        "parts": verdict.parts.iter().map(|p| part(p, history)).collect::<Vec<_>>(),
    })
}
