//! The text of DBCop (Biswas and Enea, "On the complexity of checking transactional
//! consistency", OOPSLA 2019): `[x:=1 y==2 z==?]`, and `!` behind what did not commit.

use std::io::BufRead;

use super::super::History;
use super::super::edn::Failure;
use super::each_line;
use super::sessions::{MicroOp, Sessions, Txn};
use crate::op::Value;

/// Reads the transactions of each session; sessions are parted by lines of dashes. The initial
/// version is 0, as in DBCop.
pub(super) fn read(source: &mut dyn BufRead) -> Result<History, Failure> {
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
