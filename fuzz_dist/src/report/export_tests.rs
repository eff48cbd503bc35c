//! A collector on loopback that is good, slow, absent, busy, rude, or half there.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::*;
use crate::checker::histories::Recorder;
use crate::time::secs;

/// What a collector does with a request, once it has read it.
enum Does {
    /// Says it, and closes.
    Says(String),
    /// Says nothing for so long, and closes.
    Stalls(Duration),
    /// Closes before it has read anything.
    Slams,
}

fn ok() -> Does {
    says(200, "", "{}")
}

fn says(status: u16, headers: &str, body: &str) -> Does {
    let length = body.len();
    Does::Says(format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}"))
}

struct Collector {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    /// Does these one after the other, and then what is good.
    fn start(script: impl IntoIterator<Item = Does>) -> Collector {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = requests.clone();
        let mut script: VecDeque<Does> = script.into_iter().collect();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let does = script.pop_front().unwrap_or_else(ok);
                serve(socket.unwrap(), does, &kept);
            }
        });
        Collector { url, requests }
    }

    fn settings(&self) -> Settings {
        settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &self.url)]).unwrap().unwrap()
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(mut socket: TcpStream, does: Does, kept: &Mutex<Vec<String>>) {
    if matches!(does, Does::Slams) {
        return;
    }
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes);
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.lines().find_map(|l| l.strip_prefix("Content-Length: "));
            body.len() >= length.unwrap().parse::<usize>().unwrap()
        });
        if whole {
            break;
        }
        let n = socket.read(&mut buffer).unwrap();
        assert!(n > 0, "the request is cut off");
        bytes.extend_from_slice(&buffer[..n]);
    }
    kept.lock().unwrap().push(String::from_utf8(bytes).unwrap());
    match does {
        Does::Says(answer) => socket.write_all(answer.as_bytes()).unwrap(),
        Does::Stalls(time) => std::thread::sleep(time),
        Does::Slams => {}
    }
}

fn settings(variables: &[(&str, &str)]) -> Result<Option<Settings>, String> {
    let find = |name: &str| variables.iter().find(|(n, _)| *n == name);
    Settings::read(|name| find(name).map(|(_, value)| value.to_string()))
}

/// A run of so many operations.
fn history(operations: i64) -> Arc<History> {
    let mut r = Recorder::new(["n1", "n2"]);
    r.history_mut().set_meta("db", "shop");
    for n in 0..operations {
        r.invoke(0, "add", n);
        r.done(0);
    }
    Arc::new(r.history())
}

#[test]
fn every_span_arrives_once_at_a_good_one() {
    let collector = Collector::start([]);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s%20cret, x=1"),
        ("OTEL_SERVICE_NAME", "shop-tests"),
    ];
    let settings = settings(&variables).unwrap().unwrap();
    let history = history(1200);
    let line = settings.export(&history);
    assert!(line.starts_with("traces: 1203 spans to http://127.0.0.1:"), "{line}");
    assert!(line.ends_with(&format!("/v1/traces, trace {}", history.trace_id())), "{line}");
    let requests = collector.requests();
    assert_eq!(requests.len(), 3 + 2, "batches of 512, and a request for each node");
    let mut spans = 0;
    for request in &requests {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        for line in [
            "POST /v1/traces HTTP/1.1\r\n",
            "Content-Type: application/json\r\n",
            "api-key: s cret\r\n",
            "x: 1",
        ] {
            assert!(head.contains(line), "{head}");
        }
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        let resource = &json["resourceSpans"][0];
        spans += resource["scopeSpans"][0]["spans"].as_array().unwrap().len();
        let service = resource["resource"]["attributes"][0]["value"]["stringValue"].clone();
        assert!(service == "shop-tests" || service == "shop", "{service}");
    }
    assert_eq!(spans, 1203);
}

#[test]
fn one_that_is_busy_is_asked_again() {
    let busy = says(503, "Retry-After: 0\r\n", "later");
    let collector = Collector::start([busy, says(429, "Retry-After: 0\r\n", ""), ok()]);
    let line = collector.settings().export(&history(1));
    assert!(line.starts_with("traces: 4 spans"), "{line}");
    assert_eq!(collector.requests().len(), 3 + 2);
}

#[test]
fn one_that_stays_busy_is_given_up_and_not_asked_for_the_rest() {
    let script = (0..9).map(|_| says(503, "Retry-After: 0\r\n", "over  capacity"));
    let collector = Collector::start(script);
    let line = collector.settings().export(&history(1));
    assert!(line.contains("it answered 503: over capacity (tried 4 times)"), "{line}");
    assert!(line.contains("0 of 4 spans arrived"), "{line}");
    assert_eq!(collector.requests().len(), 4);
    // One that asks for more patience than there is, is not waited for.
    let patient = Collector::start([says(503, "Retry-After: 3600\r\n", "")]);
    let begin = Instant::now();
    let line = patient.settings().export(&history(1));
    assert!(line.contains("it answered 503 (tried once)"), "{line}");
    assert!(begin.elapsed() < secs(20));
}

#[test]
fn one_that_refuses_is_not_asked_twice() {
    let collector = Collector::start([says(404, "", "no such page")]);
    let line = collector.settings().export(&history(1));
    assert!(line.contains("it answered 404: no such page (0 of 4"), "{line}");
    assert_eq!(collector.requests().len(), 1);
}

#[test]
fn nobody_there_is_reported() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let settings = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]).unwrap().unwrap();
    let line = settings.export(&history(1));
    assert!(line.contains("refused") && line.contains("(tried 4 times)"), "{line}");
    assert!(line.contains("is an OpenTelemetry collector listening there"), "{line}");
}

#[test]
fn a_slow_one_is_waited_for_within_limits() {
    let collector = Collector::start((0..4).map(|_| Does::Stalls(Duration::from_millis(400))));
    let mut settings = collector.settings();
    settings.timeout = Duration::from_millis(60);
    let line = settings.export(&history(1));
    assert!(line.contains("no answer within 60ms (tried 4 times)"), "{line}");
    // All of it has a limit, too, however patient each try may be.
    let collector = Collector::start([Does::Stalls(secs(20))]);
    let mut settings = collector.settings();
    settings.total = Duration::from_millis(300);
    let begin = Instant::now();
    let line = settings.export(&history(1));
    assert!(line.contains("0 of 4 spans arrived"), "{line}");
    assert!(begin.elapsed() < secs(15));
}

#[test]
fn half_an_answer_counts_as_far_as_it_came() {
    let half = |text: &str| Does::Says(text.into());
    let collector = Collector::start([
        half("HTTP/1.1 200 OK\r\nContent-Len"),
        Does::Slams,
        half("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"),
        half("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
    ]);
    let line = collector.settings().export(&history(1));
    assert!(line.starts_with("traces: 4 spans"), "{line}");
    let rude = Collector::start([half("SSH-2.0-OpenSSH_9.2\r\n\r\n")]);
    let line = rude.settings().export(&history(1));
    assert!(line.starts_with("traces: 4 spans"), "it is tried again: {line}");
}

#[test]
fn spans_that_are_rejected_are_reported() {
    let partial = "{\"partialSuccess\": {\"rejectedSpans\": \"2\", \"errorMessage\": \"too old\"}}";
    let collector = Collector::start([says(200, "", partial)]);
    let line = collector.settings().export(&history(3));
    assert!(line.contains("2 spans were rejected: too old (4 of 6 spans arrived)"), "{line}");
}

#[test]
fn the_environment_says_where_and_how() {
    let url = |variables: &[(&str, &str)]| settings(variables).map(|s| s.map(|s| s.url));
    let to = |url: &str| Ok(Some(url.to_string()));
    assert_eq!(url(&[]), Ok(None));
    assert_eq!(url(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), Ok(None));
    let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/base/");
    let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:1/as-it-is");
    assert_eq!(url(&[all]), to("http://c:4318/base/v1/traces"));
    assert_eq!(url(&[all, traces]), to("http://t:1/as-it-is"));
    assert_eq!(url(&[all, ("OTEL_SDK_DISABLED", "TRUE")]), Ok(None));
    assert_eq!(url(&[all, ("OTEL_TRACES_EXPORTER", "none")]), Ok(None));
    let timeout = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250");
    let read = settings(&[all, timeout]).unwrap().unwrap();
    assert_eq!((read.timeout, read.service.as_str()), (Duration::from_millis(250), "fuzz_dist"));
    for (variables, part) in [
        (vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c")], "let a collector on this machine"),
        (vec![all, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], "http/json"),
        (vec![all, ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")], "milliseconds"),
        (vec![all, ("OTEL_EXPORTER_OTLP_HEADERS", "key")], "name=value"),
        (vec![all, ("OTEL_EXPORTER_OTLP_HEADERS", "a b=1")], "no name of a header"),
        (vec![all, ("OTEL_EXPORTER_OTLP_HEADERS", "a=%0d%0ab: c")], "percent-encoded"),
        (vec![all, ("OTEL_EXPORTER_OTLP_HEADERS", "a=%é")], "percent-encoded"),
    ] {
        let error = settings(&variables).unwrap_err();
        assert!(error.contains(part) && error.contains("OTEL_"), "{error}");
    }
}
