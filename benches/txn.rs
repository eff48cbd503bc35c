//! How fast the transactional checkers are: from a history, and from columns that were read.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use fuzz_dist::checker::Checker;
use fuzz_dist::checker::txn::generate::{Load, Store};
use fuzz_dist::checker::txn::{Shape, Transactions, list_append};

fn lists(c: &mut Criterion) {
    let mut group = c.benchmark_group("list_append");
    group.sample_size(10);
    for n in [10_000, 100_000, 1_000_000] {
        let history = Load::new(n).sessions(20).history(Shape::Lists, Store::StrictSerializable);
        let txns = Transactions::read(&history, Shape::Lists).expect("it is well-formed");
        let verdict = list_append().judge(&txns);
        assert!(verdict.is_valid());
        let bytes = verdict.results["bytes"].as_u64().unwrap_or(0);
        println!("list_append/{n}: {} B per transaction", bytes / n as u64);
        group.bench_with_input(BenchmarkId::new("judge", n), &txns, |b, txns| {
            b.iter(|| black_box(list_append().judge(txns)));
        });
        group.bench_with_input(BenchmarkId::new("history", n), &history, |b, history| {
            b.iter(|| black_box(list_append().check(history)));
        });
    }
    group.finish();
}

criterion_group!(benches, lists);
criterion_main!(benches);
