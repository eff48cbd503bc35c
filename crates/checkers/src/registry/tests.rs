//! What holds for every registered checker.

use std::collections::BTreeSet;

use super::*;

fn built_with(checker: &Registration, options: &[(String, String)]) -> AnyChecker {
    let built = checker.build(&Options::new(options));
    built.unwrap_or_else(|why| panic!("{} {options:?}: {why}", checker.name))
}

#[test]
fn names_are_distinct_and_every_checker_and_option_is_described() {
    let names: BTreeSet<&str> = CHECKERS.iter().map(|c| c.name).collect();
    assert_eq!(names.len(), CHECKERS.len());
    for checker in CHECKERS {
        assert_eq!(find(checker.name).map(|c| c.name), Some(checker.name));
        let keys: BTreeSet<&str> = checker.options.iter().map(|o| o.key).collect();
        assert_eq!(keys.len(), checker.options.len(), "{}", checker.name);
        let texts = checker.options.iter().map(|o| o.help).chain([checker.about]);
        assert!(texts.into_iter().all(|text| !text.is_empty() && !text.ends_with('.')));
    }
}

#[test]
fn what_is_required_is_named_where_it_is_missing() {
    for checker in CHECKERS {
        let missing = checker.options.iter().find(|o| o.is_required);
        match (checker.build(&Options::new(&[])), missing) {
            (Ok(_), None) => {}
            (Err(BuildError::Wrong(why)), Some(option)) => {
                assert!(why.contains(&format!("-o {}", option.key)), "{}: {why}", checker.name);
            }
            (built, _) => panic!("{}: {:?}", checker.name, built.err()),
        }
    }
}

/// A run stores the arguments of a checker, and they give the same checker.
#[test]
fn a_checker_says_how_it_is_asked_for() {
    let mut silent = Vec::new();
    for checker in CHECKERS {
        let all = checker.options.iter().chain([&INDEPENDENT]);
        for option in all.map(Some).chain([None]) {
            let mut options = checker.required();
            options.extend(option.map(|o| (o.key.into(), o.example.into())));
            let key = option.map(|o| o.key);
            // Of the objects only registers have a first value.
            if key == Some("initial") && checker.options.iter().any(|o| o.key == "model") {
                options.retain(|(key, _)| key != "model");
                options.push(("model".into(), "cas-register".into()));
            }
            let Some(says) = built_with(checker, &options).arguments() else {
                silent.push((checker.name, key));
                continue;
            };
            let again: Vec<(String, String)> = says.options.clone().into_iter().collect();
            let same = find(&says.checker).expect("a registered checker");
            assert_eq!(built_with(same, &again).arguments(), Some(says.clone()));
            let chosen = key.filter(|key| *key != "model");
            let kept = chosen.is_none_or(|key| says.options.contains_key(key));
            assert!(kept, "{} lost {key:?}: {says:?}", checker.name);
        }
    }
    // A register with an initial value is the only thing that nothing stands for.
    assert!(silent.iter().all(|(_, option)| *option == Some("initial")), "{silent:?}");
}

/// What no option can say, nothing stands for: what is stored always builds a checker.
#[test]
fn what_no_option_can_say_is_not_stored() {
    use crate::{any_checker, liveness, log_pattern, txn::bank};
    use std::time::Duration;
    let none: [&str; 0] = [];
    for checker in [
        any_checker(bank(none, 0)),
        any_checker(bank([""], 0)),
        any_checker(bank(["a", "", "b"], 5)),
        any_checker(log_pattern(none)),
        any_checker(log_pattern([""])),
        any_checker(liveness(Duration::from_micros(1_500))),
        any_checker(liveness(Duration::MAX)),
    ] {
        let says = checker.arguments();
        assert!(says.is_none(), "{says:?}");
        let says = independent(Shared(checker)).arguments();
        assert!(says.is_none(), "{says:?}");
    }
    for checker in [
        any_checker(bank(["a"], 0)),
        any_checker(log_pattern(["", "oops"])),
        any_checker(liveness(Duration::from_millis(1_500))),
    ] {
        let says = checker.arguments().expect("options can say it");
        let again: Vec<(String, String)> = says.options.clone().into_iter().collect();
        let same = built_with(find(&says.checker).unwrap(), &again);
        assert_eq!(same.arguments(), Some(says));
    }
}

/// A checker of a table's entry is no less than the checker itself, whether keys are independent or not.
#[test]
fn what_judges_online_does_so_for_independent_keys() {
    let mut online = 0;
    for checker in CHECKERS {
        let mut options = checker.required();
        let alone = built_with(checker, &options);
        options.push((INDEPENDENT.key.into(), "true".into()));
        let by_key = built_with(checker, &options);
        let history = History::new(["n1"]);
        let judges = [alone, by_key].map(|c| c.online(&history).is_some());
        assert_eq!(judges[0], judges[1], "{}", checker.name);
        online += usize::from(judges[0]);
    }
    assert!(online >= 5, "{online}");
}
