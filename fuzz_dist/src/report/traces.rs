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

/// The whole file; `service` names the run itself.
pub(crate) fn traces(history: &History, service: &str) -> Json {
    let mut resources: Vec<Json> = Vec::new();
    let run = Run::new(history, service);
    for (of, spans) in run.by_resource() {
        resources.push(run.resource(of, spans.collect()));
    }
    json!({ "resourceSpans": resources })
}

/// How many spans a run has.
pub(super) fn count(history: &History) -> usize {
    let operations = (0..history.len())
        .filter(|i| history.kind(*i) == Kind::Invoke && history.process(*i).is_client());
    1 + operations.count() + history.faults().len() + history.nodes().len()
}

/// The same in requests of at most so many spans and so many bytes (or of one span); ends where `send`
/// says so.
pub(super) fn batches(
    history: &History,
    service: &str,
    (spans_max, bytes_max): (usize, usize),
    mut send: impl FnMut(usize, String) -> bool,
) {
    let run = Run::new(history, service);
    for (of, spans) in run.by_resource() {
        let mut hand_over = |batch: &mut Vec<Json>| {
            let batch = std::mem::take(batch);
            let count = batch.len();
            let request = json!({ "resourceSpans": [run.resource(of, batch)] });
            count == 0 || send(count, request.to_string())
        };
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for span in spans {
            let size = span.to_string().len();
            if (batch.len() == spans_max || bytes + size > bytes_max) && !hand_over(&mut batch) {
                return;
            }
            bytes = if batch.is_empty() { size } else { bytes + size };
            batch.push(span);
        }
        if !hand_over(&mut batch) {
            return;
        }
    }
}

fn start_ns(history: &History) -> u64 {
    history.start_unix_ms().saturating_mul(1_000_000)
}

fn text(key: &str, value: impl std::fmt::Display) -> Json {
    json!({ "key": key, "value": { "stringValue": value.to_string() } })
}

struct Run<'a> {
    history: &'a History,
    service: &'a str,
    trace: String,
    start_ns: u64,
    end: Time,
}

/// Spans that are made when they are wanted: a run may have millions.
type Spans<'a> = Box<dyn Iterator<Item = Json> + 'a>;

impl<'a> Run<'a> {
    fn new(history: &'a History, service: &'a str) -> Run<'a> {
        let end = history.len().checked_sub(1).map_or(Time::ZERO, |last| history.time(last));
        Run { history, service, trace: history.trace_id(), start_ns: start_ns(history), end }
    }

    /// The run itself with its operations and faults, and every node.
    fn by_resource(&self) -> impl Iterator<Item = (Option<NodeId>, Spans<'_>)> {
        let whole = [Time::ZERO, self.end];
        let run = self.span(History::RUN_SPAN, INTERNAL, "run", whole, Vec::new());
        let own =
            std::iter::once(run).chain(self.operations(self.end)).chain(self.faults(self.end));
        let own: Spans<'_> = Box::new(own);
        let nodes = (0..self.history.nodes().len()).map(|i| NodeId(i as u16)).map(|node| {
            let spans: Spans<'_> = Box::new(std::iter::once(self.node(node, self.end)));
            (Some(node), spans)
        });
        std::iter::once((None, own)).chain(nodes)
    }

    /// Who spans come from: a node of the database, or the run.
    fn resource(&self, of: Option<NodeId>, spans: Vec<Json>) -> Json {
        let db = self.history.meta("db").and_then(|db| db.as_text()).unwrap_or("database");
        let attributes = match of {
            None => vec![text("service.name", self.service)],
            Some(node) => vec![
                text("service.name", db),
                text("service.instance.id", self.history.node_name(node)),
            ],
        };
        json!({
            "resource": { "attributes": attributes },
            "scopeSpans": [{
                "scope": { "name": "fuzz_dist", "version": env!("CARGO_PKG_VERSION") },
                "spans": spans,
            }],
        })
    }

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
    use crate::history::Edge;
    use crate::op::Value;

    fn run() -> History {
        let mut r = Recorder::new(["n1", "n2"]);
        r.history_mut().set_meta("seed", "0x10");
        r.history_mut().set_meta("start_unix_ms", 1000);
        r.history_mut().set_meta("db", "shop");
        r.invoke(0, "add", 7);
        let check = Some((Some(true), Value::Nil));
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
        let traces = traces(&history, "fuzz_dist");
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
    fn batches_hold_every_span_once_and_are_no_larger_than_asked() {
        let history = run();
        let whole = traces(&history, "shop-tests");
        let spans_of = |json: &Json| -> Vec<String> {
            let resources = json["resourceSpans"].as_array().unwrap().iter();
            let spans = resources.flat_map(|r| r["scopeSpans"][0]["spans"].as_array().unwrap());
            spans.map(|span| span["spanId"].to_string()).collect()
        };
        assert_eq!(spans_of(&whole).len(), count(&history));
        for (spans_max, bytes_max, expected) in
            [(9, 1 << 20, vec![3, 1, 1]), (2, 1 << 20, vec![2, 1, 1, 1]), (9, 1, vec![1; 5])]
        {
            let (mut counts, mut ids) = (Vec::new(), Vec::new());
            batches(&history, "shop-tests", (spans_max, bytes_max), |count, body| {
                let json: Json = serde_json::from_str(&body).unwrap();
                counts.push(count);
                ids.extend(spans_of(&json));
                let attributes = &json["resourceSpans"][0]["resource"]["attributes"];
                let service = &attributes[0]["value"]["stringValue"];
                assert!(service == "shop-tests" || service == "shop", "{service}");
                true
            });
            assert_eq!((counts, ids), (expected, spans_of(&whole)));
        }
        let mut sent = 0;
        batches(&history, "shop-tests", (1, 1), |count, _| {
            sent += count;
            sent < 2
        });
        assert_eq!(sent, 2);
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
