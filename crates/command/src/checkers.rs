//! The list of checkers, and the one that is asked for.

use fuzz_dist_checkers::registry::{self, CHECKERS, INDEPENDENT, Opt, Registration};
use fuzz_dist_checkers::suggest::unknown;

/// The names of all checkers, as they are written in arguments.
pub(super) fn names() -> Vec<String> {
    CHECKERS.iter().map(|checker| written(checker)).collect()
}

fn written(checker: &Registration) -> String {
    checker.name.replace('_', "-")
}

/// All checkers with their options.
pub(super) fn list() -> String {
    let mut text = String::from("checkers (-o independent goes with each of them):\n");
    for checker in CHECKERS {
        text += &format!("  {:<19} {}\n", written(checker), checker.about);
        if !checker.options.is_empty() {
            let keys: Vec<&str> = checker.options.iter().map(|option| option.key).collect();
            text += &format!("  {:<19}   -o {}\n", "", keys.join(", "));
        }
    }
    text += "\noptions (-o KEY is -o KEY=true):\n";
    text += &format!("  {}\n      {}\n", INDEPENDENT.key, INDEPENDENT.help);
    for (option, of) in options() {
        text += &format!("  {}\n      {} ({})\n", option.key, option.help, of.join(", "));
    }
    text
}

/// Each option once, with the checkers that have it in this meaning.
fn options() -> Vec<(&'static Opt, Vec<String>)> {
    let mut all: Vec<(&Opt, Vec<String>)> = Vec::new();
    for checker in CHECKERS {
        for option in checker.options {
            let same = |known: &&mut (&Opt, Vec<String>)| {
                (known.0.key, known.0.help) == (option.key, option.help)
            };
            match all.iter_mut().find(same) {
                Some((_, of)) => of.push(written(checker)),
                None => all.push((option, vec![written(checker)])),
            }
        }
    }
    all
}

/// The checker of this name, if it has these options.
pub(super) fn find(
    name: &str,
    options: &[(String, String)],
) -> Result<&'static Registration, String> {
    let checker = registry::find(name).ok_or_else(|| {
        let names = names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        unknown("checker", name, &names)
    })?;
    let own = checker.options.iter().map(|option| option.key);
    let known: Vec<&str> = own.chain([INDEPENDENT.key]).collect();
    match options.iter().find(|(key, _)| !known.contains(&key.as_str())) {
        None => Ok(checker),
        Some((key, _)) => Err(unknown(&format!("option of {}", written(checker)), key, &known)),
    }
}
