//! Witnesses about sets, marks, and what nodes read in the end.

use std::collections::BTreeMap;

use super::{Facts, Held, that};
use crate::Anomaly;
use crate::calls::{Call, Outcome};
use fuzz_dist_history::op::{Kind, Process, Value};

impl Facts<'_> {
    /// Which successful reads have a value: per event of the history.
    fn presence(&self, read: &str, value: &Value) -> Vec<bool> {
        let h = self.history;
        let mut has = vec![false; h.len()];
        for i in self.all_ok(read) {
            has[i] = match (value.as_int().map(|n| h.set_change(i, n)), h.set_size(i)) {
                (Some(Some((base, came, gone))), _) => {
                    came || base.is_some_and(|b| has[b]) && (!gone || self.count(i, value) > 0)
                }
                (_, Some(_)) => false,
                _ => self.count(i, value) > 0,
            };
        }
        has
    }

    /// Of each node, the final read that began last.
    fn finals(&self, read: &str) -> Vec<usize> {
        let mut finals: BTreeMap<_, usize> = BTreeMap::new();
        for i in self.all_ok(read).filter(|i| self.is_final(*i)) {
            let last = finals.entry(self.history.node(i)).or_insert(i);
            if self.invoked(*last) < self.invoked(i) {
                *last = i;
            }
        }
        finals.into_values().collect()
    }

    /// A read has a value that it must not have.
    fn intruder(&self, kind: &str, adds: &[Call], read: usize, value: &Value) -> Held {
        that(self.count(read, value) > 0, "the read has it")?;
        let begun = |c: &Call| c.invoked < read;
        match kind {
            "unexpected" => that(adds.is_empty(), "no client added it"),
            "early" => that(!adds.is_empty() && !adds.iter().any(begun), "no add had begun"),
            _ => {
                let failed = |c: &Call| c.outcome == Outcome::Failed;
                let all = adds.iter().filter(|c| begun(c)).all(failed);
                that(adds.iter().any(failed) && all, "its adds had failed")
            }
        }
    }
}

pub(crate) fn set_full(facts: &Facts<'_>, a: &Anomaly, add: &str, read: &str) -> Held {
    let value = &a.subject;
    let adds = facts.calls(&[add], value);
    let at = facts.last(a, read)?;
    match &*a.kind {
        "duplicate" => that(facts.count(at, value) > 1, "it stands twice in the read"),
        "unexpected" | "early" | "resurrected" => facts.intruder(&a.kind, &adds, at, value),
        "read_your_writes" => {
            let process = facts.history.process(at);
            let own = adds.iter().filter(|c| c.process == process).find_map(Call::acknowledged);
            that(facts.count(at, value) == 0, "the read lacks it")?;
            that(own.is_some_and(|done| done < facts.invoked(at)), "its reader had added it")
        }
        "monotonic_reads" | "flutter" => {
            let reads: Vec<usize> =
                a.events.iter().copied().filter(|e| facts.is_ok(*e, read)).collect();
            let has = |i: usize| facts.count(reads[i], value) > 0;
            let expected = if &*a.kind == "flutter" { 3 } else { 2 };
            that(reads.len() == expected, "it names the reads")?;
            that((0..expected).all(|i| has(i) == (i != 1)), "it was there, and then not")?;
            let follow = |w: &[usize]| {
                let same = facts.history.process(w[0]) == facts.history.process(w[1]);
                same && w[0] < facts.invoked(w[1])
            };
            that(reads.windows(2).all(follow), "one client read them one after the other")
        }
        _ => gone(facts, a, &adds, read),
    }
}

/// It was known, and later a read lacks it.
fn gone(facts: &Facts<'_>, a: &Anomaly, adds: &[Call], read: &str) -> Held {
    let value = &a.subject;
    let lacks = |e: &&usize| facts.is_ok(**e, read) && facts.count(**e, value) == 0;
    let at = *a.events.iter().rev().find(lacks).ok_or("none of its reads lacks it")?;
    let shown =
        a.events.iter().copied().filter(|e| facts.is_ok(*e, read) && facts.count(*e, value) > 0);
    let known = adds.iter().filter_map(Call::acknowledged).chain(shown).min();
    that(known.is_some_and(|k| k < facts.invoked(at)), "it was known before the read began")?;
    match &*a.kind {
        "stale" => Ok(()),
        "missing" => that(facts.is_final(at), "it is a final read"),
        _ => {
            let has = facts.presence(read, value);
            let finals = facts.finals(read);
            let nowhere = !finals.is_empty() && finals.iter().all(|i| !has[*i]);
            let first = facts.all_ok(read).find(|i| has[*i]);
            let known = known.into_iter().chain(first).min();
            let last = facts.all_ok(read).filter(|i| has[*i]).map(|i| facts.invoked(i)).max();
            let gone = facts.all_ok(read).filter(|i| !has[*i]).any(|i| {
                let began = facts.invoked(i);
                known.is_some_and(|k| k < began) && last.is_none_or(|l| l < began)
            });
            that(nowhere || gone, "a read that began after all that have it lacks it")
        }
    }
}

pub(crate) fn set(facts: &Facts<'_>, a: &Anomaly, add: &str, read: &str) -> Held {
    let adds = facts.calls(&[add], &a.subject);
    let at = facts.last(a, read)?;
    if &*a.kind != "lost" {
        return facts.intruder(&a.kind, &adds, at, &a.subject);
    }
    that(facts.count(at, &a.subject) == 0, "the read lacks it")?;
    let known = adds.iter().filter_map(Call::acknowledged).min();
    that(known.is_some_and(|k| k < facts.invoked(at)), "its add was acknowledged before")?;
    let last = facts.all_ok(read).all(|i| facts.invoked(i) <= facts.invoked(at));
    that(facts.is_final(at) || last, "it is the last read")
}

pub(crate) fn or_set(
    facts: &Facts<'_>,
    a: &Anomaly,
    [add, remove, read]: [&str; 3],
    sequential_nodes: bool,
) -> Held {
    let value = &a.subject;
    let all = facts.calls(&[add], value);
    let (adds, removes) = (facts.possible(&[add], value), facts.possible(&[remove], value));
    let at = facts.last(a, read)?;
    let process = facts.history.process(at);
    let finals = || facts.finals(read).into_iter();
    match &*a.kind {
        "duplicate" => that(facts.count(at, value) > 1, "it stands twice in the read"),
        "unexpected" | "early" | "resurrected" => facts.intruder(&a.kind, &all, at, value),
        "lost" | "missing" => {
            let unseen = |c: &&Call| removes.iter().all(|r| r.end() < c.invoked);
            let kept = adds.iter().filter(|c| c.acknowledged().is_some()).any(|c| unseen(&c));
            that(kept, "no remove can have seen its add")?;
            that(facts.is_final(at) && facts.count(at, value) == 0, "the final read lacks it")?;
            if &*a.kind == "missing" {
                return Ok(());
            }
            let has = facts.presence(read, value);
            let nowhere = finals().all(|i| !has[i]);
            that(nowhere, "no final read has it")
        }
        "not_removed" => {
            that(facts.is_final(at) && facts.count(at, value) > 0, "the final read has it")?;
            let has = facts.presence(read, value);
            let session = |c: &Call, r: &Call| {
                let node = |c: &Call| facts.history.node(c.invoked);
                c.process == r.process || sequential_nodes && node(c) == node(r)
            };
            let removed = adds.iter().all(|add| {
                removes.iter().filter(|r| r.acknowledged().is_some()).any(|r| {
                    let own = add.acknowledged().is_some_and(|d| d < r.invoked) && session(add, r);
                    // Whoever removed it had read it, and only this add can have put it there.
                    own || facts.all_ok(read).any(|i| {
                        let others = adds.iter().filter(|o| o.invoked != add.invoked);
                        has[i]
                            && facts.history.process(i) == r.process
                            && (add.invoked..r.invoked).contains(&i)
                            && others.clone().all(|o| o.invoked > i)
                    })
                })
            });
            that(removed, "every add of it came before a remove")
        }
        "differs" => {
            let has = facts.presence(read, value);
            let (some, all) = (finals().any(|i| has[i]), finals().all(|i| has[i]));
            let open = adds.iter().chain(&removes).any(|c| c.outcome == Outcome::Open);
            that(!open, "no add or remove can still take effect")?;
            that(some && !all, "some final reads have it and others do not")
        }
        "own_add_unread" => {
            that(facts.count(at, value) == 0, "the read lacks it")?;
            let unread = adds.iter().filter(|c| c.process == process).any(|c| {
                let before = c.acknowledged().is_some_and(|d| d < facts.invoked(at));
                before && !removes.iter().any(|r| r.end() > c.invoked && r.invoked < at)
            });
            that(unread, "its reader had added it, and no client can have removed it")
        }
        "own_remove_unread" => {
            that(facts.count(at, value) > 0, "the read has it")?;
            let unread = removes.iter().filter(|r| r.process == process).any(|r| {
                let before = r.acknowledged().is_some_and(|d| d < facts.invoked(at));
                let older = |c: &Call| {
                    c.process == process && c.acknowledged().is_some_and(|d| d < r.invoked)
                };
                before && adds.iter().filter(|c| c.invoked < at).all(older)
            });
            that(unread, "its reader had removed it, and no client can have added it again")
        }
        other => Err(format!("no rule verifies `{other}`")),
    }
}

pub(crate) fn atomic(facts: &Facts<'_>, a: &Anomaly, [write, abort, read]: [&str; 3]) -> Held {
    let h = facts.history;
    let at = *a.events.last().ok_or("it names no event")?;
    let marks = match &a.subject {
        Value::Set(marks) => marks.as_slice().to_vec(),
        Value::Int(mark) => vec![*mark],
        _ => return Err("it is about no marks".into()),
    };
    let seen = |m: &&i64| facts.count(at, &Value::Int(**m)) > 0;
    let (some, all) = (marks.iter().any(|m| seen(&m)), marks.iter().all(|m| seen(&m)));
    let txn = facts.calls(&[write, abort], &a.subject);
    let written = |f: &str| txn.iter().any(|c| &**h.function(c.invoked) == f);
    if &*a.kind == "own_write_unread" {
        let own = txn.iter().any(|c| c.acknowledged() == Some(at));
        return that(own && !all, "it did not read all of its own marks");
    }
    that(facts.is_ok(at, read), "it names a read")?;
    match &*a.kind {
        "fractured" => that(!txn.is_empty() && some && !all, "the read has a part of it"),
        "aborted_read" => {
            let void = written(abort) || txn.iter().all(|c| c.outcome == Outcome::Failed);
            that(!txn.is_empty() && some && void, "the read has what never committed")
        }
        "lost" => {
            let due = |c: &Call| c.acknowledged().is_some_and(|d| d < facts.invoked(at));
            let due = written(write) && txn.iter().any(due);
            that(due && !all && facts.is_final(at), "a final read lacks what was acknowledged")
        }
        "duplicate" => {
            let twice = marks.iter().any(|m| facts.count(at, &Value::Int(*m)) > 1);
            that(twice, "a mark stands twice in the read")
        }
        "early" => that(some && txn.iter().all(|c| c.invoked > at), "no client had written it yet"),
        "unexpected" => {
            let writes = |i: usize| [write, abort].contains(&&**h.function(i));
            let of = |i: usize| h.process(i).is_client() && writes(i) && h.invocation(i).is_none();
            let nobody = !(0..h.len()).any(|i| of(i) && facts.count(i, &a.subject) > 0);
            that(some && nobody, "no client wrote it")
        }
        other => Err(format!("no rule verifies `{other}`")),
    }
}

pub(crate) fn convergence(facts: &Facts<'_>, a: &Anomaly, ordered: bool) -> Held {
    let mut nodes = Vec::new();
    let mut values = Vec::new();
    for event in &a.events {
        that(facts.is_final(*event), "it names final reads only")?;
        nodes.push(facts.history.node(*event));
        let mut value = facts.history.value(*event);
        if let (Value::List(items), false) = (&value, ordered) {
            let mut items = items.to_vec();
            items.sort();
            value = Value::list(items);
        }
        values.push(value);
    }
    that(values.iter().any(|v| *v != values[0]), "the reads differ")?;
    nodes.sort_unstable();
    that(nodes.windows(2).all(|n| n[0] != n[1]), "each is of another node")?;
    let h = facts.history;
    let open: Vec<Value> = (0..h.len())
        .filter(|i| h.kind(*i) == Kind::Invoke && h.process(*i).is_client())
        .filter(|i| h.function(*i) != h.function(a.events[0]))
        .filter(|i| h.completion(*i).is_none_or(|c| h.kind(c) == Kind::Info))
        .map(|i| h.value(i))
        .collect();
    if !open.is_empty() {
        // Either the same elements stand in another order, or one differs that no update names.
        let items = |v: &Value| match v {
            Value::Set(s) => s.as_slice().iter().map(|n| Value::Int(*n)).collect(),
            v => v.as_list().unwrap_or_default().to_vec(),
        };
        let all: Vec<Value> = values.iter().flat_map(items).collect();
        let count = |v: &Value, e: &Value| items(v).iter().filter(|i| *i == e).count();
        let differs = |e: &&Value| values.iter().any(|v| count(v, e) != count(&values[0], e));
        let unnamed = |e: &Value| !open.contains(e);
        let moved = all.iter().all(|e| !differs(&e));
        that(moved || all.iter().filter(differs).any(unnamed), "no open update explains it")?;
    }
    let client = |e: &usize| facts.history.process(*e) < Process::RUNTIME;
    that(a.events.iter().all(client), "clients read")
}
