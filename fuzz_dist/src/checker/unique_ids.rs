//! `unique_ids`: no identifier is given out twice.

use std::collections::HashMap;

use super::calls::calls;
use super::evidence::{count, node_of};
use super::recheck::{self, rechecked};
use super::{ANOMALIES_MAX, Anomaly, Checker, Verdict, mixed};
use crate::history::History;
use crate::op::{Name, Value};

/// Judges generated identifiers; see [`unique_ids`].
#[derive(Clone, Debug)]
pub struct UniqueIds {
    generate: Name,
}

/// Judges whether all values that `generate` gave are distinct (Jepsen's
/// jepsen.checker/unique-ids), and names who was given the same.
///
/// ```
/// # use fuzz_dist::checker::{Checker, unique_ids, histories::Recorder};
/// # use fuzz_dist::op::Value;
/// let mut r = Recorder::new(["n1", "n2"]);
/// for client in [0, 1] {
///     r.invoke(client, "generate", Value::Nil);
///     r.ok(client, 7);
/// }
/// assert!(unique_ids().check(&r.history()).is_invalid());
/// ```
pub fn unique_ids() -> UniqueIds {
    UniqueIds { generate: "generate".into() }
}

impl UniqueIds {
    /// The function, where it is not `generate`.
    #[must_use]
    pub fn function(mut self, f: impl Into<Name>) -> UniqueIds {
        self.generate = f.into();
        self
    }
}

impl Checker for UniqueIds {
    fn check(&self, history: &History) -> Verdict {
        if let Some(why) = mixed(history) {
            return Verdict::unknown("unique_ids", why);
        }
        let mut first: HashMap<Value, usize> = HashMap::new();
        let mut again: HashMap<Value, Vec<usize>> = HashMap::new();
        let (mut attempts, mut given) = (0usize, 0usize);
        for call in calls(history, &[&*self.generate]) {
            attempts += 1;
            let Some(done) = call.acknowledged() else { continue };
            given += 1;
            let value = history.value(done);
            if let Some(earlier) = first.get(&value) {
                again.entry(value).or_insert_with(|| vec![*earlier]).push(done);
            } else {
                first.insert(value, done);
            }
        }
        let range = (first.keys().min().cloned(), first.keys().max().cloned());
        let mut again: Vec<(Value, Vec<usize>)> = again.into_iter().collect();
        again.iter_mut().for_each(|(_, events)| events.sort_unstable());
        again.sort_by_key(|(_, events)| events[1]);
        let mut verdict = match (again.len(), given) {
            (0, 0) => Verdict::unknown("unique_ids", "no identifier was given out"),
            (0, _) => Verdict::valid("unique_ids"),
            (n, _) => Verdict::invalid(
                "unique_ids",
                format!("{} given out more than once", count(n, "identifier")),
            ),
        };
        verdict.anomalies = again
            .iter()
            .take(ANOMALIES_MAX)
            .map(|(value, events)| {
                let who = |i: &usize| {
                    let (node, at) = (node_of(history, *i), history.time(*i));
                    format!("client {} by {node} at {at}", history.process(*i))
                };
                let who: Vec<String> = events.iter().take(4).map(who).collect();
                Anomaly::new("duplicate", value.clone())
                    .explained(format!("{value} was given to {}", who.join(", and to ")))
                    .proved_by(events.iter().copied())
                    .at(history.time(events[1]))
            })
            .collect();
        let verdict = verdict
            .with("attempt_count", attempts)
            .with("acknowledged_count", given)
            .with("duplicate_count", again.len())
            .with("lowest", range.0.map(|v| v.to_string()))
            .with("highest", range.1.map(|v| v.to_string()));
        rechecked(history, verdict, |f, a| recheck::unique_ids(f, a, &self.generate))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Validity;
    use super::super::histories::Recorder;
    use super::*;
    use crate::random::Seed;

    #[test]
    fn the_twin_agrees_on_random_histories() {
        for seed in 0..10_000 {
            let mut s = Seed(seed).stream("unique_ids");
            let mut r = Recorder::new(["n1", "n2"]);
            let mut values = Vec::new();
            for client in 0..s.below(12) as u32 {
                r.invoke(client, "generate", Value::Nil);
                if s.chance(0.8) {
                    let value = Value::Int(s.below(40) as i64);
                    values.push(value.clone());
                    r.ok(client, value);
                } else {
                    r.info(client);
                }
            }
            let twice = (0..values.len()).any(|i| values[..i].contains(&values[i]));
            let expected = match (twice, values.is_empty()) {
                (true, _) => Validity::Invalid,
                (false, true) => Validity::Unknown,
                (false, false) => Validity::Valid,
            };
            assert_eq!(unique_ids().check(&r.history()).validity, expected, "{values:?}");
        }
    }
}
