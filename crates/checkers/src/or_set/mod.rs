//! `or_set`: an add-wins set with adds and removes, judged by what causality proves.
//!
//! The observed-remove set of Shapiro et al. ("A comprehensive study of convergent and
//! commutative replicated data types", INRIA RR-7506, 2011, section 3.3.5): a remove takes back
//! the adds that it has seen; an add that is concurrent with it wins. What a remove has seen is
//! not in the history, so only what follows in every case is judged:
//!
//! - an add precedes a remove *causally* where the same client invoked the remove after the
//!   add was acknowledged (or the same node served both in that order, where a node is said to
//!   be sequential), or where the client had read the element, and there was one add only that
//!   can have put it there;
//! - an add *may* have been seen by a remove unless that completed before the add was invoked.
//!
//! In the end (each node's final read) an element *must* be there when some acknowledged add
//! of it can have been seen by no remove, and *must not* be there when every add of it that may
//! have happened precedes an acknowledged remove causally. Between these, either is right, but
//! all nodes must agree, unless an add or a remove of unknown outcome may have taken effect
//! between two final reads: then nobody knows. Within a session, the same is judged for what the client did itself.

mod judge;
#[cfg(test)]
mod oracle;
mod sessions;
#[cfg(test)]
mod tests;

use super::Arguments;
use std::collections::BTreeMap;

use super::calls::{Call, Outcome, calls};
use super::evidence::{Faults, count, listed};
use super::finals::Finals;
use super::sets::{Elements, Streams, Unreadable};
use super::verify::{self, verified};
use super::{ANOMALIES_MAX, Anomaly, Checker, Validity, Verdict, within};
use crate::registration::{Judges, Needs, Opt, Registration, SESSIONS, built};
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Name, Value};
use sessions::View;

/// Judges add-wins sets; see [`or_set`].
#[derive(Clone, Debug)]
pub struct OrSet {
    add: Name,
    remove: Name,
    read: Name,
    sessions: bool,
    sequential_nodes: bool,
}

/// Judges an add-wins set under `add v`, `remove v` (any number of times each) and `read`:
/// add-wins where the order is causal, either where it is concurrent.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, or_set, histories::Recorder};
/// # use fuzz_dist_history::op::{Phase, Value};
/// let mut r = Recorder::new(["n1"]);
/// for f in ["add", "remove"] {
///     r.invoke(0, f, 5);
///     r.done(0);
/// }
/// r.phase = Phase::Final;
/// r.invoke(0, "read", Value::Nil);
/// r.ok(0, Value::set([5]));
/// let verdict = or_set().check(&r.history());
/// assert_eq!(&*verdict.anomalies[0].kind, "not_removed");
/// ```
pub fn or_set() -> OrSet {
    OrSet {
        add: "add".into(),
        remove: "remove".into(),
        read: "read".into(),
        sessions: false,
        sequential_nodes: false,
    }
}

impl OrSet {
    /// Are violations of session guarantees a reason to say invalid? They are results in any
    /// case.
    #[must_use]
    pub fn sessions(mut self, asked: bool) -> OrSet {
        self.sessions = asked;
        self
    }

    /// Does what a node acknowledged precede, causally, everything that is invoked on the same
    /// node afterwards, by other clients too? So it is where each node is one sequential
    /// replica.
    #[must_use]
    pub fn sequential_nodes(mut self, they_are: bool) -> OrSet {
        self.sequential_nodes = they_are;
        self
    }
}

/// What clients did to one element, in the order of invocation; what failed is apart.
#[derive(Clone, Copy, Debug)]
struct Element<'a> {
    adds: &'a [Call],
    removes: &'a [Call],
    failed_adds: &'a [Call],
}

/// What clients did, by element.
struct ByElement {
    calls: Vec<Call>,
    /// Per element three, and one more: where its adds, its removes and its failed adds begin.
    start: Vec<u32>,
}

impl ByElement {
    /// Puts calls in order; those of an element that are alike stay in theirs. What `class` gives
    /// is the place among the three, or `None` for what never happened.
    fn of(
        elements: usize,
        calls: &[Call],
        ids: &[u32],
        class: impl Fn(&Call) -> Option<usize>,
    ) -> ByElement {
        let places = || {
            let all = calls.iter().zip(ids);
            all.filter_map(|(call, id)| Some((call, *id as usize * 3 + class(call)?)))
        };
        let mut start = vec![0u32; 3 * elements + 2];
        places().for_each(|(_, place)| start[place + 2] += 1);
        for i in 2..start.len() {
            start[i] += start[i - 1];
        }
        let Some(first) = calls.first() else { return ByElement { calls: Vec::new(), start } };
        let mut sorted = vec![*first; start[start.len() - 1] as usize];
        for (call, place) in places() {
            let at = &mut start[place + 1];
            sorted[*at as usize] = *call;
            *at += 1;
        }
        ByElement { calls: sorted, start }
    }

    fn elements(&self) -> Vec<Element<'_>> {
        let range = |i: usize| &self.calls[self.start[i] as usize..self.start[i + 1] as usize];
        (0..self.start.len() / 3)
            .map(|id| Element {
                adds: range(3 * id),
                removes: range(3 * id + 1),
                failed_adds: range(3 * id + 2),
            })
            .collect()
    }
}

/// Everything that the parts of the checker look at.
struct Facts<'a> {
    history: &'a History,
    options: &'a OrSet,
    elements: Vec<Element<'a>>,
    names: Vec<Value>,
    streams: Streams,
    /// Has the run an end?
    settled: bool,
    /// One for each of the streams.
    views: Vec<View>,
    faults: Faults,
}

/// A finding about an element.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    kind: &'static str,
    id: u32,
    /// The stream of the read that shows it, and its completion.
    stream: usize,
    read: u32,
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "or_set",
    about: "an add-wins set with removes",
    judges: Judges::Only(&["add", "remove", "read"]),
    needs: Needs::Order,
    options: &[
        SESSIONS,
        Opt::flag(
            "sequential-nodes",
            "what a node acknowledged precedes all that is invoked there later",
        ),
    ],
    build: |o| {
        let checker = or_set().sessions(o.flag("sessions")?);
        built(checker.sequential_nodes(o.flag("sequential-nodes")?))
    },
};

impl Checker for OrSet {
    fn check(&self, history: &History) -> Verdict {
        let both: Vec<Call> = calls(history, &[&*self.add, &*self.remove]).collect();
        let invoked: Vec<u32> = both.iter().map(|c| c.invoked as u32).collect();
        let (mut numbers, ids) = Elements::of_values(history, &invoked);
        let streams = match Streams::of(history, &self.read, &mut numbers, &[]) {
            Ok(streams) => streams,
            Err(Unreadable(i)) => {
                let value = history.value(i);
                return Verdict::unknown(
                    "or_set",
                    format!(
                        "the read at event {i} gave {value}, which is neither a set nor a list"
                    ),
                );
            }
        };
        let add = history.find_function(&self.add);
        let class = |call: &Call| {
            let is_add = Some(history.function_index(call.invoked)) == add;
            match (is_add, call.outcome) {
                (true, Outcome::Failed) => Some(2),
                (true, _) => Some(0),
                (false, Outcome::Failed) => None,
                (false, _) => Some(1),
            }
        };
        let by_element = ByElement::of(numbers.len(), &both, &ids, class);
        let elements = by_element.elements();
        let names = (0..numbers.len()).map(|id| numbers.name(id)).collect();
        let view = |s| View::of(history, s, elements.len());
        let views = streams.streams.iter().map(view).collect();
        let finals = Finals::of(history, &self.read);
        let facts = Facts {
            views,
            settled: finals.settled,
            history,
            options: self,
            elements,
            names,
            streams,
            faults: Faults::of(history),
        };
        let (mut findings, unsure) = facts.judge();
        let sessions = facts.sessions();
        if self.sessions {
            findings.extend(sessions.iter().cloned());
        }
        let mut verdict = facts.verdict(&findings);
        if !unsure.is_empty() && !verdict.is_invalid() {
            verdict.validity = Validity::Unknown;
            let names: Vec<&Value> = unsure.iter().map(|id| &facts.names[*id as usize]).collect();
            verdict.reasons.push(format!(
                "the final reads differ in {}, which indeterminate (`info`) updates may have changed between them: {}",
                count(unsure.len(), "element"),
                listed(&names)
            ));
        }
        let vanished = ["lost", "missing", "differs", "own_add_unread"];
        within::narrow(history, &mut verdict, &self.read, &vanished, |a, value| {
            within::has(value, &a.subject)
        });
        finals.apply(&mut verdict);
        let verdict = verdict.with("unsure_count", unsure.len());
        let verdict = facts.figures(verdict, &findings, &sessions);
        let functions = [&*self.add, &*self.remove, &*self.read];
        let verdict = verified(history, verdict, |f, a| {
            verify::or_set(f, a, functions, self.sequential_nodes)
        });
        facts.faults.state(history, verdict)
    }

    fn arguments(&self) -> Option<Arguments> {
        let usual = [&*self.add, &*self.remove, &*self.read] == ["add", "remove", "read"];
        let flags = Arguments::of("or_set").flag("sessions", self.sessions);
        usual.then(|| flags.flag("sequential-nodes", self.sequential_nodes))
    }
}

impl Facts<'_> {
    fn verdict(&self, findings: &[Finding]) -> Verdict {
        let reads: usize = self.streams.streams.iter().map(|s| s.len()).sum();
        let mut by_kind: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
        for finding in findings {
            by_kind.entry(finding.kind).or_default().push(finding);
        }
        let mut anomalies: Vec<Anomaly> = Vec::new();
        let mut reasons: Vec<String> = Vec::new();
        let counts: Vec<(&str, usize)> = by_kind.iter().map(|(k, f)| (*k, f.len())).collect();
        for (kind, found) in by_kind {
            let mut names: Vec<Value> =
                found.iter().map(|f| self.names[f.id as usize].clone()).collect();
            names.sort_unstable();
            names.dedup();
            reasons.push(format!("{} {kind}: {}", count(names.len(), "element"), listed(&names)));
            anomalies.extend(found.iter().take(ANOMALIES_MAX).map(|f| self.explain(f)));
        }
        let touched = self.elements.iter().any(|e| !e.adds.is_empty());
        let mut verdict = if !reasons.is_empty() {
            Verdict::invalid("or_set", reasons.remove(0))
        } else if reads == 0 || !touched {
            let what = if reads == 0 { "nothing was read" } else { "nothing was added" };
            Verdict::unknown("or_set", what)
        } else {
            Verdict::valid("or_set")
        };
        verdict.reasons.extend(reasons);
        verdict.anomalies = anomalies;
        counts.into_iter().fold(verdict, |verdict, (kind, n)| verdict.counted(kind, n))
    }

    fn figures(&self, verdict: Verdict, findings: &[Finding], sessions: &[Finding]) -> Verdict {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for kind in judge::KINDS.iter().chain(&sessions::KINDS) {
            counts.insert(kind, 0);
        }
        let all = findings.iter().chain(sessions.iter().filter(|_| !self.options.sessions));
        for finding in all {
            *counts.entry(finding.kind).or_default() += 1;
        }
        let sum = |f: fn(&Element<'_>) -> usize| self.elements.iter().map(f).sum::<usize>();
        let verdict = verdict
            .with("add_count", sum(|e| e.adds.len() + e.failed_adds.len()))
            .with("remove_count", sum(|e| e.removes.len()))
            .with("element_count", self.elements.iter().filter(|e| !e.adds.is_empty()).count());
        counts.into_iter().fold(verdict, |v, (kind, n)| v.with(format!("{kind}_count"), n))
    }
}
