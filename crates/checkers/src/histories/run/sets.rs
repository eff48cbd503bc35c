//! Sets that grow on nodes that lag behind, sets with removes, and the marks of transactions.

use std::collections::BTreeSet;

use super::{Planter, Simulated};
use fuzz_dist_history::op::Value;
use fuzz_dist_random::{Seed, Stream};

/// What all sets have: elements, and one that a node does not show.
#[derive(Default)]
struct Elements {
    held: BTreeSet<i64>,
    next: i64,
    hidden: Option<(u16, i64)>,
    /// What an anomaly is about: nobody else touches it.
    planted: BTreeSet<i64>,
}

impl Elements {
    fn fresh(&mut self) -> i64 {
        self.next += 1;
        self.next - 1
    }

    /// What a node shows, apart from what it has not got yet.
    fn shown(&self, node: u16, behind: &BTreeSet<i64>) -> Value {
        let hidden = self.hidden.filter(|(n, _)| *n == node).map(|(_, e)| e);
        Value::set(self.held.difference(behind).copied().filter(|e| Some(*e) != hidden))
    }

    /// What a node shows that has caught up.
    fn all(&self, node: u16) -> Value {
        self.shown(node, &BTreeSet::new())
    }

    /// All of it, with some more and without one.
    fn with(&self, more: &[i64], without: i64) -> Value {
        let held = self.held.iter().filter(|e| **e != without);
        Value::set(held.chain(more).copied())
    }

    /// What any set can have wrong, by an element that `add` adds.
    fn plant(&mut self, anomaly: &str, add: &str, by: &mut Planter<'_>) {
        let element = self.fresh();
        self.planted.extend([element, -7]);
        let (one, other) = (by.client(), by.client());
        let wrap = |e: i64| if add == "write" { Value::set([e]) } else { Value::Int(e) };
        match anomaly {
            "lost" => by.acknowledged(one, add, wrap(element)),
            "missing" | "diverged" => {
                by.acknowledged(one, add, wrap(element));
                self.held.insert(element);
                self.hidden = Some((by.nodes - 1, element));
            }
            "duplicate" => {
                by.acknowledged(one, add, wrap(element));
                self.held.insert(element);
                by.did(other, "read", Value::Nil, self.with(&[element], -1));
            }
            "unexpected" => {
                self.held.insert(-7);
                by.did(other, "read", Value::Nil, self.with(&[], -1));
            }
            "resurrected" => {
                by.invoke(one, add, wrap(element));
                by.fail(one);
                self.held.insert(element);
                by.did(other, "read", Value::Nil, self.with(&[], -1));
            }
            "early" => {
                by.did(other, "read", Value::Nil, self.with(&[element], -1));
                by.acknowledged(one, add, wrap(element));
                self.held.insert(element);
            }
            _ => {}
        }
    }

    /// Every node is read a last time; some not.
    fn finish(&self, from: u16, by: &mut Planter<'_>) {
        for node in by.finals.clone().filter(|n| *n >= from) {
            let client = by.client_on(node);
            by.did(client, "read", Value::Nil, self.all(node));
        }
    }
}

/// A set of which every node has a copy that lags behind.
pub(super) struct Set {
    elements: Elements,
    reads: f64,
    lag: f64,
    random: Stream,
    /// What others have and a node has not got yet.
    behind: Vec<BTreeSet<i64>>,
}

impl Set {
    pub(super) fn new(nodes: u16, reads: f64, lag: f64, seed: Seed) -> Set {
        let behind = vec![BTreeSet::new(); usize::from(nodes)];
        Set { elements: Elements::default(), reads, lag, random: seed.stream("lag"), behind }
    }
}

impl Simulated for Set {
    fn next(&mut self, random: &mut Stream) -> (&'static str, Value) {
        match random.chance(self.reads) {
            true => ("read", Value::Nil),
            false => ("add", self.elements.fresh().into()),
        }
    }

    fn apply(&mut self, (_, node): (u32, u16), f: &str, argument: &Value) -> Option<Value> {
        let own = usize::from(node);
        if !self.random.chance(self.lag) {
            self.behind[own].clear();
        }
        let ("add", Some(e)) = (f, argument.as_int()) else {
            return Some(self.elements.shown(node, &self.behind[own]));
        };
        self.elements.held.insert(e);
        if self.lag > 0.0 {
            for (_, behind) in self.behind.iter_mut().enumerate().filter(|(n, _)| *n != own) {
                behind.insert(e);
            }
        }
        Some(argument.clone())
    }

    fn plant(&mut self, anomaly: &str, by: &mut Planter<'_>) {
        // Clients of the planter see everything.
        self.behind.iter_mut().for_each(BTreeSet::clear);
        let set = &mut self.elements;
        if !matches!(anomaly, "stale" | "flutter" | "read_your_writes" | "monotonic_reads") {
            return set.plant(anomaly, "add", by);
        }
        let element = set.fresh();
        // Sessions are followed node by node.
        let (one, other) = (by.client_on(0), by.client_on(0));
        by.acknowledged(one, "add", element.into());
        set.held.insert(element);
        let (with, without) = (set.with(&[], -1), set.with(&[], element));
        let shown: &[bool] = match anomaly {
            "flutter" => &[true, false, true],
            "monotonic_reads" => &[true, false],
            _ => &[false],
        };
        let reader = if anomaly == "read_your_writes" { one } else { other };
        for has in shown {
            let value = if *has { with.clone() } else { without.clone() };
            by.did(reader, "read", Value::Nil, value);
        }
    }

    fn finish(&mut self, anomaly: Option<&str>, by: &mut Planter<'_>) {
        let from = u16::from(anomaly == Some("no_final_read"));
        self.elements.finish(from, by);
    }
}

#[derive(Default)]
pub(super) struct OrSet(Elements);

impl Simulated for OrSet {
    fn next(&mut self, random: &mut Stream) -> (&'static str, Value) {
        let some: Vec<i64> = self.0.held.difference(&self.0.planted).copied().collect();
        match (random.below(4), random.choose(&some)) {
            (0 | 1, _) => ("read", Value::Nil),
            (2, Some(e)) => ("remove", (*e).into()),
            _ => ("add", self.0.fresh().into()),
        }
    }

    fn apply(&mut self, (_, node): (u32, u16), f: &str, argument: &Value) -> Option<Value> {
        match (f, argument.as_int()) {
            ("add", Some(e)) => drop(self.0.held.insert(e)),
            ("remove", Some(e)) => drop(self.0.held.remove(&e)),
            _ => return Some(self.0.all(node)),
        }
        Some(argument.clone())
    }

    fn plant(&mut self, anomaly: &str, by: &mut Planter<'_>) {
        let set = &mut self.0;
        if !matches!(anomaly, "not_removed" | "differs" | "own_add_unread" | "own_remove_unread") {
            return set.plant(anomaly, "add", by);
        }
        let element = set.fresh();
        set.planted.insert(element);
        let (one, other) = (by.client(), by.client());
        match anomaly {
            "differs" => {
                by.invoke(one, "add", element.into());
                by.invoke(other, "remove", element.into());
                by.done(one);
                by.done(other);
                set.held.insert(element);
                set.hidden = Some((by.nodes - 1, element));
            }
            "own_add_unread" => {
                by.acknowledged(one, "add", element.into());
                by.did(one, "read", Value::Nil, set.with(&[], -1));
                set.held.insert(element);
            }
            _ => {
                by.acknowledged(one, "add", element.into());
                by.acknowledged(one, "remove", element.into());
                if anomaly == "not_removed" {
                    set.held.insert(element);
                } else {
                    by.did(one, "read", Value::Nil, set.with(&[element], -1));
                }
            }
        }
    }

    fn finish(&mut self, _: Option<&str>, by: &mut Planter<'_>) {
        self.0.finish(0, by);
    }
}

#[derive(Default)]
pub(super) struct Marks(Elements);

impl Simulated for Marks {
    fn next(&mut self, random: &mut Stream) -> (&'static str, Value) {
        if random.chance(0.5) {
            return ("read", Value::Nil);
        }
        let marks: Vec<i64> = (0..1 + random.below(3)).map(|_| self.0.fresh()).collect();
        (if random.chance(0.2) { "abort" } else { "write" }, Value::set(marks))
    }

    fn apply(&mut self, (_, node): (u32, u16), f: &str, argument: &Value) -> Option<Value> {
        if let ("write", Value::Set(marks)) = (f, argument) {
            self.0.held.extend(marks.as_slice());
        }
        Some(if f == "read" { self.0.all(node) } else { argument.clone() })
    }

    fn plant(&mut self, anomaly: &str, by: &mut Planter<'_>) {
        let set = &mut self.0;
        let (one, other) = (by.client(), by.client());
        let (a, b) = (set.fresh(), set.fresh());
        let both = Value::set([a, b]);
        match anomaly {
            "fractured" => {
                by.acknowledged(one, "write", both);
                by.did(other, "read", Value::Nil, set.with(&[a], -1));
                set.held.extend([a, b]);
            }
            "aborted_read" => {
                by.acknowledged(one, "abort", both);
                by.did(other, "read", Value::Nil, set.with(&[a, b], -1));
            }
            "own_write_unread" => {
                by.did(one, "write", both, Value::set([a]));
                set.held.extend([a, b]);
            }
            _ => set.plant(anomaly, "write", by),
        }
    }

    fn finish(&mut self, _: Option<&str>, by: &mut Planter<'_>) {
        self.0.finish(0, by);
    }
}
