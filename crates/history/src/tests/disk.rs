//! What was written is read back; what is torn or wrong is named; what fails is not silent.

use std::fs;
use std::io::BufReader;
use std::path::PathBuf;

use proptest::prelude::*;

use super::super::*;
use super::event;
use crate::op::OpError;

/// A file name that is removed at the end of the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let name = format!("fuzz_dist-{name}-{}.jsonl", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_file(&path);
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

pub(super) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        prop::collection::vec(-20i64..2000, 0..9).prop_map(Value::list),
        any::<String>().prop_map(Value::from),
        prop::collection::vec(0i64..9, 0..9).prop_map(Value::set),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::list),
            prop::collection::vec((inner.clone(), inner), 0..4)
                .prop_map(|entries| Value::Map(entries.into())),
        ]
    })
}

fn error() -> impl Strategy<Value = Option<OpError>> {
    prop::option::of((any::<String>(), any::<String>()).prop_map(|(k, t)| OpError::new(k, t)))
}

pub(super) type Step = (u32, u64, String, Value, Option<OpError>, usize);

pub(super) fn step() -> impl Strategy<Value = Step> {
    (0u32..4, any::<u64>(), "[a-c\"\\\\é]{1,2}", value(), error(), 0usize..5)
}

/// Records steps: an invocation and a completion of a client, or an event of the nemesis.
pub(super) fn record(recorder: &Recorder, steps: Vec<Step>) {
    for (process, time, f, value, error, phase) in steps {
        let mut e = event(process, Kind::Invoke, &f, Value::Nil);
        (e.time, e.phase) = (Time(time), Phase::ALL[phase]);
        if process == 3 {
            (e.process, e.node) = (Process::NEMESIS, (phase > 2).then_some(NodeId(7)));
        }
        recorder.record(e.clone()).unwrap();
        (e.value, e.error) = (value, error);
        e.kind = if e.error.is_some() { Kind::Info } else { Kind::Ok };
        recorder.record(e).unwrap();
    }
}

pub(super) fn assert_same(read: &History, written: &History) {
    assert_eq!(read.nodes(), written.nodes());
    assert_eq!(read.all_meta(), written.all_meta());
    assert_eq!(read.len(), written.len());
    for i in 0..read.len() {
        assert_eq!(read.event(i), written.event(i));
        assert_eq!(read.set_read(i), written.set_read(i), "the stored form of event {i}");
        assert_eq!(read.completion(i), written.completion(i));
        assert_eq!(read.invocation(i), written.invocation(i));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn reading_what_was_written_is_the_identity(
        steps in prop::collection::vec(step(), 0..40),
        meta in prop::collection::vec((any::<String>(), value()), 0..3),
        room in 1usize..1000,
    ) {
        let file = Scratch::new("identity");
        let header = [("net_ticktime_ms", Value::Int(4000))];
        let recorder = Recorder::to_file(&file.0, ["n1", "n \"2\"", "n3"], header).unwrap();
        record(&recorder, steps);
        for (key, value) in meta {
            recorder.set_meta(key, value);
        }
        let (written, result) = recorder.finish();
        result.unwrap();
        let loaded = History::load(&file.0).unwrap();
        prop_assert_eq!(loaded.torn, None);
        assert_same(&loaded.history, &written);
        // A blank keeps the quick reader off, so that the full parser reads it, as the oracle.
        let slow = fs::read_to_string(&file.0).unwrap().replace("\n{\"index\"", "\n{ \"index\"");
        let slow = History::read_lines(&mut slow.as_bytes(), &file.0).unwrap();
        assert_same(&slow.history, &loaded.history);
        // Lines end anywhere in the buffer of whoever reads them.
        let mut pieces = BufReader::with_capacity(room, fs::File::open(&file.0).unwrap());
        let pieces = History::read_lines(&mut pieces, &file.0).unwrap();
        assert_same(&pieces.history, &loaded.history);
    }
}

#[test]
fn lines_in_the_usual_form_are_read_without_a_detour() {
    let (_file, text) = example("usual");
    let text = String::from_utf8(text).unwrap();
    let mut history = History::new(["n1"]);
    let mut scratch = quick::Scratch::default();
    let mut read = |history: &mut History, line: &str| {
        let line = format!("{line}\n{{\"meta\":");
        let mut cursor = cursor::Cursor::new(line.as_bytes());
        let next = Some(history.len() as u64);
        let read = scratch.read(history, next, &mut cursor);
        read.map(|_| assert!(line[line.len() - cursor.left()..].starts_with("{\"meta")))
    };
    let lines: Vec<&str> = text.lines().skip(1).filter(|l| l.contains("index")).collect();
    assert!(read(&mut history, lines[0]).is_none(), "`read` is new");
    history.push(event(0, Kind::Invoke, "read", Value::Nil)).unwrap();
    assert!(read(&mut history, lines[1]).is_some(), "{}", lines[1]);
    assert!(read(&mut history, lines[2]).is_none(), "it does not come next");
    for values in [
        r#"[[1,"a"],{"map":[[null,-5]]}]"#,
        r#"{"base":1,"+":[1,2],"-":[3]}"#,
        "true",
        "[0,-7,12,345,[123456789012345678,5]]",
    ] {
        let line = lines[1].replace(r#"{"set":[]}"#, values);
        assert!(read(&mut history, &line).is_some(), "{line}");
    }
    for values in [
        "1.5",
        "01",
        "-0",
        "00",
        "0123456789",
        "1234567890123456789",
        "[1,]",
        "[1,2",
        "[1 2]",
        r#""a\n""#,
        r#"{"map":[[1]]}"#,
        r#"{"set":[1}"#,
        "",
    ] {
        let line = lines[1].replace(r#"{"set":[]}"#, values);
        assert!(read(&mut history, &line).is_none(), "{line}");
    }
}

/// A file with a header, three operations and a fact.
fn example(name: &str) -> (Scratch, Vec<u8>) {
    let file = Scratch::new(name);
    let recorder = Recorder::to_file(&file.0, ["n1"], [] as [(&str, Value); 0]).unwrap();
    for n in 0..3i64 {
        recorder.record(event(0, Kind::Invoke, "read", Value::Nil)).unwrap();
        recorder.record(event(0, Kind::Ok, "read", Value::set(0..n))).unwrap();
    }
    recorder.set_meta("late", 1);
    recorder.flush().unwrap();
    let text = fs::read(&file.0).unwrap();
    (file, text)
}

#[test]
fn a_history_that_is_cut_anywhere_loads_up_to_its_last_complete_record() {
    let (file, text) = example("torn");
    let header = text.iter().position(|b| *b == b'\n').unwrap();
    for end in header..=text.len() {
        fs::write(&file.0, &text[..end]).unwrap();
        let loaded = History::load(&file.0).unwrap();
        let lines = text[..end].iter().filter(|b| **b == b'\n').count();
        // A record that lacks nothing but the end of its line is complete.
        let whole = lines + usize::from(text.get(end) == Some(&b'\n'));
        assert_eq!(loaded.history.len(), (whole - 1).min(6), "cut after {end} bytes");
        let tail = end - text[..end].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let torn = (tail > 0 && whole == lines).then_some(Torn { line: lines + 1, bytes: tail });
        assert_eq!(loaded.torn, torn, "cut after {end} bytes");
    }
    for end in 0..header {
        fs::write(&file.0, &text[..end]).unwrap();
        let error = History::load(&file.0).unwrap_err().to_string();
        assert!(error.contains("the first line of a history"), "{error}");
    }
}

/// The message about a history with `line` in the place of line `number`.
fn check_malformed(number: usize, line: &str, expected: &str) {
    let (file, text) = example("malformed");
    let text = String::from_utf8(text).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[number - 1] = line;
    fs::write(&file.0, lines.join("\n") + "\n").unwrap();
    let error = History::load(&file.0).unwrap_err().to_string();
    assert!(error.contains(&format!("line {number} of the history")), "{error}");
    assert!(error.contains(expected), "{error}\nlacks: {expected}");
}

#[test]
fn malformed_lines_are_named_with_what_was_expected() {
    check_malformed(2, "", "expected an event");
    check_malformed(2, "{\"index\":0", "EOF while parsing");
    check_malformed(1, "{}", "the first line of a history");
    check_malformed(1, r#"{"fuzz_dist_history":9,"nodes":[]}"#, "version 1 of the format");
    check_malformed(1, r#"{"fuzz_dist_history":1,"nodes":["a","a"]}"#, "two of a");
    let with = |change: &str| {
        let mut line = String::from(r#"{"index":2,"time":0,"process":0,"node":"n1","#);
        line += r#""type":"invoke","f":"read","value":null,"phase":"main"}"#;
        let (from, to) = change.split_once(" -> ").unwrap();
        assert!(line.contains(from));
        line.replace(from, to)
    };
    check_malformed(4, &with("\"index\":2 -> \"index\":3"), "the event of index 2");
    check_malformed(4, &with("\"time\":0, -> "), "a time");
    check_malformed(4, &with("n1 -> n9"), "a node that the first line names");
    check_malformed(4, &with("main -> mian"), "setup, main, heal, quiesce, final");
    check_malformed(4, &with("invoke -> invok"), "invoke, ok, fail, info");
    check_malformed(4, &with("invoke -> ok"), "has invoked none");
    check_malformed(4, &with("\"process\":0 -> \"process\":\"x\""), "\"nemesis\" or \"runtime\"");
    check_malformed(4, &with("null -> 1.5"), "a whole number");
    check_malformed(4, &with("null -> {\"tes\":[1]}"), "{\"set\":[…]}");
    check_malformed(3, &with("\"index\":2 -> \"index\":1"), "has not completed");
}

#[test]
fn differences_must_build_upon_the_last_set() {
    let line = |value: &str| {
        format!(
            r#"{{"index":5,"time":0,"process":0,"node":"n1","type":"ok","f":"read","value":{value},"phase":"main"}}"#
        )
    };
    check_malformed(7, &line(r#"{"base":1,"+":[0,1],"-":[]}"#), "which is event 3");
    check_malformed(7, &line(r#"{"base":3,"+":[],"-":[7]}"#), "a set that holds 7");
    check_malformed(7, &line(r#"{"base":3,"+":[2,1],"-":[]}"#), "ascending order");
    check_malformed(7, &line(r#"{"set":[2,1]}"#), "ascending order");
    check_malformed(7, &line(r#"[{"base":3,"+":[2],"-":[]}]"#), "a whole value here");
}

#[test]
fn a_loaded_history_can_be_continued() {
    let (file, _) = example("continued");
    let mut history = History::load(&file.0).unwrap().history;
    history.push(event(0, Kind::Invoke, "read", Value::Nil)).unwrap();
    let i = history.push(event(0, Kind::Ok, "read", Value::set([5, 5]))).unwrap();
    assert_eq!(history.value(i), Value::set([5, 5]));
}

#[test]
fn a_write_error_is_kept_and_the_history_goes_on_in_memory() {
    let writer = disk::Writer::to_existing("/dev/full".as_ref()).unwrap();
    let recorder = Recorder::with_writer(History::new(["n1"]), writer);
    for _ in 0..10 {
        recorder.record(event(0, Kind::Invoke, "read", Value::Nil)).unwrap();
        recorder.record(event(0, Kind::Ok, "read", 1.into())).unwrap();
    }
    let error = recorder.flush().unwrap_err();
    assert!(error.to_string().contains("/dev/full: No space left on device"), "{error}");
    recorder.record(event(0, Kind::Invoke, "read", Value::Nil)).unwrap();
    assert_eq!(recorder.error(), Some(error.clone()));
    let (history, result) = recorder.finish();
    assert_eq!((history.len(), result), (21, Err(error)));
}

#[test]
fn a_file_is_never_overwritten_and_a_missing_folder_is_named() {
    let (file, text) = example("exists");
    let no_meta = || [] as [(&str, Value); 0];
    let error = Recorder::to_file(&file.0, ["n1"], no_meta()).unwrap_err().to_string();
    assert!(error.contains("exists"), "{error}");
    assert_eq!(fs::read(&file.0).unwrap(), text);
    let error = Recorder::to_file("/no/such".as_ref(), ["n1"], no_meta()).unwrap_err();
    assert!(error.to_string().contains("/no/such: No such file"), "{error}");
}

#[test]
fn many_threads_record_in_the_order_of_their_indices() {
    let file = Scratch::new("threads");
    let recorder = Recorder::to_file(&file.0, ["n1"], [] as [(&str, Value); 0]).unwrap();
    std::thread::scope(|scope| {
        for process in 0..4 {
            let recorder = recorder.clone();
            scope.spawn(move || {
                for n in 0..500i64 {
                    recorder.record(event(process, Kind::Invoke, "add", n.into())).unwrap();
                    recorder.record(event(process, Kind::Ok, "add", n.into())).unwrap();
                }
            });
        }
    });
    let (written, result) = recorder.finish();
    result.unwrap();
    assert_eq!(written.len(), 4000);
    assert_same(&History::load(&file.0).unwrap().history, &written);
}

#[test]
fn the_history_of_a_run_that_is_over_is_shared_and_not_copied() {
    let recorder = Recorder::in_memory(["n1"]);
    recorder.record(event(0, Kind::Invoke, "read", Value::Nil)).unwrap();
    let (first, again) = (recorder.finish().0, recorder.finish().0);
    assert!(std::sync::Arc::ptr_eq(&first, &again));
    // What is recorded afterwards is not in what was given out.
    recorder.record(event(0, Kind::Ok, "read", 1.into())).unwrap();
    assert_eq!((first.len(), recorder.len()), (1, 2));
}

#[test]
fn a_line_without_an_end_does_not_fill_the_memory() {
    let header = "{\"fuzz_dist_history\":1,\"nodes\":[\"n1\"],\"meta\":{}}\n";
    let mut endless =
        BufReader::new(std::io::Read::chain(header.as_bytes(), std::io::repeat(b'1')));
    let wrong = History::read_short_lines(&mut endless, "h".as_ref(), 1 << 16).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "line 2 of the history h: expected a line of less than 65536 bytes"
    );
    let mut short = header.as_bytes();
    assert!(History::read_short_lines(&mut short, "h".as_ref(), header.len() as u64).is_ok());
}
