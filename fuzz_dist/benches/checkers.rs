//! How long checkers take on simulated histories: `cargo bench -p fuzz_dist --bench checkers`.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fuzz_dist::checker::histories::SetRun;
use fuzz_dist::checker::{Checker, set_full};
use fuzz_dist::history::History;
use fuzz_dist::random::Seed;

/// Element observations: what a checker that reads every read whole would look at.
fn observations(history: &History) -> usize {
    (0..history.len()).filter_map(|i| history.set_read(i)).map(|r| r.len).sum()
}

fn sets(c: &mut Criterion) {
    let mut group = c.benchmark_group("set_full");
    group.sample_size(10).warm_up_time(Duration::from_millis(500));
    for (operations, reads) in [(10_000, 0.5), (100_000, 0.5), (1_000_000, 0.002)] {
        let run = SetRun { operations, reads, ..SetRun::default() };
        let (history, _) = run.simulate(Seed(1));
        let name = format!("{operations} operations, {} observations", observations(&history));
        group.throughput(Throughput::Elements(operations as u64));
        group.bench_with_input(BenchmarkId::from_parameter(name), &history, |b, history| {
            b.iter(|| assert!(set_full().check(black_box(history)).is_valid()));
        });
    }
    group.finish();
}

criterion_group!(checkers, sets);
criterion_main!(checkers);
