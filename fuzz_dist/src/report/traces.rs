//! A run as OpenTelemetry traces, in the JSON form of their protocol (OTLP 1.x, `TracesData`): one
//! trace, in which the run, its operations, its faults and its nodes are spans, and what nodes said
//! are events of their spans.

use serde_json::{Value as Json, json};

use crate::history::History;
use crate::op::{Kind, NodeId, Process};
use crate::time::Time;

/// Kinds of spans, as the protocol numbers them.
const INTERNAL: u8 = 1;
const CLIENT: u8 = 3;

/// A span's number as the protocol writes it.
pub(super) fn id(number: u64) -> String {
    format!("{number:016x}")
}

/// The whole file.
pub fn traces(history: &History) -> Json {
    let run = Run { history, trace: history.trace_id(), start_ns: start_ns(history) };
    let end = history.len().checked_sub(1).map_or(Time::ZERO, |last| history.time(last));
    let mut spans =
        vec![run.span(History::RUN_SPAN, INTERNAL, "run", [Time::ZERO, end], Vec::new())];
    spans.extend(run.operations(end));
    spans.extend(run.faults(end));
    let db = history.meta("db").and_then(|db| db.as_text()).unwrap_or("database");
    let mut resources = vec![resource("fuzz_dist", None, spans)];
    for node in (0..history.nodes().len()).map(|i| NodeId(i as u16)) {
        resources.push(resource(db, Some(history.node_name(node)), vec![run.node(node, end)]));
    }
    json!({ "resourceSpans": resources })
}

fn start_ns(history: &History) -> u64 {
    let ms = history.meta("start_unix_ms").and_then(|ms| ms.as_int()).unwrap_or(0);
    u64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000)
}

fn resource(service: &str, instance: Option<&str>, spans: Vec<Json>) -> Json {
    let mut attributes = vec![text("service.name", service)];
    attributes.extend(instance.map(|name| text("service.instance.id", name)));
    json!({
        "resource": { "attributes": attributes },
        "scopeSpans": [{
            "scope": { "name": "fuzz_dist", "version": env!("CARGO_PKG_VERSION") },
            "spans": spans,
        }],
    })
}

fn text(key: &str, value: impl std::fmt::Display) -> Json {
    json!({ "key": key, "value": { "stringValue": value.to_string() } })
}

struct Run<'a> {
    history: &'a History,
    trace: String,
    start_ns: u64,
}

impl Run<'_> {
    /// Nanoseconds since 1970, which the protocol writes as a string.
    fn at(&self, time: Time) -> String {
        self.start_ns.saturating_add(time.0).to_string()
    }

    fn span(
        &self,
        number: u64,
        kind: u8,
        name: &str,
        at: [Time; 2],
        attributes: Vec<Json>,
    ) -> Json {
        let mut span = json!({
            "traceId": self.trace,
            "spanId": id(number),
            "name": name,
            "kind": kind,
            "startTimeUnixNano": self.at(at[0]),
            "endTimeUnixNano": self.at(at[1]),
            "attributes": attributes,
        });
        if number != History::RUN_SPAN {
            span["parentSpanId"] = id(History::RUN_SPAN).into();
        }
        span
    }

    /// Of a failed operation the status is an error; where nobody knows, it is unset.
    fn operations(&self, end: Time) -> impl Iterator<Item = Json> + '_ {
        let h = self.history;
        let invoked = move |i: &usize| h.kind(*i) == Kind::Invoke && h.process(*i).is_client();
        (0..h.len()).filter(invoked).map(move |i| {
            let done = h.completion(i);
            let at = [h.time(i), done.map_or(end, |d| h.time(d))];
            let mut attributes = vec![text("fuzz_dist.client", h.process(i))];
            attributes.extend(h.node(i).map(|node| text("fuzz_dist.node", h.node_name(node))));
            if let Some(n) = h.int(i) {
                attributes.push(text("fuzz_dist.value", n));
            }
            let outcome = done.map_or("info", |d| h.kind(d).as_str());
            attributes.push(text("fuzz_dist.outcome", outcome));
            let mut span =
                self.span(History::span_of_invocation(i), CLIENT, h.function(i), at, attributes);
            let error = done.and_then(|d| h.error(d));
            span["status"] = match done.map(|d| h.kind(d)) {
                Some(Kind::Ok) => json!({ "code": 1 }),
                Some(Kind::Fail) => {
                    json!({ "code": 2, "message": error.map(ToString::to_string) })
                }
                _ => json!({ "message": error.map(ToString::to_string) }),
            };
            span
        })
    }

    fn faults(&self, end: Time) -> impl Iterator<Item = Json> + '_ {
        self.history.faults().into_iter().map(move |f| {
            let at = [f.start, f.stopped.or(f.stop).unwrap_or(end)];
            let mut attributes = vec![
                text("fuzz_dist.shape", &f.shape),
                text("fuzz_dist.status", f.status.as_str()),
            ];
            attributes.extend(f.zone.as_deref().map(|zone| text("fuzz_dist.zone", zone)));
            self.span(History::span_of_fault(f.id), INTERNAL, &f.name, at, attributes)
        })
    }

    /// A node's whole run, with all that it said.
    fn node(&self, node: NodeId, end: Time) -> Json {
        let h = self.history;
        let said = |i: &usize| h.process(*i) == Process::RUNTIME && h.node(*i) == Some(node);
        let event = |i: usize| {
            json!({
                "timeUnixNano": self.at(h.time(i)),
                "name": &**h.function(i),
                "attributes": [text("fuzz_dist.details", h.value(i))],
            })
        };
        let events: Vec<Json> = (0..h.len()).filter(said).map(event).collect();
        let number = History::span_of_node(node);
        let mut span =
            self.span(number, INTERNAL, h.node_name(node), [Time::ZERO, end], Vec::new());
        span["events"] = events.into();
        span
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::histories::Recorder;
    use crate::history::{Edge, FaultStatus};
    use crate::op::Value;

    fn run() -> History {
        let mut r = Recorder::new(["n1", "n2"]);
        r.history_mut().set_meta("seed", "0x10");
        r.history_mut().set_meta("start_unix_ms", 1000);
        r.history_mut().set_meta("db", "shop");
        r.invoke(0, "add", 7);
        let check = Some((FaultStatus::Installed, Value::Nil));
        let start = History::fault_start(0, "{n1} | {n2}", Some("tick"));
        r.event(Process::NEMESIS, None, Kind::Invoke, "halves".into(), start);
        let started = History::fault_value(0, Edge::Started, "", check);
        r.event(Process::NEMESIS, None, Kind::Info, "halves".into(), started);
        let down = Value::map([("peer", Value::from("n2"))]);
        r.event(Process::RUNTIME, Some(NodeId(0)), Kind::Info, "nodedown".into(), down);
        r.done(0);
        r.history()
    }

    #[test]
    fn operations_faults_and_nodes_are_spans_of_one_trace() {
        let history = run();
        let traces = traces(&history);
        let spans = |resource: usize| {
            traces["resourceSpans"][resource]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
        };
        let (own, n1) = (spans(0), spans(1));
        let names: Vec<&str> = own.iter().map(|s| s["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["run", "add", "halves"]);
        let all: Vec<&Json> = own.iter().chain(&n1).collect();
        assert!(all.iter().all(|s| s["traceId"] == all[0]["traceId"]));
        assert_eq!(all[0]["traceId"], "000000000000001000000000000003e8");
        assert!(all[1..].iter().all(|s| s["parentSpanId"] == all[0]["spanId"]));
        let mut ids: Vec<&str> = all.iter().map(|s| s["spanId"].as_str().unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all.len());
        assert_eq!(own[1]["startTimeUnixNano"], "1000000000");
        assert_eq!(own[1]["endTimeUnixNano"], "1004000000");
        assert_eq!(own[1]["status"]["code"], 1);
        assert_eq!(n1[0]["events"][0]["name"], "nodedown");
        assert_eq!(n1[0]["events"][0]["timeUnixNano"], "1003000000");
    }

    #[test]
    fn an_event_finds_the_span_of_its_operation() {
        let history = run();
        let span = history.span_of_event(0);
        assert_eq!(span, history.span_of_event(4));
        assert_eq!(span.map(id).as_deref(), Some("0000000000000001"));
        assert_eq!(history.span_of_event(1), None);
        assert_eq!(history.span_of_event(99), None);
    }
}
