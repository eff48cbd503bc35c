//! Processes on hosts: started, observed, paused, killed, and what they wrote.

use super::support::*;
use fuzz_dist::env::{Command, Environment, Error, HostSpec, Process, ProcessState, Signal};
use fuzz_dist::lab::{Lab, LabOptions};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

pub(crate) const TESTS: &[Test] = &[
    ("a_process_is_paused_and_killed", a_process_is_paused_and_killed),
    ("a_whole_host_is_paused_and_killed", a_whole_host_is_paused_and_killed),
    ("output_is_captured_per_host", output_is_captured_per_host),
    ("a_flood_of_output_is_limited", a_flood_of_output_is_limited),
    ("statuses_are_reported", statuses_are_reported),
    ("what_cannot_be_executed_is_said", what_cannot_be_executed_is_said),
    ("a_command_that_hangs_is_ended", a_command_that_hangs_is_ended),
    ("many_short_processes_are_not_mixed_up", many_short_processes_are_not_mixed_up),
    ("a_process_sees_another_user_id", a_process_sees_another_user_id),
];

async fn until(process: &Process, state: ProcessState) {
    eventually(&format!("{state:?}"), async || process.state().await.unwrap() == state).await;
}

fn a_process_is_paused_and_killed() {
    with_lab(1, async |lab| {
        // A shell around a program: both belong to the process.
        let line = "sleep 1000 & echo $! > child; wait";
        let process = lab.start(N1, Command::shell(line).named("app")).await.unwrap();
        assert_eq!((process.name(), process.host()), ("app", N1));
        let states = async || {
            let all = lab.processes(N1).await.unwrap();
            all.into_iter().map(|one| one.state).collect::<Vec<_>>()
        };
        eventually("both", async || states().await == [ProcessState::Sleeping; 2]).await;
        process.pause().await.unwrap();
        until(&process, ProcessState::Stopped).await;
        eventually("both stopped", async || states().await == [ProcessState::Stopped; 2]).await;
        assert!(process.is_alive());
        process.resume().await.unwrap();
        until(&process, ProcessState::Sleeping).await;
        process.kill(Signal::Kill).await.unwrap();
        assert_eq!(process.wait().await.signal(), Some(9));
        assert!(!process.is_alive());
        until(&process, ProcessState::Dead).await;
        eventually("nobody", async || states().await.is_empty()).await;
        let gone = process.kill(Signal::Term).await;
        assert!(matches!(gone, Err(Error::Gone(_))), "{gone:?}");
    });
}

fn a_whole_host_is_paused_and_killed() {
    with_lab(2, async |lab| {
        let line = "setsid sleep 1000 & trap '' TERM; sleep 1000 & wait";
        let process = lab.start(N1, Command::shell(line)).await.unwrap();
        let other = lab.start(N2, Command::new("sleep").arg("1000")).await.unwrap();
        let count = async |state| {
            lab.processes(N1).await.unwrap().iter().filter(|one| one.state == state).count()
        };
        eventually("three", async || count(ProcessState::Sleeping).await == 3).await;
        lab.signal_host(N1, Signal::Stop).await.unwrap();
        eventually("all stopped", async || count(ProcessState::Stopped).await == 3).await;
        lab.signal_host(N1, Signal::Cont).await.unwrap();
        eventually("all going on", async || count(ProcessState::Sleeping).await == 3).await;
        lab.signal_host(N1, Signal::Kill).await.unwrap();
        assert_eq!(process.wait().await.signal(), Some(9));
        eventually("none", async || lab.processes(N1).await.unwrap().is_empty()).await;
        assert!(other.is_alive());
        // Nobody is left: that is no error.
        lab.signal_host(N1, Signal::Kill).await.unwrap();
        assert_eq!(text(&lab, N1, "echo alive").await, "alive");
    });
}

fn output_is_captured_per_host() {
    with_hosts(HostSpec::nodes(2), async |lab, folder| {
        for (host, _) in lab.hosts() {
            for time in 1..=2 {
                let line =
                    format!("uname -n; echo error {time} >&2; echo own > /fuzz_dist/app.log");
                let process = lab.start(host, Command::shell(line).named("app")).await.unwrap();
                assert!(process.wait().await.success());
            }
        }
        let logs = fs::canonicalize(&folder).unwrap().join("n2/logs");
        assert_eq!(lab.logs(N2), logs.display().to_string());
        let ends = lab.last_output(N2, 6);
        assert_eq!(ends[0], ("app.err".to_owned(), "ror 2\n".to_owned()));
        drop(lab);
        for name in ["n1", "n2"] {
            let read = |file: &str| fs::read_to_string(folder.join(name).join(file)).unwrap();
            assert_eq!(read("logs/app.out"), format!("{name}\n{name}\n"));
            assert_eq!(read("logs/app.err"), "error 1\nerror 2\n");
            assert_eq!(read("data/app.log"), "own\n");
        }
    });
}

fn a_flood_of_output_is_limited() {
    let folder = Folder::new();
    let options = LabOptions::new(&folder.0, HostSpec::nodes(1));
    let lab = Lab::start(LabOptions { log_limit: 1 << 20, ..options }).unwrap();
    let path = fs::canonicalize(&folder.0).unwrap().join("n1/logs/flood.out");
    runtime().block_on(async {
        let line = "echo first; yes & sleep 1; kill $!; wait; echo last";
        let process = lab.start(N1, Command::shell(line).named("flood")).await.unwrap();
        process.wait().await;
        eventually("a note", async || lab.notes().len() == 1).await;
        // The room that the log takes on the disk, whatever its length.
        let taken = async || fs::metadata(&path).unwrap().blocks() * 512;
        eventually("little room", async || taken().await < 2 << 20).await;
        // A command's output is limited in memory, too; what is returned is its beginning.
        let flood = Command::shell("timeout 1 yes; true");
        assert_eq!(lab.run(N1, flood, LIMIT).await.unwrap().stdout.len(), 16 << 20);
    });
    let notes = lab.notes();
    assert!(notes[0].contains("flood.out were dropped"), "{notes:?}");
    drop(lab);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.len() < 2 << 20, "{}", text.len());
    assert!(text.starts_with("first\ny\n") && text.ends_with("y\nlast\n"));
    assert!(text.contains("\n[fuzz_dist: ") && !text.contains('\0'));
}

fn statuses_are_reported() {
    with_lab(1, async |lab| {
        assert_eq!(sh(&lab, N1, "exit 7").await.status.code(), Some(7));
        assert_eq!(sh(&lab, N1, "kill -TERM $$").await.status.signal(), Some(15));
        let finished = sh(&lab, N1, "echo out; echo err >&2").await;
        assert_eq!((finished.text(), finished.error_text()), ("out\n".into(), "err\n".into()));
        let command = Command::shell("echo $A $0; pwd").env("A", "a b").cwd("/usr").arg("c d");
        let finished = lab.run(N1, command, LIMIT).await.unwrap();
        assert_eq!(finished.text(), "a b c d\n/usr\n");
        // Standard input is empty, and signals are as a program expects them.
        assert_eq!(
            sh(&lab, N1, "cat; grep SigBlk /proc/self/status").await.text(),
            "SigBlk:\t0000000000000000\n"
        );
    });
}

fn what_cannot_be_executed_is_said() {
    with_lab(1, async |lab| {
        for command in [Command::new("no-such-program"), Command::new("true").cwd("/no/such")] {
            let error = lab.start(N1, command).await.unwrap_err();
            assert!(matches!(error, Error::NotExecutable { .. }), "{error}");
            assert!(error.to_string().contains("on host n1"), "{error}");
        }
        let error = lab.start(N1, Command::new("true").named("a/b")).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    });
}

fn a_command_that_hangs_is_ended() {
    with_lab(1, async |lab| {
        let command = Command::shell("sleep 1000; true");
        let error = lab.run(N1, command, Duration::from_millis(50)).await.unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        eventually("nobody", async || lab.processes(N1).await.unwrap().is_empty()).await;
    });
}

fn many_short_processes_are_not_mixed_up() {
    with_lab(1, async |lab| {
        let lab = std::sync::Arc::new(lab);
        let mut running = tokio::task::JoinSet::new();
        for number in 0..60 {
            let lab = std::sync::Arc::clone(&lab);
            running.spawn(async move {
                let finished = sh(&lab, N1, &format!("echo {number}; exit {number}")).await;
                let expected = (format!("{number}\n"), Some(number));
                assert_eq!((finished.text(), finished.status.code()), expected);
            });
        }
        running.join_all().await;
    });
}

fn a_process_sees_another_user_id() {
    with_lab(1, async |lab| {
        let command = Command::shell("id -u; id -g; echo 1 > mine; cat mine").uid(1000);
        assert_eq!(lab.run(N1, command, LIMIT).await.unwrap().text(), "1000\n1000\n1\n");
        assert_eq!(text(&lab, N1, "id -u").await, "0");
        // It can be signalled all the same.
        let sleeper = Command::new("sleep").arg("1000").uid(1000);
        let process = lab.start(N1, sleeper).await.unwrap();
        process.pause().await.unwrap();
        until(&process, ProcessState::Stopped).await;
        lab.signal_host(N1, Signal::Kill).await.unwrap();
        assert_eq!(process.wait().await.signal(), Some(9));
    });
}
