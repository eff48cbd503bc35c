//! `set`: every acknowledged element is in the last read, and none that no client added.
//!
//! After Jepsen's jepsen.checker/set: only the read that was invoked last counts (per node,
//! the last final read, where the run has final reads).

use super::Arguments;
use super::calls::{Outcome, calls};
use super::evidence::{count, listed, node_of};
use super::finals::Finals;
use super::sets::Elements;
use super::verify::{self, verified};
use super::{ANOMALIES_MAX, Anomaly, Checker, LISTED_MAX, Verdict, within};
use crate::registration::{ADD, Judges, Needs, READ, Registration, built};
use fuzz_dist_history::op::{Name, Value};
use fuzz_dist_history::{History, View};

/// Judges the last read of a set; see [`set`].
#[derive(Clone, Debug)]
pub struct Set {
    add: Name,
    read: Name,
}

/// Judges a grow-only set by its last read alone; [`set_full`](super::set_full) looks at all
/// of them.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, set, histories::Script};
/// let verdict = set().check(&Script::parse("a1 a1' a2 a2? r r'{2,3}"));
/// let kinds: Vec<&str> = verdict.anomalies.iter().map(|a| &*a.kind).collect();
/// assert_eq!(kinds, ["lost", "unexpected"]);
/// assert_eq!(verdict.results["recovered_count"], 1);
/// ```
pub fn set() -> Set {
    Set { add: "add".into(), read: "read".into() }
}

impl Set {
    /// The functions of the operations, where they are not `add` and `read`.
    #[must_use]
    pub fn functions(mut self, add: impl Into<Name>, read: impl Into<Name>) -> Set {
        (self.add, self.read) = (add.into(), read.into());
        self
    }
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "set",
    about: "a grow-only set by its last read",
    judges: Judges::Only(&["add", "read"]),
    needs: Needs::Order,
    options: &[ADD, READ],
    build: |o| built(set().functions(o.word_or("add", "add"), o.word_or("read", "read"))),
};

impl Checker for Set {
    fn check(&self, history: &History) -> Verdict {
        let finals = Finals::of(history, &self.read);
        let mut reads: Vec<usize> = finals.reads.iter().map(|(_, i)| *i).collect();
        if reads.is_empty() {
            let all =
                calls(history, &[&*self.read]).filter_map(|c| Some((c.invoked, c.acknowledged()?)));
            reads.extend(all.max().map(|(_, completed)| completed));
        }
        let adds: Vec<_> = calls(history, &[&*self.add]).collect();
        let invoked: Vec<u32> = adds.iter().map(|c| c.invoked as u32).collect();
        let (mut numbers, ids) = Elements::of_values(history, &invoked);
        // Per element: the first acknowledgement; whether any add may have happened.
        let mut acknowledged: Vec<Option<usize>> = vec![None; numbers.len()];
        let mut possible = vec![false; numbers.len()];
        let mut names: Vec<usize> = Vec::with_capacity(numbers.len());
        for (add, id) in adds.iter().zip(&ids) {
            if *id as usize == names.len() {
                names.push(add.invoked);
            }
            let known = &mut acknowledged[*id as usize];
            *known = [*known, add.acknowledged()].into_iter().flatten().min();
            possible[*id as usize] |= add.outcome != Outcome::Failed;
        }
        let name = |id: usize| names.get(id).map_or(Value::Nil, |i| history.value(*i));
        let mut found: Vec<Anomaly> = Vec::new();
        let mut counts = [0usize; 3];
        let mut recovered = vec![false; acknowledged.len()];
        let mut lost: Vec<Value> = Vec::new();
        for read in &reads {
            let Some(present) = members(history, *read, &mut numbers) else {
                let value = history.value(*read);
                let why = format!("the read at event {read} gave {value}, neither set nor list");
                return Verdict::unknown("set", why);
            };
            let began = history.invocation(*read).unwrap_or(*read);
            for (id, known) in acknowledged.iter().enumerate() {
                let has = present.get(id) == Some(&true);
                recovered[id] |= has && known.is_none() && possible[id];
                if finals.settled && !has && known.is_some_and(|k| k < began) {
                    counts[0] += 1;
                    if counts[0] <= ANOMALIES_MAX {
                        found.push(lost_one(history, &name(id), known.unwrap_or(0), *read));
                    }
                    if lost.len() < LISTED_MAX {
                        lost.push(name(id));
                    }
                }
            }
            let mut strange = |id: usize, name: &Value, kind: &str, why: &str| {
                if present.get(id) == Some(&true) {
                    counts[if kind == "unexpected" { 1 } else { 2 }] += 1;
                    let text = format!("{name} was read on {}, but {why}", node_of(history, *read));
                    found.push(Anomaly::new(kind, name.clone()).explained(text).proved_by([*read]));
                }
            };
            numbers.strangers(|id, name| strange(id, name, "unexpected", "no client added it"));
            for id in (0..possible.len()).filter(|id| !possible[*id]) {
                strange(id, &name(id), "resurrected", "its add had failed");
            }
        }
        found.truncate(3 * ANOMALIES_MAX);
        let what = ["lost", "read that no client added", "read whose adds had failed"];
        let reasons: Vec<String> = (counts.iter().zip(what))
            .filter(|(n, _)| **n > 0)
            .map(|(n, what)| {
                let some =
                    if what == "lost" { format!(": {}", listed(&lost)) } else { String::new() };
                format!("{} {what}{some}", count(*n, "element"))
            })
            .collect();
        let mut verdict = match reasons.split_first() {
            Some((first, rest)) => {
                rest.iter().fold(Verdict::invalid("set", first), |v, r| v.because(r))
            }
            None if reads.is_empty() => Verdict::unknown("set", "no read succeeded"),
            None => Verdict::valid("set"),
        };
        verdict.anomalies = found;
        for (kind, n) in ["lost", "unexpected", "resurrected"].into_iter().zip(counts) {
            verdict.count_of(kind, n);
        }
        within::narrow(history, &mut verdict, &self.read, &["lost"], |a, value| {
            within::has(value, &a.subject)
        });
        finals.apply(&mut verdict);
        let verdict = verdict
            .with("attempt_count", adds.len())
            .with("lost_count", counts[0])
            .with("unexpected_count", counts[1])
            .with("resurrected_count", counts[2])
            .with("recovered_count", recovered.iter().filter(|r| **r).count());
        verified(history, verdict, |f, a| verify::set(f, a, &self.add, &self.read))
    }

    fn arguments(&self) -> Option<Arguments> {
        let set = Arguments::of("set").option("add", &self.add, "add");
        Some(set.option("read", &self.read, "read"))
    }
}

/// Which elements a read has.
fn members(history: &History, read: usize, numbers: &mut Elements<'_>) -> Option<Vec<bool>> {
    let ids: Vec<u32> = match history.view(read) {
        Some(View::List(items)) => items.words().map(|w| numbers.word(w)).collect(),
        Some(_) => return None,
        None => match history.value(read) {
            Value::Set(set) => set.as_slice().iter().map(|n| numbers.int(*n)).collect(),
            _ => unreachable!("only sets have no view"),
        },
    };
    let mut present = vec![false; numbers.len()];
    ids.into_iter().for_each(|id| present[id as usize] = true);
    Some(present)
}

fn lost_one(history: &History, name: &Value, known: usize, read: usize) -> Anomaly {
    let text = format!(
        "{name} was acknowledged by {} at {}, and the last read on {} at {} lacks it",
        node_of(history, known),
        history.time(known),
        node_of(history, read),
        history.time(read)
    );
    Anomaly::new("lost", name.clone())
        .explained(text)
        .on(history.node(read))
        .at(history.time(read))
        .proved_by([known, read])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::calls::Call;
    use super::super::histories::Script;
    use super::super::{Validity, set_full};
    use super::*;
    use fuzz_dist_history::op::Phase;

    #[test]
    fn only_the_last_read_counts() {
        let check = |s| set().check(&Script::parse(s)).validity;
        assert_eq!(check("a1 a1' r r'{} r r'{1}"), Validity::Valid);
        assert_eq!(check("a1 a1' r r'{1} r r'{}"), Validity::Invalid);
        assert_eq!(check("a1 r r'{} a1'"), Validity::Valid, "the add had not been acknowledged");
        assert_eq!(check("a1 a1'"), Validity::Unknown);
        assert_eq!(check("a1 a1! r r'{1}"), Validity::Invalid);
    }

    /// By definition, from the last read of each node, or of all where there are no final reads.
    fn oracle(h: &History) -> (Validity, BTreeSet<(&'static str, Value)>) {
        let ok = |f: &str| {
            let acknowledged = |c: &Call| c.outcome == Outcome::Acknowledged;
            calls(h, &[f]).filter(acknowledged).collect::<Vec<_>>().into_iter()
        };
        let last = |reads: Vec<Call>| reads.into_iter().max_by_key(|c| c.invoked);
        let of_node = |n: usize| {
            let own = |c: &Call| h.node(c.invoked).is_some_and(|m| m.index() == n);
            let is_final = |c: &Call| h.phase(c.invoked) == Phase::Final;
            last(ok("read").filter(|c| own(c) && is_final(c)).collect())
        };
        let finals: Vec<Call> = (0..h.nodes().len()).filter_map(of_node).collect();
        let phases = (0..h.len()).any(|i| h.phase(i) >= Phase::Heal);
        let doubtful = phases && finals.len() < h.nodes().len();
        let reads = match finals.is_empty() {
            true => Vec::from_iter(last(ok("read").collect())),
            false => finals,
        };
        let mut found = BTreeSet::new();
        for read in &reads {
            let items: Vec<Value> = match h.value(read.completed.unwrap()) {
                Value::Set(s) => s.as_slice().iter().map(|n| Value::Int(*n)).collect(),
                list => list.as_list().unwrap().to_vec(),
            };
            let known = ok("add").filter(|c| c.completed.unwrap() < read.invoked);
            let known = known.map(|c| h.value(c.invoked)).filter(|v| !items.contains(v));
            found.extend(known.map(|v| ("lost", v)));
            for item in items {
                let adds: Vec<Call> =
                    calls(h, &["add"]).filter(|c| h.value(c.invoked) == item).collect();
                if adds.is_empty() {
                    found.insert(("unexpected", item));
                } else if adds.iter().all(|c| c.outcome == Outcome::Failed) {
                    found.insert(("resurrected", item));
                }
            }
        }
        let validity = match () {
            () if !found.is_empty() => Validity::Invalid,
            () if reads.is_empty() || doubtful => Validity::Unknown,
            () => Validity::Valid,
        };
        (validity, found)
    }

    #[test]
    fn the_oracle_agrees_on_random_histories_and_set_full_proves_what_this_proves() {
        let mut seen = [0; 3];
        for seed in 0..1_500 {
            let history = super::super::set_full_random_history(fuzz_dist_random::Seed(seed));
            let (last, all) = (set().check(&history), set_full().check(&history));
            let named = last.anomalies.iter().map(|a| (&*a.kind, a.subject.clone())).collect();
            let expected = oracle(&history);
            assert_eq!((last.validity, named), expected, "seed {seed}: {last:#?}");
            assert!(!last.reasons.concat().contains("internal error"), "seed {seed}: {last:#?}");
            assert!(!last.is_invalid() || all.is_invalid(), "seed {seed}: {:?}", all.reasons);
            seen[last.validity as usize] += 1;
        }
        assert!(seen.iter().all(|n| *n > 50), "{seen:?}");
    }
}
