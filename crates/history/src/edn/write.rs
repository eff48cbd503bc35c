//! Operation maps of EDN, one a line, as Jepsen and Elle read them.

use super::HEADER;
use crate::op::{Phase, Process, Value};
use crate::sets::Wholes;
use crate::words::Words;
use crate::{History, List, View, digits};

/// EDN has no set in which something stands twice.
pub(super) const MULTISET: &[u8] = b"fuzz_dist/multiset";

/// Writes the nodes and facts, as a comment.
pub(crate) fn write_header(out: &mut Vec<u8>, history: &History) {
    out.extend_from_slice(HEADER);
    let facts = history.all_meta().iter();
    let header = Value::map([
        ("nodes", Value::list(history.nodes().iter().cloned())),
        ("meta", Value::Map(facts.map(|(k, v)| (Value::Text(k.clone()), v.clone())).collect())),
    ]);
    let mut words = Words::default();
    let header = words.value(&header);
    write_value(out, words.view(header), false);
    out.push(b'\n');
}

/// Writes the line of event `i`; `sets` are those of the events before it.
pub(crate) fn write_event(out: &mut Vec<u8>, history: &History, i: usize, sets: &mut Wholes) {
    out.extend_from_slice(b"{:index ");
    digits::write(out, i as u64);
    out.extend_from_slice(b", :time ");
    digits::write(out, history.time(i).0);
    out.extend_from_slice(b", :type :");
    out.extend_from_slice(history.kind(i).as_str().as_bytes());
    out.extend_from_slice(b", :process ");
    match history.process(i) {
        Process::NEMESIS => out.extend_from_slice(b":nemesis"),
        Process::RUNTIME => out.extend_from_slice(b":runtime"),
        Process(n) => digits::write(out, n.into()),
    }
    out.extend_from_slice(b", :f ");
    let f = history.function(i);
    name(out, f);
    out.extend_from_slice(b", :value ");
    match history.view(i) {
        Some(value) => write_value(out, value, &**f == "txn"),
        None => write_set(out, sets.next(history, i)),
    }
    if let Some(node) = history.node(i) {
        out.extend_from_slice(b", :node ");
        match history.nodes().get(node.index()) {
            Some(name) => text(out, name),
            None => digits::write(out, node.0.into()),
        }
    }
    if let Some(error) = history.error(i) {
        out.extend_from_slice(b", :error [");
        name(out, &error.kind);
        out.push(b' ');
        text(out, &error.text);
        out.push(b']');
    }
    if history.phase(i) != Phase::Main {
        out.extend_from_slice(b", :phase :");
        out.extend_from_slice(history.phase(i).as_str().as_bytes());
    }
    out.extend_from_slice(b"}\n");
}

/// `micro`: is this the list of a transaction, whose items begin with a function?
fn write_value(out: &mut Vec<u8>, value: View<'_>, micro: bool) {
    match value {
        View::Nil => out.extend_from_slice(b"nil"),
        View::Bool(true) => out.extend_from_slice(b"true"),
        View::Bool(false) => out.extend_from_slice(b"false"),
        View::Int(n) => digits::write_signed(out, n),
        View::Text(t) => text(out, t),
        View::Set(items) => write_set(out, items),
        View::List(items) => {
            out.push(b'[');
            spaced(out, items.words(), |out, word| {
                if let Some(n) = word.as_small() {
                    return digits::write_signed(out, n);
                }
                match items.view(word) {
                    View::List(parts) if micro => write_micro(out, parts),
                    item => write_value(out, item, false),
                }
            });
            out.push(b']');
        }
        View::Map(entries) => {
            out.push(b'{');
            spaced(out, entries.iter(), |out, (key, value)| {
                match key {
                    View::Text(key) => name(out, key),
                    key => write_value(out, key, false),
                }
                out.push(b' ');
                write_value(out, value, false);
            });
            out.push(b'}');
        }
    }
}

/// A micro-operation, where the list is one: its function is a name.
fn write_micro(out: &mut Vec<u8>, parts: List<'_>) {
    let mut words = parts.words();
    let Some(View::Text(f)) = words.next().map(|word| parts.view(word)) else {
        return write_value(out, View::List(parts), false);
    };
    out.push(b'[');
    name(out, f);
    for word in words {
        out.push(b' ');
        match word.as_small() {
            Some(n) => digits::write_signed(out, n),
            None => write_value(out, parts.view(word), false),
        }
    }
    out.push(b']');
}

fn write_set(out: &mut Vec<u8>, items: &[i64]) {
    let twice = items.windows(2).any(|pair| pair[0] == pair[1]);
    out.push(b'#');
    if twice {
        out.extend_from_slice(MULTISET);
    }
    out.extend_from_slice(if twice { b" [" } else { b"{" });
    spaced(out, items, |out, n| digits::write_signed(out, *n));
    out.push(if twice { b']' } else { b'}' });
}

/// What a keyword consists of; letters only are its first one.
const PLAIN: [bool; 256] = {
    let (mut table, others) = ([false; 256], b"-_*+!?<>=.");
    let mut i = 0;
    while i < 128 {
        table[i] = (i as u8).is_ascii_alphanumeric();
        i += 1;
    }
    i = 0;
    while i < others.len() {
        table[others[i] as usize] = true;
        i += 1;
    }
    table
};

/// As a keyword where that is possible.
fn name(out: &mut Vec<u8>, word: &str) {
    let starts = word.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    if starts && word.bytes().all(|b| PLAIN[usize::from(b)]) {
        out.push(b':');
        out.extend_from_slice(word.as_bytes());
    } else {
        text(out, word);
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    // Nearly all text is whole as it stands.
    if !text.bytes().any(|b| matches!(b, b'"' | b'\\' | b'\n' | b'\r' | b'\t')) {
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

fn spaced<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        write(out, item);
    }
}
