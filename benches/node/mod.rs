//! A real Erlang node on loopback, with a server in it that does nothing but reply.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use fuzz_dist::args;
use fuzz_dist::beam::{Call, Connection, NodeSpec, Options, Term, atom};
use fuzz_dist::provision::Runtime;
use tokio::net::TcpStream;

/// Children that end with the benchmark.
pub(crate) struct Children(Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in self.0.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts a node with an epmd of its own.
pub(crate) fn start() -> (Children, Options) {
    let runtime = Runtime::find_or_fetch().unwrap_or_else(|error| panic!("{error}"));
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let spec = NodeSpec::new("bench@localhost", "bench").epmd_port(port);
    let mut options = Options::new(&spec.name, &spec.cookie);
    options.epmd_port = port;
    let mut children = Children(Vec::new());
    children.0.push(runtime.epmd(port).to_command().stderr(Stdio::null()).spawn().unwrap());
    let deadline = Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(Instant::now() < deadline, "epmd does not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    children.0.push(runtime.node(&spec).to_command().stdout(Stdio::null()).spawn().unwrap());
    (children, options)
}

pub(crate) async fn connect(options: &Options) -> Connection {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let loopback = async |port: u16| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
        match Connection::open(options.clone(), loopback).await {
            Ok(connection) => return connection,
            Err(error) if Instant::now() > deadline => panic!("{error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// A server that does nothing but reply.
const SERVER: &str = "-module(echo).\n-behaviour(gen_server).\n\
    -export([start/0, init/1, handle_call/3, handle_cast/2]).\n\
    start() -> {ok, _} = gen_server:start({local, echo}, echo, [], []), ok.\n\
    init([]) -> {ok, none}.\n\
    handle_call(Request, _From, State) -> {reply, Request, State}.\n\
    handle_cast(_Request, State) -> {noreply, State}.\n";

/// Compiles a module and loads it into the node.
pub(crate) async fn load(node: &Connection, module: &str, source: &str) -> Vec<u8> {
    let folder = std::env::temp_dir().join(format!("fuzz_dist_bench_{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{module}.erl"));
    std::fs::write(&file, source).unwrap();
    let compiled = Runtime::find_or_fetch().unwrap().compile(&[&file], &folder).unwrap();
    let beam = std::fs::read(&compiled[0]).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    node.load_binary(module, &beam).await.unwrap();
    beam
}

pub(crate) async fn start_server(node: &Connection) {
    load(node, "echo", SERVER).await;
    node.call::<()>("echo", "start", args![]).await.unwrap();
}

pub(crate) fn gen_call(node: &Connection) -> Call<Term> {
    node.gen_call("echo", atom("hello"))
}
