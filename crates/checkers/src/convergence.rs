//! `convergence`: after the heal, all nodes come to read the same.
//!
//! Strong eventual consistency's *convergence* (Shapiro et al., "Conflict-free replicated data
//! types", 2011): replicas that have received the same updates are equal. The run gives them
//! time after the heal; then each node's final read is compared, as a value, with the others'.

use super::Arguments;
use std::collections::BTreeMap;

use super::calls::OpenUpdates;
use super::evidence::{Faults, count, healed_at, node_name};
use super::finals::Finals;
use super::verify::{self, verified};
use super::{Anomaly, Checker, Verdict};
use crate::registration::{Judges, Needs, Opt, READ, Registration, built};
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Kind, Name, NodeId, Phase, Value};

/// Judges whether all nodes agree in the end; see [`convergence`].
#[derive(Clone, Debug)]
pub struct Convergence {
    read: Name,
    ordered: bool,
}

/// Judges whether the final reads of all nodes are equal, whatever they read, and reports how
/// long after the heal that took. Lists count as unordered, as databases give sets. Reads that
/// differ only by what updates of unknown outcome may have changed between them are *unknown*.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, convergence, histories::Script};
/// let history = Script::parse("a1 a1' |heal |final r1@1 r1'{1} r2@2 r2'{}");
/// let verdict = convergence().check(&history);
/// assert_eq!(&*verdict.anomalies[0].kind, "diverged");
/// ```
pub fn convergence() -> Convergence {
    Convergence { read: "read".into(), ordered: false }
}

impl Convergence {
    /// The function that reads, where it is not `read`.
    #[must_use]
    pub fn read(mut self, f: impl Into<Name>) -> Convergence {
        self.read = f.into();
        self
    }

    /// Does the order in lists matter?
    #[must_use]
    pub fn ordered(mut self, matters: bool) -> Convergence {
        self.ordered = matters;
        self
    }

    fn value(&self, history: &History, i: usize) -> Value {
        match history.value(i) {
            Value::List(items) if !self.ordered => {
                let mut items = items.to_vec();
                items.sort_unstable();
                Value::list(items)
            }
            value => value,
        }
    }
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "convergence",
    about: "all nodes read the same in the end",
    judges: Judges::Anything,
    needs: Needs::Order,
    options: &[READ, Opt::flag("ordered", "the order of list elements counts")],
    build: |o| built(convergence().read(o.word_or("read", "read")).ordered(o.flag("ordered")?)),
};

impl Checker for Convergence {
    fn check(&self, history: &History) -> Verdict {
        let finals = Finals::of(history, &self.read);
        let mut groups: BTreeMap<Value, Vec<(NodeId, usize)>> = BTreeMap::new();
        for (node, i) in &finals.reads {
            groups.entry(self.value(history, *i)).or_default().push((*node, *i));
        }
        let mut verdict = match groups.len() {
            0 => Verdict::unknown("convergence", "there are no final reads"),
            1 => Verdict::valid("convergence"),
            n if explained_by_open_updates(history, &self.read, groups.keys()) => {
                let open = OpenUpdates::of(history, &self.read).count();
                Verdict::unknown(
                    "convergence",
                    format!(
                        "the final reads have {n} different values, which {} may explain: each can take effect between two final reads",
                        count(open, "indeterminate (`info`) update")
                    ),
                )
            }
            n => {
                let anomaly = diverged(history, &groups);
                let mut verdict = Verdict::invalid(
                    "convergence",
                    format!("the nodes read {n} different values in the end"),
                );
                verdict.anomalies.push(anomaly);
                verdict
            }
        };
        if finals.expected || !finals.settled {
            finals.apply(&mut verdict);
        }
        let verdict = verified(history, verdict, |f, a| verify::convergence(f, a, self.ordered));
        let verdict = match self.time_ms(history, &finals) {
            Some(ms) => verdict.with("convergence_ms", ms),
            None => verdict,
        };
        Faults::of(history).state(history, verdict)
    }

    fn arguments(&self) -> Option<Arguments> {
        let convergence = Arguments::of("convergence").flag("ordered", self.ordered);
        Some(convergence.option("read", &self.read, "read"))
    }
}

/// Can updates of unknown outcome, which take effect whenever they like, make reads differ so?
fn explained_by_open_updates<'v>(
    history: &History,
    read: &str,
    values: impl Iterator<Item = &'v Value> + Clone,
) -> bool {
    let updates = OpenUpdates::of(history, read);
    if updates.count() == 0 {
        return false;
    }
    let mut counts: BTreeMap<Value, (usize, usize)> = BTreeMap::new();
    let mut reads = 0;
    for value in values {
        let items: Vec<Value> = match value {
            Value::List(items) => items.to_vec(),
            Value::Set(items) => items.as_slice().iter().map(|n| Value::Int(*n)).collect(),
            Value::Nil => Vec::new(),
            // Of what is no collection, nothing says how an update changes it.
            _ => return true,
        };
        reads += 1;
        let mut here: BTreeMap<Value, usize> = BTreeMap::new();
        items.into_iter().for_each(|item| *here.entry(item).or_default() += 1);
        for (item, n) in here {
            let (seen, same) = counts.entry(item).or_insert((0, n));
            *seen += usize::from(*same == n);
        }
    }
    let mut differ = counts.iter().filter(|(_, (seen, _))| *seen < reads).peekable();
    // Reads that differ in the order of their elements alone are not explained by any of them.
    differ.peek().is_some() && differ.all(|(item, _)| updates.may_touch(item))
}

impl Convergence {
    /// From the heal to the completion of the last read that differs from the final ones, or 0.
    fn time_ms(&self, history: &History, finals: &Finals) -> Option<u64> {
        let healed = healed_at(history)?;
        let mut values = finals.reads.iter().map(|(_, i)| self.value(history, *i));
        let agreed = values.next()?;
        if values.any(|v| v != agreed) {
            return None;
        }
        let read = history.find_function(&self.read);
        let last = (healed..history.len()).rev().find(|i| {
            Some(history.function_index(*i)) == read
                && history.kind(*i) == Kind::Ok
                && history.phase(*i) >= Phase::Quiesce
                && self.value(history, *i) != agreed
        });
        Some(last.map_or(0, |i| history.time(i).since(history.time(healed)).as_millis() as u64))
    }
}

fn diverged(history: &History, groups: &BTreeMap<Value, Vec<(NodeId, usize)>>) -> Anomaly {
    let mut groups: Vec<(&Value, &Vec<(NodeId, usize)>)> = groups.iter().collect();
    groups.sort_by_key(|(_, nodes)| std::cmp::Reverse(nodes.len()));
    let names = |nodes: &[(NodeId, usize)]| {
        nodes.iter().map(|(n, _)| node_name(history, Some(*n))).collect::<Vec<_>>().join(" ")
    };
    let shown: Vec<String> = (groups.iter())
        .map(|(value, nodes)| format!("{} on {}", short(value), names(nodes)))
        .collect();
    let mut text = format!("the final reads differ: {}", shown.join("; "));
    if let (Value::Set(a), Value::Set(b)) = (groups[0].0, groups[1].0) {
        let lacks = |a: &[i64], b: &[i64]| {
            let some = a.iter().filter(|n| b.binary_search(n).is_err()).take(8);
            some.map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        let (only_a, only_b) =
            (lacks(a.as_slice(), b.as_slice()), lacks(b.as_slice(), a.as_slice()));
        text.push_str(&format!("; only the first has {{{only_a}}}, only the second {{{only_b}}}"));
    }
    let events = groups.iter().flat_map(|(_, nodes)| nodes.iter().map(|(_, i)| *i));
    let mut events: Vec<usize> = events.collect();
    events.sort_unstable();
    Anomaly::new("diverged", short(groups[1].0))
        .explained(text)
        .on(Some(groups[1].1[0].0))
        .proved_by(events)
}

/// A value that fits in a line.
fn short(value: &Value) -> String {
    let size = match value {
        Value::Set(s) => s.as_slice().len(),
        Value::List(l) => l.len(),
        _ => 0,
    };
    if size > 12 { format!("{size} elements") } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Validity;
    use super::super::calls::{Outcome, calls};
    use super::super::histories::{Recorder, Script};
    use super::*;
    use fuzz_dist_random::Seed;

    #[test]
    fn equal_final_reads_converge_and_report_when() {
        let verdict = convergence().check(&Script::parse(
            "a1 a1' |heal |quiesce r1@1 r1'{1} r2@2 r2'{} |final r1 r1'{1} r2@2 r2'{1}",
        ));
        assert!(verdict.is_valid(), "{:?}", verdict.reasons);
        assert_eq!(verdict.results["convergence_ms"], 4);
    }

    #[test]
    fn a_dozen_elements_are_shown_and_of_more_the_number() {
        let set = |n: i64| Value::set(0..n);
        let shown = (0..12).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(short(&set(12)), format!("#{{{shown}}}"));
        assert_eq!(short(&set(13)), "13 elements");
        assert_eq!(short(&Value::list(0..13)), "13 elements");
    }

    #[test]
    fn the_odd_node_is_named_with_what_it_lacks() {
        let verdict = convergence()
            .check(&Script::parse("a1 a1' |heal |final r1@1 r1'{1} r2@2 r2'{} r3@3 r3'{1}"));
        assert_eq!(verdict.anomalies[0].node, Some(NodeId(1)));
        assert!(verdict.anomalies[0].explanation.contains("#{1} on n1 n3; #{} on n2"));
    }

    #[test]
    fn lists_are_unordered_unless_asked() {
        let mut r = Recorder::new(["n1", "n2"]);
        r.phase = Phase::Final;
        for (client, list) in [(0, [1, 2]), (1, [2, 1])] {
            r.invoke(client, "read", Value::Nil);
            r.ok(client, Value::list(list));
        }
        let history = r.history();
        assert!(convergence().check(&history).is_valid());
        assert!(convergence().ordered(true).check(&history).is_invalid());
    }

    #[test]
    fn what_an_update_of_unknown_outcome_may_change_between_the_reads_is_unknown() {
        let judge = |add: &str| {
            let text = format!("a1 a1' {add} |heal |final r5@1 r5'{{1}} r6@2 r6'{{1,2}}");
            convergence().check(&Script::parse(&text)).validity
        };
        assert_eq!(judge("a2 a2?"), Validity::Unknown);
        assert_eq!(judge("a3 a3?"), Validity::Invalid, "it adds another element");
        assert_eq!(judge("a2 a2'"), Validity::Invalid);
        let mut r = Recorder::new(["n1", "n2"]);
        r.invoke(2, "write", 7);
        r.info(2);
        r.phase = Phase::Final;
        for client in 0..2 {
            r.invoke(client, "read", Value::Nil);
            r.ok(client, 6 + i64::from(client));
        }
        assert_eq!(convergence().check(&r.history()).validity, Validity::Unknown);
    }

    #[test]
    fn no_final_read_is_unknown() {
        let verdict = convergence().check(&Script::parse("a1 a1' r r'{1}"));
        assert_eq!(verdict.validity, Validity::Unknown);
        let one = "a1 a1' r5@1 r5'{1} r6@2 r6'{1} |heal |final r7@1 r7'{1} r8@2 r8!";
        let verdict = convergence().check(&Script::parse(one));
        assert_eq!(verdict.validity, Validity::Unknown);
        assert!(verdict.reasons[0].contains("no final read on n2"), "{verdict:#?}");
        // One without phases may say that it ended early.
        let mut history = Script::parse("a1 a1' r r'{1}");
        history.set_meta("completed", false);
        let verdict = convergence().check(&history);
        assert!(verdict.reasons.concat().contains("ended early"), "{verdict:#?}");
    }

    #[test]
    fn large_values_are_shown_by_their_size() {
        for (size, shown) in [(12, "11 12}"), (13, "13 elements on n1")] {
            let all: Vec<String> = (1..=size).map(|n| n.to_string()).collect();
            let text = format!("|heal |final r1@1 r1'{{{}}} r2@2 r2'{{}}", all.join(","));
            let verdict = convergence().check(&Script::parse(&text));
            let text = &verdict.anomalies[0].explanation;
            assert!(text.contains(shown), "{text}");
            assert!(text.contains("{1 2 3 4 5 6 7 8}"), "{text}");
        }
    }

    /// Adds to sets, and reads of any of four on three nodes, each node with a final one at least. Which
    /// element a read has does not depend on when its add was given up.
    fn reads(seed: u64, steps: usize) -> History {
        let mut random = Seed(seed).stream("reads");
        let mut r = Recorder::new(["n1", "n2", "n3"]);
        for client in 10..10 + random.below(3) as u32 {
            r.invoke(client, "add", random.below(2) as i64);
            match random.index(4) {
                0 => r.done(client),
                1 => r.fail(client),
                _ => r.info(client),
            };
        }
        for step in 0..steps + 3 {
            match step {
                0 => _ = r.heal(true),
                _ if step == steps / 2 => r.phase = Phase::Quiesce,
                _ if step >= steps => r.phase = Phase::Final,
                _ => {}
            }
            let node = if step < steps { random.index(3) } else { step - steps };
            r.invoke(node as u32, "read", Value::Nil);
            match random.chance(0.2) && step < steps {
                true => _ = r.fail(node as u32),
                false => {
                    let held: Vec<i64> = (0..2).filter(|_| random.chance(0.25)).collect();
                    let twice = || [&held[..], &held].concat();
                    let value = match random.index(4) {
                        // One that has nothing may give nil.
                        0 if held.is_empty() => Value::Nil,
                        0 if random.chance(0.2) => Value::list(twice()),
                        0 | 1 => Value::list(held.iter().rev().copied()),
                        _ => Value::set(held),
                    };
                    _ = r.ok(node as u32, value);
                }
            }
        }
        r.history()
    }

    /// What the reads say, one against the other.
    fn oracle(history: &History) -> (Validity, Option<u64>) {
        let read = |i: &usize| &**history.function(*i) == "read";
        let ok = |i: &usize| history.kind(*i) == Kind::Ok && read(i);
        let of_finals = |i: &usize| history.phase(*i) == Phase::Final;
        let finals: Vec<usize> = (0..history.len()).filter(ok).filter(of_finals).collect();
        // The order in lists does not matter.
        let value = |i: usize| match history.value(i) {
            Value::List(list) => {
                let mut list = list.to_vec();
                list.sort();
                Value::list(list)
            }
            value => value,
        };
        let agree = finals.iter().all(|a| finals.iter().all(|b| value(*a) == value(*b)));
        let unknown = |v: i64| {
            let mut adds = calls(history, &["add"]).filter(|c| c.outcome == Outcome::Open);
            adds.any(|c| history.int(c.invoked) == Some(v))
        };
        let has = |i: usize, v: i64| match value(i) {
            Value::Set(set) => set.as_slice().iter().filter(|n| **n == v).count(),
            Value::List(list) => list.iter().filter(|n| **n == v.into()).count(),
            _ => 0,
        };
        let differs = |v: &i64| finals.iter().any(|i| has(*i, *v) != has(finals[0], *v));
        let validity = match agree {
            true => Validity::Valid,
            // That they differ in their form, say, no update explains.
            false if (0..2).any(|v| differs(&v)) && (0..2).filter(differs).all(unknown) => {
                Validity::Unknown
            }
            false => Validity::Invalid,
        };
        let heal = (0..history.len()).find(|i| &**history.function(*i) == "heal");
        let (Some(heal), Some(last)) = (heal, finals.last().filter(|_| agree)) else {
            return (validity, None);
        };
        let quiet = |i: &usize| history.phase(*i) >= Phase::Quiesce && *i > heal;
        let differing =
            (0..history.len()).filter(ok).filter(quiet).filter(|i| value(*i) != value(*last));
        let since = |i| history.time(i).since(history.time(heal)).as_millis() as u64;
        (validity, Some(differing.map(since).max().unwrap_or(0)))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

        #[test]
        fn the_oracle_comes_to_the_same(seed in any::<u64>(), steps in 2_usize..40) {
            let history = reads(seed, steps);
            let verdict = convergence().check(&history);
            let ms = verdict.results.get("convergence_ms").and_then(|ms| ms.as_u64());
            prop_assert_eq!((verdict.validity, ms), oracle(&history));
            // Unknown by itself, and not because the verification fails.
            let why = verdict.reasons.concat();
            prop_assert!(!why.contains("internal error"), "{}", why);
        }
    }
}
