//! Witnesses about counters and accounts.

use super::{Facts, Held, Sums, that};
use crate::Anomaly;
use crate::calls::{Call, Outcome, calls};
use crate::linear::{CounterModel, Model as _, Step};
use fuzz_dist_history::op::Value;

const ADDS: [&str; 6] = ["add", "increment", "inc", "decrement", "dec", "update"];

/// Sums are distinguished bit by bit up to this distance between the least and the greatest one, and with
/// no more work than this.
const SPAN_MAX: i128 = 1 << 26;
const WORK_MAX: i128 = 1 << 32;

impl Facts<'_> {
    /// All increments that may have happened, with their sizes.
    fn increments(&self) -> Vec<(Call, i128)> {
        let h = self.history;
        let size = |c: &Call| {
            let n = if h.value(c.invoked).is_nil() { Some(1) } else { h.int(c.invoked) };
            let n = i128::from(n.unwrap_or_default());
            if h.function(c.invoked).starts_with("dec") { -n } else { n }
        };
        let all = calls(h, &ADDS).filter(|c| c.outcome != Outcome::Failed);
        all.map(|c| (c, size(&c))).collect()
    }
}

/// Is `value` the sum of some of the numbers? Bit by bit, as in the knapsack problem. `None` where there
/// are too many sums to say so.
fn is_sum_of_some(value: i128, numbers: &[i128]) -> Option<bool> {
    let low: i128 = numbers.iter().filter(|n| **n < 0).sum();
    let high: i128 = numbers.iter().filter(|n| **n > 0).sum();
    if !(low..=high).contains(&value) {
        return Some(false);
    }
    let span = high - low + 1;
    if span > SPAN_MAX || span / 64 * numbers.len() as i128 > WORK_MAX {
        // Few numbers that are far apart: all sums, one by one.
        let mut sums = Sums::zero(1 << 18);
        numbers.iter().for_each(|n| sums.one_of(&[0, *n]));
        let possible = sums.contains(value);
        return (!possible || sums.is_exact()).then_some(possible);
    }
    // Bit i stands for the sum `low + i`.
    let mut sums = vec![false; span as usize];
    sums[(-low) as usize] = true;
    for n in numbers {
        let shifted =
            |i: usize| usize::try_from(i as i128 - n).ok().and_then(|j| sums.get(j).copied());
        let next: Vec<bool> =
            (0..sums.len()).map(|i| sums[i] || shifted(i) == Some(true)).collect();
        sums = next;
    }
    Some(sums[(value - low) as usize])
}

/// No sum of what must be counted and of some of what may be gives the value, as far as can be said.
fn is_no_sum(value: i128, must: i128, may: &[i128]) -> Held {
    that(is_sum_of_some(value - must, may) != Some(true), "no sum of increments gives it")
}

pub(crate) fn counter(facts: &Facts<'_>, a: &Anomaly) -> Held {
    let h = facts.history;
    if &*a.kind == "not_linearizable" {
        // The search verifies its own, where it is short enough; what it names is counted here.
        let decode = |c: &Call| {
            let result = c.acknowledged().map(|i| h.value(i));
            let f = h.function(c.invoked);
            CounterModel.decode(f, &h.value(c.invoked), result.as_ref())
        };
        let named = |c: &Call| a.events.contains(&c.invoked);
        let all = calls(h, &["add", "increment", "inc", "decrement", "dec", "read"]);
        let steps: Option<Vec<_>> = all
            .filter(named)
            .map(|c| {
                Some(Step { op: decode(&c)?, invoked: c.invoked, completed: c.acknowledged() })
            })
            .collect();
        return that(steps.is_some_and(|s| !s.is_empty()), "its events are those of a counter");
    }
    let at = facts.last(a, "read")?;
    let value = i128::from(h.int(at).ok_or("the read gave no number")?);
    that(Value::Int(value as i64) == a.subject, "the read gave it")?;
    let began = facts.invoked(at);
    let adds = facts.increments();
    let certain = |c: &Call| c.acknowledged().is_some_and(|d| d < began);
    let sum: i128 = adds.iter().filter(|(c, _)| certain(c)).map(|(_, n)| n).sum();
    let open: Vec<i128> =
        adds.iter().filter(|(c, _)| !certain(c) && c.invoked < at).map(|(_, n)| *n).collect();
    is_no_sum(value, sum, &open)
}

pub(crate) fn pn_counter(facts: &Facts<'_>, a: &Anomaly, read: &str) -> Held {
    let h = facts.history;
    let at = facts.last(a, read)?;
    let int = |i: usize| h.int(i).map(i128::from).ok_or("a read gave no number");
    let value = int(at)?;
    let of_all = &*a.kind == "final_reads_differ";
    that(of_all || a.subject == Value::Int(value as i64), "the read gave it")?;
    let adds = facts.increments();
    let process = h.process(at);
    let sums = |must: &dyn Fn(&Call) -> bool, may: &dyn Fn(&Call) -> bool| {
        let sum: i128 = adds.iter().filter(|(c, _)| must(c)).map(|(_, n)| n).sum();
        let open: Vec<i128> =
            adds.iter().filter(|(c, _)| may(c) && !must(c)).map(|(_, n)| *n).collect();
        is_no_sum(value, sum, &open)
    };
    match &*a.kind {
        "impossible_value" => sums(&|_| false, &|c| c.invoked < at),
        "impossible_in_session" => {
            let own = |c: &Call| c.process == process && c.acknowledged().is_some_and(|d| d < at);
            sums(&own, &|c| c.invoked < at)
        }
        "not_monotonic" => {
            let [first, second] = a.events[..] else {
                return Err("it does not name two reads".into());
            };
            that(facts.is_ok(first, read) && h.process(first) == process, "one client read both")?;
            that(first < second && int(first)? > value, "it read less than before")?;
            that(adds.iter().all(|(_, n)| *n >= 0), "every increment grows")
        }
        "lost_increments" | "surplus" => {
            that(facts.is_final(at), "it is a final read")?;
            sums(&|c| c.acknowledged().is_some(), &|_| true)
        }
        "final_reads_differ" => {
            let finals: Result<Vec<i128>, &str> = a.events.iter().map(|e| int(*e)).collect();
            let finals = finals?;
            that(a.events.iter().all(|e| facts.is_final(*e)), "they are final reads")?;
            that(finals.iter().any(|v| *v != finals[0]), "they differ")
        }
        other => Err(format!("no rule verifies `{other}`")),
    }
}

pub(crate) fn bank(
    facts: &Facts<'_>,
    a: &Anomaly,
    accounts: &[Value],
    total: i64,
    negative: bool,
) -> Held {
    let at = facts.last(a, "read")?;
    that(a.subject == Value::Int(at as i64), "it is about that read")?;
    let read = facts.history.value(at);
    let Value::Map(entries) = &read else { return Err("the read gave no balances".into()) };
    // JSON has text for keys only.
    let is = |account: &Value, key: &Value| {
        account == key
            || account.as_int().is_some_and(|n| key.as_text() == Some(&*n.to_string()))
            || key.as_int().is_some_and(|n| account.as_text() == Some(&*n.to_string()))
    };
    let balance = |account: &Value| entries.iter().find(|(k, _)| is(account, k)).map(|(_, v)| v);
    let numbers: Option<Vec<i128>> =
        entries.iter().map(|(_, v)| v.as_int().map(i128::from)).collect();
    match &*a.kind {
        "no-balance" => that(numbers.is_none(), "some balance is no number"),
        "unexpected-account" => that(
            entries.iter().any(|(k, _)| !accounts.iter().any(|a| is(a, k))),
            "there is no such account",
        ),
        "missing-account" => that(accounts.iter().any(|k| balance(k).is_none()), "one is missing"),
        "wrong-total" => {
            let sum = numbers.map(|n| n.iter().sum::<i128>());
            that(sum.is_some_and(|s| s != i128::from(total)), "the sum is another one")
        }
        "negative-value" => {
            let below = numbers.is_some_and(|n| n.iter().any(|n| *n < 0));
            that(!negative && below, "a balance is below zero")
        }
        other => Err(format!("no rule verifies `{other}`")),
    }
}
