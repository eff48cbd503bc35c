//! What a lab costs: its start, a change of all links, and the way of packets through it.

use criterion::{BenchmarkId, Criterion, Throughput};
use fuzz_dist::clock::Clock;
use fuzz_dist::env::wire::{cut, tick};
use fuzz_dist::env::{Environment, Heal, HostId, HostSpec, LinkControl, LinkMatrix};
use fuzz_dist::grudge::Grudge;
use fuzz_dist::lab::{Lab, LabOptions, agent_main_if_asked};
use fuzz_dist::node::Cluster;
use std::hint::black_box;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const N1: HostId = HostId::new(0);
const N2: HostId = HostId::new(1);
const LIMIT: Duration = Duration::from_secs(10);

fn main() {
    agent_main_if_asked();
    let mut criterion = Criterion::default().configure_from_args();
    start(&mut criterion);
    set_links(&mut criterion);
    prove(&mut criterion);
    transfer(&mut criterion);
    round_trip(&mut criterion);
    if asked_for(HEAL) {
        heal();
    }
    criterion.final_summary();
    let _ = std::fs::remove_dir_all(folder());
}

fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("fuzz_dist-bench-{}", std::process::id()))
}

fn lab(hosts: usize) -> Lab {
    let options = LabOptions {
        protocol: Some(std::sync::Arc::new(fuzz_dist::beam::follow::Distribution)),
        ..LabOptions::new(folder(), HostSpec::nodes(hosts))
    };
    Lab::start(options).unwrap_or_else(|e| panic!("{e}"))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// From nothing to hosts that can be used, and back.
fn start(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lab/start");
    group.sample_size(20);
    for hosts in [1, 5, 50] {
        // A lab's devices are closed in the background; their end is not the next one's start.
        for (name, pause_ms) in [("alone", 50 + 40 * hosts as u64), ("after another", 0)] {
            group.bench_function(BenchmarkId::new(name, hosts), |bencher| {
                bencher.iter_custom(|times| {
                    (0..times).fold(Duration::ZERO, |sum, _| {
                        std::thread::sleep(Duration::from_millis(pause_ms));
                        let started = Instant::now();
                        let lab = lab(hosts);
                        let took = started.elapsed();
                        drop(lab);
                        sum + took
                    })
                });
            });
        }
    }
    group.finish();
    criterion.bench_function("lab/drop/5", |bencher| {
        bencher.iter_batched(|| lab(5), drop, criterion::BatchSize::PerIteration);
    });
}

/// The cut of a majority from a minority, and its heal, without traffic and under it.
fn set_links(criterion: &mut Criterion) {
    for hosts in [5, 50] {
        let lab = lab(hosts);
        let mut cut = LinkMatrix::default();
        let ids: Vec<HostId> = lab.hosts().iter().map(|(id, _)| *id).collect();
        let (minority, majority) = ids.split_at((hosts - 1) / 2);
        for one in minority {
            majority.iter().for_each(|other| cut.cut_both(*one, *other));
        }
        let open = LinkMatrix::default();
        let runtime = runtime();
        let mut toggle = |name: String| {
            criterion.bench_function(&name, |bencher| {
                let mut next = [&cut, &open].into_iter().cycle();
                bencher.iter(|| {
                    let links = next.next().unwrap_or(&open);
                    runtime.block_on(lab.set_links(black_box(links))).unwrap();
                });
            });
        };
        toggle(format!("lab/set_links/{hosts}/idle"));
        if hosts == 5 {
            let flood = flood(&runtime, &lab);
            let sending = runtime.spawn(flood);
            toggle(format!("lab/set_links/{hosts}/tcp flood"));
            sending.abort();
        }
    }
}

/// A partition into halves from its proof on: the proof that it acts, and that it is undone.
fn prove(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("lab/prove");
    group.sample_size(10);
    for nodes in [5, 50, 100] {
        let env: Arc<dyn Environment> = Arc::new(lab(nodes));
        let cluster = Cluster::new(env, Clock::system()).unwrap();
        let halves = [(0..nodes / 2).collect(), (nodes / 2..nodes).collect()];
        let (links, halves) = (cluster.links(), Grudge::complete(nodes, &halves));
        let mut took = |name: &str, is_cut: bool| {
            group.bench_function(BenchmarkId::new(name, nodes), |bencher| {
                bencher.iter_custom(|times| {
                    let one = async || {
                        links.add(&halves).await.unwrap();
                        if !is_cut {
                            links.remove(&halves).await.unwrap();
                        }
                        let started = Instant::now();
                        let proof = match is_cut {
                            true => links.prove_cut(&halves).await,
                            false => links.prove_open(&halves).await,
                        };
                        let took = started.elapsed();
                        assert_eq!(proof.holds(), Some(true));
                        links.heal().await.unwrap();
                        took
                    };
                    (0..times).map(|_| runtime.block_on(one())).sum()
                });
            });
        };
        took("cut", true);
        took("undone", false);
    }
    group.finish();
}

/// Data without end between two hosts on the same side of the cut.
fn flood(runtime: &tokio::runtime::Runtime, lab: &Lab) -> impl Future<Output = ()> + use<> {
    let (mut near, mut far) = runtime.block_on(connected(lab));
    async move {
        let (block, mut sink) = (vec![7; 1 << 18], vec![0; 1 << 18]);
        let send = async { while near.write_all(&block).await.is_ok() {} };
        let receive = async { while far.read(&mut sink).await.is_ok_and(|n| n > 0) {} };
        tokio::join!(send, receive);
    }
}

async fn connected(lab: &Lab) -> (TcpStream, TcpStream) {
    let address = SocketAddr::new(lab.address(N2).unwrap(), 7000);
    let listener = lab.listen(N2, address).await.unwrap();
    let (near, far) = tokio::join!(lab.connect(N1, address, LIMIT), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

/// The same over this machine's loopback: what TCP itself costs.
async fn loopback() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

const BLOCK: usize = 1 << 18;
const LENGTH: usize = 64 << 20;

/// Messages between Erlang nodes of 64 KB each, so that there is something to follow.
fn messages() -> Vec<u8> {
    let pid = [&[88, 119, 1, b'a'][..], &[0; 12]].concat();
    let control = [&[112, 131, 104, 4, 97, 6][..], &pid, &[119, 0, 119, 1, b'x']].concat();
    let mut message = ((64_u32 << 10) - 4).to_be_bytes().to_vec();
    message.extend(control);
    message.resize(64 << 10, 7);
    message.repeat(BLOCK / message.len())
}

fn send_all((mut near, mut far): (TcpStream, TcpStream), times: u64) -> Duration {
    let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
    let total = LENGTH * times as usize;
    let block = messages();
    let started = Instant::now();
    let sender = thread("sender").spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for _ in 0..total / BLOCK {
                near.write_all(&block).await.unwrap();
            }
        });
        near
    });
    let mut sink = vec![0; BLOCK];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut left = total;
        while left > 0 {
            left -= far.read(&mut sink).await.unwrap();
        }
    });
    let took = started.elapsed();
    let _ = sender.unwrap().join();
    took
}

/// Bulk data over one TCP connection.
fn transfer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lab/tcp 64 MB");
    group.sample_size(20).throughput(Throughput::Bytes(LENGTH as u64));
    let (lab, runtime) = (lab(2), runtime());
    group.bench_function("n1 to n2", |bencher| {
        bencher.iter_custom(|times| send_all(runtime.block_on(connected(&lab)), times));
    });
    group.bench_function("loopback", |bencher| {
        bencher.iter_custom(|times| send_all(runtime.block_on(loopback()), times));
    });
    // The same lab from here on follows what its links carry.
    lab.wire().unwrap().follow().unwrap();
    group.bench_function("n1 to n2, followed", |bencher| {
        bencher.iter_custom(|times| send_all(runtime.block_on(connected(&lab)), times));
    });
    let armed = lab.wire().unwrap().arm(&tick(1), &cut()).unwrap();
    group.bench_function("n1 to n2, followed, with a trigger", |bencher| {
        bencher.iter_custom(|times| send_all(runtime.block_on(connected(&lab)), times));
    });
    assert!(armed.progress().fired.is_none(), "nobody ticks here");
    group.finish();
}

/// One byte there and back.
fn round_trip(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lab/round trip");
    let (lab, runtime) = (lab(2), runtime());
    for name in ["n1 to n2", "loopback"] {
        let (near, far) = match name {
            "loopback" => runtime.block_on(loopback()),
            _ => runtime.block_on(connected(&lab)),
        };
        let blocking = |stream: TcpStream| {
            let stream = stream.into_std().unwrap();
            stream.set_nonblocking(false).unwrap();
            stream.set_nodelay(true).unwrap();
            stream
        };
        let (mut near, mut far) = (blocking(near), blocking(far));
        let echo = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let mut byte = [0];
            while far.read_exact(&mut byte).is_ok() && far.write_all(&byte).is_ok() {}
        });
        group.bench_function(name, |bencher| {
            use std::io::{Read, Write};
            let mut byte = [0];
            bencher.iter(|| {
                near.write_all(&byte).unwrap();
                near.read_exact(&mut byte).unwrap();
            });
        });
        drop(near);
        let _ = echo.join();
    }
    group.finish();
}

const HEAL: &str = "lab/heal after 3 s";

/// Do the arguments name it, or nothing at all?
fn asked_for(name: &str) -> bool {
    let mut names = std::env::args().skip(1).filter(|a| !a.starts_with('-')).peekable();
    names.peek().is_none() || names.any(|asked| name.contains(&asked))
}

/// From the end of a cut of 3 s to the arrival of what was sent during the cut. Not by criterion, which
/// would take the short times that are reported for those that pass.
fn heal() {
    const CUT: Duration = Duration::from_secs(3);
    const TIMES: usize = 7;
    let runtime = runtime();
    for heal in [Heal::Natural, Heal::Prompt] {
        let options = LabOptions { heal, ..LabOptions::new(folder(), HostSpec::nodes(2)) };
        let lab = Lab::start(options).unwrap_or_else(|e| panic!("{e}"));
        let mut links = LinkMatrix::default();
        links.cut_both(N1, N2);
        let open = LinkMatrix::default();
        let cut_and_healed = async || {
            let (mut near, mut far) = connected(&lab).await;
            let mut byte = [0];
            near.write_all(b"1").await.unwrap();
            far.read_exact(&mut byte).await.unwrap();
            lab.set_links(&links).await.unwrap();
            near.write_all(b"2").await.unwrap();
            tokio::time::sleep(CUT).await;
            let healed = Instant::now();
            lab.set_links(&open).await.unwrap();
            far.read_exact(&mut byte).await.unwrap();
            healed.elapsed()
        };
        let mut took: Vec<Duration> =
            (0..TIMES).map(|_| runtime.block_on(cut_and_healed())).collect();
        took.sort();
        let (least, median, most) = (took[0], took[TIMES / 2], took[TIMES - 1]);
        println!("{HEAL}/{}: median {median:?} of {TIMES} ({least:?} to {most:?})", heal.as_str());
    }
}
