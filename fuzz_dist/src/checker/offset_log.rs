//! `offset_log`: a log whose records have offsets: each one place, each read in order.
//!
//! For logs in the manner of Kafka. `send v` gives the offset of the record, or nil; `poll`
//! gives a list of pairs, offset and value. Values are distinct. The anomalies are those that
//! Jepsen's kafka workload names, for one log (`independent` judges several).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::calls::{Outcome, calls};
use super::evidence::{count, node_of};
use super::recheck::{self, rechecked};
use super::{ANOMALIES_MAX, Anomaly, Checker, Verdict};
use crate::history::History;
use crate::op::Value;

/// Judges logs with offsets; see [`offset_log`].
#[derive(Clone, Copy, Debug, Default)]
pub struct OffsetLog;

/// Judges a log:
/// - *inconsistent*: two values at one offset;
/// - *duplicate*: one value at two offsets;
/// - *unexpected*: a value that nobody sent, or whose sending failed;
/// - *lost*: acknowledged at an offset below one that was polled, and never polled;
/// - *non_monotonic*: one client's polls go back, or repeat;
/// - *skipped*: one client's polls pass over an offset that holds a record.
///
/// ```
/// # use fuzz_dist::checker::{Checker, offset_log, histories::Recorder};
/// # use fuzz_dist::op::Value;
/// let mut r = Recorder::new(["n1"]);
/// for (offset, value) in [(0, 10), (1, 11)] {
///     r.invoke(0, "send", value);
///     r.ok(0, offset);
/// }
/// r.invoke(1, "poll", Value::Nil);
/// r.ok(1, Value::list([[1, 11]].map(Value::list)));
/// let verdict = offset_log().check(&r.history());
/// assert_eq!(&*verdict.anomalies[0].kind, "lost");
/// ```
pub fn offset_log() -> OffsetLog {
    OffsetLog
}

const KINDS: [&str; 6] =
    ["inconsistent", "duplicate", "unexpected", "lost", "non_monotonic", "skipped"];

/// A record as one operation saw it.
#[derive(Clone, Debug)]
struct Seen {
    offset: i64,
    value: Value,
    event: usize,
    polled: bool,
}

impl Checker for OffsetLog {
    fn check(&self, history: &History) -> Verdict {
        if let Some((first, second)) = sent_twice(history) {
            let value = history.value(second);
            let why = format!(
                "{value} is sent twice, at events {first} and {second}, so its place cannot be told"
            );
            return Verdict::unknown("offset_log", why);
        }
        let seen = match gather(history) {
            Ok(seen) => seen,
            Err(i) => {
                let why = format!(
                    "{} at event {i} is neither an offset nor a list of pairs",
                    history.value(i)
                );
                return Verdict::unknown("offset_log", why);
            }
        };
        let mut found: BTreeMap<&str, Vec<Anomaly>> = BTreeMap::new();
        let mut add = |kind: &'static str, value: Value, text: String, events: Vec<usize>| {
            let time = events.last().map_or(crate::time::Time::ZERO, |e| history.time(*e));
            let anomaly = Anomaly::new(kind, value).explained(text).at(time).proved_by(events);
            found.entry(kind).or_default().push(anomaly);
        };
        places(&seen, &mut add);
        strangers(history, &seen, &mut add);
        losses(history, &seen, &mut add);
        orders(history, &seen, &mut add);
        let polled = seen.iter().filter(|s| s.polled).count();
        let reasons: Vec<String> = KINDS
            .iter()
            .filter_map(|k| Some(format!("{}: {k}", count(found.get(k)?.len(), "record"))))
            .collect();
        let mut verdict = match reasons.split_first() {
            Some((first, rest)) => {
                rest.iter().fold(Verdict::invalid("offset_log", first), |v, r| v.because(r))
            }
            None if polled == 0 => Verdict::unknown("offset_log", "nothing was polled"),
            None => Verdict::valid("offset_log"),
        };
        for kind in KINDS {
            let all = found.remove(kind).unwrap_or_default();
            verdict = verdict.with(format!("{kind}_count"), all.len());
            verdict.anomalies.extend(all.into_iter().take(ANOMALIES_MAX));
        }
        let verdict = verdict.with("polled_count", polled);
        rechecked(history, verdict, recheck::offset_log)
    }
}

/// Two sends of one value that may both have happened.
fn sent_twice(history: &History) -> Option<(usize, usize)> {
    let mut sent: HashMap<Value, usize> = HashMap::new();
    calls(history, &["send"]).filter(|c| c.outcome != Outcome::Failed).find_map(|call| {
        let first = sent.insert(history.value(call.invoked), call.invoked)?;
        Some((first, call.invoked))
    })
}

fn gather(history: &History) -> Result<Vec<Seen>, usize> {
    let mut seen = Vec::new();
    for call in calls(history, &["send", "poll"]) {
        let Some(done) = call.acknowledged() else { continue };
        if &**history.function(call.invoked) == "send" {
            let value = history.value(call.invoked);
            match history.value(done) {
                Value::Int(offset) => seen.push(Seen { offset, value, event: done, polled: false }),
                Value::Nil => {}
                _ => return Err(done),
            }
            continue;
        }
        let value = history.value(done);
        let empty: &[Value] = &[];
        let records = if value.is_nil() { Some(empty) } else { value.as_list() };
        for record in records.ok_or(done)? {
            let Some([Value::Int(offset), value]) = record.as_list() else { return Err(done) };
            seen.push(Seen { offset: *offset, value: value.clone(), event: done, polled: true });
        }
    }
    seen.sort_by_key(|s| s.event);
    Ok(seen)
}

type Add<'a> = &'a mut dyn FnMut(&'static str, Value, String, Vec<usize>);

/// One value for each offset, one offset for each value.
fn places(seen: &[Seen], add: Add<'_>) {
    let mut at: HashMap<i64, &Seen> = HashMap::new();
    let mut of: HashMap<&Value, &Seen> = HashMap::new();
    let (mut told_offset, mut told_value) = (BTreeSet::new(), BTreeSet::new());
    for s in seen {
        let first = *at.entry(s.offset).or_insert(s);
        if first.value != s.value && told_offset.insert(s.offset) {
            let text = format!("offset {} holds {} and {}", s.offset, first.value, s.value);
            add("inconsistent", Value::Int(s.offset), text, vec![first.event, s.event]);
        }
        let first = *of.entry(&s.value).or_insert(s);
        if first.offset != s.offset && told_value.insert(&s.value) {
            let text = format!("{} stands at offsets {} and {}", s.value, first.offset, s.offset);
            add("duplicate", s.value.clone(), text, vec![first.event, s.event]);
        }
    }
}

/// Polled, though nobody had begun to send it.
fn strangers(history: &History, seen: &[Seen], add: Add<'_>) {
    let mut sent: HashMap<Value, usize> = HashMap::new();
    for call in calls(history, &["send"]).filter(|c| c.outcome != Outcome::Failed) {
        sent.entry(history.value(call.invoked)).or_insert(call.invoked);
    }
    let mut told = BTreeSet::new();
    for s in seen.iter().filter(|s| s.polled) {
        if sent.get(&s.value).is_none_or(|i| *i > s.event) && told.insert(&s.value) {
            let (node, time) = (node_of(history, s.event), history.time(s.event));
            let text = format!(
                "{} was polled on {node} at {time}, but nobody had sent it, or its sending had failed",
                s.value
            );
            add("unexpected", s.value.clone(), text, vec![s.event]);
        }
    }
}

/// Acknowledged below what was polled, and never polled.
fn losses(history: &History, seen: &[Seen], add: Add<'_>) {
    let polled: BTreeSet<&Value> = seen.iter().filter(|s| s.polled).map(|s| &s.value).collect();
    let Some(last) = seen.iter().filter(|s| s.polled).max_by_key(|s| s.offset) else { return };
    for s in seen.iter().filter(|s| !s.polled && s.offset < last.offset) {
        if !polled.contains(&s.value) {
            let text = format!(
                "{} was acknowledged by {} at {} with offset {}, and nobody ever polled it, though offset {} was polled",
                s.value,
                node_of(history, s.event),
                history.time(s.event),
                s.offset,
                last.offset
            );
            add("lost", s.value.clone(), text, vec![s.event, last.event]);
        }
    }
}

/// Each client's polls go forward and pass over nothing.
fn orders(history: &History, seen: &[Seen], add: Add<'_>) {
    let known: BTreeMap<i64, &Value> = seen.iter().map(|s| (s.offset, &s.value)).collect();
    let mut last: HashMap<u32, &Seen> = HashMap::new();
    for s in seen.iter().filter(|s| s.polled) {
        let client = history.process(s.event);
        let Some(former) = last.insert(client.0, s) else { continue };
        let events = vec![former.event, s.event];
        if s.offset <= former.offset {
            let text =
                format!("client {client} polled offset {} after {}", s.offset, former.offset);
            add("non_monotonic", s.value.clone(), text, events);
        } else if let Some((offset, value)) = known.range(former.offset + 1..s.offset).next() {
            let text = format!(
                "client {client} polled offset {} after {}, passing over offset {offset} with {value}",
                s.offset, former.offset
            );
            add("skipped", (*value).clone(), text, events);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Validity;
    use super::super::histories::Recorder;
    use super::*;
    use crate::random::Seed;

    #[test]
    fn nonsense_and_nothing_are_unknown() {
        let mut r = Recorder::new(["n1"]);
        r.invoke(0, "poll", Value::Nil);
        r.ok(0, 5);
        assert_eq!(offset_log().check(&r.history()).validity, Validity::Unknown);
        assert_eq!(offset_log().check(&History::new(["n1"])).validity, Validity::Unknown);
    }

    #[test]
    fn the_twin_agrees_on_random_histories() {
        let mut totals = [0usize; 6];
        for seed in 0..10_000 {
            let (history, sent, polls) = random_history(Seed(seed));
            let verdict = offset_log().check(&history);
            for (i, kind) in KINDS.iter().enumerate() {
                let found = verdict.results[&*format!("{kind}_count")].as_u64().unwrap() as usize;
                let expected = twin(kind, &sent, &polls);
                assert_eq!(found, expected, "seed {seed} {kind}: {sent:?} {polls:?}");
                totals[i] += expected.min(1);
            }
        }
        assert!(totals.iter().all(|n| *n > 100), "{totals:?}");
    }

    type Sent = Vec<(i64, Option<i64>, bool)>;
    type Polls = Vec<(u32, Vec<(i64, i64)>)>;

    /// Sends one after the other (value, offset where acknowledged, whether it may have
    /// happened), then polls.
    fn random_history(seed: Seed) -> (History, Sent, Polls) {
        let mut s = seed.stream("offset_log");
        let mut r = Recorder::new(["n1"]);
        let (mut sent, mut polls, mut log): (Sent, Polls, Vec<(i64, i64)>) = Default::default();
        for value in 0..s.below(6) as i64 {
            r.invoke(value as u32, "send", value);
            let offset = log.last().map_or(0, |(o, _)| o + 1 + i64::from(s.chance(0.1)));
            let offset = if s.chance(0.04) { offset - 1 } else { offset };
            let roll = s.unit();
            if roll < 0.8 {
                r.ok(value as u32, offset);
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
            }
        }
        if s.chance(0.1) {
            log.push((log.len() as i64, 9));
        }
        let mut place = [0usize; 2];
        for _ in 0..s.index(5) {
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
            r.invoke(10 + client as u32, "poll", Value::Nil);
            let list = records.iter().map(|(o, v)| Value::list([*o, *v]));
            r.ok(10 + client as u32, Value::list(list));
            polls.push((client as u32, records));
        }
        (r.history(), sent, polls)
    }

    fn twin(kind: &str, sent: &Sent, polls: &Polls) -> usize {
        let acked: Vec<(i64, i64)> =
            sent.iter().filter_map(|(v, o, _)| Some(((*o)?, *v))).collect();
        let polled: Vec<(i64, i64)> = polls.iter().flat_map(|(_, r)| r.clone()).collect();
        let all: Vec<(i64, i64)> = acked.iter().chain(&polled).copied().collect();
        let offsets: BTreeSet<i64> = all.iter().map(|(o, _)| *o).collect();
        let values: BTreeSet<i64> = all.iter().map(|(_, v)| *v).collect();
        let at = |o: i64| all.iter().filter(|r| r.0 == o).map(|r| r.1).collect::<BTreeSet<_>>();
        let of = |v: i64| all.iter().filter(|r| r.1 == v).map(|r| r.0).collect::<BTreeSet<_>>();
        let was_polled = |v: i64| polled.iter().any(|r| r.1 == v);
        let steps = |test: &dyn Fn(i64, i64) -> bool| {
            let of_client = |c| {
                let own: Vec<i64> = (polls.iter().filter(|(p, _)| *p == c))
                    .flat_map(|(_, r)| r.iter().map(|x| x.0))
                    .collect();
                own.windows(2).filter(|w| test(w[0], w[1])).count()
            };
            of_client(0) + of_client(1)
        };
        match kind {
            "inconsistent" => offsets.iter().filter(|o| at(**o).len() > 1).count(),
            "duplicate" => values.iter().filter(|v| of(**v).len() > 1).count(),
            "unexpected" => {
                let may = |v: i64| sent.iter().any(|s| s.0 == v && s.2);
                values.iter().filter(|v| was_polled(**v) && !may(**v)).count()
            }
            "lost" => {
                let last = polled.iter().map(|r| r.0).max();
                let below = |r: &&(i64, i64)| last.is_some_and(|l| r.0 < l);
                acked.iter().filter(below).filter(|r| !was_polled(r.1)).count()
            }
            "non_monotonic" => steps(&|a, b| b <= a),
            _ => steps(&|a, b| b > a && offsets.iter().any(|o| a < *o && *o < b)),
        }
    }
}
