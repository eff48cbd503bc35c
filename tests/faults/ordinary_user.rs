//! A cluster of real Erlang nodes, tested by a user without any right; root starts it.

use std::path::PathBuf;
use std::process::Command;

use fuzz_dist::provision::Runtime;
use libtest_mimic::{Failed, Trial};

use crate::checks::mnesia_set;

pub(crate) fn trials() -> [Trial; 2] {
    [
        Trial::test("a_real_cluster_as_an_ordinary_user", || -> Result<(), Failed> {
            a_real_cluster();
            Ok(())
        }),
        Trial::test("few_processes_are_explained", || -> Result<(), Failed> {
            few_processes_are_explained();
            Ok(())
        }),
    ]
}

/// A user who has no other processes, and may have only a few.
const FEW: &str = r#"
    set -e
    place=$1 program=$2 limit=$3 user=$4 trial=$5
    mount --make-rprivate /
    mount -t tmpfs -o mode=755 place "$place"
    mkdir -m 1777 "$place/home"
    cp "$program" "$place/tests"
    mknod -m 0666 "$place/tun" c 10 200
    mount --bind "$place/tun" /dev/net/tun
    cd "$place/home"
    unset XDG_RUNTIME_DIR
    export HOME="$place/home" TMPDIR="$place/home" FUZZ_DIST_STORE="$place/home/store"
    export FUZZ_DIST_FIXTURE=1 FUZZ_DIST_MISSING=fail FUZZ_DIST_ERLANG="$place/none"
    exec setpriv --reuid="$user" --regid="$user" --clear-groups --inh-caps=-all \
        prlimit --nproc="$limit" "$place/tests" --exact "fixture::$trial"
"#;

/// Nothing panics, and the limit is named, whatever step it is that is refused: the harness's own
/// threads, the agents, the switch, programs on hosts and their threads, from the start or later.
fn few_processes_are_explained() {
    let check = |limit: u32| {
        let (passed, said) = with_few_processes(limit, "all_is_well");
        let explained = !passed && !said.contains("panicked") && said.contains("`ulimit -u`");
        assert!(passed && limit > 16 || explained, "with {limit}:\n{said}");
    };
    let limits: Vec<u32> = (2..60).step_by(3).collect();
    // Each as a user of its own, so that several run at once.
    std::thread::scope(|scope| {
        let all: Vec<_> = limits
            .chunks(limits.len().div_ceil(4))
            .map(|some| scope.spawn(move || some.iter().for_each(|limit| check(*limit))))
            .collect();
        for one in all {
            if let Err(panic) = one.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    let (passed, said) = with_few_processes(500, "all_is_well");
    assert!(passed, "what was refused before is the limit's work: {said}");
}

/// Runs a trial as a user who may have so many processes and threads. Did it pass?
fn with_few_processes(limit: u32, trial: &str) -> (bool, String) {
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("few_processes-{limit}"));
    std::fs::create_dir_all(&place).expect("a folder to mount on");
    let output = Command::new("unshare")
        .args(["-m", "/bin/sh", "-c", FEW, "sh"])
        .args([&place, &std::env::current_exe().expect("this program")])
        .args([limit.to_string(), (54_000 + limit).to_string(), trial.into()])
        .output()
        .expect("unshare, of util-linux, is needed");
    let _ = std::fs::remove_dir(&place);
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said.into_owned())
}

/// In a file system of its own, since root's folders may be out of that user's reach, and
/// /dev/net/tun is not everybody's on every machine.
const SCRIPT: &str = r#"
    set -e
    place=$1 program=$2 source=$3 cache=$4
    mount --make-rprivate /
    mount -t tmpfs -o mode=755 place "$place"
    mkdir -m 1777 "$place/home"
    cp "$program" "$place/tests"
    cp "$source" "$place/mnesia_set.erl"
    if [ -d "$cache" ]; then
        mkdir "$place/home/cache"
        cp -R "$cache" "$place/home/cache/fuzz_dist"
        chown -R 65534:65534 "$place/home/cache"
    fi
    mknod -m 0666 "$place/tun" c 10 200
    mount --bind "$place/tun" /dev/net/tun
    cd "$place/home"
    unset XDG_RUNTIME_DIR
    export HOME="$place/home" TMPDIR="$place/home" XDG_CACHE_HOME="$place/home/cache"
    export FUZZ_DIST_STORE="$place/home/store" FUZZ_DIST_FIXTURE_SOURCE="$place/mnesia_set.erl"
    export FUZZ_DIST_FIXTURE=1 FUZZ_DIST_MISSING=fail FUZZ_DIST_SEED=1 FUZZ_DIST_VERBOSE=1
    exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all \
        "$place/tests" --exact fixture::a_real_cluster
"#;

fn a_real_cluster() {
    // Fetched before, where there is none: what root has is copied.
    Runtime::find_or_fetch().expect("an Erlang runtime");
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ordinary_user");
    std::fs::create_dir_all(&place).expect("a folder to mount on");
    let output = Command::new("unshare")
        .args(["-m", "/bin/sh", "-c", SCRIPT, "sh"])
        .args([&place, &std::env::current_exe().expect("this program"), &mnesia_set(), &cache()])
        .output()
        .expect("unshare, of util-linux, is needed");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "as an ordinary user:\n{said}");
    assert!(said.contains("1 passed") && said.contains("took effect and was removed"), "{said}");
}

fn cache() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    cache.or(home).unwrap_or_default().join("fuzz_dist")
}
