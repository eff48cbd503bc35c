//! `offset_log`: a log whose records have offsets: each one place, each read in order.
//!
//! For logs in the manner of Kafka. `send v` gives the offset of the record, or nil; `poll`
//! gives a list of pairs, offset and value. Values are distinct. The anomalies are those that
//! Jepsen's kafka workload names, for one log (`independent` judges several).

use std::collections::BTreeMap;

use super::calls::{Call, Outcome, calls};
use super::dense::{self, Clients, Dense, NONE};
use super::evidence::{count, node_of};
use super::recheck::{self, rechecked};
use super::{ANOMALIES_MAX, Anomaly, Checker, Verdict};
use crate::history::{History, View};
use crate::op::{Kind, Value};

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
#[derive(Clone, Copy, Debug)]
struct Seen {
    offset: i64,
    /// The number of its value.
    value: u32,
    event: u32,
    polled: bool,
}

/// What a history says about its log.
struct Log<'a> {
    history: &'a History,
    /// Those that may have happened; the value of each has the number that is its place here.
    sends: Vec<Call>,
    values: Dense<'a>,
    offsets: Dense<'a>,
    /// In the order of completions.
    seen: Vec<Seen>,
    found: BTreeMap<&'static str, Vec<Anomaly>>,
}

impl Checker for OffsetLog {
    fn check(&self, history: &History) -> Verdict {
        let sends: Vec<Call> =
            calls(history, &["send"]).filter(|c| c.outcome != Outcome::Failed).collect();
        let words = sends.iter().map(|c| history.word(c.invoked));
        let mut values = Dense::expecting(history, words);
        for (n, send) in sends.iter().enumerate() {
            let id = values.event(send.invoked) as usize;
            if id != n {
                let (first, second) = (sends[id].invoked, send.invoked);
                let why = format!(
                    "{} is sent twice, at events {first} and {second}, so its place cannot be told",
                    history.value(second)
                );
                return Verdict::unknown("offset_log", why);
            }
        }
        let mut log = match Log::of(history, sends, values) {
            Ok(log) => log,
            Err(i) => {
                let why = format!(
                    "{} at event {i} is neither an offset nor a list of pairs",
                    history.value(i)
                );
                return Verdict::unknown("offset_log", why);
            }
        };
        log.places();
        log.strangers();
        log.losses();
        log.orders();
        let polled = log.seen.iter().filter(|s| s.polled).count();
        let mut found = log.found;
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

impl<'a> Log<'a> {
    fn of(history: &'a History, sends: Vec<Call>, values: Dense<'a>) -> Result<Log<'a>, usize> {
        let (send, poll) = (history.find_function("send"), history.find_function("poll"));
        let acknowledged = || {
            (0..history.len())
                .filter(|i| history.kind(*i) == Kind::Ok && history.process(*i).is_client())
                .filter_map(|i| Some((i, history.invocation(i)?)))
        };
        let sent = |f| Some(history.function_index(f)) == send;
        let offsets = sends.iter().filter_map(Call::acknowledged).map(|done| history.word(done));
        let offsets = Dense::expecting(history, offsets);
        let mut log =
            Log { history, sends, values, offsets, seen: Vec::new(), found: BTreeMap::new() };
        for (done, invoked) in acknowledged() {
            if sent(done) {
                match history.view(done) {
                    Some(View::Int(offset)) => {
                        let value = log.values.event(invoked);
                        log.seen.push(Seen { offset, value, event: done as u32, polled: false });
                    }
                    Some(View::Nil) => {}
                    _ => return Err(done),
                }
            } else if Some(history.function_index(done)) == poll {
                log.poll(done).ok_or(done)?;
            }
        }
        Ok(log)
    }

    fn poll(&mut self, done: usize) -> Option<()> {
        let records = match self.history.view(done)? {
            View::Nil => return Some(()),
            View::List(records) => records,
            _ => return None,
        };
        for record in records.iter() {
            let [offset, value] = record.as_list()?.words() else { return None };
            let offset = self.history.int_of(*offset)?;
            let value = self.values.word(*value);
            self.seen.push(Seen { offset, value, event: done as u32, polled: true });
        }
        Some(())
    }

    fn add(&mut self, kind: &'static str, value: Value, text: String, events: Vec<u32>) {
        let events: Vec<usize> = events.into_iter().map(|e| e as usize).collect();
        let time = events.last().map_or(crate::time::Time::ZERO, |e| self.history.time(*e));
        let anomaly = Anomaly::new(kind, value).explained(text).at(time).proved_by(events);
        self.found.entry(kind).or_default().push(anomaly);
    }

    /// One value for each offset, one offset for each value.
    fn places(&mut self) {
        // Per offset and per value: the first record with it, and whether another was told.
        let mut at: Vec<(u32, bool)> = Vec::with_capacity(self.offsets.len());
        let mut of: Vec<(u32, bool)> = vec![(NONE, false); self.values.len()];
        for place in 0..self.seen.len() {
            let s = self.seen[place];
            let offset = self.offsets.int(s.offset) as usize;
            if offset == at.len() {
                at.push((place as u32, false));
            }
            let (first, told) = &mut at[offset];
            let first = self.seen[*first as usize];
            if first.value != s.value && !std::mem::replace(told, true) {
                let (one, other) = (self.values.value(first.value), self.values.value(s.value));
                let text = format!("offset {} holds {one} and {other}", s.offset);
                let events = vec![first.event, s.event];
                self.add("inconsistent", Value::Int(s.offset), text, events);
            }
            let (first, told) = &mut of[s.value as usize];
            if *first == NONE {
                *first = place as u32;
            }
            let first = self.seen[*first as usize];
            if first.offset != s.offset && !std::mem::replace(told, true) {
                let value = self.values.value(s.value);
                let text = format!("{value} stands at offsets {} and {}", first.offset, s.offset);
                self.add("duplicate", value, text, vec![first.event, s.event]);
            }
        }
    }

    /// Polled, though nobody had begun to send it.
    fn strangers(&mut self) {
        let mut told: Vec<bool> = vec![false; self.values.len()];
        for place in 0..self.seen.len() {
            let s = self.seen[place];
            let sent = self.sends.get(s.value as usize).map(|send| send.invoked);
            let early = sent.is_none_or(|sent| sent > s.event as usize);
            if s.polled && early && !std::mem::replace(&mut told[s.value as usize], true) {
                let value = self.values.value(s.value);
                let event = s.event as usize;
                let (node, time) = (node_of(self.history, event), self.history.time(event));
                let text = format!(
                    "{value} was polled on {node} at {time}, but nobody had sent it, or its sending had failed"
                );
                self.add("unexpected", value, text, vec![s.event]);
            }
        }
    }

    /// Acknowledged below what was polled, and never polled.
    fn losses(&mut self) {
        let mut polled = vec![false; self.values.len()];
        let mut last: Option<Seen> = None;
        for s in self.seen.iter().filter(|s| s.polled) {
            polled[s.value as usize] = true;
            last = last.filter(|l| l.offset > s.offset).or(Some(*s));
        }
        let Some(last) = last else { return };
        for place in 0..self.seen.len() {
            let s = self.seen[place];
            if s.polled || s.offset >= last.offset || polled[s.value as usize] {
                continue;
            }
            let (value, event) = (self.values.value(s.value), s.event as usize);
            let text = format!(
                "{value} was acknowledged by {} at {} with offset {}, and nobody ever polled it, though offset {} was polled",
                node_of(self.history, event),
                self.history.time(event),
                s.offset,
                last.offset
            );
            self.add("lost", value, text, vec![s.event, last.event]);
        }
    }

    /// Each client's polls go forward and pass over nothing.
    fn orders(&mut self) {
        let mut known: Vec<(i64, u32)> = Vec::new();
        let (mut clients, mut last) = (Clients::default(), Vec::new());
        for place in 0..self.seen.len() {
            let s = self.seen[place];
            if !s.polled {
                continue;
            }
            let client = self.history.process(s.event as usize);
            let last = dense::place::<Option<Seen>>(&mut last, clients.number(client));
            let Some(former) = last.replace(s) else { continue };
            if s.offset > former.offset && s.offset - 1 == former.offset {
                continue;
            }
            let events = vec![former.event, s.event];
            if s.offset <= former.offset {
                let text =
                    format!("client {client} polled offset {} after {}", s.offset, former.offset);
                let value = self.values.value(s.value);
                self.add("non_monotonic", value, text, events);
            } else if s.offset - 1 > former.offset {
                if known.is_empty() {
                    // Of several values at one offset the last one is told.
                    known = self.seen.iter().map(|s| (s.offset, s.value)).collect();
                    known.sort_by_key(|(offset, _)| *offset);
                }
                let next = known.partition_point(|(offset, _)| *offset <= former.offset);
                let offset = known[next].0;
                if offset < s.offset {
                    let end = known.partition_point(|(known, _)| *known <= offset);
                    let value = self.values.value(known[end - 1].1);
                    let text = format!(
                        "client {client} polled offset {} after {}, passing over offset {offset} with {value}",
                        s.offset, former.offset
                    );
                    self.add("skipped", value, text, events);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
