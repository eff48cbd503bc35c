//! Jepsen's notation is read in all its forms, written, and read back as it was.

use std::path::Path;

use proptest::prelude::*;

use super::super::edn::{Failure, Notation, read, read_within};
use super::super::*;
use super::disk::{assert_same, record, step, value};
use crate::op::OpError;

fn edn(text: &str) -> History {
    History::import(&mut text.as_bytes(), Path::new("h"), Format::Edn).expect(text).history
}

fn exported(history: &History, format: Format) -> Vec<u8> {
    let mut text = Vec::new();
    history.export(&mut text, format).unwrap();
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn reading_what_was_written_is_the_identity(
        steps in prop::collection::vec(step(), 0..40),
        meta in prop::collection::vec((any::<String>(), value()), 0..3),
        chunk in 1usize..40,
    ) {
        let recorder = Recorder::in_memory(["n1", "n \"2\"", "n3"]);
        record(&recorder, steps);
        for (key, value) in meta {
            recorder.set_meta(key, value);
        }
        let written = recorder.finish().0;
        for format in [Format::Edn, Format::Json] {
            let text = exported(&written, format);
            let loaded = History::import(&mut &text[..], Path::new("h"), format).unwrap();
            assert_same(&loaded.history, &written);
        }
        // However the text is cut while it is read.
        let text = exported(&written, Format::Edn);
        assert_same(&read(&mut &text[..], Notation::Edn, chunk).unwrap(), &written);
        // A comment keeps the quick reader off, so that the full parser reads it, as the oracle.
        let slow = String::from_utf8(text).unwrap().replace("\n{:index", "\n{;\n:index");
        assert_same(&read(&mut slow.as_bytes(), Notation::Edn, chunk).unwrap(), &written);
    }

    #[test]
    fn transactions_are_read_as_they_were_written(
        txns in prop::collection::vec(prop::collection::vec(micro_op(), 0..5), 0..20),
    ) {
        let mut written = History::new(["n1"]);
        for (i, ops) in txns.into_iter().enumerate() {
            for kind in [Kind::Invoke, Kind::Ok] {
                let event = Event {
                    time: Time(i as u64), process: Process(0), node: Some(NodeId(0)), kind,
                    f: "txn".into(), value: Value::list(ops.clone()), error: None, phase: Phase::Main,
                };
                written.push(event).unwrap();
            }
        }
        for format in [Format::Edn, Format::Json] {
            let text = exported(&written, format);
            let loaded = History::import(&mut &text[..], Path::new("h"), format).unwrap();
            assert_same(&loaded.history, &written);
        }
    }

    #[test]
    fn bytes_that_look_like_edn_never_panic(
        text in "(\\{|\\}|\\[|\\]|\\(|\\)|:type|:invoke|:f|:x|:value|:process|:time|0|-|7N|#\\{|#|#_|\\\\|\"|;;|\\^|,| |\n|nil|é){0,60}",
        chunk in 1usize..9,
        json in any::<bool>(),
    ) {
        let notation = if json { Notation::Json } else { Notation::Edn };
        let _ = read(&mut text.as_bytes(), notation, chunk);
    }
}

/// Mostly `[f key value]`, with words that end where others go on.
fn micro_op() -> impl Strategy<Value = Value> {
    let word =
        || prop::sample::select(vec!["r", "w", "append", "x]", "x", "", "é", "longer than 7"]);
    let number = || prop_oneof![-3..200i64, any::<i64>()];
    let part = || {
        prop_oneof![
            number().prop_map(Value::Int),
            word().prop_map(Value::from),
            prop::collection::vec(number(), 0..5).prop_map(Value::from),
            Just(Value::Nil),
            Just(Value::Bool(true)),
            prop::collection::vec(word(), 0..3).prop_map(Value::from),
        ]
    };
    let items = (word(), prop::collection::vec(part(), 1..4));
    items.prop_map(|(f, parts)| Value::list([Value::from(f)].into_iter().chain(parts)))
}

#[test]
fn a_keyword_ends_where_text_of_the_same_letters_goes_on() {
    let history = edn("{:type :invoke, :f :txn, :value [[:r \"x]\" \"y]]\"]], :process 0}
        {:type :ok, :f :txn, :value [[:r :x [:y]]], :process 0}
        {:type :invoke, :f :txn, :value [[\"r\" :x]], :process 0}");
    assert_eq!(history.value(0).to_string(), r#"[["r" "x]" "y]]"]]"#);
    assert_eq!(history.value(1).to_string(), r#"[["r" "x" ["y"]]]"#);
    assert_eq!(history.value(2).to_string(), r#"[["r" "x"]]"#);
}

#[test]
fn a_bracket_too_many_is_no_part_of_a_keyword_because_a_text_has_one() {
    let text = "{:type :invoke, :f :txn, :value [[:r \"x]\" 1]], :process 0, :time 1}
{:type :ok, :f :txn, :value [[:r \"x]\" 1]], :process 0, :time 2}
{:type :invoke, :f :txn, :value [[:x] 1 2]], :process 0, :time 3}
";
    let imported = History::import(&mut text.as_bytes(), Path::new("h"), Format::Edn);
    let error = imported.map(drop).unwrap_err().to_string();
    assert!(error.contains("line 3") || error.contains("h:3"), "{error}");
}

#[test]
fn both_forms_of_maps_mean_the_same() {
    let plain = edn("
        {:type :invoke, :f :txn, :value [[:append 255 8] [:r 253 nil]], :process 0, :time 5}
        {:type :ok, :f :txn, :value [[:append 255 8] [:r 253 [1 3 4]]], :process 0, :time 9}");
    let tagged = edn("#jepsen.history.Op{:index 0, :time 5, :type :invoke, :process 0, :f :txn, \
        :value [[:append 255 8] [:r 253 nil]]}\n\
        #jepsen.history.Op{:index 1, :time 9, :type :ok, :process 0, :f :txn, \
        :value [[:append 255 8] [:r 253 [1 3 4]]], :error nil, :node nil}");
    let within = edn("[{:type \"invoke\" :f \"txn\" :process 0 :time 5
          :value (( :append 255 8 ) [:r, 253, nil])} #_{:type :ok} ; no
         {:type :ok :f :txn :value [[:append 255 8] [:r 253 [1 3 4]]] :process 0 :time 9}]");
    for other in [&tagged, &within] {
        assert_same(other, &plain);
    }
    let read = Value::list(["r".into(), 253.into(), Value::list([1, 3, 4])]);
    let append = Value::list(["append".into(), Value::Int(255), Value::Int(8)]);
    assert_eq!(plain.value(1), Value::list([append, read]));
}

#[test]
fn json_maps_are_read_as_well() {
    let json = r#"[{"type":"invoke","f":"read","value":null,"process":0,"time":1},
        {"type":"ok","f":"read","value":[1,{"k":"v\u00e9\ud83d\ude00"}],"process":0,"index" : 7}]"#;
    let source = &mut json.as_bytes();
    let history = History::import(source, Path::new("h"), Format::JepsenJson).unwrap().history;
    assert_eq!(history.value(1).to_string(), "[1 {\"k\" \"vé😀\"}]");
}

#[test]
fn values_are_taken_for_what_they_are() {
    let check = |text: &str, expected: Value| {
        let line = format!("{{:type :invoke, :f :f, :process 0, :value {text}}}");
        assert_eq!(edn(&line).value(0), expected, "{text}");
    };
    check("#{3 1 2}", Value::set([1, 2, 3]));
    check("#{:b :a}", Value::list(["b", "a"]));
    check("#{1 :a}", Value::list([1.into(), Value::from("a")]));
    check("#{}", Value::set([]));
    check("12N", 12.into());
    check("-9223372036854775808", i64::MIN.into());
    check("9223372036854775808", "9223372036854775808".into());
    check("1.5", "1.5".into());
    check("##NaN", "NaN".into());
    check("\\a", "a".into());
    check("\\(", "(".into());
    check("#inst \"2020\"", "2020".into());
    check("#a.b.C{:x 1}", Value::map([("x", 1.into())]));
    check("#:ns{:x 1}", Value::map([("x", 1.into())]));
    check("^{:m 1} [1]", Value::list([1]));
    check("\"a\\n\\\"\\u00e9\"", "a\n\"é".into());
    check("#_ 1 2", 2.into());
}

#[test]
fn what_jepsen_adds_is_kept_or_skipped() {
    let history = edn(
        "{:process :nemesis, :type :info, :f :start, :value nil, :time 18446744073709551615}
         {:process 1, :type :invoke, :f :put, :key \"x\", :value 5, :node \"n1\", :exotic {:a [#{}]}}
         {:process 1, :type :info, :f :put, :key \"x\", :value 5, :node \"n1\", \
          :error [:timeout 5 \"late\"]}
         {:process 2, :type :invoke, :f :get, :error :odd}",
    );
    assert_eq!((history.process(0), history.time(0)), (Process::NEMESIS, Time(u64::MAX)));
    assert_eq!(history.value(1), Value::list([Value::from("x"), Value::Int(5)]));
    assert_eq!((history.node(1), history.nodes().len()), (Some(NodeId(0)), 1));
    assert_eq!(history.error(2), Some(&OpError::new("timeout", "5 \"late\"")));
    assert_eq!(history.error(3), Some(&OpError::new("odd", "")));
}

#[test]
fn wrong_lines_are_named_with_what_was_expected() {
    const OK: &str = "{:type :invoke, :f :add, :process 0, :time 0}\n";
    let check = |line: &str, expected: &str| {
        let text = format!("{OK}\n{line}\n");
        for chunk in [1, 7, 1 << 10] {
            match read(&mut text.as_bytes(), Notation::Edn, chunk) {
                Err(Failure::Line(3, said)) => assert!(said.contains(expected), "{line}: {said}"),
                other => panic!("{line}: {other:?}"),
            }
        }
    };
    check("{:type :invoke, :f :add, :process 0}", "process 0 invokes an operation at event 1");
    check("{:type :ok, :f :add, :process 5}", "but has invoked none");
    check("{:type :maybe, :f :add, :process 0}", ":invoke, :ok, :fail or :info, not \"maybe\"");
    check("{:type :ok, :f :add}", "a :process");
    check("{:type :ok, :process 5}", "a function :f");
    check("{:type :invoke, :process 5}", "a function :f");
    check("{:type :ok, :f :add, :process -1}", "a :process, that is, a number");
    check("{:type :ok, :f :add, :process 0, :time :now}", "a time in nanoseconds, not \"now\"");
    check("{:type :ok, :f :add :process 0 :value [}", "a value, not the end");
    check("dear diary", "an operation such as {:type :invoke");
    check("{1 2}", "a key such as :type");
    check(&format!("{{:value {}", "[".repeat(100)), "nested at most 64 deep");
    check(&"#_".repeat(100), "nested at most 64 deep");
    match read(&mut "[{:type".as_bytes(), Notation::Edn, 4) {
        Err(Failure::Line(1, said)) => assert!(said.contains("the end of an operation"), "{said}"),
        other => panic!("{other:?}"),
    }
}

/// However long a text is, an operation has a limit, to the byte; and no more of it is kept in memory.
#[test]
fn an_operation_longer_than_the_limit_is_refused_with_its_line() {
    let edn = |length: usize| {
        let operation = "{:type :invoke, :process 0, :f :add, :value \"\"}";
        operation.replace("\"\"", &format!("\"{}\"", "x".repeat(length - operation.len())))
    };
    let json = |length: usize| {
        let operation = r#"{"type":"invoke","process":0,"f":"add","value":""}"#;
        operation.replace("\"\"}", &format!("\"{}\"}}", "x".repeat(length - operation.len())))
    };
    let done = [
        "{:type :fail, :process 0, :f :add, :value 1}\n",
        "{\"type\":\"fail\",\"process\":0,\"f\":\"add\",\"value\":1}\n",
    ];
    for chunk in [1, 7, 64, 4096] {
        let texts = [(Notation::Edn, &edn as &dyn Fn(usize) -> String), (Notation::Json, &json)];
        for ((notation, operation), done) in texts.into_iter().zip(done) {
            let of = |length| (operation(length) + "\n" + done).repeat(3);
            let all = read_within(&mut of(100).as_bytes(), notation, chunk, 101).unwrap();
            assert_eq!(all.len(), 6);
            let text = of(100) + &operation(400) + "\n";
            match read_within(&mut text.as_bytes(), notation, chunk, 101) {
                Err(Failure::Line(7, expected)) => {
                    assert_eq!(expected, "an operation of at most 101 bytes")
                }
                other => panic!("{:?}", other.map(|history| history.len())),
            }
        }
    }
}
