//! A history records which nodes join and leave, and loads these records from its file.

use super::super::*;
use super::disk::assert_same;
use super::event;
use std::path::Path;

fn changes(node: u16, name: &str, state: MemberState, ms: u64) -> Event {
    let (f, value) = History::member_event(name, state);
    let mut e = event(0, Kind::Info, &f, value);
    (e.process, e.node, e.time) = (Process::RUNTIME, Some(NodeId(node)), Time::from_millis(ms));
    e
}

/// Of n1 and n2 the second leaves; n3 joins and serves, n4 fails to join.
fn recorded() -> History {
    use MemberState::{Joining, Leaving, Left, Member};
    let mut h = History::new(["n1", "n2"]);
    let steps = [
        (2, "n3", Joining),
        (2, "n3", Member),
        (1, "n2", Leaving),
        (3, "n4", Joining),
        (1, "n2", Left),
        (3, "n4", Left),
    ];
    for (i, (node, name, state)) in steps.into_iter().enumerate() {
        h.push(changes(node, name, state, i as u64 * 1000)).unwrap();
    }
    for (kind, value) in [(Kind::Invoke, Value::Nil), (Kind::Ok, Value::set([1, 2]))] {
        let mut read = event(7, kind, "read", value);
        read.node = Some(NodeId(2));
        h.push(read).unwrap();
    }
    h
}

fn lines(h: &History) -> String {
    let mut text = Vec::new();
    h.export(&mut text, Format::Json).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn members_are_those_of_the_end() {
    let h = recorded();
    assert_eq!(h.nodes().len(), 4);
    assert_eq!((h.node_name(NodeId(2)), h.node_name(NodeId(3))), ("n3", "n4"));
    assert_eq!(h.members(), [NodeId(0), NodeId(2)]);
    let line = "members: n3 joined at 1.0 s, n2 left at 4.0 s, n4 left at 5.0 s";
    assert_eq!(h.members_line().as_deref(), Some(line));
    let fixed = History::new(["n1"]);
    assert_eq!((fixed.members(), fixed.members_line()), (vec![NodeId(0)], None));
}

#[test]
fn nodes_that_joined_are_read_back_whatever_reads_them() {
    let h = recorded();
    let text = lines(&h);
    assert!(text.starts_with("{\"fuzz_dist_history\":1,\"nodes\":[\"n1\",\"n2\"]"), "{text}");
    let read = History::read_lines(&mut text.as_bytes(), Path::new("members")).unwrap();
    assert_same(&read.history, &h);
    assert_eq!(read.history.members(), h.members());
    assert_eq!(lines(&read.history), text);
    // A space makes every line one for the slow reader.
    let slow = text.replace(",\"time\"", ", \"time\"");
    let read = History::read_lines(&mut slow.as_bytes(), Path::new("members")).unwrap();
    assert_same(&read.history, &h);

    let mut edn = Vec::new();
    h.export(&mut edn, Format::Edn).unwrap();
    let read = History::import(&mut &edn[..], Path::new("members"), Format::Edn).unwrap().history;
    assert_eq!((read.nodes(), read.members()), (h.nodes(), h.members()));
}
