//! Megabytes per second in which a history is recorded to a file, and read back, in our notation
//! and in Jepsen's.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fuzz_dist::checker::txn::Shape;
use fuzz_dist::checker::txn::generate::{Load, Store};
use fuzz_dist::history::{Format, History, Recorder};
use fuzz_dist::op::{Event, Kind, NodeId, Phase, Process, Value};
use fuzz_dist::time::Time;
use fuzz_dist_benches::CpuTime;

/// Operations of ten processes on five nodes: adds, and every hundredth a read of everything.
fn events(ops: u64) -> Vec<Event> {
    let mut events = Vec::new();
    let (add, read): (fuzz_dist::op::Name, fuzz_dist::op::Name) = ("add".into(), "read".into());
    for n in 0..ops {
        let is_read = n % 100 == 99;
        let mut event = Event {
            time: Time(n * 20_000),
            process: Process(n as u32 % 10),
            node: Some(NodeId(n as u16 % 5)),
            kind: Kind::Invoke,
            f: if is_read { read.clone() } else { add.clone() },
            value: if is_read { Value::Nil } else { Value::Int(n as i64) },
            error: None,
            phase: Phase::Main,
        };
        events.push(event.clone());
        event.kind = Kind::Ok;
        event.time.0 += 10_000;
        if is_read {
            event.value = Value::set((0..(n as i64).min(2_000)).filter(|v| v % 100 != 99));
        }
        events.push(event);
    }
    events
}

fn history(c: &mut Criterion<CpuTime>) {
    let path = std::env::temp_dir().join(format!("fuzz_dist-bench-h-{}", std::process::id()));
    let events = events(100_000);
    let record = || {
        let _ = std::fs::remove_file(&path);
        let nodes = ["n1", "n2", "n3", "n4", "n5"];
        let recorder = Recorder::to_file(&path, nodes, [("k", Value::Nil)]).expect("a file");
        for event in &events {
            recorder.record(event.clone()).expect("an event that can be");
        }
        recorder.flush().expect("a disk with room");
    };
    record();
    let bytes = std::fs::metadata(&path).expect("the file").len();
    let mut group = c.benchmark_group("history");
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("write", |b| b.iter(record));
    group.bench_function("load", |b| {
        b.iter(|| {
            let loaded = History::load(&path).expect("what was written");
            assert_eq!(loaded.history.len(), events.len());
        });
    });
    group.finish();
    let _ = std::fs::remove_file(&path);
}

/// Sets and transactions, written to memory and read from there in both notations.
fn import(c: &mut Criterion<CpuTime>) {
    let mut sets = History::new(["n1", "n2", "n3", "n4", "n5"]);
    for event in events(100_000) {
        sets.push(event).expect("an event that can be");
    }
    let lists = Load::new(100_000).sessions(20).history(Shape::Lists, Store::StrictSerializable);
    for (name, history) in [("sets", sets), ("list_append", lists)] {
        for format in [Format::Json, Format::Edn] {
            let mut text = Vec::new();
            history.export(&mut text, format).expect("memory takes all");
            let mut group = c.benchmark_group(name);
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(format!("export/{format}"), |b| {
                b.iter(|| {
                    let mut out = Vec::with_capacity(text.len());
                    history.export(&mut out, format).expect("memory takes all");
                    assert_eq!(out.len(), text.len());
                });
            });
            group.bench_function(format!("import/{format}"), |b| {
                b.iter(|| {
                    let loaded = History::import(&mut &text[..], "h".as_ref(), format);
                    assert_eq!(loaded.expect("what was written").history.len(), history.len());
                });
            });
            group.finish();
        }
    }
}

/// The text of others: 100 000 transactions of twenty sessions, of two writes and a read each, or
/// as many operations of a register.
fn foreign(format: Format) -> String {
    const OPS: i64 = 100_000;
    let session = |n: i64| n / (OPS / 20);
    let one = |n: i64| {
        let (a, b) = (n % 97, 100 + n % 89);
        match format {
            Format::JepsenLog => {
                let process = n % 10;
                let line = "INFO  jepsen.util - ";
                format!(
                    "{line}{process}\t:invoke\t:write\t{n}\n{line}{process}\t:ok\t:write\t{n}\n"
                )
            }
            Format::Plume => {
                let s = session(n);
                format!("w({a},{n},{s},{n})\nw({b},{n},{s},{n})\nr({a},{n},{s},{n})\n")
            }
            Format::Awdit => {
                let next = if session(n) == session(n + 1) { '-' } else { '=' };
                format!("w {a} {n}\nw {b} {n}\nr {a} {n}\n{next}{next}{next}\n")
            }
            Format::Dbcop => {
                let next = if session(n) == session(n + 1) { "" } else { "---\n" };
                format!("[x{a}:={n} y{b}:={n} x{a}=={n}]\n{next}")
            }
            other => unreachable!("{other} is written by this crate, or as lines of EDN"),
        }
    };
    (0..OPS).map(one).collect()
}

/// Formats that are read only.
fn import_foreign(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("foreign");
    for format in [Format::JepsenLog, Format::Plume, Format::Awdit, Format::Dbcop] {
        let text = foreign(format);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("import/{format}"), |b| {
            b.iter(|| {
                let loaded = History::import(&mut text.as_bytes(), "h".as_ref(), format);
                assert_eq!(loaded.expect("what the format says").history.len(), 200_000);
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = fuzz_dist_benches::criterion();
    targets = history, import, import_foreign
}
criterion_main!(benches);
