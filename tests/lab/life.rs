//! A lab's beginning and end, and labs beside each other.

use super::support::*;
use fuzz_dist::env::{Command, Environment, HostSpec};
use fuzz_dist::lab::{Lab, LabOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command as Program, Stdio};
use std::time::{Duration, Instant};

pub(crate) const TESTS: &[Test] = &[
    ("fifty_hosts", fifty_hosts),
    ("labs_side_by_side", labs_side_by_side),
    ("nothing_is_left_after_a_drop", nothing_is_left_after_a_drop),
    ("nothing_is_left_after_a_kill_of_the_harness", nothing_is_left_after_a_kill),
    ("a_signal_to_the_group_spares_the_lab", a_signal_to_the_group_spares_the_lab),
    ("the_end_of_the_agent_ends_the_lab", the_end_of_the_agent_ends_the_lab),
    ("the_probe_says_yes", || fuzz_dist::lab::probe().unwrap()),
];

fn fifty_hosts() {
    with_lab(50, async |lab| {
        let hosts = lab.hosts();
        assert_eq!(hosts.len(), 50);
        for pair in hosts.windows(2) {
            let [(from, _), (to, _)] = pair else { unreachable!() };
            let listener = lab.listen(*to, at(&lab, *to, 7000)).await.unwrap();
            let (near, far) =
                tokio::join!(lab.connect(*from, at(&lab, *to, 7000), LIMIT), listener.accept());
            near.unwrap();
            far.unwrap();
        }
    });
}

fn labs_side_by_side() {
    let (one, other) = (Folder::new(), Folder::new());
    let start =
        |folder: &Folder| Lab::start(LabOptions::new(&folder.0, HostSpec::nodes(2))).unwrap();
    let (one, other) = (start(&one), start(&other));
    runtime().block_on(async {
        assert_eq!(one.address(N2).unwrap(), other.address(N2).unwrap());
        let address = at(&one, N2, 7000);
        // The same address and port is taken in one lab and free in the other.
        let _listener = one.listen(N2, address).await.unwrap();
        assert!(one.listen(N2, address).await.is_err());
        one.connect(N1, address, LIMIT).await.unwrap();
        assert!(other.connect(N1, address, LIMIT).await.is_err());
        let _listener = other.listen(N2, address).await.unwrap();
        other.connect(N1, address, LIMIT).await.unwrap();
    });
}

/// Processes whose environment or arguments hold a text: the agents have no environment, but the
/// lab's name among their arguments. The environments of other users are not seen.
fn marked(marker: &str) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let holds = |file: &str| {
            let text = std::fs::read(entry.path().join(file)).unwrap_or_default();
            text.windows(marker.len()).any(|part| part == marker.as_bytes())
        };
        if holds("environ") || holds("cmdline") {
            found.push(pid);
        }
    }
    found
}

/// Process group and session of a process; nothing of one that has ended.
fn group_and_session(pid: i32) -> Option<(i32, i32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after = stat.rsplit_once(") ").unwrap().1.split(' ').collect::<Vec<_>>();
    Some((after[2].parse().unwrap(), after[3].parse().unwrap()))
}

/// A process shows no environment while it executes another program.
fn wait_until_marked(count: usize, marker: &str) {
    let started = Instant::now();
    while marked(marker).len() < count {
        assert!(started.elapsed() < LIMIT, "only {:?} are marked", marked(marker));
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn wait_until_none(marker: &str) {
    let started = Instant::now();
    while !marked(marker).is_empty() {
        assert!(started.elapsed() < LIMIT, "{:?} are left", marked(marker));
        std::thread::sleep(Duration::from_millis(5));
    }
}

async fn start_stubborn(lab: &Lab, marker: &str) {
    for (host, _) in lab.hosts() {
        for line in ["trap '' TERM HUP INT; sleep 1000; true", "setsid setsid sleep 1000; true"] {
            let command = Command::shell(line).named("stubborn").env("FUZZ_DIST_MARKER", marker);
            lab.start(host, command).await.unwrap();
        }
    }
}

fn nothing_is_left_after_a_drop() {
    let marker = format!("drop-{}", std::process::id());
    with_lab(3, async |lab| {
        start_stubborn(&lab, &marker).await;
        wait_until_marked(6, &marker);
        drop(lab);
        // Not eventually, but now.
        let left = marked(&marker);
        assert!(left.is_empty(), "{left:?} are left");
    });
}

/// The helper that is a harness: starts a lab, says so, and waits for its end.
pub(crate) fn hold(folder: &Path) {
    let marker = std::env::var("FUZZ_DIST_MARKER").unwrap();
    let options = LabOptions::new(folder, HostSpec::nodes(3));
    let lab = Lab::start(LabOptions { name: marker.clone(), ..options }).unwrap();
    runtime().block_on(start_stubborn(&lab, &marker));
    println!("ready");
    std::io::stdout().flush().unwrap();
    std::thread::sleep(Duration::from_secs(1000));
}

/// Runs `hold` in a child, until it is ready.
fn holding(folder: &Folder, marker: &str) -> std::process::Child {
    let mut child = Program::new(std::env::current_exe().unwrap())
        .args(["__helper", "hold", folder.0.to_str().unwrap()])
        .env("FUZZ_DIST_MARKER", marker)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    // The harness, its agent, four inits, and at least two processes on each host.
    wait_until_marked(12, marker);
    child
}

fn nothing_is_left_after_a_kill() {
    let (folder, marker) = (Folder::new(), format!("kill-{}", std::process::id()));
    let mut child = holding(&folder, &marker);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until_none(&marker);
}

fn a_signal_to_the_group_spares_the_lab() {
    let (folder, marker) = (Folder::new(), format!("group-{}", std::process::id()));
    let mut child = holding(&folder, &marker);
    let harness = child.id() as i32;
    let (group, session) = group_and_session(harness).expect("this process");
    let others: Vec<_> = marked(&marker)
        .into_iter()
        .filter(|pid| *pid != harness)
        .filter_map(group_and_session)
        .collect();
    assert!(others.iter().all(|(other, _)| *other != group), "{group}: {others:?}");
    // Only the outer agent, in a group of its own, is in the harness's session.
    assert_eq!(others.iter().filter(|(_, other)| *other == session).count(), 1, "{others:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until_none(&marker);
}

fn the_end_of_the_agent_ends_the_lab() {
    let (folder, marker) = (Folder::new(), format!("agent-{}", std::process::id()));
    let mut child = holding(&folder, &marker);
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    // The agent is the harness's only child; the other threads have none.
    let mut agents = std::fs::read_to_string(&children).unwrap_or_default();
    for task in std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap().flatten() {
        agents += &std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
    }
    let agent = agents.split_whitespace().next().expect("the agent is a child of the harness");
    let agent = rustix::process::Pid::from_raw(agent.parse().unwrap()).unwrap();
    rustix::process::kill_process(agent, rustix::process::Signal::KILL).unwrap();
    let started = Instant::now();
    while marked(&marker).len() > 1 {
        assert!(started.elapsed() < LIMIT, "{:?} are left", marked(&marker));
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Root starts all of these tests again as a user without any right.
pub(crate) fn as_an_ordinary_user() {
    let folder = Folder::new();
    let program = std::env::current_exe().unwrap();
    // A file system of its own: the test's folder may be out of that user's reach, and /dev/net/tun
    // is not everybody's on every machine.
    let script = r#"
        set -e
        mount --make-rprivate /
        mount -t tmpfs -o mode=755 lab "$1"
        mkdir -m 1777 "$1/tmp"
        cp "$2" "$1/lab-tests"
        mknod -m 0666 "$1/tun" c 10 200
        mount --bind "$1/tun" /dev/net/tun
        mkdir -p "$1/roots/bin"
        printf '#!/bin/sh\necho original\n' > "$1/roots/bin/app"
        chmod 755 "$1/roots/bin/app"
        export FUZZ_DIST_ROOTS_FOLDER="$1/roots"
        cd "$1/tmp"
        export TMPDIR="$1/tmp" HOME="$1/tmp"
        exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all "$1/lab-tests" --test-threads=2
    "#;
    let output = Program::new("unshare")
        .args(["-m", "/bin/sh", "-c", script, "sh"])
        .args([&folder.0, &program])
        .output()
        .expect("unshare, of util-linux, is needed");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "as an ordinary user:\n{text}\n{errors}");
    assert!(text.contains("test result: ok") && !text.contains(" 0 passed"), "{text}");
}
