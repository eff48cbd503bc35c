//! Events as lines of JSON: how they are written.
//!
//! ```json
//! {"fuzz_dist_history":1,"nodes":["n1","n2"],"meta":{"seed":"7"}}
//! {"index":0,"time":1000,"process":3,"node":"n1","type":"invoke","f":"read","value":null,"phase":"main"}
//! {"index":1,"time":2000,"process":3,"node":"n1","type":"ok","f":"read","value":{"set":[1,2]},"phase":"main"}
//! {"meta":{"net_ticktime_ms":4000}}
//! ```
//!
//! `null`, truth values, whole numbers, text and lists are those of JSON. A set is
//! `{"set":[1,2]}`, or a difference to the set of an earlier event of the same node and
//! function, `{"base":1,"+":[3],"-":[]}`; a map is `{"map":[[key,value],…]}`. An event may
//! have `"error":{"kind":…,"text":…}`, and lacks a `node` where it has none. Times are
//! nanoseconds since the start of the test.
//!
//! A node that joins while the test runs is not in the first line. Events name it by its place, counted
//! from 0, and the first of them has its name. Readers that do not know of it skip that event:
//!
//! ```json
//! {"index":9,"time":9000,"process":"runtime","node":2,"type":"info","f":"member","value":{"map":[["name","n3"],["state","joining"]]},"phase":"main"}
//! ```

use super::words::Words;
use super::{History, View, digits};
use crate::op::{Name, Process, Value};

/// The version that the first line names.
pub(super) const VERSION: u64 = 1;

/// Writes the first line.
pub(super) fn write_header(out: &mut Vec<u8>, history: &History) {
    out.extend_from_slice(b"{\"fuzz_dist_history\":");
    digits::write(out, VERSION);
    out.extend_from_slice(b",\"nodes\":[");
    separated(out, history.nodes_of_the_start(), |out, node| write_text(out, node));
    out.extend_from_slice(b"],\"meta\":");
    write_meta_object(out, history.all_meta());
    out.extend_from_slice(b"}\n");
}

/// Writes a line that adds a fact about the run.
pub(super) fn write_meta(out: &mut Vec<u8>, key: &Name, value: &Value) {
    out.extend_from_slice(b"{\"meta\":");
    write_meta_object(out, [(key, value)]);
    out.extend_from_slice(b"}\n");
}

fn write_meta_object<'a>(
    out: &mut Vec<u8>,
    entries: impl IntoIterator<Item = (&'a Name, &'a Value)>,
) {
    out.push(b'{');
    separated(out, entries, |out, (key, value)| {
        write_text(out, key);
        out.push(b':');
        write_value(out, value);
    });
    out.push(b'}');
}

/// Writes the line of event `i`.
pub(super) fn write_event(out: &mut Vec<u8>, history: &History, i: usize) {
    out.extend_from_slice(b"{\"index\":");
    digits::write(out, i as u64);
    out.extend_from_slice(b",\"time\":");
    digits::write(out, history.time(i).0);
    out.extend_from_slice(b",\"process\":");
    match history.process(i) {
        Process::NEMESIS => out.extend_from_slice(b"\"nemesis\""),
        Process::RUNTIME => out.extend_from_slice(b"\"runtime\""),
        Process(n) => digits::write(out, n.into()),
    }
    if let Some(node) = history.node(i) {
        out.extend_from_slice(b",\"node\":");
        match history.nodes_of_the_start().get(node.index()) {
            Some(name) => write_text(out, name),
            None => digits::write(out, node.0.into()),
        }
    }
    out.extend_from_slice(b",\"type\":\"");
    out.extend_from_slice(history.kind(i).as_str().as_bytes());
    out.extend_from_slice(b"\",\"f\":");
    write_text(out, history.function(i));
    out.extend_from_slice(b",\"value\":");
    write_event_value(out, history, i);
    if let Some(error) = history.error(i) {
        out.extend_from_slice(b",\"error\":{\"kind\":");
        write_text(out, &error.kind);
        out.extend_from_slice(b",\"text\":");
        write_text(out, &error.text);
        out.push(b'}');
    }
    out.extend_from_slice(b",\"phase\":\"");
    out.extend_from_slice(history.phase(i).as_str().as_bytes());
    out.extend_from_slice(b"\"}\n");
}

fn write_event_value(out: &mut Vec<u8>, history: &History, i: usize) {
    let Some(read) = history.set_read(i) else {
        if let Some(value) = history.view(i) {
            write_view(out, value);
        }
        return;
    };
    match read.base {
        None => write_set(out, &read.added),
        Some(base) => {
            out.extend_from_slice(b"{\"base\":");
            digits::write(out, base as u64);
            out.extend_from_slice(b",\"+\":[");
            separated(out, &read.added[..], |out, n| digits::write_signed(out, *n));
            out.extend_from_slice(b"],\"-\":[");
            separated(out, &read.removed[..], |out, n| digits::write_signed(out, *n));
            out.extend_from_slice(b"]}");
        }
    }
}

fn write_set(out: &mut Vec<u8>, items: &[i64]) {
    out.extend_from_slice(b"{\"set\":[");
    separated(out, items, |out, n| digits::write_signed(out, *n));
    out.extend_from_slice(b"]}");
}

/// Writes a value that stands alone.
fn write_value(out: &mut Vec<u8>, value: &Value) {
    let mut words = Words::default();
    let word = words.value(value);
    write_view(out, words.view(word));
}

fn write_view(out: &mut Vec<u8>, value: View<'_>) {
    match value {
        View::Nil => out.extend_from_slice(b"null"),
        View::Bool(true) => out.extend_from_slice(b"true"),
        View::Bool(false) => out.extend_from_slice(b"false"),
        View::Int(n) => digits::write_signed(out, n),
        View::Text(text) => write_text(out, text),
        View::Set(numbers) => write_set(out, numbers),
        View::List(items) => {
            out.push(b'[');
            separated(out, items.words(), |out, word| match word.as_small() {
                Some(n) => digits::write_signed(out, n),
                None => write_view(out, items.view(word)),
            });
            out.push(b']');
        }
        View::Map(entries) => {
            out.extend_from_slice(b"{\"map\":[");
            separated(out, entries.iter(), |out, (key, value)| {
                out.push(b'[');
                write_view(out, key);
                out.push(b',');
                write_view(out, value);
                out.push(b']');
            });
            out.extend_from_slice(b"]}");
        }
    }
}

fn separated<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(out, item);
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    let plain = |b: &u8| *b >= 0x20 && *b != b'"' && *b != b'\\';
    if text.as_bytes().iter().all(plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, text).expect("memory takes all writes");
    }
}
