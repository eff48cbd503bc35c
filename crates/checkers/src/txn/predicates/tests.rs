//! `g2` against vectors, and against all serial orders.

use super::*;
use crate::Validity;
use crate::histories::Recorder;
use crate::txn::Isolation;
use fuzz_dist_random::Seed;

fn insert(key: i64, a: i64) -> Value {
    let ids = if a % 2 == 1 { [Value::Int(a), Value::Nil] } else { [Value::Nil, Value::Int(a)] };
    Value::list([Value::Int(key), Value::list(ids)])
}

fn shown(key: i64, ids: &[i64]) -> Value {
    Value::list([Value::Int(key), Value::list(ids.iter().copied())])
}

#[test]
fn two_inserts_of_a_key_are_g2_whether_or_not_they_overlap() {
    for overlap in [true, false] {
        let mut r = Recorder::new(["n1", "n2"]);
        r.invoke(0, "insert", insert(7, 1));
        if !overlap {
            r.done(0);
        }
        r.invoke(1, "insert", insert(7, 2));
        if overlap {
            r.done(0);
        }
        r.done(1);
        r.invoke(0, "insert", insert(8, 2));
        r.done(0);
        let verdict = g2().check(&r.history());
        let found: Vec<_> = verdict.anomalies.iter().map(|a| (&*a.kind, &a.subject)).collect();
        assert_eq!(found, [("G2", &Value::Int(7))], "{verdict:?}");
        assert_eq!(verdict.anomalies[0].events, [0, 1, 2, 3]);
        assert!(verdict.reasons[0].starts_with("not serializable: 1 × G2 in 2 keys"));
    }
}

#[test]
fn what_failed_or_is_unknown_counts_only_where_it_is_read() {
    let check = |second: fn(&mut Recorder, u32) -> usize, read: &[i64]| {
        let mut r = Recorder::new(["n1"]);
        r.invoke(0, "insert", insert(7, 1));
        r.done(0);
        r.invoke(1, "insert", insert(7, 2));
        second(&mut r, 1);
        r.invoke(2, "read", shown(7, &[]));
        r.ok(2, shown(7, read));
        let verdict = g2().check(&r.history());
        verdict.anomalies.iter().map(|a| a.kind.to_string()).collect::<Vec<_>>()
    };
    let (info, fail) = (Recorder::info, Recorder::fail);
    assert!(check(info, &[1]).is_empty());
    assert_eq!(check(info, &[2]), ["G2"]);
    assert!(check(fail, &[1]).is_empty());
    assert_eq!(check(fail, &[1, 2]), ["G1a"]);
    assert_eq!(check(fail, &[1, 9]), ["thin-air"]);
}

#[test]
fn what_cannot_be_judged_is_unknown() {
    let check = |f: &str, value: Value| {
        let mut r = Recorder::new(["n1"]);
        r.invoke(0, f, value.clone());
        r.ok(0, value);
        g2().check(&r.history()).validity
    };
    assert_eq!(check("insert", insert(1, 1)), Validity::Valid);
    assert_eq!(check("insert", shown(1, &[1, 2])), Validity::Unknown);
    assert_eq!(check("insert", Value::Int(1)), Validity::Unknown);
    assert_eq!(check("delete", insert(1, 1)), Validity::Unknown);
    assert_eq!(check("read", shown(1, &[])), Validity::Unknown);
    assert_eq!(g2().check(&History::new(["n1"])).validity, Validity::Unknown);
}

/// Adya's table of levels: only PL-3 forbids it.
#[test]
fn serializability_alone_forbids_it() {
    use Isolation::*;
    assert_eq!(Isolation::excluded_by(["G2"]), [Serializable]);
    for level in [RepeatableRead, SnapshotIsolation, StrongSnapshotIsolation] {
        assert!(!level.forbids("G2"), "{level}");
    }
    for level in ["PL-3", "serializable", "1SR", "strict-serializable", "PL-SS"] {
        assert!(level.parse::<Isolation>().unwrap().forbids("G2"), "{level}");
    }
    assert!(Serializable.forbids("G2-item") && Serializable.forbids("G-single"));
}

/// An operation of the oracle: key, identifiers, and whether it inserts or reads.
type Plain = (i64, Vec<i64>, bool);

/// Is there an order of all of these in which each insert finds nothing and each read what it gave?
fn orders(left: &mut Vec<Plain>, rows: &mut Vec<(i64, i64)>) -> bool {
    if left.is_empty() {
        return true;
    }
    for i in 0..left.len() {
        let (key, ids, inserts) = left.remove(i);
        let there: Vec<i64> = rows.iter().filter(|r| r.0 == key).map(|r| r.1).collect();
        let fits = if inserts { there.is_empty() } else { there == ids };
        if fits {
            if inserts {
                rows.push((key, ids[0]));
            }
            let found = orders(left, rows);
            if inserts {
                rows.pop();
            }
            if found {
                return true;
            }
        }
        left.insert(i, (key, ids, inserts));
    }
    false
}

#[test]
fn agrees_with_all_serial_orders() {
    let mut seen = [0; 3];
    for seed in 0..5_000 {
        let mut s = Seed(seed).stream("g2");
        let mut r = Recorder::new(["n1", "n2"]);
        let (mut certain, mut open): (Vec<Plain>, Vec<Plain>) = Default::default();
        let mut committed = false;
        for client in 0..1 + s.index(5) as u32 {
            let key = s.index(2) as i64;
            if s.chance(0.6) {
                let id = i64::from(client);
                r.invoke(client, "insert", insert(key, id));
                match s.index(4) {
                    0 => {
                        r.fail(client);
                    }
                    1 => {
                        r.info(client);
                        open.push((key, vec![id], true));
                    }
                    _ => {
                        r.done(client);
                        certain.push((key, vec![id], true));
                        committed = true;
                    }
                }
            } else {
                let ids: Vec<i64> = (0..4).filter(|_| s.chance(0.2)).collect();
                r.invoke(client, "read", shown(key, &[]));
                r.ok(client, shown(key, &ids));
                certain.push((key, ids, false));
            }
        }
        let possible = (0..1 << open.len()).any(|some: usize| {
            let chosen = open.iter().enumerate().filter(|(i, _)| some >> i & 1 == 1);
            let mut all: Vec<Plain> = certain.iter().chain(chosen.map(|c| c.1)).cloned().collect();
            orders(&mut all, &mut Vec::new())
        });
        let verdict = g2().check(&r.history());
        seen[verdict.validity as usize] += 1;
        match verdict.validity {
            Validity::Unknown => assert!(!committed, "seed {seed}: {verdict:?}"),
            valid => assert_eq!(valid == Validity::Valid, possible, "seed {seed}: {verdict:?}"),
        }
    }
    assert!(seen.iter().all(|n| *n > 250), "{seen:?}");
}
