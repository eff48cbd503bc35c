//! Queues and logs.

use std::collections::VecDeque;

use super::{Planter, Simulated};
use fuzz_dist_history::op::Value;
use fuzz_dist_random::Stream;

#[derive(Default)]
pub(super) struct Queue {
    held: VecDeque<i64>,
    next: i64,
}

impl Simulated for Queue {
    fn next(&mut self, random: &mut Stream) -> (&'static str, Value) {
        if random.chance(0.5) {
            return ("dequeue", Value::Nil);
        }
        self.next += 1;
        ("enqueue", (self.next - 1).into())
    }

    fn apply(&mut self, _: (u32, u16), f: &str, argument: &Value) -> Option<Value> {
        match (f, argument.as_int()) {
            ("enqueue", Some(v)) => {
                self.held.push_back(v);
                Some(argument.clone())
            }
            _ => Some(self.held.pop_front().into()),
        }
    }

    /// What an unknown dequeue may have taken could not be missed.
    fn is_certain(&self, f: &str) -> bool {
        f == "dequeue"
    }

    fn plant(&mut self, anomaly: &str, by: &mut Planter<'_>) {
        let (one, other) = (by.client(), by.client());
        // What others put in would come first.
        while let Some(v) = self.held.pop_front() {
            by.did(one, "dequeue", Value::Nil, v.into());
        }
        let (a, b) = (self.next, self.next + 1);
        self.next += 2;
        let put = |by: &mut Planter<'_>, all: &[i64]| {
            all.iter().for_each(|v| by.acknowledged(one, "enqueue", (*v).into()));
        };
        let took = |by: &mut Planter<'_>, all: &[i64]| {
            all.iter().for_each(|v| by.did(other, "dequeue", Value::Nil, (*v).into()));
        };
        match anomaly {
            "lost" => {
                put(by, &[a, b]);
                took(by, &[b]);
            }
            "unexpected" => took(by, &[-1]),
            "duplicate" => {
                put(by, &[a]);
                took(by, &[a, a]);
            }
            "early" => {
                took(by, &[a]);
                put(by, &[a]);
            }
            "reordered" => {
                put(by, &[a, b]);
                took(by, &[b, a]);
            }
            "not_empty" => {
                put(by, &[a]);
                by.did(other, "dequeue", Value::Nil, Value::Nil);
                took(by, &[a]);
            }
            _ => {}
        }
    }

    fn finish(&mut self, _: Option<&str>, by: &mut Planter<'_>) {
        let client = by.client();
        while let Some(v) = self.held.pop_front() {
            by.did(client, "dequeue", Value::Nil, v.into());
        }
        by.did(client, "dequeue", Value::Nil, Value::Nil);
    }
}

#[derive(Default)]
pub(super) struct Log {
    /// `None` where what stood there was lost.
    records: Vec<Option<i64>>,
    next: i64,
}

impl Log {
    fn records(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        let placed = (0..).zip(&self.records);
        placed.filter_map(|(offset, v)| Some((offset, (*v)?)))
    }

    fn fresh(&mut self) -> i64 {
        self.next += 1;
        self.next - 1
    }

    fn send(&mut self, by: &mut Planter<'_>) -> i64 {
        let (client, value) = (by.client(), self.fresh());
        self.records.push(Some(value));
        by.did(client, "send", value.into(), self.last().into());
        value
    }

    fn last(&self) -> i64 {
        self.records.len() as i64 - 1
    }
}

fn list(records: impl IntoIterator<Item = (i64, i64)>) -> Value {
    Value::list(records.into_iter().map(|(offset, v)| Value::list([offset, v])))
}

impl Simulated for Log {
    fn next(&mut self, random: &mut Stream) -> (&'static str, Value) {
        // Whoever polls goes on from where it was; one that polls once may begin anywhere.
        if random.chance(0.9) { ("send", self.fresh().into()) } else { ("poll", Value::Nil) }
    }

    fn apply(&mut self, _: (u32, u16), f: &str, argument: &Value) -> Option<Value> {
        match (f, argument.as_int()) {
            ("send", Some(v)) => {
                self.records.push(Some(v));
                Some(self.last().into())
            }
            _ => Some(Value::list::<Value>([])),
        }
    }

    /// What an unknown poll may have returned could not be missed.
    fn is_certain(&self, f: &str) -> bool {
        f == "poll"
    }

    fn plant(&mut self, anomaly: &str, by: &mut Planter<'_>) {
        let (one, other) = (by.client(), by.client());
        let (a, b, c) = (self.send(by), self.send(by), self.send(by));
        let at = self.last() - 2;
        match anomaly {
            "inconsistent" => {
                let value = self.fresh();
                by.did(one, "send", value.into(), at.into());
            }
            "duplicate" => by.did(one, "poll", Value::Nil, list([(at, a), (at + 50_000, a)])),
            "unexpected" => by.did(one, "poll", Value::Nil, list([(at + 50_000, -1)])),
            "lost" => {
                let value = self.fresh();
                self.records.push(None);
                by.did(one, "send", value.into(), self.last().into());
                self.send(by);
            }
            "non_monotonic" => {
                by.did(other, "poll", Value::Nil, list([(at, a), (at + 1, b)]));
                by.did(other, "poll", Value::Nil, list([(at, a)]));
            }
            "skipped" => by.did(other, "poll", Value::Nil, list([(at, a), (at + 2, c)])),
            _ => {}
        }
    }

    fn finish(&mut self, _: Option<&str>, by: &mut Planter<'_>) {
        for node in by.finals.clone() {
            let client = by.client_on(node);
            let all: Vec<(i64, i64)> = self.records().collect();
            for some in all.chunks(7) {
                by.did(client, "poll", Value::Nil, list(some.iter().copied()));
            }
        }
    }
}
