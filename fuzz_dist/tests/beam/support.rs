//! Real nodes on loopback, with an epmd of their own, all of which end with the values that stand for them.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fuzz_dist::args;
use fuzz_dist::beam::{Args, Connection, NodeSpec, Options, Term};
use fuzz_dist::provision::{CommandLine, Runtime};
use rustix::process::{Pid, Signal};
use tokio::net::TcpStream;

pub(crate) const COOKIE: &str = "fuzz";

/// Long enough for a node to start on a machine that is busy with other tests.
const START_LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn runtime() -> Runtime {
    Runtime::find_or_fetch().unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) async fn loopback(port: u16) -> std::io::Result<TcpStream> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await
}

/// A child that is killed and waited for when it goes out of scope.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &CommandLine) -> Process {
        let mut command = command.to_command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Process(command.spawn().unwrap())
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Stops the whole process; when this returns, none of its threads runs any more.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.0.id());
        let all_stopped = || {
            std::fs::read_dir(&tasks).unwrap().all(|task| {
                let stat =
                    std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
                // The state follows the name, which is in parentheses.
                stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
            })
        };
        let deadline = Instant::now() + START_LIMIT;
        while !all_stopped() {
            assert!(Instant::now() < deadline, "the process does not stop");
            std::thread::yield_now();
        }
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port mapper of the test's own.
pub(crate) struct Epmd {
    pub(crate) port: u16,
    _process: Process,
}

impl Epmd {
    /// Starts one on a port that was free a moment ago, and waits until it listens.
    ///
    /// Any connection on this machine may have taken the port meanwhile; epmd ends then, and another port is tried.
    pub(crate) fn start(runtime: &Runtime) -> Epmd {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let port =
                TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            let mut process = Process::start(&runtime.epmd(port));
            while !process.has_ended() {
                if std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                    return Epmd { port, _process: process };
                }
                assert!(Instant::now() < deadline, "epmd does not listen on port {port}");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// A node, and how to connect to it.
pub(crate) struct Node {
    pub(crate) command: CommandLine,
    pub(crate) process: Process,
    pub(crate) options: Options,
}

impl Node {
    pub(crate) fn start(runtime: &Runtime, epmd: &Epmd, spec: &NodeSpec) -> Node {
        let spec = spec.clone().epmd_port(epmd.port);
        let command = runtime.node(&spec);
        let mut options = Options::new(&spec.name, &spec.cookie);
        options.epmd_port = epmd.port;
        Node { process: Process::start(&command), command, options }
    }

    /// Connects as soon as the node is there.
    pub(crate) async fn connect(&self) -> Connection {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            match Connection::open(self.options.clone(), loopback).await {
                Ok(connection) => return connection,
                Err(error) if Instant::now() > deadline => panic!("{error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Kills the virtual machine and starts it again.
    pub(crate) fn restart(&mut self) {
        self.process.kill();
        self.process = Process::start(&self.command);
    }
}

/// One node with nothing in it, with its epmd.
pub(crate) struct Lone {
    pub(crate) node: Node,
    pub(crate) epmd: Epmd,
}

pub(crate) fn lone_node() -> Lone {
    let runtime = runtime();
    let epmd = Epmd::start(&runtime);
    let node = Node::start(&runtime, &epmd, &NodeSpec::new("probe@localhost", COOKIE));
    Lone { node, epmd }
}

/// Calls a function of the node.
pub(crate) async fn call(node: &Connection, module: &str, function: &str, args: Args) -> Term {
    node.call::<Term>(module, function, args).await.unwrap()
}

/// Evaluates expressions on the node.
pub(crate) async fn evaluate(node: &Connection, expressions: &str) -> Term {
    let scanned = args![fuzz_dist::beam::charlist(expressions)];
    let scanned = call(node, "erl_scan", "string", scanned).await;
    let tokens = scanned.as_tuple().unwrap()[1].clone();
    let parsed = call(node, "erl_parse", "parse_exprs", args![tokens]).await;
    let forms = parsed.as_tuple().unwrap()[1].clone();
    let evaluated = args![forms, Vec::<Term>::new()];
    let result = node.call::<Term>("erl_eval", "exprs", evaluated).within(START_LIMIT).await;
    result.unwrap().as_tuple().unwrap()[1].clone()
}

/// The compiled form of a module.
pub(crate) fn compiled(module: &str, source: &str) -> Vec<u8> {
    // Tests run side by side, and each removes its folder.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let folder = Folder::new(&format!("{module}-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    let file = folder.path().join(format!("{module}.erl"));
    std::fs::write(&file, source).unwrap();
    let compiled = runtime().compile(&[&file], folder.path()).unwrap();
    std::fs::read(&compiled[0]).unwrap()
}

/// A folder that is removed with everything in it when it goes out of scope.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Folder {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Tries until the value is there.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut probe: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + START_LIMIT;
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
