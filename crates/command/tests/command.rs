//! The installed command, as people run it: arguments, notations, output and exit codes.

mod program;

use std::path::PathBuf;

use fuzz_dist_checkers::txn::generate;
use fuzz_dist_history::Format;
use program::{INVALID, UNKNOWN, VALID, WRONG, run};
use serde_json::Value as Json;

/// Runs the command and gives what it printed, to its output or, where that is empty, as errors.
#[track_caller]
fn expect(code: i32, arguments: &str, input: &str) -> String {
    let program::Ended { code: ended, out, err } = run(arguments, input);
    assert_eq!(ended, code, "{arguments}:\n{out}{err}");
    if out.is_empty() { err } else { out }
}

#[track_caller]
fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

/// A line of EDN.
fn op(kind: &str, process: u32, f: &str, value: &str) -> String {
    format!("{{:type :{kind}, :process {process}, :f :{f}, :value {value}}}\n")
}

/// One operation that succeeded.
fn done(process: u32, f: &str, argument: &str, result: &str) -> String {
    op("invoke", process, f, argument) + &op("ok", process, f, result)
}

const WRITE_SKEW: &str = "
    0: r x [], append y 1
    1: r y [], append x 1
    --
    2: r x [1], r y [1]
";

fn export(script: &str, format: Format) -> String {
    let mut text = Vec::new();
    generate::script(script).expect("a script").export(&mut text, format).expect("memory");
    String::from_utf8(text).expect("text")
}

#[test]
fn exit_codes_show_the_verdict() {
    let history = export(WRITE_SKEW, Format::Edn);
    let check = "check - --checker list-append";
    let text = expect(INVALID, check, &history);
    contains(&text, &["-\tinvalid\tlist_append", "G2-item", "the events of the first one"]);
    expect(VALID, &format!("{check} -o model=snapshot-isolation"), &history);
    expect(VALID, &format!("{check} -omodel=PL-SI"), &history);
    // As cargo calls it, and with the flags in another order.
    let cargo = "fuzz-dist check --checker=list_append --option model=serializable -";
    expect(INVALID, cargo, &history);
}

#[test]
fn json_begins_with_the_verdict() {
    let history = export(WRITE_SKEW, Format::Json);
    let text = expect(INVALID, "check - --checker list-append --format json", &history);
    let begins = r#"{"verdict":"invalid","checker":"list_append","anomalies":[{"kind":"G2-item"#;
    assert!(text.starts_with(begins), "{text}");
    let json: Json = serde_json::from_str(&text).expect("JSON");
    let keys =
        ["verdict", "checker", "anomalies", "witness"].map(|k| text.find(&format!("\"{k}\":")));
    assert!(keys.is_sorted() && keys[0].is_some(), "{keys:?}");
    let witness = json["witness"].as_array().expect("a witness");
    let events = json["anomalies"][0]["events"].as_array().expect("events");
    assert_eq!(witness.len(), events.len());
    assert!(witness.iter().zip(events).all(|(w, e)| w["index"] == *e), "{witness:?}");
    assert_eq!(json["history"]["format"], "json");
    let text = expect(UNKNOWN, "check - --checker set --format json", "[]");
    let json: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (&json["verdict"], json["witness"].as_array().map(Vec::len)),
        (&"unknown".into(), Some(0))
    );
}

#[test]
fn what_cannot_be_judged_is_unknown() {
    let set_full = "check - --checker set-full";
    let check = |name: &str, history: &str, why: &str| {
        contains(&expect(UNKNOWN, &format!("check - --checker {name}"), history), &[why]);
    };
    let only_failures = op("invoke", 0, "add", "1") + &op("fail", 0, "add", "1");
    for name in [
        "set-full",
        "set",
        "unique-ids",
        "counter",
        "pn-counter",
        "total-queue",
        "fifo",
        "lease",
        "offset-log",
        "or-set",
        "cas-register",
        "mutex",
        "distinct-register",
        "list-append",
        "rw-register",
        "causal",
        "session-guarantees",
        "long-fork",
        "write-skew",
        "monotonic",
        "g2",
    ] {
        check(name, "[]", "unknown");
        check(name, &only_failures, "unknown");
    }
    let twice =
        done(0, "add", "1", "1") + &done(0, "add", "1", "1") + &done(0, "read", "nil", "#{1}");
    check("set-full", &twice, "twice");
    let strange =
        done(0, "add", "1", "1") + &done(0, "remove", "1", "1") + &done(0, "read", "nil", "#{}");
    check("set-full", &strange, "set_full does not know `remove` (event 2), only add, read");
    check("cas-register", &strange, "unknown");
    check("list-append", &done(0, "txn", "[[:append :x 1]]", "7"), "unknown");
    let mixed = done(0, "txn", "[[:append :x 1]]", "[[:append :x 1]]")
        + &done(0, "txn", "[[:w :x 1]]", "[[:w :x 1]]");
    check("list-append", &mixed, "unknown");
    // With other names for the functions it is a history like any other.
    let renamed = done(0, "put", "1", "1") + &done(0, "get", "nil", "#{1}");
    expect(UNKNOWN, set_full, &renamed);
    let text = expect(UNKNOWN, &format!("{set_full} -o add=put -o read=gte"), &renamed);
    contains(&text, &["does not know `get`"]);
    expect(VALID, "check - --checker set -o add=put -o read=get", &renamed);
}

#[test]
fn malformed_histories_name_the_line() {
    let add = op("invoke", 0, "add", "1");
    let check = |history: &str, parts: &[&str]| {
        let text = expect(WRONG, "check - --checker set-full", history);
        contains(&text, &["of the history (standard input): expected "]);
        contains(&text, parts);
    };
    check(&(add.clone() + "{:type :ok"), &["line 2", "the end of an operation"]);
    check(&(add.clone() + &add), &["line 2", "process 0 invokes an operation at event 1"]);
    check(&op("ok", 3, "add", "1"), &["line 1", "process 3 completes", "has invoked none"]);
    let other = add + &op("ok", 0, "read", "1");
    check(&other, &["line 2", "completes `read`"]);
    let text = expect(WRONG, "check - --checker set", "dear diary");
    contains(&text, &["looks like none of the known notations", "--from", "plume"]);
    let text = expect(WRONG, "check /no/such/file.edn --checker set", "");
    contains(&text, &["could not read the history /no/such/file.edn"]);
}

#[test]
fn wrong_arguments_say_what_there_is() {
    let check = |arguments: &str, parts: &[&str]| contains(&expect(WRONG, arguments, ""), parts);
    check("", &["Usage: cargo fuzz-dist <COMMAND>", "checkers", "--help"]);
    check("chekc", &["unrecognized subcommand", "'check'"]);
    check("check", &["required", "<HISTORY>"]);
    check("check - -", &["unexpected argument '-'"]);
    check("check -", &["expected --checker", "set-full", "rw-register"]);
    check("check - --checker", &["a value is required for '--checker <NAME>'"]);
    check("check - --cheker set", &["unexpected argument '--cheker'", "similar", "'--checker'"]);
    check("check - --checker list-apend", &["did you mean `list-append`?", "set-full"]);
    check(
        "check - --checker list-append -o modle=serializable",
        &["did you mean `model`?", "budget"],
    );
    check("check - --checker list-append -o model=serialisable", &["did you mean `serializable`?"]);
    check(
        "check - --checker set -o linearizable",
        &["there is no option of set `linearizable`", "independent"],
    );
    check("check - --checker set-full -o linearizable=yes", &["expected true or false"]);
    check("check - --checker weak", &["axiomatic-read-committed|read-atomic|causal"]);
    check("check - --checker bank", &["accounts"]);
    check("check - --checker linearizable -o model=rgister", &["did you mean `register`?"]);
    check("check - --checker set --format xml", &["possible values: text, json"]);
    check("check - --checker set --from xml", &["`xml` is no format", "dbcop"]);
    check("convert - --to plume", &["possible values: json, edn"]);
}

#[test]
fn help_lists_every_checker() {
    let text = expect(VALID, "checkers", "");
    contains(&text, &["set-full", "rw-register", "linearizable-keys", "independent"]);
    for arguments in ["--help", "fuzz-dist help", "-h"] {
        contains(&expect(VALID, arguments, ""), &["checkers", "List the checkers"]);
    }
    contains(&expect(VALID, "check --help", ""), &["`checkers` lists the checkers"]);
    contains(&expect(VALID, "--version", ""), &["cargo-fuzz-dist "]);
}

#[test]
fn options_reach_the_checkers() {
    let stale =
        done(0, "add", "1", "1") + &done(1, "read", "nil", "#{}") + &done(1, "read", "nil", "#{1}");
    expect(VALID, "check - --checker set-full", &stale);
    expect(INVALID, "check - --checker set-full -o linearizable", &stale);
    let keys = done(0, "add", "[:x 1]", "[:x 1]")
        + &done(1, "read", "[:x nil]", "[:x #{1}]")
        + &done(0, "add", "[:y 1]", "[:y 1]")
        + &done(1, "read", "[:y nil]", "[:y #{}]");
    let text = expect(INVALID, "check - --checker set-full -o independent", &keys);
    contains(&text, &["1 key is invalid: \"y\""]);
    // That the second write is the newer one is known by the model asked for, or by an option only.
    let registers = done(0, "txn", "[[:w :x 1]]", "[[:w :x 1]]")
        + &done(0, "txn", "[[:w :x 2]]", "[[:w :x 2]]")
        + &done(1, "txn", "[[:r :x nil]]", "[[:r :x 1]]");
    expect(INVALID, "check - --checker rw-register", &registers);
    let serializable = "check - --checker rw-register -o model=serializable";
    expect(VALID, serializable, &registers);
    let text = expect(INVALID, &format!("{serializable} -o linearizable_keys"), &registers);
    contains(&text, &["cyclic-versions"]);
    let bank = done(0, "read", "nil", "{0 5, 1 6}");
    expect(VALID, "check - --checker bank -o accounts=0-1 -o total=11", &bank);
    expect(INVALID, "check - --checker bank -o accounts=0,1 -o total=12", &bank);
    let count = done(0, "txn", "[[:increment :k 5]]", "[[:increment :k 5]]")
        + &done(0, "txn", "[[:r :k nil]]", "[[:r :k 3]]");
    expect(INVALID, "check - --checker crdt-causal -o type=pn-counter", &count);
    expect(INVALID, "check - --checker crdt-causal -o type=grow-set -o keys=k:pn-counter", &count);
}

#[test]
fn sequential_consistency_and_the_causal_levels_are_distinguished() {
    let one = |p: u32, f: &str, key: &str, value: &str| {
        let asked = if f == "read" { "nil" } else { value };
        done(p, f, &format!("[:{key} {asked}]"), &format!("[:{key} {value}]"))
    };
    // Neither sees the other's write: causal in every way, and in no order.
    let dekker = one(0, "write", "x", "1")
        + &one(0, "read", "y", "nil")
        + &one(1, "write", "y", "1")
        + &one(1, "read", "x", "nil");
    let text = expect(INVALID, "check - --checker sequential", &dekker);
    contains(&text, &["not_sequential", "an independent check of all their orders agrees"]);
    for level in ["cc", "ccv", "cm"] {
        expect(VALID, &format!("check - --checker causal -o level={level}"), &dekker);
    }
    // Two clients order two writes differently.
    let two = one(0, "write", "x", "1")
        + &one(1, "write", "x", "2")
        + &one(2, "read", "x", "1")
        + &one(2, "read", "x", "2")
        + &one(3, "read", "x", "2")
        + &one(3, "read", "x", "1");
    expect(VALID, "check - --checker causal -o level=causal-consistency", &two);
    expect(VALID, "check - --checker causal -o level=causal-memory", &two);
    let text = expect(INVALID, "check - --checker causal -o level=causal-convergence", &two);
    contains(&text, &["pattern: CyclicCF"]);
    let text = expect(INVALID, "check - --checker sequential", &two);
    contains(&text, &["not even causal"]);
    let stale = op("invoke", 0, "write", "1")
        + &op("ok", 0, "write", "1")
        + &op("invoke", 1, "read", "nil")
        + &op("ok", 1, "read", "nil");
    expect(VALID, "check - --checker sequential -o model=register", &stale);
    expect(INVALID, "check - --checker cas-register", &stale);
}

#[test]
fn registers_and_keys_of_porcupine_are_judged() {
    let log = "INFO  jepsen.util - 0\t:invoke\t:write\t4\nINFO  jepsen.util - 0\t:ok\t:write\t4\n\
        INFO  jepsen.util - 1\t:invoke\t:read\tnil\nINFO  jepsen.util - 1\t:ok\t:read\t";
    let check = "check - --checker linearizable -o model=cas-register";
    expect(VALID, check, &format!("{log}4\n"));
    contains(&expect(INVALID, check, &format!("{log}3\n")), &["not_linearizable", "jepsen-log"]);
    let key = |p: u32, kind: &str, f: &str, value: &str| {
        format!("{{:process {p}, :type :{kind}, :f :{f}, :key \"7\", :value {value}}}\n")
    };
    let kv = key(0, "invoke", "append", "\"a\"")
        + &key(0, "ok", "append", "\"a\"")
        + &key(1, "invoke", "append", "\"b\"")
        + &key(1, "ok", "append", "\"b\"")
        + &key(0, "invoke", "get", "nil");
    let check = "check - --checker linearizable -o model=kv";
    expect(VALID, check, &(kv.clone() + &key(0, "ok", "get", "\"ab\"")));
    let text = expect(INVALID, check, &(kv + &key(0, "ok", "get", "\"ba\"")));
    contains(&text, &["\"7\""]);
}

#[test]
fn sessions_without_times_are_judged_by_their_order_alone() {
    // Both sessions see one half of the other's writes: fine for axiomatic-read-committed only.
    let fork = "[x:=1]\n---\n[y:=2]\n---\n[x==1 y==?]\n---\n[x==? y==2]\n";
    expect(VALID, "check - --checker causal", fork);
    expect(INVALID, "check - --checker long-fork", fork);
    let stale = "w(1,5,0,0)\nw(1,6,0,1)\nr(1,6,1,2)\nr(1,5,1,3)\n";
    contains(&expect(INVALID, "check - --checker weak -o level=causal", stale), &["plume"]);
    let text = expect(UNKNOWN, "check - --checker rw-register -o model=strict-serializable", stale);
    contains(&text, &["depends on real time, which this history does not record"]);
    expect(VALID, "check - --checker rw-register", "w 0 1\n-----\nr 0 1\n");
}

#[test]
fn notations_are_converted_into_one_another() {
    let edn = done(0, "txn", "[[:append 1 2] [:r 3 nil]]", "[[:append 1 2] [:r 3 [4]]]");
    let json = expect(VALID, "convert - --to json", &edn);
    assert!(json.starts_with("{\"fuzz_dist_history\":1"), "{json}");
    let back = expect(VALID, "convert - --to edn", &json);
    contains(&back, &[":f :txn, :value [[:append 1 2] [:r 3 [4]]]"]);
    assert_eq!(expect(VALID, "convert - --to json", &back), json);
}

#[test]
fn files_are_known_by_their_names_too() {
    let path = scratch("history.edn");
    std::fs::write(&path, "").expect("a file");
    let arguments = format!("check {} --checker set-full", path.display());
    contains(&expect(UNKNOWN, &arguments, ""), &["0 events, edn"]);
    std::fs::remove_file(&path).expect("the file");
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("fuzz_dist-command-{}-{name}", std::process::id()))
}

/// What is offered is documented, in the command and on its page.
#[test]
fn every_option_of_every_checker_is_documented() {
    let list = expect(VALID, "checkers", "");
    let (checkers, options) = list.split_once("\noptions").expect("a list of options");
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/checkers.md"));
    let page = page.expect("the page");
    let offered: Vec<&str> = checkers
        .lines()
        .filter_map(|line| line.trim().strip_prefix("-o "))
        .flat_map(|all| all.split(", "))
        .collect();
    assert!(offered.len() > 30, "{offered:?}");
    let explained: Vec<&str> = options
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .flat_map(|line| line.trim().split(", "))
        .collect();
    for option in offered {
        assert!(explained.contains(&option), "`checkers` does not explain {option}");
        assert!(page.contains(&format!("`{option}`")), "docs/checkers.md does not have {option}");
    }
    contains(&list, &["counts, rates and latencies by function and node; always valid"]);
    let text = expect(WRONG, "check - --checker set --color always", "");
    contains(&text, &["unexpected argument '--color'"]);
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let history = export(WRITE_SKEW, Format::Edn);
    let path = std::env::temp_dir().join(format!("fuzz_dist_full_{}.edn", std::process::id()));
    std::fs::write(&path, history).expect("a history");
    let file = path.to_str().expect("UTF-8");
    for arguments in [
        &["check", file, "--checker", "list-append"][..],
        &["check", file, "--checker", "list-append", "-o", "model=snapshot-isolation"],
        &["check", file, "--checker", "list-append", "--format", "json"],
        &["convert", file, "--to", "json"],
        &["checkers"],
        &["--help"],
        &["--version"],
    ] {
        let full = std::fs::File::create("/dev/full").expect("a device that is always full");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cargo-fuzz-dist"));
        let output = command.args(arguments).stdout(full).output().expect("the command runs");
        assert_eq!(output.status.code(), Some(WRONG), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("could not write"), "{arguments:?}: {said}");
    }
    std::fs::remove_file(&path).expect("the history goes");
}

/// A run's folder with this history and, where there are some, the results of its checkers.
fn folder(history: (&str, &str), results: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(history.0), history.1).expect("a history");
    if let Some(results) = results {
        std::fs::write(folder.path().join("results.json"), results).expect("results");
    }
    folder
}

#[test]
fn a_run_is_judged_as_it_was() {
    // Stale, which the run had asked for.
    let stale =
        done(0, "add", "1", "1") + &done(1, "read", "nil", "#{}") + &done(1, "read", "nil", "#{1}");
    let results = |kept: &str| {
        let asked = r#"{"checker":"set_full","verdict":"invalid","results":{"arguments":{"checker":"set_full","options":{"linearizable":"true"}}},"parts":[]}"#;
        format!(r#"{{"verdict":"invalid","checkers":[{asked}{kept}]}}"#)
    };
    let run = folder(("history.edn", &stale), Some(&results("")));
    let check = format!("check {}", run.path().display());
    let ended = program::run(&check, "");
    assert_eq!(ended.code, INVALID, "{}{}", ended.out, ended.err);
    contains(&ended.out, &["history.edn\tinvalid\tset_full", "stale"]);
    contains(&ended.err, &["note: the history is", "judged by set_full -o linearizable=true"]);
    // Another checker may be asked, with its own options.
    expect(VALID, &format!("{check} --checker set-full"), "");
    expect(WRONG, &format!("{check} -o linearizable"), "");
    // What the command does not have keeps its verdict.
    let power = r#",{"checker":"power","verdict":"unknown","reasons":["no fault"],"results":{},"parts":[]}"#;
    let healthy = done(0, "add", "1", "1") + &done(1, "read", "nil", "#{1}");
    let run = folder(("history.edn", &healthy), Some(&results(power)));
    let text = expect(UNKNOWN, &format!("check {}", run.path().display()), "");
    contains(&text, &["  set_full: valid\n  power: unknown\n", "no fault (as the run said)"]);
    let text = expect(UNKNOWN, &format!("check {} --format json", run.path().display()), "");
    let json: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (&json["parts"][0]["verdict"], &json["verdict"]),
        (&"valid".into(), &"unknown".into())
    );
}

#[test]
fn a_folder_has_a_history_or_says_what_is_missing() {
    let add = "0\t:invoke\t:add\t1\n0\t:ok\t:add\t1\n0\t:invoke\t:read\tnil\n0\t:ok\t:read\t[1]\n";
    let jepsen = folder(("history.txt", add), None);
    let path = jepsen.path().display().to_string();
    let text = expect(WRONG, &format!("check {path}"), "");
    contains(&text, &[&path, "does not say which checker", "set-full"]);
    contains(&expect(VALID, &format!("check {path} --checker set"), ""), &["history.txt\tvalid"]);
    // EDN has more than the text; the text of a log is the last that is asked.
    std::fs::write(jepsen.path().join("jepsen.log"), "no history").expect("a log");
    let edn = done(0, "add", "1", "1") + &done(0, "read", "nil", "#{}");
    std::fs::write(jepsen.path().join("history.edn"), edn).expect("a history");
    let text = expect(INVALID, &format!("check {path} --checker set"), "");
    contains(&text, &["history.edn\tinvalid"]);
    // Results that are not ours say nothing.
    std::fs::write(jepsen.path().join("results.json"), "{\"checkers\": [7, {}]").expect("results");
    contains(&expect(WRONG, &format!("check {path}"), ""), &["does not say which checker"]);
    let binary = folder(("test.jepsen", "JEPSEN"), None);
    let text = expect(WRONG, &format!("check {} --checker set", binary.path().display()), "");
    contains(&text, &["test.jepsen", "Jepsen alone reads", "history.edn"]);
    let empty = tempfile::tempdir().expect("a folder");
    let text = expect(WRONG, &format!("check {} --checker set", empty.path().display()), "");
    contains(&text, &["has no history", "history.jsonl", "`latest`"]);
    expect(WRONG, &format!("convert {} --to json", empty.path().display()), "");
    let text = expect(VALID, &format!("convert {path} --to json"), "");
    contains(&text, &["fuzz_dist_history"]);
}

/// What is offered on the command line stands in its help and on its page, and what stands there is
/// offered.
#[test]
fn commands_and_flags_are_documented() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/checkers.md"));
    let release =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/your_release.md"));
    let page = page.expect("the page") + &release.expect("the page");
    let help = expect(VALID, "--help", "");
    let commands = help.split_once("Commands:\n").expect("commands").1;
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let commands: Vec<&str> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(commands, ["check", "convert", "checkers", "init", "help"]);
    let flags_in = |text: &str| -> std::collections::BTreeSet<String> {
        let words = text.split(|c: char| c != '-' && !c.is_alphanumeric());
        words.filter(|word| word.starts_with("--") && word.len() > 2).map(String::from).collect()
    };
    let mut offered = flags_in(&help);
    for command in &commands[..4] {
        assert!(page.contains(&format!("cargo fuzz-dist {command}")), "the pages lack {command}");
        let of_command = expect(VALID, &format!("{command} --help"), "");
        contains(&of_command, &[&format!("Usage: cargo fuzz-dist {command}")]);
        offered.extend(flags_in(&of_command));
    }
    assert!(offered.len() >= 7, "{offered:?}");
    // What is offered stands on the page, and what the page shows is offered.
    for flag in &offered {
        assert!(page.contains(flag.as_str()), "the pages do not have {flag}");
    }
    let shown = page.lines().filter(|line| line.starts_with("cargo fuzz-dist "));
    for flag in shown.flat_map(flags_in) {
        assert!(offered.contains(&flag), "{flag} is shown and not known");
    }
    let help = expect(VALID, "check --help", "");
    for format in Format::ALL {
        contains(&help, &[format.as_str()]);
        assert!(page.contains(&format!("| `{format}` |")), "docs/checkers.md lacks {format}");
    }
}

/// Of a history in which nothing succeeded there is something to count as well.
#[test]
fn stats_counts_outcomes_and_kinds_of_error() {
    let failed = op("invoke", 0, "add", "1")
        + "{:type :fail, :process 0, :f :add, :value 1, :error [:conflict \"no\"]}\n"
        + &op("invoke", 0, "add", "2")
        + "{:type :info, :process 0, :f :add, :value 2, :error :timeout}\n";
    let text = expect(VALID, "check - --checker stats", &failed);
    contains(
        &text,
        &["count 2, ", "fail_count 1", "info_count 1", "ok_count 0", "errors conflict 1 timeout 1"],
    );
}
