//! Faults of the Erlang runtime before a node could start: what is found does not run, what is
//! kept is damaged, what is fetched hangs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::checks::{Place, find, mnesia_set, wait_for};
use crate::program::Program;

/// A machine with these programs on its PATH, an empty cache, and no other Erlang.
struct Machine {
    place: Place,
    programs: PathBuf,
    cache: PathBuf,
}

impl Machine {
    fn new() -> Machine {
        let place = Place::new();
        let [programs, cache] = ["programs", "cache"].map(|name| place.store.join(name));
        fs::create_dir_all(&programs).expect("a folder for programs");
        Machine { place, programs, cache }
    }

    fn program(&self, name: &str, script: &str) {
        let file = self.programs.join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("a script");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    fn start(&self, test: &str) -> Program {
        let [path, cache, store, source] =
            [&self.programs, &self.cache, &self.place.store, &mnesia_set()]
                .map(|path| path.to_string_lossy().into_owned());
        let variables = [
            ("PATH", &*path),
            ("XDG_CACHE_HOME", &cache),
            ("FUZZ_DIST_STORE", &store),
            ("FUZZ_DIST_FIXTURE_SOURCE", &source),
            ("FUZZ_DIST_MISSING", "fail"),
            ("FUZZ_DIST_ERLANG", ""),
        ];
        self.place.runtime.start(&format!("--exact fixture::{test}"), &variables)
    }
}

/// An `erl` that fails, and none that could be fetched: what it did is reported.
pub(crate) fn an_erl_that_fails_is_reported_as_what_it_is() {
    let machine = Machine::new();
    machine.program("erl", "echo no licence found >&2; exit 3");
    let ended = machine.start("a_real_cluster").end();
    let erl = machine.programs.join("erl");
    ended.ended_with(101).says(&format!("{} cannot be used", erl.display()));
    ended.says("exit status: 3").says("no licence found");
    machine.place.nothing_is_left();
}

/// A test without Erlang nodes neither looks for Erlang nor fetches it.
pub(crate) fn a_test_without_erlang_nodes_needs_no_erlang() {
    let machine = Machine::new();
    let asked = machine.place.store.join("asked");
    for name in ["erl", "apt-get", "dpkg"] {
        machine.program(name, &format!("echo {name} >> {}; exit 1", quoted(&asked)));
    }
    machine.start("all_is_well").end().ended_with(0);
    assert!(!asked.exists(), "asked: {}", fs::read_to_string(&asked).unwrap_or_default());
    assert!(!machine.cache.exists(), "there is a cache");
    machine.place.nothing_is_left();
}

/// A harness that is killed takes with it what fetches, and what that has started; the lock of the
/// cache is free for the next one.
pub(crate) fn what_fetches_dies_with_the_harness() {
    let machine = Machine::new();
    let pids = machine.place.store.join("pids");
    // Both hold the lock as their input.
    let hang = "/bin/sleep 1000 & echo $! $$ > \"$0.pids\"; mv \"$0.pids\" PIDS; wait";
    machine.program("apt-get", &hang.replace("mv", "/bin/mv").replace("PIDS", &quoted(&pids)));
    machine.program("dpkg", "exit 1");
    let program = machine.start("a_real_cluster");
    wait_for("apt-get runs", || pids.exists());
    let text = fs::read_to_string(&pids).expect("their pids");
    let running: Vec<&str> = text.split_whitespace().filter(|pid| is_alive(pid)).collect();
    assert_eq!(running.len(), 2, "{text}");
    let lock = lock_of(&machine.cache);
    assert!(!is_free(&lock), "nobody holds the lock");
    program.signal("KILL");
    wait_for("they are gone", || !text.split_whitespace().any(is_alive));
    wait_for("the lock is free", || is_free(&lock));
    drop(program);
    machine.place.nothing_is_left();
}

/// A runtime in the cache whose virtual machine was cut short is fetched anew, and is used.
pub(crate) fn a_damaged_runtime_is_fetched_anew() {
    let machine = Machine::new();
    let runtime = fuzz_dist::provision::Runtime::find_or_fetch().expect("an Erlang runtime");
    let root = quoted(&runtime.root);
    // Package servers stand-ins: four packages are fetched, and each holds the runtime at hand.
    machine.program(
        "apt-get",
        "case \"$*\" in\n\
         *--print-uris*) for i in 1 2 3 4; do echo \"'http://a/$i' $i.deb 4 hash\"; done;;\n\
         *) for i in 1 2 3 4; do echo data > $i.deb; done;;\n\
         esac",
    );
    let copy = format!(
        "/bin/mkdir -p \"$3/usr/lib\"; [ -e \"$3/usr/lib/erlang\" ] || /bin/cp -rL {root} \"$3/usr/lib/erlang\""
    );
    machine.program("dpkg", &copy);
    machine
        .start("a_real_cluster")
        .end()
        .ended_with(0)
        .says("is ready")
        .says(": valid; operations");
    let emulator = find(&machine.cache, "beam.smp").expect("an emulator");
    let length = fs::metadata(&emulator).expect("its length").len();
    let file = fs::File::options().write(true).open(&emulator).expect("the emulator");
    file.set_len(length / 2).expect("a shorter file");
    drop(file);
    machine.start("a_real_cluster").end().ended_with(0).says("beam.smp has").says("is ready");
    assert_eq!(fs::metadata(&emulator).expect("its length").len(), length);
    machine.place.nothing_is_left();
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}

fn is_alive(pid: &str) -> bool {
    // A dead process whose parent has not asked for it is none.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn lock_of(cache: &Path) -> PathBuf {
    let entries = fs::read_dir(cache.join("fuzz_dist")).expect("the cache");
    let mut files = entries.flatten().map(|entry| entry.path());
    files.find(|path| path.extension().is_some_and(|e| e == "lock")).expect("a lock")
}

fn is_free(lock: &Path) -> bool {
    let file = fs::File::open(lock).expect("the lock");
    flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
}
