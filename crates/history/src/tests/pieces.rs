//! Threads that read pieces of a history give what one reader of all its lines gives: the same events,
//! the same torn end, the same errors at the same lines.

use std::path::Path;

use proptest::prelude::*;

use super::super::edn::Failure;
use super::super::import::plume;
use super::super::pieces::Pieces;
use super::super::*;
use super::disk::{Step, assert_same, record, step};
use crate::op::OpError;

fn read(text: &[u8], line_max: u64, pieces: Pieces) -> Result<Loaded, String> {
    let path = Path::new("h");
    History::read_pieces(&mut &*text, path, line_max, pieces).map_err(|e| e.to_string())
}

/// Reads in order, and in pieces, and compares.
fn compare(text: &[u8], line_max: u64, first: usize, size: usize, threads: usize) {
    let expected = read(text, line_max, Pieces { first: 1 << 18, size: 1 << 18, threads: 1 });
    let found = read(text, line_max, Pieces { first, size, threads });
    match (&found, &expected) {
        (Ok(found), Ok(expected)) => {
            assert_eq!(found.torn, expected.torn);
            assert_same(&found.history, &expected.history);
        }
        (found, expected) => {
            assert_eq!(found.as_ref().err(), expected.as_ref().err());
        }
    }
}

/// Is it an append, of which key, and the number that is appended or how many are read.
type Micro = (bool, i64, Option<i64>);

/// Transactions of a few sessions, as a file.
fn transactions(ops: &[(u32, Vec<Micro>)]) -> Vec<u8> {
    let mut history = History::new(["n1", "n2"]);
    for (process, ops) in ops {
        let of = |known: bool| {
            let one = |(write, key, value): &Micro| {
                let list = |n: i64| (0..n.clamp(0, 20)).map(Value::Int).collect();
                let (f, value) = match (write, value) {
                    (true, value) => ("append", Value::Int(value.unwrap_or(1 << 62))),
                    (false, Some(value)) if known => ("r", Value::List(list(*value))),
                    (false, _) => ("r", Value::Nil),
                };
                Value::list([Value::from(f), Value::Int(*key), value])
            };
            Value::List(ops.iter().map(one).collect())
        };
        let mut event = super::event(*process, Kind::Invoke, "txn", of(false));
        history.push(event.clone()).unwrap();
        (event.kind, event.value) = (Kind::Ok, of(true));
        if ops.len() == 3 {
            (event.kind, event.error) = (Kind::Info, Some(OpError::new("timeout", "no answer")));
        }
        history.push(event).unwrap();
    }
    let mut text = Vec::new();
    history.export(&mut text, Format::Json).unwrap();
    text
}

fn recorded(steps: Vec<Step>, meta: Vec<(String, Value)>) -> Vec<u8> {
    let recorder = Recorder::in_memory(["n1", "n \"2\"", "n3"]);
    record(&recorder, steps);
    let (history, _) = recorder.finish();
    let mut text = Vec::new();
    history.export(&mut text, Format::Json).unwrap();
    // Facts stand anywhere between events.
    let mut lines: Vec<Vec<u8>> = text.split_inclusive(|b| *b == b'\n').map(Vec::from).collect();
    for (i, (key, value)) in meta.into_iter().enumerate() {
        let mut line = Vec::new();
        json::write_meta(&mut line, &key.into(), &value);
        lines.insert(1 + (7 * i) % lines.len(), line);
    }
    lines.concat()
}

/// Plume's text, read in order and in pieces, and compared.
fn compare_plume(text: &[u8], line_max: usize, first: usize, size: usize, threads: usize) {
    let read = |pieces| {
        plume::read_pieces(&mut &*text, line_max, pieces).map_err(|failure| match failure {
            Failure::Line(line, expected) => format!("line {line}: {expected}"),
            Failure::Io(error) => error.to_string(),
        })
    };
    let expected = read(Pieces { first: 1 << 18, size: 1 << 18, threads: 1 });
    match (read(Pieces { first, size, threads }), expected) {
        (Ok(found), Ok(expected)) => assert_same(&found, &expected),
        (found, expected) => assert_eq!(found.err(), expected.err()),
    }
}

/// A line of Plume's text: is it a write, key, value, session, transaction, how it ends.
fn plume_line() -> impl Strategy<Value = (bool, i64, i64, u64, i64, &'static str)> {
    let key = prop_oneof![8 => 0i64..3, 1 => -2i64..0, 1 => (i64::MAX - 3)..i64::MAX];
    let value = prop_oneof![4 => 0i64..4, 1 => Just(0), 1 => (i64::MAX - 3)..i64::MAX];
    let end = prop_oneof![30 => Just("\n"), 1 => Just("\r\n"), 1 => Just("\n\n"), 1 => Just(" \n")];
    (any::<bool>(), key, value, 0u64..3, -1i64..4, end)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_was_recorded_is_read_alike_in_pieces(
        steps in prop::collection::vec(step(), 0..30),
        meta in prop::collection::vec((any::<String>(), super::disk::value()), 0..3),
        first in 1usize..300,
        size in 1usize..600,
        threads in 2usize..4,
        line_max in prop_oneof![Just(1u64 << 30), 40u64..300],
    ) {
        compare(&recorded(steps, meta), line_max, first, size, threads);
    }

    #[test]
    fn transactions_are_read_alike_in_pieces_however_they_are_damaged(
        ops in prop::collection::vec(
            (0u32..5, prop::collection::vec((any::<bool>(), -3i64..40, prop::option::of(0i64..30)), 0..4)),
            1..12,
        ),
        size in 1usize..400,
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut text = transactions(&ops);
        if let Some((place, byte)) = damage {
            let place = place.index(text.len());
            text[place] = byte;
        }
        // All cases together cut at every place.
        for end in (size % 61..=text.len()).rev().step_by(61) {
            compare(&text[..end], 1 << 30, 1, size, 2);
        }
        // A line that is missing, or stands there twice.
        let lines: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
        for i in (size % 6..lines.len()).step_by(6) {
            let without = [&lines[..i], &lines[i + 1..]].concat().concat();
            let twice = [&lines[..=i], &lines[i..]].concat().concat();
            compare(&without, 1 << 30, 1, size, 2);
            compare(&twice, 1 << 30, 1, size, 3);
        }
    }

    #[test]
    fn sessions_of_plume_are_read_alike_in_pieces_wherever_they_are_cut(
        lines in prop::collection::vec(plume_line(), 1..40),
        size in 1usize..200,
        threads in 2usize..4,
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let line = |(write, key, value, session, txn, end): &(bool, i64, i64, u64, i64, &str)| {
            format!("{}({key},{value},{session},{txn}){end}", if *write { "w" } else { "r" })
        };
        let mut text = lines.iter().map(line).collect::<String>().into_bytes();
        compare_plume(&text, 1 << 20, 1, size, threads);
        for end in (size % 31..=text.len()).rev().step_by(31) {
            compare_plume(&text[..end], 1 << 20, 1, size, threads);
        }
        if let Some((place, byte)) = damage {
            let place = place.index(text.len());
            text[place] = byte;
            compare_plume(&text, 1 << 20, 1, size, threads);
        }
    }
}

/// A text without lines does not fill the memory.
#[test]
fn a_line_of_plume_that_does_not_end_is_refused_at_its_number() {
    let text = [&b"w(1,1,0,0)\nr(1,1,1,1)\n"[..], &[b'w'; 400]].concat();
    for (first, threads) in [(1, 1), (1, 2), (30, 3)] {
        let pieces = Pieces { first, size: 16, threads };
        let Err(Failure::Line(line, expected)) = plume::read_pieces(&mut &*text, 300, pieces)
        else {
            panic!("it is no history");
        };
        assert_eq!((line, &*expected), (3, "a line of less than 300 bytes"));
    }
}
