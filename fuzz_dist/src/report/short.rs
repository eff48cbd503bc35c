//! Nothing that is printed is longer than a screen, whatever values a history contains.

/// So much of a value, a name or a line of the options is printed.
pub(super) const LINE_MAX: usize = 240;

/// So many lines are printed of one trial.
const LINES_MAX: usize = 60;

/// At most `max` characters, with the length where there are more.
pub(super) fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.into(),
        Some((at, _)) => format!("{}… ({} characters)", &text[..at], text.chars().count()),
    }
}

/// The text for a screen; `kept` says where the whole of it is.
pub(crate) fn for_a_screen(text: &str, kept: Option<&std::path::Path>) -> String {
    let mut out = String::new();
    let lines = text.lines().count();
    // What comes last says where everything is and how to run it again.
    let (head, tail) = (LINES_MAX - 10, 10);
    for (i, line) in text.lines().enumerate() {
        if lines > LINES_MAX && i >= head && i + tail < lines {
            if i == head {
                let kept =
                    kept.map_or(String::new(), |k| format!("; all of them: {}", k.display()));
                out.push_str(&format!("  … ({} more lines{kept})\n", lines - head - tail));
            }
            continue;
        }
        // The command that runs a trial again is of no use when it is cut.
        let max = if line.starts_with("  again: ") { usize::MAX } else { LINE_MAX * 2 };
        out.push_str(&cut(line, max));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_printed_as_it_is() {
        let text = "a: invalid\n  options: x\n";
        assert_eq!(for_a_screen(text, None), text);
        assert_eq!(cut("äöü", 3), "äöü");
    }

    #[test]
    fn what_does_not_fit_is_cut_and_its_length_said() {
        assert_eq!(cut("äöüß", 3), "äöü… (4 characters)");
        let lines: String = (0..1000).map(|n| format!("{n}\n")).collect();
        let text = format!("{}\n{lines}", "x".repeat(20_000_000));
        let shown = for_a_screen(&text, Some(std::path::Path::new("report.txt")));
        assert_eq!(shown.lines().count(), LINES_MAX + 1);
        assert!(shown.contains("… (20000000 characters)"), "{shown}");
        assert!(shown.contains("… (941 more lines; all of them: report.txt)"), "{shown}");
        assert!(shown.ends_with("\n999\n"));
        assert!(shown.len() < 10_000);
    }
}
