//! Names and what they resolve to.

use super::*;
use crate::registry::resolve::find;

const fn at(line: u32) -> Location {
    Location { file: "tests/cluster.rs", line, column: 9 }
}

const fn named(
    name: &'static str,
    aliases: &'static [&'static str],
    line: u32,
) -> Registered<AnyDb> {
    Registered { name, aliases, doc: "", location: at(line), make: || unreachable!() }
}

static ANTIDOTE: Registered<AnyDb> = named("antidote", &["antidotedb"], 1);
static RIAK: Registered<AnyDb> = named("riak", &[], 2);
static RIAK_TOO: Registered<AnyDb> = named("riak_core", &["riak"], 3);

fn check(name: &str, entries: &[&Registered<AnyDb>], expected: Result<&str, &str>) {
    let found = find(name, entries, at(7)).map(|entry| entry.name).map_err(|e| e.to_string());
    assert_eq!(found, expected.map_err(String::from));
}

#[test]
fn names_and_aliases_are_found() {
    check("antidote", &[&ANTIDOTE, &RIAK], Ok("antidote"));
    check("antidotedb", &[&ANTIDOTE, &RIAK], Ok("antidote"));
    check("riak", &[&ANTIDOTE, &RIAK], Ok("riak"));
}

#[test]
fn unknown_names_are_explained() {
    let rest = |name: &str, known: &str| {
        format!(
            "\n  --> tests/cluster.rs:7:9\n  registered: {known}\n  to register a db: \
             `#[fuzz_dist::db(\"{name}\")]` on a type or a function; one of another crate is \
             linked only if that crate is mentioned: `use the_crate as _;`"
        )
    };
    check(
        "antidot",
        &[&ANTIDOTE, &RIAK],
        Err(&("unknown db \"antidot\"; did you mean \"antidote\"?".to_string()
            + &rest("antidot", "antidote, riak"))),
    );
    check(
        "shop",
        &[&ANTIDOTE],
        Err(&("unknown db \"shop\"".to_string() + &rest("shop", "antidote"))),
    );
    check("shop", &[], Err(&("unknown db \"shop\"".to_string() + &rest("shop", "none"))));
}

#[test]
fn a_name_for_two_things_is_refused() {
    check(
        "riak",
        &[&RIAK, &RIAK_TOO],
        Err("duplicate db \"riak\": at tests/cluster.rs:2:9 and at \
             tests/cluster.rs:3:9; rename one of them"),
    );
}

#[test]
fn tests_are_named_as_libtest_names_them() {
    let check = |module, expected: &str| {
        let case = TestCase {
            name: "adds",
            module,
            doc: "",
            location: at(1),
            ignore: None,
            axes: &[],
            body: |_| unreachable!(),
        };
        assert_eq!(case.display_name(), expected);
    };
    check("cluster", "adds");
    check("cluster::sets", "sets::adds");
    check("cluster::sets::grow", "sets::grow::adds");
}

#[test]
fn built_in_names_and_aliases_are_there() {
    let entries = Nemesis::registered();
    let check = |name: &str, expected: &str| {
        let entry = find::<Nemesis>(name, &entries, at(1)).unwrap();
        assert_eq!(entry.name, expected);
        assert!(!entry.doc.is_empty(), "{name}");
        assert_ne!(((entry.make)().is_none(), entry.name == "none"), (true, false));
    };
    check("none", "none");
    check("noop", "none");
    check("majorities_ring", "majority_ring");
    check("netsplit", "majority_minority");
    check("kill", "kill");
    let names: Vec<_> = entries.iter().map(|entry| entry.name).collect();
    assert!(names.is_sorted(), "{names:?}");
    let mut words: Vec<_> =
        entries.iter().flat_map(|e| e.aliases.iter().chain([&e.name])).collect();
    words.sort();
    let all = words.len();
    words.dedup();
    assert_eq!(words.len(), all, "some word stands for two things: {words:?}");
}

#[test]
fn a_test_that_names_no_env_has_the_local_one() {
    use crate::env::Provider as _;
    let env = default_env(at(1)).unwrap();
    assert_eq!((env.make().name(), env.location.line), ("local", 1));
    let entries = AnyProvider::registered();
    let error = find("locla", &entries, at(7)).map(|entry| entry.name).unwrap_err().to_string();
    let expected = "unknown env \"locla\"; did you mean \"local\"?";
    assert!(
        error.starts_with(expected) && error.contains("#[fuzz_dist::env(\"locla\")]"),
        "{error}"
    );
}

#[test]
fn the_library_s_checkers_have_their_names() {
    let choice =
        |name| Choice::<AnyChecker> { label: name, location: at(3), source: Source::Named(name) };
    for entry in crate::checker::registry::CHECKERS {
        if entry.required().is_empty() {
            let part = choice(entry.name).resolve().unwrap();
            let empty = crate::history::History::new(["n1"]);
            assert!(!part.make().check(&empty).is_invalid(), "{}", entry.name);
        }
    }
    assert!(choice("set-full").resolve().is_ok(), "as the command writes it");
    let error = choice("bank").resolve().expect_err("it needs options").to_string();
    assert!(error.starts_with("checker \"bank\" needs accounts and total; give it"), "{error}");
    let error = choice("set_ful").resolve().expect_err("nothing has that name").to_string();
    assert!(
        error.contains("did you mean \"set_full\"?") && error.contains("total_queue"),
        "{error}"
    );
}
