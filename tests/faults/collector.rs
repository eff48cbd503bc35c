//! Traces over HTTP: to a collector, and to none.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use crate::checks::Place;

pub(crate) fn a_collector_that_does_not_listen_changes_no_verdict() {
    let place = Place::new();
    let store = place.store.to_string_lossy().into_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let nobody = format!("http://{}", listener.local_addr().expect("its address"));
    drop(listener);
    for (endpoint, text) in [(nobody.as_str(), "refused"), ("https://collector", "https is not")] {
        let variables = [("FUZZ_DIST_STORE", &*store), ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)];
        let ended = place.runtime.run("--exact fixture::all_is_well", &variables);
        ended.ended_with(0).says("all_is_well: valid").says("traces were not exported").says(text);
    }
}

/// Is this a head and as much of a body as it says?
fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        body.len() >= length.and_then(|length| length.parse().ok()).expect("a length")
    })
}

pub(crate) fn a_collector_is_given_the_trace() {
    let place = Place::new();
    let store = place.store.to_string_lossy().into_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
    let (sender, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let (mut socket, mut bytes) = (socket.expect("a connection"), Vec::new());
            let mut buffer = [0; 65536];
            while !is_whole(&bytes) {
                let n = socket.read(&mut buffer).expect("a request");
                assert!(n > 0, "the request is cut off");
                bytes.extend_from_slice(&buffer[..n]);
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            socket.write_all(answer).expect("it listens");
            let _ = sender.send(String::from_utf8(bytes).expect("text"));
        }
    });
    let variables = [("FUZZ_DIST_STORE", &*store), ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)];
    let ended = place.runtime.run("--exact fixture::all_is_well", &variables);
    ended.ended_with(0).says("all_is_well: valid").says(&format!("spans to {endpoint}/v1/traces"));
    let all: String = requests.try_iter().collect();
    for part in ["\"name\":\"add\"", "\"name\":\"read\"", "\"stringValue\":\"n2\""] {
        assert!(all.contains(part), "{part} is not in {all}");
    }
}
