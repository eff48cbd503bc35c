//! A harness that is killed leaves what it recorded more than 10 ms before.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::super::*;
use super::event;

const FILE: &str = "FUZZ_DIST_TEST_KILLED_FILE";

/// Not a test of its own: the process that is killed. It records an operation every 100 µs
/// and says so on its standard output, with the time of the monotonic clock.
#[test]
fn child_that_records_until_it_is_killed() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let recorder = Recorder::to_file(path.as_ref(), ["n1"], [] as [(&str, Value); 0]).unwrap();
    // Bounded, should nobody kill it.
    for n in 0..100_000i64 {
        recorder.record(event(0, Kind::Invoke, "add", n.into())).unwrap();
        let index = recorder.record(event(0, Kind::Ok, "add", n.into())).unwrap();
        println!("recorded {index} {}", monotonic_ns());
        std::thread::sleep(Duration::from_micros(100));
    }
}

fn monotonic_ns() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

/// Kills a child after `events` events; gives the last index that it had recorded 10 ms
/// before, and how many events the file holds.
fn kill_after(events: u64) -> (u64, u64) {
    let path = std::env::temp_dir().join(format!("fuzz_dist-killed-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "--test-threads=1"])
        .arg("tests::killed::child_that_records_until_it_is_killed")
        .env(FILE, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut recorded: Vec<(u64, u64)> = Vec::new();
    let parse = |line: String| {
        let (index, time) = line.split_once("recorded ")?.1.split_once(' ')?;
        Some((index.parse().ok()?, time.parse().ok()?))
    };
    for line in lines.by_ref() {
        recorded.extend(parse(line));
        if recorded.len() as u64 >= events {
            break;
        }
    }
    let before = monotonic_ns();
    child.kill().unwrap();
    child.wait().unwrap();
    recorded.extend(lines.filter_map(parse));
    let due = |time: u64| time + 10_000_000 < before;
    let last = recorded.iter().filter(|(_, time)| due(*time)).map(|(index, _)| *index).max();
    let loaded = History::load(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    (last.expect("the child ran for more than 10 ms"), loaded.history.len() as u64)
}

#[test]
fn what_was_recorded_10_ms_before_a_kill_is_in_the_file() {
    let mut missing = Vec::new();
    // On a machine that is overloaded the system itself may keep the writing thread from its
    // work for longer: then another attempt must show that it is the rule.
    for attempt in 0..5 {
        let (last, loaded) = kill_after(300 + 57 * attempt);
        if loaded > last {
            return;
        }
        missing.push(last + 1 - loaded);
    }
    panic!("events missing in five files: {missing:?}");
}
