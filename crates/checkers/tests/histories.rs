//! What checkers say, to the letter, about kept histories: one small one for each anomaly.
//!
//! The histories are in `tests/histories/`, in the form in which runs store them. Where a
//! sentence changes on purpose, `INSTA_UPDATE=always cargo test -p fuzz_dist_checkers --test histories` accepts it; it
//! also keeps a history of an anomaly that is new.

mod cases;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cases::Case;
use fuzz_dist_checkers::histories::Recorder;
use fuzz_dist_checkers::{
    AnyChecker, Checker as _, Verdict, any_checker, explained, jobs, liveness, log_pattern, names,
    power, set_full, unordered_queue,
};
use fuzz_dist_history::op::{Kind, Phase, Process, Value};
use fuzz_dist_history::time::{Time, secs};
use fuzz_dist_history::{Edge, Format, History};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A kept history, and the checker that judges it.
struct Kept {
    file: String,
    checker: &'static str,
    build: AnyChecker,
    /// What it must find, whatever else it does.
    anomaly: &'static str,
    /// Where there is no file yet.
    fresh: Option<History>,
}

impl Kept {
    fn of(case: Case) -> Option<Kept> {
        let anomaly = case.anomaly?;
        let value = case.option.split_once('=').map_or("", |(_, v)| v);
        let words = [case.checker, value, anomaly].map(|w| w.replace('-', "_").to_lowercase());
        let file = words.into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join("_");
        let (checker, build) = (case.checker, case.build());
        Some(Kept { file, checker, build, anomaly, fresh: Some(case.history) })
    }

    fn path(&self) -> PathBuf {
        root().join("tests/histories").join(&self.file).with_extension("jsonl")
    }

    /// The kept history; a new one is kept where that was asked for.
    fn load(&self) -> History {
        let path = self.path();
        let update = std::env::var("INSTA_UPDATE").is_ok_and(|u| u == "always");
        if let (false, true, Some(fresh)) = (path.exists(), update, &self.fresh) {
            let mut text = Vec::new();
            fresh.export(&mut text, Format::Json).expect("memory takes all writes");
            fs::write(&path, text).expect("a kept history");
        }
        let loaded = History::load(&path).unwrap_or_else(|e| {
            panic!("{} is not kept: {e}; INSTA_UPDATE=always keeps one", self.file)
        });
        assert!(loaded.torn.is_none(), "{} is complete", self.file);
        loaded.history
    }
}

/// Every anomaly that can be planted, and one that stands in a log.
fn kept() -> Vec<Kept> {
    let mut kept: Vec<Kept> = cases::all(5, 2).into_iter().filter_map(Kept::of).collect();
    kept.push(Kept {
        file: "log_pattern_log_line".into(),
        checker: "log_pattern",
        build: any_checker(log_pattern(["CRASH REPORT"])),
        anomaly: "log_line",
        fresh: None,
    });
    kept.extend(services());
    kept
}

/// Names, jobs, pools and liveness: small histories by hand.
fn services() -> Vec<Kept> {
    let text = |process: &str| if process == "-" { Value::Nil } else { process.into() };
    // Client n on node n + 1 finds these processes, and reads the last of them in the end.
    let named = |found: &[&str], last: [&str; 2]| {
        let mut r = Recorder::new(["n1", "n2"]);
        for (i, process) in found.iter().enumerate() {
            r.invoke(i as u32 % 2, "lookup", "shop");
            r.ok(i as u32 % 2, text(process));
        }
        r.phase = Phase::Final;
        for (client, process) in last.iter().enumerate() {
            r.invoke(client as u32, "names", Value::Nil);
            r.ok(client as u32, Value::list([Value::list(["shop".into(), text(process)])]));
        }
        r.history()
    };
    let executed = |jobs: &[i64]| {
        let mut r = Recorder::new(["n1"]);
        r.invoke(0, "submit", 1);
        r.done(0);
        r.phase = Phase::Final;
        r.invoke(0, "executed", Value::Nil);
        r.ok(0, Value::list(jobs.iter().copied()));
        r.history()
    };
    let queue = || {
        let mut r = Recorder::new(["n1"]);
        r.invoke(0, "enqueue", 1);
        r.done(0);
        r.invoke(0, "dequeue", Value::Nil);
        r.ok(0, Value::Nil);
        r.history()
    };
    let stuck = || {
        let mut r = Recorder::new(["n1", "n2"]);
        for edge in [Edge::Start, Edge::Started, Edge::Stop, Edge::Stopped] {
            let check = (edge.kind() == Kind::Info).then_some((Some(true), Value::Nil));
            let value = History::fault_value(0, edge, "{n1} | {n2}", check);
            r.event(Process::NEMESIS, None, edge.kind(), "halves".into(), value);
        }
        r.invoke(0, "add", 1);
        r.done(0);
        r.invoke(1, "add", 2);
        r.info(1);
        r.time = Time::from_millis(20_000);
        r.invoke(0, "add", 3);
        r.history()
    };
    let kept = |checker: &'static str, anomaly: &'static str, build: AnyChecker, fresh| Kept {
        file: format!("{checker}_{anomaly}"),
        checker,
        build,
        anomaly,
        fresh: Some(fresh),
    };
    let (one, all) = (|| any_checker(names()), || any_checker(names().always(true)));
    vec![
        kept("names", "duplicate", all(), named(&["a", "b", "a", "b"], ["b", "b"])),
        kept("names", "duplicate_stays", one(), named(&["a", "b"], ["a", "b"])),
        kept("names", "unknown_to", one(), named(&["a", "a"], ["a", "-"])),
        kept("names", "nobody", one(), named(&["a", "a"], ["-", "-"])),
        kept("jobs", "lost", any_checker(jobs()), executed(&[])),
        kept("jobs", "duplicate", any_checker(jobs()), executed(&[1, 1])),
        kept("unordered_queue", "not_empty", any_checker(unordered_queue()), queue()),
        kept("liveness", "not_recovered", any_checker(liveness(secs(10))), stuck()),
    ]
}

fn describe(file: &str, verdict: &Verdict, said: &mut String) {
    said.push_str(&format!("{file}: {}\n", verdict.validity));
    for reason in &verdict.reasons {
        said.push_str(&format!("  because {reason}\n"));
    }
    for anomaly in &verdict.anomalies {
        said.push_str(&format!("  {} {}: {}", anomaly.kind, anomaly.subject, anomaly.explanation));
        said.push_str(&format!(" (events {:?})\n", anomaly.events));
    }
}

/// Histories of real runs, trimmed, and small ones that show one cause each.
const RUNS: [&str; 7] = [
    "mnesia_blip",
    "mnesia_majority_blip",
    "mnesia_restart",
    "cause_crash_of_a_named_process",
    "cause_nodedown_that_ended",
    "cause_reconnect",
    "cause_restart_before_the_loss",
];

/// What explains the one anomaly, by hand: a cause that acted when it came about.
#[test]
fn the_cause_named_is_the_one_that_acted_at_the_loss() {
    for (name, fault, sentence) in [
        ("cause_restart_before_the_loss", None, "n2 was started again at 5.000 s."),
        (
            "cause_nodedown_that_ended",
            None,
            "n2 lost n1 at 5.000 s until 5.500 s (connection_closed).",
        ),
        (
            "cause_reconnect",
            Some(0),
            "n2 was connected to n1 again at 10.000 s, lost at 6.000 s \
             (net_tick_timeout), under majority_minority {n1} | {n2 n3}.",
        ),
        (
            "cause_crash_of_a_named_process",
            Some(0),
            "n1 logged at 1.912 s: gen_server stock terminated: {case_clause,empty}.",
        ),
    ] {
        let path = root().join("tests/histories").join(name).with_extension("jsonl");
        let history = History::load(path).expect("a kept history").history;
        let verdict = explained(set_full().check(&history), &history);
        let [anomaly] = &verdict.anomalies[..] else { panic!("{name}: {verdict:#?}") };
        assert!(anomaly.explanation.ends_with(sentence), "{name}: {}", anomaly.explanation);
        assert_eq!((anomaly.causes.len(), anomaly.fault), (1, fault), "{name}");
    }
}

/// Trimmed histories of real runs, in which nodes said why: what is said of each anomaly, and as data.
#[test]
fn explanations_of_kept_histories_do_not_change() {
    let folder = root().join("tests/histories");
    let mut said = String::new();
    for name in RUNS {
        let loaded = History::load(folder.join(name).with_extension("jsonl"));
        let history = loaded.unwrap_or_else(|e| panic!("{name} does not load: {e}")).history;
        let verdict = explained(set_full().check(&history), &history);
        said.push_str(&format!("{name}: {}\n", verdict.validity));
        for anomaly in &verdict.anomalies {
            said.push_str(&format!("  {} {}: ", anomaly.kind, anomaly.subject));
            said.push_str(&format!("{}\n", anomaly.explanation));
            for cause in &anomaly.causes {
                let (kind, peers) = (cause.kind.as_str(), cause.peers.join(" "));
                let node = history.node_name(cause.node);
                said.push_str(&format!("    {kind} on {node} of {peers}: {}", cause.reason));
                said.push_str(&format!(", fault {:?}, events {:?}\n", cause.fault, cause.events));
            }
        }
        for matrix in history.down_matrices() {
            said.push_str(&format!("  fault {}: {}\n", matrix.fault, matrix.rows.join("; ")));
        }
    }
    insta::assert_snapshot!(said);
}

/// The kept runs have the words that the end of a fault had before it recorded `removed` and `not removed`:
/// whichever stand there, every checker that looks at faults says the same.
#[test]
fn older_words_for_the_end_of_a_fault_give_the_same_verdicts() {
    let end = |word: &str| format!(r#""edge","stopped"],["status","{word}""#);
    let mut tried = 0;
    for name in RUNS.into_iter().chain(["liveness_not_recovered"]) {
        let path = root().join("tests/histories").join(name).with_extension("jsonl");
        let older = fs::read_to_string(path).expect("a kept history");
        let verdicts = |text: String| {
            let loaded = History::import(&mut text.as_bytes(), name.as_ref(), Format::Json)
                .expect("it loads");
            let history = loaded.history;
            let undone: Vec<bool> = history.faults().iter().map(|f| f.undone).collect();
            let checkers = [
                any_checker(set_full()),
                any_checker(liveness(secs(10))),
                any_checker(power().faults_asked(true)),
            ];
            let verdicts = checkers.map(|c| explained(c.check(&history), &history));
            (undone, verdicts)
        };
        for (old, new, is_undone) in
            [("installed", "removed", true), ("ineffective", "not removed", false)]
        {
            let older = older.replace(&end("installed"), &end(old));
            let newer = older.replace(&end(old), &end(new));
            if older == newer {
                continue;
            }
            tried += 1;
            let (older, newer) = (verdicts(older), verdicts(newer));
            assert_eq!(older, newer, "{name}: {old} and {new}");
            assert!(older.0.iter().all(|undone| *undone == is_undone), "{name}: {old}");
        }
    }
    assert_eq!(tried, 12, "six of the kept histories have the end of a fault");
}

#[test]
fn verdicts_about_kept_histories_do_not_change() {
    let mut of_checker: BTreeMap<&str, String> = BTreeMap::new();
    let mut files = BTreeSet::new();
    for kept in kept() {
        // Some anomalies have more than one script; one history is enough.
        if !files.insert(kept.file.clone()) {
            continue;
        }
        let verdict = kept.build.check(&kept.load());
        let named = verdict.anomalies.iter().any(|a| *a.kind == *kept.anomaly);
        assert!(verdict.is_invalid() && named, "{}: {verdict:#?}", kept.file);
        describe(&kept.file, &verdict, of_checker.entry(kept.checker).or_default());
    }
    for (checker, said) in of_checker {
        insta::assert_snapshot!(checker, said);
    }
    let there = fs::read_dir(root().join("tests/histories")).expect("the kept histories");
    for entry in there.map(|e| e.expect("a readable folder").path()) {
        let name = entry.file_stem().and_then(|s| s.to_str()).expect("a name").to_string();
        assert!(files.contains(&name) || RUNS.contains(&&*name), "nobody judges {name}");
    }
}

/// The names that checkers give to anomalies where they make them.
#[test]
fn every_name_of_an_anomaly_has_a_kept_history() {
    let known: BTreeSet<&str> = kept().iter().map(|k| k.anomaly).collect();
    let mut folders = vec![root().join("src")];
    let mut found = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("sources") {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("UTF-8");
            for at in text.match_indices("Anomaly::new(\"").map(|(i, m)| i + m.len()) {
                found.extend(text[at..].split('"').next().map(String::from));
            }
        }
    }
    assert!(found.len() > 12, "{found:?}");
    for name in found {
        assert!(known.contains(&*name), "no history is kept of `{name}`");
    }
}
