//! Lists that grow are copied from the last one of their key, and are what they would be without that.

use super::super::*;
use super::disk::assert_same;
use fuzz_dist_random::{Seed, Stream};

/// A list that goes on where `last` ends, or differs from it somewhere, in the last digit at least.
fn next(s: &mut Stream, last: &[i64]) -> Vec<i64> {
    let number = |s: &mut Stream| [1, 12, 123, 7, -1, 40_000_000_000, 1 << 62][s.index(7)];
    let mut list = last.to_vec();
    match s.index(8) {
        0 => list.clear(),
        1 => drop(list.pop()),
        2 => list.iter_mut().last().into_iter().for_each(|n| *n = n.wrapping_mul(10)),
        3 if !list.is_empty() => {
            let at = s.index(list.len());
            list[at] = number(s);
        }
        4 | 5 => {}
        _ => list.extend([number(s), number(s)].iter().take(1 + s.index(2))),
    }
    list
}

/// A transaction of reads, with an item now and then that is no micro-operation, so that what was
/// read of it is forgotten.
fn transaction(s: &mut Stream, lists: &mut [Vec<i64>]) -> Value {
    let mut ops = Vec::new();
    for _ in 0..1 + s.index(4) {
        let key = s.index(lists.len());
        lists[key] = next(s, &lists[key]);
        let list = Value::list(lists[key].iter().copied());
        ops.push(match s.index(12) {
            0 => Value::list([Value::from("r"), Value::list([list])]),
            1 => Value::list([Value::from("r"), list, Value::Nil]),
            _ => Value::list([Value::from("r"), Value::Int([0, 5, 1 << 40][key]), list]),
        });
    }
    Value::List(ops.into())
}

#[test]
fn lists_that_grow_are_read_as_any_others() {
    for seed in 0..600 {
        let s = &mut Seed(seed).stream("grown");
        let mut history = History::new(["n1", "n2", "n3"]);
        let mut lists = vec![Vec::new(); 1 + s.index(3)];
        for _ in 0..s.index(24) {
            let mut event = super::event(0, Kind::Invoke, "txn", Value::Nil);
            history.push(event.clone()).unwrap();
            (event.kind, event.value) = (Kind::Ok, transaction(s, &mut lists));
            history.push(event).unwrap();
        }
        for format in [Format::Json, Format::Edn] {
            let mut text = Vec::new();
            history.export(&mut text, format).unwrap();
            let path = std::path::Path::new("h");
            let read = History::import(&mut &*text, path, format).unwrap().history;
            for i in 0..history.len() {
                assert_eq!(read.value(i), history.value(i), "seed {seed}, event {i}");
            }
            if format == Format::Json {
                assert_same(&read, &history);
            }
        }
    }
}
