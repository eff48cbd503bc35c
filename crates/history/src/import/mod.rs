//! Histories that others recorded, and the choice of the notation in which one is written.

mod awdit;
mod dbcop;
mod log;
pub(super) mod plume;
mod sessions;

use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::path::Path;
use std::str::FromStr;

use super::cursor::Cursor;
use super::edn::{self, Failure, Notation};
use super::sets::Wholes;
use super::{History, LoadError, Loaded, json};

/// A notation of histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Lines of JSON, as this crate records them.
    Json,
    /// Jepsen's `history.edn`: operation maps, one after the other or in one vector. Maps with a
    /// `:key`, as in Porcupine's key-value logs, have a pair of key and value as their value.
    Edn,
    /// Jepsen's operation maps as JSON: lines, or one array.
    JepsenJson,
    /// Lines of Jepsen's log, old (as in Porcupine's register logs,
    /// `INFO  jepsen.util - 0 :invoke :write 3`) and current ones, and those of its `history.txt`.
    /// In a log with dates the lines of others are passed over.
    JepsenLog,
    /// Plume's text, a line for each read or write: `w(key,value,session,transaction)`, where
    /// the transaction -1 was aborted.
    Plume,
    /// AWDIT's text for tests: lines `w key value` and `r key value`, transactions parted by
    /// dashes and sessions by equals signs.
    Awdit,
    /// DBCop's text: transactions such as `[x:=1 y==2 z==?]`, uncommitted with `!` behind them,
    /// with dashes between sessions. Or its JSON: an array of sessions, each an array of transactions.
    Dbcop,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 7] = [
        Format::Json,
        Format::Edn,
        Format::JepsenJson,
        Format::JepsenLog,
        Format::Plume,
        Format::Awdit,
        Format::Dbcop,
    ];

    /// As it is written in options.
    pub const fn as_str(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Edn => "edn",
            Format::JepsenJson => "jepsen-json",
            Format::JepsenLog => "jepsen-log",
            Format::Plume => "plume",
            Format::Awdit => "awdit",
            Format::Dbcop => "dbcop",
        }
    }

    /// The notation of a file, by the beginning of its text and, where that says nothing, by the
    /// extension of its name.
    ///
    /// ```
    /// # use fuzz_dist_history::Format;
    /// let detect = |name: &str, text: &str| Format::detect(name.as_ref(), text.as_bytes());
    /// assert_eq!(detect("history", "{:type :invoke, :f :read"), Some(Format::Edn));
    /// assert_eq!(detect("history", "w(0,1,0,0)\n"), Some(Format::Plume));
    /// assert_eq!(detect("store/history.edn", ""), Some(Format::Edn));
    /// assert_eq!(detect("history.txt", "dear diary"), None);
    /// ```
    pub fn detect(name: &Path, text: &[u8]) -> Option<Format> {
        let text = text.trim_ascii_start();
        let extension = name.extension().and_then(|e| e.to_str()).unwrap_or("");
        // Extensions that only one notation has; the others say less than the text does.
        if let "edn" | "hist" = extension {
            return Some(if extension == "edn" { Format::Edn } else { Format::Dbcop });
        }
        let begins = |start: &[u8]| text.starts_with(start);
        let words = |start: &[u8]| {
            text.strip_prefix(start).map(<[u8]>::trim_ascii_start).unwrap_or_default()
        };
        let inner = match text.first() {
            Some(open @ (b'[' | b'(' | b'{')) => words(std::slice::from_ref(open)),
            _ => &[],
        };
        let inner = inner.strip_prefix(b"{").map_or(inner, <[u8]>::trim_ascii_start);
        match text.first() {
            None if matches!(extension, "json" | "jsonl") => Some(Format::JepsenJson),
            Some(b'{') if inner.starts_with(b"\"fuzz_dist") => Some(Format::Json),
            // DBCop's JSON: the sessions alone, or within the object of its artifact.
            Some(b'[') if inner.starts_with(b"[") && is_json_within(inner) => Some(Format::Dbcop),
            Some(b'{') if ARTIFACT.iter().any(|key| inner.starts_with(key)) => Some(Format::Dbcop),
            Some(b'{' | b'[') if inner.starts_with(b"\"") => Some(Format::JepsenJson),
            Some(b'#' | b';') => Some(Format::Edn),
            Some(b'{' | b'[' | b'(') if inner.starts_with(b":") || inner.starts_with(b"#") => {
                Some(Format::Edn)
            }
            Some(b'[') if inner.is_empty() || inner[0] == b']' => Some(Format::Edn),
            Some(b'[' | b'/' | b'-') => Some(Format::Dbcop),
            Some(b'I') if begins(b"INFO") => Some(Format::JepsenLog),
            Some(b':' | b'0'..=b'9') if is_log(text) => Some(Format::JepsenLog),
            Some(b'w' | b'r') if text.get(1) == Some(&b'(') => Some(Format::Plume),
            Some(b'w' | b'r') if text.get(1) == Some(&b' ') => Some(Format::Awdit),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;
    fn from_str(text: &str) -> Result<Format, String> {
        Format::ALL.into_iter().find(|f| f.as_str() == text).ok_or_else(|| {
            let all = Format::ALL.map(Format::as_str);
            format!("`{text}` is no format of histories; expected one of {}", all.join(", "))
        })
    }
}

impl History {
    /// Reads a history that others recorded, or this crate, in whatever [`Format`]. `name` is
    /// what the source is called in errors.
    ///
    /// Formats that have nothing but sessions and the order within each ([`Format::Plume`],
    /// [`Format::Awdit`], [`Format::Dbcop`]) give transactions that all overlap as far as that
    /// is possible, and the fact `real_time` is false.
    ///
    /// ```
    /// # use fuzz_dist_history::{Format, History};
    /// let text = "{:type :invoke, :f :add, :value 1, :process 0, :time 5}\n";
    /// let loaded = History::import(&mut text.as_bytes(), "h.edn".as_ref(), Format::Edn).unwrap();
    /// assert_eq!(loaded.history.int(0), Some(1));
    /// ```
    ///
    /// # Errors
    ///
    /// When the source cannot be read, or a line of it is malformed.
    pub fn import(
        source: &mut dyn BufRead,
        name: &Path,
        format: Format,
    ) -> Result<Loaded, LoadError> {
        let history = match format {
            Format::Json => return History::read_lines(source, name),
            Format::Edn => edn::read(&mut Plain(source), Notation::Edn, edn::CHUNK),
            Format::JepsenJson => edn::read(&mut Plain(source), Notation::Json, edn::CHUNK),
            Format::JepsenLog => log::read(source),
            Format::Plume => plume::read_plume(source),
            Format::Awdit => awdit::read_awdit(source),
            Format::Dbcop => dbcop::read(source),
        };
        match history {
            Ok(history) => Ok(Loaded { history, torn: None }),
            Err(Failure::Io(source)) => Err(LoadError::Refused { path: name.into(), source }),
            Err(Failure::Line(line, expected)) => {
                Err(LoadError::Malformed { path: name.into(), line, expected })
            }
        }
    }

    /// Writes the history as [`Format::Json`] or, for Jepsen and Elle, as [`Format::Edn`].
    ///
    /// # Errors
    ///
    /// When `out` refuses, or the format is one that is only read.
    pub fn export(&self, out: &mut dyn Write, format: Format) -> io::Result<()> {
        let (mut lines, mut sets) = (Vec::new(), Wholes::default());
        match format {
            Format::Json => json::write_header(&mut lines, self),
            Format::Edn => edn::write_header(&mut lines, self),
            other => {
                let why = format!("histories are written as json or edn, not as {other}");
                return Err(io::Error::new(io::ErrorKind::Unsupported, why));
            }
        }
        for i in 0..self.len() {
            match format {
                Format::Edn => edn::write_event(&mut lines, self, i, &mut sets),
                _ => json::write_event(&mut lines, self, i),
            }
            if lines.len() >= edn::CHUNK {
                out.write_all(&lines)?;
                lines.clear();
            }
        }
        out.write_all(&lines)
    }
}

/// The first key of the histories of DBCop's artifact.
const ARTIFACT: [&[u8]; 2] = [b"\"params\"", b"\"data\""];

/// Is what follows brackets a transaction in DBCop's JSON?
fn is_json_within(text: &[u8]) -> bool {
    let bracket = |b: &u8| *b == b'[' || *b == b']' || *b == b',' || b.is_ascii_whitespace();
    let inner = &text[text.iter().take_while(|b| bracket(b)).count()..];
    let first = inner.strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    first.is_some_and(|first| first.starts_with(b"\""))
}

/// Does the text begin with a dated line of a log, or with an operation of `history.txt`?
fn is_log(text: &[u8]) -> bool {
    let first = text.split(|b| *b == b'\n').next().unwrap_or_default();
    // The head of a long text may end within a character.
    let first = String::from_utf8_lossy(first);
    log::is_dated(&first) || log::is_bare(&first)
}

/// A source that is read without looking for lines.
struct Plain<'a>(&'a mut dyn BufRead);

impl Read for Plain<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// A notation of lines.
trait Lines {
    /// Takes the line at the cursor where it is written as usual, and passes over its end. Where this
    /// gives `None`, nothing happened.
    fn quick(&mut self, cursor: &mut Cursor<'_>) -> Option<()>;
    /// Takes any line that is not blank, or says what it expected instead of a wrong one.
    fn line(&mut self, line: &str) -> Result<(), String>;
}

/// Gives every line that is not blank to `take`, which says what it expected of a wrong one.
fn each_line(
    source: &mut dyn BufRead,
    take: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), Failure> {
    struct Slowly<F>(F);
    impl<F: FnMut(&str) -> Result<(), String>> Lines for Slowly<F> {
        fn quick(&mut self, _: &mut Cursor<'_>) -> Option<()> {
            None
        }
        fn line(&mut self, line: &str) -> Result<(), String> {
            (self.0)(line)
        }
    }
    each_line_of(source, &mut Slowly(take))
}

/// Gives every line to `lines`, where it can be from the buffer of the source.
fn each_line_of(source: &mut dyn BufRead, lines: &mut impl Lines) -> Result<(), Failure> {
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        let buffer = source.fill_buf()?;
        let mut cursor = Cursor::new(buffer);
        let mut left = buffer.len();
        while lines.quick(&mut cursor).is_some() {
            left = cursor.left();
            number += 1;
        }
        let passed = buffer.len() - left;
        source.consume(passed);
        line.clear();
        number += 1;
        if source.take(LINE_MAX as u64).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        line_of(&line, number, LINE_MAX, lines)?;
    }
}

/// No line of these formats is nearly as long.
const LINE_MAX: usize = 64 << 20;

/// Gives a line to `lines`, unless it is blank, or as long as no line may be.
fn line_of(
    line: &[u8],
    number: usize,
    line_max: usize,
    lines: &mut impl Lines,
) -> Result<(), Failure> {
    if line.len() >= line_max {
        return Err(Failure::Line(number, format!("a line of less than {line_max} bytes")));
    }
    let text = std::str::from_utf8(line);
    let text = text.map_err(|_| Failure::Line(number, "text in UTF-8".into()))?.trim();
    match text.is_empty() {
        true => Ok(()),
        false => lines.line(text).map_err(|expected| Failure::Line(number, expected)),
    }
}
