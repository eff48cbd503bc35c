//! `init`: a crate of cluster tests beside an Elixir or Erlang application.

use std::fs;
use std::path::{Path, PathBuf};

use super::arguments::Init;

const CLUSTER: &str = include_str!("init/cluster.rs");
const CARGO_TOML: &str = include_str!("init/Cargo.toml.txt");
const WORKFLOW: &str = include_str!("init/workflow.yml");

/// The folder that is made.
const FOLDER: &str = "cluster_tests";
const WORKFLOW_FILE: &str = ".github/workflows/cluster_tests.yml";

/// What a project's file says of it.
#[derive(Debug, PartialEq, Eq)]
struct Project {
    /// The folder of its release, relative to the project's.
    release: String,
    /// The command that builds it.
    build: &'static str,
    /// The inputs of the action that installs its tool.
    setup: &'static str,
    /// What has to be done by hand.
    remark: Option<String>,
}

/// Writes the crate, and says what comes next.
///
/// # Errors
///
/// Where there is no such project, or one of the files is there already: nothing is written then.
pub(super) fn init(ask: &Init) -> Result<String, String> {
    let project = found(&ask.project)?;
    let dependency = match &ask.path {
        None => format!(
            "\"{}\"",
            env!("CARGO_PKG_VERSION").rsplit_once('.').map_or("0.1", |(minor, _)| minor)
        ),
        Some(path) => {
            let path = fs::canonicalize(path)
                .map_err(|why| format!("there is no folder {} (--path): {why}", path.display()))?;
            if !path.join("Cargo.toml").is_file() {
                return Err(format!(
                    "{} has no Cargo.toml; expected the folder of the crate fuzz_dist (--path)",
                    path.display()
                ));
            }
            format!("{{ path = {:?} }}", path.to_string_lossy())
        }
    };
    let cluster = CLUSTER.replace("RELEASE", &project.release).replace("BUILD", project.build);
    let files = [
        (format!("{FOLDER}/Cargo.toml"), CARGO_TOML.replace("DEPENDENCY", &dependency)),
        (format!("{FOLDER}/.gitignore"), "/target/\n".into()),
        (format!("{FOLDER}/tests/cluster.rs"), cluster),
        (WORKFLOW_FILE.to_owned(), WORKFLOW.replace("SETUP_BEAM", project.setup)),
    ];
    let folder = |path: &str| ask.project.join(path);
    for taken in [FOLDER, WORKFLOW_FILE].map(folder) {
        if taken.exists() {
            return Err(format!("{} is there already; nothing was written", taken.display()));
        }
    }
    let mut said = String::new();
    for (path, content) in files {
        let path = folder(&path);
        let written = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, content));
        written.map_err(|why| format!("could not write {}: {why}", path.display()))?;
        said.push_str(&format!("wrote {}\n", path.display()));
    }
    if let Some(remark) = project.remark {
        said.push_str(&format!("\nnote: {remark}\n"));
    }
    let tests = folder(FOLDER);
    said.push_str(&format!("\nnext: cd {} && cargo test\n", tests.display()));
    Ok(said)
}

fn found(folder: &Path) -> Result<Project, String> {
    let read = |file: &str| fs::read_to_string(folder.join(file)).ok();
    if let Some(text) = read("mix.exs") {
        return Ok(of_mix(&text, folder));
    }
    if let Some(text) = read("rebar.config") {
        return Ok(of_rebar3(&text, folder));
    }
    let name = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    Err(format!(
        "{} has neither a mix.exs nor a rebar.config; give the folder that has one",
        name.display()
    ))
}

/// A name that stands for one that was not found.
fn name_of(folder: &Path) -> String {
    let whole: Option<PathBuf> = fs::canonicalize(folder).ok();
    let last =
        whole.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    last.unwrap_or_else(|| "app".into())
}

fn of_mix(text: &str, folder: &Path) -> Project {
    let release = after(text, "releases:").and_then(first_key);
    let app = after(text, "app:").and_then(|rest| word(rest.trim_start().strip_prefix(':')?));
    let remark = match (&release, &app) {
        (None, None) => Some(
            "mix.exs names no release and no app (an umbrella project?): write `releases:` there, and the release's \
             name into cluster_tests/tests/cluster.rs"
                .to_owned(),
        ),
        _ => None,
    };
    let name = release.or(app).unwrap_or_else(|| name_of(folder));
    Project {
        release: format!("_build/prod/rel/{name}"),
        build: "mix release --overwrite --quiet",
        setup: "{ otp-version: '27', elixir-version: '1.18' }",
        remark,
    }
}

fn of_rebar3(text: &str, folder: &Path) -> Project {
    let release = after(text, "{release").and_then(|rest| {
        let rest = rest.trim_start().strip_prefix(',')?.trim_start();
        word(rest.strip_prefix('{').unwrap_or(rest).trim_start())
    });
    let remark = release.is_none().then(|| {
        "rebar.config has no `{relx, [{release, {name, \"0.1.0\"}, [app]}, {mode, prod}]}`: add it, and write the \
         release's name into cluster_tests/tests/cluster.rs"
            .to_owned()
    });
    let name = release.unwrap_or_else(|| name_of(folder));
    let (profile, build) = match after(text, "{prod").is_some() {
        true => ("prod", "rebar3 as prod release"),
        false => ("default", "rebar3 release"),
    };
    Project {
        release: format!("_build/{profile}/rel/{name}"),
        build,
        setup: "{ otp-version: '27', rebar3-version: '3' }",
        remark,
    }
}

/// What stands behind the first place of a text that is no comment.
fn after<'a>(text: &'a str, what: &str) -> Option<&'a str> {
    let mut from = 0;
    while let Some(at) = text[from..].find(what).map(|at| from + at) {
        let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let before = text[line..at].trim_start();
        // Of Elixir and of Erlang; the latter's may begin anywhere in a line.
        if !before.starts_with('#') && !before.contains("% ") && !before.starts_with('%') {
            return Some(&text[at + what.len()..]);
        }
        from = at + what.len();
    }
    None
}

/// The first key of a keyword list.
fn first_key(rest: &str) -> Option<String> {
    let rest = rest.trim_start().strip_prefix('[')?.trim_start();
    let key = word(rest)?;
    rest[key.len()..].starts_with(':').then_some(key)
}

/// The name that a text begins with.
fn word(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(text: &str) -> Project {
        of_mix(text, Path::new("/srv/shop"))
    }

    #[test]
    fn the_release_of_a_mix_project_is_found() {
        let plain = "def project do\n  [\n    app: :shop,\n    version: \"0.1.0\"\n  ]\nend";
        assert_eq!(mix(plain).release, "_build/prod/rel/shop");
        assert_eq!(mix(plain).remark, None);
        let named = "app: :shop,\n# releases: [old: []],\nreleases: [\n  web: [cookie: \"c\"],\n  worker: []\n]";
        assert_eq!(mix(named).release, "_build/prod/rel/web");
        // What is a function or a variable cannot be read: the application's name is most probably right.
        assert_eq!(mix("app: :shop, releases: releases()").release, "_build/prod/rel/shop");
        assert!(mix("apps_path: \"apps\"").remark.is_some());
    }

    #[test]
    fn the_release_of_a_rebar3_project_is_found() {
        let rebar3 = |text| of_rebar3(text, Path::new("/srv/shop"));
        let plain = rebar3("{relx, [{release, {ledger, \"0.1.0\"}, [ledger]}]}.");
        assert_eq!((&*plain.release, plain.build), ("_build/default/rel/ledger", "rebar3 release"));
        let prod = rebar3(
            "{relx, [{release,\n  { ledger , git}, []}]}.\n{profiles, [{prod, [{relx, []}]}]}.",
        );
        assert_eq!(
            (&*prod.release, prod.build),
            ("_build/prod/rel/ledger", "rebar3 as prod release")
        );
        assert!(rebar3("{deps, []}. % {release, {no, \"1\"}").remark.is_some());
    }
}
