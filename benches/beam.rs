//! Remote calls to a real Erlang node on loopback: one in flight, and sixteen.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fuzz_dist::args;
use fuzz_dist::beam::{Call, Connection, Term, decode_whole, encode};

mod node;

use node::{connect, gen_call, start, start_server};

fn erpc(node: &Connection) -> Call<Term> {
    node.call("erlang", "node", args![])
}

fn rex(node: &Connection) -> Call<Term> {
    node.call_rex("erlang", "node", args![])
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

criterion_group!(benches, codec, remote_calls);
criterion_main!(benches);
