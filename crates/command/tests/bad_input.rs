//! Histories that cannot be judged, and texts that are no histories: for every checker of the
//! command, what it says and with which exit code.

mod program;

use program::{Ended, INVALID, UNKNOWN, VALID, WRONG, run};

/// An operation: function, argument, result.
type Op = (&'static str, &'static str, &'static str);

/// A checker, and histories of it that are in order, or not.
struct Row {
    arguments: &'static str,
    /// What it finds valid.
    good: &'static [Op],
    /// Values of several types.
    mixed: &'static [Op],
    /// Something that may be there once only is there twice; empty where that is in order.
    twice: &'static [Op],
}

const fn row(
    arguments: &'static str,
    good: &'static [Op],
    mixed: &'static [Op],
    twice: &'static [Op],
) -> Row {
    Row { arguments, good, mixed, twice }
}

const ADD: Op = ("add", "1", "1");
const ADD_TEXT: Op = ("add", "\"a\"", "\"a\"");
const READ: Op = ("read", "nil", "#{1}");
const READ_ALL: Op = ("read", "nil", "[1 \"a\"]");
const WRITE: Op = ("write", "1", "1");
const WRITE_TEXT: Op = ("write", "\"a\"", "\"a\"");
const READ_ONE: Op = ("read", "nil", "1");
const READ_TEXT: Op = ("read", "nil", "\"a\"");
const W: Op = ("txn", "[[:w :x 1]]", "[[:w :x 1]]");
const W_TEXT: Op = ("txn", "[[:w :x \"a\"]]", "[[:w :x \"a\"]]");
const R: Op = ("txn", "[[:r :x nil]]", "[[:r :x 1]]");
const APPEND: Op = ("txn", "[[:append :x 1]]", "[[:append :x 1]]");

const ROWS: &[Row] = &[
    row("set-full", &[ADD, READ], &[ADD, ADD_TEXT, READ_ALL], &[ADD, ADD, READ]),
    row("set", &[ADD, READ], &[ADD, ADD_TEXT, READ_ALL], &[]),
    row("or-set", &[ADD, READ], &[ADD, ADD_TEXT, READ_ALL], &[]),
    row(
        "atomic",
        &[("write", "#{1 2}", "#{1 2}"), ("read", "nil", "#{1 2}")],
        &[("write", "#{1 2}", "#{1 2}"), ("write", "[\"a\"]", "[\"a\"]"), ("read", "nil", "#{}")],
        &[("write", "#{1}", "#{1}"), ("write", "#{1}", "#{1}"), ("read", "nil", "#{1}")],
    ),
    row(
        "unique-ids",
        &[("generate", "nil", "1"), ("generate", "nil", "2")],
        &[("generate", "nil", "1"), ("generate", "nil", "\"1\"")],
        &[],
    ),
    row("counter", &[ADD, READ_ONE], &[ADD, ADD_TEXT, READ_ONE], &[]),
    row("pn-counter", &[ADD, READ_ONE], &[ADD, ADD_TEXT, READ_ONE], &[]),
    row(
        "total-queue",
        &[("enqueue", "1", "1"), ("dequeue", "nil", "1")],
        &[("enqueue", "1", "1"), ("enqueue", "\"a\"", "\"a\""), ("drain", "nil", "[1 \"a\"]")],
        &[],
    ),
    row(
        "fifo",
        &[("enqueue", "1", "1"), ("dequeue", "nil", "1")],
        &[("enqueue", "1", "1"), ("enqueue", "\"a\"", "\"a\""), ("dequeue", "nil", "1")],
        &[("enqueue", "1", "1"), ("enqueue", "1", "1"), ("dequeue", "nil", "1")],
    ),
    row(
        "unordered-queue",
        &[("enqueue", "1", "1"), ("dequeue", "nil", "1")],
        &[("enqueue", "1", "1"), ("enqueue", "\"a\"", "\"a\""), ("dequeue", "nil", "1")],
        &[("enqueue", "1", "1"), ("enqueue", "1", "1"), ("dequeue", "nil", "1")],
    ),
    row(
        "jobs",
        &[("submit", "1", "1"), ("executed", "nil", "[1]")],
        &[("submit", "1", "1"), ("submit", "\"a\"", "\"a\""), ("executed", "nil", "[1]")],
        &[],
    ),
    row(
        "names",
        &[("register", ":x", ":x"), ("lookup", ":x", "\"p\"")],
        &[("register", ":x", ":x"), ("register", "1", "1"), ("lookup", ":x", "\"p\"")],
        &[],
    ),
    row(
        "offset-log",
        &[("send", "5", "0"), ("poll", "nil", "[[0 5]]")],
        &[("send", "5", "0"), ("send", "\"a\"", "1"), ("poll", "nil", "[[0 5] [1 \"a\"]]")],
        &[("send", "5", "0"), ("send", "5", "1"), ("poll", "nil", "[[0 5] [1 5]]")],
    ),
    row(
        "lease",
        &[("acquire", "1", "1"), ("release", "1", "1")],
        &[("acquire", "1", "1"), ("acquire", "\"1\"", "\"1\"")],
        &[],
    ),
    row(
        "linearizable -o model=cas-register",
        &[WRITE, READ_ONE],
        &[WRITE, WRITE_TEXT, READ_TEXT],
        &[],
    ),
    row("cas-register", &[WRITE, READ_ONE], &[WRITE, WRITE_TEXT, READ_TEXT], &[]),
    row(
        "mutex",
        &[("acquire", "nil", "nil"), ("release", "nil", "nil")],
        &[("acquire", "1", "1"), ("release", "1", "1"), ("acquire", "\"1\"", "\"1\"")],
        &[],
    ),
    row(
        "distinct-register",
        &[WRITE, READ_ONE],
        &[WRITE, WRITE_TEXT, READ_TEXT],
        &[WRITE, WRITE, READ_ONE],
    ),
    row(
        "replicated-register",
        &[WRITE, READ_ONE],
        &[WRITE, WRITE_TEXT, READ_ONE],
        &[WRITE, WRITE, READ_ONE],
    ),
    row(
        "sequential",
        &[("write", "[:x 1]", "[:x 1]"), ("read", "[:x nil]", "[:x 1]")],
        &[("write", "[:x 1]", "[:x 1]"), ("write", "[:x \"a\"]", "[:x \"a\"]")],
        &[],
    ),
    row(
        "list-append",
        &[APPEND, ("txn", "[[:r :x nil]]", "[[:r :x [1]]]")],
        &[APPEND, ("txn", "[[:append :x \"a\"]]", "[[:append :x \"a\"]]")],
        &[APPEND, APPEND],
    ),
    row("rw-register", &[W, R], &[W, W_TEXT], &[W, W]),
    row("weak -o level=read-atomic", &[W, R], &[W, W_TEXT], &[W, W]),
    row("read-committed", &[W, R], &[W, W_TEXT], &[W, W]),
    row("read-atomic", &[W, R], &[W, W_TEXT], &[W, W]),
    row("causal", &[W, R], &[W, W_TEXT], &[W, W]),
    row("causal -o level=cm", &[W, R], &[W, W_TEXT], &[W, W]),
    row("session-guarantees", &[W, R], &[W, W_TEXT], &[W, W]),
    row(
        "crdt-causal -o type=grow-set",
        &[("txn", "[[:add :x 1]]", "[[:add :x 1]]"), ("txn", "[[:r :x nil]]", "[[:r :x #{1}]]")],
        &[
            ("txn", "[[:add :x 1]]", "[[:add :x 1]]"),
            ("txn", "[[:add :x \"a\"]]", "[[:add :x \"a\"]]"),
        ],
        &[("txn", "[[:add :x 1]]", "[[:add :x 1]]"), ("txn", "[[:add :x 1]]", "[[:add :x 1]]")],
    ),
    row(
        "bank -o accounts=0,1 -o total=9",
        &[("transfer", "{:from 0 :to 1 :amount 4}", "{}"), ("read", "nil", "{0 5, 1 4}")],
        &[("transfer", "1", "1"), ("transfer", "\"a\"", "\"a\""), ("read", "nil", "{0 5, 1 4}")],
        &[],
    ),
    row(
        "long-fork",
        &[W, ("txn", "[[:r :x nil] [:r :y nil]]", "[[:r :x 1] [:r :y nil]]")],
        &[W, ("txn", "[[:w :y \"a\"]]", "[[:w :y \"a\"]]")],
        &[W, W],
    ),
    row("write-skew", &[W, R], &[W, W_TEXT], &[W, W]),
    row("monotonic", &[W, R], &[W, W_TEXT], &[W, W]),
    row(
        "g2",
        &[("insert", "[1 [1 nil]]", "[1 [1 nil]]"), ("read", "[1 nil]", "[1 [1]]")],
        &[
            ("insert", "[1 [1 nil]]", "[1 [1 nil]]"),
            ("insert", "[2 [nil \"a\"]]", "[2 [nil \"a\"]]"),
        ],
        &[("insert", "[1 [1 nil]]", "[1 [1 nil]]"), ("insert", "[1 [1 nil]]", "[1 [1 nil]]")],
    ),
];

/// Checkers that judge whatever there is: no operation is unknown to them.
const OF_ANYTHING: [&str; 5] =
    ["convergence", "liveness", "log-pattern -o patterns=x", "stats", "perf"];

fn event(kind: &str, process: usize, f: &str, value: &str, time: i64) -> String {
    format!("{{:type :{kind}, :process {process}, :f :{f}, :value {value}, :time {time}}}\n")
}

/// One operation after the other, each by a client of its own.
fn history(ops: &[Op]) -> String {
    let each = ops.iter().enumerate().map(|(i, (f, argument, result))| {
        let time = 2 * i as i64;
        event("invoke", i, f, argument, time) + &event("ok", i, f, result, time + 1)
    });
    each.collect()
}

/// Expects an exit code, the verdict's word in the first line, and a reason that says this.
#[track_caller]
fn expect(code: i32, checker: &str, input: &str, why: &[&str]) {
    let Ended { code: exit, out, err } =
        run(&format!("check - --from edn --checker {checker}"), input);
    assert_eq!(exit, code, "{checker}:\n{input}\n{out}{err}");
    let verdict = ["valid", "invalid", "unknown"].get(code as usize).expect("a verdict");
    assert!(out.starts_with(&format!("-\t{verdict}\t")), "{checker}: {out}");
    assert!(!err.contains("panicked"), "{checker}: {err}");
    let reason = out.lines().nth(1).unwrap_or_default();
    assert!(why.iter().all(|w| reason.contains(w)), "{checker}: expected {why:?} in `{reason}`");
}

#[test]
fn the_table_has_every_checker() {
    let Ended { code, out, .. } = run("checkers", "");
    assert_eq!(code, VALID);
    let listed = out.lines().filter(|l| l.starts_with("  ") && !l.starts_with("   "));
    let listed = listed.take_while(|l| !l.starts_with("  independent"));
    let names: Vec<&str> = listed.filter_map(|l| l.split_whitespace().next()).collect();
    assert!(names.len() > 25, "{names:?}");
    let known: Vec<&str> = (ROWS.iter().map(|r| r.arguments).chain(OF_ANYTHING))
        .filter_map(|a| a.split(' ').next())
        .collect();
    for name in names {
        assert!(known.contains(&name), "{name} is not in this table");
    }
}

#[test]
fn good_histories_are_valid() {
    for row in ROWS {
        expect(VALID, row.arguments, &history(row.good), &[]);
    }
}

#[test]
fn empty_histories_are_unknown() {
    for name in ROWS.iter().map(|r| r.arguments).chain(OF_ANYTHING) {
        expect(UNKNOWN, name, "", &[" "]);
        expect(UNKNOWN, name, "; nothing\n\n", &[" "]);
    }
}

#[test]
fn histories_in_which_nothing_succeeded_are_unknown() {
    for row in ROWS {
        for kind in ["fail", "info"] {
            let each = row.good.iter().enumerate().map(|(i, (f, argument, _))| {
                event("invoke", i, f, argument, 0) + &event(kind, i, f, argument, 1)
            });
            expect(UNKNOWN, row.arguments, &each.collect::<String>(), &[" "]);
        }
        // Nothing has completed at all.
        let (f, argument, _) = row.good[0];
        expect(UNKNOWN, row.arguments, &event("invoke", 0, f, argument, 0), &[" "]);
    }
}

#[test]
fn unknown_functions_are_named() {
    for row in ROWS {
        let strange = history(row.good)
            + &event("invoke", 99, "frobnicate", "1", 9)
            + &event("ok", 99, "frobnicate", "1", 10);
        expect(UNKNOWN, row.arguments, &strange, &["`frobnicate`"]);
        // An operation of a failed one is as strange.
        let failed = history(row.good)
            + &event("invoke", 99, "frobnicate", "1", 9)
            + &event("fail", 99, "frobnicate", "1", 10);
        let Ended { code, out, .. } =
            run(&format!("check - --from edn --checker {}", row.arguments), &failed);
        assert!(code == UNKNOWN || code == VALID, "{}: {out}", row.arguments);
    }
}

#[test]
fn values_of_several_types_are_unknown() {
    for row in ROWS {
        expect(UNKNOWN, row.arguments, &history(row.mixed), &["several types"]);
    }
}

#[test]
fn what_may_be_there_once_only_is_unknown_where_it_is_twice() {
    for row in ROWS.iter().filter(|r| !r.twice.is_empty()) {
        expect(UNKNOWN, row.arguments, &history(row.twice), &["twice"]);
    }
}

#[test]
fn a_clock_that_runs_backwards_matters_only_where_time_does() {
    for row in ROWS {
        let events = history(row.good);
        let lines = events.lines().zip((0..1000).rev());
        let backwards: String = lines
            .map(|(l, t)| format!("{} :time {t}}}\n", &l[..l.find(":time").unwrap_or(0)]))
            .collect();
        expect(VALID, row.arguments, &backwards, &[]);
        if row.arguments == "lease" {
            expect(UNKNOWN, "lease -o ttl-ms=5", &backwards, &["clock", "event 1"]);
        }
    }
}

#[test]
fn reads_of_what_nobody_wrote_are_invalid() {
    for (name, ops) in [
        ("set-full", [ADD, ("read", "nil", "#{1 7}")]),
        ("set", [ADD, ("read", "nil", "#{1 7}")]),
        ("or-set", [ADD, ("read", "nil", "#{1 7}")]),
        ("counter", [ADD, ("read", "nil", "7")]),
        ("pn-counter", [ADD, ("read", "nil", "7")]),
        ("total-queue", [("enqueue", "1", "1"), ("drain", "nil", "[1 7]")]),
        ("fifo", [("enqueue", "1", "1"), ("dequeue", "nil", "7")]),
        ("unordered-queue", [("enqueue", "1", "1"), ("dequeue", "nil", "7")]),
        ("jobs", [("submit", "1", "1"), ("executed", "nil", "[1 7]")]),
        ("offset-log", [("send", "1", "0"), ("poll", "nil", "[[0 1] [1 7]]")]),
        ("cas-register", [WRITE, ("read", "nil", "7")]),
        ("distinct-register", [WRITE, ("read", "nil", "7")]),
        ("replicated-register", [WRITE, ("read", "nil", "7")]),
        ("sequential", [("write", "[:x 1]", "[:x 1]"), ("read", "[:x nil]", "[:x 7]")]),
        ("list-append", [APPEND, ("txn", "[[:r :x nil]]", "[[:r :x [7]]]")]),
        ("rw-register", [W, ("txn", "[[:r :x nil]]", "[[:r :x 7]]")]),
        ("read-committed", [W, ("txn", "[[:r :x nil]]", "[[:r :x 7]]")]),
        ("causal", [W, ("txn", "[[:r :x nil]]", "[[:r :x 7]]")]),
        ("causal -o level=cm", [W, ("txn", "[[:r :x nil]]", "[[:r :x 7]]")]),
        ("session-guarantees", [W, ("txn", "[[:r :x nil]]", "[[:r :x 7]]")]),
        ("long-fork", [W, ("txn", "[[:r :x nil]]", "[[:r :x 7]]")]),
        ("write-skew", [W, ("txn", "[[:r :x nil]]", "[[:r :x 7]]")]),
        ("monotonic", [W, ("txn", "[[:r :x nil]]", "[[:r :x 7]]")]),
        ("g2", [("insert", "[1 [1 nil]]", "[1 [1 nil]]"), ("read", "[1 nil]", "[1 [1 7]]")]),
        (
            "crdt-causal -o type=grow-set",
            [
                ("txn", "[[:add :x 1]]", "[[:add :x 1]]"),
                ("txn", "[[:r :x nil]]", "[[:r :x #{1 7}]]"),
            ],
        ),
    ] {
        expect(INVALID, name, &history(&ops), &[" "]);
    }
}

/// A notation, a text that is not of it, the line of the mistake, and what is said of it.
const MALFORMED: &[(&str, &str, usize, &str)] = &[
    ("edn", "{:type :invoke, :process 0, :f :add, :value 1}\n{:type :ok", 2, "expected"),
    ("edn", "{:type :maybe, :process 0, :f :add}\n", 1, "expected"),
    ("edn", "{:process 0, :f :add, :value 1}\n", 1, "expected"),
    ("edn", "[1 2 3]\n", 1, "expected"),
    ("edn", "\n\n{:type :ok, :process 3, :f :add, :value 1}\n", 3, "has invoked none"),
    ("edn", "{:type :invoke, :process \"x\", :f :add}\n", 1, "expected"),
    ("edn", "{:type :invoke, :process 0, :f :add, :value \"abc}\n", 2, "expected"),
    ("edn", "{:type :invoke, :process 0, :f :add, :value [1 2}\n", 1, "expected"),
    ("json", "{\"fuzz_dist_history\":1,\"nodes\":[\"n1\"]}\n{\"nonsense\":1}\n{}\n", 2, "expected"),
    ("json", "{\"fuzz_dist_history\":99,\"nodes\":[\"n1\"]}\n", 1, "expected"),
    (
        "jepsen-json",
        "{\"type\":\"invoke\",\"process\":0,\"f\":\"add\"}\n{\"type\":\n",
        3,
        "expected",
    ),
    ("jepsen-json", "[{\"type\":\"invoke\",\"process\":0,\"f\":\"add\"},\n7]", 2, "expected"),
    (
        "jepsen-log",
        "INFO  jepsen.util - 0\t:invoke\t:write\t4\nINFO  jepsen.util - 1\t:ok\t:write\t4\n",
        2,
        "has invoked none",
    ),
    ("plume", "w(1,5,0,0)\nw(1,x,0,1)\n", 2, "expected"),
    ("plume", "w(1,5,0)\n", 1, "expected"),
    ("awdit", "w 0 1\nq 0 1\n", 2, "expected"),
    ("dbcop", "[x:=1]\n[x=1]\n", 2, "expected"),
    ("dbcop", "[[{\"events\":[[\"w\",0,1]],\"committed\":true}],\n[{\"events\":", 2, "EOF"),
    ("dbcop", "[[{\"events\":[[\"w\",0,1]],\n\"committed\":1}]]", 2, "expected a boolean"),
    ("dbcop", "[[{\"events\":[[\"x\",0,1]],\"committed\":true}]]", 1, "neither r nor w"),
    ("dbcop", "[[{\"events\":[{\"Write\":{\"variable\":-1,\"version\":1}}]}]]", 1, "expected"),
    ("dbcop", "{\"data\":7}", 1, "expected"),
    (
        "edn",
        "{:type :ok, :f :add, :value 1}\n{:type :invoke, :process 0, :f :add}\n",
        1,
        "or in none",
    ),
    ("edn", "{:type :ok, :value 1}\n", 1, "a function :f"),
];

#[test]
fn malformed_histories_name_the_line_and_what_was_expected() {
    for (format, text, line, said) in MALFORMED {
        for checker in ["set-full", "list-append", "stats"] {
            let arguments = format!("check - --from {format} --checker {checker}");
            let Ended { code, out, err } = run(&arguments, text);
            assert_eq!(code, WRONG, "{format} {text}: {out}{err}");
            assert!(out.is_empty() && !err.contains("panicked"), "{format} {text}: {out}{err}");
            let place = format!("line {line} of the history");
            assert!(err.contains(&place) && err.contains(said), "{format} {text:?}: {err}");
        }
    }
    let formats = ["json", "edn", "jepsen-json", "jepsen-log", "plume", "awdit", "dbcop"];
    assert!(formats.iter().all(|f| MALFORMED.iter().any(|m| m.0 == *f)));
}

#[test]
fn what_no_process_can_do_is_malformed_for_every_checker() {
    let invoke = event("invoke", 0, "add", "1", 0);
    for name in ROWS.iter().map(|r| r.arguments).chain(OF_ANYTHING) {
        for (text, said) in [
            (invoke.clone() + &invoke, "invokes an operation at event 1"),
            (event("ok", 0, "add", "1", 0), "has invoked none"),
            (invoke.clone() + &event("ok", 0, "read", "1", 1), "completes `read`"),
        ] {
            let Ended { code, err, .. } =
                run(&format!("check - --from edn --checker {name}"), &text);
            assert_eq!(code, WRONG, "{name}: {err}");
            assert!(err.contains("line ") && err.contains(said), "{name}: {err}");
        }
    }
}
