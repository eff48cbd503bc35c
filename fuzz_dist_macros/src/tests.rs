//! What the attributes say about mistakes, and at which tokens.

use crate::keys::{KEYS, Kind, Plug};
use proc_macro2::TokenStream;
use std::str::FromStr;

const FUNCTION: &str = "async fn adds(test: Test) -> Outcome { test.run().await }";

fn tokens(text: &str) -> TokenStream {
    TokenStream::from_str(text).unwrap()
}

/// `tokens: message` of every error, in order.
fn listed(error: syn::Error) -> Vec<String> {
    let show = |e: syn::Error| format!("{}: {e}", e.span().source_text().unwrap_or_default());
    error.into_iter().map(show).collect()
}

/// The errors of an attribute on a good function.
fn check(attribute: &str, expected: &[&str]) {
    check_on(attribute, FUNCTION, expected);
}

fn check_on(attribute: &str, function: &str, expected: &[&str]) {
    let parsed = syn::parse_str(function).unwrap();
    let errors = match crate::test::register(tokens(attribute), &parsed) {
        Ok(_) => vec![],
        Err(error) => listed(error),
    };
    assert_eq!(errors, expected, "{attribute}");
    // Whatever is wrong, the function is there, and what is emitted is Rust.
    let emitted = crate::test::expand(tokens(attribute), tokens(function));
    let emitted: syn::File = syn::parse2(emitted).unwrap();
    let name = parsed.sig.ident;
    assert!(
        emitted.items.iter().any(|item| matches!(item, syn::Item::Fn(f) if f.sig.ident == name))
    );
}

#[test]
fn good_attributes_have_no_errors() {
    check("db = \"antidote\"", &[]);
    check("db = \"antidote\",", &[]);
    check("db = MyApp::new(8087), nemesis = [\"none\", bridge().every(secs(3))]", &[]);
    check("db = f::<A, B>(1, 2), nodes = 3", &[]);
    check("db = \"a\", nodes = NODES, rate = base() * 2, seed = SEED, time_limit = secs(3)", &[]);
    check("db = \"a\", rate = 0.5, concurrency = \"2n\", seed = 18446744073709551615", &[]);
    check("db = \"a\", concurrency = 10, quiesce_limit = \"0s\", ignore", &[]);
    check("db = \"a\", checker = [\"set_full\", mine()], expect = \"invalid\", attempts = 3", &[]);
    check(
        "db = \"a\", unknown = \"warn\", reconnect, heal = \"prompt\", wire, sessions = true, exclusive = BUSY",
        &[],
    );
    check("db = \"a\", env = \"local\", ignore = \"takes an hour\"", &[]);
}

#[test]
fn every_key_has_an_example_that_is_accepted() {
    for key in KEYS {
        let example = key.example.split('`').next().unwrap();
        let db = if key.name == "db" { "" } else { "db = \"antidote\", " };
        check(&format!("{db}{example}"), &[]);
    }
}

#[test]
fn keys_are_corrected_at_the_key() {
    check("bd = \"a\"", &["bd: unknown key `bd`; did you mean `db`?"]);
    check(
        "db = \"a\", nemisis = \"x\", timeout = \"3s\"",
        &[
            "nemisis: unknown key `nemisis`; did you mean `nemesis`?",
            "timeout: unknown key `timeout`; did you mean `op_limit`?",
        ],
    );
    check(
        "db = \"a\", colour = 3",
        &[
            "colour: unknown key `colour`; the keys are db, workload, nemesis, checker, nodes, env, \
           concurrency, rate, time_limit, setup_limit, op_limit, quiesce_limit, total_limit, seed, \
           attempts, expect, unknown, sessions, heal, reconnect, overlapping_partitions, wire, samples, \
           announce, stop, time, deterministic, exclusive, ignore",
        ],
    );
    check("db = \"a\", db = \"b\"", &["db: key `db` is given twice"]);
}

#[test]
fn a_missing_db_is_asked_for() {
    let message = ": missing `db`: say which system to test, as in `db = \"antidote\"`";
    check("", &[message]);
    check("nodes = 3", &[message]);
}

#[test]
fn values_are_refused_at_the_value() {
    let one =
        |attribute: &str, expected: &str| check(&format!("db = \"a\", {attribute}"), &[expected]);
    one("nodes = 0", "0: `nodes` is at least 1");
    one("nodes = \"5\"", "\"5\": `nodes` takes an integer: `nodes = 5`");
    one("nodes = -1", "-1: `nodes` takes an integer: `nodes = 5`");
    one("nodes", "nodes: `nodes` needs a value: `nodes = 5`");
    one("rate = 0", "0: `rate` is in operations per second, above 0: `rate = 100`");
    one("rate = -3.5", "-3.5: `rate` takes operations per second: `rate = 100`");
    one("rate = \"fast\"", "\"fast\": `rate` takes operations per second: `rate = 100`");
    let clients = "`concurrency` takes a number of clients of at least 1, in total or per node: \
                   `concurrency = 10` or `concurrency = \"2n\"`";
    one("concurrency = \"n2\"", &format!("\"n2\": {clients}"));
    one("concurrency = 0", &format!("0: {clients}"));
    one("concurrency = \"0n\"", &format!("\"0n\": {clients}"));
    one(
        "time_limit = \"60 seconds\"",
        "\"60 seconds\": \"60 seconds\" is not a duration; write \"500ms\", \"30s\", \"2m\" or \"1h\"",
    );
    one("time_limit = 60", "60: `time_limit` takes a duration: `time_limit = \"30s\"`");
    one("op_limit = \"0s\"", "\"0s\": `op_limit` is above zero: `op_limit = \"5s\"`");
    one("seed = 1.5", "1.5: `seed` takes an integer: `seed = 42`");
    one("reconnect = \"yes\"", "\"yes\": `reconnect` takes true or false: `reconnect = true`");
    one("ignore = 3", "3: `ignore` stands alone or takes a reason: `ignore = \"takes an hour\"`");
    one("attempts = 0", "0: `attempts` is at least 1");
}

#[test]
fn words_are_corrected() {
    let one =
        |attribute: &str, expected: &str| check(&format!("db = \"a\", {attribute}"), &[expected]);
    one(
        "expect = \"invlaid\"",
        "\"invlaid\": unknown `expect` \"invlaid\"; did you mean \"invalid\"?",
    );
    one(
        "expect = \"loss\"",
        "\"loss\": unknown `expect` \"loss\"; it takes \"invalid\" or \"valid\"",
    );
    one(
        "stop = \"first_anomoly\"",
        "\"first_anomoly\": unknown `stop` \"first_anomoly\"; did you mean \"first_anomaly\"?",
    );
    one("unknown = true", "true: `unknown` takes \"warn\" or \"fail\"");
}

#[test]
fn names_and_arrays_are_checked() {
    check(
        "db = \"\"",
        &["\"\": a name cannot be empty; write `db = \"antidote\"` or `db = MyDb::new()`"],
    );
    check(
        "db = 3",
        &["3: `db` takes a name or an expression: `db = \"antidote\"` or `db = MyDb::new()`"],
    );
    let one =
        |attribute: &str, expected: &str| check(&format!("db = \"a\", {attribute}"), &[expected]);
    one(
        "nemesis = []",
        "[]: an empty array would make a test of no trials; write `nemesis = \"majority_ring\"`",
    );
    one("nemesis = [\"a\", \"b\", \"a\"]", "\"a\": this element is in the array already");
    one("nemesis = [f(1), f( 1 )]", "f( 1 ): this element is in the array already");
    one(
        "setup_limit = [\"1s\", \"2s\"]",
        "[\"1s\", \"2s\"]: `setup_limit` cannot be an axis of a matrix; write `setup_limit = \"2m\"`",
    );
}

#[test]
fn broken_syntax_hides_no_later_mistake() {
    check(
        "db = , nemisis = \"x\", nodes = 0",
        &[
            "db: `db =` lacks its value",
            "nemisis: unknown key `nemisis`; did you mean `nemesis`?",
            "0: `nodes` is at least 1",
        ],
    );
    check("db = \"a\" nodes = 3", &["nodes: expected `,` before the next key"]);
    check("\"antidote\"", &["\"antidote\": expected a key, as in `db = \"antidote\"`"]);
    check(
        "db = \"a\", nodes = 3 +, rate = 0",
        &[
            ",: expected an expression",
            "0: `rate` is in operations per second, above 0: `rate = 100`",
        ],
    );
}

#[test]
fn functions_are_checked_where_they_are_wrong() {
    let one = |function: &str, expected: &str| check_on("db = \"a\"", function, &[expected]);
    one(
        "fn f(t: Test) -> Outcome {}",
        "fn: a `#[fuzz_dist::test]` function is `async`: write `async fn`",
    );
    one(
        "async fn f<T>(t: Test) -> Outcome {}",
        "<T>: a `#[fuzz_dist::test]` function cannot be generic",
    );
    let argument = "a `#[fuzz_dist::test]` function takes exactly one argument: `test: Test`";
    one("async fn f() -> Outcome {}", &format!("(): {argument}"));
    one("async fn f(t: Test, u: u8) -> Outcome {}", &format!("u: u8: {argument}"));
    one(
        "async fn f(&self) -> Outcome {}",
        "&self: a `#[fuzz_dist::test]` function is a free one, without `self`",
    );
    one(
        "async fn f(t: Test) {}",
        "f: a `#[fuzz_dist::test]` function returns a verdict: write `-> Outcome`",
    );
    one(
        "#[ignore] async fn f(t: Test) -> Outcome {}",
        "#[ignore]: write `ignore` or `ignore = \"reason\"` inside of `#[fuzz_dist::test(..)]`",
    );
}

#[test]
fn all_errors_come_at_once() {
    check_on(
        "bd = \"a\", nodes = 0",
        "fn f() -> Outcome {}",
        &[
            "bd: unknown key `bd`; did you mean `db`?",
            "0: `nodes` is at least 1",
            "fn: a `#[fuzz_dist::test]` function is `async`: write `async fn`",
            "(): a `#[fuzz_dist::test]` function takes exactly one argument: `test: Test`",
        ],
    );
}

#[test]
fn what_is_no_function_is_left_as_it_is() {
    let emitted = crate::test::expand(tokens("db = \"a\""), tokens("struct S;")).to_string();
    assert!(emitted.starts_with("struct S ;"), "{emitted}");
    assert!(emitted.contains("compile_error"), "{emitted}");
}

#[test]
fn the_registration_says_what_was_written() {
    let function = syn::parse_str(
        "/// Nothing is lost.\n/// Ever.\n#[cfg(unix)] async fn r#adds(mut t: Test) -> Outcome {}",
    );
    let attribute =
        tokens("db = \"x\", nemesis = [\"a\", b().every(secs(2))], nodes = [3, 5], rate = 7");
    let emitted = crate::test::register(attribute, &function.unwrap()).unwrap().to_string();
    let has = |text: &str| assert!(emitted.contains(text), "no {text} in {emitted}");
    has("name : \"adds\"");
    has("doc : \"Nothing is lost.\"");
    has("# [cfg (unix)] const _");
    has("key : \"db\" , matrix : false");
    has("key : \"nemesis\" , matrix : true");
    has("label : \"b_every_2s\"");
    has("label : \"nodes_3\"");
    has("Source :: Named (\"x\")");
    has("any_nemesis (b () . every (secs (2)))");
    has("options . rate = :: core :: option :: Option :: Some (7f64)");
    has("keys :: nemesis");
    has("needs_harness_false");
}

#[test]
fn every_plug_has_its_key() {
    let plugs = [Plug::Db, Plug::Nemesis, Plug::Workload, Plug::Checker];
    for plug in plugs {
        assert_eq!(KEYS.iter().filter(|key| key.kind == Kind::Plug(plug)).count(), 1);
    }
}

mod registration {
    use super::*;

    fn check(attribute: &str, item: &str, expected: &[&str]) {
        let result = crate::register::register(Plug::Db, tokens(attribute), tokens(item));
        let errors = result.map_or_else(listed, |_| vec![]);
        assert_eq!(errors, expected, "{attribute} on {item}");
        let emitted = crate::register::expand(Plug::Db, tokens(attribute), tokens(item));
        syn::parse2::<syn::File>(emitted).unwrap();
    }

    #[test]
    fn types_and_functions_are_registered() {
        check("\"shop\"", "struct Shop;", &[]);
        check("\"shop\"", "enum Shop { A }", &[]);
        check("\"shop-2.0\"", "fn shop() -> Shop { Shop }", &[]);
        check("\"shop\", aliases = [\"store\", \"web\"],", "struct Shop;", &[]);
    }

    #[test]
    fn the_rest_is_refused_where_it_is_wrong() {
        let how = "a db is registered by `#[fuzz_dist::db(\"shop\")]`";
        check(
            "",
            "struct Shop;",
            &[&format!(": unexpected end of input, expected string literal; {how}")],
        );
        check("shop", "struct Shop;", &[&format!("shop: expected string literal; {how}")]);
        check(
            "\"a\", alias = [\"b\"]",
            "struct Shop;",
            &[&format!("alias: unknown key `alias`; there is only `aliases = [\"..\"]`; {how}")],
        );
        check(
            "\"my shop\", aliases = [\"\"]",
            "struct Shop;",
            &[
                "\"my shop\": \"my shop\" is no name: use letters, digits, `_`, `-` and `.`",
                "\"\": \"\" is no name: use letters, digits, `_`, `-` and `.`",
            ],
        );
        check("\"a\"", "struct Shop<T>(T);", &["<T>: a registered type cannot be generic"]);
        let function = "a registered function is neither generic nor `async`, and takes no \
                        arguments; parameters belong into expressions";
        check(
            "\"a\"",
            "fn shop(n: u8) -> Shop {}",
            &[&format!("fn shop(n: u8) -> Shop: {function}")],
        );
        check(
            "\"a\"",
            "const SHOP: Shop = Shop;",
            &["const SHOP: Shop = Shop;: a name is registered on a struct or an enum that has a \
               `Default`, or on a function that returns the value"],
        );
    }
}
