//! `atomic`: transactions are seen whole or not at all, and aborted ones never.
//!
//! A transaction writes *marks*, whole numbers that no other transaction writes, under any number
//! of keys; a read of all keys in one transaction gives the marks that it sees. What must not
//! be (*atomic visibility*: Bailis et al., "Scalable atomic visibility with RAMP transactions",
//! SIGMOD 2014, section 3; *aborted reads*: Adya, "Weak consistency", MIT 1999, G1a):
//!
//! - *fractured*: a read has some marks of a transaction and lacks others;
//! - *aborted read*: a read has a mark of a transaction that was aborted, or that failed;
//! - *own write unread*: a transaction did not read what it had written itself;
//! - *unexpected*, *early*, *duplicate*: a read has a mark that no client wrote, or none had
//!   written yet, or has it twice;
//! - *lost*: a node's final read lacks an acknowledged transaction.

#[cfg(test)]
mod oracle;
mod reads;
#[cfg(test)]
mod tests;

use super::Arguments;
use std::collections::HashMap;

use super::calls::{Call, Outcome, calls};
use super::evidence::{Faults, count, listed, node_of};
use super::finals::Finals;
use super::verify::{self, verified};
use super::{ANOMALIES_MAX, Anomaly, Checker, Verdict, within};
use crate::registration::{Judges, Needs, Registration, built};
use fuzz_dist_history::History;
use fuzz_dist_history::op::{Kind, Name, Value};
use reads::{Finding, Findings, View};

/// Judges atomic visibility; see [`atomic`].
#[derive(Clone, Debug)]
pub struct Atomic {
    write: Name,
    abort: Name,
    read: Name,
}

/// Judges whether transactions are seen whole or not at all, and aborted ones never.
///
/// `write` and `abort` have the set of their marks as value; the value of their completion, where
/// that is a set, is what of it the transaction read itself. `abort` ends without a commit on
/// purpose. `read` gives all marks that it sees.
///
/// ```
/// # use fuzz_dist_checkers::{Checker, atomic, histories::Recorder};
/// # use fuzz_dist_history::op::Value;
/// let mut r = Recorder::new(["n1"]);
/// r.invoke(0, "write", Value::set([1, 2]));
/// r.done(0);
/// r.invoke(0, "read", Value::Nil);
/// r.ok(0, Value::set([2]));
/// let verdict = atomic().check(&r.history());
/// assert_eq!(&*verdict.anomalies[0].kind, "fractured");
/// ```
pub fn atomic() -> Atomic {
    Atomic { write: "write".into(), abort: "abort".into(), read: "read".into() }
}

/// A transaction that writes.
#[derive(Clone, Debug)]
struct Txn {
    call: Call,
    marks: Vec<i64>,
    /// It was to be aborted, whatever became of that.
    abort: bool,
}

impl Txn {
    /// Must no read ever have it?
    fn is_void(&self) -> bool {
        self.abort || self.call.outcome == Outcome::Failed
    }
}

/// The transactions of a history, and which one writes each mark.
struct Txns {
    all: Vec<Txn>,
    of_mark: HashMap<i64, u32>,
}

impl Txns {
    fn of(history: &History, options: &Atomic) -> Result<Txns, String> {
        let mut txns = Txns { all: Vec::new(), of_mark: HashMap::new() };
        let abort = history.find_function(&options.abort);
        for call in calls(history, &[&*options.write, &*options.abort]) {
            let value = history.value(call.invoked);
            let Value::Set(marks) = &value else {
                let i = call.invoked;
                return Err(format!(
                    "the transaction at event {i} writes {value}, which is no set"
                ));
            };
            let id = txns.all.len() as u32;
            for mark in marks.as_slice() {
                if txns.of_mark.insert(*mark, id).is_some() {
                    return Err(format!("the mark {mark} is written twice, by two transactions"));
                }
            }
            let abort = abort == Some(history.function_index(call.invoked));
            txns.all.push(Txn { call, marks: marks.as_slice().to_vec(), abort });
        }
        Ok(txns)
    }
}

pub(crate) const REGISTRATION: Registration = Registration {
    name: "atomic",
    about: "transactions of marks: seen whole or not at all, and aborted ones never",
    judges: Judges::Only(&["write", "abort", "read"]),
    needs: Needs::Order,
    options: &[],
    build: |_| built(atomic()),
};

impl Checker for Atomic {
    fn check(&self, history: &History) -> Verdict {
        let txns = match Txns::of(history, self) {
            Ok(txns) => txns,
            Err(reason) => return Verdict::unknown("atomic", reason),
        };
        let mut view = View::new(&txns, history.nodes().len());
        let read = history.find_function(&self.read);
        let mut read_count = 0;
        for i in 0..history.len() {
            let is_read = Some(history.function_index(i)) == read
                && history.kind(i) == Kind::Ok
                && history.process(i).is_client();
            if !is_read {
                continue;
            }
            read_count += 1;
            if !view.read(history, i) {
                let value = history.value(i);
                let reason = format!("the read at event {i} gave {value}, which is no set");
                return Verdict::unknown("atomic", reason);
            }
        }
        let finals = Finals::of(history, &self.read);
        let mut findings = view.into_findings();
        lost(history, &txns, &finals).into_iter().for_each(|f| findings.add(f));
        own_unread(history, &txns).into_iter().for_each(|f| findings.add(f));
        let context = Context { history, txns: &txns, faults: Faults::of(history) };
        let mut verdict = context.verdict(read_count, &findings);
        within::narrow(history, &mut verdict, &self.read, &["lost", "fractured"], |a, value| {
            within::has(value, &a.subject)
        });
        finals.apply(&mut verdict);
        let functions = [&*self.write, &*self.abort, &*self.read];
        let verdict = verified(history, verdict, |f, a| verify::atomic(f, a, functions));
        context.faults.state(history, verdict)
    }

    fn arguments(&self) -> Option<Arguments> {
        let usual = [&*self.write, &*self.abort, &*self.read] == ["write", "abort", "read"];
        usual.then(|| Arguments::of("atomic"))
    }
}

/// Acknowledged before a node's final read was invoked, and not whole in it.
fn lost(history: &History, txns: &Txns, finals: &Finals) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (_, read) in &finals.reads {
        let value = history.value(*read);
        let invoked = history.invocation(*read).unwrap_or(*read);
        let Value::Set(seen) = &value else { continue };
        for (id, txn) in txns.all.iter().enumerate().filter(|(_, t)| !t.is_void()) {
            let due = txn.call.acknowledged().is_some_and(|at| at < invoked);
            let missing = |m: &&i64| seen.as_slice().binary_search(m).is_err();
            if let (true, Some(mark)) = (due, txn.marks.iter().find(missing)) {
                findings.push(Finding::new("lost", Some(id as u32), *mark, *read));
            }
        }
    }
    findings
}

/// Transactions that say what they read of themselves, and lack something.
fn own_unread(history: &History, txns: &Txns) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, txn) in txns.all.iter().enumerate() {
        let Some(done) = txn.call.acknowledged() else { continue };
        let value = history.value(done);
        let Value::Set(own) = &value else { continue };
        let unread = |m: &&i64| own.as_slice().binary_search(m).is_err();
        if let Some(mark) = txn.marks.iter().find(unread) {
            findings.push(Finding::new("own_write_unread", Some(id as u32), *mark, done));
        }
    }
    findings
}

/// The kinds of findings, most informative first, and what a number of them is called.
const KINDS: [(&str, &str); 7] = [
    ("aborted_read", "aborted transaction"),
    ("fractured", "fractured transaction"),
    ("lost", "lost transaction"),
    ("own_write_unread", "unread own write"),
    ("unexpected", "unexpected mark"),
    ("early", "early mark"),
    ("duplicate", "duplicate mark"),
];

/// Findings in words.
struct Context<'a> {
    history: &'a History,
    txns: &'a Txns,
    faults: Faults,
}

impl Context<'_> {
    fn verdict(&self, reads: usize, findings: &Findings) -> Verdict {
        let mut reasons = Vec::new();
        let mut anomalies = Vec::new();
        let mut counts = Vec::new();
        for (kind, noun) in KINDS {
            let found: Vec<&Finding> = findings.first.iter().filter(|f| f.kind == kind).collect();
            let events = findings.reads.get(kind).map_or(0, |(reads, _)| *reads);
            if !found.is_empty() {
                let n = count(found.len(), noun);
                reasons.push(format!("{n}, shown by {}", count(events, "operation")));
            }
            counts.push((kind, found.len()));
            anomalies.extend(found.into_iter().take(ANOMALIES_MAX).map(|f| self.anomaly(f)));
        }
        let mut verdict = match (reasons.is_empty(), reads) {
            (true, 0) => Verdict::unknown("atomic", "nothing was read"),
            (true, _) => Verdict::valid("atomic"),
            (false, _) => Verdict::invalid("atomic", reasons.remove(0)),
        };
        verdict.reasons.extend(reasons);
        verdict.anomalies = anomalies;
        let aborted = self.txns.all.iter().filter(|t| t.abort).count();
        let verdict = verdict
            .with("transaction_count", self.txns.all.len() - aborted)
            .with("aborted_on_purpose_count", aborted)
            .with("read_count", reads);
        counts.into_iter().fold(verdict, |verdict, (kind, n)| {
            verdict.with(format!("{kind}_count"), n).counted(kind, n)
        })
    }

    fn anomaly(&self, finding: &Finding) -> Anomaly {
        let history = self.history;
        let at = history.time(finding.event);
        let node = node_of(history, finding.event);
        let mark = finding.mark;
        let mut events = vec![finding.event];
        let text = match finding.txn.map(|id| &self.txns.all[id as usize]) {
            None => format!("{mark} was read on {node} at {at}, but no client wrote it"),
            Some(txn) => {
                events.insert(0, txn.call.invoked);
                let from = history.time(txn.call.invoked);
                let faults = self.faults.between(from, at);
                let faults = match faults.is_empty() {
                    true => String::new(),
                    false => format!("; faults between: {faults}"),
                };
                format!("{}: {}{faults}", self.transaction(txn), what(finding, &node, at))
            }
        };
        let subject = finding.txn.map_or(Value::Int(mark), |id| {
            Value::set(self.txns.all[id as usize].marks.iter().copied())
        });
        Anomaly::new(finding.kind, subject)
            .explained(text)
            .proved_by(events)
            .on(history.node(finding.event))
            .at(at)
    }

    fn transaction(&self, txn: &Txn) -> String {
        let history = self.history;
        let end = txn.call.completed.map(|c| format!(" at {}", history.time(c)));
        let end = end.unwrap_or_default();
        let became = match (txn.call.outcome, txn.abort) {
            (_, true) => format!("was aborted on purpose{end}"),
            (Outcome::Acknowledged, _) => format!("was acknowledged{end}"),
            (Outcome::Failed, _) => format!("failed{end}"),
            (Outcome::Open, _) => "has no known outcome".to_string(),
        };
        format!(
            "the transaction of client {} on {} that wrote {} {became}",
            txn.call.process,
            node_of(history, txn.call.invoked),
            listed(&txn.marks)
        )
    }
}

fn what(finding: &Finding, node: &str, at: fuzz_dist_history::time::Time) -> String {
    let mark = finding.mark;
    match finding.kind {
        "fractured" => format!("a read on {node} at {at} has part of it and lacks {mark}"),
        "aborted_read" => format!("{mark} was read on {node} at {at}"),
        "lost" => format!("the final read on {node} at {at} lacks {mark}"),
        "own_write_unread" => format!("it read no {mark} before its own end"),
        "early" => format!("{mark} was read on {node} at {at}, before that"),
        _ => format!("{mark} stands more than once in a read on {node} at {at}"),
    }
}
