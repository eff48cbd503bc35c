//! What the tests share: labs in throw-away folders, bounded waits, and this program as a helper.

use fuzz_dist::beam::follow::Distribution;
use fuzz_dist::env::{Command, Environment, Finished, HostId, HostSpec};
use fuzz_dist::lab::{Lab, LabOptions};
use std::future::Future;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// A test of this file and its name.
pub(crate) type Test = (&'static str, fn());

/// Limit of every wait; nothing here takes a tenth of it on an idle machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) const N1: HostId = HostId::new(0);
pub(crate) const N2: HostId = HostId::new(1);
pub(crate) const N3: HostId = HostId::new(2);

/// A folder that is removed when the test is over.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let name = format!("fuzz_dist-lab-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Everything that a lab leaves must be removable by who started it.
        let removed = std::fs::remove_dir_all(&self.0);
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}

/// Runs a test's body with a lab of `n1` to `n<count>`.
pub(crate) fn with_lab<F: Future<Output = ()>>(count: usize, body: impl FnOnce(Lab) -> F) {
    with_hosts(HostSpec::nodes(count), |lab, _| body(lab));
}

/// The same with hosts of one's own, and the folder.
pub(crate) fn with_hosts<F: Future<Output = ()>>(
    hosts: Vec<HostSpec>,
    body: impl FnOnce(Lab, PathBuf) -> F,
) {
    let folder = Folder::new();
    let options =
        LabOptions { protocol: Some(Arc::new(Distribution)), ..LabOptions::new(&folder.0, hosts) };
    let lab = Lab::start(options).unwrap_or_else(|e| panic!("{e}"));
    let path = folder.0.clone();
    runtime().block_on(async { tokio::time::timeout(8 * LIMIT, body(lab, path)).await.unwrap() });
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Runs a line of shell on a host.
pub(crate) async fn sh(lab: &Lab, host: HostId, line: &str) -> Finished {
    lab.run(host, Command::shell(line), LIMIT).await.unwrap_or_else(|e| panic!("{line}: {e}"))
}

/// The same for lines that must succeed; gives their output.
pub(crate) async fn text(lab: &Lab, host: HostId, line: &str) -> String {
    let finished = sh(lab, host, line).await;
    assert!(finished.status.success(), "{line}: {finished:?}");
    finished.text().trim_end().to_owned()
}

pub(crate) fn at(lab: &Lab, host: HostId, port: u16) -> SocketAddr {
    SocketAddr::new(lab.address(host).unwrap(), port)
}

/// A connection from one host to another, both ends in this process.
pub(crate) async fn connected(lab: &Lab, from: HostId, to: HostId) -> (TcpStream, TcpStream) {
    let address = at(lab, to, 7000);
    let listener = lab.listen(to, address).await.unwrap();
    let (near, far) = tokio::join!(lab.connect(from, address, LIMIT), listener.accept());
    let (far, peer) = far.unwrap();
    assert_eq!(peer.ip(), lab.address(from).unwrap());
    (near.unwrap(), far)
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < LIMIT, "never seen: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// This program's path and the arguments that make it a helper.
pub(crate) fn helper(arguments: &[&str]) -> Command {
    let program = std::env::current_exe().unwrap();
    Command::new(program.to_str().unwrap()).arg("__helper").args(arguments.iter().copied())
}

/// The helper's roles, chosen by the arguments.
pub(crate) fn helper_if_asked() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["__helper", "serve", port] => serve(port.parse().unwrap()),
        ["__helper", "ask", address] => ask(address),
        ["__helper", "hold", folder] => super::life::hold(Path::new(folder)),
        ["__helper", "start", folder] => super::refused::start(Path::new(folder)),
        _ => return None,
    }
    Some(ExitCode::SUCCESS)
}

/// Sends everybody who connects this host's name.
fn serve(port: u16) {
    let listener = std::net::TcpListener::bind(("0.0.0.0", port)).unwrap();
    println!("ready");
    for stream in listener.incoming() {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let _ = stream.unwrap().write_all(name.trim_end().as_bytes());
    }
}

/// Prints what a server says.
fn ask(address: &str) {
    let mut name = String::new();
    std::net::TcpStream::connect(address).unwrap().read_to_string(&mut name).unwrap();
    print!("{name}");
}
