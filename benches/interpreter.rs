//! Operations per second through the interpreter, the writing of the history included,
//! against a client that answers at once.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fuzz_dist::client::{Client, Error, open_with};
use fuzz_dist::clock::Clock;
use fuzz_dist::generator::{Generator, from_fn, mix, repeat};
use fuzz_dist::history::{History, Recorder};
use fuzz_dist::interpreter::{Ended, Interpreter, Options};
use fuzz_dist::op::{Completion, Invocation, Phase, Value};
use fuzz_dist::random::Seed;
use fuzz_dist::time::secs;

const OPS: u64 = 200_000;

/// Answers at once: an add with its element, a read with a number.
struct AtOnce;

impl Client for AtOnce {
    async fn invoke(&mut self, op: &Invocation) -> Completion {
        Completion::Ok(if &*op.f == "read" { Value::Int(1) } else { op.value.clone() })
    }
    async fn reopen(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// Adds and reads in equal parts.
fn generator() -> impl Generator {
    let mut next = 0;
    let add = Invocation::new("add", 0);
    let adds = from_fn(move || {
        next += 1;
        Some(Invocation { f: add.f.clone(), value: Value::Int(next) })
    });
    let reads = repeat(Invocation::new("read", ()));
    mix(Seed(1).stream("mix"), [(1, adds.boxed()), (1, reads.boxed())]).limit(OPS)
}

fn run(runtime: &tokio::runtime::Runtime, recorder: &Recorder) {
    let clock = Clock::system();
    let options = Options::for_nodes(5);
    let mut interpreter = Interpreter::new(clock, recorder.clone(), options).expect("valid");
    let opener = open_with(|_, _| Ok(AtOnce));
    let (_cancel, mut cancelled) = tokio::sync::watch::channel(false);
    let mut generator = generator();
    let outcome = runtime.block_on(interpreter.run(
        Phase::Main,
        &mut generator,
        &opener,
        secs(600),
        &mut cancelled,
    ));
    assert_eq!((outcome.ended, outcome.counts.ok), (Ended::Exhausted, OPS));
}

fn interpreter(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let path = std::env::temp_dir().join(format!("fuzz_dist-bench-{}.jsonl", std::process::id()));
    let mut group = c.benchmark_group("interpreter");
    group.throughput(Throughput::Elements(OPS)).sample_size(10);
    group.bench_function("ops_to_disk", |b| {
        b.iter(|| {
            let _ = std::fs::remove_file(&path);
            let recorder =
                Recorder::to_file(&path, ["n1", "n2", "n3", "n4", "n5"], [("k", Value::Nil)])
                    .expect("a file");
            run(&runtime, &recorder);
            recorder.flush().expect("a disk with room");
            assert_eq!(recorder.len() as u64, 2 * OPS);
        });
    });
    group.bench_function("ops_in_memory", |b| {
        b.iter(|| run(&runtime, &Recorder::in_memory(["n1", "n2", "n3", "n4", "n5"])));
    });
    group.finish();
    let loaded = History::load(&path).expect("what was written");
    assert_eq!(loaded.history.len() as u64, 2 * OPS);
    let _ = std::fs::remove_file(&path);
}

criterion_group!(benches, interpreter);
criterion_main!(benches);
