//! Puts the findings of a transactional checker together into a verdict.

use std::collections::BTreeSet;

use crate::{Anomaly, Verdict};

use super::core::cycles::{Class, Found, PER_CLASS_MAX, Step};
use super::core::decide::Decision;
use super::core::proof;
use super::core::{Status, Transactions, explain};
use super::isolation::Isolation;

/// At most so many anomalies of a kind are shown; the rest is counted.
const REPORTED_MAX: usize = 16;

pub(crate) struct Report<'a> {
    name: &'static str,
    model: Isolation,
    txns: &'a Transactions,
    anomalies: Vec<Anomaly>,
    counts: std::collections::BTreeMap<&'static str, usize>,
    unknown: Vec<String>,
    /// Classes of cycles of which the search may have left some out.
    more: Vec<&'static str>,
    bytes: usize,
}

impl<'a> Report<'a> {
    pub(crate) fn new(name: &'static str, model: Isolation, txns: &'a Transactions) -> Report<'a> {
        Report {
            name,
            model,
            txns,
            anomalies: Vec::new(),
            counts: std::collections::BTreeMap::new(),
            unknown: Vec::new(),
            more: Vec::new(),
            bytes: 0,
        }
    }

    /// One more finding; it is put into words only where it will be shown.
    pub(crate) fn add(&mut self, kind: &'static str, explain: impl FnOnce() -> Anomaly) {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        if *count <= REPORTED_MAX {
            self.anomalies.push(explain());
        }
    }

    pub(crate) fn figure_bytes(&mut self, bytes: usize) {
        self.bytes = bytes;
    }

    /// The cycles of a search, each verified.
    pub(crate) fn cycles(&mut self, found: Found, reason: impl Fn(Step) -> Option<String>) {
        for (class, steps) in &found.cycles {
            match explain::cycle(self.txns, *class, steps, &reason) {
                Some(anomaly) => self.add(class.name(), || anomaly),
                None => self.unknown.push(format!(
                    "internal error: the verification of a cycle of class {} failed; please report it with the history",
                    class.name()
                )),
            }
        }
        self.more = Class::all().filter(|c| found.may_be_more(*c)).map(Class::name).collect();
        if found.gave_up {
            let explained = match found.clean_until {
                Some(event) => format!("; the transactions before event {event} have no cycle"),
                None => String::new(),
            };
            self.unknown.push(format!(
                "budget: the search for cycles ended before every class was excluded{explained}"
            ));
        }
    }

    /// Is there something that the model forbids?
    pub(crate) fn is_refuted(&self) -> bool {
        self.counts.keys().any(|kind| self.model.forbids(kind))
    }

    /// What orders of versions that nobody knows come to.
    pub(crate) fn decided(&mut self, decision: Decision, reason: impl Fn(Step) -> Option<String>) {
        match decision {
            Decision::Possible => {}
            Decision::Unknown => self.unknown.push(
                "incomplete: the versions of some keys have no order that is known; none was found that explains all, and not all were excluded".into(),
            ),
            Decision::Impossible { units, pair, cycles } => {
                match proof::impossible(self.txns, &units, pair, &cycles, reason) {
                    Some((class, anomaly)) if self.model.forbids(class.name()) => {
                        self.add(class.name(), || anomaly);
                    }
                    Some(_) => self.unknown.push(
                        "incomplete: no order of the versions explains all, by cycles of several classes".into(),
                    ),
                    None => self.unknown.push(
                        "internal error: the verification of the proof that no order of versions is possible failed; please report it with the history".into(),
                    ),
                }
            }
        }
    }

    pub(crate) fn verdict(mut self) -> Verdict {
        let model = self.model;
        let kinds: BTreeSet<String> = self.anomalies.iter().map(|a| a.kind.to_string()).collect();
        let kinds: Vec<&str> = kinds.iter().map(|k| &**k).collect();
        let bad: Vec<&str> = kinds.iter().copied().filter(|k| model.forbids(k)).collect();
        // Most informative first: what the model forbids, and of that the phenomena with least orders.
        self.anomalies.sort_by_key(|a| (!model.forbids(&a.kind), severity(&a.kind)));
        let mut verdict = if !bad.is_empty() {
            let left = names(&Isolation::at_best(kinds.iter().copied()));
            let left = if left.is_empty() { "nothing".into() } else { left.join(" or ") };
            Verdict::invalid(self.name, format!("not {model}: {}; at best {left}", bad.join(", ")))
        } else if self.unknown.is_empty() {
            Verdict::valid(self.name)
        } else {
            Verdict::unknown(self.name, self.unknown.remove(0))
        };
        verdict.reasons.append(&mut self.unknown);
        if !self.more.is_empty() {
            verdict.reasons.push(format!(
                "the search ends after {PER_CLASS_MAX} cycles of a kind: there may be more of {}",
                self.more.join(", ")
            ));
        }
        let count = |s| self.txns.status.iter().filter(|x| **x == s).count();
        verdict = verdict
            .with("model", model.as_str())
            .with("transactions", self.txns.len())
            .with("ok", count(Status::Ok))
            .with("info", count(Status::Info))
            .with("fail", count(Status::Fail))
            .with("keys", self.txns.key_count())
            .with("bytes", self.bytes)
            .with("phenomena", &self.counts);
        if !kinds.is_empty() {
            verdict = verdict
                .with("not", names(&Isolation::excluded_by(kinds.iter().copied())))
                .with("at_best", names(&Isolation::at_best(kinds.iter().copied())));
        }
        verdict.anomalies = self.anomalies;
        self.counts.into_iter().for_each(|(kind, n)| verdict.count_of(kind, n));
        verdict
    }
}

fn names(levels: &[Isolation]) -> Vec<&'static str> {
    levels.iter().map(|l| l.as_str()).collect()
}

/// Smaller for what rules out more: by how many levels a phenomenon leaves.
fn severity(kind: &str) -> usize {
    Isolation::ALL.iter().filter(|l| !l.forbids(kind)).count()
}
