//! What a host must not reach of the machine, whoever started the lab. Every attempt is one that
//! changes nothing where it succeeds: files are opened for writing and not written.

use super::support::*;
use fuzz_dist::env::{Command, Environment, HostSpec, Signal};
use fuzz_dist::lab::Lab;

pub(crate) const TESTS: &[Test] = &[
    ("settings_of_the_kernel_are_read_only", settings_of_the_kernel_are_read_only),
    ("a_host_sees_few_devices", a_host_sees_few_devices),
    ("mounts_are_locked", mounts_are_locked),
    ("the_init_shows_nothing", the_init_shows_nothing),
    ("a_host_still_has_what_programs_need", a_host_still_has_what_programs_need),
];

/// Asserts that none of these lines of shell succeeds.
async fn refused(lab: &Lab, lines: &[&str]) {
    for line in lines {
        let tried = sh(lab, N1, line).await;
        assert!(!tried.status.success(), "`{line}` succeeded: {}", tried.text());
    }
}

fn settings_of_the_kernel_are_read_only() {
    with_lab(1, async |lab| {
        for file in [
            "sys/vm/swappiness",
            "sys/kernel/core_pattern",
            "sys/kernel/hostname",
            "sys/user/max_user_namespaces",
            "sys/net/ipv4/ip_forward",
            "sysrq-trigger",
            "irq/default_smp_affinity",
            "pressure/cpu",
        ] {
            refused(&lab, &[&format!("exec 3>>/proc/{file}")]).await;
        }
        refused(&lab, &["exec 3>>/sys/kernel/profiling", "exec 3>>/sys/power/state"]).await;
        for file in ["kcore", "kmsg", "keys", "kpageflags"] {
            let seen = text(&lab, N1, &format!("timeout 5 head -c 1 /proc/{file} | wc -c")).await;
            assert_eq!(seen, "0", "/proc/{file} can be read");
        }
        // Neither a second /proc nor a view of the control groups gets around it.
        let attempts = [
            "mkdir -p /tmp/proc && mount -t proc proc /tmp/proc",
            "unshare -pf --mount-proc true",
            "unshare -Urpf --mount-proc true",
            "unshare -C true",
            "unshare -UrC true",
            "mkdir -p /tmp/cgroup && mount -t cgroup2 none /tmp/cgroup",
        ];
        refused(&lab, &attempts).await;
    });
}

fn a_host_sees_few_devices() {
    with_lab(1, async |lab| {
        let found = text(&lab, N1, "find /dev ! -type d | sort | tr '\\n' ' '").await;
        assert_eq!(
            found,
            "/dev/fd /dev/full /dev/net/tun /dev/null /dev/ptmx /dev/pts/ptmx /dev/random \
             /dev/stderr /dev/stdin /dev/stdout /dev/tty /dev/urandom /dev/zero"
        );
        refused(&lab, &["mknod /tmp/loop b 7 0", "mknod /dev/loop b 7 0", "touch /dev/new"]).await;
    });
}

fn mounts_are_locked() {
    with_lab(1, async |lab| {
        for place in ["/", "/usr", "/etc", "/var", "/sys", "/proc/sys", "/etc/hosts"] {
            if !sh(&lab, N1, &format!("mountpoint -q {place}")).await.status.success() {
                continue;
            }
            refused(
                &lab,
                &[
                    &format!("mount -o remount,rw,bind {place}"),
                    &format!("unshare -m mount -o remount,rw,bind {place}"),
                    &format!("unshare -Urm mount -o remount,rw,bind {place}"),
                    &format!("umount {place}"),
                    &format!("umount -l {place}"),
                ],
            )
            .await;
        }
        // A copy of a mount is locked as the mount is.
        let copy =
            "mkdir -p /tmp/c && mount --rbind /usr /tmp/c && mount -o remount,rw,bind /tmp/c";
        refused(&lab, &[copy]).await;
    });
}

fn the_init_shows_nothing() {
    // A secret of the harness's environment; it was there before any lab was started.
    assert!(std::env::var_os("PATH").is_some());
    with_lab(1, async |lab| {
        for file in ["environ", "maps", "mem", "stack"] {
            refused(&lab, &[&format!("head -c 1 /proc/1/{file} | grep -q .")]).await;
        }
        refused(&lab, &["readlink /proc/1/fd/0", "exec 3<>/proc/1/fd/0", "ls /proc/1/root/"]).await;
        // It takes no signal of its host's programs, and nobody outside is seen by them.
        text(&lab, N1, "for s in HUP INT QUIT TERM KILL STOP USR1 SEGV; do kill -$s 1; done").await;
        assert_eq!(text(&lab, N1, "echo alive").await, "alive");
        let parents = text(&lab, N1, "awk '{print $4, $6}' /proc/1/stat").await;
        assert_eq!(parents, "0 0", "PID 1's parent and session lie outside of the host");
    });
}

fn a_host_still_has_what_programs_need() {
    with_hosts(vec![HostSpec::node("n1")], async |lab, _| {
        for line in [
            "echo 1 > /dev/null",
            "test $(head -c 3 /dev/urandom | wc -c) = 3",
            "test $(head -c 3 /dev/zero | wc -c) = 3",
            "exec 3<>/dev/ptmx",
            "echo 1 > /dev/shm/mine",
            "echo 1 | cat /dev/stdin | cat /dev/fd/0",
            "test $(cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6) = 1",
            "hostname renamed || test ! -x $(command -v hostname)",
            // Namespaces within are allowed, as sandboxes of programs use them.
            "unshare -Urm true",
            "mkdir -p /tmp/m && mount -t tmpfs none /tmp/m",
        ] {
            text(&lab, N1, line).await;
        }
        // A port below 1024 needs a right over the host's own network.
        let server = lab.start(N1, helper(&["serve", "80"])).await.unwrap();
        eventually("an answer", async || {
            lab.run(N1, helper(&["ask", "n1:80"]), LIMIT).await.unwrap().status.success()
        })
        .await;
        server.kill(Signal::Kill).await.unwrap();
        let other = Command::shell("id -u; unshare -Ur true; echo $?").uid(1000);
        assert_eq!(lab.run(N1, other, LIMIT).await.unwrap().text(), "1000\n0\n");
    });
}
