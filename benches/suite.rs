//! How long the checkers take that the other files do not measure, on the histories that come with
//! the library: `cargo bench -p fuzz_dist_benches --bench suite`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fuzz_dist::checker::histories::{Object, Run};
use fuzz_dist::checker::txn::generate::{Load, Store};
use fuzz_dist::checker::txn::{Shape, bank, session_guarantees, write_skew};
use fuzz_dist::checker::{
    Checker, Mutex, Registers, compose, distinct_register, independent, lease, linearizable, perf,
    power, sequential, stats,
};
use fuzz_dist::history::History;
use fuzz_dist::random::Seed;
use fuzz_dist_benches::CpuTime;

fn run(c: &mut Criterion<CpuTime>, name: &str, checker: &dyn Checker, history: &History) {
    println!("{name}: {:?}", checker.check(history).validity);
    let mut group = c.benchmark_group("suite");
    group.throughput(Throughput::Elements(history.len() as u64 / 2));
    group.bench_function(BenchmarkId::from_parameter(name), |b| {
        b.iter(|| black_box(checker.check(black_box(history))));
    });
    group.finish();
}

fn objects(c: &mut Criterion<CpuTime>) {
    for operations in [1_000, 10_000] {
        let registers = Run::new(Object::Registers).operations(operations).clients(10).keys(5);
        let name = format!("sequential, {operations} operations");
        run(c, &name, &sequential(Registers), &registers.history(Seed(1)));
        let planted = registers.plant("not_sequential").history(Seed(1));
        run(c, &format!("{name}, planted"), &sequential(Registers), &planted);
    }
    let of = |object| Run::new(object).operations(100_000).clients(10);
    let registers = of(Object::Register).keys(10).history(Seed(1));
    let checker = independent(distinct_register());
    run(c, "independent distinct_register, 100000 operations, 10 keys", &checker, &registers);
    let checker = compose().with("stats", stats()).with("perf", perf());
    run(c, "compose of stats and perf, 100000 operations", &checker, &registers);
    run(c, "perf, 100000 operations", &perf(), &registers);
    run(c, "power, 100000 operations", &power(), &registers);
    let locks = of(Object::Lock).history(Seed(1));
    run(c, "lease, 100000 operations", &lease(), &locks);
    run(c, "linearizable mutex, 100000 operations", &linearizable(Mutex), &locks);
    let accounts = bank(0..5, 100);
    run(c, "bank, 100000 operations", &accounts, &of(Object::Bank).history(Seed(1)));
}

fn transactions(c: &mut Criterion<CpuTime>) {
    let load = Load::new(100_000).sessions(20);
    let history = load.history(Shape::Registers, Store::StrictSerializable);
    run(c, "write_skew, 100000 transactions", &write_skew(), &history);
    run(c, "session_guarantees, 100000 transactions", &session_guarantees(), &history);
}

criterion_group! {
    name = suite;
    config = fuzz_dist_benches::criterion();
    targets = objects, transactions
}
criterion_main!(suite);
