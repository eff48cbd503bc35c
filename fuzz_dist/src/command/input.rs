//! From a file or the standard input to a history.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use super::progress::Progress;
use crate::history::{Format, History, Loaded};

/// So much of a text says which notation it is.
const HEAD: u64 = 4096;

/// Reads a history, in the notation that was said or that it seems to have.
pub(super) fn load(
    source: &str,
    from: Option<Format>,
    progress: &Progress,
) -> Result<(Loaded, Format), String> {
    let (name, raw): (&Path, Box<dyn Read>) = match source {
        "-" => (Path::new("(standard input)"), Box::new(std::io::stdin().lock())),
        file => {
            let refused = |why| format!("could not read the history {file}: {why}");
            let open = File::open(file).map_err(refused)?;
            progress.total(open.metadata().map_or(0, |m| m.len()));
            (Path::new(file), Box::new(open))
        }
    };
    let mut raw = progress.watch(raw);
    let mut head = Vec::new();
    let refused = |why| format!("could not read the history {}: {why}", name.display());
    raw.by_ref().take(HEAD).read_to_end(&mut head).map_err(refused)?;
    let format = from.or_else(|| Format::detect(name, &head)).ok_or_else(|| {
        let all = Format::ALL.map(Format::as_str).join(", ");
        format!(
            "the history {} looks like none of the known notations; say which one it is with --from and one of {all}",
            name.display()
        )
    })?;
    let mut text = BufReader::with_capacity(1 << 18, Cursor::new(head).chain(raw));
    let loaded = History::import(&mut text, name, format).map_err(|e| e.to_string())?;
    Ok((loaded, format))
}
