//! The notations of others are read for what they say, and never with a panic.

use std::path::Path;

use proptest::prelude::*;

use super::super::*;

fn import(format: Format, text: &str) -> History {
    let loaded = History::import(&mut text.as_bytes(), Path::new("h"), format);
    loaded.unwrap_or_else(|e| panic!("{text}: {e}")).history
}

/// Each event as `process type value`, completions only.
fn completions(history: &History) -> Vec<String> {
    let done = |i: &usize| history.kind(*i) != Kind::Invoke;
    (0..history.len())
        .filter(done)
        .map(|i| {
            format!("{} {} {}", history.process(i), history.kind(i).as_str(), history.value(i))
        })
        .collect()
}

#[test]
fn plume_gives_sessions_and_the_initial_zero() {
    let history = import(
        Format::Plume,
        "w(1,7,0,0)\nr(2,0,0,0)\n\nr(1,7,5,1)\nw(1,9,5,-1)\nr(1,0,0,2)\nw(3,0,5,3)\nr(3,0,0,4)\n",
    );
    let expected = [
        "0 ok [[\"w\" 1 7] [\"r\" 2 nil]]",
        "1 ok [[\"r\" 1 7]]",
        "0 ok [[\"r\" 1 nil]]",
        "1 fail [[\"w\" 1 9]]",
        "0 ok [[\"r\" 3 0]]",
        "1 ok [[\"w\" 3 0]]",
    ];
    assert_eq!(completions(&history), expected);
    assert_eq!(history.meta("real_time"), Some(&Value::Bool(false)));
    // The first two overlap, as nothing is known of their order.
    assert_eq!((history.kind(0), history.kind(1)), (Kind::Invoke, Kind::Invoke));
}

/// A line of Plume: is it a write, key, value, session, transaction.
type PlumeLine = (bool, i64, i64, u64, i64);

fn plume_line() -> impl Strategy<Value = PlumeLine> {
    let number = || {
        let far = prop_oneof![Just(1i64 << 30), Just(-1 << 30), Just(-1 << 31), Just(i64::MAX)];
        prop_oneof![12 => 0i64..4, 1 => far]
    };
    (any::<bool>(), number(), number(), 0u64..3, -1i64..4)
}

/// The transactions of each session with what they did, and whether they were aborted.
fn plume_sessions(lines: &[PlumeLine]) -> Vec<Vec<(Vec<PlumeLine>, bool)>> {
    let mut numbers: Vec<u64> = Vec::new();
    let mut sessions: Vec<Vec<(Vec<PlumeLine>, bool)>> = Vec::new();
    for line in lines {
        let at = numbers.iter().position(|n| *n == line.3).unwrap_or_else(|| {
            numbers.push(line.3);
            sessions.push(Vec::new());
            numbers.len() - 1
        });
        let known = sessions[at].iter_mut().find(|(ops, _)| line.4 != -1 && ops[0].4 == line.4);
        match known {
            Some((ops, _)) => ops.push(*line),
            None => sessions[at].push((vec![*line], line.4 == -1)),
        }
    }
    sessions
}

proptest! {
    #[test]
    fn lines_of_plume_are_transactions_in_whatever_order_they_stand(
        lines in prop::collection::vec(plume_line(), 1..40),
        blanks in any::<[bool; 40]>(),
    ) {
        let text: String = lines.iter().zip(blanks).map(|((write, k, v, s, t), blank)| {
            // A blank is none of the quick reader's business.
            let (f, blank) = (if *write { "w" } else { "r" }, if blank { " " } else { "" });
            format!("{f}({k},{blank}{v},{s},{t})\n")
        }).collect();
        let history = import(Format::Plume, &text);
        let sessions = plume_sessions(&lines);
        let zeros: Vec<i64> =
            lines.iter().filter(|l| l.0 && l.2 == 0).map(|l| l.1).collect();
        let value = |ops: &[PlumeLine], known: bool| {
            let one = |(write, key, value, ..): &PlumeLine| {
                let nil = !write && (!known || *value == 0 && !zeros.contains(key));
                let value = if nil { Value::Nil } else { Value::Int(*value) };
                Value::list([Value::from(if *write { "w" } else { "r" }), Value::Int(*key), value])
            };
            Value::List(ops.iter().map(one).collect())
        };
        let mut i = 0;
        for n in 0..sessions.iter().map(Vec::len).max().unwrap_or(0) {
            for kind in [Kind::Invoke, Kind::Ok] {
                for (process, session) in sessions.iter().enumerate() {
                    let Some((ops, aborted)) = session.get(n) else { continue };
                    let kind = if kind == Kind::Ok && *aborted { Kind::Fail } else { kind };
                    prop_assert_eq!(history.kind(i), kind);
                    prop_assert_eq!(history.process(i), Process(process as u32));
                    prop_assert_eq!(history.value(i), value(ops, kind == Kind::Ok));
                    i += 1;
                }
            }
        }
        prop_assert_eq!(history.len(), i);
    }
}

#[test]
fn the_json_of_dbcop_is_its_text() {
    let text = import(Format::Dbcop, "[x:=1 y==?][x==1]!\n---\n[y:=2 z==0]\n");
    let (x, y, z) = ("\"x\"", "\"y\"", "\"z\"");
    let event =
        |tag: &str, k: &str, v: &str| format!("{{\"{tag}\":{{\"variable\":{k},\"version\":{v}}}}}");
    let (write, read) =
        (|k: &str, v: &str| event("Write", k, v), |k: &str, v: &str| event("Read", k, v));
    let tagged = format!(
        "[[{{\"events\":[{},{}],\"committed\":true}},{{\"events\":[{}],\"committed\":false}}],\n[{{\"committed\":true,\"events\":[{},{}]}}]]",
        write(x, "1"),
        read(y, "null"),
        read(x, "1"),
        write(y, "2"),
        read(z, "0")
    );
    let pairs = "[[{\"events\":[[\"w\",\"x\",1],[\"r\",\"y\",null]],\"committed\":true},{\"events\":[[\"r\",\"x\",1]],\"committed\":false}],[{\"events\":[[\"w\",\"y\",2],[\"r\",\"z\",0]],\"committed\":true}]]";
    for json in [&*tagged, pairs] {
        assert_eq!(Format::detect(Path::new("h.json"), json.as_bytes()), Some(Format::Dbcop));
        assert!(import(Format::Dbcop, json).events().eq(text.events()), "{json}");
    }
    // That of the artifact, with numbers for names, and what did not succeed.
    let artifact = "{\"params\":{\"id\":0},\"data\":[[{\"events\":[{\"write\":true,\"variable\":1,\"value\":5,\"success\":true},{\"write\":false,\"variable\":2,\"value\":9,\"success\":false}],\"success\":true},{\"events\":[{\"write\":true,\"variable\":1,\"value\":6,\"success\":false}],\"success\":false}]]}";
    assert_eq!(Format::detect(Path::new("h"), artifact.as_bytes()), Some(Format::Dbcop));
    let history = import(Format::Dbcop, artifact);
    assert_eq!(completions(&history), ["0 ok [[\"w\" 1 5]]", "0 fail [[\"w\" 1 6]]"]);
    assert!(import(Format::Dbcop, "[[]]").is_empty());
}

#[test]
fn operations_without_processes_are_paired_by_what_they_ask() {
    let op = |kind: &str, f: &str, value: &str| format!("{{:type :{kind} {f} :value {value}}}\n");
    let add = |kind: &str, value: &str| op(kind, ":f :add", value);
    let read = |kind: &str, value: &str| op(kind, ":f :read", value);
    let text = add("invoke", "1")
        + &read("invoke", "nil")
        + &add("ok", "1")
        + &read("invoke", "nil")
        + &read("ok", "[1 2]")
        + &read("ok", "[]")
        + &add("invoke", "3");
    let history = import(Format::Edn, &text);
    let all: Vec<String> = (0..history.len())
        .map(|i| {
            let kind = history.kind(i).as_str();
            format!("{} {kind} {} {}", history.process(i), history.function(i), history.value(i))
        })
        .collect();
    // Either read may be the one that was invoked first: both are.
    let expected = [
        "0 invoke add 1",
        "1 invoke read nil",
        "2 invoke read nil",
        "0 ok add 1",
        "1 ok read [1 2]",
        "2 ok read []",
        "3 invoke add 3",
    ];
    assert_eq!(all, expected);
    assert_eq!(history.meta("processes"), Some(&Value::Bool(false)));
    assert_eq!(history.meta("real_time"), None);
    // Without invocations each may have begun before all that is there.
    let txns = op("ok", "", "[[:append :x 1]]") + &op("ok", "", "[[:r :x [1]]]");
    let history = import(Format::Edn, &txns);
    assert_eq!(
        (history.kind(1), &*history.value(1).to_string()),
        (Kind::Invoke, "[[\"r\" \"x\" nil]]")
    );
    assert_eq!(completions(&history), ["0 ok [[\"append\" \"x\" 1]]", "1 ok [[\"r\" \"x\" [1]]]"]);
    assert_eq!(history.meta("real_time"), Some(&Value::Bool(false)));
    // What is nil is not there.
    let nil = op("ok", ":f nil :process nil", "[[:append :x 1]]");
    assert_eq!(completions(&import(Format::Edn, &nil)), ["0 ok [[\"append\" \"x\" 1]]"]);
    // Some with and some without cannot be distinguished.
    let mixed = add("ok", "1") + "{:type :invoke :process 4 :f :add :value 2}\n";
    let refused = History::import(&mut mixed.as_bytes(), Path::new("h"), Format::Edn);
    let why = refused.expect_err("some have no process").to_string();
    assert!(why.contains("a :process in every operation"), "{why}");
    // The function of what was invoked is that of its completion.
    let crashed =
        "{:type :invoke :process 0 :f :add :value 1}\n{:type :info :process 0 :error :timeout}\n";
    assert_eq!(completions(&import(Format::Edn, crashed)), ["0 info nil"]);
}

#[test]
fn logs_of_today_and_history_txt_are_read_as_the_old_ones() {
    let operations = "0\t:invoke\t:read\tnil\n0\t:ok\t:read\t[1 \"a b\"]\n1\t:invoke\t:write\t3\n:nemesis\t:info\t:start\tnil\n1\t:info\t:write\t3\t[:timeout \"late\"]\n5\t:invoke\t:write\t4\n5\t:fail\t:write\t4\t:refused\n";
    let each =
        |before: &str| operations.lines().map(|l| format!("{before}{l}\n")).collect::<String>();
    let date = "2026-01-02 03:04:05,678{GMT}\tINFO\t[";
    let dated = each(&format!("{date}jepsen worker 0] jepsen.util: "));
    let others = format!(
        "{date}main] jepsen.core: Test version abc\n{date}jepsen worker 1] jepsen.util: hello\nclojure.lang.ExceptionInfo: it broke\n\tat x.y(z)\n"
    );
    let texts = [
        operations.into(),
        each("INFO  jepsen.util - "),
        dated.clone(),
        others.clone() + &dated + &others,
    ];
    for text in texts {
        assert_eq!(
            Format::detect("jepsen.log".as_ref(), text.as_bytes()),
            Some(Format::JepsenLog),
            "{text}"
        );
        let history = import(Format::JepsenLog, &text);
        let expected = ["0 ok [1 \"a b\"]", "nemesis info nil", "1 info 3", "5 fail 4"];
        assert_eq!(completions(&history), expected, "{text}");
        let why: Vec<String> = (0..history.len())
            .filter_map(|i| history.error(i).map(|e| format!("{} {}", e.kind, e.text)))
            .collect();
        assert_eq!(why, ["error [:timeout \"late\"]", "refused "], "{text}");
    }
    // Without dates nothing is passed over.
    let wrong = History::import(
        &mut "0\t:invoke\t:read\tnil\nhello\n".as_bytes(),
        Path::new("h"),
        Format::JepsenLog,
    );
    assert!(wrong.unwrap_err().to_string().contains("line 2"));
    assert_eq!(Format::detect("x.txt".as_ref(), b"2026 was a year"), None);
}

#[test]
fn awdit_and_dbcop_part_sessions_by_lines() {
    let awdit =
        import(Format::Awdit, "w 0 0\nw 1 0\n=====\nw 0 1\n-----\nr 0 1\nr 1 0\n=====\nr 1 1");
    let expected = [
        "0 ok [[\"w\" 0 0] [\"w\" 1 0]]",
        "1 ok [[\"w\" 0 1]]",
        "2 ok [[\"r\" 1 1]]",
        "1 ok [[\"r\" 0 1] [\"r\" 1 0]]",
    ];
    assert_eq!(completions(&awdit), expected);
    let dbcop = import(Format::Dbcop, "// s\n[x:=1 y==?] [z:=3]!\n\n[x==1]\n---\n[y:=2]\n");
    let expected = [
        "0 ok [[\"w\" \"x\" 1] [\"r\" \"y\" nil]]",
        "1 ok [[\"w\" \"y\" 2]]",
        "0 fail [[\"w\" \"z\" 3]]",
        "0 ok [[\"r\" \"x\" 1]]",
    ];
    assert_eq!(completions(&dbcop), expected);
}

#[test]
fn the_log_of_jepsen_gives_registers() {
    let history = import(
        Format::JepsenLog,
        "INFO  jepsen.util - 2\t:invoke\t:cas\t[2 1]\n\
         INFO  jepsen.util - 4\t:invoke\t:read\tnil\n\
         INFO  jepsen.util - 4\t:ok\t:read\t3\n\
         INFO  jepsen.util - 2\t:info\t:cas\t:timed-out\n",
    );
    assert_eq!(completions(&history), ["4 ok 3", "2 info nil"]);
    let dated = import(
        Format::JepsenLog,
        "2024-01-01 12:00:00 INFO jepsen.util - 4 :invoke :read nil\n\
         INFO  jepsen.util - 4 :ok :read 3\n",
    );
    assert_eq!(completions(&dated), ["4 ok 3"]);
    assert_eq!(history.value(0), Value::list([2, 1]));
    assert_eq!(history.error(3).map(|e| &*e.kind), Some("timed-out"));
}

#[test]
fn wrong_lines_are_named_with_what_was_expected() {
    let check = |format: Format, text: &str, line: usize, expected: &str| {
        let error = History::import(&mut text.as_bytes(), Path::new("file"), format).unwrap_err();
        let said = error.to_string();
        let begins = format!("line {line} of the history file: expected ");
        assert!(said.starts_with(&begins) && said.contains(expected), "{text:?}: {said}");
    };
    check(Format::Plume, "w(1,2,3,4)\n\nw(1,2,3)\n", 3, "w(key,value,session,transaction)");
    check(Format::Plume, "w(1,2,-3,4)\n", 1, "w(key,value,session,transaction)");
    check(Format::Awdit, "w 1 2\nw 1\n", 2, "`w key value`");
    check(Format::Awdit, "w 1 2\nw 1 2 3\n", 2, "`w key value`");
    check(Format::Dbcop, "[x:=1]\n[x=1]\n", 2, "x:=1, x==1 or x==?, not `x=1`");
    for op in ["x:=1:=2", "x==1:=2", "x:1:=2", "=x:=1", ":=1", "x:=?", "x", "x:==1", "x===1"] {
        check(Format::Dbcop, &format!("[y==0]\n[y:=2 {op}]\n"), 2, &format!("not `{op}`"));
    }
    check(Format::Dbcop, "[x:=1\n", 1, "transactions such as");
    check(Format::Dbcop, "[]\n", 1, "a read or write in every transaction");
    check(Format::JepsenLog, "\nhello\n", 2, "jepsen.util");
    let ok = "INFO  jepsen.util - 2 :ok :read 1\n";
    check(Format::JepsenLog, ok, 1, "has invoked none");
    check(Format::JepsenLog, "INFO  jepsen.util - \n", 1, "an operation such as");
    let cut = "INFO  jepsen.util - 2 :invoke :cas [1\n";
    check(Format::JepsenLog, cut, 1, "a whole value, not `[1`");
    check(Format::Json, "{}\n", 1, "the first line of a history");
}

#[test]
fn too_many_functions_are_an_error_and_no_panic() {
    let line = |n: u32| format!("{{:type :invoke, :f :f{n}, :process {n}}}\n");
    let text: String = (0..70_000).map(line).collect();
    let error = History::import(&mut text.as_bytes(), Path::new("h"), Format::Edn).unwrap_err();
    assert!(error.to_string().contains("line 65536 of"), "{error}");
}

proptest! {
    #[test]
    fn no_reader_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in Format::ALL {
            let _ = History::import(&mut &bytes[..], Path::new("h"), format);
        }
        let _ = Format::detect(Path::new("h"), &bytes);
    }

    #[test]
    fn no_reader_panics_on_lines_that_are_nearly_right(
        lines in prop::collection::vec(
            "(w|r|\\(|\\)|,|=|-|:=|==|\\?|!|\\[|\\]|x|0|9|18446744073709551615|-1| |\t|INFO  jepsen.util - |:invoke|:ok|:cas|nil|\\{\"fuzz_dist_history\":1,\"nodes\":\\[\\]\\}|\"|\\{|\\}){0,14}",
            0..8,
        )
    ) {
        let text = lines.join("\n");
        for format in Format::ALL {
            let _ = History::import(&mut text.as_bytes(), Path::new("h"), format);
        }
    }

    #[test]
    fn our_own_lines_with_a_wrong_byte_never_panic(at in 0usize..600, byte in any::<u8>()) {
        let mut text = Vec::new();
        let mut history = History::new(["n1"]);
        for n in 0..3i64 {
            history.push(super::event(0, Kind::Invoke, "read", Value::Nil)).unwrap();
            history.push(super::event(0, Kind::Ok, "read", Value::set(0..n))).unwrap();
        }
        for format in [Format::Json, Format::Edn] {
            history.export(&mut text, format).unwrap();
            let at = at % text.len();
            text[at] = byte;
            let _ = History::import(&mut &text[..], Path::new("h"), format);
            text.clear();
        }
    }
}
