//! The text of Plume (Liu et al., "Plume: efficient and complete black-box checking of weak
//! isolation levels", OOPSLA 2024), and that of AWDIT's tests.

use std::io::BufRead;

use super::super::History;
use super::super::cursor::Cursor;
use super::super::edn::Failure;
use super::super::hash::FastMap;
use super::sessions::{At, Sessions};
use super::{Lines, each_line_of};

/// Reads lines `w(key,value,session,transaction)`; a transaction -1 was aborted, and every key
/// begins as 0.
pub(super) fn read_plume(source: &mut dyn BufRead) -> Result<History, Failure> {
    let mut plume = Plume::default();
    plume.sessions.zero_is_initial();
    each_line_of(source, &mut plume)?;
    plume.sessions.history().map_err(|expected| Failure::Line(1, expected))
}

#[derive(Default)]
struct Plume {
    sessions: Sessions,
    /// Per session.
    known: Vec<Known>,
    /// The session and transaction of the last line.
    last: Option<(u64, i64, At)>,
}

/// The places of a session's transactions.
#[derive(Default)]
struct Known {
    /// Those that are greater than all before them, which is what they mostly are.
    ascending: Vec<(i64, u32)>,
    others: FastMap<i64, u32>,
}

impl Lines for Plume {
    fn quick(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let (write, key, value) = micro_op(cursor, [b'(', b','])?;
        cursor.byte(b',')?;
        let session = cursor.natural()?;
        cursor.byte(b',')?;
        let txn = cursor.number()?;
        cursor.literal(b")\n")?;
        self.micro_op(write, key, value, (session, txn));
        Some(())
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        const LINE: &str = "a line such as w(key,value,session,transaction) of whole numbers";
        let (write, rest) = match line.split_at_checked(1) {
            Some(("w", rest)) => (true, rest),
            Some(("r", rest)) => (false, rest),
            _ => return Err(LINE.into()),
        };
        let inside = rest.strip_prefix('(').and_then(|r| r.strip_suffix(')')).ok_or(LINE)?;
        let mut parts = inside.split(',').map(str::trim);
        let mut next = || parts.next().and_then(number).ok_or(LINE);
        let (key, value, session, txn) = (next()?, next()?, next()?, next()?);
        let (Ok(session), None) = (u64::try_from(session), parts.next()) else {
            return Err(LINE.into());
        };
        self.micro_op(write, key, value, (session, txn));
        Ok(())
    }
}

impl Plume {
    #[inline]
    fn micro_op(&mut self, write: bool, key: i64, value: i64, (session, txn): (u64, i64)) {
        let at = match self.last {
            Some((s, t, at)) if (s, t) == (session, txn) && txn != -1 => at,
            _ => self.transaction(session, txn),
        };
        self.last = Some((session, txn, at));
        self.sessions.micro_op(at, write, key, value);
    }

    /// The place of a transaction, which may be new, and is where it was aborted.
    fn transaction(&mut self, session: u64, txn: i64) -> At {
        if txn == -1 {
            return self.sessions.begin(session, true);
        }
        let id = self.sessions.id(session);
        if self.known.len() <= id as usize {
            self.known.resize_with(id as usize + 1, Known::default);
        }
        let known = &mut self.known[id as usize];
        let is_new = known.ascending.last().is_none_or(|(last, _)| *last < txn);
        if !is_new {
            let at = known.ascending.binary_search_by_key(&txn, |(txn, _)| *txn);
            let place = match at {
                Ok(at) => Some(known.ascending[at].1),
                Err(_) => known.others.get(&txn).copied(),
            };
            if let Some(place) = place {
                return At { session: id, place };
            }
        }
        let at = self.sessions.begin(session, false);
        match is_new {
            true => known.ascending.push((txn, at.place)),
            false => drop(known.others.insert(txn, at.place)),
        }
        at
    }
}

/// Reads lines `w key value`, with dashes between transactions and equals signs between sessions.
pub(super) fn read_awdit(source: &mut dyn BufRead) -> Result<History, Failure> {
    let mut awdit = Awdit::default();
    awdit.sessions.push(Vec::new());
    each_line_of(source, &mut awdit)?;
    awdit.sessions.history().map_err(|expected| Failure::Line(1, expected))
}

#[derive(Default)]
struct Awdit {
    sessions: Sessions,
    /// The transaction that is being read.
    txn: Option<At>,
}

impl Lines for Awdit {
    fn quick(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let (write, key, value) = micro_op(cursor, [b' '; 2])?;
        cursor.byte(b'\n')?;
        self.micro_op(write, key, value);
        Some(())
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        const LINE: &str = "`w key value`, `r key value`, or a line of dashes or equals signs";
        let all = |sign| line.chars().all(|c| c == sign);
        if all('-') || all('=') {
            self.txn = None;
            if all('=') {
                self.sessions.push(Vec::new());
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
        self.micro_op(f == "w", key, value);
        Ok(())
    }
}

impl Awdit {
    fn micro_op(&mut self, write: bool, key: i64, value: i64) {
        let at = *self.txn.get_or_insert_with(|| self.sessions.begin_in_last());
        self.sessions.micro_op(at, write, key, value);
    }
}

/// Reads whether it is a write, the key and the value, with these bytes before the two numbers.
#[inline]
fn micro_op(cursor: &mut Cursor<'_>, [first, second]: [u8; 2]) -> Option<(bool, i64, i64)> {
    let write = match cursor.peek()? {
        b'w' => true,
        b'r' => false,
        _ => return None,
    };
    cursor.advance();
    cursor.byte(first)?;
    let key = cursor.number()?;
    cursor.byte(second)?;
    Some((write, key, cursor.number()?))
}

/// A whole number; those of unsigned 64 bits that have no sign are kept apart all the same.
fn number(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| text.parse::<u64>().ok().map(|n| n as i64))
}
