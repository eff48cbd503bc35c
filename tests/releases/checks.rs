//! What comes out of each fixture test.

use libtest_mimic::{Failed, Trial};

use crate::program::{Ended, run};

pub(crate) fn all() -> Vec<Trial> {
    macro_rules! trials {
        ($($name:ident),+ $(,)?) => {
            vec![$(Trial::test(stringify!($name), || -> Result<(), Failed> {
                $name();
                Ok(())
            })),+]
        };
    }
    trials![releases_run_as_they_are, what_goes_wrong_is_explained]
}

fn releases_run_as_they_are() {
    let names = [
        "names_cookie_and_ticktime_are_those_of_the_release",
        "they_can_be_set",
        "names_with_addresses_form_a_mesh",
        "nobody_connects_nodes_that_do_not_do_it_themselves",
        "a_killed_node_is_started_again",
        "a_register_on_one_node_keeps_the_last_value",
        "a_register_on_unconnected_nodes_diverges",
    ];
    let ended = run(&format!("--exact {}", names.map(|name| format!("fixture::{name}")).join(" ")));
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    ended.says("7 passed");
}

/// The test fails, with these texts, and not with a verdict.
#[track_caller]
fn fails(name: &str, texts: &[&str]) -> Ended {
    let ended = run(&format!("--exact fixture::{name}"));
    assert_eq!(ended.code, Some(101), "{name}: {}\n{}", ended.stdout, ended.stderr);
    for text in texts {
        ended.says(text);
    }
    for verdict in [": invalid", ": valid", ": unknown"] {
        assert!(!ended.stdout.contains(&format!("{name}{verdict}")), "{}", ended.stdout);
    }
    ended
}

fn what_goes_wrong_is_explained() {
    fails(
        "a_command_before_the_start_that_fails",
        &["`escript bin/once`", "before the first start"],
    );
    fails("it_crashes_at_boot_on_one_host", &["on n2 exited unexpectedly", "no_ledger_on"]);
    fails(
        "it_never_takes_part",
        &["ledger.never() on n", "says false", "does not connect the nodes of a release"],
    );
    fails("its_function_is_misspelt", &["ledger:conected/0 is undefined on ledger@n"]);
    fails(
        "its_ticktime_is_another",
        &["a net_ticktime of 30 s, not 60 s", "say `.net_ticktime(30)`"],
    );
    fails("a_placeholder_is_misspelt", &["{piers} is not known; there are {host}"]);
    fails(
        "rebar3_made_what_is_called_a_release_of_mix",
        &["was made by rebar3 or relx: use `Release::relx`"],
    );
    fails("it_cannot_be_built", &["`rebar3 as nowhere relaese` in ", "relaese"]);
    fails("it_is_not_there", &["no release at tests/releases/nowhere", "mix release --overwrite"]);
    fails("its_port_is_never_open", &["port 4999 on n1"]);
}
