//! `unique_ids`: no identifier is given out twice.

use super::Arguments;
use std::collections::BTreeMap;

use super::calls::calls;
use super::dense::Dense;
use super::evidence::{count, node_of};
use super::online::OnlineIds;
use super::verify::{self, verified};
use super::{ANOMALIES_MAX, Anomaly, Checker, Online, Verdict, mixed};
use crate::registration::{Judges, Needs, Opt, Registration, built};
use fuzz_dist_history::op::{Name, Value};
use fuzz_dist_history::{History, Word};

/// Judges generated identifiers; see [`unique_ids`].
#[derive(Clone, Debug)]
pub struct UniqueIds {
    generate: Name,
}

/// Judges whether all values that `generate` gave are distinct (Jepsen's
/// jepsen.checker/unique-ids), and names who was given the same.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, unique_ids, histories::Recorder};
/// # use fuzz_dist_history::op::Value;
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

pub(crate) const REGISTRATION: Registration = Registration {
    name: "unique_ids",
    about: "no identifier is given out twice",
    judges: Judges::Only(&["generate"]),
    needs: Needs::Nothing,
    options: &[Opt::value(
        "generate",
        "the function that gives identifiers, where it has another name",
        "other",
    )],
    build: |o| built(unique_ids().function(o.word_or("generate", "generate"))),
};

impl Checker for UniqueIds {
    fn check(&self, history: &History) -> Verdict {
        let mut attempts = 0usize;
        let mut given: Vec<u32> = Vec::new();
        for call in calls(history, &[&*self.generate]) {
            attempts += 1;
            given.extend(call.acknowledged().map(|done| done as u32));
        }
        let (suspects, range) = suspects(history, &given);
        let (lowest, highest) = range.unzip();
        let mut ids = Dense::of_events(history, &suspects);
        let mut first: Vec<u32> = Vec::with_capacity(suspects.len());
        let mut again: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for done in &suspects {
            let id = ids.event(*done as usize);
            match first.get(id as usize) {
                None => first.push(*done),
                Some(earlier) => {
                    let earlier = || vec![*earlier as usize];
                    again.entry(id).or_insert_with(earlier).push(*done as usize);
                }
            }
        }
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
            .counted("duplicate", again.len())
            .with("attempt_count", attempts)
            .with("acknowledged_count", given.len())
            .with("duplicate_count", again.len())
            .with("lowest", lowest.map(|v| v.to_string()))
            .with("highest", highest.map(|v| v.to_string()));
        verified(history, verdict, |f, a| verify::unique_ids(f, a, &self.generate))
    }

    fn online(&self, _: &History) -> Option<Box<dyn Online>> {
        Some(Box::new(OnlineIds::new(&self.generate)))
    }

    fn arguments(&self) -> Option<Arguments> {
        Some(Arguments::of("unique_ids").option("generate", &self.generate, "generate"))
    }
}

/// The events whose value may be that of another one, too, and the least and greatest of all values.
///
/// Each value has one of sixteen bits for every event, by its lower digits or by its hash: only
/// those that share one are worth comparing. Numbers that lie close together never do, unless
/// they are equal.
fn suspects(history: &History, given: &[u32]) -> (Vec<u32>, Option<(Value, Value)>) {
    let bits = (given.len() * 16).next_power_of_two().max(64);
    let place = |word: Word| {
        let n = history.int_of(word).map_or_else(|| history.hash_of(word), |n| n as u64);
        (n ^ n >> 17 ^ n >> 34 ^ n >> 51) as usize & (bits - 1)
    };
    let (mut once, mut twice) = (vec![0u64; bits / 64], vec![0u64; bits / 64]);
    let (mut low, mut high) = (i64::MAX, i64::MIN);
    let mut range: Option<(Value, Value)> = None;
    let widen = |range: &mut Option<(Value, Value)>, value: Value| match range {
        None => *range = Some((value.clone(), value)),
        Some((low, _)) if value < *low => *low = value,
        Some((_, high)) if value > *high => *high = value,
        Some(_) => {}
    };
    let mut shared = false;
    for event in given {
        let word = history.word(*event as usize);
        let at = place(word);
        let (at, bit) = (at / 64, 1 << (at % 64));
        let known = once[at] & bit;
        once[at] |= bit;
        twice[at] |= known;
        shared |= known != 0;
        match history.int_of(word) {
            Some(n) => (low, high) = (low.min(n), high.max(n)),
            None => widen(&mut range, history.value_of(word)),
        }
    }
    if low <= high {
        [low, high].into_iter().for_each(|n| widen(&mut range, n.into()));
    }
    let is_shared = |event: &&u32| {
        let at = place(history.word(**event as usize));
        twice[at / 64] & 1 << (at % 64) != 0
    };
    let suspects = if shared { given.iter().filter(is_shared).copied().collect() } else { vec![] };
    (suspects, range)
}

#[cfg(test)]
mod tests {
    use super::super::Validity;
    use super::super::histories::Recorder;
    use super::*;
    use fuzz_dist_random::Seed;

    #[test]
    fn the_oracle_agrees_on_random_histories() {
        for seed in 0..5_000 {
            let mut s = Seed(seed).stream("unique_ids");
            let mut r = Recorder::new(["n1", "n2"]);
            let mut values = Vec::new();
            // Close together, far apart, beyond what fits in a word, with the same lower digits.
            let kind = s.below(6);
            let most = if s.chance(0.1) { 100 } else { 12 };
            let count = s.below(most);
            let distinct = 1 + s.below(60) as i64;
            for client in 0..count as u32 {
                r.invoke(client, "generate", Value::Nil);
                if s.chance(0.8) {
                    let n = s.below(distinct as u64 + count) as i64 - distinct;
                    let value = match kind {
                        0 => Value::Int(n),
                        1 => Value::Int(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64)),
                        2 => Value::Int(i64::MAX - n.abs()),
                        3 => Value::Int(n << 51),
                        4 => Value::from(format!("id-{n}")),
                        _ => Value::list([n, 7]),
                    };
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
            let verdict = unique_ids().check(&r.history());
            assert_eq!(verdict.validity, expected, "{values:?}");
            let ends = [values.iter().min(), values.iter().max()];
            for (name, value) in ["lowest", "highest"].into_iter().zip(ends) {
                let found = verdict.results[name].as_str().map(str::to_string);
                assert_eq!(found, value.map(Value::to_string), "seed {seed}");
            }
            let mut subjects: Vec<_> =
                verdict.anomalies.iter().map(|a| a.subject.clone()).collect();
            subjects.sort();
            let mut again: Vec<Value> = (0..values.len())
                .filter(|i| values[..*i].contains(&values[*i]))
                .map(|i| values[i].clone())
                .collect();
            again.sort();
            again.dedup();
            assert!(again.len() > ANOMALIES_MAX || subjects == again, "seed {seed}: {subjects:?}");
        }
    }
}
