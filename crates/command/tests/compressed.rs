//! Compressed histories: judged as what was compressed, and refused where they are damaged.
#![cfg(feature = "compressed")]

mod program;

use program::{INVALID, UNKNOWN, VALID, WRONG, run};

fn event(kind: &str, process: usize, f: &str, value: &str) -> String {
    format!("{{:type :{kind}, :process {process}, :f :{f}, :value {value}, :time {process}}}\n")
}

fn add() -> String {
    event("invoke", 0, "add", "1") + &event("ok", 0, "add", "1")
}

/// An element that is added and read.
fn history() -> String {
    add() + &event("invoke", 1, "read", "nil") + &event("ok", 1, "read", "#{1}")
}

/// The same text, compressed.
fn compressed(text: &str) -> [(&'static str, Vec<u8>); 2] {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).expect("memory");
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    let zstd = ruzstd::encoding::compress_to_vec(text.as_bytes(), level);
    [("gzip", gzip.finish().expect("memory")), ("zstd", zstd)]
}

#[test]
fn compressed_histories_are_judged_as_they_are() {
    let text = history();
    let [(_, gzip), (_, zstd)] = compressed(&text);
    let check = |input: &[u8]| run("check - --checker set-full", input);
    let plain = check(text.as_bytes());
    assert_eq!(plain.code, VALID, "{}", plain.err);
    // Files may be put one behind the other, and zstd may have frames to be skipped.
    let second = compressed(&event("invoke", 7, "read", "nil"));
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9], &zstd[..]].concat();
    for input in [&gzip, &zstd, &skipped] {
        let ended = check(input);
        assert_eq!((ended.code, &ended.out), (VALID, &plain.out), "{}", ended.err);
    }
    let lost = add() + &event("invoke", 1, "read", "nil") + &event("ok", 1, "read", "#{}");
    for (kind, bytes) in compressed(&lost) {
        assert_eq!(check(&bytes).code, INVALID, "{kind}");
    }
    for (first, (_, second)) in [&gzip, &zstd].into_iter().zip(&second) {
        let ended = check(&[&first[..], &second[..]].concat());
        assert!(ended.out.contains("5 events, edn"), "{}{}", ended.out, ended.err);
    }
}

#[test]
fn compressed_files_are_known_by_their_names_and_say_when_they_are_damaged() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = history();
    for (kind, whole) in compressed(&text) {
        let end = if kind == "gzip" { "gz" } else { "zst" };
        let file = folder.path().join(format!("history.edn.{end}"));
        let check = |bytes: &[u8]| {
            std::fs::write(&file, bytes).expect("a file");
            run(&format!("check {} --checker set-full", file.display()), "")
        };
        assert_eq!(check(&whole).code, VALID);
        // The name says what an empty text is.
        let [(_, gzip), (_, zstd)] = compressed("");
        let empty = check(if kind == "gzip" { &gzip } else { &zstd });
        assert_eq!(empty.code, UNKNOWN, "{}", empty.err);
        assert!(empty.out.contains("0 events, edn"), "{}{}", empty.out, empty.err);
        let mut changed = whole.clone();
        // The checksum.
        let place = if kind == "gzip" { whole.len() - 8 } else { whole.len() - 1 };
        changed[place] ^= 0x55;
        for damaged in [&whole[..whole.len() - 5], &whole[..12], &changed] {
            let ended = check(damaged);
            assert_eq!(ended.code, WRONG, "{kind}: {}", ended.out);
            let said = [&*file.to_string_lossy(), "damaged, or cut off", kind];
            assert!(said.iter().all(|s| ended.err.contains(s)), "{}", ended.err);
            assert!(!ended.err.contains("panicked") && ended.out.is_empty(), "{}", ended.err);
        }
    }
}

/// A few kilobytes that stand for much more text take no more memory than the events in it.
#[test]
fn a_small_file_that_stands_for_a_huge_one_does_not_fill_the_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let blank = " ".repeat(1 << 20) + "\n";
    let text = add() + &blank.repeat(32) + &event("invoke", 9, "read", "nil");
    for (kind, bytes) in compressed(&text) {
        let file = folder.path().join(kind);
        std::fs::write(&file, &bytes).expect("a file");
        let command = format!(
            "ulimit -v 60000; exec {} check {} --checker stats",
            env!("CARGO_BIN_EXE_cargo-fuzz-dist"),
            file.display()
        );
        let ended = std::process::Command::new("sh").args(["-c", &command]).output();
        let ended = ended.expect("a shell");
        let text = String::from_utf8_lossy(&ended.stdout).into_owned();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(text.contains("3 events, edn"), "{kind}: {text}{said}");
    }
}
