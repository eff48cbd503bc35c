//! What the command line asks for.

use crate::suggest::nearest;
use fuzz_dist_history::Format;

/// What was asked for.
#[derive(Debug)]
pub(super) enum Ask {
    Help,
    Version,
    Checkers,
    Do(Task),
}

/// Something to do with a history.
#[derive(Debug)]
pub(super) enum Task {
    Check(Check),
    Convert { source: String, from: Option<Format>, to: Format },
}

/// A history to judge.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) source: String,
    pub(super) from: Option<Format>,
    /// Nothing where those of the run are asked for.
    pub(super) checker: Option<String>,
    pub(super) options: Vec<(String, String)>,
    pub(super) json: bool,
}

const COMMANDS: [&str; 3] = ["check", "convert", "checkers"];
const FLAGS: [&str; 7] =
    ["--checker", "--option", "--format", "--from", "--to", "--help", "--version"];

/// Reads the arguments, without the program's name. Cargo passes the name of the subcommand.
pub(super) fn parse(arguments: impl Iterator<Item = String>) -> Result<Ask, String> {
    let mut words = arguments.peekable();
    words.next_if(|word| word == "fuzz-dist");
    let command = words.next().ok_or("expected a command: check, convert or checkers")?;
    match command.as_str() {
        "--help" | "-h" | "help" => return Ok(Ask::Help),
        "--version" | "-V" => return Ok(Ask::Version),
        "check" | "convert" | "checkers" => {}
        other => return Err(unknown("command", other, &COMMANDS)),
    }
    let mut found = Found::default();
    while let Some(word) = words.next() {
        if matches!(word.as_str(), "--help" | "-h") {
            return Ok(Ask::Help);
        }
        if matches!(word.as_str(), "--version" | "-V") {
            return Ok(Ask::Version);
        }
        found.take(word, &mut words)?;
    }
    found.ask(&command)
}

#[derive(Default)]
struct Found {
    sources: Vec<String>,
    checker: Option<String>,
    options: Vec<(String, String)>,
    format: Option<String>,
    from: Option<Format>,
    to: Option<Format>,
}

impl Found {
    fn take(&mut self, word: String, rest: &mut dyn Iterator<Item = String>) -> Result<(), String> {
        if word == "-" || !word.starts_with('-') {
            self.sources.push(word);
            return Ok(());
        }
        let (flag, inline) = match word.split_once('=') {
            Some((flag, value)) if word.starts_with("--") => (flag, Some(value.to_string())),
            _ if word.starts_with("-o") && word.len() > 2 => ("-o", Some(word[2..].to_string())),
            _ => (word.as_str(), None),
        };
        if !FLAGS.contains(&flag) && !matches!(flag, "-o" | "-c") {
            return Err(unknown("flag", flag, &FLAGS));
        }
        let value = inline.or_else(|| rest.next()).ok_or(format!("expected a value for {flag}"))?;
        match flag {
            "--checker" | "-c" => self.checker = Some(value),
            "--option" | "-o" => {
                // What has no value is switched on.
                let (key, value) = value.split_once('=').unwrap_or((&value, "true"));
                self.options.push((key.replace('_', "-"), value.to_string()));
            }
            "--format" => self.format = Some(value),
            "--from" => self.from = Some(value.parse()?),
            "--to" => self.to = Some(value.parse()?),
            other => return Err(unknown("flag", other, &FLAGS)),
        }
        Ok(())
    }

    fn ask(mut self, command: &str) -> Result<Ask, String> {
        if command == "checkers" {
            return Ok(Ask::Checkers);
        }
        if self.sources.len() > 1 {
            return Err(format!("expected one history, but there are {}", self.sources.len()));
        }
        let source = self.sources.pop().ok_or("expected a history: a file, or - for the input")?;
        if command == "convert" {
            let to = self.to.ok_or("expected --to json or --to edn")?;
            if !matches!(to, Format::Json | Format::Edn) {
                return Err(format!("histories are written as json or edn, not as {to}"));
            }
            return Ok(Ask::Do(Task::Convert { source, from: self.from, to }));
        }
        let json = match self.format.as_deref() {
            None | Some("text") => false,
            Some("json") => true,
            Some(other) => return Err(format!("expected --format text or json, not {other}")),
        };
        Ok(Ask::Do(Task::Check(Check {
            source,
            from: self.from,
            checker: self.checker,
            options: self.options,
            json,
        })))
    }
}

/// Says that there is no such thing, what may have been meant, and what there is.
pub(super) fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    let meant = match nearest(word, known) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => String::new(),
    };
    format!("there is no {what} `{word}`{meant} (there is {})", known.join(", "))
}
