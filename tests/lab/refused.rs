//! What the lab says where the system refuses it.

use super::support::*;
use fuzz_dist::env::HostSpec;
use fuzz_dist::lab::{Lab, LabOptions};
use std::path::Path;
use std::process::Command as Program;

pub(crate) const TESTS: &[Test] = &[
    ("no_user_namespaces", no_user_namespaces),
    ("no_tun_device", no_tun_device),
    ("another_device", another_device),
    ("no_network_namespaces", no_network_namespaces),
];

/// The helper that tries to start a lab, and says what came of it.
pub(crate) fn start(folder: &Path) {
    match Lab::start(LabOptions::new(folder, HostSpec::nodes(2))) {
        Ok(_) => println!("started"),
        Err(error) => println!("{error}"),
    }
}

/// Starts a lab on a machine that was made poorer by a line of shell.
fn started_after(line: &str) -> String {
    let folder = Folder::new();
    let output = Program::new("unshare")
        .args(["-Urm", "/bin/sh", "-c", &format!("set -e; {line}; exec \"$@\""), "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["__helper", "start", folder.0.to_str().unwrap()])
        .output()
        .expect("unshare, of util-linux, is needed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn expect(text: &str, step: &str, remedy: &str) {
    assert!(text.contains(step), "{text}");
    assert!(text.contains("remedy: ") && text.contains(remedy), "{text}");
}

fn no_user_namespaces() {
    let text = started_after("echo 0 > /proc/sys/user/max_user_namespaces");
    expect(&text, "create a user namespace (unshare)", "user.max_user_namespaces=10000 (now 0)");
}

fn no_tun_device() {
    let text = started_after("mount -t tmpfs none /dev/net");
    let known = ["modprobe tun", "--device /dev/net/tun"];
    let remedy = known.iter().find(|remedy| text.contains(**remedy)).unwrap_or(&known[0]);
    expect(&text, "open /dev/net/tun", remedy);
}

fn another_device() {
    let text = started_after("mount --bind /dev/null /dev/net/tun");
    expect(&text, "make a TUN device", "CONFIG_TUN");
}

fn no_network_namespaces() {
    let text = started_after("echo 1 > /proc/sys/user/max_net_namespaces");
    expect(&text, "create namespaces (unshare)", "user.max_net_namespaces=10000");
}
