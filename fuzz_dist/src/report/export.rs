//! A run's trace over HTTP to an OpenTelemetry collector, where the environment names one.
//!
//! The variables are those of OpenTelemetry's specification (protocol exporter, version 1). What goes
//! wrong is reported; no verdict depends on it, and nothing waits for it longer than a limit.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::http::{self, Address, Answer};
use super::traces;
use crate::env::threads;
use crate::history::History;

/// A request holds so many spans, or bytes, at most; a single span may pass the latter.
const SPANS_MAX: usize = 512;
const BYTES_MAX: usize = 1 << 20;
/// So often a request is tried, with growing pauses between.
const TRIES_MAX: u32 = 4;
const PAUSE: Duration = Duration::from_millis(250);
/// All requests together may take so long.
const TOTAL_LIMIT: Duration = Duration::from_secs(30);
/// The specification's default for one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// So much of a collector's answer is reported.
const QUOTED_MAX: usize = 200;

/// Where traces go, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Settings {
    url: String,
    address: Address,
    headers: Vec<(String, String)>,
    timeout: Duration,
    service: String,
    total: Duration,
}

/// Sends the trace of a run to the collector that the environment names, and says in a sentence what
/// came of it; `None` where it names none.
pub(crate) fn export(history: &Arc<History>) -> Option<String> {
    let settings = Settings::read(|name| std::env::var(name).ok());
    if history.is_empty() {
        return None;
    }
    match settings {
        Ok(settings) => settings.map(|settings| settings.export(history)),
        Err(why) => Some(format!("traces were not exported: {why}")),
    }
}

/// The name of the run's own service, as the environment has it.
pub(crate) fn service() -> String {
    let name = std::env::var("OTEL_SERVICE_NAME").ok();
    name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "fuzz_dist".into())
}

impl Settings {
    fn read(get: impl Fn(&str) -> Option<String>) -> Result<Option<Settings>, String> {
        let get = |name: &str| get(name).map(|v| v.trim().to_string()).filter(|v| !v.is_empty());
        // What is said of traces alone comes before what is said of everything.
        let either = |what: &str| {
            let [of_traces, of_all] =
                [format!("OTEL_EXPORTER_OTLP_TRACES_{what}"), format!("OTEL_EXPORTER_OTLP_{what}")];
            get(&of_traces).map(|v| (of_traces, v)).or_else(|| get(&of_all).map(|v| (of_all, v)))
        };
        let off = get("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"))
            || get("OTEL_TRACES_EXPORTER").is_some_and(|v| v == "none");
        let Some((variable, given)) = either("ENDPOINT").filter(|_| !off) else { return Ok(None) };
        // Only the one of traces alone is the whole address.
        let url = match variable.contains("TRACES") {
            true => given.clone(),
            false => format!("{}/v1/traces", given.trim_end_matches('/')),
        };
        let address = Address::parse(&url).map_err(|why| format!("{variable}={given}: {why}"))?;
        if let Some((variable, value)) = either("PROTOCOL").filter(|(_, v)| v == "grpc") {
            return Err(format!(
                "{variable}={value}: only OTLP over HTTP with JSON is spoken here; set it to \
                 http/json, and the address to the collector's HTTP receiver (mostly port 4318)"
            ));
        }
        let headers = match either("HEADERS") {
            Some((variable, text)) => headers(&text).map_err(|why| format!("{variable}: {why}"))?,
            None => Vec::new(),
        };
        let timeout = match either("TIMEOUT") {
            Some((variable, text)) => match text.parse::<u64>() {
                Ok(ms) if ms > 0 => Duration::from_millis(ms),
                _ => return Err(format!("{variable}={text}: write milliseconds, as 10000")),
            },
            None => TIMEOUT,
        };
        let service = get("OTEL_SERVICE_NAME").unwrap_or_else(|| "fuzz_dist".into());
        Ok(Some(Settings { url, address, headers, timeout, service, total: TOTAL_LIMIT }))
    }

    /// In a thread of its own, since looking a name up has no limit.
    fn export(self, history: &Arc<History>) -> String {
        let (sender, receiver) = mpsc::channel();
        let (history, url, limit) = (history.clone(), self.url.clone(), self.total);
        let all = traces::count(&history);
        let spawned = std::thread::Builder::new().name("traces".into()).spawn({
            let history = history.clone();
            move || drop(sender.send(self.send(&history)))
        });
        let outcome = match spawned {
            Ok(_) => receiver
                .recv_timeout(limit + PAUSE)
                .unwrap_or_else(|_| (0, Some(format!("it took longer than {limit:?}")))),
            Err(error) => (0, Some(threads::with_remedy(error).to_string())),
        };
        match outcome {
            (sent, None) => {
                format!("traces: {sent} spans to {url}, trace {}", history.trace_id())
            }
            (sent, Some(why)) => format!(
                "traces were not exported to {url}: {why} ({sent} of {all} spans arrived); is an \
                 OpenTelemetry collector listening there for OTLP over HTTP?"
            ),
        }
    }

    /// Sends all batches; gives how many spans arrived, and what kept the others from it.
    fn send(&self, history: &History) -> (usize, Option<String>) {
        let end = Instant::now() + self.total;
        let (mut sent, mut failed) = (0, None);
        traces::batches(history, &self.service, (SPANS_MAX, BYTES_MAX), |spans, body| {
            match self.send_one(&body, end) {
                Ok(rejected) => {
                    sent += spans.saturating_sub(rejected.as_ref().map_or(0, |(n, _)| *n));
                    failed = failed.take().or(rejected.map(|(_, why)| why));
                    true
                }
                Err(why) => {
                    failed = Some(why);
                    false
                }
            }
        });
        (sent, failed)
    }

    /// Sends one batch, again where that may help; of what arrived and was rejected all the same how
    /// many spans and why.
    fn send_one(&self, body: &str, end: Instant) -> Result<Option<(usize, String)>, String> {
        let mut tries = 1;
        loop {
            let deadline = end.min(Instant::now() + self.timeout);
            let answer = http::post(&self.address, &self.headers, body.as_bytes(), deadline);
            let (why, pause) = match answer {
                Ok(answer) if answer.status / 100 == 2 => return Ok(rejected(&answer)),
                Ok(answer) if matches!(answer.status, 429 | 502 | 503 | 504) => {
                    (refused(&answer), answer.retry_after)
                }
                Ok(answer) => return Err(refused(&answer)),
                Err(error) => (self.unanswered(&error), None),
            };
            let pause = pause.unwrap_or(PAUSE * 2_u32.pow(tries - 1));
            if tries == TRIES_MAX || Instant::now() + pause >= end {
                let times = if tries == 1 { "once" } else { &format!("{tries} times") };
                return Err(format!("{why} (tried {times})"));
            }
            tries += 1;
            std::thread::sleep(pause);
        }
    }

    fn unanswered(&self, error: &std::io::Error) -> String {
        use std::io::ErrorKind::{TimedOut, WouldBlock};
        match error.kind() {
            TimedOut | WouldBlock => format!("no answer within {:?}", self.timeout),
            _ => error.to_string(),
        }
    }
}

fn refused(answer: &Answer) -> String {
    let said: String = answer.body.split_whitespace().collect::<Vec<_>>().join(" ");
    let said: String = said.chars().take(QUOTED_MAX).collect();
    match said.is_empty() {
        true => format!("it answered {}", answer.status),
        false => format!("it answered {}: {said}", answer.status),
    }
}

/// What a collector took without keeping all of it.
fn rejected(answer: &Answer) -> Option<(usize, String)> {
    let json: serde_json::Value = serde_json::from_str(&answer.body).ok()?;
    let partial = json.get("partialSuccess")?;
    // Large numbers are strings in the protocol's JSON.
    let count = partial.get("rejectedSpans")?;
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok()).unwrap_or(0);
    let why = partial.get("errorMessage").and_then(|m| m.as_str()).unwrap_or("it did not say why");
    let why: String = why.chars().take(QUOTED_MAX).collect();
    (count > 0).then(|| (count as usize, format!("{count} spans were rejected: {why}")))
}

/// Of `name=value,name=value`, whose values are percent-encoded.
fn headers(text: &str) -> Result<Vec<(String, String)>, String> {
    let one = |pair: &str| {
        let (name, value) = pair.split_once('=').ok_or("write name=value,name=value")?;
        let name = name.trim();
        let token = |c: char| c.is_ascii_alphanumeric() || "-_.!#$%&'*+^`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            return Err(format!("`{name}` is no name of a header"));
        }
        let value = decoded(value.trim())
            .filter(|value| value.chars().all(|c| !c.is_control()))
            .ok_or_else(|| format!("the value of `{name}` is not percent-encoded text"))?;
        Ok((name.to_string(), value))
    };
    text.split(',').filter(|pair| !pair.trim().is_empty()).map(one).collect()
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
