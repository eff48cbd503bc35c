//! Durations as text: `"500ms"`, `"30s"`, `"2m"`, `"1h"`.

use std::time::Duration;

/// What to write instead, for messages.
pub(crate) const HINT: &str = "write \"500ms\", \"30s\", \"2m\" or \"1h\"";

/// Parses one number and its unit, as `fuzz_dist::time::parse_duration` does at run time; both are
/// held to the same table of texts.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let unit_ms: u64 = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(unit_ms).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_their_meaning() {
        let mut lines = 0;
        for line in include_str!("durations.txt").lines().filter(|line| !line.starts_with('#')) {
            let (text, millis) = line.split_once('|').expect("text|millis");
            let expected = millis.parse().ok().map(Duration::from_millis);
            assert_eq!(parse(text), expected, "{text:?}");
            lines += 1;
        }
        assert!(lines > 10);
    }
}
