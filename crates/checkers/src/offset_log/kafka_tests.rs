//! Histories of Jepsen's kafka workload. The oracle of the log judges each key by what was sent, and by
//! which consumer polled what.

use std::collections::BTreeMap;

use super::super::Validity;
use super::super::histories::Recorder;
use super::tests::{Polls, Sent, oracle};
use super::*;
use fuzz_dist_history::op::Value;
use fuzz_dist_random::{Seed, Stream};

fn micro(items: impl IntoIterator<Item = Value>) -> Value {
    Value::List(items.into_iter().collect())
}

fn send(key: &str, value: Value) -> Value {
    micro(["send".into(), key.into(), value])
}

fn poll(records: &[(&str, Vec<(i64, i64)>)]) -> Value {
    let pairs = |all: &[(i64, i64)]| Value::list(all.iter().map(|(o, v)| Value::list([*o, *v])));
    micro(["poll".into(), Value::map(records.iter().map(|(k, all)| (*k, pairs(all))))])
}

/// One operation after the other: process, function, argument, and its result.
fn history(ops: &[(u32, &str, Value, Option<Value>)]) -> History {
    let mut r = Recorder::new(["n1"]);
    for (process, f, argument, result) in ops {
        r.invoke(*process, f, argument.clone());
        match result {
            Some(result) => r.ok(*process, result.clone()),
            None => r.info(*process),
        };
    }
    r.history()
}

/// Three sends to `x`, then these polls of one process, after it was assigned `x` or not.
fn polls(between: &str, all: &[&[(i64, i64)]]) -> Verdict {
    let ask = || micro([micro(["poll".into()])]);
    let mut ops = Vec::new();
    for (offset, value) in [(0, 10), (1, 11), (2, 12)] {
        let pair = Value::list([offset, value]);
        ops.push((0, "send", micro([send("x", value.into())]), Some(micro([send("x", pair)]))));
    }
    for records in all {
        if !between.is_empty() {
            let keys = Value::list(["x"]);
            ops.push((1, between, keys.clone(), Some(keys)));
        }
        ops.push((1, "poll", ask(), Some(micro([poll(&[("x", records.to_vec())])]))));
    }
    offset_log().check(&history(&ops))
}

#[test]
fn a_position_may_be_any_after_a_rebalance() {
    let kinds = |v: &Verdict| v.anomalies.iter().map(|a| a.kind.to_string()).collect::<Vec<_>>();
    type Two = [&'static [(i64, i64)]; 2];
    let all: Two = [&[(0, 10)], &[(1, 11), (2, 12)]];
    let back: Two = [&[(0, 10), (1, 11), (2, 12)], &[(0, 10)]];
    assert!(polls("", &all).is_valid());
    let verdict = polls("", &back);
    assert_eq!(kinds(&verdict), ["non_monotonic"]);
    assert_eq!(verdict.anomalies[0].explanation, "key \"x\": client 1 polled offset 0 after 2");
    assert_eq!((&*verdict.checker, &verdict.anomalies[0].events[..]), ("offset_log", &[7, 9][..]));
    for between in ["assign", "subscribe", "crash"] {
        assert!(polls(between, &back).is_valid(), "{between}");
        // Within one poll nothing moves.
        let verdict = polls(between, &[&[(0, 10), (2, 12)], &[(1, 11)]]);
        assert_eq!(kinds(&verdict), ["skipped"], "{between}");
    }
    assert_eq!(kinds(&polls("", &[&[(0, 10), (2, 12)]])), ["lost", "skipped"]);
}

/// A poll of unknown outcome may have returned what nobody else polled; one that failed returned nothing.
#[test]
fn a_failed_poll_excuses_nothing() {
    for fails in [true, false] {
        let ask = || micro([micro(["poll".into()])]);
        let mut r = Recorder::new(["n1"]);
        for (offset, value) in [(0, 10), (1, 11), (2, 12)] {
            r.invoke(0, "send", micro([send("x", value.into())]));
            r.ok(0, micro([send("x", Value::list([offset, value]))]));
        }
        r.invoke(1, "poll", ask());
        if fails {
            r.fail(1)
        } else {
            r.info(1)
        };
        r.invoke(2, "poll", ask());
        r.ok(2, micro([poll(&[("x", vec![(0, 10), (2, 12)])])]));
        let verdict = offset_log().check(&r.history());
        let lost = verdict.anomalies.iter().any(|a| &*a.kind == "lost");
        assert_eq!(lost, fails, "{verdict:#?}");
    }
}

#[test]
fn what_is_no_operation_of_the_workload_is_unknown() {
    let ask = || micro([micro(["poll".into()])]);
    let wrong = [
        ("send", Value::Int(5), Some(Value::Int(0))),
        ("txn", micro([send("x", 5.into())]), Some(micro([]))),
        ("txn", micro([send("x", 5.into())]), Some(micro([send("x", "y".into())]))),
        ("poll", ask(), Some(micro([micro(["poll".into(), 7.into()])]))),
        ("poll", ask(), Some(micro([micro(["poll".into(), Value::map([("x", 7.into())])])]))),
        ("txn", micro([micro(["r".into(), "x".into(), Value::Nil])]), None),
        ("seek", Value::Nil, None),
    ];
    for (f, argument, result) in wrong {
        let verdict = offset_log().check(&history(&[
            (0, "assign", Value::list(["x"]), Some(Value::list(["x"]))),
            (1, f, argument, result),
        ]));
        assert_eq!(verdict.validity, Validity::Unknown, "{verdict:?}");
        assert!(verdict.reasons[0].contains("no operation of the kafka workload"), "{verdict:?}");
    }
}

#[test]
fn the_oracle_agrees_on_random_histories() {
    let mut totals = [0usize; 3];
    for seed in 0..1_500 {
        let (history, logs) = random(Seed(seed));
        let verdict = offset_log().check(&history);
        let mut counts = [0; 3];
        for (sent, polls) in logs.values() {
            let count = |kind: &str| oracle(kind, sent, polls, false);
            let polled = polls.iter().any(|(_, r)| r.as_ref().is_some_and(|r| !r.is_empty()));
            let expected = match KINDS.iter().map(|kind| count(kind)).sum::<usize>() {
                0 if count("unsure") > 0 || !polled => Validity::Unknown,
                0 => Validity::Valid,
                _ => Validity::Invalid,
            };
            counts[expected as usize] += 1;
        }
        let expected = match counts {
            [0, 0, 0] => Validity::Unknown,
            [_, 0, 0] => Validity::Valid,
            [_, _, 0] => Validity::Unknown,
            _ => Validity::Invalid,
        };
        assert_eq!(verdict.validity, expected, "seed {seed}: {logs:?}\n{verdict:?}");
        let of_keys = ["invalid_key_count", "unknown_key_count"].map(|k| verdict.results.get(k));
        if !logs.is_empty() {
            assert_eq!(of_keys[0], Some(&counts[2].into()), "seed {seed}: {logs:?}");
            assert_eq!(of_keys[1], Some(&counts[1].into()), "seed {seed}: {logs:?}");
        }
        totals[expected as usize] += 1;
    }
    assert!(totals.iter().all(|n| *n > 75), "{totals:?}");
}

/// What was sent to each key, and what each consumer polled of it.
type Logs = BTreeMap<&'static str, (Sent, Polls)>;

const KEYS: [&str; 2] = ["x", "y"];

struct Cluster {
    recorder: Recorder,
    logs: Logs,
    /// What is really there: offsets and values.
    real: BTreeMap<&'static str, Vec<(i64, i64)>>,
    values: i64,
    consumers: u32,
}

/// A process that polls, and what it is as a consumer.
struct Poller {
    process: u32,
    subscribed: bool,
    keys: Vec<&'static str>,
    place: [usize; 2],
    consumer: u32,
}

fn random(seed: Seed) -> (History, Logs) {
    let mut s = seed.stream("kafka");
    let mut cluster = Cluster {
        recorder: Recorder::new(["n1"]),
        logs: Logs::new(),
        real: BTreeMap::new(),
        values: 0,
        consumers: 0,
    };
    for process in 0..s.below(4) as u32 {
        cluster.sends(&mut s, process);
    }
    let mut pollers: Vec<Poller> = (0..2).map(|i| cluster.poller(10 + i)).collect();
    for _ in 0..s.index(7) {
        let poller = &mut pollers[s.index(2)];
        if s.chance(0.25) {
            cluster.rebalance(&mut s, poller);
        } else {
            cluster.polls(&mut s, poller);
        }
    }
    (cluster.recorder.history(), cluster.logs)
}

impl Cluster {
    fn poller(&mut self, process: u32) -> Poller {
        self.consumers += 1;
        let keys = KEYS.to_vec();
        Poller { process, subscribed: false, keys, place: [0; 2], consumer: self.consumers }
    }

    fn sends(&mut self, s: &mut Stream, process: u32) {
        let sends: Vec<(&str, i64)> = (0..1 + s.index(3))
            .map(|_| {
                self.values += 1;
                (KEYS[s.index(2)], self.values)
            })
            .collect();
        let f = if s.chance(0.5) { "send" } else { "txn" };
        self.recorder.invoke(process, f, micro(sends.iter().map(|(k, v)| send(k, (*v).into()))));
        let roll = s.unit();
        let mut answers = Vec::new();
        for (key, value) in sends {
            let (sent, _) = self.logs.entry(key).or_default();
            let real = self.real.entry(key).or_default();
            // Marks of transactions take offsets, too.
            let offset = real.last().map_or(0, |(o, _)| o + 1 + i64::from(s.chance(0.3)));
            // A negative offset says that none is known.
            let offset = if s.chance(0.03) { (offset - 1).max(0) } else { offset };
            let answered = s.chance(0.95);
            let happened = roll < 0.8 || s.chance(if roll < 0.9 { 0.05 } else { 0.5 });
            sent.push((
                value,
                (roll < 0.8 && answered).then_some(offset),
                !(0.8..0.9).contains(&roll),
            ));
            if happened {
                real.push((offset, value));
            }
            let offset = if answered { Value::Int(offset) } else { Value::Nil };
            answers.push(send(key, micro([offset, value.into()])));
        }
        match roll {
            _ if roll < 0.8 => self.recorder.ok(process, micro(answers)),
            _ if roll < 0.9 => self.recorder.fail(process),
            _ => self.recorder.info(process),
        };
    }

    fn rebalance(&mut self, s: &mut Stream, poller: &mut Poller) {
        let f = ["assign", "subscribe", "crash"][s.index(3)];
        let keys: Vec<&'static str> = KEYS.into_iter().filter(|_| s.chance(0.7)).collect();
        self.recorder.invoke(poller.process, f, Value::list(keys.clone()));
        if s.chance(0.1) {
            // It did not happen.
            self.recorder.fail(poller.process);
            return;
        }
        self.recorder.ok(poller.process, Value::list(keys.clone()));
        self.consumers += 1;
        poller.consumer = self.consumers;
        poller.subscribed = f == "subscribe";
        poller.keys = if f == "assign" { keys } else { KEYS.to_vec() };
        poller.place = [s.index(3), s.index(3)];
    }

    fn polls(&mut self, s: &mut Stream, poller: &mut Poller) {
        let count = 1 + s.index(2);
        let asked = (0..count).map(|_| micro(["poll".into()]));
        self.recorder.invoke(poller.process, "poll", micro(asked));
        if s.chance(0.1) {
            self.recorder.info(poller.process);
            for key in self.logs.keys().copied().collect::<Vec<_>>() {
                if poller.keys.contains(&key) {
                    let consumer = self.consumer(poller);
                    self.logs.entry(key).or_default().1.push((consumer, None));
                }
            }
            *poller = self.poller(poller.process + 2);
            return;
        }
        if s.chance(0.1) {
            self.recorder.fail(poller.process);
            return;
        }
        let mut answers = Vec::new();
        for _ in 0..count {
            let mut records = Vec::new();
            for key in poller.keys.clone() {
                let Some(real) = self.real.get(key).filter(|_| s.chance(0.8)) else { continue };
                let place = &mut poller.place[usize::from(key == "y")];
                if poller.subscribed && s.chance(0.3) {
                    *place = s.index(3);
                }
                let mut of_key = Vec::new();
                for _ in 0..s.index(4) {
                    *place += usize::from(s.chance(0.06));
                    *place = place.saturating_sub(usize::from(s.chance(0.03)));
                    of_key.extend(real.get(*place).copied());
                    *place += 1;
                }
                records.push((key, of_key.clone()));
                let consumer = self.consumer(poller);
                self.logs.entry(key).or_default().1.push((consumer, Some(of_key)));
            }
            answers.push(poll(&records));
        }
        self.recorder.ok(poller.process, micro(answers));
    }

    /// Each poll of a consumer that subscribed stands alone.
    fn consumer(&mut self, poller: &Poller) -> u32 {
        self.consumers += u32::from(poller.subscribed);
        if poller.subscribed { self.consumers } else { poller.consumer }
    }
}
