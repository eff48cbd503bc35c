//! How fast the transactional checkers are: from a history, and from columns that were read.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use fuzz_dist::checker::Checker;
use fuzz_dist::checker::txn::generate::{Load, Store};
use fuzz_dist::checker::txn::{Level, Shape, Transactions, list_append, rw_register, weak};
use fuzz_dist_benches::CpuTime;

/// `TXN_BENCH_MAX` leaves out sizes above it, for a quick look.
fn sizes(all: &[usize]) -> Vec<usize> {
    let max = std::env::var("TXN_BENCH_MAX").ok().and_then(|m| m.parse().ok());
    all.iter().copied().filter(|n| *n <= max.unwrap_or(usize::MAX)).collect()
}

fn lists(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("list_append");
    for n in sizes(&[10_000, 100_000, 1_000_000]) {
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

fn registers(c: &mut Criterion<CpuTime>) {
    for n in sizes(&[10_000, 100_000, 1_000_000]) {
        let history =
            Load::new(n).sessions(20).history(Shape::Registers, Store::StrictSerializable);
        let txns = Transactions::read(&history, Shape::Registers).expect("it is well-formed");
        let plain = rw_register().sequential_keys(true).wfr_keys(true);
        for (name, checker) in [
            ("sequential+wfr", plain.clone()),
            ("linearizable", rw_register().linearizable_keys(true)),
        ] {
            let mut group = c.benchmark_group("rw_register");
            assert!(checker.judge(&txns).is_valid());
            group.bench_with_input(BenchmarkId::new(name, n), &txns, |b, txns| {
                b.iter(|| black_box(checker.judge(txns)));
            });
            group.finish();
        }
    }
}

/// 50 sessions, 8 micro-operations each, half of them writes, on 5 replicas. (Causal is causal
/// convergence, CCv; weak causal is CC, causal memory CM.)
fn axioms(c: &mut Criterion<CpuTime>) {
    for n in sizes(&[1_000, 10_000, 100_000, 1_000_000]) {
        let load = Load::new(n).sessions(50).keys(n / 10).ops(8, 8).writes_per_key(1 << 30);
        let history = load.history(Shape::Registers, Store::Causal { replicas: 5 });
        let txns = Transactions::read(&history, Shape::Registers).expect("it is well-formed");
        drop(history);
        for (level, most) in [
            (Level::AxiomaticReadCommitted, usize::MAX),
            (Level::ReadAtomic, usize::MAX),
            (Level::Causal, usize::MAX),
            (Level::WeakCausal, usize::MAX),
            (Level::CausalMemory, 100_000),
        ] {
            if n > most {
                continue;
            }
            let mut group = c.benchmark_group(level.as_str());
            let verdict = weak(level).judge(&txns);
            println!(
                "{}/{n}: {:?}, {} bytes besides clocks",
                level.as_str(),
                verdict.validity,
                verdict.results["bytes"]
            );
            assert!(verdict.is_valid());
            group.bench_with_input(BenchmarkId::new("judge", n), &txns, |b, txns| {
                b.iter(|| black_box(weak(level).judge(txns)));
            });
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = fuzz_dist_benches::criterion();
    targets = lists, registers, axioms
}
criterion_main!(benches);
