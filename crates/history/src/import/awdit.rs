//! The text of AWDIT's tests.

use std::io::BufRead;

use super::super::History;
use super::super::cursor::Cursor;
use super::super::edn::Failure;
use super::plume::{micro_op, number};
use super::sessions::{At, Sessions};
use super::{Lines, each_line_of};

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
