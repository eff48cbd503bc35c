//! Any bytes as a history, in each of the notations.
#![no_main]

use fuzz_dist::history::{Format, History};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The first byte says which notation.
    let Some((first, mut bytes)) = bytes.split_first() else { return };
    let format = Format::ALL[usize::from(*first) % Format::ALL.len()];
    let _ = Format::detect("h".as_ref(), bytes);
    let Ok(loaded) = History::import(&mut bytes, "h".as_ref(), format) else { return };
    // What was understood can be written, and is understood again.
    for format in [Format::Json, Format::Edn] {
        let mut text = Vec::new();
        loaded.history.export(&mut text, format).expect("memory takes all writes");
        let again = History::import(&mut &text[..], "h".as_ref(), format).expect("our own text");
        assert_eq!(again.history.len(), loaded.history.len());
    }
});
