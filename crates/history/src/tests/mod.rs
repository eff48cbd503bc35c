//! Histories pair what belongs together, refuse what cannot be, and keep sets exactly.

use proptest::prelude::*;

use super::*;

mod disk;
mod edn;
mod grown;
mod import;
mod killed;
mod members;
mod pieces;

fn event(process: u32, kind: Kind, f: &str, value: Value) -> Event {
    Event {
        time: Time(0),
        process: Process(process),
        node: Some(NodeId(process as u16 % 3)),
        kind,
        f: f.into(),
        value,
        error: None,
        phase: Phase::Main,
    }
}

#[test]
fn invocations_and_completions_know_each_other() {
    let mut h = History::new(["n1", "n2", "n3"]);
    h.push(event(0, Kind::Invoke, "add", 1.into())).unwrap();
    h.push(event(1, Kind::Invoke, "read", Value::Nil)).unwrap();
    h.push(event(0, Kind::Ok, "add", 1.into())).unwrap();
    assert_eq!((h.completion(0), h.completion(1), h.invocation(2)), (Some(2), None, Some(0)));
    assert_eq!(h.completion(2), None, "a completion has none");
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let mut h = History::new(["n1"]);
    assert!(matches!(
        h.push(event(0, Kind::Ok, "add", 1.into())),
        Err(Malformed::NoInvocation { .. })
    ));
    h.push(event(0, Kind::Invoke, "add", 1.into())).unwrap();
    assert!(matches!(
        h.push(event(0, Kind::Invoke, "add", 2.into())),
        Err(Malformed::TwoInvocations { open: 0, index: 1, .. })
    ));
    assert!(matches!(
        h.push(event(0, Kind::Ok, "read", 2.into())),
        Err(Malformed::OtherFunction { .. })
    ));
    assert_eq!(h.len(), 1);
    h.push(event(0, Kind::Info, "add", 1.into())).unwrap();
}

#[test]
fn faults_are_read_back_from_their_edges() {
    let mut h = History::new(["n1", "n2"]);
    let installed = Some((Some(true), Value::from("n1 -/-> n2")));
    for (t, edge, check) in [
        (1, Edge::Start, None),
        (2, Edge::Started, installed.clone()),
        (8, Edge::Stop, None),
        (9, Edge::Stopped, installed),
    ] {
        let mut e =
            event(0, edge.kind(), "halves", History::fault_value(4, edge, "{n1} | {n2}", check));
        (e.process, e.node, e.time) = (Process::NEMESIS, None, Time(t));
        h.push(e).unwrap();
    }
    let faults = h.faults();
    assert_eq!(faults.len(), 1);
    assert_eq!((&*faults[0].name, faults[0].shape.as_str()), ("halves", "{n1} | {n2}"));
    assert_eq!((faults[0].start, faults[0].stopped), (Time(1), Some(Time(9))));
    assert!(faults[0].undone && faults[0].status == FaultStatus::Installed);
    assert!(faults[0].active_at(Time(9)) && !faults[0].active_at(Time(10)));
}

#[test]
fn the_end_of_a_fault_has_words_of_its_own_and_the_older_ones_are_read_alike() {
    let undone = |word: Option<&str>| {
        let mut h = History::new(["n1"]);
        for (t, edge, check) in [
            (1, Edge::Start, None),
            (2, Edge::Started, Some((Some(true), Value::Nil))),
            (3, Edge::Stop, None),
            (4, Edge::Stopped, Some((Some(false), "still there".into()))),
        ] {
            let mut value = History::fault_value(0, edge, "n1", check);
            if let (Edge::Stopped, Some(word), Value::Map(entries)) = (edge, word, &value) {
                let status = |(key, old): &(Value, Value)| match key.as_text() {
                    Some("status") => (key.clone(), word.into()),
                    _ => (key.clone(), old.clone()),
                };
                value = Value::Map(entries.iter().map(status).collect());
            }
            let mut e = event(0, edge.kind(), "kill", value);
            (e.process, e.node, e.time) = (Process::NEMESIS, None, Time(t));
            h.push(e).unwrap();
        }
        h.faults()[0].not_undone()
    };
    let still_there = Some("`kill n1` was not verified as removed: still there".to_string());
    for word in [None, Some("not removed"), Some("ineffective"), Some("indeterminate")] {
        assert_eq!(undone(word), still_there, "{word:?}");
    }
    assert_eq!((undone(Some("removed")), undone(Some("installed"))), (None, None));
    let words = |edge: Edge| [Some(true), Some(false), None].map(|seen| edge.status(seen));
    assert_eq!(words(Edge::Started), ["installed", "ineffective", "indeterminate"]);
    assert_eq!(words(Edge::Stopped), ["removed", "not removed", "indeterminate"]);
}

proptest! {
    #[test]
    fn sets_come_back_as_they_were_read(
        reads in prop::collection::vec(
            (0u32..3, prop::collection::vec(0i64..12, 0..24)), 0..60)
    ) {
        let mut h = History::new(["n1", "n2", "n3"]);
        let mut expected = Vec::new();
        for (process, items) in reads {
            h.push(event(process, Kind::Invoke, "read", Value::Nil)).unwrap();
            let value = Value::set(items);
            let i = h.push(event(process, Kind::Ok, "read", value.clone())).unwrap();
            expected.push((i, value));
        }
        for (i, value) in expected {
            prop_assert_eq!(h.set_read(i).map(|r| r.len), match &value {
                Value::Set(s) => Some(s.as_slice().len()),
                _ => None,
            });
            prop_assert_eq!(h.value(i), value);
        }
    }
}

#[test]
fn growing_sets_cost_about_what_changed() {
    let mut h = History::new(["n1"]);
    for n in 0..2000i64 {
        h.push(event(0, Kind::Invoke, "read", Value::Nil)).unwrap();
        h.push(event(0, Kind::Ok, "read", Value::set(0..n))).unwrap();
    }
    let stored: usize = (0..h.len()).filter_map(|i| h.set_read(i)).map(|r| r.added.len()).sum();
    assert!(stored < 20_000, "{stored} elements for 2000 reads that add one each");
    assert_eq!(h.value(3999), Value::set(0..1999));
}
