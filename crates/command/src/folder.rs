//! A run's folder as the thing to judge: which history it has, and how the run was judged.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use fuzz_dist_checkers::{ARGUMENTS, Arguments, Validity, Verdict};

/// The histories that a folder may have, best first: ours, and Jepsen's.
const HISTORIES: [&str; 9] = [
    "history.jsonl",
    "history.edn",
    "history.jsonl.gz",
    "history.jsonl.zst",
    "history.edn.gz",
    "history.edn.zst",
    "history.json",
    "history.txt",
    "jepsen.log",
];

/// What only Jepsen itself reads.
const BINARY: [&str; 3] = ["test.jepsen", "test.fressian", "jepsen.history"];

/// A folder that was given as a history.
pub(super) struct Folder {
    /// Its history.
    pub(super) history: String,
    /// What judged the run, as far as the folder says it.
    pub(super) judged: Judged,
}

/// The checkers of a run.
#[derive(Default)]
pub(super) struct Judged {
    /// Those that the command has.
    pub(super) again: Vec<Arguments>,
    /// What the others said, such as those of the test itself.
    pub(super) kept: Vec<Verdict>,
}

/// The folder of this name; `None` where it is none.
///
/// # Errors
///
/// Where it has no history that can be read.
pub(super) fn find(source: &str) -> Result<Option<Folder>, String> {
    let path = Path::new(source);
    if !path.is_dir() {
        return Ok(None);
    }
    let run = match history_of(path) {
        Some(_) => path.to_path_buf(),
        None => latest(path).unwrap_or_else(|| path.to_path_buf()),
    };
    let Some(history) = history_of(&run) else {
        let binary = BINARY.iter().find(|name| run.join(name).is_file());
        return Err(match binary {
            Some(name) => format!(
                "the folder {source} has its history only in {name}, which Jepsen alone reads; `lein run analyze` writes a history.edn beside it"
            ),
            None => format!(
                "the folder {source} has no history: expected one of {}, or a file or folder `latest`",
                HISTORIES.join(", ")
            ),
        });
    };
    let judged = judged(&run.join("results.json"));
    Ok(Some(Folder { history: history.to_string_lossy().into_owned(), judged }))
}

fn history_of(folder: &Path) -> Option<PathBuf> {
    HISTORIES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// The newest run in a test's folder: ours names it in a file, Jepsen links to it.
fn latest(folder: &Path) -> Option<PathBuf> {
    let latest = folder.join("latest");
    if latest.is_dir() {
        return Some(latest);
    }
    let name = fs::read_to_string(latest).ok()?;
    Some(folder.join(name.trim())).filter(|run| run.is_dir())
}

/// How the run was judged; empty where there are no results of ours.
fn judged(results: &Path) -> Judged {
    let mut judged = Judged::default();
    let json = fs::read(results).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let json: Json = json.unwrap_or_default();
    for part in parts(&json, "checkers") {
        add(&mut judged, part);
    }
    judged
}

fn parts<'a>(of: &'a Json, key: &str) -> &'a [Json] {
    of.get(key).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

fn add(judged: &mut Judged, part: &Json) {
    let arguments = part.get("results").and_then(|results| results.get(ARGUMENTS));
    if let Some(arguments) = arguments.and_then(|a| serde_json::from_value(a.clone()).ok()) {
        judged.again.push(arguments);
        return;
    }
    // Several checkers as one.
    let inner = parts(part, "parts");
    if inner.iter().any(has_arguments) {
        inner.iter().for_each(|part| add(judged, part));
        return;
    }
    let name = part.get("checker").and_then(Json::as_str).unwrap_or("unnamed");
    let reasons: Vec<&str> = parts(part, "reasons").iter().filter_map(Json::as_str).collect();
    let mut verdict = match part.get("verdict").and_then(Json::as_str) {
        Some("valid") => Verdict::valid(name),
        Some("invalid") => Verdict { validity: Validity::Invalid, ..Verdict::valid(name) },
        _ => Verdict { validity: Validity::Unknown, ..Verdict::valid(name) },
    };
    verdict.reasons = reasons.iter().map(|why| format!("{why} (as the run said)")).collect();
    judged.kept.push(verdict);
}

fn has_arguments(part: &Json) -> bool {
    let own = part.get("results").is_some_and(|results| results.get(ARGUMENTS).is_some());
    own || parts(part, "parts").iter().any(has_arguments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fuzz_dist_checkers::histories::Script;
    use fuzz_dist_checkers::{Checker, compose, set_full, stats};

    /// A verdict as a run writes it into results.json.
    fn part(verdict: &Verdict) -> Json {
        serde_json::json!({
            "checker": &*verdict.checker,
            "verdict": verdict.validity,
            "reasons": verdict.reasons,
            "results": verdict.results,
            "parts": verdict.parts.iter().map(part).collect::<Vec<_>>(),
        })
    }

    /// What a run writes is what is judged again.
    #[test]
    fn the_checkers_of_a_run_are_those_of_its_results() {
        let history = Script::parse("a1 a1' r r'{1}");
        let flags = set_full().sessions(true);
        let user = compose().with("mine", set_full()).with("stats", stats());
        let verdict = Verdict::compose(
            "verdict",
            [
                flags.check(&history).asked(flags.arguments()),
                user.check(&history).asked(user.arguments()),
                Verdict::unknown("power", "no operation during a fault"),
            ],
        );
        let results = serde_json::json!({
            "verdict": verdict.validity,
            "checkers": verdict.parts.iter().map(part).collect::<Vec<_>>(),
        });
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        fs::create_dir(&run).unwrap();
        fs::write(run.join("results.json"), results.to_string()).unwrap();
        fs::write(run.join("history.jsonl"), "").unwrap();
        fs::write(folder.path().join("latest"), "run\n").unwrap();
        for source in [folder.path(), &run] {
            let found = find(source.to_str().unwrap()).unwrap().expect("a folder");
            assert!(found.history.ends_with("run/history.jsonl"), "{}", found.history);
            let again: Vec<String> = found
                .judged
                .again
                .iter()
                .map(|a| format!("{} {:?}", a.checker, a.options))
                .collect();
            let expected = ["set_full {\"sessions\": \"true\"}", "set_full {}", "stats {}"];
            assert_eq!(again, expected);
            let kept = &found.judged.kept[..];
            assert_eq!((kept.len(), &*kept[0].checker), (1, "power"));
            assert_eq!(kept[0].reasons, ["no operation during a fault (as the run said)"]);
        }
        assert!(find(run.join("history.jsonl").to_str().unwrap()).unwrap().is_none());
    }
}
