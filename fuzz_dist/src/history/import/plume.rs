//! The text of Plume (Liu et al., "Plume: efficient and complete black-box checking of weak
//! isolation levels", OOPSLA 2024), and that of AWDIT's tests.

use std::io::BufRead;

use super::super::History;
use super::super::edn::Failure;
use super::super::hash::FastMap;
use super::each_line;
use super::sessions::{MicroOp, Sessions, Txn};
use crate::op::Value;

/// Reads lines `w(key,value,session,transaction)`; a transaction -1 was aborted, and every key
/// begins as 0.
pub(super) fn read_plume(source: &mut dyn BufRead) -> Result<History, Failure> {
    const LINE: &str = "a line such as w(key,value,session,transaction) of whole numbers";
    let mut sessions = Sessions::default();
    // A transaction's place within its session.
    let mut places: FastMap<(u64, i64), usize> = FastMap::default();
    each_line(source, |line| {
        let (write, rest) = match line.split_at_checked(1) {
            Some(("w", rest)) => (true, rest),
            Some(("r", rest)) => (false, rest),
            _ => return Err(LINE.into()),
        };
        let inside = rest.strip_prefix('(').and_then(|r| r.strip_suffix(')')).ok_or(LINE)?;
        let mut parts = inside.split(',').map(str::trim);
        let mut next = || parts.next().and_then(number).ok_or(LINE);
        let (key, value, session, txn) = (next()?, next()?, next()?, next()?);
        let (Ok(session_id), None) = (u64::try_from(session), parts.next()) else {
            return Err(LINE.into());
        };
        let session = sessions.session(session_id);
        let aborted = txn == -1;
        let place = if aborted {
            session.push(Txn { ops: Vec::new(), aborted });
            session.len() - 1
        } else {
            *places.entry((session_id, txn)).or_insert_with(|| {
                session.push(Txn::default());
                session.len() - 1
            })
        };
        session[place].ops.push(MicroOp { write, key: key.into(), value: value.into() });
        Ok(())
    })?;
    sessions.zero_is_initial();
    sessions.history().map_err(|expected| Failure::Line(1, expected))
}

/// Reads lines `w key value`, with dashes between transactions and equals signs between sessions.
pub(super) fn read_awdit(source: &mut dyn BufRead) -> Result<History, Failure> {
    const LINE: &str = "`w key value`, `r key value`, or a line of dashes or equals signs";
    let mut sessions = Sessions::default();
    let (mut session, mut txn) = (Vec::new(), Txn::default());
    each_line(source, |line| {
        let all = |sign| line.chars().all(|c| c == sign);
        if all('-') || all('=') {
            if !txn.ops.is_empty() {
                session.push(std::mem::take(&mut txn));
            }
            if all('=') {
                sessions.push(std::mem::take(&mut session));
            }
            return Ok(());
        }
        let mut words = line.split_whitespace();
        let mut next = || words.next();
        let (Some(f @ ("w" | "r")), Some(key), Some(value), None) =
            (next(), next(), next(), next())
        else {
            return Err(LINE.into());
        };
        let (Some(key), Some(value)) = (number(key), number(value)) else {
            return Err(LINE.into());
        };
        txn.ops.push(MicroOp { write: f == "w", key: key.into(), value: Value::Int(value) });
        Ok(())
    })?;
    session.extend(Some(txn).filter(|t| !t.ops.is_empty()));
    sessions.push(session);
    sessions.history().map_err(|expected| Failure::Line(1, expected))
}

/// A whole number; those of unsigned 64 bits that have no sign are kept apart all the same.
fn number(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| text.parse::<u64>().ok().map(|n| n as i64))
}
