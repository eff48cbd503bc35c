//! From a file or the standard input to a history.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use super::compressed::{Compression, plain_name};
use super::progress::Progress;
use fuzz_dist_history::{Format, History, Loaded};

/// So much of a text says which notation it is.
const HEAD: u64 = 4096;

/// Reads a history, in the notation that was said or that it seems to have; compressed files as they
/// are decompressed.
pub(super) fn load(
    source: &str,
    from: Option<Format>,
    progress: &Progress,
) -> Result<(Loaded, Format), String> {
    let (name, raw): (&str, Box<dyn Read>) = match source {
        "-" => ("(standard input)", Box::new(std::io::stdin().lock())),
        file => {
            let refused = |why| format!("could not read the history {file}: {why}");
            let open = File::open(file).map_err(refused)?;
            progress.total(open.metadata().map_or(0, |m| m.len()));
            (file, Box::new(open))
        }
    };
    let (mut head, raw) = beginning(name, Box::new(progress.watch(raw)))?;
    let (mut plain, mut text): (&str, Box<dyn Read>) = (name, raw);
    if let Some(compression) = Compression::of(&head) {
        let refused = |why| format!("could not read the history {name}: {why}");
        let whole = Cursor::new(head).chain(text);
        let decompressed = compression.reader(whole).map_err(refused)?;
        (head, text) = beginning(name, decompressed)?;
        plain = plain_name(name);
    }
    let format = from.or_else(|| Format::detect(Path::new(plain), &head)).ok_or_else(|| {
        let all = Format::ALL.map(Format::as_str).join(", ");
        format!(
            "the history {name} looks like none of the known notations; say which one it is with --from and one of {all}"
        )
    })?;
    let mut text = BufReader::with_capacity(1 << 18, Cursor::new(head).chain(text));
    let loaded = History::import(&mut text, Path::new(name), format).map_err(|e| e.to_string())?;
    Ok((loaded, format))
}

/// The first bytes of a source, and the rest of it.
fn beginning(name: &str, mut source: Box<dyn Read>) -> Result<(Vec<u8>, Box<dyn Read>), String> {
    let mut head = Vec::new();
    let refused = |why| format!("could not read the history {name}: {why}");
    source.by_ref().take(HEAD).read_to_end(&mut head).map_err(refused)?;
    Ok((head, source))
}
