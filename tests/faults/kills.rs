//! A harness that is ended at random moments by every signal: nothing is left of it, and its
//! history loads.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fuzz_dist::history::History;

use crate::checks::{LIMIT, mnesia_set, processes_with};

/// `.ci/kills` asks for more.
const KILLS: u64 = 10;

/// No run takes longer before it is ended; most moments of a run come earlier.
const MOMENT_MAX: Duration = Duration::from_millis(3500);

const SIGNALS: [&str; 5] = ["KILL", "TERM", "INT", "HUP", "QUIT"];

pub(crate) fn kills_at_random_moments_leave_nothing() {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let count = variable("FUZZ_DIST_KILLS").unwrap_or(KILLS);
    let first = variable("FUZZ_DIST_KILLS_FROM").unwrap_or(0);
    let machine = Machine::look();
    let mut histories = 0;
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let temporary = place.path().join("tmp");
    fs::create_dir(&temporary).expect("a folder");
    for number in first..first + count {
        histories += usize::from(kill(number, place.path(), &temporary));
        // What was killed before its lab was up is removed by a later process.
        let left = fs::read_dir(&temporary).expect("a folder").count();
        assert!(left <= 3, "kill {number}: {left} temporary folders are left");
    }
    let mut last = start("a_real_cluster", &place.path().join("last"), &temporary);
    assert!(ended_within(&mut last, 2 * LIMIT), "a run after all of that does not end");
    let left: Vec<_> = fs::read_dir(&temporary).expect("a folder").flatten().collect();
    assert!(left.is_empty(), "temporary folders are left: {left:?}");
    let now = Machine::look();
    assert_eq!(now.interfaces, machine.interfaces, "network interfaces are left");
    assert_eq!(now.mounts_of(place.path()), machine.mounts_of(place.path()), "mounts are left");
    println!("{count} kills, {histories} histories loaded");
    assert!(histories > 0 || count < KILLS, "no run came to its history");
}

/// One run and its end; whether it had a history.
fn kill(number: u64, place: &Path, temporary: &Path) -> bool {
    let (moment, group, twice) = {
        // Any spread will do (the multiplier is that of Knuth's MMIX generator).
        let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut draw = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % n
        };
        (draw(MOMENT_MAX.as_millis() as u64), draw(2) == 0, draw(3) == 0)
    };
    let signal = SIGNALS[number as usize % SIGNALS.len()];
    let test = if number % 4 == 3 { "a_real_cluster" } else { "takes_long" };
    let what = format!(
        "kill {number}: {test}, {signal} after {moment} ms, to {}{}",
        if group { "the group" } else { "the process" },
        if twice { ", twice" } else { "" }
    );
    let store = place.join(format!("store-{number}"));
    let mut child = start(test, &store, temporary);
    std::thread::sleep(Duration::from_millis(moment));
    for _ in 0..=usize::from(twice) {
        send(&child, signal, group);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(ended_within(&mut child, 2 * LIMIT), "{what}: it did not end");
    let mark = store.to_string_lossy().into_owned();
    let deadline = Instant::now() + 3 * LIMIT;
    loop {
        let left = processes_with(&mark);
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "{what}: still there: {:?}", commands(&left));
        std::thread::sleep(Duration::from_millis(20));
    }
    let found = all_named(&store, "history.jsonl");
    for history in &found {
        let loaded = History::load(history);
        assert!(loaded.is_ok(), "{what}: {}: {:?}", history.display(), loaded.err());
    }
    // Ordinary rights suffice to remove whatever is left in the store.
    fs::remove_dir_all(&store).unwrap_or_else(|error| assert!(!store.exists(), "{what}: {error}"));
    !found.is_empty()
}

fn commands(ids: &[String]) -> Vec<String> {
    let command = |id: &String| {
        let arguments = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        format!("{id} {}", String::from_utf8_lossy(&arguments).replace('\0', " "))
    };
    ids.iter().map(command).collect()
}

fn start(test: &str, store: &Path, temporary: &Path) -> Child {
    fs::create_dir_all(store).expect("a folder");
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", &format!("fixture::{test}")])
        .env("FUZZ_DIST_FIXTURE", "1")
        .env("FUZZ_DIST_FIXTURE_SOURCE", mnesia_set())
        .env("FUZZ_DIST_STORE", store)
        .env("FUZZ_DIST_MISSING", "fail")
        .env("XDG_RUNTIME_DIR", store)
        .env("TMPDIR", temporary)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("the fixture starts")
}

fn send(child: &Child, signal: &str, group: bool) {
    let to = if group { format!("-{}", child.id()) } else { child.id().to_string() };
    // It may have ended by itself.
    let _ = Command::new("kill").args(["-s", signal, "--", &to]).stderr(Stdio::null()).status();
}

/// Waits for the end; a child that does not end is killed.
fn ended_within(child: &mut Child, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while child.try_wait().expect("a child").is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

fn all_named(folder: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true => found.extend(all_named(&entry.path(), name)),
            false if entry.file_name() == name => found.push(entry.path()),
            false => {}
        }
    }
    found
}

/// What a lab could leave on the machine beside processes and folders.
struct Machine {
    interfaces: BTreeSet<String>,
    mounts: Vec<String>,
}

impl Machine {
    fn look() -> Machine {
        let interfaces = fs::read_to_string("/proc/net/dev").expect("/proc/net/dev");
        let interfaces = interfaces.lines().filter_map(|line| line.split_once(':'));
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc/self/mountinfo");
        Machine {
            interfaces: interfaces.map(|(name, _)| name.trim().to_owned()).collect(),
            mounts: mounts.lines().map(str::to_owned).collect(),
        }
    }

    /// Other programs of the machine mount, too; ours would be below this folder.
    fn mounts_of(&self, folder: &Path) -> Vec<&String> {
        let folder = folder.to_string_lossy();
        self.mounts.iter().filter(|mount| mount.contains(&*folder)).collect()
    }
}
