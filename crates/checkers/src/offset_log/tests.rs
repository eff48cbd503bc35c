//! Small logs, and an oracle that judges them by the definitions.

use std::collections::BTreeSet;

use super::super::Validity;
use super::super::histories::Recorder;
use super::*;
use fuzz_dist_history::op::{Kind, Process, Value};
use fuzz_dist_random::Seed;

#[test]
fn nonsense_and_nothing_are_unknown() {
    let mut r = Recorder::new(["n1"]);
    r.invoke(0, "poll", Value::Nil);
    r.ok(0, 5);
    assert_eq!(offset_log().check(&r.history()).validity, Validity::Unknown);
    assert_eq!(offset_log().check(&History::new(["n1"])).validity, Validity::Unknown);
    let mut r = Recorder::new(["n1"]);
    r.invoke(0, "send", 7);
    r.ok(0, "first");
    let verdict = offset_log().check(&r.history());
    assert_eq!(verdict.validity, Validity::Unknown);
    assert!(verdict.reasons[0].contains("is neither an offset nor"), "{verdict:#?}");
}

/// What stands beside another value at an offset was not passed over by who polled the other one.
#[test]
fn a_record_whose_offset_another_one_has_is_not_passed_over() {
    let mut r = Recorder::new(["n1"]);
    for offset in 0..4 {
        r.invoke(0, "send", 10 + offset);
        r.ok(0, offset);
    }
    r.invoke(1, "send", 14);
    r.info(1);
    r.invoke(2, "poll", Value::Nil);
    r.ok(2, Value::list([[1, 14], [3, 13]].map(Value::list)));
    let verdict = offset_log().check(&r.history());
    let named: Vec<(&str, i64)> =
        verdict.anomalies.iter().map(|a| (&*a.kind, a.subject.as_int().unwrap())).collect();
    assert_eq!(named, [("inconsistent", 1), ("lost", 12), ("skipped", 12)], "{verdict:#?}");
    assert_eq!(verdict.results["unsure_count"], 2, "10 and 11");
}

/// A send may be acknowledged without its offset, a poll may give nothing, and what others than clients
/// call send and poll is neither.
#[test]
fn what_says_nothing_is_passed_over() {
    let mut r = Recorder::new(["n1"]);
    for (value, offset) in [(7, Value::Nil), (8, Value::Int(1))] {
        r.invoke(0, "send", value);
        r.ok(0, offset);
    }
    for f in ["send", "poll"] {
        r.event(Process::NEMESIS, None, Kind::Info, f.into(), Value::from("anything"));
        r.event(Process::NEMESIS, None, Kind::Invoke, f.into(), Value::Int(7));
    }
    for records in [Value::Nil, Value::list([Value::list([0, 7]), Value::list([1, 8])])] {
        r.invoke(1, "poll", Value::Nil);
        r.ok(1, records);
    }
    let verdict = offset_log().check(&r.history());
    assert!(verdict.is_valid() && verdict.results["polled_count"] == 2, "{verdict:#?}");
}

#[test]
fn a_value_that_is_sent_twice_has_no_place() {
    // A send that failed is none.
    for (failed, reason) in [(true, "nothing was polled"), (false, "7 is sent twice")] {
        let mut r = Recorder::new(["n1"]);
        r.invoke(0, "send", 7);
        r.invoke(1, "send", 7);
        if failed {
            r.fail(0);
        }
        let verdict = offset_log().check(&r.history());
        assert_eq!(verdict.validity, Validity::Unknown);
        assert!(verdict.reasons[0].starts_with(reason), "{:?}", verdict.reasons);
    }
}

#[test]
fn the_first_event_at_an_offset_is_reported_though_its_value_had_stood_elsewhere() {
    let mut r = Recorder::new(["n1"]);
    let mut events = Vec::new();
    for (client, offset, value) in [(0, 0, 10), (1, 1, 11)] {
        r.invoke(client, "send", value);
        events.push(r.ok(client, offset));
    }
    // 10 again, at 2, where 11 is polled next.
    for (client, value) in [(2, 10), (3, 11)] {
        r.invoke(client, "poll", Value::Nil);
        events.push(r.ok(client, Value::list([Value::list([2, value])])));
    }
    let verdict = offset_log().check(&r.history());
    let found = verdict.anomalies.iter().map(|a| (&*a.kind, &*a.events));
    let expected = [
        ("inconsistent", [events[2], events[3]]),
        ("duplicate", [events[0], events[2]]),
        ("duplicate", [events[1], events[3]]),
    ];
    assert!(found.eq(expected.iter().map(|(kind, events)| (*kind, &events[..]))), "{verdict:?}");
}

#[test]
fn what_an_unknown_poll_may_have_returned_is_not_lost() {
    // Offsets 0 to 2 hold 10 to 12; one client does not know what it polled, or there is none.
    let history = |unknown: bool, first: bool| {
        let mut r = Recorder::new(["n1"]);
        for (offset, value) in [(0, 10), (1, 11), (2, 12)] {
            r.invoke(0, "send", value);
            r.ok(0, offset);
        }
        if unknown {
            r.invoke(1, "poll", Value::Nil);
            r.info(1);
        }
        r.invoke(2, "poll", Value::Nil);
        let all = [[0, 10], [2, 12]].into_iter().skip(usize::from(!first));
        r.ok(2, Value::list(all.map(Value::list)));
        r.history()
    };
    let check = |log: OffsetLog, unknown, first| log.check(&history(unknown, first)).validity;
    let (plain, from_start) = (offset_log(), offset_log().from_start(true));
    assert_eq!(check(plain, false, true), Validity::Invalid, "11 was passed over");
    // A skip is one whoever polled what was skipped.
    assert_eq!(offset_log().check(&history(true, true)).results["lost_count"], 0);
    assert_eq!(check(plain, false, false), Validity::Unknown, "it may have begun at 2");
    assert_eq!(check(from_start, false, false), Validity::Invalid);
    assert_eq!(check(from_start, true, false), Validity::Unknown);
}

#[test]
fn the_oracle_agrees_on_random_histories() {
    let mut totals = [0usize; 7];
    for seed in 0..5_000 {
        let (history, sent, polls) = random_history(Seed(seed));
        // Whoever polls from the start passes over what is before its first record.
        let start = seed % 3 == 0;
        let verdict = offset_log().from_start(start).check(&history);
        let polled = polls.iter().flat_map(|(_, records)| records).map(Vec::len).sum::<usize>();
        assert_eq!(verdict.results["polled_count"], polled, "seed {seed}");
        for (i, kind) in KINDS.iter().chain([&"unsure"]).enumerate() {
            let found = verdict.results[&*format!("{kind}_count")].as_u64().unwrap() as usize;
            let expected = oracle(kind, &sent, &polls, start);
            assert_eq!(found, expected, "seed {seed} {kind}: {sent:?} {polls:?}");
            totals[i] += expected.min(1);
        }
        let count = |kind| oracle(kind, &sent, &polls, start);
        let expected = match KINDS.iter().map(|kind| count(kind)).sum::<usize>() {
            0 if count("unsure") > 0 || verdict.results["polled_count"] == 0 => Validity::Unknown,
            0 => Validity::Valid,
            _ => Validity::Invalid,
        };
        assert_eq!(verdict.validity, expected, "seed {seed}: {sent:?} {polls:?}");
        assert!(!verdict.reasons.concat().contains("internal error"), "seed {seed}: {verdict:#?}");
    }
    assert!(totals.iter().all(|n| *n > 50), "{totals:?}");
}

pub(super) type Sent = Vec<(i64, Option<i64>, bool)>;
/// Client and what its poll gave; nothing where that is unknown.
pub(super) type Polls = Vec<(u32, Option<Vec<(i64, i64)>>)>;

/// Sends one after the other (value, offset where acknowledged, whether it may have
/// happened before the polls), then polls, then perhaps a send that comes too late. Sends of unknown
/// outcome are in the log from their invocation on, from some later time on, also between polls, or
/// never.
///
/// The history has other offsets and values than are given back, as near or far, and of
/// whatever type; their order and what is equal are the same.
fn random_history(seed: Seed) -> (History, Sent, Polls) {
    let mut s = seed.stream("offset_log");
    let (stride, least) = [(1, 0), (1, -3), (3, -7), (9_000, 0), (1 << 56, i64::MIN)][s.index(5)];
    let offset_of = |offset: i64| Value::Int(least + (offset + 1) * stride);
    let form = s.index(4);
    let value_of = |value: i64| match (form, value % 2) {
        (0, _) => Value::Int(value),
        (1, _) => Value::Int(value << 59),
        (2, 0) => Value::from(format!("{value}")),
        _ => Value::list([value]),
    };
    let mut r = Recorder::new(["n1"]);
    let (mut sent, mut polls, mut log): (Sent, Polls, Vec<(i64, i64)>) = Default::default();
    let mut late: Vec<i64> = Vec::new();
    let arrive = |log: &mut Vec<(i64, i64)>, value: i64| {
        log.push((log.last().map_or(0, |(o, _)| o + 1), value));
    };
    for value in 0..s.below(6) as i64 {
        late.extract_if(.., |_| s.chance(0.3)).for_each(|value| arrive(&mut log, value));
        r.invoke(value as u32, "send", value_of(value));
        let offset = log.last().map_or(0, |(o, _)| o + 1 + i64::from(s.chance(0.1)));
        let offset = if s.chance(0.04) { offset - 1 } else { offset };
        let roll = s.unit();
        if roll < 0.8 {
            r.ok(value as u32, offset_of(offset));
            sent.push((value, Some(offset), true));
        } else if roll < 0.9 {
            r.fail(value as u32);
            sent.push((value, None, false));
        } else {
            r.info(value as u32);
            sent.push((value, None, true));
        }
        if roll < 0.8 || s.chance(0.3) {
            log.push((offset, value));
        } else if roll >= 0.9 {
            late.push(value);
        }
    }
    if s.chance(0.1) {
        log.push((log.len() as i64, 9));
    }
    let mut place = [0usize; 2];
    let mut process = [10u32, 11];
    for _ in 0..s.index(5) {
        late.extract_if(.., |_| s.chance(0.3)).for_each(|value| arrive(&mut log, value));
        let client = s.index(2);
        let mut records = Vec::new();
        for _ in 0..s.index(4) {
            place[client] += usize::from(s.chance(0.08));
            place[client] = place[client].saturating_sub(usize::from(s.chance(0.05)));
            records.extend(log.get(place[client]).copied());
            place[client] += 1;
        }
        if s.chance(0.03) && !log.is_empty() {
            records.push((99, log[0].1));
        }
        let p = process[client];
        r.invoke(p, "poll", Value::Nil);
        if s.chance(0.08) {
            // Whoever goes on after it begins behind what it may have taken.
            r.info(p);
            process[client] += 2;
            polls.push((p, None));
            continue;
        }
        let list = records.iter().map(|(o, v)| Value::list([offset_of(*o), value_of(*v)]));
        r.ok(p, Value::list(list));
        polls.push((p, Some(records)));
    }
    if s.chance(0.1) {
        r.invoke(20, "send", value_of(9));
        r.info(20);
    }
    (r.history(), sent, polls)
}

pub(super) fn oracle(kind: &str, sent: &Sent, polls: &Polls, start: bool) -> usize {
    let acked: Vec<(i64, i64)> = sent.iter().filter_map(|(v, o, _)| Some(((*o)?, *v))).collect();
    let polled: Vec<(i64, i64)> =
        polls.iter().flat_map(|(_, r)| r.clone().unwrap_or_default()).collect();
    let all: Vec<(i64, i64)> = acked.iter().chain(&polled).copied().collect();
    let offsets: BTreeSet<i64> = all.iter().map(|(o, _)| *o).collect();
    let values: BTreeSet<i64> = all.iter().map(|(_, v)| *v).collect();
    let at = |o: i64| all.iter().filter(|r| r.0 == o).map(|r| r.1).collect::<BTreeSet<_>>();
    let of = |v: i64| all.iter().filter(|r| r.1 == v).map(|r| r.0).collect::<BTreeSet<_>>();
    let was_polled = |v: i64| polled.iter().any(|r| r.1 == v);
    let clients: BTreeSet<u32> = polls.iter().map(|(p, _)| *p).collect();
    let steps = |test: &dyn Fn(i64, i64) -> bool| {
        let of_client = |c: &u32| {
            let own: Vec<i64> = (polls.iter().filter(|(p, _)| p == c))
                .flat_map(|(_, r)| r.iter().flatten().map(|x| x.0))
                .collect();
            own.windows(2).filter(|w| test(w[0], w[1])).count()
        };
        clients.iter().map(of_client).sum::<usize>()
    };
    match kind {
        "inconsistent" => offsets.iter().filter(|o| at(**o).len() > 1).count(),
        "duplicate" => values.iter().filter(|v| of(**v).len() > 1).count(),
        "unexpected" => {
            let may = |v: i64| sent.iter().any(|s| s.0 == v && s.2);
            values.iter().filter(|v| was_polled(**v) && !may(**v)).count()
        }
        "lost" | "unsure" => {
            let last = polled.iter().map(|r| r.0).max();
            let below = |r: &&(i64, i64)| last.is_some_and(|l| r.0 < l);
            let starts_behind = |o: i64| {
                clients.iter().any(|c| {
                    let own = polls.iter().filter(|(p, _)| p == c);
                    let first = own.flat_map(|(_, r)| r.iter().flatten()).next();
                    first.is_some_and(|(at, _)| *at > o)
                })
            };
            let over = |o: i64| steps(&|a, b| a < o && o < b) > 0 || start && starts_behind(o);
            let taken = |o: i64| {
                polls.iter().filter(|(_, r)| r.is_none()).any(|(open, _)| {
                    let own = polls.iter().filter(|(p, _)| p == open);
                    let last = own.flat_map(|(_, r)| r.iter().flatten()).last();
                    last.is_none_or(|(at, _)| *at < o)
                })
            };
            let certain = |o: i64| over(o) && !taken(o);
            let unpolled = acked.iter().filter(below).filter(|r| !was_polled(r.1));
            unpolled.filter(|r| certain(r.0) == (kind == "lost")).count()
        }
        "non_monotonic" => steps(&|a, b| b <= a),
        _ => steps(&|a, b| b > a && offsets.iter().any(|o| a < *o && *o < b)),
    }
}
