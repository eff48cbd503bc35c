//! Remote calls to a real Erlang node on loopback: one in flight, and sixteen; and what observing
//! costs the node.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fuzz_dist::args;
use fuzz_dist::beam::{
    AGENT_MODULE, AGENT_SOURCE, Agent, Call, Connection, NodeSpec, Options, Term, atom,
    decode_whole, encode,
};
use fuzz_dist::provision::Runtime;
use tokio::net::TcpStream;

/// Children that end with the benchmark.
struct Children(Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in self.0.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts a node with an epmd of its own.
fn start() -> (Children, Options) {
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

async fn connect(options: &Options) -> Connection {
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

fn erpc(node: &Connection) -> Call<Term> {
    node.call("erlang", "node", args![])
}

fn rex(node: &Connection) -> Call<Term> {
    node.call_rex("erlang", "node", args![])
}

/// A server that does nothing but reply.
const SERVER: &str = "-module(echo).\n-behaviour(gen_server).\n\
    -export([start/0, init/1, handle_call/3, handle_cast/2]).\n\
    start() -> {ok, _} = gen_server:start({local, echo}, echo, [], []), ok.\n\
    init([]) -> {ok, none}.\n\
    handle_call(Request, _From, State) -> {reply, Request, State}.\n\
    handle_cast(_Request, State) -> {noreply, State}.\n";

async fn start_server(node: &Connection) {
    let folder = std::env::temp_dir().join(format!("fuzz_dist_bench_{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let source = folder.join("echo.erl");
    std::fs::write(&source, SERVER).unwrap();
    let compiled = Runtime::find_or_fetch().unwrap().compile(&[&source], &folder).unwrap();
    node.load_binary("echo", &std::fs::read(&compiled[0]).unwrap()).await.unwrap();
    node.call::<()>("echo", "start", args![]).await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

fn gen_call(node: &Connection) -> Call<Term> {
    node.gen_call("echo", atom("hello"))
}

type MakeCall = fn(&Connection) -> Call<Term>;

/// Makes `count` calls, `at_once` of them in flight.
async fn calls(node: &Connection, make: MakeCall, count: u64, at_once: u64) -> Duration {
    let begin = Instant::now();
    let workers: Vec<_> = (0..at_once)
        .map(|worker| {
            let node = node.clone();
            tokio::spawn(async move {
                for _ in (worker..count).step_by(at_once as usize) {
                    make(&node).await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    begin.elapsed()
}

fn remote_calls(c: &mut Criterion) {
    let (_children, options) = start();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let node = runtime.block_on(connect(&options));
    runtime.block_on(start_server(&node));
    let kinds: [(&str, MakeCall); 3] = [("erpc", erpc), ("rex", rex), ("gen_call", gen_call)];
    for at_once in [1, 16] {
        let mut group = c.benchmark_group(format!("remote_calls_{at_once}_in_flight"));
        group.throughput(Throughput::Elements(1)).sample_size(20);
        for (name, make) in kinds {
            group.bench_function(name, |bench| {
                bench.iter_custom(|count| runtime.block_on(calls(&node, make, count, at_once)));
            });
        }
        group.finish();
    }
}

/// The processor time that a process has used so far.
fn used(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name, in parentheses, may hold anything; user and system time come 12th and 13th after it.
    let rest = stat.rsplit_once(") ").unwrap().1;
    let ticks: u64 = rest.split(' ').skip(11).take(2).map(|n| n.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// The node's processor time for calls of a server, alone and with an agent in it, in turns.
fn observation(c: &mut Criterion) {
    let (children, options) = start();
    let pid = children.0.last().unwrap().id();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let node = runtime.block_on(connect(&options));
    runtime.block_on(start_server(&node));
    let folder = std::env::temp_dir().join(format!("fuzz_dist_bench_{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let source = folder.join(format!("{AGENT_MODULE}.erl"));
    std::fs::write(&source, AGENT_SOURCE).unwrap();
    let compiled = Runtime::find_or_fetch().unwrap().compile(&[&source], &folder).unwrap();
    let beam = std::fs::read(&compiled[0]).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let cpu = |count| {
        let before = used(pid);
        runtime.block_on(calls(&node, gen_call, count, 16));
        used(pid) - before
    };
    let mut group = c.benchmark_group("node_processor_time");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    group.measurement_time(Duration::from_secs(10));
    for round in 1..=3 {
        group.bench_function(format!("alone/{round}"), |bench| bench.iter_custom(cpu));
        let agent = runtime.block_on(Agent::start(&node, &beam)).unwrap();
        group.bench_function(format!("observed/{round}"), |bench| bench.iter_custom(cpu));
        drop(agent);
    }
    group.finish();
}

/// A read of a set of 10 000 integers, as it comes over the wire.
fn codec(c: &mut Criterion) {
    let set = Term::from((0..10_000i64).map(|n| n * 31).collect::<Vec<_>>());
    let mut bytes = vec![131];
    encode(&set, &mut bytes).unwrap();
    let mut group = c.benchmark_group("codec");
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("decode_10k_ints", |bench| bench.iter(|| decode_whole(&bytes).unwrap()));
    let mut out = Vec::with_capacity(bytes.len());
    group.bench_function("encode_10k_ints", |bench| {
        bench.iter(|| {
            out.clear();
            encode(&set, &mut out).unwrap();
        })
    });
    group.finish();
}

criterion_group!(benches, codec, remote_calls, observation);
criterion_main!(benches);
