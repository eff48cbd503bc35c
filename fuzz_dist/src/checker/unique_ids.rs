//! `unique_ids`: no identifier is given out twice.

use std::collections::BTreeMap;

use super::calls::calls;
use super::dense::Dense;
use super::evidence::{count, node_of};
use super::recheck::{self, rechecked};
use super::{ANOMALIES_MAX, Anomaly, Checker, Verdict, mixed};
use crate::history::History;
use crate::op::Name;

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
        let mut attempts = 0usize;
        let mut given: Vec<u32> = Vec::new();
        for call in calls(history, &[&*self.generate]) {
            attempts += 1;
            given.extend(call.acknowledged().map(|done| done as u32));
        }
        let mut ids = Dense::of_events(history, &given);
        let mut first: Vec<u32> = Vec::with_capacity(given.len());
        let mut again: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for done in &given {
            let id = ids.event(*done as usize);
            match first.get(id as usize) {
                None => first.push(*done),
                Some(earlier) => {
                    let earlier = || vec![*earlier as usize];
                    again.entry(id).or_insert_with(earlier).push(*done as usize);
                }
            }
        }
        let (lowest, highest) = ids.range().unzip();
        let types = [&lowest, &highest].map(|v| v.as_ref().map(std::mem::discriminant));
        if types[0] != types[1]
            && let Some(why) = mixed(history)
        {
            return Verdict::unknown("unique_ids", why);
        }
        let mut again: Vec<(u32, Vec<usize>)> = again.into_iter().collect();
        again.iter_mut().for_each(|(_, events)| events.sort_unstable());
        again.sort_by_key(|(_, events)| events[1]);
        let mut verdict = match (again.len(), given.len()) {
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
            .map(|(id, events)| {
                let value = ids.value(*id);
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
            .with("acknowledged_count", given.len())
            .with("duplicate_count", again.len())
            .with("lowest", lowest.map(|v| v.to_string()))
            .with("highest", highest.map(|v| v.to_string()));
        rechecked(history, verdict, |f, a| recheck::unique_ids(f, a, &self.generate))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Validity;
    use super::super::histories::Recorder;
    use super::*;
    use crate::op::Value;
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
