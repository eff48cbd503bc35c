//! Jepsen's log and its `history.txt`: `INFO  jepsen.util - 0 :invoke :write 3`, as in Porcupine's
//! register logs; `2026-01-02 03:04:05,678{GMT} INFO [jepsen worker 0] jepsen.util: 0 :invoke …`, as
//! Jepsen writes today; and the operation alone.

use std::io::BufRead;

use super::super::History;
use super::super::edn::{Failure, ValueStop, Values, push};
use super::each_line;
use crate::op::{Event, Kind, OpError, Phase, Process, Value};
use crate::time::Time;

const LINE: &str = "an operation such as `INFO  jepsen.util - 0 :invoke :write 3`";

/// Reads the lines of a log; times are the places of the events.
pub(super) fn read(source: &mut dyn BufRead) -> Result<History, Failure> {
    let mut history = History::default();
    let mut values = Values::new(false);
    // A log with dates has lines of others, too, and some go on in the next line.
    let mut dated = false;
    each_line(source, |line| {
        dated |= is_dated(line);
        let Some(operation) = operation(line) else {
            return if dated { Ok(()) } else { Err(LINE.into()) };
        };
        let event = event(operation, history.len() as u64, &mut values)?;
        push(&mut history, event)
    })?;
    Ok(history)
}

/// Does the line begin with a date, as in `2026-01-02 03:04:05`?
pub(super) fn is_dated(line: &str) -> bool {
    let date = line.as_bytes().first_chunk::<10>();
    date.is_some_and(|date| {
        (date.iter().enumerate()).all(|(i, b)| match i {
            4 | 7 => *b == b'-',
            _ => b.is_ascii_digit(),
        })
    })
}

/// Is the line an operation and nothing else, as in `history.txt`?
pub(super) fn is_bare(line: &str) -> bool {
    let kind = next_word(line).and_then(|(process, rest)| {
        let is_process = process.starts_with(':') || process.bytes().all(|b| b.is_ascii_digit());
        next_word(rest).filter(|_| is_process)
    });
    kind.is_some_and(|(kind, _)| matches!(kind, ":invoke" | ":ok" | ":fail" | ":info"))
}

/// The operation that a line describes, if any.
fn operation(line: &str) -> Option<&str> {
    // Most lines begin so, and looking for text anywhere in them takes a fifth of the time.
    if let Some(operation) = line.strip_prefix("INFO  jepsen.util - ") {
        return Some(operation);
    }
    let behind = |mark| Some(line.split_once(mark)?.1);
    match is_dated(line) {
        // What else Jepsen says in its own name is no operation.
        true => behind("jepsen.util: ").or_else(|| behind("jepsen.util - ")).filter(|o| is_bare(o)),
        false => behind("jepsen.util - ").or_else(|| is_bare(line).then_some(line)),
    }
}

fn event(operation: &str, time: u64, values: &mut Values) -> Result<Event, String> {
    let (process, rest) = next_word(operation).ok_or(LINE)?;
    let (kind, rest) = next_word(rest).ok_or(LINE)?;
    let (f, rest) = next_word(rest).ok_or(LINE)?;
    let process = match process {
        ":nemesis" => Process::NEMESIS,
        number => {
            let process = number.parse().ok().map(Process).filter(|p| p.is_client());
            process.ok_or_else(|| format!("the number of a process, not `{number}`"))?
        }
    };
    let kinds = [Kind::Invoke, Kind::Ok, Kind::Fail, Kind::Info];
    let kind = kinds
        .into_iter()
        .find(|k| kind.strip_prefix(':') == Some(k.as_str()))
        .ok_or_else(|| format!(":invoke, :ok, :fail or :info, not `{kind}`"))?;
    // Behind the value Jepsen writes why, if there is a reason.
    let (rest, why) = match rest.split_once('\t') {
        Some((rest, why)) => (rest.trim_end(), Some(why.trim())),
        None => (rest, None),
    };
    let mut value = match rest {
        "" => Value::Nil,
        text => values.whole(text.as_bytes()).map_err(|stop| match stop {
            ValueStop::More => format!("a whole value, not `{text}`"),
            ValueStop::Wrong(_, expected) => expected,
        })?,
    };
    // The reason stands in the value's place.
    let mut error = why.map(|why| match why.strip_prefix(':') {
        Some(word) if next_word(word).is_some_and(|(_, more)| more.is_empty()) => {
            OpError::new(word, "")
        }
        _ => OpError::new("error", why),
    });
    if error.is_none() && matches!(kind, Kind::Fail | Kind::Info) && rest.starts_with(':') {
        error = value.as_text().map(|why| OpError::new(why, ""));
        value = Value::Nil;
    }
    Ok(Event {
        time: Time(time),
        process,
        node: None,
        kind,
        f: f.strip_prefix(':').unwrap_or(f).into(),
        value,
        error,
        phase: Phase::Main,
    })
}

fn next_word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (end > 0).then(|| (&text[..end], text[end..].trim()))
}
