//! The distribution protocol against real Erlang nodes on this machine's loopback.

use std::net::Ipv4Addr;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use fuzz_dist::args;
use fuzz_dist::beam::{
    Atom, CallError, Class, CloseReason, ConnectError, Connection, Down, Event, NodeSpec, Options,
    Pid, Term, atom, charlist,
};
use fuzz_dist::provision::Runtime;
use tokio::net::TcpStream;

const COOKIE: &str = "fuzz";

/// A node with an epmd of its own, killed when it goes out of scope.
struct Node {
    epmd: Child,
    vm: Child,
    options: Options,
}

async fn loopback(port: u16) -> std::io::Result<TcpStream> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await
}

/// A port that was free a moment ago, different for every caller.
fn free_port() -> u16 {
    static USED: AtomicU16 = AtomicU16::new(0);
    loop {
        let offset = USED.fetch_add(1, Ordering::Relaxed);
        let port = 21_000 + (std::process::id() % 9_000) as u16 + offset;
        if std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

impl Node {
    fn start(runtime: &Runtime, spec: impl FnOnce(NodeSpec) -> NodeSpec) -> Node {
        let port = free_port();
        let epmd = runtime.epmd(port).to_command().stderr(Stdio::null()).spawn().unwrap();
        let spec = spec(NodeSpec::new("probe@localhost", COOKIE).epmd_port(port));
        let vm = runtime.node(&spec).to_command().stdout(Stdio::null()).spawn().unwrap();
        let mut options = Options::new(&spec.name, COOKIE);
        options.epmd_port = port;
        Node { epmd, vm, options }
    }

    /// Connects as soon as the node is there.
    async fn connect(&self) -> Connection {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match Connection::open(self.options.clone(), loopback).await {
                Ok(connection) => return connection,
                Err(error) if Instant::now() > deadline => panic!("{error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for child in [&mut self.vm, &mut self.epmd] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn runtime() -> Runtime {
    Runtime::find_or_fetch().unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn functions_are_called_both_ways() {
    let node = Node::start(&runtime(), |spec| spec);
    let connection = node.connect().await;
    assert_eq!(connection.peer(), "probe@localhost");
    let name: Atom = connection.call("erlang", "node", args![]).await.unwrap();
    assert_eq!(name.as_str(), "probe@localhost");
    let name: Atom = connection.call_rex("erlang", "node", args![]).await.unwrap();
    assert_eq!(name.as_str(), "probe@localhost");
    let sum: i64 = connection.call("lists", "sum", args![vec![1, 2, 300]]).await.unwrap();
    assert_eq!(sum, 303);
    // We are hidden.
    let nodes: Vec<Atom> = connection.call("erlang", "nodes", args![]).await.unwrap();
    assert!(nodes.is_empty());
    let hidden: Vec<Atom> =
        connection.call("erlang", "nodes", args![atom("hidden")]).await.unwrap();
    assert_eq!(hidden, [Atom::from(connection.name())]);
}
