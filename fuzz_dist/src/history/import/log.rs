//! Jepsen's log: `INFO  jepsen.util - 0 :invoke :write 3`, as in Porcupine's register logs.

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
    each_line(source, |line| {
        let event = event(line, history.len() as u64, &mut values)?;
        push(&mut history, event)
    })?;
    Ok(history)
}

fn event(line: &str, time: u64, values: &mut Values) -> Result<Event, String> {
    // Most lines begin so, and looking for text anywhere in them takes a fifth of the time.
    let plain = line.strip_prefix("INFO  jepsen.util - ");
    let operation = plain.or_else(|| Some(line.split_once("jepsen.util - ")?.1)).ok_or(LINE)?;
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
    let mut value = match rest {
        "" => Value::Nil,
        text => values.whole(text.as_bytes()).map_err(|stop| match stop {
            ValueStop::More => format!("a whole value, not `{text}`"),
            ValueStop::Wrong(_, expected) => expected,
        })?,
    };
    // The reason stands in the value's place.
    let mut error = None;
    if matches!(kind, Kind::Fail | Kind::Info) && rest.starts_with(':') {
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
