//! How long checkers take on simulated histories: `cargo bench -p fuzz_dist_benches --bench checkers`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fuzz_dist::checker::histories::{Object, Recorder, Run};
use fuzz_dist::checker::{
    CasRegister, Checker, atomic, convergence, counter, distinct_register, fifo, linearizable,
    offset_log, or_set, pn_counter, replicated_register, set, set_full, stats, total_queue,
    unique_ids,
};
use fuzz_dist::history::History;
use fuzz_dist::op::Value;
use fuzz_dist::random::{Seed, Stream};
use fuzz_dist_benches::CpuTime;

/// Element observations: what a checker that reads every read whole would look at.
fn observations(history: &History) -> usize {
    (0..history.len()).filter_map(|i| history.set_read(i)).map(|r| r.len).sum()
}

/// Clients that do one operation after the other on an object that behaves: `op` gives function
/// and argument, `act` what it gives.
fn linear(
    operations: usize,
    clients: u32,
    mut op: impl FnMut(&mut Stream, usize) -> (&'static str, Value),
    mut act: impl FnMut(&str, &Value) -> Option<Value>,
) -> History {
    let mut random = Seed(1).stream("bench");
    let mut recorder = Recorder::new(["n1", "n2", "n3", "n4", "n5"]);
    type Open = Option<(&'static str, Value, Option<Option<Value>>)>;
    let mut open: Vec<Open> = vec![None; clients as usize];
    let mut done = 0;
    while done < operations {
        let client = random.below(clients.into()) as u32;
        let slot = &mut open[client as usize];
        match slot.take() {
            None => {
                let (f, value) = op(&mut random, done);
                recorder.invoke(client, f, value.clone());
                *slot = Some((f, value, None));
            }
            Some((f, value, None)) => {
                let result = act(f, &value);
                *slot = Some((f, value, Some(result)));
            }
            Some((_, _, Some(result))) => {
                match result {
                    Some(value) => recorder.ok(client, value),
                    None => recorder.fail(client),
                };
                done += 1;
            }
        }
    }
    recorder.history()
}

fn cas(operations: usize, clients: u32) -> History {
    let mut state = Value::Nil;
    let op = |s: &mut Stream, _| match s.below(3) {
        0 => ("read", Value::Nil),
        1 => ("write", Value::Int(s.below(5) as i64)),
        _ => ("cas", Value::list([s.below(5) as i64, s.below(5) as i64])),
    };
    linear(operations, clients, op, move |f, value| match (f, value.as_list()) {
        ("read", _) => Some(state.clone()),
        (_, Some([old, new])) => (*old == state).then(|| {
            state = new.clone();
            value.clone()
        }),
        _ => {
            state = value.clone();
            Some(value.clone())
        }
    })
}

fn distinct(operations: usize, clients: u32) -> History {
    let mut state = Value::Nil;
    let op = |s: &mut Stream, n: usize| match s.chance(0.5) {
        true => ("read", Value::Nil),
        // Several clients may be at the same number of operations done.
        false => ("write", Value::Int(n as i64 * 1_000_000 + s.below(1_000_000) as i64)),
    };
    linear(operations, clients, op, move |f, value| {
        if f == "write" {
            state = value.clone();
        }
        Some(state.clone())
    })
}

fn sums(operations: usize, clients: u32) -> History {
    let mut sum = 0;
    let op = |s: &mut Stream, _| match s.chance(0.5) {
        true => ("read", Value::Nil),
        false => ("add", Value::Int(s.below(5) as i64 + 1)),
    };
    linear(operations, clients, op, move |f, value| {
        if f == "read" {
            return Some(Value::Int(sum));
        }
        sum += value.as_int().unwrap_or(0);
        Some(value.clone())
    })
}

fn queue(operations: usize) -> History {
    let mut queue = std::collections::VecDeque::new();
    let op = |_: &mut Stream, n: usize| match n % 2 {
        0 => ("enqueue", Value::Int(n as i64)),
        _ => ("dequeue", Value::Nil),
    };
    linear(operations, 1, op, move |f, value| {
        if f == "enqueue" {
            queue.push_back(value.clone());
            return Some(value.clone());
        }
        Some(queue.pop_front().unwrap_or(Value::Nil))
    })
}

/// Sends, and polls of ten records each by one client.
fn log(operations: usize) -> History {
    let mut log: Vec<Value> = Vec::new();
    let mut polled = 0;
    let op = |_: &mut Stream, n: usize| match n % 11 {
        10 => ("poll", Value::Nil),
        _ => ("send", Value::Int(n as i64)),
    };
    linear(operations, 1, op, move |f, value| {
        if f == "send" {
            log.push(value.clone());
            return Some(Value::Int(log.len() as i64 - 1));
        }
        let from = std::mem::replace(&mut polled, log.len());
        let record = |i: usize| Value::list([Value::Int(i as i64), log[i].clone()]);
        Some(Value::list((from..log.len()).map(record)))
    })
}

/// Identifiers of 64 bits, far apart.
fn random_ids(operations: usize) -> History {
    let mut random = Seed(2).stream("ids");
    let op = |_: &mut Stream, _| ("generate", Value::Nil);
    linear(operations, 5, op, move |_, _| Some(Value::Int(random.u64() as i64)))
}

fn ids(operations: usize) -> History {
    let mut next = 0;
    linear(
        operations,
        5,
        |_, _| ("generate", Value::Nil),
        move |_, _| {
            next += 1;
            Some(Value::Int(next))
        },
    )
}

/// Transactions of three marks each, one in ten aborted; one operation in a hundred reads all marks.
fn transactions(operations: usize, clients: u32) -> History {
    let mut committed: Vec<i64> = Vec::new();
    let mut next = 0;
    let op = move |s: &mut Stream, _| match s.below(100) {
        0 => ("read", Value::Nil),
        n => {
            next += 3;
            (if n < 10 { "abort" } else { "write" }, Value::set(next - 3..next))
        }
    };
    linear(operations, clients, op, move |f, value| {
        if let ("write", Value::Set(marks)) = (f, value) {
            committed.extend(marks.as_slice());
        }
        Some(if f == "read" { Value::set(committed.iter().copied()) } else { value.clone() })
    })
}

fn run(c: &mut Criterion<CpuTime>, name: &str, checker: &dyn Checker, history: &History) {
    let operations = history.len() as u64 / 2;
    let check = || {
        let verdict = checker.check(black_box(history));
        assert!(!verdict.is_invalid(), "{name}: {:?}", verdict.reasons);
    };
    let mut group = c.benchmark_group("checkers");
    group.throughput(Throughput::Elements(operations));
    group.bench_function(BenchmarkId::from_parameter(name), |b| b.iter(check));
    group.finish();
}

fn all(c: &mut Criterion<CpuTime>) {
    for (operations, reads) in [(10_000, 0.5), (100_000, 0.5), (1_000_000, 0.002)] {
        let run_of = Run::new(Object::Set).operations(operations).reads(reads).lag(0.7);
        let history = run_of.nodes(5).clients(10).outcomes(0.02, 0.02).history(Seed(1));
        let seen = observations(&history);
        run(
            c,
            &format!("set_full, {operations} operations, {seen} observations"),
            &set_full(),
            &history,
        );
        if operations == 1_000_000 {
            run(c, "set, 1000000 operations", &set(), &history);
            run(c, "or_set, 1000000 operations", &or_set(), &history);
            run(c, "stats, 1000000 operations", &stats(), &history);
            run(c, "convergence, 1000000 operations", &convergence(), &history);
        }
    }
    run(c, "pn_counter, 100000 operations, 5 clients", &pn_counter(), &sums(100_000, 5));
    run(c, "counter, 100000 operations, 5 clients", &counter(), &sums(100_000, 5));
    run(c, "total_queue, 100000 operations", &total_queue(), &queue(100_000));
    run(c, "fifo, 100000 operations", &fifo(), &queue(100_000));
    run(c, "offset_log, 100000 operations", &offset_log(), &log(100_000));
    run(c, "unique_ids, 100000 operations", &unique_ids(), &ids(100_000));
    run(c, "unique_ids, 100000 operations, random numbers", &unique_ids(), &random_ids(100_000));
    run(c, "atomic, 100000 transactions, 20 clients", &atomic(), &transactions(100_000, 20));
    let name = "replicated_register, 100000 operations, 20 clients";
    run(c, name, &replicated_register(), &distinct(100_000, 20));
    let register = linearizable(CasRegister);
    for (operations, clients) in [(50_000, 5), (1_000, 20), (10_000, 20)] {
        let name = format!("linearizable CAS register, {operations} operations, {clients} clients");
        run(c, &name, &register, &cas(operations, clients));
    }
    for operations in [100_000, 1_000_000] {
        let name = format!("distinct_register, {operations} operations, 20 clients");
        run(c, &name, &distinct_register(), &distinct(operations, 20));
    }
}

criterion_group! {
    name = checkers;
    config = fuzz_dist_benches::criterion();
    targets = all
}
criterion_main!(checkers);
