//! Counters, sources of identifiers, and accounts.

use super::{Planter, Simulated};
use fuzz_dist_history::op::Value;
use fuzz_dist_random::Stream;

/// More than all that clients add to a counter.
const FAR: i64 = 1_000_000_000;

pub(super) struct Counter {
    sum: i64,
    grows: bool,
    /// A node that has something more than the others in the end.
    ahead: i64,
}

impl Counter {
    /// That less is read than before is an anomaly only where nothing ever makes it less.
    pub(super) fn new(anomaly: Option<&str>) -> Counter {
        Counter { sum: 0, grows: anomaly == Some("not_monotonic"), ahead: 0 }
    }
}

impl Simulated for Counter {
    fn next(&mut self, random: &mut Stream) -> (&'static str, Value) {
        if random.chance(0.5) {
            return ("read", Value::Nil);
        }
        let n = 1 + random.below(9) as i64;
        ("add", if self.grows || random.chance(0.7) { n } else { -n }.into())
    }

    fn apply(&mut self, _: (u32, u16), f: &str, argument: &Value) -> Option<Value> {
        if let ("add", Some(n)) = (f, argument.as_int()) {
            self.sum += n;
            return Some(argument.clone());
        }
        Some(self.sum.into())
    }

    fn plant(&mut self, anomaly: &str, by: &mut Planter<'_>) {
        let (one, other) = (by.client(), by.client());
        let before = self.sum;
        match anomaly {
            "impossible_value" => by.did(one, "read", Value::Nil, (before + FAR).into()),
            "not_linearizable" => {
                by.invoke(one, "add", FAR.into());
                by.did(other, "read", Value::Nil, (before + FAR).into());
                by.did(other, "read", Value::Nil, before.into());
                by.done(one);
                self.sum += FAR;
            }
            "impossible_in_session" => {
                by.acknowledged(one, "add", FAR.into());
                by.did(one, "read", Value::Nil, before.into());
                self.sum += FAR;
            }
            "not_monotonic" => {
                by.acknowledged(one, "add", FAR.into());
                by.did(other, "read", Value::Nil, (before + FAR).into());
                by.did(other, "read", Value::Nil, before.into());
                self.sum += FAR;
            }
            "lost_increments" => by.acknowledged(one, "add", FAR.into()),
            "surplus" => {
                by.acknowledged(one, "add", FAR.into());
                self.sum += 2 * FAR;
            }
            "final_reads_differ" => {
                // One node alone has it.
                by.acknowledged(one, "add", FAR.into());
                self.ahead = FAR;
            }
            _ => {}
        }
    }

    fn finish(&mut self, _: Option<&str>, by: &mut Planter<'_>) {
        for node in by.finals.clone() {
            let client = by.client_on(node);
            let ahead = if node == 0 { self.ahead } else { 0 };
            by.did(client, "read", Value::Nil, (self.sum + ahead).into());
        }
    }
}

#[derive(Default)]
pub(super) struct Ids(i64);

impl Simulated for Ids {
    fn next(&mut self, _: &mut Stream) -> (&'static str, Value) {
        ("generate", Value::Nil)
    }

    fn apply(&mut self, _: (u32, u16), _: &str, _: &Value) -> Option<Value> {
        self.0 += 1;
        Some(self.0.into())
    }

    fn plant(&mut self, _: &str, by: &mut Planter<'_>) {
        self.0 += 1;
        for _ in 0..2 {
            let client = by.client();
            by.did(client, "generate", Value::Nil, self.0.into());
        }
    }

    fn finish(&mut self, _: Option<&str>, _: &mut Planter<'_>) {}
}

pub(super) struct Bank([i64; 5]);

impl Bank {
    pub(super) fn new() -> Bank {
        Bank([20; 5])
    }

    fn balances(accounts: &[i64]) -> Value {
        Value::Map((0..).zip(accounts).map(|(i, n)| (Value::Int(i), (*n).into())).collect())
    }
}

impl Simulated for Bank {
    fn next(&mut self, random: &mut Stream) -> (&'static str, Value) {
        if random.chance(0.5) {
            return ("read", Value::Nil);
        }
        let (from, to) = (random.index(5), random.index(5));
        let transfer =
            [("from", from as i64), ("to", to as i64), ("amount", 1 + random.below(5) as i64)];
        ("transfer", Value::map(transfer.map(|(k, n)| (k, n.into()))))
    }

    fn apply(&mut self, _: (u32, u16), f: &str, argument: &Value) -> Option<Value> {
        if f == "read" {
            return Some(Bank::balances(&self.0));
        }
        let part = |k| argument.get(k).and_then(Value::as_int).unwrap_or_default();
        let (from, to, amount) = (part("from") as usize, part("to") as usize, part("amount"));
        if self.0[from] < amount {
            return None;
        }
        self.0[from] -= amount;
        self.0[to] += amount;
        Some(argument.clone())
    }

    fn plant(&mut self, anomaly: &str, by: &mut Planter<'_>) {
        let mut accounts = self.0.to_vec();
        match anomaly {
            "wrong-total" => accounts[0] += 1,
            "negative-value" => {
                accounts[1] += accounts[0] + 1;
                accounts[0] = -1;
            }
            "missing-account" => drop(accounts.pop()),
            "unexpected-account" => accounts.push(0),
            _ => {}
        }
        let mut read = Bank::balances(&accounts);
        if let ("no-balance", Value::Map(entries)) = (anomaly, &mut read) {
            let none = entries.iter().map(|(k, _)| (k.clone(), Value::Nil));
            read = Value::Map(none.collect());
        }
        let client = by.client();
        by.did(client, "read", Value::Nil, read);
    }

    fn finish(&mut self, _: Option<&str>, by: &mut Planter<'_>) {
        for node in by.finals.clone() {
            let client = by.client_on(node);
            by.did(client, "read", Value::Nil, Bank::balances(&self.0));
        }
    }
}
