//! The text of DBCop (Biswas and Enea, "On the complexity of checking transactional
//! consistency", OOPSLA 2019): `[x:=1 y==2 z==?]`, and `!` behind what did not commit. And its JSON, an
//! array for each session of transactions such as `{"events":[{"Write":{"variable":0,"version":1}}],
//! "committed":true}`, whose events may also be `["w",0,1]`, or those of the paper's artifact:
//! `{"write":true,"variable":0,"value":1,"success":true}`, within an object that has them as `data`.

use std::io::BufRead;

use serde::Deserialize;

use super::super::History;
use super::super::edn::Failure;
use super::each_line;
use super::sessions::{MicroOp, Sessions, Txn};
use crate::op::Value;

/// Reads the transactions of each session; sessions are parted by lines of dashes. The initial
/// version is 0, as in DBCop.
pub(super) fn read(source: &mut dyn BufRead) -> Result<History, Failure> {
    // The head is never longer than the reader's buffer.
    if is_json(source.fill_buf()?) {
        return read_json(source);
    }
    let mut sessions = Sessions::default();
    let mut session: Vec<Txn> = Vec::new();
    each_line(source, |line| {
        if line.starts_with("//") {
            return Ok(());
        }
        if line.bytes().all(|b| b == b'-') {
            sessions.push(std::mem::take(&mut session));
            return Ok(());
        }
        let mut rest = line;
        while !rest.is_empty() {
            let (txn, after) = transaction(rest)?;
            session.push(txn);
            rest = after.trim_start();
        }
        Ok(())
    })?;
    sessions.push(session);
    sessions.zero_is_initial();
    sessions.history().map_err(|expected| Failure::Line(1, expected))
}

/// Is it DBCop's JSON, and not its text?
pub(super) fn is_json(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let inner = text.get(1..).unwrap_or_default().trim_ascii_start();
    match text.first() {
        Some(b'{') => true,
        Some(b'[') => inner.first() == Some(&b'['),
        _ => false,
    }
}

#[derive(Deserialize)]
struct Artifact {
    data: Vec<Vec<JsonTxn>>,
}

#[derive(Deserialize)]
struct JsonTxn {
    events: Vec<JsonEvent>,
    #[serde(alias = "success")]
    committed: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum JsonEvent {
    Tagged(Tagged),
    Pair(char, Variable, Option<u64>),
    Flag {
        write: bool,
        variable: Variable,
        value: u64,
        #[serde(default = "yes")]
        success: bool,
    },
}

#[derive(Deserialize)]
enum Tagged {
    Read { variable: Variable, version: Option<u64> },
    Write { variable: Variable, version: u64 },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Variable {
    Number(u64),
    Name(String),
}

const fn yes() -> bool {
    true
}

fn read_json(source: &mut dyn BufRead) -> Result<History, Failure> {
    const FILE: &str = "an array of sessions, each an array of transactions such as \
        {\"events\":[{\"Write\":{\"variable\":0,\"version\":1}}],\"committed\":true}";
    let wrong = |error: serde_json::Error| match error.is_io() {
        true => Failure::Io(error.into()),
        false => Failure::Line(error.line().max(1), format!("{FILE}: {error}")),
    };
    let mut sessions = Sessions::default();
    let all: Vec<Vec<JsonTxn>> = match source.fill_buf()?.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_reader::<_, Artifact>(source).map_err(wrong)?.data,
        _ => serde_json::from_reader(source).map_err(wrong)?,
    };
    for session in all {
        let txns: Result<Vec<Txn>, String> = session.into_iter().map(JsonTxn::txn).collect();
        sessions.push(txns.map_err(|why| Failure::Line(1, format!("{FILE}: {why}")))?);
    }
    sessions.zero_is_initial();
    sessions.history().map_err(|expected| Failure::Line(1, expected))
}

impl JsonTxn {
    fn txn(self) -> Result<Txn, String> {
        let mut ops = Vec::with_capacity(self.events.len());
        let aborted = !self.committed;
        for event in self.events {
            let (write, variable, version, success) = match event {
                JsonEvent::Tagged(Tagged::Read { variable, version }) => {
                    (false, variable, version, true)
                }
                JsonEvent::Tagged(Tagged::Write { variable, version }) => {
                    (true, variable, Some(version), true)
                }
                JsonEvent::Pair('r', variable, version) => (false, variable, version, true),
                JsonEvent::Pair('w', variable, Some(version)) => {
                    (true, variable, Some(version), true)
                }
                JsonEvent::Pair(..) => {
                    return Err("an event is neither r nor w of a version".into());
                }
                JsonEvent::Flag { write, variable, value, success } => {
                    (write, variable, Some(value), success)
                }
            };
            // What did not succeed within a transaction that did is no part of it.
            if !success && !aborted {
                continue;
            }
            let number = |n: u64| Value::Int(n as i64);
            let value = version.map_or(Value::Nil, number);
            let key = match variable {
                Variable::Number(n) => number(n),
                Variable::Name(name) => name.into(),
            };
            ops.push(MicroOp { write, key, value });
        }
        Ok(Txn { ops, aborted })
    }
}

fn transaction(text: &str) -> Result<(Txn, &str), String> {
    const LINE: &str = "transactions such as [x:=1 y==2], a comment, or a line of dashes";
    let (inside, rest) = text.strip_prefix('[').and_then(|t| t.split_once(']')).ok_or(LINE)?;
    let ops = inside.split_whitespace().map(micro_op).collect::<Result<Vec<_>, String>>()?;
    if ops.is_empty() {
        return Err("a read or write in every transaction".into());
    }
    let committed = rest.strip_prefix('!');
    Ok((Txn { ops, aborted: committed.is_some() }, committed.unwrap_or(rest)))
}

fn micro_op(text: &str) -> Result<MicroOp, String> {
    let wrong = || format!("x:=1, x==1 or x==?, not `{text}`");
    // No key contains either sign.
    let (key, rest) = text.split_at(text.find([':', '=']).ok_or_else(wrong)?);
    let (version, write) = match (rest.strip_prefix(":="), rest.strip_prefix("==")) {
        (Some(version), _) => (version, true),
        (None, Some(version)) => (version, false),
        (None, None) => return Err(wrong()),
    };
    let named = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_');
    let value = match version {
        "?" if !write => Some(Value::Nil),
        digits => digits.parse::<i64>().ok().filter(|n| *n >= 0).map(Value::Int),
    };
    match value.filter(|_| named) {
        Some(value) => Ok(MicroOp { write, key: key.into(), value }),
        None => Err(wrong()),
    }
}
