//! How long the checkers take that the other files do not measure, on the histories that come with
//! the library: `cargo bench -p fuzz_dist_benches --bench suite`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fuzz_dist::checker::histories::{Object, Recorder, Run};
use fuzz_dist::checker::registry::{Options, find};
use fuzz_dist::checker::txn::generate::{Load, Store};
use fuzz_dist::checker::txn::{
    Crdt, Shape, bank, crdt_causal, long_fork, monotonic, session_guarantees, write_skew,
};
use fuzz_dist::checker::{
    Checker, Mutex, Registers, compose, distinct_register, fifo, independent, lease, linearizable,
    log_pattern, perf, power, sequential, set_full, stats, total_queue,
};
use fuzz_dist::history::History;
use fuzz_dist::op::{Kind, NodeId, Process, Value};
use fuzz_dist::random::{Seed, Stream};
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
    for operations in [1_000, 10_000, 100_000] {
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

/// Every registered checker of objects, on a valid history of what it judges.
fn registered(c: &mut Criterion<CpuTime>) {
    for object in Object::ALL {
        let history = Run::new(*object).operations(10_000).clients(10).history(Seed(1));
        for (name, _) in object.plants() {
            let registration = find(name).expect("a registered checker");
            let options = registration.required();
            let checker = registration.build(&Options::new(&options)).expect("its own examples");
            run(c, &format!("registered {name}, 10000 operations"), &*checker, &history);
        }
    }
}

fn transactions(c: &mut Criterion<CpuTime>) {
    let load = Load::new(100_000).sessions(20);
    let history = load.history(Shape::Registers, Store::StrictSerializable);
    run(c, "write_skew, 100000 transactions", &write_skew(), &history);
    run(c, "session_guarantees, 100000 transactions", &session_guarantees(), &history);
}

/// Transactions by 20 sessions on one copy, each at one moment between its ends: `next` gives the
/// micro-operations of one, and what they give.
fn serial(transactions: usize, mut next: impl FnMut(&mut Stream) -> [Vec<Value>; 2]) -> History {
    let mut random = Seed(1).stream("transactions");
    let mut recorder = Recorder::new(["n1", "n2", "n3"]);
    let mut open: Vec<Option<Vec<Value>>> = vec![None; 20];
    let mut begun = 0;
    while begun < transactions {
        let session = random.index(open.len());
        if let Some(done) = open[session].take() {
            recorder.ok(session as u32, Value::list(done));
            continue;
        }
        let [asked, done] = next(&mut random);
        recorder.invoke(session as u32, "txn", Value::list(asked));
        open[session] = Some(done);
        begun += 1;
    }
    recorder.history()
}

fn micro(f: &str, key: i64, value: impl Into<Value>) -> Value {
    Value::list([Value::from(f), key.into(), value.into()])
}

/// Groups of four keys, of which each is written once; half of the transactions read a group.
fn groups(transactions: usize) -> History {
    let mut written = 0;
    serial(transactions, |random| {
        let group = written / 4 * 4;
        if random.chance(0.5) {
            let of = |value: fn(bool) -> Value| {
                (group..group + 4).map(|k| micro("r", k, value(k < written))).collect()
            };
            return [of(|_| Value::Nil), of(|seen| if seen { 1.into() } else { Value::Nil })];
        }
        written += 1;
        [vec![micro("w", written - 1, 1)], vec![micro("w", written - 1, 1)]]
    })
}

/// Ten registers whose numbers grow; half of the transactions read three of them.
fn growing(transactions: usize) -> History {
    let mut values = [0; 10];
    serial(transactions, |random| {
        let key = random.index(8);
        if random.chance(0.5) {
            let keys = key..key + 3;
            let seen = |k: usize| if values[k] == 0 { Value::Nil } else { Value::Int(values[k]) };
            let asked = keys.clone().map(|k| micro("r", k as i64, Value::Nil));
            return [asked.collect(), keys.map(|k| micro("r", k as i64, seen(k))).collect()];
        }
        values[key] += 1;
        let write = vec![micro("w", key as i64, values[key])];
        [write.clone(), write]
    })
}

/// One update or read of one of ten objects of a kind in use at a time, of which each is replaced
/// by a new one once it holds 20.
fn replicated(transactions: usize, kind: Crdt) -> History {
    let mut objects: Vec<(i64, Vec<i64>)> = (0..10).map(|key| (key, Vec::new())).collect();
    let (mut keys, mut elements) = (10, 0);
    serial(transactions, |random| {
        let (key, held) = &mut objects[random.index(10)];
        if random.chance(0.5) {
            let seen = match kind {
                Crdt::PnCounter => Value::Int(held.iter().sum()),
                Crdt::LwwRegister => held.last().map_or(Value::Nil, |n| Value::Int(*n)),
                _ => Value::list(held.clone()),
            };
            return [vec![micro("r", *key, Value::Nil)], vec![micro("r", *key, seen)]];
        }
        if held.len() == 20 {
            (*key, *held) = (keys, Vec::new());
            keys += 1;
        }
        if kind == Crdt::AddWinsSet && !held.is_empty() && random.chance(0.3) {
            let gone = vec![micro("remove", *key, held.swap_remove(random.index(held.len())))];
            return [gone.clone(), gone];
        }
        elements += 1;
        let (f, n) = match kind {
            Crdt::PnCounter => ("increment", random.below(5) as i64 + 1),
            Crdt::LwwRegister => ("assign", elements),
            _ => ("add", elements),
        };
        held.push(n);
        let update = vec![micro(f, *key, n)];
        [update.clone(), update]
    })
}

fn patterns(c: &mut Criterion<CpuTime>) {
    run(c, "long_fork, 100000 transactions", &long_fork(), &groups(100_000));
    run(c, "monotonic, 100000 transactions", &monotonic(), &growing(100_000));
    for kind in [Crdt::GrowSet, Crdt::PnCounter, Crdt::LwwRegister, Crdt::AddWinsSet] {
        let name = format!("crdt_causal of {kind:?}, 100000 transactions");
        run(c, &name, &crdt_causal(kind), &replicated(100_000, kind));
    }
    let mut recorder = Recorder::new(["n1", "n2", "n3"]);
    for line in 0..100_000 {
        let text = format!("2026-01-01 12:00:00.{line:06} [info] shop: order {line} was accepted");
        let node = Some(NodeId((line % 3) as u16));
        recorder.event(Process::RUNTIME, node, Kind::Info, "log".into(), Value::from(text));
    }
    let name = "log_pattern of 3 texts, 100000 lines";
    run(c, name, &log_pattern(["CRASH", "badmatch", "[error]"]), &recorder.history());
}

/// The same history without and with one anomaly, which is explained and verified.
fn verified(c: &mut Criterion<CpuTime>) {
    let checkers: [(&str, Object, &str, Box<dyn Checker>); 4] = [
        ("set_full", Object::Set, "lost", Box::new(set_full())),
        ("total_queue", Object::Queue, "lost", Box::new(total_queue())),
        ("fifo", Object::Queue, "reordered", Box::new(fifo())),
        ("distinct_register", Object::Register, "not_linearizable", Box::new(distinct_register())),
    ];
    for (name, object, anomaly, checker) in checkers {
        let valid = Run::new(object).operations(100_000).clients(10).outcomes(0.0, 0.0);
        run(c, &format!("{name}, 100000 operations, valid"), &*checker, &valid.history(Seed(1)));
        let planted = valid.plant(anomaly).history(Seed(1));
        run(c, &format!("{name}, 100000 operations, {anomaly}"), &*checker, &planted);
    }
}

criterion_group! {
    name = suite;
    config = fuzz_dist_benches::criterion();
    targets = objects, registered, transactions, patterns, verified
}
criterion_main!(suite);
